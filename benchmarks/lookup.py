"""Looking things up in a large archive while a run writes to it: objects, light curves, single alerts, cones.

The reader is a process of its own on a secondary of the index, as ``fink serve`` is. Every lookup asks for another object, anywhere on
the sky, so that little of it is in the reader's cache. Times are those of the clock.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.large import LargeSky, write_large_archive
from benchmarks.result import Result, table_text
from fink.archive.embedded import EmbeddedArchive

ROOT = Path(__file__).resolve().parents[1]
RATE = 3000.0
"""Alerts a second that the writer writes meanwhile."""

GOAL = {"object_p50_ms_at_most": 1.0, "object_p99_ms_at_most": 10.0, "written_per_s": 0.9 * RATE}


def timed(ask: Callable[[int], int], objects: NDArray[np.int64], refresh: Callable[[], int]) -> NDArray[np.float64]:
    """Ask for objects one after another, following the writer now and then; give the time of each answer [ms]."""
    times = np.empty(len(objects))
    for i, number in enumerate(objects.tolist()):
        if i % 100 == 0:
            refresh()
        began = time.perf_counter()
        found = ask(number)
        times[i] = time.perf_counter() - began
        if not found:
            raise RuntimeError(f"object {number} was not found: the archive is not what this benchmark wrote")
    return times * 1e3


def lookups(reader: EmbeddedArchive, sky: LargeSky, n: int) -> dict[str, NDArray[np.float64]]:
    """Time each kind of lookup [ms]."""
    rng = np.random.default_rng(5)
    objects = rng.integers(0, len(sky.ra), n)
    names = dict(zip(objects.tolist(), sky.names(objects).to_pylist(), strict=True))
    asks: dict[str, Callable[[int], int]] = {
        "object": lambda o: int(reader.object_alerts(names[o], sky.survey).num_rows),
        "light_curve": lambda o: int(reader.light_curve(names[o], sky.survey).num_rows),
        "cone_10_arcsec": lambda o: int(reader.cone(sky.ra[o], sky.dec[o], 10.0, sky.survey).num_rows),
        "stamp": lambda o: len(reader.stamp_bytes(sky.survey, o * 10_000 + _first_night(o, sky), "science")),
    }
    for ask in asks.values():
        ask(int(objects[0]))
    return {name: timed(ask, objects, reader.refresh) for name, ask in asks.items()}


def _first_night(number: int, _: LargeSky) -> int:
    return number // 10_000 % 4


def measure(short: bool = False) -> Result:
    """Write the archive, then look things up in it while a writer runs."""
    alerts, n = (200_000, 1000) if short else (10_000_000, 5000)
    with tempfile.TemporaryDirectory(dir=os.environ.get("FINK_BENCH_FOLDER")) as name:
        folder = Path(name) / "archive"
        began = time.monotonic()
        sky = write_large_archive(folder, alerts)
        rate = alerts / (time.monotonic() - began)
        command = [sys.executable, "-m", "benchmarks.large", str(folder), str(alerts), "ztf", str(RATE), "20" if short else "60"]
        writer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        writer.stdout.readline()
        with EmbeddedArchive.reader(folder) as reader:
            times = lookups(reader, sky, n)
            running, commits = writer.poll() is None, reader.last_commit() - -(-alerts // 10_000)
        written = float(writer.stdout.readline())
        writer.wait()
        size = sum(path.stat().st_size for path in (folder / "index").rglob("*") if path.is_file())
    if not running or commits < 1:
        raise RuntimeError("the writer had ended before the lookups: they were not measured beside it")
    figures: dict[str, float | str] = {"alerts": float(alerts), "generated_per_s": rate, "written_per_s": written}
    figures["index_bytes_per_alert"] = size / alerts
    rows = []
    for what, values in times.items():
        p50, p99 = np.percentile(values, [50, 99]).tolist()
        figures |= {f"{what}_p50_ms": p50, f"{what}_p99_ms": p99}
        rows.append([what.replace("_", " "), p50, p99, float(values.max())])
    title = f"Lookups in {alerts:,} alerts while {written:,.0f} a second are written; made at {rate:,.0f} a second"
    return Result.of("lookup", figures, GOAL, table_text(title, ["lookup", "p50 [ms]", "p99 [ms]", "slowest [ms]"], rows))
