"""Kill a run with SIGKILL at random instants, again and again, and compare what it leaves with an undisturbed run.

``python -m benchmarks.crash --n 200`` (``make crash-test N=200``). The archive, the substream files and the ledger must be equal, and
the archive must verify. The same is done for a disk that runs full in the middle.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.result import Result
from fink.archive.embedded import EmbeddedArchive
from fink.simulator.faults import damage
from fink.simulator.replay import write_night
from fink.simulator.survey import simulate_nights

BATCH = 100
SNAPSHOT_TABLES = {"alerts": "survey, alert_id", "points": "survey, night, alert_id, mjd, kind, band, point_id, detector"}


Begun = Callable[[subprocess.Popen[bytes]], None]
"""Told that a run holds its archive; may wait for what must happen before the time to its end is counted."""


@dataclass(frozen=True)
class Snapshot:
    """What an archive and its substream files hold, in a form that can be compared."""

    tables: dict[str, Any]
    ledger: dict[str, Any]
    quarantine: list[tuple[str, str, str]]
    files: dict[str, list[str]]
    problems: list[str]

    def differences(self, other: Snapshot) -> list[str]:
        """Name what differs."""
        found = [f"table {name} differs" for name, table in self.tables.items() if not table.equals(other.tables[name])]
        found += [
            f"ledger: {name} is {other.ledger[name]} for {value}" for name, value in self.ledger.items() if other.ledger[name] != value
        ]
        if self.quarantine != other.quarantine:
            found.append("the quarantines differ")
        found += [
            f"substream file {name} differs"
            for name in self.files.keys() | other.files.keys()
            if self.files.get(name) != other.files.get(name)
        ]
        return found + [f"verify: {problem}" for problem in other.problems]


def snapshot(folder: Path) -> Snapshot:
    """Read everything that a run left in ``folder/archive`` and ``folder/substreams``."""
    with EmbeddedArchive.reader(folder / "archive") as archive:
        tables = {
            name: archive.sql(f"SELECT * EXCLUDE (commit) FROM {name} ORDER BY {order}").combine_chunks()
            for name, order in SNAPSHOT_TABLES.items()
        }
        ledger = archive.ledger()
        items = sorted((item["id"], item["source"], item["reason"]) for item in archive.quarantine_items())
        problems = archive.verify()
    for module in ledger["modules"].values():
        module.pop("seconds")
    # files that a stopped run had finished are skipped later, so sources are compared by what they hold
    files = {path.name: sorted(path.read_text().splitlines()) for path in (folder / "substreams").glob("*.jsonl")}
    return Snapshot(tables, ledger, items, files, problems)


def write_input(folder: Path, alerts: int, seed: int = 3) -> Path:
    """Write some nights of two surveys, with damaged packets and some sent twice."""
    for survey, nights, share in (("ztf", 3, 2), ("lsst", 2, 3)):
        simulated = simulate_nights(survey, nights, alerts // (nights * share), seed, stamps=False)
        for night in simulated:
            write_night(night, folder / f"{survey}_{night.night}", "container")
        damage(simulated[-1], folder, seed)
    return folder


def command(packets: Path, folder: Path, workers: int) -> list[str]:
    """Give the command line of a run."""
    arguments = [
        "run",
        str(packets),
        "--archive",
        str(folder / "archive"),
        "--substreams",
        str(folder / "substreams"),
        "--workers",
        str(workers),
    ]
    return [
        sys.executable,
        "-m",
        "fink.cli",
        *arguments,
        "--set",
        f"batch.alerts={BATCH}",
        "--set",
        "retention.compact_rows=500",
        "--format",
        "json",
    ]


def run_to_the_end(command: Sequence[str]) -> dict[str, Any]:
    """Run undisturbed and give the summary."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the run ended with status {done.returncode}: {done.stderr[-2000:]}")
    return dict(json.loads(done.stdout))


def run_and_kill(command: Sequence[str], folder: Path, after: float, begun: Begun = lambda process: None) -> bool:
    """Start a run and kill all its processes some time [s] after it has begun; say whether it was still running."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    _wait_for_lock(folder / "archive" / "LOCK", process)
    begun(process)
    try:
        _, errors = process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return True
        # it ended by itself, while a process that it had begun still holds the pipe
        _, errors = process.communicate(timeout=300)
    if process.returncode:
        raise RuntimeError(f"a run after a kill ended with status {process.returncode}: {errors.decode()[-2000:]}")
    return False


def _wait_for_lock(lock: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until the run holds the archive, so that the instants fall into its work and not only into its start."""
    while process.poll() is None and not (lock.exists() and lock.read_text().strip() == str(process.pid)):
        time.sleep(0.02)


@dataclass
class Tally:
    """What the kills came to."""

    kills: int = 0
    rounds: int = 0
    differences: tuple[str, ...] = ()


def kill_at_random(packets: Path, reference: Snapshot, place: Path, n: int, seed: int = 0) -> Tally:
    """Kill runs ``n`` times; each time an archive is complete it is compared, and a new one begun."""
    rng, tally = random.Random(seed), Tally()
    while tally.kills < n:
        folder = place / f"round-{tally.rounds}"
        while tally.kills < n and run_and_kill(command(packets, folder, tally.rounds % 3), folder, rng.expovariate(0.6)):
            tally.kills += 1
        run_to_the_end(command(packets, folder, 2))
        tally.differences += tuple(reference.differences(snapshot(folder)))
        tally.rounds += 1
        shutil.rmtree(folder)
    return tally


def fill_the_disk(packets: Path, reference: Snapshot, place: Path) -> list[str]:
    """Run on a disk too small, then on the same with room; needs the right to mount a tmpfs."""
    disk = place / "small-disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], check=True, capture_output=True)
    try:
        failed = 0
        for megabytes in (3, 6, 12, 20, 2000):
            subprocess.run(["mount", "-o", f"remount,size={megabytes}m", str(disk)], check=True, capture_output=True)
            done = subprocess.run(command(packets, disk, 0), capture_output=True, text=True, check=False)
            failed += done.returncode != 0
            if done.returncode and ("Traceback" in done.stderr or "fink:" not in done.stderr):
                return [f"a full disk ends a run without a clear error: {done.stderr[-1500:]}"]
        return reference.differences(snapshot(disk)) if failed else ["the disk was never full"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def measure(short: bool = False, n: int | None = None, alerts: int = 6000) -> Result:
    """Kill runs and compare."""
    kills = n or (10 if short else 200)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        packets = write_input(place / "packets", alerts)
        summary = run_to_the_end(command(packets, place / "undisturbed", 2))
        reference = snapshot(place / "undisturbed")
        began = time.monotonic()
        tally = kill_at_random(packets, reference, place, kills)
        full = fill_the_disk(packets, reference, place) if os.geteuid() == 0 else ["not tried: mounting a small disk needs root"]
        seconds = time.monotonic() - began
    figures = {
        "kills": tally.kills,
        "archives_compared": tally.rounds,
        "alerts": summary["received"],
        "differences": len(tally.differences),
        "full_disk_differences": len(full),
    }
    lines = [f"{name:24} {value}" for name, value in figures.items()] + [f"{'minutes':24} {seconds / 60:.1f}"]
    table = "\n".join([*lines, *tally.differences, *full, *reference.problems])
    return Result.of("crash", figures, {"kills": kills, "differences_at_most": 0, "full_disk_differences_at_most": 0}, table)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=200, help="how many kills")
    parser.add_argument("--alerts", type=int, default=6000, help="how many alerts the input has")
    options = parser.parse_args(arguments)
    result = measure(n=options.n, alerts=options.alerts)
    print(result.table)
    print(json.dumps({"name": result.name, "figures": dict(result.figures), "goal": dict(result.goal), "holds": result.holds}))
    return 0 if result.holds else 1


if __name__ == "__main__":
    sys.exit(main())
