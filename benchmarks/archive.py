"""Questions to an archive of 1e8 alerts of 1e7 objects: by object, place, substream and in SQL; nobody writes to it meanwhile.

The archive is written directly (`benchmarks.direct_archive`), or is that in the folder which ``FINK_BENCH_ARCHIVE`` names. Every
question asks for another object or place, anywhere on the sky. Before the first the index is dropped from the system's cache of
files, so that the lookups called cold come from the disk; the others follow upon them. Times are those of the clock.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.direct_archive import SURVEY, spelled, texts, write_archive
from benchmarks.result import Result, table_text
from benchmarks.survey_years import letters_of
from fink.archive.embedded import EmbeddedArchive
from fink.services import searches

ALERTS = 100_000_000
GOAL = {
    "object_cold_p50_ms_at_most": 1.0,
    "object_cold_p99_ms_at_most": 10.0,
    "object_p50_ms_at_most": 1.0,
    "object_p99_ms_at_most": 10.0,
    "cone_1_degree_p50_ms_at_most": 200.0,
    "objects_1000_p99_ms_at_most": 1000.0,
}
LISTED = ("object_id", "alert_id", "mjd", "ra", "dec", "band", "mag", "mag_err", "fink_class")
"""Columns of a list of alerts, all of them in the index."""

Times = NDArray[np.float64]


@contextmanager
def large_archive(alerts: int) -> Iterator[tuple[Path, float]]:
    """Give the folder of a large archive, and how many of its alerts were written a second (NaN where it was there already)."""
    given = os.environ.get("FINK_BENCH_ARCHIVE")
    if given:
        yield Path(given), float("nan")
        return
    with tempfile.TemporaryDirectory(dir=os.environ.get("FINK_BENCH_FOLDER")) as name:
        folder, began = Path(name) / "archive", time.monotonic()
        write_archive(folder, alerts)
        yield folder, alerts / (time.monotonic() - began)


def random_names(n_objects: int, n: int, seed: int) -> list[str]:
    """Give the names of some of the archive's objects."""
    chosen = np.random.default_rng(seed).integers(0, n_objects, n)
    names: list[str] = texts(spelled(letters_of(chosen))).to_pylist()
    return names


def drop_from_cache(folder: Path) -> None:
    """Have the system forget what it read of a folder's files."""
    for path in folder.rglob("*.sst"):
        file = os.open(path, os.O_RDONLY)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def timed(ask: Callable[[Any], int], arguments: Sequence[Any]) -> Times:
    """Ask one question after another, and give the time of each answer [ms]."""
    times = np.empty(len(arguments))
    for i, argument in enumerate(arguments):
        began = time.perf_counter()
        found = ask(argument)
        times[i] = time.perf_counter() - began
        if not found:
            raise RuntimeError(f"nothing was found for {argument}: the archive is not what benchmarks.direct_archive writes")
    return times * 1e3


def questions(reader: EmbeddedArchive, n: int) -> dict[str, Times]:
    """Ask every kind of question; give the times of the answers [ms]."""
    total = reader.statistics()
    n_objects, nights = total["objects"], [night["night"] for night in total["nights"]]

    def names(kind: int, count: int) -> list[str]:
        return random_names(n_objects, count, kind)

    def one(name: str) -> int:
        return int(reader.object_alerts(name, SURVEY).num_rows)

    places = [(float(a["ra"][0].as_py()), float(a["dec"][0].as_py())) for a in (reader.object_alerts(o, SURVEY) for o in names(2, 60))]
    middle, month = nights[len(nights) // 2], nights[len(nights) // 2 : len(nights) // 2 + 30]
    several = f"BETWEEN {month[0]} AND {month[-1]}"

    def around(radius: float) -> Callable[[tuple[float, float]], int]:
        return lambda place: int(searches.around(reader, SURVEY, *place, radius, columns=LISTED).num_rows)

    def sql(text: str) -> tuple[Callable[[str], int], list[str]]:
        return lambda asked: int(reader.sql(asked).num_rows), [text] * 3

    asked: dict[str, tuple[Callable[[Any], int], Sequence[Any]]] = {
        "object": (one, names(3, n)),
        "light_curve": (lambda name: int(reader.light_curve(name, SURVEY).num_rows), names(4, n)),
        "object_every_column": (lambda name: int(reader.wide(reader.object_alerts(name, SURVEY)).num_rows), names(5, 20)),
        "objects_1000": (
            lambda some: int(searches.of_objects(reader, SURVEY, some, LISTED).num_rows),
            [names(6 + i, 1000) for i in range(10)],
        ),
        "cone_5_arcsec": (around(5.0), places[:30]),
        "cone_1_arcmin": (around(60.0), places[:30]),
        "cone_1_degree": (around(3600.0), places[30:]),
        "substream_last_100": (lambda name: int(reader.substream(name, limit=100).num_rows), ["first_detections", "rrlyr"] * 10),
        "substream_last_10000": (lambda name: int(reader.substream(name, limit=10_000).num_rows), ["first_detections", "rrlyr"] * 2),
        "sql_classes_of_a_night": sql(f"SELECT fink_class, count(*) FROM alerts WHERE night = {middle} GROUP BY ALL"),
        "sql_condition_on_a_month": sql(
            f"SELECT object_id, mjd, mag FROM alerts WHERE night {several} AND mag < 18 AND rising AND is_transient ORDER BY mag LIMIT 100"
        ),
        "sql_classes_of_all": sql("SELECT fink_class, band, count(*), avg(mag) FROM alerts GROUP BY ALL"),
    }
    return {name: timed(ask, arguments) for name, (ask, arguments) in asked.items()}


def measure(short: bool = False) -> Result:
    """Ask an archive of 1e8 alerts, or a small one."""
    alerts, n = (100_000, 200) if short else (ALERTS, 5000)
    with large_archive(alerts) as (folder, rate):
        drop_from_cache(folder / "index")
        began = time.monotonic()
        with EmbeddedArchive.reader(folder) as reader:
            opened = time.monotonic() - began
            total = reader.statistics()
            reader.object_alerts(random_names(total["objects"], 1, 0)[0])
            cold = random_names(total["objects"], n, 1)
            times = {"object_cold": timed(lambda name: int(reader.object_alerts(name, SURVEY).num_rows), cold)} | questions(reader, n)
        size = sum(path.stat().st_size for part in ("index", "lake") for path in (folder / part).rglob("*") if path.is_file())
    figures: dict[str, float | str] = {"alerts": total["alerts"], "objects": total["objects"], "written_per_s": rate, "open_s": opened}
    figures["bytes_per_alert"] = size / total["alerts"]
    rows = []
    for what, values in times.items():
        p50, p99 = np.percentile(values, [50, 99]).tolist()
        figures |= {f"{what}_p50_ms": p50, f"{what}_p99_ms": p99}
        rows.append([what.replace("_", " "), len(values), p50, p99, float(values.max())])
    title = f"Questions to {total['alerts']:,} alerts of {total['objects']:,} objects"
    return Result.of("archive", figures, GOAL, table_text(title, ["question", "asked", "p50 [ms]", "p99 [ms]", "slowest [ms]"], rows))
