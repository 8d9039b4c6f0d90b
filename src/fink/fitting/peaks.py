"""Time of maximum: one pulse of free shape, which each band scales by itself, fitted to the points about the maximum.

A black body with few parameters describes a whole light curve but leans on its tail, and puts the maximum of a type Ia
supernova four days early. Here only the points before the maximum, and those after it that are above 45 % of it,
speak, and the bands share nothing but the shape in time.
"""

from __future__ import annotations

from math import exp
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fink.fitting.points import Points
from fink.fitting.pulses import bazin_constants, by_roundness, pulse
from fink.fitting.rainbow import brightest_time, planck
from fink.fitting.solver import Fits, Model, Parameter, fit

KEEP_ABOVE = 0.45
"""After the maximum, points count while the pulse is higher than this share of it."""

SHAPE = (
    Parameter("peak_time"),
    Parameter("rise_time", 0.2, 100.0, log=True),
    Parameter("fall_time", 0.2, 500.0, log=True),
    Parameter("roundness", 0.1, 100.0, log=True),
)


@njit(cache=True, nogil=True, error_model="numpy")
def _curve(parameters: Any, constants: Any, time: Any, band: Any, value: Any, slopes: Any) -> None:
    """One pulse for all bands, of a height of its own in each."""
    form = bazin_constants(parameters[1], parameters[2], exp(parameters[3]))
    for j in range(len(time)):
        s = time[j] - parameters[0]
        height, by_time, by_rise, by_fall = pulse(s, form)
        scale = parameters[4 + band[j]]
        value[j] = scale * height
        for a in range(4, len(parameters)):
            slopes[j, a] = 0.0
        slopes[j, 0] = -scale * by_time
        slopes[j, 1] = scale * by_rise
        slopes[j, 2] = scale * by_fall
        slopes[j, 3] = scale * by_roundness(s, height, by_time)
        slopes[j, 4 + band[j]] = height


@njit(cache=True, nogil=True, error_model="numpy")
def _guess(constants: Any, time: Any, band: Any, value: Any, error: Any, starts: Any) -> int:
    """Start at the brightest time with a fast, a middling and a slow pulse."""
    peak = brightest_time(time, value, error)
    for k in range(3):
        starts[k, 0], starts[k, 3] = peak, 1.0
        starts[k, 1] = starts[k, 2] = k + 1.0
        for a in range(4, starts.shape[1]):
            starts[k, a] = 0.0
        for j in range(len(time)):
            starts[k, 4 + band[j]] = max(starts[k, 4 + band[j]], value[j])
    return 3


@njit(cache=True, nogil=True, error_model="numpy")
def _near_peak(offsets: Any, time: Any, solution: Any) -> Any:
    """Say which points lie before the peak of their row's pulse, or are above `KEEP_ABOVE` of it."""
    keep = np.zeros(len(time), np.bool_)
    for i in range(len(offsets) - 1):
        form = bazin_constants(solution[i, 2], solution[i, 3], 1.0)
        for j in range(offsets[i], offsets[i + 1]):
            s = time[j] - solution[i, 1]
            keep[j] = s <= 0.0 or pulse(s, form)[0] > KEEP_ABOVE
    return keep


@njit(cache=True, nogil=True, error_model="numpy")
def _black_body_heights(wavelengths: Any, amplitude: Any, temperature: Any) -> Any:
    """Flux of each row's black body in each band, (n, bands)."""
    out = np.empty((len(amplitude), len(wavelengths)))
    for i in range(len(amplitude)):
        for b in range(len(wavelengths)):
            out[i, b] = amplitude[i] * planck(wavelengths[b], temperature[i])[0]
    return out


PULSE = Model(_curve, _guess)


def common_pulse(points: Points, n_bands: int, starts: NDArray[np.float64] | None = None) -> Fits:
    """Fit one pulse to all bands of each row, of a height of its own in each.

    Returns
    -------
    Fits
        With ``peak_time``, ``rise_time``, ``fall_time`` [d], ``roundness`` (1 for the curve of Bazin et al. 2011) and
        ``height_0``… of each band.
    """
    heights = tuple(Parameter(f"height_{band}") for band in range(n_bands))
    return fit(PULSE, SHAPE + heights, points, starts=starts, min_points=len(SHAPE) + 1)


def time_of_maximum(points: Points, wavelengths: NDArray[np.float64], constant: Fits) -> Fits:
    """Measure the time of maximum light from the points about it.

    Parameters
    ----------
    points
        Fluxes, with the error floor that the fit is to have.
    wavelengths
        Of the bands [Angstrom].
    constant
        A Rainbow of Bazin's pulse and constant temperature fitted to the same points: it says which lie about the maximum.

    Returns
    -------
    Fits
        As from `common_pulse`. Accuracy on 576 transients of PLAsTiCC: ``make bench NAME=rainbow``.
    """
    shape = constant.solution[:, 1:4]
    heights = _black_body_heights(wavelengths, constant.value("amplitude"), constant.value("late_temperature"))
    starts = np.concatenate([shape[:, :1], shape[:, 1:] - 0.5, np.full((len(shape), 1), 1.0), heights], axis=1)
    near = points.select(_near_peak(points.offsets, points.time, constant.solution))
    return common_pulse(near, len(wavelengths), starts)
