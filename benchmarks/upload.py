"""Users' tables against an archive of a million alerts, both ways, and users' watchlists and areas against batches of the stream.

Half of the rows lie at objects of the archive, half anywhere. The pairs are compared with those of a k-d tree. Times are those of the
clock, from the file on disk to the table of matches; what a watchlist of a million positions costs is processor time an alert.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks.large import LargeSky, write_large_archive
from benchmarks.result import Result, cpu_seconds, table_text
from fink.archive.embedded import EmbeddedArchive
from fink.filters.places import Area, PositionList
from fink.services.crossmatch import Each, Upload, crossmatch
from fink.services.uploads import ColumnNames, positions_of, read_table

RADIUS = 2.0
"""Radius of every match [arcsec]."""

GOAL = {"million_rows_s_at_most": 20.0, "watchlist_us_per_alert_at_most": 5.0, "area_us_per_alert_at_most": 1.0, "wrong_at_most": 0.0}


def write_rows(path: Path, sky: LargeSky, n: int) -> None:
    """Write rows as a person would bring them: a name and a position."""
    rng = np.random.default_rng(3)
    chosen = rng.integers(0, len(sky.ra), n // 2)
    away, angle = RADIUS / 3600.0 * np.sqrt(rng.uniform(0.0, 2.0, n // 2)), rng.uniform(0.0, 2.0 * np.pi, n // 2)
    ra = sky.ra[chosen] + away * np.cos(angle) / np.cos(np.radians(sky.dec[chosen]))
    dec = np.clip(sky.dec[chosen] + away * np.sin(angle), -90.0, 90.0)
    anywhere = rng.uniform(0.0, 360.0, n - n // 2), np.degrees(np.arcsin(rng.uniform(-1.0, 1.0, n - n // 2)))
    ra, dec = np.concatenate([ra % 360.0, anywhere[0]]), np.concatenate([dec, anywhere[1]])
    order = rng.permutation(n)
    names = pc.binary_join_element_wise("source ", pc.cast(pa.array(order), pa.string()), "")
    table = pa.table({"name": names, "ra": ra[order], "dec": dec[order]})
    if path.suffix == ".csv":
        pa.csv.write_csv(table, path)
    else:
        pq.write_table(table, path)


def timed(archive: EmbeddedArchive, path: Path, each: Each) -> tuple[float, pa.Table]:
    """Match a file with the archive; give the time [s] and the pairs."""
    began = time.perf_counter()
    table = read_table(path)
    found = crossmatch(archive, Upload(table, *positions_of(table, ColumnNames()), RADIUS), each=each)
    return time.perf_counter() - began, found


def unit_vectors(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give positions [deg] as directions (n, 3)."""
    a, d = np.radians(ra), np.radians(dec)
    return np.column_stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])


def tree_pairs(archive: EmbeddedArchive, path: Path) -> tuple[float, int]:
    """Count the pairs with a k-d tree; give the time of building and asking [s], with all positions in memory already."""
    table = pq.read_table(path)
    alerts = archive.sql("SELECT ra, dec FROM alerts")
    rows = unit_vectors(table["ra"].to_numpy(), table["dec"].to_numpy())
    places = unit_vectors(alerts["ra"].to_numpy(), alerts["dec"].to_numpy())
    began = time.perf_counter()
    chord = 2.0 * np.sin(np.radians(RADIUS / 3600.0) / 2.0)
    found = cKDTree(rows).query_ball_point(places, chord, return_length=True)
    return time.perf_counter() - began, int(found.sum())


def places_cost(sky: LargeSky, path: Path, folder: Path) -> dict[str, float]:
    """Measure what a watchlist of all rows, mapped from its file, and an area cost a batch of 4,000 alerts."""
    table = pq.read_table(path)
    began = time.perf_counter()
    built = PositionList.build(*positions_of(table, ColumnNames()), np.full(table.num_rows, RADIUS), table["name"].combine_chunks())
    listed = PositionList.open(folder / built.write(folder))
    made = time.perf_counter() - began
    rng = np.random.default_rng(9)
    batches = [rng.integers(0, len(sky.ra), 4000) for _ in range(8)]
    first = np.sort(rng.choice(12 << 20, 100_000, replace=False)).astype(np.int64) << 38
    area = Area(np.column_stack([first, first + (1 << 38)]))
    figures = {"watchlist_entries": float(len(listed)), "watchlist_made_s": made, "area_ranges": float(len(area))}
    for name, places in (("watchlist", listed), ("area", area)):
        seconds = cpu_seconds(lambda places=places: [places.match(sky.ra[rows], sky.dec[rows]) for rows in batches])  # type: ignore[misc]
        figures[f"{name}_us_per_alert"] = seconds * 1e6 / 32_000
    return figures


def measure(short: bool = False) -> Result:
    """Write the archive and the files, then match them."""
    alerts = 100_000 if short else 1_000_000
    with tempfile.TemporaryDirectory(dir=os.environ.get("FINK_BENCH_FOLDER")) as name:
        folder = Path(name)
        sky = write_large_archive(folder / "archive", alerts)
        write_rows(folder / "million.parquet", sky, alerts)
        write_rows(folder / "many.csv", sky, alerts // 10)
        with EmbeddedArchive.reader(folder / "archive") as archive:
            seconds, pairs = timed(archive, folder / "million.parquet", "row")
            back_seconds, back = timed(archive, folder / "million.parquet", "alert")
            many_seconds, many = timed(archive, folder / "many.csv", "row")
            tree_seconds, expected = tree_pairs(archive, folder / "million.parquet")
        figures: dict[str, float | str] = {
            "alerts": float(alerts),
            "million_rows_s": seconds,
            "million_rows_back_s": back_seconds,
            "hundred_thousand_rows_s": many_seconds,
            "kd_tree_s": tree_seconds,
            "pairs": float(pairs.num_rows),
            "wrong": float(abs(pairs.num_rows - expected) + abs(back.num_rows - len(pairs["alert_id"].unique()))),
            **places_cost(sky, folder / "million.parquet", folder / "places"),
        }
    rows = [
        [f"alerts of each of {alerts:,} rows (Parquet)", seconds, pairs.num_rows],
        [f"nearest of {alerts:,} rows of each alert", back_seconds, back.num_rows],
        [f"alerts of each of {alerts // 10:,} rows (CSV)", many_seconds, many.num_rows],
        ["the first, by a k-d tree, positions in memory", tree_seconds, expected],
        ["a watchlist of all rows: sort, write and map", figures["watchlist_made_s"], int(figures["watchlist_entries"])],
    ]
    cost = f"watchlist {figures['watchlist_us_per_alert']:.3g}, area {figures['area_us_per_alert']:.3g} us of processor time an alert"
    title = f"Users' tables against {alerts:,} alerts within {RADIUS:g} arcsec; {cost}"
    return Result.of("upload", figures, GOAL, table_text(title, ["what", "time [s]", "matches"], rows))
