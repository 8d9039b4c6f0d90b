"""What users ask of a run that holds the archive: kept in the user state, carried out by the committer between its commits.

Only one process may write an archive, so a compaction or a replay of the quarantine that is asked for while a run goes on is
written down here, and the run does it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from fink.archive.state import State
from fink.errors import ArchiveError, FinkError


@dataclass(frozen=True)
class Request:
    """Something that was asked for: its number, what it is, and with which arguments."""

    number: int
    kind: str
    arguments: Mapping[str, Any]


class Requests:
    """The requests of one archive.

    Parameters
    ----------
    folder
        The archive's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._state = State(folder)

    def ask(self, kind: str, arguments: Mapping[str, Any] | None = None) -> int:
        """Write a request down and give its number."""
        with self._state.connection() as connection:
            text = orjson.dumps(arguments or {}).decode()
            done = connection.execute("INSERT INTO requests (kind, arguments, asked) VALUES (?, ?, ?)", (kind, text, time.time()))
            return int(done.lastrowid or 0)

    def waiting(self) -> list[Request]:
        """Give what was asked for and not carried out yet, the oldest first; nothing is made where nobody ever asked."""
        if not self._state.exists:
            return []
        with self._state.connection() as connection:
            rows = connection.execute("SELECT number, kind, arguments FROM requests WHERE state = 'waiting' ORDER BY number").fetchall()
        return [Request(number, kind, orjson.loads(arguments)) for number, kind, arguments in rows]

    def answer(self, number: int, answer: Mapping[str, Any]) -> None:
        """Say that a request was carried out, and what came of it."""
        self._settle(number, "done", answer)

    def refuse(self, number: int, error: FinkError) -> None:
        """Say that a request could not be carried out, and why."""
        self._settle(number, "failed", {"error": str(error)})

    def _settle(self, number: int, state: str, answer: Mapping[str, Any]) -> None:
        with self._state.connection() as connection:
            connection.execute("UPDATE requests SET state = ?, answer = ? WHERE number = ?", (state, orjson.dumps(answer).decode(), number))

    def wait_for(self, number: int, seconds: float, every: float = 0.2) -> dict[str, Any]:
        """Wait for the answer to a request.

        Raises
        ------
        ArchiveError
            If it was refused, or no run answers in time; the request then stays, for the next run.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with self._state.connection() as connection:
                row = connection.execute("SELECT state, answer FROM requests WHERE number = ?", (number,)).fetchone()
            if row is None:
                raise ArchiveError(f"there is no request {number} in {self._state.path}; ask again")
            if row[0] == "failed":
                raise ArchiveError(str(orjson.loads(row[1])["error"]))
            if row[0] == "done":
                return dict(orjson.loads(row[1]))
            time.sleep(every)
        raise ArchiveError(f"no run has answered request {number} within {seconds:g} s; it waits for the next one")
