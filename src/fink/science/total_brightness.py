"""Total brightness: the magnitude of the source with what stood there before, its change against the template, and its mean colour.

For what is always there (a variable star, an active galaxy) the difference flux is not its brightness: the total flux is,
difference and template together (ZTF: where the template has a source within 1.5 pixels, whose magnitude is added; LSST: the
survey's own measurement in the science image). `total_mag` is its AB magnitude, where it has three sigma or more.
`template_change` is the magnitude of template and difference together minus that of the template. Both hold the template's error,
so the error is not the sum of the two magnitudes' but that of ``-2.5 log10(1 + flux / template_flux)``, first order.

The colour is that of the total flux at matched epochs: points of two bands of one survey, each the other's nearest in time within
half a day, detections and forced photometry of three sigma or more. The alert's band is set beside the one with most such pairs
(the bluest of equals); the colour is the bluer band minus the redder, the mean over pairs weighted by their errors, and its
chi-square per degree of freedom says whether it is constant. `total_colour_latest` is that of the alert alone. Over 4,000
simulated objects of constant colour with six epochs at a signal-to-noise ratio of 20, the colours' scatter over `total_colour_err`
is 0.99 and the mean chi-square 0.99.
"""

from __future__ import annotations

from math import log10, sqrt
from typing import Any

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from fink.columns import Column
from fink.fitting.points import points_of_band
from fink.lightcurves import AB_ZERO, LightCurves, own_points
from fink.science import Columns, science_module

Floats = NDArray[np.float64]

SAME_NIGHT = 0.5
"""Two points within this are one epoch [d]."""

MIN_SNR = 3.0
_MAG_OF_RELATIVE = 2.5 / np.log(10.0)
_COLOURS = (
    "total_colour",
    "total_colour_err",
    "total_colour_chi2",
    "n_colour_epochs",
    "total_colour_latest",
    "total_colour_latest_err",
)
_UCD = "phot.color"


@science_module(
    version="1.0",
    outputs=(
        Column("total_mag", pa.float32(), "mag", "phot.mag", "AB magnitude of the total flux", indexed=True),
        Column("total_mag_err", pa.float32(), "mag", "stat.error;phot.mag", "One-sigma error of total_mag"),
        Column(
            "template_change",
            pa.float32(),
            "mag",
            "phot.mag;arith.diff",
            "Total magnitude minus that of the template, negative if brighter",
        ),
        Column("template_change_err", pa.float32(), "mag", "stat.error;phot.mag", "One-sigma error of template_change"),
        Column(_COLOURS[0], pa.float32(), "mag", f"{_UCD};stat.mean", "Mean colour of the total flux over matched epochs"),
        Column(_COLOURS[1], pa.float32(), "mag", f"stat.error;{_UCD}", "One-sigma error of total_colour"),
        Column(_COLOURS[2], pa.float32(), "", "stat.fit.chi2", "Chi-square of a constant total_colour per degree of freedom"),
        Column(_COLOURS[3], pa.int32(), "", "meta.number", "Matched epochs that total_colour is the mean of"),
        Column(_COLOURS[4], pa.float32(), "mag", _UCD, "Colour of the total flux at the epoch of the alert"),
        Column(_COLOURS[5], pa.float32(), "mag", f"stat.error;{_UCD}", "One-sigma error of total_colour_latest"),
        Column("total_colour_bands", pa.string(), "", "instr.bandpass", "The bands of total_colour, the bluer first: g-r"),
    ),
)
def total_brightness(
    flux: Floats,
    flux_err: Floats,
    total_flux: Floats,
    total_flux_err: Floats,
    template_flux: Floats,
    template_flux_err: Floats,
    mjd: Floats,
    lightcurves: LightCurves,
) -> Columns:
    """Give the magnitudes of the alerts, and the colours of their light curves; all (n,)."""
    lc = lightcurves
    own = own_points(lc.offsets, lc.mjd, lc.kind, mjd)
    surveys = [band.survey for band in lc.bands]
    survey = np.array([surveys.index(name) for name in surveys], np.int64)
    bluest_first = np.argsort(lc.wavelengths, kind="stable")
    rank = np.argsort(bluest_first, kind="stable")
    values, pairs = _colours(lc.offsets, own, lc.mjd, lc.band, lc.kind, lc.total_flux, lc.total_flux_err, survey, bluest_first, rank)
    names = pa.array([f"{blue.name}-{red.name}" for blue in lc.bands for red in lc.bands], pa.string())
    mag, mag_err = _magnitude(total_flux, total_flux_err)
    change, change_err = _change(flux, flux_err, template_flux, template_flux_err)
    known = np.isfinite(mag)
    return {
        "total_mag": mag,
        "total_mag_err": mag_err,
        "template_change": np.where(known, change, np.nan),
        "template_change_err": np.where(known, change_err, np.nan),
        **{name: values[:, i] for i, name in enumerate(_COLOURS)},
        "total_colour_bands": names.take(pa.array(pairs, mask=pairs < 0)),
    }


def _magnitude(flux: Floats, error: Floats) -> tuple[Floats, Floats]:
    """Give magnitude and error where the flux has three sigma; NaN elsewhere."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        good = (error > 0.0) & (flux >= MIN_SNR * error) & np.isfinite(flux)
        return np.where(good, AB_ZERO - 2.5 * np.log10(flux), np.nan), np.where(good, _MAG_OF_RELATIVE * error / flux, np.nan)


def _change(flux: Floats, error: Floats, template: Floats, template_err: Floats) -> tuple[Floats, Floats]:
    """Give the magnitude of template and difference together minus that of the template, and its error."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        good = (template > 0.0) & (template >= MIN_SNR * template_err)
        ratio = 1.0 + flux / template
        ratio_err = np.hypot(error, flux / template * template_err) / template
        return np.where(good, -2.5 * np.log10(ratio), np.nan), np.where(good, _MAG_OF_RELATIVE * ratio_err / ratio, np.nan)


@njit(cache=True, nogil=True, error_model="numpy")
def _nearest(at: float, points: Any, start: int, mjd: Any) -> int:
    """Find the place of the point nearest in time to ``at``, the earlier of equals, searching forward from ``start``."""
    best = start
    while best + 1 < len(points) and abs(mjd[points[best + 1]] - at) < abs(mjd[points[best]] - at):
        best += 1
    return best


@njit(cache=True, nogil=True, error_model="numpy")
def _match(one: Any, other: Any, mjd: Any, partner: Any) -> int:
    """Find for each point of one band its match in the other, into ``partner``, -1 where there is none; gives how many."""
    n = forward = back = 0
    for i in range(len(one)):
        partner[i] = -1
        if len(other) == 0:
            continue
        forward = _nearest(mjd[one[i]], other, forward, mjd)
        if abs(mjd[one[i]] - mjd[other[forward]]) > SAME_NIGHT:
            continue
        back = _nearest(mjd[other[forward]], one, back, mjd)
        if back == i:
            partner[i] = other[forward]
            n += 1
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def _difference(blue: int, red: int, total: Any, total_err: Any) -> tuple[float, float]:
    """Give the colour of two points and its first-order error [mag]."""
    relative = sqrt((total_err[blue] / total[blue]) ** 2.0 + (total_err[red] / total[red]) ** 2.0)
    return -2.5 * log10(np.float64(total[blue]) / np.float64(total[red])), _MAG_OF_RELATIVE * relative


@njit(cache=True, nogil=True, error_model="numpy")
def _mean_colour(one: Any, partner: Any, now: int, bluer: bool, total: Any, total_err: Any, out: Any) -> None:
    """Put the mean colour of matched points, its error, chi-square and number, and the alert's own colour, into ``out``."""
    weights = mean = squares = 0.0
    n = 0
    for i in range(len(one)):
        if partner[i] < 0:
            continue
        blue, red = (one[i], partner[i]) if bluer else (partner[i], one[i])
        colour, error = _difference(blue, red, total, total_err)
        weight = 1.0 / error**2
        weights += weight
        step = colour - mean
        mean += step * weight / weights
        squares += weight * step * (colour - mean)
        n += 1
        if one[i] == now:
            out[4], out[5] = colour, error
    out[0], out[1], out[3] = mean, sqrt(1.0 / weights), n
    if n > 1:
        out[2] = squares / (n - 1)


@njit(cache=True, nogil=True, error_model="numpy")
def _colours(
    offsets: Any,
    own: Any,
    mjd: Any,
    band: Any,
    kind: Any,
    total: Any,
    total_err: Any,
    survey: Any,
    bluest_first: Any,
    rank: Any,
) -> tuple[Floats, NDArray[np.int64]]:
    """Give the values in the order of ``_COLOURS``, (n, 6), and the number of the pair of bands, -1 where there is none, (n,)."""
    n_bands = len(survey)
    out, pairs = np.full((len(own), len(_COLOURS)), np.nan), np.full(len(own), -1, np.int64)
    longest = 0
    for i in range(len(own)):
        longest = max(longest, offsets[i + 1] - offsets[i])
    one, other = np.empty(longest, np.int64), np.empty(longest, np.int64)
    partner, best = np.empty(longest, np.int64), np.empty(longest, np.int64)
    for i in range(len(own)):
        first, last, now = offsets[i], offsets[i + 1], own[i]
        if now < 0:
            continue
        mine = band[now]
        m = points_of_band(first, last, mine, mjd, band, kind, total, total_err, MIN_SNR, one)
        most = 0
        for b in bluest_first:
            if m == 0 or b == mine or survey[b] != survey[mine]:
                continue
            k = points_of_band(first, last, b, mjd, band, kind, total, total_err, MIN_SNR, other)
            matched = _match(one[:m], other[:k], mjd, partner)
            if matched > most:
                most, bluer = matched, rank[mine] < rank[b]
                best[:m] = partner[:m]
                pairs[i] = mine * n_bands + b if bluer else b * n_bands + mine
        if most > 0:
            bluer = pairs[i] // n_bands == mine
            _mean_colour(one[:m], best[:m], now, bluer, total, total_err, out[i])
    return out, pairs
