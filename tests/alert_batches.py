"""Alert batches made by hand or at random, for tests that need no packets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from fink import surveys
from fink.codecs.cutouts import write_fits
from fink.columns import CORE, merge_columns
from fink.lightcurves import DETECTION, FORCED, LIMIT, Band, LightCurves
from fink.tables import PADDING, AlertBatch, Cutouts, Packets

BANDS = tuple(
    Band(name, "lsst", wavelength) for name, wavelength in zip("ugrizy", (3671.0, 4827.0, 6223.0, 7546.0, 8691.0, 9712.0), strict=True)
)
NOW = 60000.0
"""Time of an alert unless something else is said, MJD [d]."""

Point = tuple[float, str, int, float, float]
"""Time [d], band, kind, flux and error [nJy]."""


def light_curves(curves: Iterable[Sequence[Point]], bands: tuple[Band, ...] = BANDS) -> LightCurves:
    """Make light curves of points; they are put in order of time."""
    rows = [list(curve) for curve in curves]
    flat = [point for curve in rows for point in curve]
    names = [band.name for band in bands]
    offsets = np.cumsum([0, *(len(curve) for curve in rows)], dtype=np.int64)
    error = np.array([point[4] for point in flat], np.float32)
    flux = np.array([np.nan if point[2] == LIMIT else point[3] for point in flat], np.float32)
    return LightCurves(
        offsets=offsets,
        mjd=np.array([point[0] for point in flat], np.float64),
        band=np.array([names.index(point[1]) for point in flat], np.int8),
        kind=np.array([point[2] for point in flat], np.int8),
        flux=flux,
        flux_err=error,
        total_flux=np.full(len(flat), np.nan, np.float32),
        total_flux_err=np.full(len(flat), np.nan, np.float32),
        point_id=np.arange(1, len(flat) + 1, dtype=np.int64),
        detector=np.full(len(flat), -1, np.int16),
        bands=bands,
    ).sorted_by_time()


def alert_batch(rows: Sequence[Mapping[str, Any]], curves: LightCurves, survey: str = "lsst") -> AlertBatch:
    """Make a batch of rows that name only the columns that matter; the others are null, or plain where they may not be."""
    plain: dict[str, Any] = {"alert_id": 1, "survey": survey, "schema_version": "1", "night": 20230225, "mjd": NOW}
    plain |= {"ra": 180.0, "dec": 60.0, "band": "r", "positive": True}
    declared = merge_columns(CORE, *(known.columns for known in surveys.registry().values()))
    table = {name: pa.array([row.get(name, plain.get(name)) for row in rows], column.type) for name, column in declared.items()}
    n = len(rows)
    return AlertBatch(survey, pa.table(table), curves, Packets.from_bodies([b"\0"] * n, b'"null"'), Cutouts.none(n))


def random_batch(seed: int, n: int, odd: Sequence[float] = (), odd_share: float = 0.2, longest: int = 40) -> AlertBatch:
    """Make a batch whose values are partly likely, partly from ``odd`` (which may be NaN or infinite), partly null."""
    rng = np.random.default_rng(seed)
    curves = _random_curves(rng, n, odd, odd_share, longest)
    declared = merge_columns(CORE, *(known.columns for known in surveys.registry().values()))
    table = {}
    for name, column in declared.items():
        missing = (rng.random(n) < 0.2) & column.nullable
        table[name] = pa.array(_random_values(rng, name, column.type, n, odd, odd_share), column.type, mask=missing)
    own = curves.offsets[1:] - 1
    has_points = np.diff(curves.offsets) > 0
    now = np.where(has_points, curves.mjd[np.where(has_points, own, 0)] if curves.n_points else NOW, NOW)
    table["mjd"] = pa.array(now)
    return AlertBatch("lsst", pa.table(table), curves, *_random_stamps(rng, n))


def _random_stamps(rng: np.random.Generator, n: int) -> tuple[Packets, Cutouts]:
    """Make empty records with stamps behind them: round sources, trails, dipoles, some pixels without a value, some no FITS."""
    y, x = np.mgrid[-15:16, -15:16]
    files = [b"", b"no image"]
    for size, length, dipole, sky in ((1.0, 0.0, 0.0, 0.0), (1.5, 6.0, 0.0, 900.0), (1.2, 0.0, 0.8, 5.0), (2.0, 3.0, 0.2, -3.0)):
        source = sum(np.exp(-((x - t - 0.3) ** 2 + y**2) / (2.0 * size**2)) for t in np.linspace(0.0, length, 12))
        source = source - dipole * np.exp(-((x + 3.0) ** 2 + y**2) / (2.0 * size**2))
        noise = np.random.default_rng(len(files)).normal(size=x.shape)
        for height in (0.0, 0.5, 4.0, -4.0):
            image = sky + height * source + noise
            image[0, : len(files) % 5] = np.nan
            files.append(write_fits(image, gzipped=height > 0.0))
    starts = np.cumsum([n, *(len(file) for file in files)], dtype=np.int64)
    buffer = np.frombuffer(bytes(n) + b"".join(files) + bytes(PADDING), np.uint8)
    chosen = rng.integers(0, len(files), (n, 3))
    length_of = np.array([len(file) for file in files], np.int64)
    rows = np.arange(n, dtype=np.int64)
    return Packets(buffer, rows, rows + 1, np.zeros(n, np.int32), (b'"null"',)), Cutouts(starts[chosen], length_of[chosen])


def _with_odd(rng: np.random.Generator, values: Any, odd: Sequence[float], share: float) -> Any:
    if not len(odd):
        return values
    with np.errstate(over="ignore"):
        return np.where(rng.random(len(values)) < share, rng.choice(np.array(odd, np.float64), len(values)), values)


def _random_values(rng: np.random.Generator, name: str, type_: pa.DataType, n: int, odd: Sequence[float], share: float) -> Any:
    if pa.types.is_string(type_):
        return rng.choice(["lsst", "ztf", "elasticc", ""] if name == "survey" else ["r", "g", "2023 AB", ""], n)
    if pa.types.is_boolean(type_):
        return rng.random(n) < 0.5
    if pa.types.is_integer(type_):
        return rng.choice([0, 1, 2, 3, 6, 40, 300], n).astype(type_.to_pandas_dtype())
    low, high = {"ra": (0.0, 360.0), "dec": (-90.0, 90.0)}.get(name, (0.0, 25.0))
    with np.errstate(over="ignore"):
        return _with_odd(rng, rng.uniform(low, high, n), odd, share).astype(type_.to_pandas_dtype())


def _random_curves(rng: np.random.Generator, n: int, odd: Sequence[float], share: float, longest: int) -> LightCurves:
    counts = np.where(rng.random(n) < 0.2, 0, rng.integers(0, longest + 1, n))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    m = int(offsets[-1])
    kind = rng.choice(np.array([DETECTION, FORCED, LIMIT], np.int8), m)
    error = rng.uniform(100.0, 600.0, m)
    with np.errstate(over="ignore", invalid="ignore"):
        flux = _with_odd(rng, error * rng.normal(4.0, 6.0, m), odd, share).astype(np.float32)
        error = _with_odd(rng, error, odd, share).astype(np.float32)
    curves = LightCurves(
        offsets=offsets,
        mjd=NOW - np.round(rng.exponential(8.0, m), rng.integers(0, 4)),
        band=rng.integers(0, len(BANDS), m).astype(np.int8),
        kind=kind,
        flux=np.where(kind == LIMIT, np.float32(np.nan), flux),
        flux_err=error,
        total_flux=flux,
        total_flux_err=error,
        point_id=np.arange(m, dtype=np.int64),
        detector=np.full(m, -1, np.int16),
        bands=BANDS,
    ).sorted_by_time()
    last = curves.offsets[1:][np.diff(curves.offsets) > 0] - 1
    curves.kind[last] = DETECTION
    return curves
