"""Curves of transients: Bazin's pulse, a sigmoid, a two-exponential flare, a power-law decay, and the fading of afterglows.

Each function fits its curve to every row of points. Bazin's pulse and the sigmoid take one band at a time, for which
`Points.by_band` makes a row of each band; the others fit all bands of a row together.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, expm1, log, log10
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fink.fitting.points import Points
from fink.fitting.pulses import bazin_constants, pulse, sigmoid_constants
from fink.fitting.solver import Fits, Model, Parameter, fit

SPECTRAL_INDEX, SYNCHROTRON_INDEX = (-3.0, 5.0), (0.6, 1.1)
"""Bounds of the spectral index: of any source that glows, and of the electrons of an afterglow of index 2.2."""

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


BAZIN = Model(_bazin, _guess_bazin)
BAZIN_PARAMETERS = (Parameter("amplitude", 0.0), Parameter("peak_time"), _RISE, _FALL)
"""The pulse without the level below it, which comes last."""

NO_LEVEL = Parameter("baseline", 0.0, 0.0)
"""A level below the pulse that is held at zero."""


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
    level = Parameter("baseline") if baseline else NO_LEVEL
    return fit(BAZIN, (*BAZIN_PARAMETERS, level), points, min_points=5 + baseline)


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
    """Start with half of the highest flux where it is first passed, fast to slow; and with the rise before and after the points."""
    top = _highest(value, error)
    half = 0
    while half < top and value[half] < 0.5 * value[top]:
        half += 1
    first, span = time[0], max(time[len(time) - 1] - time[0], 0.5)
    for k in range(3):
        starts[k, 0], starts[k, 1], starts[k, 2] = value[top] * (1.0 + 0.3 * k), time[half], log(0.5 * 4.0**k)
    # what the first point lacks of the highest says how far the rise had gone there
    lack = min(max(1.0 - value[0] / value[top], 0.01), 0.9) if value[top] > 0.0 else 0.5
    for k in range(3, 6):
        rise = 0.3 * span if k == 3 else 1.5 if k == 4 else 0.1 * span
        starts[k, 0], starts[k, 1], starts[k, 2] = value[top], first - rise * log(1.0 / lack - 1.0), log(rise)
    starts[6, 0], starts[6, 1], starts[6, 2] = 2.0 * value[top], first + span, log(0.3 * span)
    return 7


SIGMOID = Model(_sigmoid, _guess_sigmoid)
SIGMOID_PARAMETERS = (Parameter("amplitude", 0.0), Parameter("half_time"), Parameter("rise_time", 0.01, 300.0, log=True))


def fit_sigmoid(points: Points) -> Fits:
    """Fit a rise that ends in a plateau, ``amplitude / (1 + exp(-(t - half_time) / rise_time))``.

    It is what the early classification of type Ia supernovae takes (Leoni et al. 2022, doi:10.1051/0004-6361/202142715),
    whose ``a``, ``b`` and ``c`` are ``1 / rise_time``, ``half_time`` and ``amplitude``.

    Returns
    -------
    Fits
        With ``amplitude`` in the unit of the values, ``half_time`` and ``rise_time`` [d].
    """
    return fit(SIGMOID, SIGMOID_PARAMETERS, points, min_points=4)


@njit(cache=True, nogil=True, error_model="numpy")
def _two_exponential(parameters: Any, constants: Any, time: Any, band: Any, value: Any, slopes: Any) -> None:
    """Onset, logarithms of rise and fall time, scale of each band."""
    rise, fall = exp(parameters[1]), exp(parameters[2])
    for j in range(len(time)):
        for a in range(len(parameters)):
            slopes[j, a] = 0.0
        s, scale = time[j] - parameters[0], parameters[3 + band[j]]
        if s <= 0.0:
            value[j] = 0.0
            continue
        growth, decay = exp(-s / rise), exp(-s / fall)
        unit = -expm1(-s / rise) * decay
        value[j] = scale * unit
        slopes[j, 0] = scale * (unit / fall - growth * decay / rise)
        slopes[j, 1] = -scale * growth * decay * s / rise
        slopes[j, 2] = value[j] * s / fall
        slopes[j, 3 + band[j]] = unit


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
            starts[count, 0] = min(time[faint] - lead * slow, time[top] - 0.3 * slow)
            starts[count, 1], starts[count, 2] = log(0.5 * slow), log(4.0 * slow)
            for a in range(3, starts.shape[1]):
                starts[count, a] = 0.0
            for j in range(len(time)):
                starts[count, 3 + band[j]] = max(starts[count, 3 + band[j]], 1.5 * value[j])
            count += 1
    return count


TWO_EXPONENTIAL = Model(_two_exponential, _guess_two_exponential)
TWO_EXPONENTIAL_TIMES = (Parameter("onset"), _RISE, _FALL)
"""What bands share; the scale of each follows."""


def fit_two_exponential(points: Points, n_bands: int = 1) -> Fits:
    """Fit a flare with a beginning, ``scale (1 - exp(-s / rise_time)) exp(-s / fall_time)`` with ``s = t - onset``, zero before.

    Bands share the times; each has a scale of its own.

    Returns
    -------
    Fits
        With ``onset``, ``rise_time`` and ``fall_time`` [d], and ``scale_0``… of each band in the unit of the values.
    """
    scales = tuple(Parameter(f"scale_{band}", 0.0) for band in range(n_bands))
    return fit(TWO_EXPONENTIAL, (*TWO_EXPONENTIAL_TIMES, *scales), points, min_points=5)


@njit(cache=True, nogil=True, error_model="numpy")
def _power_law(parameters: Any, constants: Any, time: Any, band: Any, value: Any, slopes: Any) -> None:
    """Flux where time is 1, index, logarithm of the time from the onset to 0, spectral index; the constants are the wavelengths."""
    lead, coloured = exp(parameters[2]), len(constants) > 0
    for j in range(len(time)):
        ratio = (time[j] + lead) / (1.0 + lead)
        bluer = log(constants[band[j]] / constants[band[0]]) if coloured else 0.0
        unit = ratio ** -parameters[1] * exp(parameters[3] * bluer) if ratio > 0.0 else 0.0
        value[j] = parameters[0] * unit
        slopes[j, 0] = unit
        slopes[j, 1] = -value[j] * log(ratio) if ratio > 0.0 else 0.0
        slopes[j, 2] = -parameters[1] * value[j] * (1.0 / (time[j] + lead) - 1.0 / (1.0 + lead)) * lead if ratio > 0.0 else 0.0
        slopes[j, 3] = value[j] * bluer


@njit(cache=True, nogil=True, error_model="numpy")
def _guess_power_law(constants: Any, time: Any, band: Any, value: Any, error: Any, starts: Any) -> int:
    """Start with the usual slopes of afterglows, and with onsets from minutes to days before the first point."""
    count = 0
    for lead in (-6.0, -3.0, 0.0, 2.0):
        for index in (0.8, 2.0):
            first = (time[0] + exp(lead)) / (1.0 + exp(lead))
            starts[count, 0] = value[0] * (first**index if first > 0.0 else 1.0)
            starts[count, 1], starts[count, 2], starts[count, 3] = index, lead, 0.8
            count += 1
    return count


def fit_power_law(points: Points, onset: NDArray[np.float64] | None = None, wavelengths: Sequence[float] = ()) -> Fits:
    """Fit a power-law decay in time and, where wavelengths are given, in frequency: ``flux (t - onset) ** -index nu ** -spectral_index``.

    Parameters
    ----------
    points
        Rows of one band each, or of all bands; points at or before a given onset do not count.
    onset
        (n,) time when the decay began, where it is known [d]; free otherwise.
    wavelengths
        Of each band that points count [Angstrom]. Without them all points are taken for one band.

    Returns
    -------
    Fits
        With ``flux_at_1d``, the flux one day after the first point (after a given onset), in its band and the unit of
        the values; ``index``; ``lead``, the time from the onset to the first point [d], held at 0 for a given onset;
        and ``spectral_index``, which one band does not measure.
    """
    flux, index = Parameter("flux_at_1d", 0.0), Parameter("index", -1.0, 10.0)
    colour = Parameter("spectral_index", *SPECTRAL_INDEX) if len(wavelengths) else Parameter("spectral_index", 0.0, 0.0)
    model = Model(_power_law, _guess_power_law)
    if onset is not None:
        since = points.since(onset)
        held = Parameter("lead", exp(-60.0), exp(-60.0), log=True)
        return fit(model, (flux, index, held, colour), since.select(since.time > 0.0), constants=wavelengths, min_points=3)
    lead = Parameter("lead", 1e-4, 100.0, log=True)
    return fit(model, (flux, index, lead, colour), points.since(_first(points)), constants=wavelengths, min_points=4)


def _first(points: Points) -> NDArray[np.float64]:
    """Time of the first point of each row, (n,) [d]; 0 for a row without points."""
    filled = np.diff(points.offsets) > 0
    first = np.zeros(len(points))
    first[filled] = points.time[points.offsets[:-1][filled]]
    return first


@njit(cache=True, nogil=True, error_model="numpy")
def _afterglow(parameters: Any, constants: Any, time: Any, band: Any, value: Any, slopes: Any) -> None:
    """Slope, level, height and rate of ``A t + B + C exp(-D t)``, spectral index; the constants are the wavelengths."""
    coloured = len(constants) > 0
    for j in range(len(time)):
        decay = exp(min(-parameters[3] * time[j], 300.0))
        redder = -2.5 * log10(constants[band[j]] / constants[band[0]]) if coloured else 0.0
        value[j] = parameters[0] * time[j] + parameters[1] + parameters[2] * decay + parameters[4] * redder
        slopes[j, 0], slopes[j, 1], slopes[j, 2] = time[j], 1.0, decay
        slopes[j, 3] = -parameters[2] * time[j] * decay
        slopes[j, 4] = redder


@njit(cache=True, nogil=True, error_model="numpy")
def _guess_afterglow(constants: Any, time: Any, band: Any, value: Any, error: Any, starts: Any) -> int:
    """Start from a straight line through first and last point, with early bends of several lengths."""
    last = len(time) - 1
    span = max(time[last] - time[0], 1e-3)
    count = 0
    for rate in (0.5, 3.0, 15.0):
        for height in (-0.5, 0.5):
            starts[count, 0], starts[count, 1] = (value[last] - value[0]) / span, value[0] - height
            starts[count, 2], starts[count, 3], starts[count, 4] = height, min(rate / span, 9.0), 0.8
            count += 1
    return count


def fit_afterglow(points: Points, wavelengths: Sequence[float] = ()) -> Fits:
    """Fit the magnitudes of an orphan afterglow, ``A t + B + C exp(-D t)`` (Masson & Bregeon 2024, arXiv:2412.05061).

    Parameters
    ----------
    points
        Rows of magnitudes; time counts from the first point, so that the parameters do not depend on the calendar.
    wavelengths
        Of each band that points count [Angstrom]: bands then differ as by synchrotron radiation, ``nu ** -spectral_index``
        with the indices 0.6 to 1.1 that the paper allows. Without them all points are taken for one band.

    Returns
    -------
    Fits
        With ``slope`` A [mag / d], ``level`` B [mag] in the band of the first point, ``height`` C [mag] and ``rate`` D
        [1 / d], within the paper's limits, and ``spectral_index``, which one band does not measure.
    """
    parameters = (
        Parameter("slope", -1e4, 1e4),
        Parameter("level", -1e6, 1e6),
        Parameter("height", -1e7, 1e7),
        Parameter("rate", -0.03, 10.0),
        Parameter("spectral_index", *SYNCHROTRON_INDEX) if len(wavelengths) else Parameter("spectral_index", 0.0, 0.0),
    )
    return fit(Model(_afterglow, _guess_afterglow), parameters, points.since(_first(points)), constants=wavelengths, min_points=5)
