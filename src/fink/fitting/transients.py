"""Curves for one band at a time: Bazin's pulse, a sigmoid, a two-exponential flare, a power-law decay, and the fading of afterglows.

Each function fits its curve to every row of points; `Points.by_band` makes a row of each band of a light curve.
"""

from __future__ import annotations

from math import exp, expm1, inf, log
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fink.fitting.points import Points
from fink.fitting.pulses import bazin_constants, pulse, sigmoid_constants
from fink.fitting.solver import Fits, Model, Parameter, fit

_RISE, _FALL = Parameter("rise_time", 0.1, 300.0, log=True), Parameter("fall_time", 0.1, 1000.0, log=True)


@njit(cache=True, nogil=True, error_model="numpy")
def _highest(value: Any, error: Any) -> int:
    """Find the highest point, less its error so that a bad one does not win."""
    best = 0
    for j in range(len(value)):
        if value[j] - error[j] > value[best] - error[best]:
            best = j
    return best


@njit(cache=True, nogil=True, error_model="numpy")
def _bazin(parameters: Any, constants: Any, time: Any, band: Any, value: Any, slopes: Any) -> None:
    """Height, time of the peak, logarithms of rise and fall time, level below."""
    form = bazin_constants(parameters[2], parameters[3], 1.0)
    for j in range(len(time)):
        height, by_time, by_rise, by_fall = pulse(time[j] - parameters[1], form)
        value[j] = parameters[0] * height + parameters[4]
        slopes[j, 0], slopes[j, 1], slopes[j, 4] = height, -parameters[0] * by_time, 1.0
        slopes[j, 2], slopes[j, 3] = parameters[0] * by_rise, parameters[0] * by_fall


@njit(cache=True, nogil=True, error_model="numpy")
def _guess_bazin(constants: Any, time: Any, band: Any, value: Any, error: Any, starts: Any) -> int:
    top = _highest(value, error)
    for k in range(3):
        starts[k, 0], starts[k, 1], starts[k, 4] = value[top], time[top], 0.0
        starts[k, 2], starts[k, 3] = log(2.0 * 3.0**k), log(10.0 * 3.0**k)
    return 3


def fit_bazin(points: Points, *, baseline: bool = False) -> Fits:
    """Fit a pulse that rises and falls exponentially (Bazin et al. 2011, doi:10.1051/0004-6361/201116898).

    Parameters
    ----------
    points
        Rows of one band each.
    baseline
        Whether the level below the pulse is free; 0 otherwise.

    Returns
    -------
    Fits
        With ``amplitude`` (the height of the peak) and ``baseline`` in the unit of the values, ``peak_time``,
        ``rise_time`` and ``fall_time`` [d], the e-folding times of the flux far before and far after the peak.
    """
    level = Parameter("baseline") if baseline else Parameter("baseline", 0.0, 0.0)
    parameters = (Parameter("amplitude", 0.0), Parameter("peak_time"), _RISE, _FALL, level)
    return fit(Model(_bazin, _guess_bazin), parameters, points, min_points=5 + baseline)


@njit(cache=True, nogil=True, error_model="numpy")
def _sigmoid(parameters: Any, constants: Any, time: Any, band: Any, value: Any, slopes: Any) -> None:
    """Height, time of half height, logarithm of the rise time."""
    form = sigmoid_constants(parameters[2])
    for j in range(len(time)):
        height, by_time, by_rise, _ = pulse(time[j] - parameters[1], form)
        value[j] = parameters[0] * height
        slopes[j, 0], slopes[j, 1], slopes[j, 2] = height, -parameters[0] * by_time, parameters[0] * by_rise


@njit(cache=True, nogil=True, error_model="numpy")
def _guess_sigmoid(constants: Any, time: Any, band: Any, value: Any, error: Any, starts: Any) -> int:
    """Start where half of the highest flux is first passed, with a fast, a middling and a slow rise."""
    top = _highest(value, error)
    half = 0
    while half < top and value[half] < 0.5 * value[top]:
        half += 1
    for k in range(3):
        starts[k, 0], starts[k, 1], starts[k, 2] = value[top] * (1.0 + 0.3 * k), time[half], log(0.5 * 4.0**k)
    return 3


def fit_sigmoid(points: Points) -> Fits:
    """Fit a rise that ends in a plateau, ``amplitude / (1 + exp(-(t - half_time) / rise_time))``.

    It is what the early classification of type Ia supernovae takes (Leoni et al. 2022, doi:10.1051/0004-6361/202142715),
    whose ``a``, ``b`` and ``c`` are ``1 / rise_time``, ``half_time`` and ``amplitude``.

    Returns
    -------
    Fits
        With ``amplitude`` in the unit of the values, ``half_time`` and ``rise_time`` [d].
    """
    parameters = (Parameter("amplitude", 0.0), Parameter("half_time"), Parameter("rise_time", 0.01, 300.0, log=True))
    return fit(Model(_sigmoid, _guess_sigmoid), parameters, points, min_points=4)


@njit(cache=True, nogil=True, error_model="numpy")
def _two_exponential(parameters: Any, constants: Any, time: Any, band: Any, value: Any, slopes: Any) -> None:
    """Scale, onset, logarithms of rise and fall time."""
    rise, fall = exp(parameters[2]), exp(parameters[3])
    for j in range(len(time)):
        s = time[j] - parameters[1]
        if s <= 0.0:
            value[j] = slopes[j, 0] = slopes[j, 1] = slopes[j, 2] = slopes[j, 3] = 0.0
            continue
        growth, decay = exp(-s / rise), exp(-s / fall)
        unit = -expm1(-s / rise) * decay
        value[j] = parameters[0] * unit
        slopes[j, 0] = unit
        slopes[j, 1] = parameters[0] * (unit / fall - growth * decay / rise)
        slopes[j, 2] = -parameters[0] * growth * decay * s / rise
        slopes[j, 3] = value[j] * s / fall


@njit(cache=True, nogil=True, error_model="numpy")
def _guess_two_exponential(constants: Any, time: Any, band: Any, value: Any, error: Any, starts: Any) -> int:
    """Start at the last faint point before the peak and earlier (points before the onset pull at nothing), fast to slow."""
    top = _highest(value, error)
    faint = top
    while faint > 0 and value[faint] > max(0.2 * value[top], 2.0 * error[faint]):
        faint -= 1
    count = 0
    for slow in (1.0, 4.0, 16.0):
        for lead in (0.0, 1.0):
            starts[count, 0], starts[count, 1] = 1.5 * value[top], min(time[faint] - lead * slow, time[top] - 0.3 * slow)
            starts[count, 2], starts[count, 3] = log(0.5 * slow), log(4.0 * slow)
            count += 1
    return count


def fit_two_exponential(points: Points) -> Fits:
    """Fit a flare with a beginning, ``scale (1 - exp(-s / rise_time)) exp(-s / fall_time)`` with ``s = t - onset``, zero before.

    Returns
    -------
    Fits
        With ``scale`` in the unit of the values, ``onset``, ``rise_time`` and ``fall_time`` [d].
    """
    parameters = (Parameter("scale", 0.0), Parameter("onset"), _RISE, _FALL)
    return fit(Model(_two_exponential, _guess_two_exponential), parameters, points, min_points=5)


@njit(cache=True, nogil=True, error_model="numpy")
def _power_law(parameters: Any, constants: Any, time: Any, band: Any, value: Any, slopes: Any) -> None:
    """Flux where time is 0, index, logarithm of the time from the onset to there."""
    lead = exp(parameters[2])
    for j in range(len(time)):
        ratio = (time[j] + lead) / (1.0 + lead)
        unit = ratio ** -parameters[1] if ratio > 0.0 else 0.0
        value[j] = parameters[0] * unit
        slopes[j, 0] = unit
        slopes[j, 1] = -value[j] * log(ratio) if ratio > 0.0 else 0.0
        slopes[j, 2] = -parameters[1] * value[j] * (1.0 / (time[j] + lead) - 1.0 / (1.0 + lead)) * lead if ratio > 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _guess_power_law(constants: Any, time: Any, band: Any, value: Any, error: Any, starts: Any) -> int:
    """Start with the usual slopes of afterglows, and with onsets from minutes to days before the first point."""
    count = 0
    for lead in (-6.0, -3.0, 0.0, 2.0):
        for index in (0.8, 2.0):
            first = (time[0] + exp(lead)) / (1.0 + exp(lead))
            starts[count, 0] = value[0] * (first**index if first > 0.0 else 1.0)
            starts[count, 1], starts[count, 2] = index, lead
            count += 1
    return count


def fit_power_law(points: Points, onset: NDArray[np.float64] | None = None) -> Fits:
    """Fit a power-law decay, ``flux (t - onset) ** -index``.

    Parameters
    ----------
    points
        Rows of one band each; points at or before a given onset do not count.
    onset
        (n,) time when the decay began, where it is known [d]; free otherwise.

    Returns
    -------
    Fits
        With ``flux_at_1d``, the flux one day after the first point (after a given onset) in the unit of the values;
        ``index``; and ``lead``, the time from the onset to the first point [d], held at 0 for a given onset.
    """
    flux, index = Parameter("flux_at_1d", 0.0), Parameter("index", -1.0, 10.0)
    model = Model(_power_law, _guess_power_law)
    if onset is not None:
        since = points.since(onset)
        held = Parameter("lead", exp(-60.0), exp(-60.0), log=True)
        return fit(model, (flux, index, held), since.select(since.time > 0.0), min_points=3)
    filled = np.diff(points.offsets) > 0
    first = np.zeros(len(points))
    first[filled] = points.time[points.offsets[:-1][filled]]
    return fit(model, (flux, index, Parameter("lead", 1e-4, 100.0, log=True)), points.since(first), min_points=4)


@njit(cache=True, nogil=True, error_model="numpy")
def _afterglow(parameters: Any, constants: Any, time: Any, band: Any, value: Any, slopes: Any) -> None:
    """Slope, level, height and rate of ``A t + B + C exp(-D t)``."""
    for j in range(len(time)):
        decay = exp(min(-parameters[3] * time[j], 300.0))
        value[j] = parameters[0] * time[j] + parameters[1] + parameters[2] * decay
        slopes[j, 0], slopes[j, 1], slopes[j, 2] = time[j], 1.0, decay
        slopes[j, 3] = -parameters[2] * time[j] * decay


@njit(cache=True, nogil=True, error_model="numpy")
def _guess_afterglow(constants: Any, time: Any, band: Any, value: Any, error: Any, starts: Any) -> int:
    """Start from a straight line through first and last point, with early bends of several lengths."""
    last = len(time) - 1
    span = max(time[last] - time[0], 1e-3)
    count = 0
    for rate in (0.5, 3.0, 15.0):
        for height in (-0.5, 0.5):
            starts[count, 0], starts[count, 1] = (value[last] - value[0]) / span, value[0] - height
            starts[count, 2], starts[count, 3] = height, min(rate / span, 9.0)
            count += 1
    return count


def fit_afterglow(points: Points) -> Fits:
    """Fit the magnitudes of an orphan afterglow, ``A t + B + C exp(-D t)`` (Masson & Bregeon 2024, arXiv:2412.05061).

    Parameters
    ----------
    points
        Rows of magnitudes; time counts from the first point, so that the parameters do not depend on the calendar.

    Returns
    -------
    Fits
        With ``slope`` A [mag / d], ``level`` B [mag], ``height`` C [mag] and ``rate`` D [1 / d], within the paper's limits.
    """
    parameters = (
        Parameter("slope", -1e4, 1e4),
        Parameter("level", -1e6, 1e6),
        Parameter("height", -1e7, 1e7),
        Parameter("rate", -0.03, 10.0),
    )
    first = np.full(len(points), inf)
    np.minimum.at(first, points.owners(), points.time)
    return fit(Model(_afterglow, _guess_afterglow), parameters, points.since(first), min_points=5)
