"""Ratios of fluxes against their definition by quadrature and against simulation; lines against least squares."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from fink.fitting import Z_95, limit_ratio, ratio_bound, weighted_line


@pytest.mark.parametrize("snr", [3.0, 5.0, 20.0, 300.0])
@pytest.mark.parametrize("probability", [0.05, 0.5, 0.95])
def test_limit_ratio_is_the_quantile_of_its_definition(snr: float, probability: float) -> None:
    """P(F / U < R) with F Gaussian and U uniform below the limit, by quadrature over U."""
    limit, error = 700.0, 50.0
    flux = snr * error
    ratio = limit_ratio(flux, error, limit, probability)
    knee, width = flux / ratio, 12.0 * error / ratio
    edges = [0.0, *(edge for edge in (knee - width, knee, knee + width) if 0.0 < edge < limit), limit]
    parts = [
        integrate.quad(lambda u: stats.norm.cdf((ratio * u - flux) / error) / limit, *edge, epsabs=1e-12)[0] for edge in pairwise(edges)
    ]
    assert sum(parts) == pytest.approx(probability, abs=1e-9)


@pytest.mark.parametrize(("above", "below"), [(5.0, 5.0), (40.0, 3.0), (5.0, 200.0), (10.0, 1.0), (10.0, -1.0)])
def test_ratio_bound_meets_its_equation(above: float, below: float) -> None:
    for z in (-Z_95, Z_95):
        ratio = ratio_bound(above, 1.0, below, 1.0, z)
        if np.isfinite(ratio):
            assert ratio * below - above == pytest.approx(z * np.hypot(1.0, ratio), rel=1e-9)
        else:
            assert z > 0
            assert below < Z_95


def test_nothing_bounds_a_ratio_to_a_flux_far_below_zero() -> None:
    assert ratio_bound(10.0, 1.0, -2.0, 1.0, -Z_95) == np.inf
    assert ratio_bound(10.0, 1.0, -2.0, 1.0, 0.0) == np.inf


@pytest.mark.parametrize("below", [3.0, 8.0, 60.0])
def test_the_two_bounds_hold_nine_times_in_ten(below: float) -> None:
    rng = np.random.default_rng(20)
    n = 20_000
    above = 12.0
    seen_above, seen_below = rng.normal(above, 1.0, n), rng.normal(below, 1.0, n)
    low = np.array([ratio_bound(a, 1.0, b, 1.0, -Z_95) for a, b in zip(seen_above, seen_below, strict=True)])
    high = np.array([ratio_bound(a, 1.0, b, 1.0, Z_95) for a, b in zip(seen_above, seen_below, strict=True)])
    truth = above / below
    assert np.mean(truth < low) == pytest.approx(0.05, abs=0.006)
    assert np.mean(truth > high) == pytest.approx(0.05, abs=0.006)


def test_weighted_line_is_least_squares() -> None:
    rng = np.random.default_rng(3)
    time, error = rng.uniform(-10.0, 0.0, 12), rng.uniform(1.0, 5.0, 12)
    value = 40.0 + 3.0 * time + rng.normal(0.0, error)
    (slope, level), covariance = optimize.curve_fit(lambda t, a, b: a * t + b, time, value, sigma=error, absolute_sigma=True)
    fitted = weighted_line(time, value, error)
    chi2 = float((((value - level - slope * time) / error) ** 2).sum())
    wanted = (level, covariance[1, 1] ** 0.5, slope, covariance[0, 0] ** 0.5, chi2)
    assert fitted == pytest.approx(wanted, rel=1e-6)


def test_a_line_through_one_moment_has_no_slope() -> None:
    level, level_err, slope, slope_err, chi2 = weighted_line(np.zeros(3), np.array([1.0, 2.0, 3.0]), np.ones(3))
    assert (level, slope, chi2) == (2.0, 0.0, 2.0)
    assert level_err == slope_err == np.inf
