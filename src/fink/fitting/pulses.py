"""Pulses: how the brightness of a transient rises and falls, with derivatives; all have the height 1 at their peak."""

from __future__ import annotations

from math import exp, inf, log, log1p
from typing import Any

from numba import njit

SHIFT, SHIFT_BY_RISE, SHIFT_BY_FALL = 3, 5, 6
"""Places, in what `bazin_constants` gives, of the time from the reference time to the peak and of its derivatives."""


@njit(cache=True, nogil=True, error_model="numpy")
def bazin_constants(log_rise: float, log_fall: float, roundness: float) -> Any:
    """Prepare a pulse that rises and falls exponentially, ``(exp(-s / (m rise)) + exp(s / (m fall))) ** -m`` with roundness ``m``.

    With ``m = 1`` it is the curve of Bazin et al. (2011), whose rise time is here that of the flux: ``1 / rise`` is
    their ``1 / tau_rise - 1 / tau_fall``. A larger ``m`` rounds the top and leaves the wings.
    """
    rise, fall = exp(log_rise), exp(log_fall)
    both, ratio = rise + fall, log_fall - log_rise
    half = roundness * rise * fall / both
    shift = half * ratio
    scale = roundness * log(exp(-shift / (roundness * rise)) + exp(shift / (roundness * fall)))
    by_rise, by_fall = half * (ratio * fall / both - 1.0), half * (ratio * rise / both + 1.0)
    return 1.0 / rise, 1.0 / fall, roundness, shift, scale, by_rise, by_fall, shift / both


@njit(cache=True, nogil=True, error_model="numpy")
def sigmoid_constants(log_rise: float) -> Any:
    """Prepare a pulse that rises and stays, ``1 / (1 + exp(-s / rise))``: time counts from half its height."""
    return exp(-log_rise), 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def pulse(since_peak: float, constants: Any) -> tuple[float, float, float, float]:
    """Give a pulse and its derivatives by time, logarithm of the rise time and logarithm of the fall time.

    Parameters
    ----------
    since_peak
        Time from the peak [d].
    constants
        From `bazin_constants` or `sigmoid_constants`.
    """
    rise_rate, fall_rate, roundness, shift, scale, shift_by_rise, shift_by_fall, scale_by_rise = constants
    s = since_peak + shift
    # in whichever of two equal forms does not overflow
    small = exp(-abs(s) * (rise_rate + fall_rate) / roundness)
    wing = scale - s * fall_rate if s > 0.0 else scale + s * rise_rate
    height = exp(wing) / (1.0 + small) if roundness == 1.0 else exp(wing - roundness * log1p(small))
    rising = small / (1.0 + small) if s > 0.0 else 1.0 / (1.0 + small)
    by_time = height * (rising * rise_rate - (1.0 - rising) * fall_rate)
    by_rise = height * (scale_by_rise - rising * s * rise_rate) + by_time * shift_by_rise
    by_fall = height * ((1.0 - rising) * s * fall_rate - scale_by_rise) + by_time * shift_by_fall
    return height, by_time, by_rise, by_fall


@njit(cache=True, nogil=True, error_model="numpy")
def by_roundness(since_peak: float, height: float, by_time: float) -> float:
    """Derivative of a pulse by the logarithm of its roundness."""
    return height * log(height) - by_time * since_peak if height > 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def linexp(since_peak: float, rate: float) -> tuple[float, float, float]:
    """Give ``v exp(1 - v)``, ``v = 1 + rate s``, zero where ``v < 0``, and its derivatives by time and by the rate.

    A linear rise and an exponential fall for a positive rate; an exponential rise and a linear fall for a negative one.
    """
    v = 1.0 + rate * since_peak
    if not 0.0 < v < inf:
        return 0.0, 0.0, 0.0
    slope = (1.0 - v) * exp(1.0 - v)
    return v * exp(1.0 - v), slope * rate, slope * since_peak
