"""A live view of an archive for many askers at once: each has a reader of its own, which follows the writer."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fink.archive.embedded import EmbeddedArchive
from fink.errors import BusyError

FRESH = 1.0
"""Seconds after which a reader catches up with the writer before it is used again [s]."""


class LiveArchive:
    """Readers of one archive, lent to one asker at a time.

    A reader answers as of one commit for as long as it is lent, whatever the writer does meanwhile.

    Parameters
    ----------
    open_reader
        Opens the archive for reading; called when the first, second… asker at the same time comes.
    readers
        How many askers are answered at the same time; the next ones wait for their turn.
    """

    def __init__(self, open_reader: Callable[[], EmbeddedArchive], readers: int = 4) -> None:
        self._open, self._all = open_reader, list[EmbeddedArchive]()
        self._free: queue.LifoQueue[tuple[EmbeddedArchive | None, float]] = queue.LifoQueue()
        for _ in range(readers):
            self._free.put((None, 0.0))

    @contextmanager
    def reading(self, patience: float = 30.0) -> Iterator[EmbeddedArchive]:
        """Lend a reader that is at most a second behind the writer.

        Parameters
        ----------
        patience
            Seconds to wait for a free one [s].

        Raises
        ------
        BusyError
            If none becomes free in time.
        ArchiveError
            If the archive is not there.
        """
        try:
            reader, fresh = self._free.get(timeout=patience)
        except queue.Empty as error:
            raise BusyError(f"more questions than readers for {patience:g} s; ask again in a moment") from error
        try:
            reader, fresh = self._caught_up(reader, fresh)
            yield reader
        finally:
            self._free.put((reader, fresh))

    def _caught_up(self, reader: EmbeddedArchive | None, fresh: float) -> tuple[EmbeddedArchive, float]:
        now = time.monotonic()
        if reader is None:
            reader = self._open()
            self._all.append(reader)
        elif now - fresh < FRESH:
            return reader, fresh
        else:
            reader.refresh()
        return reader, now

    def close(self) -> None:
        """Close every reader; nobody may be asking any more."""
        for reader in self._all:
            reader.close()
        self._all.clear()
