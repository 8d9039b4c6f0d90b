"""Times of maximum: from one pulse with a height in each band, whatever the colours do."""

from __future__ import annotations

import numpy as np
import pytest

from fink.fitting import CONVERGED, TOO_FEW_POINTS, Points
from fink.fitting.peaks import PULSE, common_pulse, time_of_maximum
from fink.fitting.rainbow import Rainbow
from unit.fitting.curves import largest_error_of_derivatives, one_row, rows

WAVELENGTHS = (4827.0, 6223.0, 7546.0)


def gaussians(n: int, seed: int, offset: float = 0.0) -> Points:
    """Pulses of a shape that is not Bazin's, of colours that are no black body's, with a faint tail."""
    rng = np.random.default_rng(seed)
    time, band = np.sort(rng.uniform(-30, 60, (n, 60)), axis=1), rng.integers(0, 3, (n, 60))
    bright = np.exp(-0.5 * (time / np.where(time < 0, 7.0, 12.0)) ** 2) + 0.08 * (time > 15)
    value, error = np.array([300.0, 800.0, 200.0])[band] * bright, np.full((n, 60), 20.0)
    return rows(time + offset, band, value + error * rng.standard_normal((n, 60)), error)


def test_derivatives() -> None:
    time, band = np.linspace(-20, 40, 30), np.arange(30) % 3
    point = [1.0, np.log(3.0), np.log(15.0), np.log(2.5), 3.0, 5.0, 1.0]
    assert largest_error_of_derivatives(PULSE.curve, point, [0.0], time, band) < 1e-6


def test_time_of_maximum_is_found_with_its_error() -> None:
    points = gaussians(300, 1)
    constant = Rainbow(WAVELENGTHS, temperature="constant").fit(points)
    fits = time_of_maximum(points, np.array(WAVELENGTHS), constant)
    good = fits.status == CONVERGED
    assert good.mean() > 0.8
    error = np.abs(fits.value("peak_time"))
    assert np.median(error) < 1.0
    assert np.median(error) < 0.6 * np.median(np.abs(constant.value("peak_time")))
    assert np.median((error / fits.error("peak_time"))[good]) < 1.5


def test_it_moves_with_the_light_curve_and_is_the_same_alone() -> None:
    points, later = gaussians(20, 2), gaussians(20, 2, offset=60000.0)
    constant = Rainbow(WAVELENGTHS, temperature="constant")
    found = [time_of_maximum(p, np.array(WAVELENGTHS), constant.fit(p)) for p in (points, later, one_row(points, 4))]
    assert found[1].value("peak_time") - 60000.0 == pytest.approx(found[0].value("peak_time"), abs=0.02)
    assert found[2].solution.tobytes() == found[0].solution[4].tobytes()


def test_bands_without_points_are_left_out() -> None:
    points = gaussians(10, 3)
    fits = common_pulse(points.select(points.band != 2), 3)
    assert (fits.n_free == 6).all()
    assert np.isnan(fits.error("height_2")).all()
    assert np.abs(np.median(fits.value("peak_time"))) < 2.0


def test_too_few_points() -> None:
    points = Points.of([0, 4], np.arange(4.0), np.zeros(4), np.ones(4), np.ones(4))
    assert common_pulse(points, 3).status.tolist() == [TOO_FEW_POINTS]
