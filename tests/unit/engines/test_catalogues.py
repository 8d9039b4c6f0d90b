"""A catalogue that is installed and replaced while a run goes on: no alert is lost, and each says which version answered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fink import catalogs
from fink.archive.embedded import EmbeddedArchive
from fink.catalogs.importing import import_catalogue
from fink.catalogs.store import CURRENT
from fink.commits import Commit
from fink.config import BatchSettings, RunSettings
from fink.engines.embedded import EmbeddedEngine, RunSummary
from fink.engines.plan import ABSENT, RUN, build_plan
from fink.engines.replay import recompute, replay_commit
from fink.engines.workers import PlanRequest
from fink.errors import ArtifactError, PlanError
from fink.streams.memory import MemorySource, NightOfPackets
from simulated import nights

NIGHTS = [NightOfPackets(night.survey, night.night, night.packets) for night in nights("ztf", 2, 120)]
TOTAL = sum(len(night.packets) for night in NIGHTS)


def run(folder: Path, artifacts: Path, workers: int, on_commit: object = None) -> RunSummary:
    """Run the simulated nights through one catalogue's module, 20 alerts a batch."""
    request = PlanRequest(("gcvs",), (), folder, artifacts=artifacts)
    with EmbeddedArchive.create(folder) as archive:
        limits = BatchSettings(alerts=20, megabytes=64, seconds=1)
        said = on_commit if callable(on_commit) else lambda commit, summary: None
        engine = EmbeddedEngine(archive, request.build(), request, RunSettings(workers=workers, timeout=100), limits, on_commit=said)
        return engine.run(MemorySource(NIGHTS))


def install(artifacts: Path, alerts: pa.Table, word: str) -> str:
    """Install a catalogue with a source of one type at the place of every alert; give its version."""
    table = pa.table({"ra": alerts["ra"], "dec": alerts["dec"], "VarType": pa.array([word] * alerts.num_rows)})
    pq.write_table(table, artifacts / "own.parquet")
    return import_catalogue(catalogs.registry()["gcvs"], [str(artifacts / "own.parquet")], artifacts / catalogs.FOLDER).version


@pytest.fixture(scope="module")
def alerts(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """Every alert of the nights, as a run without catalogues archives them."""
    folder = tmp_path_factory.mktemp("plain") / "archive"
    run(folder, folder / "nothing", 0)
    with EmbeddedArchive.reader(folder) as archive:
        return pa.concat_tables([archive.commit_rows(commit.number) for commit in archive.commits()], promote_options="default")


def test_without_the_catalogue_the_columns_are_null_and_the_status_says_why(alerts: pa.Table) -> None:
    assert alerts.num_rows == TOTAL
    assert alerts["gcvs_type"].null_count == TOTAL
    assert set(alerts["gcvs_status"].to_pylist()) == {ABSENT}


@pytest.mark.parametrize("workers", [0, 2])
def test_a_catalogue_swapped_in_a_run_loses_nothing_and_each_commit_names_its_version(
    tmp_path: Path, alerts: pa.Table, workers: int
) -> None:
    words: dict[str | None, str | None] = {None: None}

    def swap(commit: Commit, summary: RunSummary) -> None:
        if commit.number in (3, 7):
            word = f"AT{commit.number}"
            words[install(tmp_path, alerts, word)] = word

    summary = run(tmp_path / "archive", tmp_path, workers, swap)
    assert summary.counts.archived == summary.counts.received == TOTAL
    answered = []
    with EmbeddedArchive.reader(tmp_path / "archive") as archive:
        assert archive.ledger()["balanced"]
        for commit in archive.commits():
            version = archive.plan(commit.plan_id).artifacts.get("gcvs")
            rows = archive.commit_rows(commit.number)
            assert set(rows["gcvs_type"].to_pylist()) == {words[version]}
            assert set(rows["gcvs_status"].to_pylist()) == {RUN if version else ABSENT}
            answered.append(version)
    assert list(dict.fromkeys(answered)) == list(words)
    assert len(answered) >= TOTAL / 20


def test_the_version_before_answers_again_in_a_replay(tmp_path: Path, alerts: pa.Table) -> None:
    first = install(tmp_path, alerts, "FIRST")
    run(tmp_path / "archive", tmp_path, 0)
    second = install(tmp_path, alerts, "SECOND")
    plan = build_plan(["gcvs"], artifacts=tmp_path)
    assert plan.record.artifacts == {"gcvs": second}
    as_then = plan.with_versions(tmp_path, {"gcvs": first})
    ids = alerts["alert_id"].to_pylist()[:5]
    with EmbeddedArchive.reader(tmp_path / "archive") as archive:
        assert archive.plan(archive.commit(1).plan_id).artifacts == {"gcvs": first}
        night = archive.commit(1).night
        assert replay_commit(archive, 1, plan, tmp_path) == []
        with pytest.raises(PlanError):
            replay_commit(archive, 1, plan)
        for used, word in ((plan, "SECOND"), (as_then, "FIRST")):
            assert set(recompute(archive, "ztf", night, 0, ids, used)["gcvs_type"].to_pylist()) == {word}
    with pytest.raises(ArtifactError, match="no longer there"):
        plan.with_versions(tmp_path, {"gcvs": "0123456789ab"})


def test_only_what_was_replaced_is_opened_again(tmp_path: Path, alerts: pa.Table) -> None:
    install(tmp_path, alerts, "ONE")
    plan = build_plan(["gcvs", "vsx"], artifacts=tmp_path)
    same = plan.with_versions(tmp_path, plan.versions(tmp_path))
    assert same is plan
    version = install(tmp_path, alerts, "TWO")
    assert plan.versions(tmp_path) == {"gcvs": version}
    changed = plan.with_versions(tmp_path, plan.versions(tmp_path))
    assert changed.record.identity != plan.record.identity
    assert replace(changed.record, artifacts={}) == replace(plan.record, artifacts={})
    (tmp_path / catalogs.FOLDER / "gcvs" / CURRENT).unlink()
    assert plan.versions(tmp_path) == {}
    gone = changed.with_versions(tmp_path, {})
    assert [opened for step in gone.steps for opened in step.artifacts.values()] == [None, None]
    assert np.array_equal(sorted(gone.record.artifacts), [])
