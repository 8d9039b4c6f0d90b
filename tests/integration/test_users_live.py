"""Users' substreams made, changed and paused while a real run goes on, and through its sudden death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pytest

from fink.archive.embedded import EmbeddedArchive
from fink.archive.requests import Requests
from fink.archive.substreams import UserSubstreams
from fink.config import UserSettings
from fink.engines.plan import build_plan
from fink.engines.replay import replay_commit
from fink.errors import ArchiveError
from fink.filters.places import PositionList
from fink.services.substreams import Substreams, Wanted
from fink.simulator.replay import write_night
from simulated import nights

NIGHTS = nights("ztf", 4, 150)
MODULES = "colour,magnitude_rate"
PATIENCE = 120.0


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Start a run that follows a folder; whatever still runs at the end is stopped."""
    (tmp_path / "packets").mkdir()
    running: list[subprocess.Popen[bytes]] = []

    def run() -> subprocess.Popen[bytes]:
        options = ["--follow", "--workers", "1", "--substreams", str(tmp_path / "out")]
        settings = ["--set", f"run.modules={MODULES}", "--set", "batch.alerts=25"]
        command = [sys.executable, "-m", "fink.cli", "run", str(tmp_path / "packets"), "--archive", str(tmp_path / "archive")]
        running.append(subprocess.Popen([*command, *options, *settings], cwd=tmp_path, stdout=subprocess.DEVNULL))
        return running[-1]

    yield run
    for process in running:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.2)


def archived(folder: Path) -> int:
    try:
        with EmbeddedArchive.reader(folder) as archive:
            return int(archive.ledger()["archived"])
    except ArchiveError:
        return 0  # the run has not made it yet


def bring(tmp_path: Path, which: int) -> int:
    """Put a night where the run looks for it, and wait until it is archived; give how many there are then."""
    write_night(NIGHTS[which], tmp_path / f"night-{which}")
    os.rename(tmp_path / f"night-{which}.avro", tmp_path / "packets" / f"night-{which}.avro")
    total = sum(len(night.packets) for night in NIGHTS[: which + 1])
    until(lambda: archived(tmp_path / "archive") == total, f"night {which}")
    return total


def adopted(folder: Path, *names: str) -> bool:
    with EmbeddedArchive.reader(folder) as archive:
        listed = {row["name"]: row for row in Substreams(archive, UserSettings.model_validate({})).listed()}
    return all(listed[name]["since_commit"] is not None for name in names)


def change(folder: Path, do: Callable[[Substreams, EmbeddedArchive], object]) -> None:
    with EmbeddedArchive.reader(folder) as archive:
        do(Substreams(archive, UserSettings.model_validate({})), archive)


def make_list(archive: EmbeddedArchive, n: int) -> PositionList:
    """Make a list of ``n`` positions, the sources of the archive among them."""
    table = archive.sql("SELECT DISTINCT ON (object_id) object_id, ra, dec FROM alerts WHERE object_id IS NOT NULL ORDER BY object_id")
    rng = np.random.default_rng(4)
    more = n - table.num_rows
    ra = np.concatenate([table["ra"].to_numpy(), rng.uniform(0, 360, more)])
    dec = np.concatenate([table["dec"].to_numpy(), np.degrees(np.arcsin(rng.uniform(-1, 1, more)))])
    names = pa.concat_arrays([table["object_id"].combine_chunks(), pa.array([f"other {i}" for i in range(more)])])
    return PositionList.build(ra, dec, np.full(n, 1.5), names)


@pytest.mark.slow
def test_substreams_are_made_changed_and_paused_while_a_run_goes_on_and_dies(
    tmp_path: Path, start: Callable[[], subprocess.Popen[bytes]]
) -> None:
    folder = tmp_path / "archive"
    process = start()
    bring(tmp_path, 0)
    change(folder, lambda own, archive: own.create("live_bright", "ana", Wanted(where="mag < 19")))
    change(folder, lambda own, archive: own.create("live_list", "ana", Wanted(places=make_list(archive, 1_000_000))))
    change(folder, lambda own, archive: own.create("live_all", "ben", Wanted(where="TRUE", most_per_night=400)))
    until(lambda: adopted(folder, "live_bright", "live_list", "live_all"), "the run to take them up")
    bring(tmp_path, 1)
    change(folder, lambda own, archive: own.edit("live_bright", "ana", Wanted(where="mag < 18")))
    # as if the last month had been quiet: a trial would refuse such a limit
    users = UserSubstreams(folder)
    users.add(replace(users.one("live_all").substream, most_per_night=50))
    until(lambda: adopted(folder, "live_bright", "live_all"), "the run to take up the edits")
    # sudden death, and another run that goes on
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    for child in _children_left(tmp_path):
        os.kill(child, signal.SIGKILL)
    start()
    bring(tmp_path, 2)
    change(folder, lambda own, archive: own.switch("live_bright", "ana", "off"))
    # what is asked after the change is done after the change is taken up
    requests = Requests(folder)
    requests.wait_for(requests.ask("compact"), PATIENCE)
    total = bring(tmp_path, 3)
    check(tmp_path, total)


def _children_left(tmp_path: Path) -> list[int]:
    """Find workers that outlive their run for a moment; they end by themselves."""
    import psutil

    mine = [p for p in psutil.process_iter(["pid", "cwd"]) if p.info["cwd"] == str(tmp_path)]
    psutil.wait_procs(mine, timeout=60)
    return [p.pid for p in mine if p.is_running()]


def check(tmp_path: Path, total: int) -> None:
    """Compare what every commit selected with the versions that its plan names."""
    plan = build_plan(MODULES.split(","))
    taken: dict[str, list[int]] = {"live_bright": [], "live_list": [], "live_all": []}
    versions: dict[str, list[int]] = {name: [] for name in taken}
    with EmbeddedArchive.reader(tmp_path / "archive") as archive:
        assert archive.ledger()["archived"] == total
        assert archive.ledger()["balanced"]
        assert archive.verify() == []
        by_night: dict[str, dict[int, int]] = {name: {} for name in taken}
        for commit in archive.commits():
            assert replay_commit(archive, commit.number, plan) == []
            mag = archive.commit_rows(commit.number)["mag"].to_numpy()
            for name, identity in archive.plan(commit.plan_id).users.items():
                version = orjson.loads(archive.substream_definition(identity))["version"]
                rows, _ = archive.selected(commit.number, name)
                versions[name].append(version)
                taken[name] += rows["alert_id"].to_pylist()
                by_night[name][commit.night] = by_night[name].get(commit.night, 0) + rows.num_rows
                if name == "live_bright":
                    assert rows.num_rows == (mag < (19.0 if version == 1 else 18.0)).sum()
                if name == "live_list" and rows.num_rows:
                    assert rows["entry"].null_count == 0
        state = {row["name"]: row for row in Substreams(archive, UserSettings.model_validate({})).listed()}
        first = {name: min(c.number for c in archive.commits() if name in archive.plan(c.plan_id).users) for name in taken}
        first_night = [c.number for c in archive.commits() if c.night == NIGHTS[0].night]
    # nothing of the first night, each version in its turn, and nothing after it was switched off
    assert min(first.values()) > max(first_night)
    assert versions["live_bright"] == sorted(versions["live_bright"])
    assert set(versions["live_bright"]) == {1, 2}
    assert NIGHTS[3].night not in by_night["live_bright"]
    assert set(by_night["live_list"]) == {night.night for night in NIGHTS[1:]}
    assert by_night["live_all"][NIGHTS[1].night] == len(NIGHTS[1].packets)
    assert 50 < by_night["live_all"][NIGHTS[2].night] <= 75
    assert (state["live_all"]["state"], state["live_bright"]["state"], state["live_list"]["state"]) == ("paused", "off", "on")
    assert "50 is its limit" in state["live_all"]["message"]
    delivered(tmp_path, taken)


def delivered(tmp_path: Path, taken: dict[str, list[int]]) -> None:
    """Compare the substream files with what was selected: each alert once, through the death of a run."""

    def ids(name: str) -> list[int]:
        path = tmp_path / "out" / f"{name}_ztf.jsonl"
        return [orjson.loads(line)["alert_id"] for line in path.read_bytes().splitlines()] if path.exists() else []

    until(lambda: all(len(ids(name)) == len(alerts) for name, alerts in taken.items()), "the files")
    assert all(sorted(ids(name)) == sorted(alerts) for name, alerts in taken.items())
    assert all(len(set(alerts)) == len(alerts) for alerts in taken.values())
