"""Workers: what travels between processes comes back whole, and halving finds the alerts that cannot be computed."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fink.engines.compute import Computed, compute
from fink.engines.plan import build_plan
from fink.engines.workers import SharedBuffer, Task, WorkerFailure, map_buffer, pack, rescue, unpack
from simulated import nights

PACKETS = nights("ztf", 1, 60)[0].packets
NIGHT = nights("ztf", 1, 60)[0].night
PLAN = build_plan(("sky_position",))


def task() -> Task:
    return Task("ztf", NIGHT, PACKETS, "", 0)


class Fragile:
    """A worker that fails on batches with certain packets."""

    def __init__(self, guilty: set[int]) -> None:
        self._guilty = {int(PACKETS.starts[row]) for row in guilty}
        self.failures = 0
        self.shares: list[float] = []

    def submit(self, task: Task) -> None:
        self.shares.append(task.share)

    def ready(self) -> bool:
        return True

    def result(self, task: Task) -> Computed:
        if self._guilty & set(task.packets.starts.tolist()):
            self.failures += 1
            raise WorkerFailure("ended its process")
        return compute(task.survey, task.night, task.packets, PLAN, None)

    def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize("guilty", [{0}, {17}, {57}, {3, 4}, {0, 30, 57}])
def test_halving_refuses_exactly_the_alerts_that_fail(guilty: set[int]) -> None:
    worker = Fragile(guilty)
    found = rescue(worker, task(), WorkerFailure("ended its process"))
    whole = compute("ztf", NIGHT, PACKETS, PLAN, None)
    good = np.array([row for row in range(len(PACKETS)) if row not in guilty])
    assert {refusal.row for refusal in found.refusals} == guilty
    assert all("ended its process" in refusal.reason for refusal in found.refusals)
    assert found.rows.tolist() == good.tolist()
    assert found.alerts.equals(whole.alerts.take(pa.array(good)))
    assert found.points.mjd.tolist() == whole.points.take(good).mjd.tolist()
    assert found.cutouts.start.shape == (len(good), 3)
    assert found.modules["sky_position"].run == len(good)
    assert worker.failures <= len(guilty) * (2 + len(PACKETS).bit_length())
    assert min(worker.shares) < 0.05


def test_a_batch_in_which_every_alert_fails_gives_no_alert() -> None:
    found = rescue(Fragile(set(range(len(PACKETS)))), task(), WorkerFailure("ended its process"))
    assert found.alerts.num_rows == 0
    assert len(found.refusals) == len(PACKETS)


def test_results_come_back_as_they_were() -> None:
    computed = compute("ztf", NIGHT, PACKETS, PLAN, None)
    again = unpack(pack(computed))
    assert again.alerts.equals(computed.alerts)
    assert again.alerts.schema == computed.alerts.schema
    for name, array in computed.points.arrays().items():
        assert np.array_equal(again.points.arrays()[name], array, equal_nan=array.dtype.kind == "f")
    assert np.array_equal(again.rows, computed.rows)
    assert again.modules == computed.modules


def test_shared_memory_is_seen_by_its_path_and_grows_in_place() -> None:
    before = len(os.listdir("/proc/self/fd"))
    buffer = SharedBuffer()
    first = buffer.reserve(100)
    first[:3] = 1, 2, 3
    assert map_buffer(buffer.path)[:3].tolist() == [1, 2, 3]
    path, size = buffer.path, len(first)
    assert buffer.reserve(size) is first
    larger = buffer.reserve(size + 1)
    assert (buffer.path, len(larger)) == (path, 2 * size)
    larger[-1] = 9
    assert map_buffer(path)[-1] == 9
    buffer.close()
    del first, larger
    assert len(os.listdir("/proc/self/fd")) == before
    assert not Path(path).exists()
