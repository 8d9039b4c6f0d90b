"""Microlensing by a point lens of a point source (Paczynski 1986, doi:10.1086/164140), with blended light in every band."""

from __future__ import annotations

from math import exp, log, sqrt
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fink.fitting.points import Points
from fink.fitting.solver import Fits, Model, Parameter, fit

SHAPE = (
    Parameter("peak_time"),
    Parameter("einstein_time", 0.1, 3000.0, log=True),
    Parameter("impact", 1e-3, 2.0, log=True),
)


@njit(cache=True, nogil=True, error_model="numpy")
def magnification(square: float) -> float:
    """Magnification of the source at a squared distance from the lens, in Einstein radii."""
    return (square + 2.0) / sqrt(square * (square + 4.0))


@njit(cache=True, nogil=True, error_model="numpy")
def _curve(parameters: Any, constants: Any, time: Any, band: Any, value: Any, slopes: Any) -> None:
    """Time of the peak, logarithms of Einstein time and impact parameter, then source flux and baseline of each band."""
    size = len(parameters)
    timescale, impact = exp(parameters[1]), exp(parameters[2])
    for j in range(len(time)):
        along = (time[j] - parameters[0]) / timescale
        square = impact * impact + along * along
        root = sqrt(square * (square + 4.0))
        excess = (square + 2.0) / root - 1.0
        b = 3 + 2 * band[j]
        value[j] = parameters[b + 1] + parameters[b] * excess
        # derivative of the flux by half the squared distance
        slope = -8.0 * parameters[b] / (root * root * root)
        for a in range(3, size):
            slopes[j, a] = 0.0
        slopes[j, 0] = -slope * along / timescale
        slopes[j, 1] = -slope * along * along
        slopes[j, 2] = slope * impact * impact
        slopes[j, b], slopes[j, b + 1] = excess, 1.0


@njit(cache=True, nogil=True, error_model="numpy")
def _fluxes_for(start: Any, time: Any, band: Any, value: Any, error: Any) -> None:
    """Fill source flux and baseline of each band with the best ones for the shape of a start."""
    timescale, impact = exp(start[1]), exp(start[2])
    for b in range((len(start) - 3) // 2):
        w = wx = wy = wxx = wxy = 0.0
        for j in range(len(time)):
            if band[j] == b:
                along = (time[j] - start[0]) / timescale
                x, weight = magnification(impact * impact + along * along) - 1.0, 1.0 / error[j] ** 2
                w += weight
                wx += weight * x
                wy += weight * value[j]
                wxx += weight * x * x
                wxy += weight * x * value[j]
        spread = wxx * w - wx * wx
        source = max((wxy * w - wx * wy) / spread, 0.0) if spread > 1e-12 * wxx * w else 0.0
        start[3 + 2 * b] = source
        start[4 + 2 * b] = (wy - source * wx) / w if w > 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _most_excess(time: Any, band: Any, value: Any, error: Any, n_bands: int) -> Any:
    """Time of the point about which the flux stands most significantly above its band's mean."""
    mean, weights = np.zeros(n_bands), np.zeros(n_bands)
    for j in range(len(time)):
        weights[band[j]] += 1.0 / error[j] ** 2
        mean[band[j]] += value[j] / error[j] ** 2
    best, peak = -np.inf, time[0]
    for j in range(len(time)):
        total = 0.0
        for i in range(max(j - 2, 0), min(j + 3, len(time))):
            total += (value[i] - mean[band[i]] / weights[band[i]]) / error[i]
        if total > best:
            best, peak = total, time[j]
    return peak


@njit(cache=True, nogil=True, error_model="numpy")
def _guess(constants: Any, time: Any, band: Any, value: Any, error: Any, starts: Any) -> int:
    """Start at the highest place with events of several lengths, near and not so near the source."""
    peak = _most_excess(time, band, value, error, (starts.shape[1] - 3) // 2)
    count = 0
    for timescale in (6.0, 25.0, 100.0):
        for impact in (0.1, 0.6):
            starts[count, 0], starts[count, 1], starts[count, 2] = peak, log(timescale), log(impact)
            _fluxes_for(starts[count], time, band, value, error)
            count += 1
    return count


PSPL = Model(_curve, _guess)


def fit_pspl(points: Points, n_bands: int) -> Fits:
    """Fit ``source (A(t) - 1) + baseline`` in every band, with one magnification A for all.

    The baseline is the flux of source and blend together, unmagnified, so that the blend is ``baseline - source``; on
    difference fluxes it is whatever the template left.

    Returns
    -------
    Fits
        With ``peak_time`` and ``einstein_time`` [d], ``impact`` [Einstein radii], and ``source_0``, ``baseline_0``… of
        each band in the unit of the values. A row needs three points more than parameters of the bands that it has.
    """
    fluxes = tuple(p for band in range(n_bands) for p in (Parameter(f"source_{band}", 0.0), Parameter(f"baseline_{band}")))
    return fit(PSPL, SHAPE + fluxes, points, min_points=8)


def reduced_chi2_of_constancy(points: Points, n_bands: int) -> NDArray[np.float64]:
    """Chi-square of a constant flux in each band over its degrees of freedom, (n,): what a lens has to beat."""
    return np.asarray(_constancy(points.offsets, points.band, points.value, points.error, n_bands))


@njit(cache=True, nogil=True, error_model="numpy")
def _constancy(offsets: Any, band: Any, value: Any, error: Any, n_bands: int) -> Any:
    out = np.full(len(offsets) - 1, np.nan)
    for i in range(len(out)):
        mean, weights = np.zeros(n_bands), np.zeros(n_bands)
        for j in range(offsets[i], offsets[i + 1]):
            weight = 1.0 / error[j] ** 2
            weights[band[j]] += weight
            mean[band[j]] += weight * (value[j] - mean[band[j]]) / weights[band[j]]
        degrees, total = offsets[i + 1] - offsets[i], 0.0
        for b in range(n_bands):
            degrees -= weights[b] > 0.0
        for j in range(offsets[i], offsets[i + 1]):
            total += ((value[j] - mean[band[j]]) / error[j]) ** 2
        if degrees > 0:
            out[i] = total / degrees
    return out
