"""Packets in memory as a source: for tests, benchmarks and programs that make or fetch packets themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fink.config import BatchSettings
from fink.streams import Allocate, SourceBatch
from fink.tables import PADDING, Packets


@dataclass(frozen=True)
class NightOfPackets:
    """Packets of one survey and night."""

    survey: str
    night: int
    packets: Packets


class MemorySource:
    """Gives packets that are in memory already, night by night.

    Parameters
    ----------
    nights
        Given in the order of their nights, whatever their order here.
    start
        Packets to leave out at the beginning: where an earlier run stopped.
    """

    def __init__(self, nights: Sequence[NightOfPackets], name: str = "memory", start: int = 0) -> None:
        self.name = name
        self._nights = sorted(nights, key=lambda night: (night.night, night.survey))
        self._given = start

    @property
    def total(self) -> int:
        """Packets still to come."""
        return sum(len(night.packets) for night in self._nights) - self._given

    def next_batch(self, limits: BatchSettings, allocate: Allocate) -> SourceBatch | None:
        """Give the next packets of one night, or None at the end."""
        before = 0
        for night in self._nights:
            if self._given < before + len(night.packets):
                return self._batch(night, self._given - before, limits, allocate)
            before += len(night.packets)
        return None

    def _batch(self, night: NightOfPackets, first: int, limits: BatchSettings, allocate: Allocate) -> SourceBatch:
        packets = night.packets
        size = (packets.ends - packets.starts)[first : first + limits.alerts]
        count = max(1, int(np.searchsorted(np.cumsum(size), limits.megabytes * 1e6, side="right")))
        rows = slice(first, first + count)
        starts, ends = packets.starts[rows], packets.ends[rows]
        stops = np.cumsum(ends - starts)
        buffer = allocate(int(stops[-1]) + PADDING)
        if (starts[1:] == ends[:-1]).all():
            buffer[: stops[-1]] = packets.buffer[starts[0] : ends[-1]]
        else:
            joined = b"".join(packets.buffer[a:b].tobytes() for a, b in zip(starts.tolist(), ends.tolist(), strict=True))
            buffer[: stops[-1]] = np.frombuffer(joined, np.uint8)
        given = Packets(buffer, np.concatenate([[0], stops[:-1]]), stops, packets.schema[rows], packets.schemas)
        self._given += count
        progress = {f"memory/{self.name}".encode(): str(self._given).encode()}
        return SourceBatch(self.name, night.survey, night.night, given, lambda row: (self.name, f"packet {first + row}"), progress=progress)
