"""The embedded engine: the same archive whatever the workers, the batches, and what goes wrong on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from extended_fink import ExtendedFink
from fink.archive.embedded import EmbeddedArchive
from fink.commits import Commit
from fink.config import BatchSettings, RunSettings
from fink.engines import embedded
from fink.engines.embedded import HURRIED, EmbeddedEngine, RunSummary
from fink.engines.workers import LocalWorker, PlanRequest, SharedBuffer
from fink.errors import FollowerError, SourceError
from fink.simulator.replay import write_night
from fink.streams import Allocate, SourceBatch
from fink.streams.memory import MemorySource, NightOfPackets
from simulated import nights

ZTF, LSST = nights("ztf", 3, 60), nights("lsst", 2, 40)
SIMULATED = [NightOfPackets(night.survey, night.night, night.packets) for night in (*ZTF, *LSST)]
TOTAL = sum(len(night.packets) for night in SIMULATED)


def run(folder: Path, source: Any, workers: int = 0, alerts: int = 4000, **options: Any) -> RunSummary:
    """Run a source into the archive of a folder."""
    request = PlanRequest((), (), folder)
    settings = RunSettings(workers=workers, timeout=100)
    opened = EmbeddedArchive.open if (folder / "archive.json").exists() else EmbeddedArchive.create
    with opened(folder) as archive:
        followers = [make(archive) for make in options.pop("followers", ())]
        limits = BatchSettings(alerts=alerts, megabytes=64, seconds=1)
        engine = EmbeddedEngine(archive, request.build(), request, settings, limits, followers, **options)
        return engine.run(source)


def contents(folder: Path) -> pa.Table:
    """Give every alert of an archive with every column that does not say when it was committed."""
    with EmbeddedArchive.reader(folder) as archive:
        assert archive.ledger()["balanced"]
        rows = pa.concat_tables([archive.commit_rows(c.number) for c in archive.commits()], promote_options="default")
    return rows.drop_columns(["commit"]).sort_by([("survey", "ascending"), ("alert_id", "ascending")])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    folder = tmp_path_factory.mktemp("undisturbed")
    summary = run(folder / "archive", MemorySource(SIMULATED))
    assert summary.counts.archived == TOTAL
    return contents(folder / "archive")


@pytest.mark.parametrize(("workers", "alerts"), [(0, 7), (0, 33), (1, 4000), (2, 20)])
def test_workers_and_batches_change_no_value(tmp_path: Path, undisturbed: pa.Table, workers: int, alerts: int) -> None:
    summary = run(tmp_path / "archive", MemorySource(SIMULATED), workers, alerts)
    assert summary.counts.archived == TOTAL
    assert summary.commits >= TOTAL / alerts
    found = contents(tmp_path / "archive")
    assert found.column_names == undisturbed.column_names
    for name in undisturbed.column_names:
        assert found[name].combine_chunks().equals(undisturbed[name].combine_chunks()), name


class Failing:
    """A source that raises after some batches."""

    name = "failing"
    total = None

    def __init__(self, batches: int) -> None:
        self._left, self._source = batches, MemorySource(SIMULATED)

    def next_batch(self, limits: BatchSettings, allocate: Allocate) -> SourceBatch | None:
        if self._left == 0:
            raise SourceError("the file is gone")
        self._left -= 1
        return self._source.next_batch(limits, allocate)


class Delivering:
    """A follower that lacks only what it delivers."""

    max_lag = 0

    def __init__(self, archive: EmbeddedArchive) -> None:
        self._archive = archive

    def deliver(self, seconds: float = 0.0) -> int:
        return self._archive.last_commit()

    def finish(self) -> int:
        return self.deliver()

    def close(self) -> None:
        pass


def test_what_a_source_gave_before_it_raises_is_committed_and_delivered(tmp_path: Path) -> None:
    delivered: list[int] = []

    class Noting(Delivering):
        name = "noting"

        def deliver(self, seconds: float = 0.0) -> int:
            delivered.append(self._archive.last_commit())
            return delivered[-1]

    with pytest.raises(SourceError, match="gone"):
        run(tmp_path / "archive", Failing(4), alerts=20, followers=[Noting])
    assert contents(tmp_path / "archive").num_rows == 80 - 20 * (len(SIMULATED[0].packets) % 20 > 0) or delivered[-1] == 4
    assert delivered[-1] == 4


def test_a_follower_that_raises_loses_nothing(tmp_path: Path, undisturbed: pa.Table) -> None:
    class Refusing(Delivering):
        name = "refusing"

        def deliver(self, seconds: float = 0.0) -> int:
            raise FollowerError("not allowed")

    with pytest.raises(FollowerError, match="not allowed"):
        run(tmp_path / "archive", MemorySource(SIMULATED), alerts=20, followers=[Refusing])
    with EmbeddedArchive.reader(tmp_path / "archive") as archive:
        (done,) = archive.position(b"memory/").values()
    assert int(done) < TOTAL
    run(tmp_path / "archive", MemorySource(SIMULATED, start=int(done)), alerts=30)
    assert contents(tmp_path / "archive").equals(undisturbed)


def test_a_slow_follower_holds_back_the_stream_when_it_lags_more_than_it_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "DELIVERY_INTERVAL", 1e9)
    lags: list[int] = []

    class Slow(Delivering):
        name, reached = "slow", 0

        def deliver(self, seconds: float = 0.0) -> int:
            lags.append(self._archive.last_commit() - self.reached)
            self.reached += seconds > 0
            return self.reached

        def finish(self) -> int:
            return self._archive.last_commit()

    class Bounded(Slow):
        max_lag = 3

    run(tmp_path / "free", MemorySource(SIMULATED), alerts=10, followers=[Slow])
    assert lags == []
    run(tmp_path / "held", MemorySource(SIMULATED), alerts=10, followers=[Bounded])
    assert max(lags) == 4


def test_a_follower_that_claims_too_much_is_an_error(tmp_path: Path) -> None:
    class Boasting(Delivering):
        name = "boasting"

        def deliver(self, seconds: float = 0.0) -> int:
            return self._archive.last_commit() + 1

    with pytest.raises(FollowerError, match="boasting claims commit"):
        run(tmp_path / "archive", MemorySource(SIMULATED[:1]), followers=[Boasting])


def test_a_stop_ends_after_the_batches_in_flight_and_the_next_run_goes_on(tmp_path: Path, undisturbed: pa.Table) -> None:
    def stop_at_third(commit: Commit, summary: RunSummary) -> None:
        if summary.commits == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    summary = run(tmp_path / "archive", MemorySource(SIMULATED), alerts=10, on_commit=stop_at_third)
    assert summary.stopped
    assert 30 <= summary.counts.archived < TOTAL
    assert signal.getsignal(signal.SIGTERM) is before
    rest = run(tmp_path / "archive", MemorySource(SIMULATED, start=summary.counts.archived))
    assert summary.counts.archived + rest.counts.archived == TOTAL
    assert contents(tmp_path / "archive").equals(undisturbed)


class Unhurried(MemorySource):
    """A source that notes how far the archive was each time it was asked, and how long it might have waited."""

    def __init__(self, commits: Callable[[], int]) -> None:
        super().__init__(SIMULATED[:3])
        self.commits, self.asked = commits, list[tuple[int, float]]()

    def next_batch(self, limits: BatchSettings, allocate: Any) -> Any:
        self.asked.append((self.commits(), limits.seconds))
        return super().next_batch(limits, allocate)


def test_a_batch_that_is_ready_is_committed_before_the_next_one_is_asked_for(tmp_path: Path) -> None:
    commits: list[int] = []
    source = Unhurried(lambda: len(commits))
    run(tmp_path / "archive", source, on_commit=lambda commit, summary: commits.append(commit.number))
    assert source.asked == [(number, 1.0) for number in range(4)]


def test_while_a_batch_is_computed_the_next_one_is_not_waited_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalWorker, "ready", lambda self: False)
    source = Unhurried(lambda: 0)
    run(tmp_path / "archive", source, alerts=20)
    assert (source.asked[0][1], source.asked[1][1]) == (1.0, HURRIED)


def test_buffers_are_used_again_and_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[SharedBuffer] = []
    real = SharedBuffer.__init__

    def noted(self: SharedBuffer) -> None:
        real(self)
        made.append(self)

    monkeypatch.setattr(SharedBuffer, "__init__", noted)
    descriptors = len(os.listdir("/proc/self/fd"))
    summary = run(tmp_path / "archive", MemorySource(SIMULATED), alerts=5)
    assert summary.commits > 40
    assert len(made) <= 2
    assert len(os.listdir("/proc/self/fd")) <= descriptors


MISBEHAVING = '''"""Misbehaves on one alert."""

import os
import time

import numpy as np
import pyarrow as pa

from fink.columns import Column
from fink.science import Columns, science_module


@science_module(version="1", outputs=(Column("calm", pa.float32(), about="whether it behaved"),))
def misbehaving(alert_id: np.ndarray) -> Columns:
    if (alert_id == {alert_id}).any():
        {action}
    return {{"calm": np.ones(len(alert_id))}}
'''


@pytest.mark.parametrize(
    ("action", "reason"),
    [("os._exit(7)", "exit status 7"), ("os.kill(os.getpid(), 9)", "exit status -9"), ("time.sleep(1000)", "took longer than")],
)
def test_the_alert_that_kills_or_hangs_a_worker_is_quarantined_alone(tmp_path: Path, action: str, reason: str) -> None:
    write_night(ZTF[0], tmp_path / "a")
    write_night(ZTF[1], tmp_path / "b")
    guilty = ZTF[0].truth["alert_id"][17].as_py()
    extended = ExtendedFink(tmp_path / "copy", {"science/misbehaving.py": MISBEHAVING.format(alert_id=guilty, action=action)})
    # a hanging batch costs its time at each halving; a dying one costs nothing
    batch, timeout = (2, 20) if "sleep" in action else (8, 100)
    limits = ("--set", f"batch.alerts={batch}", "--set", f"run.timeout={timeout}", "--workers", "2", "--set", "run.modules=misbehaving")
    done = extended.run("run", tmp_path / "a.avro", tmp_path / "b.avro", "--archive", tmp_path / "archive", *limits, "--format", "json")
    document = json.loads(done.stdout)
    total = len(ZTF[0].packets) + len(ZTF[1].packets)
    assert (document["received"], document["archived"], document["quarantined"]) == (total, total - 1, 1)
    (item,) = json.loads(extended.run("quarantine", "list", "--archive", tmp_path / "archive", "--format", "json").stdout)
    assert reason in item["reason"]
    assert item["night"] == ZTF[0].night
    assert ZTF[0].packets.body(17) in EmbeddedArchive.reader(tmp_path / "archive").quarantine_body(item["id"])


def test_a_module_that_raises_fails_alone_on_its_alert(tmp_path: Path) -> None:
    write_night(ZTF[0], tmp_path / "a")
    guilty = ZTF[0].truth["alert_id"][17].as_py()
    text = MISBEHAVING.format(alert_id=guilty, action="raise ValueError('no')")
    extended = ExtendedFink(tmp_path / "copy", {"science/misbehaving.py": text})
    done = extended.run("run", tmp_path / "a.avro", "--archive", tmp_path / "archive", "--workers", "1", "--format", "json")
    document = json.loads(done.stdout)
    assert document["archived"] == len(ZTF[0].packets)
    (counts,) = (module for module in document["modules"] if module["module"] == "misbehaving")
    assert (counts["run"], counts["failed"]) == (len(ZTF[0].packets) - 1, 1)


def test_a_worker_that_cannot_start_ends_the_run_and_quarantines_nothing(tmp_path: Path) -> None:
    write_night(ZTF[0], tmp_path / "a")
    dies = "import multiprocessing\nif multiprocessing.parent_process():\n    os._exit(3)\n\nimport numpy"
    text = MISBEHAVING.format(alert_id=0, action="pass").replace("import numpy", dies, 1)
    extended = ExtendedFink(tmp_path / "copy", {"science/misbehaving.py": text})
    done = extended.run("run", tmp_path / "a.avro", "--archive", tmp_path / "archive", "--workers", "1", check=False)
    assert done.returncode == 1
    assert b"before it had any alert" in done.stderr
    ledger = json.loads(extended.run("ledger", "--archive", tmp_path / "archive", "--format", "json").stdout)
    assert ledger["received"] == 0


def children_of(process: subprocess.Popen[bytes]) -> Sequence[int]:
    import psutil

    return [child.pid for child in psutil.Process(process.pid).children(recursive=True)]


def test_sigterm_stops_a_run_cleanly_and_leaves_no_process(tmp_path: Path) -> None:
    for night in ZTF:
        write_night(night, tmp_path / "packets" / str(night.night))
    slow = MISBEHAVING.format(alert_id="alert_id", action="time.sleep(0.3)")
    extended = ExtendedFink(tmp_path / "copy", {"science/misbehaving.py": slow})
    arguments: list[str | Path] = [
        "run",
        tmp_path / "packets",
        "--archive",
        tmp_path / "archive",
        "--set",
        "batch.alerts=5",
        "--format",
        "json",
    ]
    arguments += ["--workers", "1", "--set", "run.modules=misbehaving"]
    process = subprocess.Popen(
        extended.command(*arguments), env=extended.environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 60
    while not list((tmp_path / "archive" / "segments").glob("*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    children = children_of(process)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    first = json.loads(stdout)
    total = sum(len(night.packets) for night in ZTF)
    assert first["stopped"]
    assert 0 < first["archived"] < total
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    second = json.loads(extended.run(*arguments).stdout)
    assert not second["stopped"]
    assert (first["archived"] + second["archived"], second["duplicate"]) == (total, 0)
    extended.run(*[tmp_path / "other" if a == tmp_path / "archive" else a for a in arguments])
    assert contents(tmp_path / "archive").equals(contents(tmp_path / "other"))


def ids(table: pa.Table) -> NDArray[np.int64]:
    return np.asarray(table["alert_id"].to_numpy(), np.int64)


def test_every_alert_is_archived_once(undisturbed: pa.Table) -> None:
    for survey, simulated in (("ztf", ZTF), ("lsst", LSST)):
        mine = undisturbed.filter(pa.compute.equal(undisturbed["survey"], survey))
        expected = np.concatenate([night.truth["alert_id"].to_numpy() for night in simulated])
        assert sorted(ids(mine).tolist()) == sorted(expected.tolist())
