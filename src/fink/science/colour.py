"""Colour: the magnitude difference of two bands in one night, its interval, and how fast it changes.

The alert's flux is set beside the good point of another band of its survey that is nearest to it in time, within half a day
before: a detection or forced photometry, positive and of three sigma or more. (Where light curves mix surveys, passbands of one
letter differ: two surveys' fluxes make no colour.) The colour is always the bluer band minus the redder
one, by effective wavelength, so that larger is redder; `colour_bands` names them. The interval from 5 to 95 % is
Fieller's for the ratio of two Gaussian fluxes, exact; `colour_err` is the first-order error.

The rate compares with the colour of the same two bands at an earlier epoch, at least half a day and at most 30 days before:
the latest good point of the alert's band that has a point of the other within half a day. Difference fluxes are used
throughout: for an object that is also in the template this is the colour of the change.
"""

from __future__ import annotations

from math import inf, log10, sqrt
from typing import Any

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from fink.columns import Column
from fink.fitting import Z_95, ratio_bound
from fink.lightcurves import LIMIT, LightCurves, own_points
from fink.science import Columns, science_module

SAME_NIGHT, MAX_GAP = 0.5, 30.0
"""Two points within this are one epoch [d], and how far back an earlier epoch may lie [d]."""

MIN_SNR = 3.0
_MAG_OF_RELATIVE = 2.5 / np.log(10.0)
_VALUES = ("colour", "colour_err", "colour_lower", "colour_upper", "colour_gap", "colour_rate", "colour_rate_err")
_UCD = "phot.color"


@science_module(
    version="1.1",
    outputs=(
        Column("colour", pa.float32(), "mag", _UCD, "Magnitude in the bluer minus that in the redder of colour_bands", indexed=True),
        Column("colour_err", pa.float32(), "mag", f"stat.error;{_UCD}", "One-sigma error of colour"),
        Column("colour_lower", pa.float32(), "mag", f"{_UCD};stat.min", "5 % quantile of colour"),
        Column("colour_upper", pa.float32(), "mag", f"{_UCD};stat.max", "95 % quantile of colour"),
        Column("colour_gap", pa.float32(), "d", "time.interval", "Time from the other band's point to the alert"),
        Column(
            "colour_rate", pa.float32(), "mag / d", f"arith.rate;{_UCD}", "Rate of colour since an earlier night; positive is reddening"
        ),
        Column("colour_rate_err", pa.float32(), "mag / d", f"stat.error;{_UCD}", "One-sigma error of colour_rate"),
        Column("colour_bands", pa.string(), "", "instr.bandpass", "The bands of colour, the bluer first: g-r"),
    ),
    reference="doi:10.1111/j.2517-6161.1954.tb00159.x",
)
def colour(mjd: NDArray[np.float64], lightcurves: LightCurves) -> Columns:
    """Set each alert beside another band of its night."""
    lc = lightcurves
    own = own_points(lc.offsets, lc.mjd, lc.kind, mjd)
    surveys = [band.survey for band in lc.bands]
    survey = np.array([surveys.index(name) for name in surveys], np.int64)
    values, pairs = _colours(lc.offsets, own, lc.mjd, lc.band, lc.kind, lc.flux, lc.flux_err, lc.wavelengths, survey)
    names = pa.array([f"{blue.name}-{red.name}" for blue in lc.bands for red in lc.bands], pa.string())
    bands = names.take(pa.array(pairs, mask=pairs < 0))
    return {name: values[:, i] for i, name in enumerate(_VALUES)} | {"colour_bands": bands}


@njit(cache=True, nogil=True, error_model="numpy")
def _good(j: int, kind: Any, flux: Any, flux_err: Any) -> bool:
    """Say whether a point is a positive measurement of three sigma or more."""
    return bool(kind[j] != LIMIT and 0.0 < flux_err[j] < inf and MIN_SNR <= flux[j] / flux_err[j] < inf)


@njit(cache=True, nogil=True, error_model="numpy")
def _is_other(band: int, at: int, wanted: int, survey: Any) -> bool:
    """Say whether a band is the wanted one, or where that is -1 any but ``at`` of its survey."""
    return bool(band == wanted if wanted >= 0 else band != at and survey[band] == survey[at])


@njit(cache=True, nogil=True, error_model="numpy")
def _partner(first: int, last: int, at: int, wanted: int, mjd: Any, band: Any, kind: Any, flux: Any, flux_err: Any, survey: Any) -> int:
    """Find the good point nearest in time to ``at``, of the wanted band, or where that is -1 of any other of the survey; -1 if none."""
    best, nearest = -1, SAME_NIGHT
    for j in range(at - 1, first - 1, -1):
        if mjd[at] - mjd[j] > nearest:
            break
        other = _is_other(band[j], band[at], wanted, survey)
        if other and (best < 0 or mjd[at] - mjd[j] < nearest) and _good(j, kind, flux, flux_err):
            best, nearest = j, mjd[at] - mjd[j]
    for j in range(at + 1, last):
        if mjd[j] - mjd[at] > nearest:
            break
        other = _is_other(band[j], band[at], wanted, survey)
        if other and (best < 0 or mjd[j] - mjd[at] < nearest) and _good(j, kind, flux, flux_err):
            best, nearest = j, mjd[j] - mjd[at]
    return best


@njit(cache=True, nogil=True, error_model="numpy")
def _difference(blue: int, red: int, flux: Any, flux_err: Any) -> Any:
    """Give the colour of two points and its first-order error [mag]."""
    relative = sqrt((flux_err[blue] / flux[blue]) ** 2.0 + (flux_err[red] / flux[red]) ** 2.0)
    return -2.5 * log10(float(flux[blue]) / float(flux[red])), _MAG_OF_RELATIVE * relative


@njit(cache=True, nogil=True, error_model="numpy")
def _epoch_before(first: int, own: int, wanted: int, mjd: Any, band: Any, kind: Any, flux: Any, flux_err: Any, survey: Any) -> Any:
    """Find the latest pair of points of the alert's band and the other one in an earlier night; -1 where there is none."""
    last = own
    while last > first and mjd[own] - mjd[last - 1] < SAME_NIGHT:
        last -= 1
    for j in range(last - 1, first - 1, -1):
        if mjd[own] - mjd[j] > MAX_GAP:
            break
        if band[j] == band[own] and _good(j, kind, flux, flux_err):
            other = _partner(first, last, j, wanted, mjd, band, kind, flux, flux_err, survey)
            if other >= 0:
                return j, other
    return -1, -1


@njit(cache=True, nogil=True, error_model="numpy")
def _colours(offsets: Any, own: Any, mjd: Any, band: Any, kind: Any, flux: Any, flux_err: Any, wavelengths: Any, survey: Any) -> Any:
    """Give the values in the order of ``_VALUES``, (n, 7), and the number of the pair of bands, -1 where there is none, (n,)."""
    out, pairs = np.full((len(own), 7), np.nan), np.full(len(own), -1, np.int64)
    for i in range(len(own)):
        now = own[i]
        if now < 0 or not _good(now, kind, flux, flux_err):
            continue
        other = _partner(offsets[i], now, now, -1, mjd, band, kind, flux, flux_err, survey)
        if other < 0:
            continue
        bluer = wavelengths[band[now]] < wavelengths[band[other]]
        blue, red = (now, other) if bluer else (other, now)
        pairs[i] = band[blue] * len(wavelengths) + band[red]
        out[i, 0], out[i, 1] = _difference(blue, red, flux, flux_err)
        for k in range(2):
            z = Z_95 if k == 0 else -Z_95
            ratio = ratio_bound(float(flux[blue]), float(flux_err[blue]), float(flux[red]), float(flux_err[red]), z)
            out[i, 2 + k] = -2.5 * log10(ratio)
        out[i, 4] = mjd[now] - mjd[other]
        then, then_other = _epoch_before(offsets[i], now, band[other], mjd, band, kind, flux, flux_err, survey)
        if then < 0:
            continue
        if not bluer:
            then, then_other = then_other, then
        before, before_err = _difference(then, then_other, flux, flux_err)
        gap = 0.5 * (mjd[now] + mjd[other] - mjd[then] - mjd[then_other])
        out[i, 5] = (out[i, 0] - before) / gap
        out[i, 6] = sqrt(out[i, 1] ** 2 + before_err**2) / gap
    return out, pairs
