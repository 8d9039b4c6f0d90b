"""Flares with a beginning: their shape comes back, as scipy finds it, and what has no more points than parameters has none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import optimize

from alert_batches import NOW, light_curves
from fink.lightcurves import DETECTION, FORCED
from fink.science.flare import ERROR_FLOOR, flare
from unit.science.sampled_curves import sampled

ONSET, RISE, FALL = NOW - 12.0, 1.0, 6.0
SCALE = {"g": 9000.0, "r": 5000.0, "i": 3000.0}


def unit(t: Any, onset: float, rise: float, fall: float) -> Any:
    s = np.maximum(t - onset, 0.0)
    return (1.0 - np.exp(-s / rise)) * np.exp(-s / fall)


def run(curves: list[Any]) -> dict[str, Any]:
    return dict(flare.function(np.full(len(curves), NOW), light_curves(curves)))


def one(seed: int, n: int = 60) -> list[Any]:
    curve = sampled(lambda t, b: SCALE[b] * unit(t, ONSET, RISE, FALL), seed, (ONSET - 10.0, NOW), n=n)
    time, band, _, flux, error = curve[-1]
    assert time < NOW
    return [*curve[:-1], (NOW, band, DETECTION, flux, error)]


def test_a_flare_comes_back_with_errors() -> None:
    curves = [one(seed) for seed in range(80)]
    found = run(curves)
    peak = ONSET + RISE * np.log(1.0 + FALL / RISE)
    for name, truth in {"onset_mjd": ONSET, "rise_time": RISE, "fall_time": FALL}.items():
        pull = (found[f"flare_{name}"] - truth) / found[f"flare_{name}_err"]
        assert np.nanmedian(np.abs(pull)) < 1.0, name
    assert np.nanmedian(np.abs(found["flare_peak_mjd"] - peak)) < 0.3
    own = np.array([SCALE[curve[-1][1]] for curve in curves])
    assert np.nanmedian(found["flare_amplitude"] / own) == pytest.approx(float(unit(peak, ONSET, RISE, FALL)), rel=0.1)
    assert 0.1 < np.nanmedian(found["flare_chi2"]) < 1.0
    assert found["flare_fit"].to_pylist().count("converged") > 60


def test_the_minimum_is_as_low_as_that_of_scipy_from_the_truth() -> None:
    curves = [one(seed) for seed in range(40)]
    found, as_low = run(curves), 0
    for row, curve in enumerate(curves):
        time, flux, error = (np.array([p[i] for p in curve], np.float64) for i in (0, 3, 4))
        band = np.array(["gri".index(p[1]) for p in curve])
        error = np.hypot(error, ERROR_FLOOR * flux.max())

        def model(t: Any, onset: float, rise: float, fall: float, *scales: float, band: Any = band) -> Any:
            return np.array(scales)[band] * unit(t, onset, rise, fall)

        best, _ = optimize.curve_fit(model, time - NOW, flux, [ONSET - NOW, RISE, FALL, *SCALE.values()], error, maxfev=5000)
        lowest = (((flux - model(time - NOW, *best)) / error) ** 2).sum()
        as_low += found["flare_chi2"][row] * (len(time) - 6) < lowest + 0.01
    # where the onset passes a point chi-square has a kink, behind which another minimum may lie
    assert as_low >= 38


def test_as_many_points_as_parameters_are_not_enough() -> None:
    five = [(NOW - 4.0 + i, "r" if i % 2 else "g", DETECTION, 900.0 - 100.0 * i, 20.0) for i in range(5)]
    six = [*five, (NOW - 4.5, "g", FORCED, 10.0, 20.0)]
    found = run([five, six, []])
    assert np.isnan(found["flare_rise_time"]).tolist() == [True, False, True]
    assert found["flare_fit"].to_pylist()[0] is None
