"""Curves of one band against scipy, started at the truth, and against the truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import optimize

from fink.fitting import CONVERGED, TOO_FEW_POINTS, Fits, Points, evaluate
from fink.fitting.transients import (
    BAZIN,
    BAZIN_PARAMETERS,
    NO_LEVEL,
    fit_afterglow,
    fit_bazin,
    fit_power_law,
    fit_sigmoid,
    fit_two_exponential,
)
from unit.fitting.curves import one_row, rows

Curve = Callable[..., Any]


def bazin(t: Any, amplitude: float, peak_time: float, rise_time: float, fall_time: float, baseline: float = 0.0) -> Any:
    shift = rise_time * fall_time / (rise_time + fall_time) * np.log(fall_time / rise_time)

    def pulse(s: Any) -> Any:
        return 1.0 / (np.exp(-s / rise_time) + np.exp(s / fall_time))

    return amplitude * pulse(t - peak_time + shift) / pulse(shift) + baseline


def sigmoid(t: Any, amplitude: float, half_time: float, rise_time: float) -> Any:
    return amplitude / (1.0 + np.exp(-(t - half_time) / rise_time))


def two_exponential(t: Any, onset: float, rise_time: float, fall_time: float, scale_0: float) -> Any:
    s = np.maximum(t - onset, 0.0)
    return scale_0 * (1.0 - np.exp(-s / rise_time)) * np.exp(-s / fall_time)


def power_law(t: Any, flux_at_1d: float, index: float, lead: float = 0.0) -> Any:
    return flux_at_1d * ((t + lead) / (1.0 + lead)) ** -index


def afterglow(t: Any, slope: float, level: float, height: float, rate: float) -> Any:
    return slope * t + level + height * np.exp(-rate * t)


CASES: dict[str, tuple[Curve, Callable[[Points], Fits], dict[str, float], tuple[float, float]]] = {
    "bazin": (bazin, fit_bazin, {"amplitude": 100.0, "peak_time": 3.0, "rise_time": 4.0, "fall_time": 20.0}, (-25, 70)),
    "bazin with baseline": (
        bazin,
        lambda points: fit_bazin(points, baseline=True),
        {"amplitude": 100.0, "peak_time": 3.0, "rise_time": 4.0, "fall_time": 20.0, "baseline": 10.0},
        (-40, 150),
    ),
    "sigmoid": (sigmoid, fit_sigmoid, {"amplitude": 80.0, "half_time": 5.0, "rise_time": 3.0}, (-15, 30)),
    "two exponential": (
        two_exponential,
        fit_two_exponential,
        {"onset": 0.0, "rise_time": 3.0, "fall_time": 15.0, "scale_0": 120.0},
        (-10, 50),
    ),
    "afterglow": (afterglow, fit_afterglow, {"slope": 0.1, "level": 20.0, "height": -1.5, "rate": 1.0}, (0, 12)),
    "power law": (power_law, fit_power_law, {"flux_at_1d": 300.0, "index": 1.2, "lead": 0.4}, (0, 10)),
}


def simulate(curve: Curve, truth: dict[str, float], span: tuple[float, float], n: int, snr: float, seed: int = 1) -> Points:
    rng = np.random.default_rng(seed)
    time = np.sort(rng.uniform(*span, (n, 50)), axis=1)
    if span[0] == 0:
        time[:, 0] = 0.0
    clean = curve(time, **truth)
    error = np.full(time.shape, np.ptp(clean) / snr)
    return rows(time, np.zeros(50), clean + error * rng.standard_normal(time.shape), error)


@pytest.mark.parametrize("name", CASES)
def test_the_minimum_and_its_errors_are_those_of_scipy(name: str) -> None:
    curve, solve, truth, span = CASES[name]
    points = simulate(curve, truth, span, 15, snr=60.0)
    fits = solve(points)
    assert (fits.status == CONVERGED).all()
    for i in range(len(points)):
        row = one_row(points, i)
        best, covariance = optimize.curve_fit(curve, row.time, row.value, list(truth.values()), row.error, absolute_sigma=True, maxfev=5000)
        scipy_chi2 = (((row.value - curve(row.time, *best)) / row.error) ** 2).sum()
        # the onset of a flare is a kink: the minimum between two points is not smooth
        assert fits.chi2[i] <= scipy_chi2 + 0.02
        if abs(fits.chi2[i] - scipy_chi2) < 5e-3:
            found, errors = ([get(p)[i] for p in truth] for get in (fits.value, fits.error))
            assert np.abs((np.array(found) - best) / errors).max() < 0.1
            assert np.allclose(errors, np.sqrt(np.diag(covariance)), rtol=0.15)


@pytest.mark.parametrize("name", CASES)
def test_the_truth_lies_within_the_errors(name: str) -> None:
    curve, solve, truth, span = CASES[name]
    fits = solve(simulate(curve, truth, span, 400, snr=60.0, seed=2))
    good = fits.status == CONVERGED
    assert good.mean() > 0.97
    assert np.median(fits.reduced_chi2) == pytest.approx(1.0, abs=0.05)
    for parameter, value in truth.items():
        pull = (fits.value(parameter) - value)[good] / fits.error(parameter)[good]
        assert np.median(np.abs(pull)) == pytest.approx(0.674, abs=0.13), parameter


def test_a_given_onset_is_kept() -> None:
    truth = {"flux_at_1d": 300.0, "index": 1.2}
    points = simulate(power_law, truth, (1, 9), 200, snr=1e9, seed=3)
    fits = fit_power_law(Points.of(points.offsets, points.time - 3.0, points.band, points.value, 0.02 * points.value), np.full(200, -3.0))
    assert fits.value("index") == pytest.approx(np.full(200, 1.2), rel=1e-3)
    assert fits.value("flux_at_1d") == pytest.approx(np.full(200, 300.0), rel=1e-3)
    assert (fits.value("lead") < 1e-20).all()
    late = fit_power_law(Points.of([0, 5], np.arange(5.0), np.zeros(5), np.ones(5), np.ones(5)), np.array([2.5]))
    assert late.n_points.tolist() == [2]
    assert late.status.tolist() == [TOO_FEW_POINTS]


WAVELENGTHS = (4827.0, 6223.0, 7546.0)


def in_bands(points: Points, magnitude: Callable[[Any], Any]) -> Points:
    """Give the points three bands in turn, the first the first, each with its own change of the values."""
    band = np.arange(len(points.time)) % 50 % 3
    ratio = np.array(WAVELENGTHS)[band] / WAVELENGTHS[0]
    return Points.of(points.offsets, points.time, band, magnitude((points.value, ratio)), points.error)


def test_a_power_law_has_one_spectral_index_for_all_bands() -> None:
    truth = {"flux_at_1d": 300.0, "index": 1.2, "lead": 0.4}
    points = in_bands(simulate(power_law, truth, (0, 10), 100, snr=200.0, seed=5), lambda given: given[0] * given[1] ** 0.9)
    fits = fit_power_law(points, wavelengths=WAVELENGTHS)
    for name, value in (truth | {"spectral_index": 0.9}).items():
        assert np.median(np.abs(fits.value(name) - value) / fits.error(name)) < 1.0, name
    one_band = fit_power_law(
        Points.of(points.offsets, points.time, np.ones(len(points.time)), points.value, points.error), None, WAVELENGTHS
    )
    assert np.isnan(one_band.error("spectral_index")).all()
    assert set(one_band.n_free.tolist()) == {3}


def test_an_afterglow_has_the_spectrum_of_its_electrons() -> None:
    truth = {"slope": 0.1, "level": 20.0, "height": -1.5, "rate": 1.0}
    bright = simulate(afterglow, truth, (0, 12), 100, snr=200.0, seed=6)
    fits = fit_afterglow(in_bands(bright, lambda given: given[0] - 2.5 * 0.8 * np.log10(given[1])), WAVELENGTHS)
    for name, value in (truth | {"spectral_index": 0.8}).items():
        good = fits.status == CONVERGED
        assert np.median((np.abs(fits.value(name) - value) / fits.error(name))[good]) < 1.0, name
    assert ((fits.value("spectral_index") >= 0.6) & (fits.value("spectral_index") <= 1.1)).all()


def test_a_flare_has_one_shape_in_all_bands() -> None:
    truth = {"onset": 0.0, "rise_time": 3.0, "fall_time": 15.0, "scale_0": 120.0}
    flares = in_bands(simulate(two_exponential, truth, (-10, 50), 60, snr=100.0, seed=7), lambda given: given[0] * given[1])
    fits = fit_two_exponential(flares, 4)
    heights = np.stack([fits.value(f"scale_{band}") for band in range(3)])
    assert np.median(heights, axis=1) / 120.0 == pytest.approx(np.array(WAVELENGTHS) / WAVELENGTHS[0], rel=0.05)
    assert np.median(fits.value("rise_time")) == pytest.approx(3.0, rel=0.1)
    assert np.isnan(fits.error("scale_3")).all()


def test_each_band_is_a_row() -> None:
    curve, solve, truth, span = CASES["sigmoid"]
    points = simulate(curve, truth, span, 6, snr=80.0)
    mixed = Points.of(points.offsets, points.time, np.arange(300) % 2, points.value * (1 + np.arange(300) % 2), points.error)
    fits = solve(mixed.by_band(2))
    assert len(fits) == 12
    ratio = fits.value("amplitude")[1::2] / fits.value("amplitude")[::2]
    assert ratio == pytest.approx(np.full(6, 2.0), rel=0.05)


@pytest.mark.parametrize("solve", [case[1] for case in CASES.values()])
def test_noise_and_empty_rows_end_without_a_crash(solve: Callable[[Points], Fits]) -> None:
    rng = np.random.default_rng(4)
    noise = rows(np.sort(rng.uniform(0, 9, (30, 8)), axis=1), np.zeros(8), 1e6 * rng.standard_normal((30, 8)), np.ones((30, 8)))
    assert np.isfinite(solve(noise).chi2).mean() > 0.8
    assert solve(Points.of([0, 0, 0], [], [], [], [])).status.tolist() == [TOO_FEW_POINTS] * 2


def test_a_curve_is_evaluated_where_it_was_not_fitted() -> None:
    time = np.linspace(-30.0, 80.0, 23)
    values = {"amplitude": 100.0, "peak_time": 3.0, "rise_time": 4.0, "fall_time": 20.0, "baseline": 0.0}
    drawn = evaluate(BAZIN, (*BAZIN_PARAMETERS, NO_LEVEL), values, time, np.zeros(len(time), np.int64))
    assert drawn == pytest.approx(bazin(time, **values), rel=1e-9)
