"""Matching alerts with catalogues: 10,000 alerts with 1e8 sources, beside astropy and a k-d tree; twenty catalogues in a plan.

The sources are drawn all over the sky and written in the format of an installed catalogue, which is then opened and mapped like any
other. Warm means that a search was made before; every search that is timed asks for other places. The sets of matches are compared
with those of an exhaustive comparison of all pairs, at the poles and around right ascension zero too.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cdshealpix.nested as healpix_reference
import numpy as np
import pyarrow as pa
from astropy import units
from astropy.coordinates import SkyCoord
from numba import njit, prange
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks.result import Result, table_text
from fink import catalogs, surveys
from fink.catalogs import Catalogue
from fink.catalogs.kernel import DEEPEST
from fink.catalogs.match import SkyIndex, Tier, table_order
from fink.catalogs.store import CURRENT, RECORD, CatalogueRecord, InstalledCatalogue
from fink.catalogs.writing import PLACE, BlockWriter, NumberWriter, TableWriter, TextWriter, WordWriter, Writer
from fink.columns import CORE, merge_columns
from fink.engines.plan import build_plan
from fink.lightcurves import LightCurves
from fink.sky import separation
from fink.tables import AlertBatch, Cutouts, Packets

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

ALERTS, RADIUS = 10_000, 1.5
FIELD = 3.5
"""Side of a field [deg]: that of the camera of the Rubin observatory."""

WORDS = ("RRAB", "EA", "EW", "M", "SR", "DSCT", "UGSU", "BY")
GOAL = {
    "field_ms_at_most": 20.0,
    "all_sky_ms_at_most": 50.0,
    "twentieth_us_an_alert_at_most": 3.0,
    "wrong_pairs_at_most": 0.0,
    "wrong_nearest_at_most": 0.0,
}


def sphere(rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
    """Places all over the sky [deg]."""
    return rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))


def field(rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
    """Places in one field, somewhere on the sky [deg]."""
    ra, dec = rng.uniform(0, 360), rng.uniform(-60, 60)
    return (ra + FIELD * rng.uniform(0, 1, n) / np.cos(np.radians(dec))) % 360, dec + FIELD * rng.uniform(0, 1, n)


def write_catalogue(home: Path, declared: Catalogue, n: int, seed: int) -> Path:
    """Write ``n`` sources, all over the sky, as an installed catalogue; give the file that names its version."""
    rng, parts = np.random.default_rng(seed), max(n // 1_000_000, 1)
    folder = home / declared.name / "drawn"
    folder.mkdir(parents=True)
    tier = Tier(table_order(n), 0, 0.0, 0.0)
    types = {declared.column(one).name: str(one.type) for one in declared.fields if one.on_alerts}
    writers: list[Writer] = [TableWriter(folder / "offsets.npy", [tier]), BlockWriter(folder / "positions.npy", PLACE, True, n, np.float64)]
    writers += [BlockWriter(folder / f"{name}.npy", "ab"[:width], False, 0, np.float32) for name, width in (("motion", 2), ("shape", 1))]
    words = {name: WORDS for i, (name, kind) in enumerate(types.items()) if kind == "string" and i % 2}
    for name, kind in types.items():
        text = WordWriter(folder, name, n, WORDS) if name in words else TextWriter(folder, name, n)
        writers.append(text if kind == "string" else NumberWriter(folder, name, n, kind))
    pixels, at = 12 << (2 * DEEPEST), 0
    for part in range(parts):
        m = n * (part + 1) // parts - at
        cells = np.sort(rng.integers(pixels * part // parts, pixels * (part + 1) // parts, m))
        batch = _batch(rng, cells, types)
        for writer in writers:
            writer.write(at, batch)
        at += m
    for writer in writers:
        writer.close()
    record = CatalogueRecord(
        declared.name, "drawn", "2026-01-01T00:00:00+00:00", (), n, 0, RADIUS, 2000.0, False, (tier,), types, words, (), "", ""
    )
    (folder / RECORD).write_bytes(record.to_bytes())
    current = home / declared.name / CURRENT
    current.write_text("drawn")
    return current


def _batch(rng: np.random.Generator, cells: NDArray[np.int64], types: dict[str, str]) -> pa.RecordBatch:
    """Sources at the centres of pixels of order 29, with a value in every column."""
    longitude, latitude = healpix_reference.healpix_to_lonlat(cells.astype(np.uint64), DEEPEST)
    m = len(cells)
    columns: dict[str, Any] = {"_ra": longitude.deg, "_dec": latitude.deg, "_cell": cells, "_tier": np.zeros(m, np.int8)}
    texts = pa.array(WORDS)
    for name, kind in types.items():
        if kind == "string":
            columns[name] = texts.take(pa.array(rng.integers(0, len(WORDS), m)))
        else:
            columns[name] = pa.array(rng.integers(0, 2, m)).cast(pa.type_for_alias(kind))
    return pa.record_batch(columns)


def milliseconds(search: Any, draw: Any, repeat: int = 7) -> tuple[float, float]:
    """Time searches, each at other places [ms of processor time]: the first, and the median of the others."""
    spent = []
    for seed in range(repeat + 1):
        places = draw(np.random.default_rng(100 + seed), ALERTS)
        began = time.process_time()
        search(*places)
        spent.append((time.process_time() - began) * 1e3)
    return spent[0], float(np.median(spent[1:]))


def near(rng: np.random.Generator, ra: Floats, dec: Floats, n: int) -> tuple[Floats, Floats]:
    """Places near sources, so that most match."""
    k = rng.integers(0, len(ra), n)
    shift = rng.normal(0, RADIUS / 3600, (2, n))
    right = (ra[k] + shift[0] / np.maximum(np.cos(np.radians(dec[k])), 1e-6)) % 360
    return right, np.where(np.abs(dec[k] + shift[1]) > 90, dec[k], dec[k] + shift[1])


def crowded_sky(rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
    """Sources: most over the sky, a twentieth within some arcmin of a pole, a twentieth around right ascension zero."""
    ra, dec = sphere(rng, n)
    few = n // 20
    dec[:few] = rng.choice([-1, 1], few) * (90 - rng.exponential(1200 / 3600, few))
    ra[few : 2 * few], dec[few : 2 * few] = rng.normal(0, 5 / 3600, few) % 360, rng.uniform(-89, 89, few)
    return ra, dec


def vectors(ra: Floats, dec: Floats) -> Floats:
    """Directions, (n, 3)."""
    a, d = np.radians(ra), np.radians(dec)
    return np.column_stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])


@njit(parallel=True)
def exhaustive(positions: Floats, sources: Floats, limit: float, found: Counts, counts: Counts) -> None:
    """Compare every position with every source; write the sources within a chord, in as many as there is room for."""
    for i in prange(len(positions)):
        x, y, z = positions[i, 0], positions[i, 1], positions[i, 2]
        for j in range(len(sources)):
            chord = (x - sources[j, 0]) ** 2 + (y - sources[j, 1]) ** 2 + (z - sources[j, 2]) ** 2
            if chord <= limit:
                if counts[i] < found.shape[1]:
                    found[i, counts[i]] = j
                counts[i] += 1


def wrong(n_sources: int, n_positions: int) -> dict[str, float]:
    """Count pairs, and nearest sources, that are others than those of an exhaustive comparison."""
    rng = np.random.default_rng(11)
    sources = crowded_sky(rng, n_sources)
    positions = near(rng, *sources, n_positions)
    index = SkyIndex.build(*sources)
    every, best = index.match(*positions, radius=RADIUS, nearest=False), index.match(*positions, radius=RADIUS)
    room, counts = np.zeros((n_positions, 200), np.int64), np.zeros(n_positions, np.int64)
    chord = (2 * np.sin(np.radians(RADIUS / 3600) / 2)) ** 2
    exhaustive(vectors(*positions), vectors(*sources), chord * (1 + 1e-7), room, counts)
    if counts.max() > room.shape[1]:
        raise RuntimeError(f"{counts.max()} sources are near one position; the comparison has room for {room.shape[1]}")
    rows = np.repeat(np.arange(n_positions), counts)
    candidates = room[np.arange(room.shape[1])[None] < counts[:, None]]
    apart = separation(positions[0][rows], positions[1][rows], sources[0][candidates], sources[1][candidates]) * 3600
    good = apart <= RADIUS
    truth = set(zip(rows[good].tolist(), candidates[good].tolist(), strict=True))
    ours = set(zip(every.position.tolist(), every.source.tolist(), strict=True))
    nearest = np.full(n_positions, np.inf)
    np.minimum.at(nearest, rows[good], apart[good])
    off = np.abs(best.separation - nearest[best.position]) > 1e-9
    return {
        "pairs": float(len(truth)),
        "wrong_pairs": float(len(truth ^ ours)),
        "wrong_nearest": float(off.sum() + abs(int(np.isfinite(nearest).sum()) - len(best))),
    }


def batch_at(ra: Floats, dec: Floats) -> AlertBatch:
    """Alerts at some places, without anything else."""
    n = len(ra)
    declared = merge_columns(CORE, *(survey.columns for survey in surveys.registry().values()))
    columns = {name: pa.nulls(n, column.type) for name, column in declared.items()}
    columns |= {"ra": pa.array(ra), "dec": pa.array(dec), "mjd": pa.array(np.full(n, 61000.0)), "alert_id": pa.array(np.arange(n))}
    packets = Packets.from_bodies([b"\0"] * n, b'"null"')
    return AlertBatch("lsst", pa.table(columns), LightCurves.empty(n, surveys.registry()["lsst"].bands), packets, Cutouts.none(n))


def twenty(folder: Path, n: int) -> dict[str, float]:
    """Time plans of none, nineteen and twenty catalogues of ``n`` sources each [us of processor time an alert]."""
    names = sorted(catalogs.registry())[:20]
    for seed, name in enumerate(names):
        plain = replace(catalogs.registry()[name], radius=RADIUS)
        write_catalogue(folder / catalogs.FOLDER, plain, n, seed)
    rng = np.random.default_rng(3)
    batch = batch_at(*field(rng, ALERTS))
    spent = {}
    for count in (1, 19, 20):
        plan = build_plan(names[:count], artifacts=folder, filter_registry={})
        plan.run(batch)
        times = []
        for _ in range(9):
            began = time.process_time()
            plan.run(batch)
            times.append(time.process_time() - began)
        spent[count] = float(np.median(times)) / ALERTS * 1e6
    absent = build_plan(names, filter_registry={})
    absent.run(batch)
    began = time.process_time()
    absent.run(batch)
    missing = (time.process_time() - began) / ALERTS * 1e6
    mean = spent[20] / 20
    return {
        "twentieth_us_an_alert": max(spent[20] - spent[19], mean),
        "twenty_us_an_alert": spent[20],
        "twenty_absent_us_an_alert": missing,
    }


def others(ra: Floats, dec: Floats) -> dict[str, tuple[float, float]]:
    """Time astropy, a k-d tree and Fink on the same sources in memory: field and all sky [ms]; making their indexes is left out."""
    index, tree, coordinates = SkyIndex.build(ra, dec), cKDTree(vectors(ra, dec)), SkyCoord(ra, dec, unit="deg")
    chord = 2 * np.sin(np.radians(RADIUS / 3600) / 2)

    def with_astropy(right: Floats, declination: Floats) -> Any:
        found, apart, _ = SkyCoord(right, declination, unit="deg").match_to_catalog_sky(coordinates)
        return found[apart < RADIUS * units.arcsec]

    searches = {
        "astropy": with_astropy,
        "k-d tree (scipy)": lambda right, declination: tree.query(vectors(right, declination), distance_upper_bound=chord),
        "Fink": lambda right, declination: index.match(right, declination, radius=RADIUS),
    }
    return {name: (milliseconds(search, field)[1], milliseconds(search, sphere)[1]) for name, search in searches.items()}


def measure(short: bool = False) -> Result:
    """Draw the catalogues, then search them."""
    n, small, many = (2_000_000, 200_000, 200_000) if short else (100_000_000, 1_000_000, 1_000_000)
    figures: dict[str, float | str] = {"sources": float(n)}
    rows: list[tuple[object, ...]] = []
    with tempfile.TemporaryDirectory(dir=os.environ.get("FINK_BENCH_FOLDER")) as name:
        folder = Path(name)
        declared = replace(catalogs.registry()["gcvs"], radius=RADIUS)
        opened = InstalledCatalogue.open(write_catalogue(folder / "large", declared, n, 1))
        size = sum(path.stat().st_size for path in opened.folder.iterdir()) / n
        times = {kind: milliseconds(opened.match, draw) for kind, draw in (("field", field), ("all_sky", sphere))}
        figures |= {f"{kind}_ms": warm for kind, (_, warm) in times.items()} | {"bytes_a_source": size}
        rows.append((f"Fink, {n:,} sources mapped from disk", times["field"][1], times["all_sky"][1]))
        rows.append(("  the first search, with loading the kernel", times["field"][0], times["all_sky"][0]))
        for who, (one, all_over) in others(*sphere(np.random.default_rng(2), small)).items():
            rows.append((f"{who}, {small:,} sources in memory", one, all_over))
            figures |= {f"{who.split()[0].lower()}_{small}_all_sky_ms": all_over}
        figures |= twenty(folder, many)
    figures |= wrong(*((100_000, 10_000) if short else (1_000_000, 100_000)))
    header = (f"{ALERTS:,} alerts, within {RADIUS} arcsec: ms", "one field", "all sky")
    parts = [table_text("Nearest source", header, rows)]
    said = {
        f"a twentieth catalogue of {many:,} sources, its columns included: us an alert": figures["twentieth_us_an_alert"],
        "all twenty: us an alert": figures["twenty_us_an_alert"],
        "twenty that are not installed: us an alert": figures["twenty_absent_us_an_alert"],
        "pairs of the exhaustive comparison": figures["pairs"],
        "pairs that differ": figures["wrong_pairs"],
        "nearest sources that differ": figures["wrong_nearest"],
        "bytes on disk a source": figures["bytes_a_source"],
    }
    parts.append(table_text("In a plan, and compared with all pairs", ("", ""), list(said.items())))
    return Result.of("crossmatch", figures, {} if short else GOAL, "\n".join(parts))
