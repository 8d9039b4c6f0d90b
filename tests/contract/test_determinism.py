"""The same answer always: over every module, whatever the batch, the order, the number of workers, and in a replay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fink import factory
from fink.config import BatchSettings, RunSettings, load_settings
from fink.engines.replay import replay_commit, same_bits
from fink.simulator.survey import SimulatedNight, simulate_nights
from fink.streams.memory import MemorySource, NightOfPackets

NIGHTS, ALERTS = 3, 400


@pytest.fixture(scope="module")
def nights() -> list[SimulatedNight]:
    """Consecutive nights of the same objects, in both surveys."""
    return [night for survey in ("ztf", "lsst") for night in simulate_nights(survey, NIGHTS, ALERTS, seed=11, stamps="shared")]


def columns_of(folder: Path, nights: Sequence[SimulatedNight], *, batch: int, workers: int = 0, shuffle: int | None = None) -> pa.Table:
    """Run nights into a new archive and give every column of every alert, in the order of their numbers."""
    settings = load_settings(None, {"archive": folder})
    settings = settings.model_copy(update={"batch": BatchSettings(alerts=batch), "run": RunSettings(workers=workers)})
    with factory.open_archive(settings) as archive:
        factory.run(MemorySource([_as_source(night, shuffle) for night in nights]), archive, settings)
        table = archive.sql("SELECT * EXCLUDE (commit) FROM alerts ORDER BY survey, alert_id")
    return table.combine_chunks()


def _as_source(night: SimulatedNight, shuffle: int | None) -> NightOfPackets:
    packets = night.packets
    if shuffle is not None:
        packets = packets.take(np.random.default_rng(shuffle).permutation(len(packets)))
    return NightOfPackets(night.survey, night.night, packets)


def identical(one: pa.Table, other: pa.Table) -> list[str]:
    """Name the columns whose bytes differ: NaN patterns and signs of zero count."""
    if one.column_names != other.column_names or one.num_rows != other.num_rows:
        return ["the tables have other columns or rows"]
    return [name for name in one.column_names if not same_bits(one[name], other[name])]


@pytest.fixture(scope="module")
def reference(nights: list[SimulatedNight], tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """Every column, from batches as large as they come."""
    return columns_of(tmp_path_factory.mktemp("reference") / "archive", nights, batch=4000)


@pytest.mark.parametrize("batch", [7, 500])
def test_any_batch_size(batch: int, nights: list[SimulatedNight], reference: pa.Table, tmp_path: Path) -> None:
    assert identical(reference, columns_of(tmp_path / "archive", nights, batch=batch)) == []


def test_one_alert_at_a_time(nights: list[SimulatedNight], tmp_path: Path) -> None:
    few = [replace(night, packets=night.packets.take(np.arange(0, len(night.packets), 8))) for night in nights]
    whole = columns_of(tmp_path / "whole", few, batch=4000)
    assert whole.num_rows > 200
    assert identical(whole, columns_of(tmp_path / "single", few, batch=1)) == []


@pytest.mark.parametrize("seed", [1, 2])
def test_any_order_within_a_night(seed: int, nights: list[SimulatedNight], reference: pa.Table, tmp_path: Path) -> None:
    assert identical(reference, columns_of(tmp_path / "archive", nights, batch=300, shuffle=seed)) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_workers(workers: int, nights: list[SimulatedNight], reference: pa.Table, tmp_path: Path) -> None:
    assert identical(reference, columns_of(tmp_path / "archive", nights, batch=150, workers=workers)) == []


def test_a_replay(nights: list[SimulatedNight], tmp_path: Path) -> None:
    settings = load_settings(None, {"archive": tmp_path / "archive", "batch.alerts": 150, "run.workers": 0})
    with factory.open_archive(settings) as archive:
        factory.run(MemorySource([_as_source(night, None) for night in nights]), archive, settings)
        plan = factory.build_plan(settings)
        for number in range(1, archive.last_commit() + 1):
            assert replay_commit(archive, number, plan) == []


def test_history_changes_what_is_measured(nights: list[SimulatedNight], reference: pa.Table, tmp_path: Path) -> None:
    """If no module saw the archive's history, the tests above would prove nothing of it."""
    last = [night for night in nights if night.night == max(n.night for n in nights)]
    alone = columns_of(tmp_path / "archive", last, batch=4000)
    ids = set(alone["alert_id"].to_pylist())
    kept = reference.filter(pa.array([i in ids for i in reference["alert_id"].to_pylist()]))
    assert identical(kept, alone)
