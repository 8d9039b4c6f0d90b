"""Packets in memory as a source."""

from __future__ import annotations

import numpy as np
import pytest

from fink.config import BatchSettings
from fink.streams.memory import MemorySource, NightOfPackets
from fink.tables import Packets
from simulated import allocate, batches_of, given, nights

ZTF = nights("ztf", 2, 40)
IN_MEMORY = [NightOfPackets("ztf", night.night, night.packets) for night in reversed(ZTF)]
BODIES = [night.packets.body(row) for night in ZTF for row in range(len(night.packets))]


@pytest.mark.parametrize("alerts", [1, 7, 4000])
def test_nights_come_in_order_whatever_the_batches(alerts: int) -> None:
    batches = batches_of(MemorySource(IN_MEMORY), BatchSettings(alerts=alerts, megabytes=64, seconds=1))
    assert given(batches) == BODIES
    assert [batch.night for batch in batches] == sorted(batch.night for batch in batches)
    assert all(batch.packets is not None and len(batch.packets) <= alerts for batch in batches)


def test_a_batch_closes_by_its_size() -> None:
    size = max(map(len, BODIES)) * 3
    batches = batches_of(MemorySource(IN_MEMORY), BatchSettings(alerts=4000, megabytes=size / 1e6, seconds=1))
    assert given(batches) == BODIES
    assert all(sum(map(len, given([batch]))) <= size for batch in batches)


@pytest.mark.parametrize("start", [0, 1, len(ZTF[0].packets), len(BODIES) - 1, len(BODIES)])
def test_it_goes_on_where_it_is_told(start: int) -> None:
    source = MemorySource(IN_MEMORY, start=start)
    assert source.total == len(BODIES) - start
    batches = batches_of(source)
    assert given(batches) == BODIES[start:]
    if batches:
        assert batches[-1].progress == {b"memory/memory": str(len(BODIES)).encode()}


def test_packets_that_do_not_lie_together_are_joined() -> None:
    scattered = ZTF[0].packets.take(np.array([5, 3, 9, 0]))
    (batch,) = batches_of(MemorySource([NightOfPackets("ztf", ZTF[0].night, scattered)]))
    assert given([batch]) == [ZTF[0].packets.body(row) for row in (5, 3, 9, 0)]
    assert batch.places(2) == ("memory", "packet 2")


def test_an_empty_night_is_passed_over() -> None:
    empty = Packets.from_bodies([], ZTF[0].packets.schemas[0])
    source = MemorySource([NightOfPackets("ztf", 20200101, empty), *IN_MEMORY])
    batch = source.next_batch(BatchSettings.model_validate({}), allocate)
    assert batch is not None
    assert batch.night == ZTF[0].night
