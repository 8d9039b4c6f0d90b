"""Detection history: what was seen at this place, how often, in which bands, since when, and what was there before.

Everything is counted in the light curve that comes with the alert: the packet's own points, and from the archive the older
ones of the object. A *non-detection* is an upper limit, or forced photometry below three sigma; its limiting magnitude is
that of five times the error. The age of an object is the core column `age`, from the survey's own first detection; here is only what
the points say.
"""

from __future__ import annotations

from math import inf, log10
from typing import Any

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from fink.columns import Column
from fink.lightcurves import AB_ZERO, DETECTION, FORCED, LIMIT, SAME_TIME, LightCurves, own_points
from fink.science import Columns, science_module

RECENT = 30.0
"""How far back the counts by band go [d]."""

BANDS = "ugrizy"
"""Bands that are counted one by one; upper and lower case are one band."""

MIN_SNR, LIMIT_SIGMAS = 3.0, 5.0

_COUNTS = {
    "n_detection_points": "Detections in the light curve, this one included",
    "n_forced_points": "Forced-photometry points in the light curve",
    "n_limit_points": "Upper limits in the light curve",
    "n_positive_points": "Detections in the light curve that are brighter than the template",
}
_TIMES = {
    "first_detection_mjd": ("time.start", "First detection in the light curve, MJD in TAI"),
    "previous_detection_mjd": ("time.epoch", "Last detection before this one, in any band, MJD in TAI"),
    "last_non_detection_mjd": ("time.epoch", "Last non-detection before the first detection, in any band, MJD in TAI"),
}
_MAGS = {
    "last_non_detection_mag": ("phot.mag;stat.max", "Limiting AB magnitude of the last non-detection before the first detection"),
    "brightest_mag": ("phot.mag;stat.min", "AB magnitude of the brightest positive detection in the light curve"),
    "faintest_mag": ("phot.mag;stat.max", "AB magnitude of the faintest positive detection in the light curve"),
}
_NAMES = (*_COUNTS, *_TIMES, *_MAGS)


@science_module(
    version="1.0",
    outputs=(
        *(Column(name, pa.int32(), "", "meta.number;obs", about) for name, about in _COUNTS.items()),
        *(Column(name, pa.float64(), "d", ucd, about) for name, (ucd, about) in _TIMES.items()),
        *(Column(name, pa.float32(), "mag", ucd, about) for name, (ucd, about) in _MAGS.items()),
        *(
            Column(f"n_recent_{b}", pa.int32(), "", "meta.number;obs", f"Detections in {b} in the last {RECENT:g} days, this one included")
            for b in BANDS
        ),
    ),
)
def detection_history(mjd: NDArray[np.float64], lightcurves: LightCurves) -> Columns:
    """Count the points of each light curve and find the ones that began and preceded the alert."""
    lc = lightcurves
    own = own_points(lc.offsets, lc.mjd, lc.kind, mjd)
    slots = np.array([BANDS.find(band.name.lower()) if band.name else -1 for band in lc.bands], np.int64)
    history = _history(lc.offsets, own, lc.mjd, lc.kind, lc.flux, lc.flux_err)
    recent = _recent(lc.offsets, mjd, lc.mjd, lc.kind, lc.band, slots)
    values = {name: history[:, i] for i, name in enumerate(_NAMES)}
    return values | {f"n_recent_{band}": recent[:, i] for i, band in enumerate(BANDS)}


@njit(cache=True, nogil=True, error_model="numpy")
def _missed(kind: int, flux: float, flux_err: float) -> bool:
    """Say whether a point is a non-detection whose depth is known."""
    faint = kind == LIMIT or (kind == FORCED and abs(flux) < MIN_SNR * flux_err)
    return bool(faint and 0.0 < flux_err < inf)


@njit(cache=True, nogil=True, error_model="numpy")
def _history(offsets: Any, own: Any, mjd: Any, kind: Any, flux: Any, flux_err: Any) -> Any:
    """Give counts, times and magnitudes in the order of ``_NAMES``, (n, 10)."""
    out = np.full((len(own), 10), np.nan)
    for i in range(len(own)):
        out[i, :4] = 0.0
        first = missed = -1
        brightest, faintest = 0.0, inf
        for j in range(offsets[i], offsets[i + 1]):
            if first < 0 and _missed(kind[j], flux[j], flux_err[j]):
                missed = j
            out[i, kind[j]] += 1.0
            if kind[j] != DETECTION:
                continue
            first = j if first < 0 else first
            if own[i] >= 0 and mjd[j] < mjd[own[i]] - SAME_TIME:
                out[i, 5] = mjd[j]
            if 0.0 < flux[j] < inf:
                out[i, 3] += 1.0
                brightest, faintest = max(brightest, flux[j]), min(faintest, flux[j])
        if first >= 0:
            out[i, 4] = mjd[first]
            if missed >= 0:
                out[i, 6] = mjd[missed]
                out[i, 7] = AB_ZERO - 2.5 * log10(LIMIT_SIGMAS * flux_err[missed])
        if brightest > 0.0:
            out[i, 8] = AB_ZERO - 2.5 * log10(brightest)
            out[i, 9] = AB_ZERO - 2.5 * log10(faintest)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _recent(offsets: Any, now: Any, mjd: Any, kind: Any, band: Any, slots: Any) -> Any:
    """Count the detections of the last days by band, (n, 6)."""
    out = np.zeros((len(now), 6), np.int64)
    for i in range(len(now)):
        for j in range(offsets[i + 1] - 1, offsets[i] - 1, -1):
            if now[i] - mjd[j] > RECENT:
                break
            if kind[j] == DETECTION and slots[band[j]] >= 0:
                out[i, slots[band[j]]] += 1
    return out
