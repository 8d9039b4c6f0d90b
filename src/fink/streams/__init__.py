"""Where alerts come from, and where committed results go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fink.commits import UNKNOWN_NIGHT, Commit, FollowerPosition, PlanRecord, Quarantined

if TYPE_CHECKING:
    # kept out of the small process that sends to Kafka
    from fink.config import BatchSettings
    from fink.tables import Packets

Allocate = Callable[[int], NDArray[np.uint8]]
"""Gives a buffer of at least so many bytes, padding included; the packets of one batch are copied into it."""


@dataclass(frozen=True)
class SourceBatch:
    """What a source gives at a time: packets of one survey and one night, or items that it cannot read.

    Parameters
    ----------
    packets
        Records in one buffer; None where the batch holds only unreadable items.
    places
        For each packet where it came from, in words, for the quarantine: name of the file and place in it.
    quarantined
        Items that are no readable alerts.
    progress
        What the source wants to find again after a restart, once the batch is committed.
    """

    source: str
    survey: str = ""
    night: int = UNKNOWN_NIGHT
    packets: Packets | None = None
    places: Callable[[int], tuple[str, str]] = field(default=lambda row: ("", str(row)))
    quarantined: tuple[Quarantined, ...] = ()
    progress: Mapping[bytes, bytes] = field(default_factory=dict)

    @property
    def idle(self) -> bool:
        """Whether there is nothing in it: a live source that has nothing now says so, and is asked again."""
        return self.packets is None and not self.quarantined and not self.progress


class Source(Protocol):
    """Where alerts come from; it knows its position, and gives nights in order."""

    name: str

    @property
    def total(self) -> int | None:
        """Items still to come, where that is known."""

    def next_batch(self, limits: BatchSettings, allocate: Allocate) -> SourceBatch | None:
        """Give the next batch, an idle one when there is nothing for now, or None when there is no more."""


class Committed(Protocol):
    """What followers see of an archive: its commits, and where each follower is."""

    @property
    def id(self) -> str:
        """Identity of the archive: a follower of one cannot go on with another."""

    def last_commit(self) -> int:
        """Number of the last commit, 0 before the first."""

    def commit(self, number: int) -> Commit:
        """Give the record of a commit."""

    def selection(self, number: int, substream: str) -> pa.Table:
        """Give the alerts that a substream took in a commit, with every column."""

    def selected(self, number: int, substream: str) -> tuple[pa.Table, Packets]:
        """Give the alerts that a substream took in a commit, with every column, and their packets."""

    def selections(self, number: int) -> tuple[pa.Table, Packets, dict[str, NDArray[np.int64]]]:
        """Give the alerts that substreams took in a commit, each once, their packets, and for each substream which rows it took.

        Substreams that say something of their own of an alert are not among them.
        """

    def plan(self, plan_id: str) -> PlanRecord:
        """Give what a plan was made of."""

    def follower_position(self, name: str) -> FollowerPosition | None:
        """Give the archive's copy of a follower's position."""

    def record_follower(self, name: str, commit: int, checksum: str, undeliverable: Mapping[str, int] | None = None) -> None:
        """Keep a copy of a follower's position, for lag, for the ledger and for what may be dropped."""


class Follower(Protocol):
    """Delivers committed results elsewhere, each exactly once."""

    name: str
    max_lag: int
    """Commits that it may lag before the stream waits for it; 0 never holds back."""

    def deliver(self, seconds: float = 0.0) -> int:
        """Deliver what was committed and not delivered yet; give the number of the last commit that is.

        Who takes the delivery may be slow or away: that is waited for so many seconds at most, and tried again with the next call.
        """

    def finish(self) -> int:
        """Deliver everything that was committed, as long as it takes within reason; give the number of the last commit.

        Raises
        ------
        FollowerError
            If that is not possible now.
        """

    def close(self) -> None:
        """Let go of everything; the next follower of this name goes on."""
