"""Light-curve features: microseconds of processor time an alert, beside the package light-curve on the same points.

The reference gets what a caller of it would give: for each band of each alert the arrays of its good points, made beforehand and
not counted, and the 26 features of the search for anomalies with von Neumann's ratio and the excess variance; in flux, and in
magnitude for g, r and i. It is called once a series, as in today's Fink. Fink's module makes all its columns from the light curves
as they come, choosing points and making magnitudes included.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.batches import lsst_like, ztf_real
from benchmarks.result import Figure, Result, cpu_seconds, table_text
from fink.lightcurves import LIMIT, LightCurves, magnitude
from fink.science.light_curve_features import light_curve_features
from fink.science.total_brightness import total_brightness
from fink.tables import AlertBatch
from shared_data import shared_data_folder  # benchmarks.batches puts the tests on the path
from unit.science.feature_reference import REFERENCE

BATCH = 4000
REFERENCE_ALERTS = 400
"""Alerts that the reference is timed on, for it is slower; its figure is for one alert too."""

MOST = 60.0
Series = list[tuple[Any, Any, Any]]


def measure(short: bool) -> Result:
    """Time the modules and the reference on ZTF's and LSST's light curves."""
    batches = {"lsst": lsst_like(BATCH)}
    if shared_data_folder().exists():
        batches["ztf"] = ztf_real(BATCH)
    repeat = 3 if short else 15
    figures: dict[str, Figure] = {}
    for survey, batch in batches.items():
        features = cpu_seconds(lambda batch=batch: light_curve_features.function(batch.lightcurves), repeat) / BATCH * 1e6  # type: ignore[misc]
        total = cpu_seconds(lambda batch=batch: run_total(batch), repeat) / BATCH * 1e6  # type: ignore[misc]
        series = series_of(batch.lightcurves.take(np.arange(REFERENCE_ALERTS)))
        reference = cpu_seconds(lambda series=series: run_reference(series), repeat) / REFERENCE_ALERTS * 1e6  # type: ignore[misc]
        figures |= {f"{survey}_features": features, f"{survey}_light_curve_package": reference}
        figures |= {f"{survey}_ratio": reference / features, f"{survey}_total_brightness": total}
        figures[f"{survey}_points_an_alert"] = batch.lightcurves.n_points / len(batch)
    names = ("features", "light_curve_package", "ratio", "total_brightness", "points_an_alert")
    rows = [[name, *(figures[f"{survey}_{name}"] for survey in batches)] for name in names]
    goal = {f"{survey}_features_at_most": MOST for survey in batches} | {f"{survey}_ratio": 1.0 for survey in batches}
    title = f"Processor time, batches of {BATCH:,} alerts [us an alert]"
    return Result.of("features", figures, goal, table_text(title, ["what", *batches], rows))


def run_total(batch: AlertBatch) -> object:
    """Run the module of total brightness on a batch."""
    names = ("flux", "flux_err", "total_flux", "total_flux_err", "template_flux", "template_flux_err", "mjd")
    columns = [batch.alerts[name].to_numpy().astype(np.float64) for name in names]
    return total_brightness.function(*columns, batch.lightcurves)


def series_of(curves: LightCurves) -> Series:
    """Give each band's good points of each light curve as the reference takes them."""
    found: Series = []
    usable = (curves.kind != LIMIT) & np.isfinite(curves.flux) & (curves.flux_err > 0)
    known = np.isfinite(curves.total_flux)
    bright = np.where(known, curves.total_flux, curves.flux).astype(np.float64)
    error = np.where(known, curves.total_flux_err, curves.flux_err).astype(np.float64)
    mag, significant = magnitude(bright), bright >= 3.0 * error
    for first, last in zip(curves.offsets[:-1], curves.offsets[1:], strict=True):
        for number in range(len(curves.bands)):
            points = first + np.flatnonzero(usable[first:last] & (curves.band[first:last] == number))
            points = points[np.diff(curves.mjd[points], prepend=-np.inf) > 0]
            if len(points):
                found.append((curves.mjd[points], curves.flux[points].astype(np.float64), curves.flux_err[points].astype(np.float64)))
            points = points[significant[points]]
            if len(points):
                found.append((curves.mjd[points], mag[points], 1.0857 * error[points] / bright[points]))
    return found


def run_reference(series: Series) -> object:
    """Extract the same features with light-curve."""
    return [REFERENCE(time, value, error, sorted=True, check=False, fill_value=np.nan) for time, value, error in series]
