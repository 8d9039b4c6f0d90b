"""Pulses against the formulas of the papers, and their derivatives against differences."""

from __future__ import annotations

import numpy as np
import pytest

from fink.fitting.pulses import SHIFT, bazin_constants, by_roundness, linexp, pulse, sigmoid_constants

TIMES = np.linspace(-40.0, 120.0, 161)


def heights(constants: object) -> np.ndarray:
    return np.array([pulse(float(t), constants)[0] for t in TIMES])


def test_it_is_the_curve_of_bazin() -> None:
    rise, fall = 3.0, 25.0
    paper_rise = 1.0 / (1.0 / rise + 1.0 / fall)
    constants = bazin_constants(np.log(rise), np.log(fall), 1.0)
    s = TIMES + constants[SHIFT]
    paper = np.exp(-s / fall) / (1.0 + np.exp(-s / paper_rise))
    ours = heights(constants)
    assert np.allclose(ours / ours.max(), paper / paper.max(), rtol=1e-9)
    assert constants[SHIFT] == pytest.approx(paper_rise * np.log(fall / paper_rise - 1.0))


@pytest.mark.parametrize("roundness", [0.3, 1.0, 8.0])
@pytest.mark.parametrize(("rise", "fall"), [(2.0, 30.0), (15.0, 15.0), (40.0, 3.0)])
def test_height_at_the_peak_is_one_and_nowhere_more(rise: float, fall: float, roundness: float) -> None:
    constants = bazin_constants(np.log(rise), np.log(fall), roundness)
    height, by_time, _, _ = pulse(0.0, constants)
    assert height == pytest.approx(1.0)
    assert by_time == pytest.approx(0.0, abs=1e-12)
    assert heights(constants).max() <= 1.0 + 1e-12
    far = [pulse(t, constants)[0] for t in (1500.0, 1500.0 + fall)]
    assert far[0] / far[1] == pytest.approx(np.e, rel=1e-3)


@pytest.mark.parametrize("time", [-300.0, -20.0, -1.0, 0.5, 30.0, 4000.0])
@pytest.mark.parametrize("roundness", [0.4, 1.0, 5.0])
def test_derivatives(time: float, roundness: float) -> None:
    log_rise, log_fall, step = np.log(4.0), np.log(18.0), 1e-6

    def height(t: float = time, r: float = log_rise, f: float = log_fall, m: float = roundness) -> float:
        return float(pulse(t, bazin_constants(r, f, m))[0])

    value, by_time, by_rise, by_fall = pulse(time, bazin_constants(log_rise, log_fall, roundness))
    numeric = [
        (height(t=time + step) - height(t=time - step)) / (2 * step),
        (height(r=log_rise + step) - height(r=log_rise - step)) / (2 * step),
        (height(f=log_fall + step) - height(f=log_fall - step)) / (2 * step),
        (height(m=roundness * np.exp(step)) - height(m=roundness * np.exp(-step))) / (2 * step),
    ]
    assert [by_time, by_rise, by_fall, by_roundness(time, value, by_time)] == pytest.approx(numeric, abs=2e-9, rel=1e-5)


def test_sigmoid() -> None:
    constants = sigmoid_constants(np.log(5.0))
    assert np.allclose(heights(constants), 1.0 / (1.0 + np.exp(-TIMES / 5.0)))


@pytest.mark.parametrize("rate", [0.05, -0.08])
def test_linexp(rate: float) -> None:
    values = np.array([linexp(float(t), rate) for t in TIMES])
    v = 1.0 + rate * TIMES
    assert np.allclose(values[:, 0], np.where(v > 0, v * np.exp(1 - v), 0.0))
    assert linexp(0.0, rate)[:2] == (1.0, 0.0)
    step = 1e-6
    for t in (-3.0, 7.0):
        assert linexp(t, rate)[1] == pytest.approx((linexp(t + step, rate)[0] - linexp(t - step, rate)[0]) / (2 * step), abs=1e-8)
        assert linexp(t, rate)[2] == pytest.approx((linexp(t, rate + step)[0] - linexp(t, rate - step)[0]) / (2 * step), rel=1e-5)
