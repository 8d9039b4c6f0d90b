"""Folders that are watched: what is put there is read when it is whole, until the run is asked to stop."""

from __future__ import annotations

import time
from collections.abc import Callable

from fink.config import BatchSettings
from fink.streams import Allocate, SourceBatch
from fink.streams.files import FilesSource

SETTLED = 2.0
"""Seconds for which a file must not have changed before it is read [s]."""

EVERY = 1.0
"""Seconds between two looks at the folders [s]."""


class WatchedFiles:
    """A source of files that never ends: whenever it is at its end it looks for new and changed files.

    It looks again only when everything that it gave is committed, so the archive's own record says what is new. Nights are in
    order within one look; what comes later from an earlier night is late, and counted as such.

    Parameters
    ----------
    look
        Makes a source of what is new, as the archive knows it.
    """

    def __init__(self, look: Callable[[], FilesSource]) -> None:
        self.name = "files"
        self._look = look
        self._files = look()
        self._looked_at = time.monotonic()
        self._committed = False

    @property
    def total(self) -> int | None:
        """Nobody knows how many items are still to come."""
        return None

    def next_batch(self, limits: BatchSettings, allocate: Allocate) -> SourceBatch:
        """Give the next items, or an idle batch when there are none for now."""
        wait = self._looked_at + EVERY - time.monotonic()
        if self._committed and wait <= 0:
            self._files, self._looked_at = self._look(), time.monotonic()
        elif self._committed:
            time.sleep(min(wait, limits.seconds))
        batch = self._files.next_batch(limits, allocate)
        # an idle batch makes the engine commit what is in flight before it asks again
        self._committed = batch is None
        return batch or SourceBatch(self.name)
