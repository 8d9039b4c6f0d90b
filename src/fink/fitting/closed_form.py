"""Estimates from noisy fluxes in closed form: the ratio of two of them, and a straight line through many."""

from __future__ import annotations

from math import erfc, exp, inf, pi, sqrt
from typing import Any

import numpy as np
from numba import njit

Z_95 = 1.6448536269514722
"""The 95 % quantile of the normal distribution: 5 % lie beyond it on either side."""

_NEWTON_STEPS = 12
_ROOT_TWO_PI = sqrt(2.0 * pi)


@njit(cache=True, nogil=True, error_model="numpy")
def ratio_bound(above: float, above_err: float, below: float, below_err: float, z: float) -> float:
    """Bound of the ratio of two Gaussian fluxes at ``z`` standard deviations, exact (Fieller 1940, 1954).

    It solves ``ratio * below - above = z * hypot(above_err, ratio * below_err)``, which the true ratio meets with the
    probability of the normal distribution at ``z``, however noisy ``below`` is.

    Parameters
    ----------
    above, above_err
        Numerator and its one-sigma error; ``above > |z| above_err``.
    below, below_err
        Denominator and its error; it may be negative.
    z
        Negative for a lower bound, positive for an upper one, 0 for the ratio itself.

    Returns
    -------
    The bound; infinite where the data set none.
    """
    if z == 0.0:
        return above / below if below > 0.0 else inf
    square = below * below - z * z * below_err * below_err
    root = abs(z) * sqrt(below * below * above_err * above_err + above * above * below_err * below_err - (z * above_err * below_err) ** 2)
    if z > 0.0:
        return (above * below + root) / square if square > 0.0 and below > 0.0 else inf
    # the root in the form without cancellation, which also holds where the denominator is lost in its noise
    divisor = above * below + root
    return (above * above - z * z * above_err * above_err) / divisor if divisor > 0.0 else inf


@njit(cache=True, nogil=True, error_model="numpy")
def _mean_excess(u: float) -> Any:
    """Integral of the normal distribution function up to ``u``."""
    return u * 0.5 * erfc(-u / sqrt(2.0)) + exp(-0.5 * u * u) / _ROOT_TWO_PI


@njit(cache=True, nogil=True, error_model="numpy")
def limit_ratio(flux: float, flux_err: float, limit: float, probability: float) -> float:
    """Quantile of a Gaussian flux divided by one that is uniform between 0 and a limit.

    The ratio is below ``R`` with probability ``(psi(x - n) - psi(-n)) / x``, where ``x = R limit / flux_err``,
    ``n = flux / flux_err`` and ``psi`` is the integral of the normal distribution function. That is convex in ``x``
    once multiplied by it, so that Newton's steps from beyond the root go down to it; twelve reach the last digits.

    Parameters
    ----------
    flux, flux_err
        The flux and its error, ``flux >= 2 flux_err``.
    limit
        The upper limit, positive, in the same unit.
    probability
        From 0.05 to 0.95.
    """
    snr = flux / flux_err
    start = _mean_excess(-snr)
    x = (snr + start) / (1.0 - probability)
    for _ in range(_NEWTON_STEPS):
        x -= (_mean_excess(x - snr) - start - probability * x) / (0.5 * erfc(-(x - snr) / sqrt(2.0)) - probability)
    return float(x * flux_err / limit)


@njit(cache=True, nogil=True, error_model="numpy")
def weighted_line(time: Any, value: Any, error: Any) -> tuple[float, float, float, float, float]:
    """Fit a straight line with inverse-variance weights, in closed form.

    Parameters
    ----------
    time, value, error
        (m,) points; errors are positive.

    Returns
    -------
    level, level_err
        The line at ``time = 0`` and its error.
    slope, slope_err
        Its slope and error; infinite error where all times are equal.
    chi2
        Sum of squared residuals over errors.
    """
    weight_sum = time_sum = value_sum = 0.0
    for i in range(len(time)):
        weight = 1.0 / error[i] ** 2
        weight_sum += weight
        time_sum += weight * time[i]
        value_sum += weight * value[i]
    mean_time, mean_value = time_sum / weight_sum, value_sum / weight_sum
    spread = product = 0.0
    for i in range(len(time)):
        weight = 1.0 / error[i] ** 2
        spread += weight * (time[i] - mean_time) ** 2
        product += weight * (time[i] - mean_time) * (value[i] - mean_value)
    slope = product / spread if spread > 0.0 else 0.0
    chi2 = 0.0
    for i in range(len(time)):
        chi2 += ((value[i] - mean_value - slope * (time[i] - mean_time)) / error[i]) ** 2
    slope_err = 1.0 / sqrt(spread) if spread > 0.0 else np.inf
    level_err = sqrt(1.0 / weight_sum + (mean_time * slope_err) ** 2) if spread > 0.0 else np.inf
    return mean_value - slope * mean_time, level_err, slope, slope_err, chi2
