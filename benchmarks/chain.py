"""The whole chain: files in, decode, history, modules, filters, index, lake and substream files out; on two cores.

Packets of real size lie in container files, which are in the page cache. Rates count from the first commit to the last, so that the
start of the workers is left out. The archive is empty at first; then the same alerts run into one that holds ten million others.
"""

from __future__ import annotations

import json
import mmap
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.large import write_large_archive
from benchmarks.result import Result, table_text
from fink.archive.packet_blocks import set_direct, write_fully
from fink.simulator.replay import write_night
from fink.simulator.survey import simulate_night, simulate_spread

WORKERS = 2
GOALS = {"ztf": 5000.0, "lsst": 4000.0}
WITH_ALL_SCIENCE = {"ztf": 3000.0, "lsst": 2500.0}
FIRST = (
    "brightness_trend",
    "colour",
    "data_quality",
    "detection_history",
    "magnitude_rate",
    "sky_position",
    "solar_system_status",
    "transient_flag",
)
"""The modules that the first substreams need; the goals of the chain are for these, and lower ones for all science."""


@dataclass(frozen=True)
class Rate:
    """What one run reached: alerts a second, and the most memory that its processes held together [GB]."""

    alerts: int
    rate: float
    memory: float
    modules: dict[str, float]


_RUN = """
import json, sys, time
from pathlib import Path
from fink import factory
from fink.config import load_settings
packets, folder, keep, workers, modules = sys.argv[1:]
chosen = {"archive": folder + "/archive", "files.folder": folder + "/substreams", "retention.packets": keep, "run.workers": int(workers)}
chosen["run.modules"] = tuple(filter(None, modules.split(",")))
settings = load_settings(None, chosen)
marks = []
with factory.open_archive(settings) as archive:
    for follower in factory.followers(archive, settings):
        # what was archived long before is not part of what is measured
        follower.finish()
        follower.close()
    source = factory.files_source([Path(packets)], settings, archive)
    summary = factory.run(source, archive, settings, lambda commit, so_far: marks.append((time.monotonic(), so_far.counts.received)))
    balanced = archive.ledger()["balanced"]
(first, before), (last, after) = marks[0], marks[-1]
modules = {name: counts.seconds * 1e6 / after for name, counts in summary.modules.items()}
print(json.dumps({"alerts": after, "rate": (after - before) / (last - first), "balanced": balanced, "modules": modules}))
"""


def run_chain(packets: Path, folder: Path, keep: str, modules: Sequence[str] = FIRST) -> Rate:
    """Run in a process of its own and watch its memory."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", _RUN, str(packets), str(folder), keep, str(WORKERS), ",".join(modules)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak = _watch_memory(process)
    output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the run of {packets} ended with status {process.returncode}")
    said: dict[str, Any] = json.loads(output.splitlines()[-1])
    if not said["balanced"]:
        raise RuntimeError(f"the ledger of {folder} does not balance")
    return Rate(said["alerts"], said["rate"], peak[0], said["modules"])


def _watch_memory(process: subprocess.Popen[str]) -> list[float]:
    """Sample the memory of a process and its children; what they share is counted once."""
    peak = [0.0]

    def sample() -> None:
        while process.poll() is None:
            try:
                top = psutil.Process(process.pid)
                held = sum(child.memory_full_info().pss for child in [top, *top.children(recursive=True)])
                peak[0] = max(peak[0], held / 1e9)
            except psutil.Error:
                pass
            time.sleep(0.5)

    threading.Thread(target=sample, daemon=True).start()
    return peak


def disk_rate(folder: Path, megabytes: int = 512) -> float:
    """Measure how fast the disk takes bytes for good, through the system's cache or past it, whichever is faster [MB/s]."""
    path, block = folder / "disk", mmap.mmap(-1, 1 << 22)
    block.write(os.urandom(len(block)))
    rates = []
    for direct in (False, True):
        began = time.monotonic()
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        set_direct(file, on=direct)
        for i in range(megabytes // 4):
            write_fully(file, [block], i * len(block))
        os.fsync(file)
        os.close(file)
        rates.append(megabytes * (1 << 20) / 1e6 / (time.monotonic() - began))
    path.unlink()
    return max(rates)


def write_packets(survey: str, n: int, path: Path) -> float:
    """Write a night of packets of real size into one container file; give their mean size [bytes]."""
    night = simulate_spread("lsst", n, stamps="shared") if survey == "lsst" else simulate_night("ztf", n, stamps="shared")
    write_night(night, path, "container")
    return float((night.packets.ends - night.packets.starts).mean())


def measure(short: bool = False) -> Result:
    """Measure both surveys, with packets kept and not, and on top of a large archive."""
    n, large = (4000, 100_000) if short else (40_000, 10_000_000)
    figures: dict[str, float | str] = {}
    goal: dict[str, float] = {"memory_gb_at_most": 2.0}
    rows: list[list[str]] = []
    memory = 0.0
    with tempfile.TemporaryDirectory(dir=os.environ.get("FINK_BENCH_FOLDER")) as name:
        place = Path(name)
        disk = disk_rate(place)
        for survey in ("ztf", "lsst"):
            packets = place / f"{survey}.avro"
            size = write_packets(survey, n, packets)
            packets = next(place.glob(f"{survey}.*"))
            # compiles every kernel where that was never done; what a first run takes is measured elsewhere
            run_chain(packets, place / "warm", "none", ())
            shutil.rmtree(place / "warm")
            bare = run_chain(packets, place / "bare", "none")
            kept = run_chain(packets, place / "kept", "all")
            shutil.rmtree(place / "kept")
            everything = run_chain(packets, place / "everything", "none", ())
            shutil.rmtree(place / "everything")
            write_large_archive(place / "large" / "archive", large, survey)
            onto = run_chain(packets, place / "large", "none")
            for folder in ("bare", "large"):
                shutil.rmtree(place / folder)
            packets.unlink()
            memory = max(memory, bare.memory, kept.memory, onto.memory, everything.memory)
            limit = disk * 1e6 / size
            figures |= {f"{survey}_rate": bare.rate, f"{survey}_rate_kept": kept.rate, f"{survey}_rate_large": onto.rate}
            figures |= {f"{survey}_large_over_empty": onto.rate / bare.rate, f"{survey}_packet_kb": size / 1e3}
            goal |= {f"{survey}_rate": GOALS[survey], f"{survey}_rate_kept": min(0.75 * GOALS[survey], limit)}
            goal |= {f"{survey}_large_over_empty": 0.8, f"{survey}_rate_all_science": WITH_ALL_SCIENCE[survey]}
            figures |= {f"{survey}_rate_all_science": everything.rate}
            rows += [[survey, "packets not kept", f"{bare.rate:,.0f}", f"{bare.memory:.2f}"]]
            rows += [
                [
                    survey,
                    f"all packets kept ({size / 1e3:.0f} kB; the disk allows {limit:,.0f}/s)",
                    f"{kept.rate:,.0f}",
                    f"{kept.memory:.2f}",
                ]
            ]
            rows += [[survey, f"onto {large:,} alerts", f"{onto.rate:,.0f}", f"{onto.memory:.2f}"]]
            rows += [[survey, "all science", f"{everything.rate:,.0f}", f"{everything.memory:.2f}"]]
            rows += [
                [survey, f"  module {module}", f"{us:.1f} us", ""] for module, us in sorted(everything.modules.items(), key=lambda m: -m[1])
            ]
    figures |= {"memory_gb": memory, "disk_mb_per_s": disk}
    return Result.of("chain", figures, goal, table_text("The chain on two cores", ["survey", "case", "alerts/s", "memory [GB]"], rows))
