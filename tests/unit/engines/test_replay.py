"""A replay gives every bit again, and says so when it does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fink import factory
from fink.archive.embedded import EmbeddedArchive
from fink.config import load_settings
from fink.engines.plan import Plan, build_plan
from fink.engines.replay import packets_of, recompute, replay_commit, same_bits
from fink.errors import ArchiveError, NotFoundError, PlanError
from fink.streams.memory import MemorySource, NightOfPackets
from simulated import nights

NIGHTS = nights("ztf", 2, 60)
SOURCE = [NightOfPackets("ztf", night.night, night.packets) for night in NIGHTS]
CHOSEN: dict[str, Any] = {
    "run.workers": 0,
    "batch.alerts": 40,
    "run.modules": ("light_curve_features",),
    "run.substreams": ("uniform_sample",),
}


@pytest.fixture(scope="module")
def plan() -> Plan:
    return build_plan(CHOSEN["run.modules"], CHOSEN["run.substreams"])


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedArchive]:
    settings = load_settings(None, CHOSEN | {"archive": tmp_path_factory.mktemp("replay") / "archive"})
    with factory.open_archive(settings) as opened:
        factory.run(MemorySource(SOURCE), opened, settings)
        yield opened


def test_every_commit_comes_out_the_same(archive: EmbeddedArchive, plan: Plan) -> None:
    numbers = range(1, archive.last_commit() + 1)
    assert len(numbers) >= 4
    assert {number: replay_commit(archive, number, plan) for number in numbers} == {number: [] for number in numbers}


def test_the_history_is_that_which_the_commit_saw(archive: EmbeddedArchive, plan: Plan) -> None:
    last = archive.last_commit()
    commit, rows = archive.commit(last), archive.commit_rows(last)
    ids = rows["alert_id"].to_pylist()
    unaware = recompute(archive, "ztf", commit.night, 0, ids, plan)
    names = [column.name for column in plan.added]
    assert any(not same_bits(rows[name], unaware[name]) for name in names)
    aware = recompute(archive, "ztf", commit.night, last - 1, ids, plan)
    assert all(same_bits(rows[name], aware[name]) for name in names)


def test_another_plan_is_refused(archive: EmbeddedArchive) -> None:
    with pytest.raises(PlanError, match="replay with that version"):
        replay_commit(archive, 1, build_plan(("colour",), ("uniform_sample",)))


def test_a_commit_that_is_not_there_is_refused(archive: EmbeddedArchive, plan: Plan) -> None:
    with pytest.raises(NotFoundError, match=f"the last one is {archive.last_commit()}"):
        replay_commit(archive, archive.last_commit() + 1, plan)


def test_packets_are_read_back_as_they_came(archive: EmbeddedArchive) -> None:
    rows = [5, 0, 17]
    ids = [NIGHTS[0].truth["alert_id"][row].as_py() for row in rows]
    packets = packets_of(archive, "ztf", ids)
    assert [packets.body(i) for i in range(3)] == [NIGHTS[0].packets.body(row) for row in rows]
    with pytest.raises(ArchiveError, match="packet of alert 7 was not kept"):
        packets_of(archive, "ztf", [*ids, 7])


def test_packets_that_were_not_kept_are_named(tmp_path: Path, plan: Plan) -> None:
    settings = load_settings(None, CHOSEN | {"archive": tmp_path / "archive", "retention.packets": "none"})
    with factory.open_archive(settings) as opened:
        factory.run(MemorySource(SOURCE[:1]), opened, settings)
        with pytest.raises(ArchiveError, match=r"retention\.packets = all"):
            replay_commit(opened, 1, plan)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (pa.array([1.0, None]), pa.array([1.0, None]), True),
        (pa.array([1.0, None]), pa.array([1.0, 0.0]), False),
        (pa.array([1.0, None]), pa.array([None, 1.0]), False),
        (pa.array([0.0]), pa.array([-0.0]), False),
        (pa.array([1.0]), pa.array([np.nextafter(1.0, 2.0)]), False),
        (pa.array([1.0], pa.float32()), pa.array([1.0], pa.float64()), False),
        (pa.array([1, 2]), pa.array([1, 2]), True),
        (pa.array([1, 2]), pa.array([1]), False),
        (pa.array(["a", None]), pa.array(["a", None]), True),
        (pa.array(["a"]), pa.array(["b"]), False),
    ],
)
def test_columns_are_compared_to_the_last_bit(one: pa.Array, other: pa.Array, same: bool) -> None:
    assert same_bits(pa.chunked_array([one]), pa.chunked_array([other])) is same


def test_how_a_column_is_cut_into_chunks_does_not_matter() -> None:
    whole = pa.chunked_array([pa.array([1.0, 2.0, None])])
    assert same_bits(whole, pa.chunked_array([pa.array([1.0]), pa.array([2.0, None])]))
