"""User state: what people and services write beside a run, in one SQLite file, which the run reads between its commits.

The file lies in the archive's folder and is in WAL mode: those who write it and the run never wait for one another. A table is
added by appending a step to `STEPS`; what wrote the file before is brought up to date when it is next opened.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from fink.errors import ArchiveError

FILE = "state.sqlite"
"""Name of the file in the archive's folder."""

_REQUESTS = """
CREATE TABLE IF NOT EXISTS requests (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    arguments TEXT NOT NULL,
    asked REAL NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'failed')),
    answer TEXT
);
"""

_SUBSTREAMS = """
CREATE TABLE substreams (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    version INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('on', 'off', 'paused', 'removed')),
    message TEXT NOT NULL DEFAULT '',
    adopted INTEGER,
    since INTEGER
);
CREATE TABLE substream_versions (
    name TEXT NOT NULL REFERENCES substreams (name),
    version INTEGER NOT NULL,
    definition TEXT NOT NULL,
    created REAL NOT NULL,
    PRIMARY KEY (name, version)
);
CREATE TABLE substream_changes (owner TEXT NOT NULL, name TEXT NOT NULL, what TEXT NOT NULL, at REAL NOT NULL);
CREATE INDEX substream_changes_by_owner ON substream_changes (owner, at);
"""

_TRANSFERS = "CREATE TABLE transfers (name TEXT PRIMARY KEY, state TEXT NOT NULL, job TEXT NOT NULL);"

_ACCESS = """
CREATE TABLE tokens (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    scopes TEXT NOT NULL,
    secret BLOB NOT NULL UNIQUE,
    created REAL NOT NULL,
    expires REAL,
    revoked REAL
);
CREATE TABLE rows_taken (who TEXT NOT NULL, day INTEGER NOT NULL, rows INTEGER NOT NULL, PRIMARY KEY (who, day));
"""

_JOBS = """
CREATE TABLE jobs (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    who TEXT NOT NULL,
    state TEXT NOT NULL,
    ordered REAL NOT NULL,
    expires REAL NOT NULL,
    job TEXT NOT NULL
);
CREATE INDEX jobs_by_state ON jobs (state, ordered);
"""

_NOTES = """
CREATE TABLE notes (
    survey TEXT NOT NULL,
    object_id TEXT NOT NULL,
    name TEXT NOT NULL,
    encoded TEXT NOT NULL,
    username TEXT NOT NULL,
    comments TEXT NOT NULL,
    owner TEXT NOT NULL,
    written REAL NOT NULL,
    PRIMARY KEY (survey, object_id)
);
CREATE UNIQUE INDEX notes_by_name ON notes (survey, encoded);
"""

STEPS: tuple[str, ...] = (_REQUESTS, _SUBSTREAMS, _TRANSFERS, _ACCESS, _JOBS, _NOTES)
"""What makes an empty file, and any earlier one, what this version reads and writes; a step is never changed once released."""


class State:
    """The user state of one archive.

    Parameters
    ----------
    folder
        The archive's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._watching: sqlite3.Connection | None = None
        self._seen: int | None = None

    @property
    def exists(self) -> bool:
        """Whether anybody ever wrote anything."""
        return self.path.exists()

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one step, which is written whole or not at all; it is closed again, so that no process holds it.

        Raises
        ------
        ArchiveError
            If the file cannot be used, or a newer version of Fink wrote it.
        """
        with self._errors(), closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as connection:
            self._bring_up_to_date(connection)
            # IMMEDIATE: what is read in a step is still so when the step writes
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def copy(self, folder: Path) -> None:
        """Copy the file into a folder, as it is at one moment, also while it is written; nothing where nobody ever wrote."""
        if not self.exists:
            return
        with self._errors(), closing(sqlite3.connect(self.path, timeout=30)) as own, closing(sqlite3.connect(folder / FILE)) as copy:
            own.backup(copy)

    def changed(self) -> bool:
        """Say whether anybody wrote since this was last asked; costs nothing to speak of where nobody ever did."""
        if self._watching is None and not self.exists:
            return False
        with self._errors():
            if self._watching is None:
                self._watching = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
            (seen,) = self._watching.execute("PRAGMA data_version").fetchone()
        before, self._seen = self._seen, seen
        return bool(before != seen)

    def close(self) -> None:
        """Let go of the file, where it was watched for changes."""
        if self._watching is not None:
            self._watching.close()
        self._watching, self._seen = None, None

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise ArchiveError(f"{self.path} cannot be used: {error}; repair the disk, or restore the file from a copy") from error

    def _bring_up_to_date(self, connection: sqlite3.Connection) -> None:
        if _version(connection) == len(STEPS):
            return
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        # another process may have done it while this one waited
        version = _version(connection)
        if version > len(STEPS):
            raise ArchiveError(f"{self.path} is of version {version}, and this Fink knows versions up to {len(STEPS)}; upgrade Fink")
        for step in STEPS[version:]:
            for statement in step.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(STEPS)}")
        connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
