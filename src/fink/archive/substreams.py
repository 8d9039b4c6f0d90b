"""Users' substreams in the user state: who owns them, every version of them, and whether they are on, off or paused."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from fink.archive.state import State
from fink.errors import NotFoundError, RefusedError, did_you_mean
from fink.filters.users import UserSubstream

Standing = Literal["on", "off", "paused", "removed"]
"""Whether a substream selects: its owner switches it on and off; a run pauses it, with a message."""

_COLUMNS = "s.name, s.state, s.message, s.adopted, s.since, v.definition, v.created"
_JOINED = "substreams AS s JOIN substream_versions AS v ON v.name = s.name AND v.version = s.version"


@dataclass(frozen=True)
class Kept:
    """A user's substream as it stands.

    Parameters
    ----------
    substream
        Its current version.
    state, message
        Whether it selects, and why not, where a run paused it.
    adopted, since
        The version that a run selects with, and the number of the first commit that could be selected with it.
    created
        When this version was written [s since 1970].
    """

    substream: UserSubstream
    state: Standing
    message: str
    adopted: int | None
    since: int | None
    created: float


class UserSubstreams:
    """The users' substreams of one archive.

    Parameters
    ----------
    folder
        The archive's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.state = State(folder)

    def all(self, *, removed: bool = False) -> list[Kept]:
        """Give every substream by name, those that were removed only when asked for; nothing is made where there is none."""
        if not self.state.exists:
            return []
        with self.state.connection() as connection:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM {_JOINED} ORDER BY s.name").fetchall()
        kept = [_kept(row) for row in rows]
        return [one for one in kept if removed or one.state != "removed"]

    def one(self, name: str) -> Kept:
        """Give one substream.

        Raises
        ------
        NotFoundError
            If no user has one of this name.
        """
        kept = {one.substream.name: one for one in self.all()}
        if name not in kept:
            raise NotFoundError(f"no user has a substream {name}{did_you_mean(name, kept)}; fink filter list shows all")
        return kept[name]

    def versions(self, name: str) -> list[tuple[UserSubstream, float]]:
        """Give every version of a substream, the first one first, and when it was written [s since 1970]."""
        self.one(name)
        with self.state.connection() as connection:
            rows = connection.execute(
                "SELECT definition, created FROM substream_versions WHERE name = ? ORDER BY version", (name,)
            ).fetchall()
        return [(UserSubstream.from_bytes(definition), created) for definition, created in rows]

    def add(self, substream: UserSubstream, state: Standing = "on") -> UserSubstream:
        """Write a new substream, or the next version of one, and give it with its version.

        Raises
        ------
        RefusedError
            If the name belongs to somebody else, also where it was removed: the archive still holds what it selected.
        """
        with self.state.connection() as connection:
            row = connection.execute("SELECT owner, version FROM substreams WHERE name = ?", (substream.name,)).fetchone()
            if row is not None and row[0] != substream.owner:
                raise RefusedError(f"{substream.name} belongs to {row[0]}; choose another name")
            numbered = replace(substream, version=1 if row is None else row[1] + 1)
            _put(connection, numbered, state, known=row is not None)
            _note(connection, numbered.owner, numbered.name, "created" if row is None else "edited")
        return numbered

    def switch(self, name: str, state: Standing) -> None:
        """Switch a substream on or off, or remove it; its name and versions stay, since commits name them."""
        owner = self.one(name).substream.owner
        with self.state.connection() as connection:
            connection.execute("UPDATE substreams SET state = ?, message = '', adopted = NULL, since = NULL WHERE name = ?", (state, name))
            _note(connection, owner, name, state)

    def pause(self, substream: UserSubstream, message: str) -> None:
        """Pause a version of a substream, unless its owner changed it meanwhile."""
        with self.state.connection() as connection:
            connection.execute(
                "UPDATE substreams SET state = 'paused', message = ?, adopted = NULL, since = NULL "
                "WHERE name = ? AND version = ? AND state = 'on'",
                (message, substream.name, substream.version),
            )

    def adopt(self, substreams: Iterable[UserSubstream], since: int) -> None:
        """Note that a run selects with these versions from a commit on."""
        rows = [(one.version, since, one.name, one.version) for one in substreams]
        with self.state.connection() as connection:
            connection.executemany("UPDATE substreams SET adopted = ?, since = ? WHERE name = ? AND version = ? AND state = 'on'", rows)

    def changes_of(self, owner: str, since: float) -> int:
        """Count what an owner changed since a time [s since 1970]."""
        if not self.state.exists:
            return 0
        with self.state.connection() as connection:
            (count,) = connection.execute("SELECT count(*) FROM substream_changes WHERE owner = ? AND at >= ?", (owner, since)).fetchone()
        return int(count)


def _put(connection: sqlite3.Connection, substream: UserSubstream, state: Standing, *, known: bool) -> None:
    if known:
        connection.execute(
            "UPDATE substreams SET version = ?, state = ?, message = '', adopted = NULL, since = NULL WHERE name = ?",
            (substream.version, state, substream.name),
        )
    else:
        row = (substream.name, substream.owner, substream.version, state)
        connection.execute("INSERT INTO substreams (name, owner, version, state) VALUES (?, ?, ?, ?)", row)
    version = (substream.name, substream.version, substream.to_bytes().decode(), time.time())
    connection.execute("INSERT INTO substream_versions VALUES (?, ?, ?, ?)", version)


def _note(connection: sqlite3.Connection, owner: str, name: str, what: str) -> None:
    connection.execute("INSERT INTO substream_changes VALUES (?, ?, ?, ?)", (owner, name, what, time.time()))


def _kept(row: tuple[str, Standing, str, int | None, int | None, str, float]) -> Kept:
    _, state, message, adopted, since, definition, created = row
    return Kept(UserSubstream.from_bytes(definition), state, message, adopted, since, created)
