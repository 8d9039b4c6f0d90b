"""Users' substreams in a run: taken up between commits, named by each commit's plan, paused where they raise, cost or take too much."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import orjson
import pyarrow as pa
import pytest

from fink import surveys
from fink.archive.embedded import PLACES, EmbeddedArchive
from fink.archive.requests import Requests
from fink.archive.substreams import UserSubstreams
from fink.commits import Commit
from fink.config import BatchSettings, RunSettings, UserSettings
from fink.engines import users as engine_users
from fink.engines.embedded import EmbeddedEngine, RunSummary
from fink.engines.plan import build_plan
from fink.engines.replay import replay_commit
from fink.engines.users import UserFilters
from fink.engines.workers import PlanRequest
from fink.filters.places import PositionList
from fink.filters.users import UserSubstream
from fink.streams.memory import MemorySource, NightOfPackets
from fink.streams.substream_files import SubstreamFiles
from simulated import nights

NIGHTS = [NightOfPackets(night.survey, night.night, night.packets) for night in nights("ztf", 2, 120)]
TOTAL = sum(len(night.packets) for night in NIGHTS)
BRIGHT = UserSubstream("bright", "ana", 0, "bright ones", "mag < 19")
MODULES = ("colour",)

OnCommit = Callable[[Commit, RunSummary], None]


def run(folder: Path, alerts: int = 20, on_commit: OnCommit = lambda commit, summary: None, workers: int = 0, **limits: Any) -> RunSummary:
    """Run the nights into the archive of a folder; what is there already is not read again."""
    request = PlanRequest(MODULES, (), folder)
    opened = EmbeddedArchive.open if (folder / "archive.json").exists() else EmbeddedArchive.create
    with opened(folder) as archive:
        done = [int(value) for value in archive.position(b"memory/").values()]
        settings = RunSettings.model_validate({"workers": workers})
        batches = BatchSettings(alerts=alerts, megabytes=64, seconds=1)
        own = UserSettings.model_validate(limits)
        engine = EmbeddedEngine(archive, request.build(), request, settings, batches, on_commit=on_commit, users=own)
        return engine.run(MemorySource(NIGHTS, start=done[0] if done else 0))


def selected(folder: Path, name: str) -> dict[int, list[int]]:
    """Give the alerts that a substream took, by commit, for commits whose plan names it."""
    with EmbeddedArchive.reader(folder) as archive:
        named = [commit for commit in archive.commits() if name in archive.plan(commit.plan_id).users]
        return {commit.number: sorted(archive.selected(commit.number, name)[0]["alert_id"].to_pylist()) for commit in named}


def all_of(taken: dict[int, list[int]]) -> list[int]:
    return sorted(alert for alerts in taken.values() for alert in alerts)


def bright_in(folder: Path, commits: Any) -> list[int]:
    """Give the alerts of commits that `BRIGHT` should take, found otherwise."""
    with EmbeddedArchive.reader(folder) as archive:
        rows = pa.concat_tables([archive.commit_rows(number) for number in commits], promote_options="permissive")
    mag = rows["mag"].to_numpy()
    return sorted(rows["alert_id"].to_numpy()[mag < 19.0].tolist())


def version_of(archive: EmbeddedArchive, number: int, name: str) -> int | None:
    identity = archive.plan(archive.commit(number).plan_id).users.get(name)
    return None if identity is None else int(orjson.loads(archive.substream_definition(identity))["version"])


def sound(folder: Path) -> None:
    with EmbeddedArchive.reader(folder) as archive:
        assert archive.ledger()["balanced"]
        assert archive.verify() == []
        plan = build_plan(MODULES)
        for commit in archive.commits():
            assert replay_commit(archive, commit.number, plan) == []


def test_a_run_without_users_writes_no_state(tmp_path: Path) -> None:
    summary = run(tmp_path / "archive")
    assert summary.counts.archived == TOTAL
    assert not (tmp_path / "archive" / "state.sqlite").exists()
    with EmbeddedArchive.reader(tmp_path / "archive") as archive:
        assert {commit.plan_id for commit in archive.commits()} == {build_plan(MODULES).record.identity}


@pytest.mark.parametrize("workers", [0, 1])
def test_what_is_switched_on_selects_from_the_next_commit_on(tmp_path: Path, workers: int) -> None:
    users = UserSubstreams(tmp_path / "archive")

    def at(commit: Commit, summary: RunSummary) -> None:
        if commit.number == 3:
            users.add(BRIGHT)
        if commit.number == 6:
            users.switch("bright", "off")
        if commit.number == 8:
            users.switch("bright", "on")

    summary = run(tmp_path / "archive", on_commit=at, workers=workers)
    taken = selected(tmp_path / "archive", "bright")
    # what is written while commit n is announced is found after commit n + 1, at the latest
    last = summary.commits
    assert sorted(taken) == [*range(5, 8), *range(10, last + 1)]
    assert summary.counts.archived == TOTAL
    assert all_of(taken) == bright_in(tmp_path / "archive", taken)
    assert summary.selected["bright"] == sum(map(len, taken.values())) > 0
    kept = users.one("bright")
    assert (kept.state, kept.adopted, kept.since) == ("on", 1, 10)
    sound(tmp_path / "archive")


def test_a_commit_says_which_version_answered(tmp_path: Path) -> None:
    users = UserSubstreams(tmp_path / "archive")

    def at(commit: Commit, summary: RunSummary) -> None:
        if commit.number == 2:
            users.add(BRIGHT)
        if commit.number == 5:
            users.add(UserSubstream("bright", "ana", 0, "bright ones", "mag < 17"))

    run(tmp_path / "archive", on_commit=at)
    with EmbeddedArchive.reader(tmp_path / "archive") as archive:
        versions = [version_of(archive, commit.number, "bright") for commit in archive.commits()]
        faint = [m for n in range(7, archive.last_commit() + 1) for m in archive.selected(n, "bright")[0]["mag"].to_pylist()]
    assert versions == [None] * 3 + [1] * 3 + [2] * (len(versions) - 6)
    assert max(faint) < 17.0
    sound(tmp_path / "archive")


@pytest.mark.parametrize("alerts", [7, 33, 4000])
def test_batches_change_nothing_that_a_substream_takes(tmp_path: Path, alerts: int) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    UserSubstreams(archive).add(BRIGHT)
    run(archive, alerts=alerts)
    taken = selected(archive, "bright")
    found = all_of(taken)
    assert found == bright_in(archive, taken)
    with EmbeddedArchive.reader(archive) as reader:
        assert list(taken) == [commit.number for commit in reader.commits()]
    assert len(found) > 20
    sound(archive)


def test_one_that_takes_too_much_is_paused_with_a_message_and_may_be_switched_on_again(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    users = UserSubstreams(archive)
    users.add(UserSubstream("everything", "ana", 0, "all", most_per_night=50))

    def at(commit: Commit, summary: RunSummary) -> None:
        if commit.number == 4:
            assert users.one("everything").state == "paused"
            users.switch("everything", "on")

    run(archive, on_commit=at)
    taken = selected(archive, "everything")
    assert list(taken)[:3] == [1, 2, 3]
    assert sum(map(len, list(taken.values())[:3])) == 60
    # switched on again, it may take as many once more
    assert list(taken)[3:6] == [6, 7, 8] or len(taken) < 6
    kept = users.one("everything")
    assert kept.state == "paused"
    assert "50 is its limit" in kept.message
    assert f"night {NIGHTS[0].night}" in kept.message or f"night {NIGHTS[1].night}" in kept.message
    sound(archive)


def test_what_it_took_before_a_restart_counts(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    users = UserSubstreams(archive)
    users.add(UserSubstream("everything", "ana", 0, "all", most_per_night=50))
    plan = build_plan(MODULES)
    request = PlanRequest(MODULES, (), archive)
    for start in (0, 40):
        opened = EmbeddedArchive.create if start == 0 else EmbeddedArchive.open
        with opened(archive) as writer:
            engine = EmbeddedEngine(
                writer, plan, request, RunSettings(workers=0), BatchSettings(alerts=20, megabytes=64, seconds=1), on_commit=_stop_after(2)
            )
            _ENGINES.append(engine)
            engine.run(MemorySource(NIGHTS, start=start))
    assert users.one("everything").state == "paused"
    assert "60 alerts" in users.one("everything").message


_ENGINES: list[EmbeddedEngine] = []


def _stop_after(commits: int) -> OnCommit:
    def on_commit(commit: Commit, summary: RunSummary) -> None:
        if summary.commits == commits:
            _ENGINES[-1].stop()

    return on_commit


def watchlist(folder: Path, positions: list[tuple[float, float]], **more: Any) -> UserSubstream:
    ra, dec = np.array(positions).T
    names = pa.array([f"entry {i}" for i in range(len(ra))])
    identity = PositionList.build(ra, dec, np.full(len(ra), 2.0), names).write(folder / PLACES)
    return UserSubstream("mine", "ana", 0, "my list", kind="watchlist", places=identity, entries=len(ra), **more)


def first_positions(n: int) -> list[tuple[float, float]]:
    alerts = surveys.registry()["ztf"].decode(NIGHTS[0].packets)[0].alerts
    return list(zip(alerts["ra"].to_pylist()[:n], alerts["dec"].to_pylist()[:n], strict=True))


def test_a_watchlist_says_which_entry_each_alert_lies_at(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    UserSubstreams(archive).add(watchlist(archive, first_positions(10)))
    run(archive, alerts=4000)
    with EmbeddedArchive.reader(archive) as reader:
        rows, packets = reader.selected(1, "mine")
        newest = reader.substream("mine")
    assert len(packets) == rows.num_rows >= 10
    assert rows.column_names[-2:] == ["entry", "entry_separation"]
    positions = np.array(first_positions(10))
    for row in rows.select(["ra", "dec", "entry", "entry_separation"]).to_pylist():
        apart = np.hypot((positions[:, 0] - row["ra"]) * np.cos(np.radians(row["dec"])), positions[:, 1] - row["dec"]) * 3600
        assert row["entry"] == f"entry {apart.argmin()}"
        assert row["entry_separation"] == pytest.approx(apart.min(), abs=1e-3)
    assert newest["entry"].null_count == 0
    by_id = dict(zip(rows["alert_id"].to_pylist(), rows["entry"].to_pylist(), strict=True))
    both = zip(newest["alert_id"].to_pylist(), newest["entry"].to_pylist(), strict=True)
    assert all(entry == by_id.get(alert, entry) for alert, entry in both)
    sound(archive)
    with EmbeddedArchive.reader(archive) as reader:
        reader.copy(tmp_path / "copy")
    sound(tmp_path / "copy")
    assert UserSubstreams(tmp_path / "copy").all() == UserSubstreams(archive).all()


def test_the_entry_reaches_the_files_in_both_forms(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    UserSubstreams(archive).add(watchlist(archive, first_positions(10)))
    run(archive)
    with EmbeddedArchive.open(archive) as opened:
        SubstreamFiles(opened, tmp_path / "lines", "jsonl").deliver()
        SubstreamFiles(opened, tmp_path / "avro", "avro").deliver()
        newest = opened.substream("mine")
    expected = dict(zip(newest["alert_id"].to_pylist(), newest["entry"].to_pylist(), strict=True))
    lines = [orjson.loads(line) for line in (tmp_path / "lines" / "mine_ztf.jsonl").read_bytes().splitlines()]
    (path,) = (tmp_path / "avro").glob("mine_ztf_*.avro")
    with path.open("rb") as file:
        records: list[Any] = list(fastavro.reader(file))
    assert {line["alert_id"]: line["entry"] for line in lines} == expected
    assert {record["candid"]: record["entry"] for record in records} == expected
    assert all(0.0 <= record["entry_separation"] <= 2.0 for record in records)


def test_a_substream_that_raises_is_paused_and_the_stream_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    users = UserSubstreams(archive)
    users.add(BRIGHT)
    users.add(watchlist(archive, first_positions(10)))
    real = PositionList.match

    def failing(self: PositionList, ra: Any, dec: Any) -> Any:
        if len(calls) == 3:
            raise OSError("the disk is gone")
        calls.append(1)
        return real(self, ra, dec)

    calls: list[int] = []
    monkeypatch.setattr(PositionList, "match", failing)
    summary = run(archive)
    monkeypatch.undo()
    assert summary.counts.archived == TOTAL
    assert users.one("mine").state == "paused"
    assert "the disk is gone" in users.one("mine").message
    assert sorted(selected(archive, "mine")) == [1, 2, 3]
    taken = selected(archive, "bright")
    assert sorted(taken) == list(range(1, summary.commits + 1))
    assert all_of(taken) == bright_in(archive, taken)
    sound(archive)


def test_a_list_that_is_gone_pauses_its_substream_at_the_start(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    users = UserSubstreams(archive)
    users.add(watchlist(archive, first_positions(3)))
    shutil.rmtree(archive / PLACES)
    assert run(archive).counts.archived == TOTAL
    assert users.one("mine").state == "paused"
    assert "give it again with its file" in users.one("mine").message


@pytest.mark.parametrize(("where", "said"), [("no_such_column > 3", "no column no_such_column"), ("mag <", "cannot be read")])
def test_a_condition_that_no_longer_compiles_pauses_its_substream(tmp_path: Path, where: str, said: str) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    users = UserSubstreams(archive)
    users.add(UserSubstream("broken", "ana", 0, "broken", where))
    users.add(BRIGHT)
    run(archive)
    assert users.one("broken").state == "paused"
    assert said in users.one("broken").message
    assert users.one("bright").state == "on"


def test_one_that_needs_a_module_which_this_run_leaves_out_waits(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    users = UserSubstreams(archive)
    users.add(UserSubstream("rising", "ana", 0, "rising ones", "mag_rate < -0.1"))
    run(archive)
    assert users.one("rising").state == "on"
    assert users.one("rising").adopted is None
    assert selected(archive, "rising") == {}


def test_the_dearest_are_paused_until_the_rest_costs_little_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    users = UserSubstreams(archive)
    for name in ("cheap", "dear", "dearest"):
        users.add(UserSubstream(name, "ana", 0, name, "mag < 19"))
    costs = {"cheap": 1.0, "dear": 8.0, "dearest": 9.0}
    monkeypatch.setattr(engine_users, "_ENOUGH", 1)
    monkeypatch.setattr(engine_users, "microseconds", lambda c, alerts, vocabulary, enough: costs[c.substream.name])
    # what a batch of 7 alerts costs is mostly starting: far above such limits
    run(archive, alerts=7, microseconds=10.0, total_microseconds=0.5)
    assert {kept.substream.name: kept.state for kept in users.all()}["dearest"] == "paused"
    assert "users' substreams take" in users.one("dearest").message
    run_again = tmp_path / "again"
    run_again.mkdir()
    users = UserSubstreams(run_again)
    for name in costs:
        users.add(UserSubstream(name, "ana", 0, name, "mag < 19"))
    run(run_again, alerts=7, microseconds=8.5, total_microseconds=1e9)
    assert {kept.substream.name: kept.state for kept in users.all()} == {"cheap": "on", "dear": "on", "dearest": "paused"}
    assert "9 us an alert, and 8.5 is the limit" in users.one("dearest").message


def test_surveys_that_a_substream_leaves_out_are_left_out(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    users = UserSubstreams(archive)
    users.add(UserSubstream("bright", "ana", 0, "bright ones", "mag < 19", surveys=("lsst",)))
    run(archive)
    assert sum(map(len, selected(archive, "bright").values())) == 0


def test_requests_are_answered_beside(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    UserSubstreams(archive).add(BRIGHT)
    number = Requests(archive).ask("no such request")
    run(archive)
    assert Requests(archive).waiting() == []
    assert number == 1


def test_a_crash_between_adopting_and_committing_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    with EmbeddedArchive.create(folder) as archive:
        UserSubstreams(folder).add(BRIGHT)
        # the run took it up, wrote that down, and died
        UserFilters(archive, build_plan(MODULES), UserSettings.model_validate({})).follow()
    assert UserSubstreams(folder).one("bright").since == 1
    run(folder)
    taken = selected(folder, "bright")
    assert min(taken) == 1
    assert all_of(taken) == bright_in(folder, taken)
    sound(folder)
