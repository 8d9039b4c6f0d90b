"""ZTF's measurements as points of light curves: from magnitudes, data numbers and times of a packet to fluxes in nJy and MJD in TAI."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fink.lightcurves import AB_ZERO, DETECTION, FORCED, LIMIT, Band, LightCurves
from fink.sky import MJD_OF_JD, utc_to_tai
from fink.surveys.mapping import Fields
from fink.surveys.points import PointParts

Floats = NDArray[np.float64]
Array = NDArray[Any]

PIXEL = 1.01
"""Size of a pixel [arcsec]."""
TEMPLATE_RADIUS = 1.5
"""Farthest that the nearest template source may lie to be the source itself [pix]."""
STANDARD_EXPOSURE = 30.0
"""Length of an exposure where the packet does not say it [s]."""
MISSING, MISSING_FORCED = -999.0, -99999.0
SNR_OF_LIMIT = 5.0
LN_PER_MAG = 0.4 * np.log(10.0)
"""A magnitude is this in the natural logarithm of the flux."""

_MEASURED = ("jd", "exptime", "magpsf", "sigmapsf", "diffmaglim", "magnr", "sigmagnr", "distnr")
_FORCED = ("jd", "exptime", "magzpsci", "forcediffimflux", "forcediffimfluxunc", "magnr", "sigmagnr", "distnr")
PATHS = frozenset(
    {f"{place}.{name}" for place in ("candidate", "prv_candidates[]") for name in (*_MEASURED, "fid", "candid", "isdiffpos", "rcid")}
    | {f"{place}.{name}" for place in ("prv_candidates[]", "fp_hists[]") for name in (*_FORCED, "fid", "rcid")}
)
"""Every field that points are made of."""

_SIGN = np.full(256, np.nan)
_SIGN[[ord(letter) for letter in "t1"]], _SIGN[[ord(letter) for letter in "f0"]] = 1.0, -1.0


def light_curves(fields: Fields, bands: tuple[Band, ...]) -> tuple[dict[str, Array], LightCurves]:
    """Give the alerts' own points, (n,) by name, and the light curves of them, of the earlier epochs and of forced photometry."""
    forced = [array for array in ("fp_hists", "prv_candidates") if fields.kind(f"{array}[].forcediffimflux")]  # schema 4, and 3.5
    one_each = np.arange(fields.n + 1, dtype=np.int64)
    parts = PointParts(one_each, fields.offsets("prv_candidates"), *(fields.offsets(array) for array in forced))
    _measure(fields, "candidate.", parts.part(0))
    _measure(fields, "prv_candidates[].", parts.part(1))
    for number, array in enumerate(forced, 2):
        _force(fields, f"{array}[].", parts.part(number))
    parts.flat["mjd"][:] = utc_to_tai(parts.flat["mjd"])
    return parts.part(0), parts.joined(bands)


def _measure(fields: Fields, place: str, out: dict[str, Array]) -> None:
    """Write the points of the alerts' own measurement (``candidate.``) or of the earlier epochs (``prv_candidates[].``)."""
    number, channel = fields.integer(place + "candid"), fields.integer(place + "rcid")
    raw = tuple(fields.number(place + name) for name in _MEASURED)
    band = fields.integer(place + "fid").values
    measured_points(
        raw, band, number.values, number.valid, signs(fields, place + "isdiffpos"), channel.values, channel.valid, *out.values()
    )


def _force(fields: Fields, place: str, out: dict[str, Array]) -> None:
    """Write the points of forced photometry."""
    channel = fields.integer(place + "rcid")
    raw = tuple(fields.number(place + name) for name in _FORCED)
    forced_points(raw, fields.integer(place + "fid").values, channel.values, channel.valid, *out.values())


def signs(fields: Fields, path: str) -> Floats:
    """1 where the source is brighter than the template, -1 where it is fainter, NaN where the packet does not say."""
    if fields.kind(path) == "int":
        number = fields.integer(path)
        return np.where(number.valid, np.where(number.values > 0, 1.0, -1.0), np.nan)
    return np.asarray(_SIGN[fields.initial(path)])


@njit(cache=True, nogil=True)
def mid_exposure(jd: float, seconds: float) -> float:
    """MJD of the middle of an exposure that begins at ``jd`` and lasts so long, in the same time scale."""
    return jd - MJD_OF_JD + (STANDARD_EXPOSURE if seconds == MISSING or np.isnan(seconds) else seconds) / 2.0 / 86400.0


@njit(cache=True, nogil=True)
def _flux(mag: float) -> float:
    """Flux of an AB magnitude [nJy]; NaN for either of the numbers that stand for missing."""
    return np.nan if mag in (MISSING, MISSING_FORCED) else np.exp((AB_ZERO - mag) * LN_PER_MAG)


@njit(cache=True, nogil=True)
def _total(flux: float, error: float, mag: float, mag_err: float, separation: float, radius: float) -> tuple[float, float]:
    """Flux in the science image and its error [nJy]: the difference and the template, where that has a source here."""
    if not (0.0 <= separation <= radius):
        return np.nan, np.nan
    before = _flux(mag)
    # what stands for a missing error is below zero
    before_err = before * mag_err * LN_PER_MAG if mag_err >= 0.0 else np.nan
    return before + flux, np.sqrt(before_err * before_err + error * error)


@njit(cache=True, nogil=True)
def fluxes_of_magnitude(
    sign: float, mag: float, mag_err: float, before: float, before_err: float, separation: float
) -> tuple[float, float, float, float]:
    """Difference flux of a detection, its error, total flux and its error [nJy].

    Parameters
    ----------
    sign
        1, -1, or NaN where it is not known.
    before, before_err, separation
        Magnitude of the nearest template source, its error and distance [pix].
    """
    size = _flux(mag)
    error = size * mag_err * LN_PER_MAG if mag_err >= 0.0 else np.nan
    total, total_err = _total(sign * size, error, before, before_err, separation, TEMPLATE_RADIUS)
    return sign * size, error, total, total_err


@njit(cache=True, nogil=True)
def _fluxes_of_counts(
    zero: float, counts: float, counts_err: float, before: float, before_err: float, separation: float
) -> tuple[float, float, float, float]:
    """Difference flux, its error, total flux and its error [nJy] from data numbers and their zero point [mag]."""
    if counts == MISSING_FORCED:
        return np.nan, np.nan, np.nan, np.nan
    unit = _flux(zero)
    flux = counts * unit
    error = np.nan if counts_err == MISSING_FORCED else counts_err * unit
    # the distance of the template source is in arcsec here
    total, total_err = _total(flux, error, before, before_err, separation, TEMPLATE_RADIUS * PIXEL)
    return flux, error, total, total_err


@njit(cache=True, nogil=True)
def measured_points(
    raw: Any,
    fid: Any,
    number: Any,
    detected: Any,
    sign: Any,
    channel: Any,
    channel_known: Any,
    mjd: Any,
    band: Any,
    kind: Any,
    flux: Any,
    flux_err: Any,
    total_flux: Any,
    total_flux_err: Any,
    point_id: Any,
    detector: Any,
) -> None:
    """Write points of measurements, times still in UTC; an epoch without a number is a limit, where nothing was detected."""
    jd, exposure, mag, mag_err, limit, before, before_err, separation = raw
    for i in range(len(mjd)):
        mjd[i] = mid_exposure(jd[i], exposure[i])
        band[i] = fid[i] - 1 if 1 <= fid[i] <= 3 else -1
        kind[i] = DETECTION if detected[i] else LIMIT
        point_id[i] = number[i]
        detector[i] = channel[i] if channel_known[i] else -1
        if detected[i]:
            fluxes = fluxes_of_magnitude(sign[i], mag[i], mag_err[i], before[i], before_err[i], separation[i])
        else:  # the error is a fifth of the limiting flux
            fluxes = np.nan, _flux(limit[i]) / SNR_OF_LIMIT, np.nan, np.nan
        flux[i], flux_err[i], total_flux[i], total_flux_err[i] = fluxes


@njit(cache=True, nogil=True)
def forced_points(
    raw: Any,
    fid: Any,
    channel: Any,
    channel_known: Any,
    mjd: Any,
    band: Any,
    kind: Any,
    flux: Any,
    flux_err: Any,
    total_flux: Any,
    total_flux_err: Any,
    point_id: Any,
    detector: Any,
) -> None:
    """Write points of forced photometry, times still in UTC."""
    jd, exposure, zero, counts, counts_err, before, before_err, separation = raw
    for i in range(len(mjd)):
        mjd[i] = mid_exposure(jd[i], exposure[i])
        band[i] = fid[i] - 1 if 1 <= fid[i] <= 3 else -1
        kind[i] = FORCED
        point_id[i] = 0
        detector[i] = channel[i] if channel_known[i] else -1
        fluxes = _fluxes_of_counts(zero[i], counts[i], counts_err[i], before[i], before_err[i], separation[i])
        flux[i], flux_err[i], total_flux[i], total_flux_err[i] = fluxes
