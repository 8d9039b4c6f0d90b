"""The solver against scipy, at bounds, on hopeless data, and the same alone or in a crowd."""

from __future__ import annotations

from math import exp
from typing import Any

import numpy as np
import pytest
from numba import njit
from scipy import optimize

from fink.fitting import AT_BOUND, CONVERGED, TOO_FEW_POINTS, Model, Parameter, Points, fit
from fink.fitting.solver import cholesky_solve
from unit.fitting.curves import one_row, rows


@njit(nogil=True, error_model="numpy")
def _decay(parameters: Any, constants: Any, time: Any, band: Any, value: Any, slopes: Any) -> None:
    rate = exp(-parameters[1])
    for j in range(len(time)):
        unit = exp(-time[j] * rate)
        value[j] = parameters[0] * unit + parameters[2]
        slopes[j, 0], slopes[j, 1], slopes[j, 2] = unit, parameters[0] * unit * time[j] * rate, 1.0


@njit(nogil=True, error_model="numpy")
def _from_one(constants: Any, time: Any, band: Any, value: Any, error: Any, starts: Any) -> int:
    for k in range(2):
        starts[k, 0], starts[k, 1], starts[k, 2] = value[0], 2.0 * k, 0.0
    return 2


DECAY = Model(_decay, _from_one)
FREE = (Parameter("height"), Parameter("time", 0.01, 100.0, log=True), Parameter("level"))


def decays(n: int, seed: int = 1, k: int = 25) -> Points:
    rng = np.random.default_rng(seed)
    time = np.sort(rng.uniform(0, 12, (n, k)), axis=1)
    truth = rng.uniform(5, 20, (n, 1)) * np.exp(-time / rng.uniform(1, 5, (n, 1))) + rng.uniform(-1, 1, (n, 1))
    error = rng.uniform(0.1, 0.4, (n, k))
    return rows(time, np.zeros(k), truth + error * rng.standard_normal((n, k)), error)


def test_minimum_errors_and_covariances_are_those_of_scipy() -> None:
    points = decays(40)
    fits = fit(DECAY, FREE, points)
    assert (fits.status == CONVERGED).all()
    for i in range(len(points)):
        row = one_row(points, i)
        best, covariance = optimize.curve_fit(
            lambda t, a, tau, b: a * np.exp(-t / tau) + b, row.time, row.value, [8, 2, 0], row.error, absolute_sigma=True
        )
        found = np.array([fits.value(p.name)[i] for p in FREE])
        errors = np.array([fits.error(p.name)[i] for p in FREE])
        assert np.abs((found - best) / errors).max() < 0.03
        assert np.allclose(errors, np.sqrt(np.diag(covariance)), rtol=0.03)
        residuals = (row.value - best[0] * np.exp(-row.time / best[1]) - best[2]) / row.error
        assert fits.chi2[i] == pytest.approx((residuals**2).sum(), abs=2e-3)
    assert fits.reduced_chi2 == pytest.approx(fits.chi2 / 22)


def test_errors_cover_the_truth_as_they_should() -> None:
    rng = np.random.default_rng(2)
    time = np.linspace(0, 10, 30)[None].repeat(2000, axis=0)
    value = 10 * np.exp(-time / 3) + 1 + 0.2 * rng.standard_normal(time.shape)
    fits = fit(DECAY, FREE, rows(time, np.zeros(30), value, np.full(time.shape, 0.2)))
    pull = (fits.value("time") - 3.0) / fits.error("time")
    assert np.std(pull) == pytest.approx(1.0, abs=0.06)
    assert np.mean(fits.reduced_chi2) == pytest.approx(1.0, abs=0.02)


def test_a_row_alone_gives_the_same_bits_as_in_a_batch() -> None:
    points = decays(30, seed=3)
    together = fit(DECAY, FREE, points)
    for i in (0, 11, 29):
        alone = fit(DECAY, FREE, one_row(points, i))
        assert alone.solution.tobytes() == together.solution[i].tobytes()
        assert alone.covariance.tobytes() == together.covariance[i].tobytes()
        assert (alone.status, alone.steps) == (together.status[i], together.steps[i])


def test_bounds_hold_and_are_said() -> None:
    points = decays(10, seed=4)
    fits = fit(DECAY, (FREE[0], Parameter("time", 6.0, 100.0, log=True), FREE[2]), points)
    assert (fits.value("time") >= 6.0 - 1e-9).all()
    pinned = fits.status == AT_BOUND
    assert pinned.any()
    assert np.isnan(fits.error("time")[pinned]).all()
    for i in np.flatnonzero(pinned).tolist():
        row = one_row(points, i)
        bounds = ([-99, 6, -99], [99, 99, 99])
        best = optimize.least_squares(
            lambda p, row=row: (row.value - p[0] * np.exp(-row.time / p[1]) - p[2]) / row.error, [8, 7, 0], bounds=bounds
        )
        assert fits.chi2[i] == pytest.approx(2 * best.cost, rel=1e-4)


def test_equal_bounds_hold_a_parameter_without_a_word() -> None:
    fits = fit(DECAY, (FREE[0], FREE[1], Parameter("level", 0.0, 0.0)), decays(5))
    assert (fits.value("level") == 0.0).all()
    assert (fits.n_free == 2).all()
    assert (fits.status == CONVERGED).all()


def test_too_few_points_are_not_fitted() -> None:
    points = Points.of([0, 2, 2, 7], np.arange(7.0), np.zeros(7), np.exp(-np.arange(7.0)), np.full(7, 0.1))
    fits = fit(DECAY, FREE, points, min_points=3)
    assert fits.status[:2].tolist() == [TOO_FEW_POINTS] * 2
    assert np.isnan(fits.solution[:2]).all()
    assert np.isfinite(fits.solution[2]).all()


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e150, 1e300])
def test_hopeless_data_end_without_a_crash(scale: float) -> None:
    rng = np.random.default_rng(6)
    time = rng.uniform(-1e4, 1e4, (20, 6))
    fits = fit(DECAY, FREE, rows(time, np.zeros(6), scale * rng.standard_normal((20, 6)), np.full((20, 6), scale * 1e-3)))
    assert len(fits) == 20
    assert not np.isnan(fits.chi2[fits.status == CONVERGED]).any()


def test_given_starts_are_used() -> None:
    points = decays(8)
    guessed = fit(DECAY, FREE, points)
    resumed = fit(DECAY, FREE, points, starts=guessed.solution)
    assert (resumed.steps < guessed.steps).all()
    assert np.allclose(resumed.chi2, guessed.chi2, atol=2e-3)


def test_cholesky_solves_and_refuses() -> None:
    rng = np.random.default_rng(7)
    square = rng.standard_normal((5, 9))
    matrix, right = square @ square.T, rng.standard_normal(5)
    solution = right.copy()
    assert cholesky_solve(matrix.copy(), solution, 5)
    assert np.allclose(solution, np.linalg.solve(matrix, right))
    assert not cholesky_solve(-np.eye(3), np.ones(3), 3)
