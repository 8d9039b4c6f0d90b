"""Where alerts come from, and where committed results go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fink.commits import UNKNOWN_NIGHT, Quarantined
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


class Source(Protocol):
    """Where alerts come from; it knows its position, and gives nights in order."""

    name: str

    @property
    def total(self) -> int | None:
        """Items still to come, where that is known."""

    def next_batch(self, limits: BatchSettings, allocate: Allocate) -> SourceBatch | None:
        """Give the next batch, or None when there is no more."""


class Follower(Protocol):
    """Delivers committed results elsewhere, each exactly once."""

    name: str

    def deliver(self) -> int:
        """Deliver every commit that was not delivered yet; give the number of the last one."""
