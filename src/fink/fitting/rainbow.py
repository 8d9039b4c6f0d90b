"""Rainbow: one black body whose luminosity and temperature change with time, fitted to all bands together.

``flux(time, wavelength) = F(t) * planck(wavelength, T(t))`` after Russeil et al. 2024, doi:10.1051/0004-6361/202348158:
every point of every band speaks for the same few parameters, so that sparse light curves in many bands can be fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, expm1, inf, log, pi
from typing import Any, Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fink.fitting.points import Points
from fink.fitting.pulses import SHIFT, SHIFT_BY_FALL, SHIFT_BY_RISE, bazin_constants, linexp, pulse, sigmoid_constants
from fink.fitting.solver import Fits, Model, Parameter, fit

Bolometric = Literal["bazin", "sigmoid", "linexp"]
Temperature = Literal["constant", "sigmoid"]

BAZIN, SIGMOID, LINEXP = 0, 1, 2
SHAPES: dict[Bolometric, int] = {"bazin": BAZIN, "sigmoid": SIGMOID, "linexp": LINEXP}

HC_OVER_K = 1.438776877e8
"""Planck's constant times the speed of light over Boltzmann's constant [Angstrom K]."""

LIGHT = 2.99792458e18
"""Speed of light [Angstrom / s]."""

ERG_PER_NJY_HZ = 1e-32
"""A nJy Hz is so many erg / (cm2 s)."""

PEAK_WINDOW = 8.0
"""Points within these days of the brightest tell the first guess of the temperature [d]."""

_RISE, _FALL = Parameter("rise_time", 0.2, 100.0, log=True), Parameter("fall_time", 0.5, 500.0, log=True)
_SHAPE: dict[Bolometric, tuple[Parameter, ...]] = {
    "bazin": (_RISE, _FALL),
    "sigmoid": (_RISE,),
    "linexp": (Parameter("rate", -1.0, 1.0),),
}
_LATE = Parameter("late_temperature", 1000.0, 100_000.0, log=True)
_COOLING = (Parameter("early_temperature", 1000.0, 100_000.0, log=True), Parameter("cooling_time", 1.5, 300.0, log=True))
_NORM = 15.0 / pi**4


@njit(cache=True, nogil=True, error_model="numpy")
def planck(wavelength: float, temperature: float) -> tuple[float, float]:
    """Flux density of a black body of unit bolometric flux [1 / Hz], and its logarithmic derivative by the logarithm of temperature."""
    x = HC_OVER_K / (wavelength * temperature)
    if x > 500.0:
        return 0.0, x - 4.0
    rest = -expm1(-x)
    return _NORM * x**4 * exp(-x) / rest * wavelength / LIGHT, x / rest - 4.0


@njit(cache=True, nogil=True, error_model="numpy")
def _temperature(s: float, early: float, late: float, width: float) -> tuple[float, float, float]:
    """Give the temperature, the share of the early one in it, and its derivative by time."""
    small = exp(-abs(s) / width)
    share = small / (1.0 + small) if s > 0.0 else 1.0 / (1.0 + small)
    return late + (early - late) * share, share, -(early - late) * share * (1.0 - share) / width


@njit(cache=True, nogil=True, error_model="numpy")
def _curve(parameters: Any, constants: Any, time: Any, band: Any, value: Any, slopes: Any) -> None:
    """Fluxes and derivatives; the constants are the kind of pulse, whether it cools, whether bands have a baseline, and the wavelengths."""
    shape, cools, baseline = int(constants[0]), constants[1] > 0.0, constants[2] > 0.0
    n = 4 if shape == BAZIN else 3
    amplitude = exp(parameters[0])
    form = sigmoid_constants(parameters[2] if shape == SIGMOID else 0.0)
    if shape == BAZIN:
        form = bazin_constants(parameters[2], parameters[3], 1.0)
    early = late = exp(parameters[n])
    width, first_baseline = 1.0, n + 1
    if cools:
        early, width, first_baseline = exp(parameters[n + 1]), exp(parameters[n + 2]), n + 3
    for j in range(len(time)):
        s = time[j] - parameters[1]
        by_fall = 0.0
        if shape == LINEXP:
            height, by_time, by_rise = linexp(s, parameters[2])
        else:
            height, by_time, by_rise, by_fall = pulse(s, form)
        temperature, share, drift = late, 0.0, 0.0
        if cools:
            temperature, share, drift = _temperature(s + form[SHIFT], early, late, width)
        spectrum, by_log_temperature = planck(constants[3 + band[j]], temperature)
        spectrum *= amplitude
        by_temperature = height * spectrum * by_log_temperature / temperature
        drift *= by_temperature
        value[j] = height * spectrum
        slopes[j, 0] = value[j]
        slopes[j, 1] = -by_time * spectrum - drift
        slopes[j, 2] = by_rise * spectrum + drift * form[SHIFT_BY_RISE]
        if shape == BAZIN:
            slopes[j, 3] = by_fall * spectrum + drift * form[SHIFT_BY_FALL]
        slopes[j, n] = by_temperature * late * (1.0 - share)
        if cools:
            slopes[j, n + 1] = by_temperature * early * share
            slopes[j, n + 2] = -drift * (s + form[SHIFT])
        if baseline:
            value[j] += parameters[first_baseline + band[j]]
            for a in range(first_baseline, len(parameters)):
                slopes[j, a] = 1.0 if a == first_baseline + band[j] else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def brightest_time(time: Any, value: Any, error: Any) -> Any:
    """Time of the significant point about which most signal lies; of the highest point where none is significant."""
    best, peak, first, highest = -inf, time[0], 0, -inf
    for j in range(len(time)):
        while time[first] < time[j] - PEAK_WINDOW:
            first += 1
        if best == -inf and value[j] > highest:
            highest, peak = value[j], time[j]
        if value[j] < 3.0 * error[j]:
            continue
        total, i = 0.0, first
        while i < len(time) and time[i] <= time[j] + PEAK_WINDOW:
            total += value[i] / error[i]
            i += 1
        if total > best:
            best, peak = total, time[j]
    return peak


@njit(cache=True, nogil=True, error_model="numpy")
def _black_body_at(peak: float, constants: Any, time: Any, band: Any, value: Any, error: Any) -> tuple[float, float]:
    """Find the black body that suits the points about the peak best: its temperature and bolometric flux."""
    best, temperature, amplitude = -inf, 7000.0, 1.0
    for step in range(8):
        trial = 3500.0 * 1.4**step
        product = square = 0.0
        for j in range(len(time)):
            if abs(time[j] - peak) < PEAK_WINDOW:
                spectrum, _ = planck(constants[3 + band[j]], trial)
                product += spectrum * value[j] / error[j] ** 2
                square += (spectrum / error[j]) ** 2
        if product > 0.0 and product * product / square > best:
            best, temperature, amplitude = product * product / square, trial, product / square
    return temperature, amplitude


@njit(cache=True, nogil=True, error_model="numpy")
def _guess(constants: Any, time: Any, band: Any, value: Any, error: Any, starts: Any) -> int:
    """Start at the brightest time with a black body that suits it: a fast, a middling and a slow transient."""
    shape, cools = int(constants[0]), constants[1] > 0.0
    n = 4 if shape == BAZIN else 3
    peak = brightest_time(time, value, error)
    temperature, amplitude = _black_body_at(peak, constants, time, band, value, error)
    for k in range(3):
        for a in range(starts.shape[1]):
            starts[k, a] = 0.0
        starts[k, 0], starts[k, 1], starts[k, n] = log(amplitude), peak, log(temperature)
        slow = 3.0**k
        starts[k, 2] = 0.05 * (1.0 - k) if shape == LINEXP else log(1.5 * slow)
        if shape == BAZIN:
            starts[k, 3] = log(10.0 * slow)
        if cools:
            starts[k, n + 1], starts[k, n + 2] = log(1.2 * temperature), log(10.0 * slow)
    return 3


RAINBOW = Model(_curve, _guess)


@dataclass(frozen=True)
class Rainbow:
    """Which Rainbow to fit.

    Parameters
    ----------
    wavelengths
        Effective wavelength of each band that points count [Angstrom].
    bolometric
        How the luminosity changes: ``bazin`` rises and falls, ``sigmoid`` rises and stays, ``linexp`` is linear on
        one side and exponential on the other.
    temperature
        ``constant``, or ``sigmoid``: from one temperature to another about the reference time of the pulse.
    baseline
        Whether each band has a constant flux of its own below the transient.
    """

    wavelengths: Sequence[float]
    bolometric: Bolometric = "bazin"
    temperature: Temperature = "sigmoid"
    baseline: bool = False

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What is fitted, in order."""
        cooling = _COOLING if self.temperature == "sigmoid" else ()
        baselines = tuple(Parameter(f"baseline_{band}") for band in range(len(self.wavelengths))) if self.baseline else ()
        start = (Parameter("amplitude", 1e-10, 1e60, log=True), Parameter("peak_time"))
        return (*start, *_SHAPE[self.bolometric], _LATE, *cooling, *baselines)

    @property
    def constants(self) -> tuple[float, ...]:
        """What the compiled functions take."""
        return (SHAPES[self.bolometric], self.temperature == "sigmoid", self.baseline, *self.wavelengths)

    @property
    def constant(self) -> Rainbow:
        """The same with a constant temperature."""
        return Rainbow(self.wavelengths, self.bolometric, "constant", self.baseline)

    def fit(self, points: Points, *, min_points: int = 0, constant: Fits | None = None) -> Fits:
        """Fit it to each row of points.

        A temperature that changes is fitted from the best constant one: that is faster, and ends in a lower minimum,
        than to begin with all parameters at once.

        Parameters
        ----------
        points
            Fluxes [nJy].
        min_points
            Rows with fewer points are not fitted; in any case as many are needed as there are parameters.
        constant
            What `constant` gave on the same points, where that is known.

        Returns
        -------
        Fits
            With ``amplitude``, the bolometric flux at the peak of the pulse [nJy Hz]; ``peak_time`` [d] (of a sigmoid,
            half its rise); ``rise_time`` and ``fall_time``, e-folding times [d], or ``rate`` [1 / d]; ``late_temperature``
            and, where it changes, ``early_temperature`` [K] and ``cooling_time`` [d]; ``baseline_0``… [nJy].
        """
        enough = max(min_points, len(self.parameters) - self.baseline * len(self.wavelengths))
        starts = None
        if self.temperature == "sigmoid":
            starts = self._cooling(constant or self.constant.fit(points, min_points=enough))
        return fit(RAINBOW, self.parameters, points, constants=self.constants, starts=starts, min_points=enough)

    def _cooling(self, found: Fits) -> NDArray[np.float64]:
        """Let a fit of constant temperature begin to cool."""
        n = found.index("late_temperature")
        before, temperature, after = found.solution[:, :n], found.solution[:, n : n + 1], found.solution[:, n + 1 :]
        width = np.log(found.value("fall_time")) if self.bolometric == "bazin" else np.full(len(found), np.log(20.0))
        return np.concatenate([before, temperature - 0.15, temperature + 0.25, width[:, None], after], axis=1)
