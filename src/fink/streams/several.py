"""Several sources as one: asked in turn, so that none waits for another."""

from __future__ import annotations

from collections.abc import Sequence

from fink.config import BatchSettings
from fink.streams import Allocate, Source, SourceBatch


class SeveralSources:
    """Sources that are read beside one another, such as the clusters of two surveys.

    Parameters
    ----------
    sources
        Each keeps its own order and position.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self.name = ", ".join(source.name for source in sources)
        self._sources = list(sources)

    @property
    def total(self) -> int | None:
        """Items still to come, where all of them know it."""
        totals = [source.total for source in self._sources]
        known = [total for total in totals if total is not None]
        return sum(known) if len(known) == len(totals) else None

    def next_batch(self, limits: BatchSettings, allocate: Allocate) -> SourceBatch | None:
        """Give the next batch of the first source that has one; idle when none has, None when all have ended."""
        shorter = limits.model_copy(update={"seconds": limits.seconds / max(len(self._sources), 1)})
        for source in list(self._sources):
            batch = source.next_batch(shorter, allocate)
            self._sources.remove(source)
            if batch is None:
                continue
            # whoever was asked is asked last the next time
            self._sources.append(source)
            if not batch.idle:
                return batch
        return SourceBatch(self.name) if self._sources else None
