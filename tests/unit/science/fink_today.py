"""Light curves and features of alerts that today's Fink has processed, to compare with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import fastavro
import numpy as np
import pyarrow.parquet as pq

from fink.lightcurves import DETECTION, Band, LightCurves
from fink.surveys.ztf_points import fluxes_of_magnitude
from shared_data import shared_data

ZTF = (Band("g", "ztf", 4746.5), Band("r", "ztf", 6366.4), Band("i", "ztf", 7829.0))
LSST = tuple(Band(name, "lsst", w) for name, w in zip("ugrizy", (3671.0, 4827.0, 6223.0, 7546.0, 8691.0, 9712.0), strict=True))
FILES = (
    "fink_mm_20240115_849_nocutout.parquet",
    "superluminous_test_alerts_nocutout.parquet",
    "hostless_detection_72.parquet",
    "fink_filters_regular_20250614.parquet",
    "dwarf_agn_1.parquet",
)

RENAMED = {
    "magnitude_percentage_ratio_40_5": "percentage_ratio_40_5",
    "magnitude_percentage_ratio_20_10": "percentage_ratio_20_10",
    "median_buffer_range_percentage_10": "median_buffer_range_10",
    "chi2": "reduced_chi2",
    "stetson_K": "stetson_k",
}
"""What today's Fink calls a feature differently."""

Row = Mapping[str, Any]
Expected = list[dict[str, dict[str, float]]]


def _numbers(points: Sequence[Row], name: str) -> Any:
    return np.array([np.nan if p.get(name) is None else p[name] for p in points], np.float64)


def _curves(rows: Iterable[dict[str, Any]], bands: tuple[Band, ...]) -> LightCurves:
    parts = list(rows)
    m = [len(part["mjd"]) for part in parts]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return LightCurves(
        offsets=np.cumsum([0, *m], dtype=np.int64),
        kind=np.full(sum(m), DETECTION, np.int8),
        point_id=np.arange(1, sum(m) + 1, dtype=np.int64),
        detector=np.full(sum(m), -1, np.int16),
        bands=bands,
        **joined,
    ).sorted_by_time()


def _ztf_points(alert: Row) -> dict[str, Any]:
    """The detections of a ZTF alert, the history first."""
    points = [p for p in [*(alert["prv_candidates"] or ()), alert["candidate"]] if p.get("magpsf") == p.get("magpsf") is not None]
    sign = np.where(np.isin([str(p["isdiffpos"]) for p in points], ["t", "1"]), 1.0, -1.0)
    raw = np.stack([sign, *(_numbers(points, name) for name in ("magpsf", "sigmapsf", "magnr", "sigmagnr", "distnr"))], axis=1)
    fluxes = np.array([fluxes_of_magnitude(*row) for row in raw.tolist()], np.float32).T
    return {
        "mjd": _numbers(points, "jd") - 2400000.5,
        "band": (_numbers(points, "fid") - 1).astype(np.int8),
        **dict(zip(("flux", "flux_err", "total_flux", "total_flux_err"), fluxes, strict=True)),
    }


def ztf_alerts() -> tuple[list[Row], LightCurves, Expected]:
    """Give the alerts, their light curves, and the features of g and r that Fink gave them."""
    rows: list[Row] = []
    for name in FILES:
        rows += pq.read_table(shared_data("ztf_parquet_fink", name)).to_pylist()
    with shared_data("fink_expected", "ztf_fink_2026-03-22_31alerts.avro").open("rb") as file:
        rows += [record for record in fastavro.reader(file) if isinstance(record, dict)]
    expected = [{band: alert[f"lc_features_{band}"] or {} for band in "gr"} for alert in rows]
    return rows, _curves((_ztf_points(alert) for alert in rows), ZTF), expected


def lsst_alerts() -> tuple[list[Row], LightCurves, Expected]:
    """Give the alerts, the light curves of their detections, and the features of each band that Fink gave them."""
    with shared_data("fink_expected", "lsst_fink_2026_7alerts.avro").open("rb") as file:
        rows: list[Row] = [record for record in fastavro.reader(file) if isinstance(record, dict)]
    parts = []
    for alert in rows:
        points = [*(alert["prvDiaSources"] or ()), alert["diaSource"]]
        known = {"flux": "psfFlux", "flux_err": "psfFluxErr", "total_flux": "scienceFlux", "total_flux_err": "scienceFluxErr"}
        part = {name: _numbers(points, field).astype(np.float32) for name, field in known.items()}
        names = [band.name for band in LSST]
        part |= {"mjd": _numbers(points, "midpointMjdTai"), "band": np.array([names.index(p["band"].lower()) for p in points], np.int8)}
        parts.append(part)
    return rows, _curves(parts, LSST), [dict(alert["lc_features"]) for alert in rows]
