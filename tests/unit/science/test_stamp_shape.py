"""Shapes of sources in stamps: what was drawn is measured, and on real stamps scipy.ndimage agrees."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from fink.science.stamp_shape import SIGMAS, THRESHOLD, VALUES, measure, sky, stamp_shape
from unit.science.stamp_samples import made, real, spot

NAMES = [name.removeprefix("stamp_") for name in VALUES]


def shape(image: NDArray[Any], sign: float = 1.0) -> dict[str, float]:
    return dict(zip(NAMES, measure(np.ascontiguousarray(image, np.float32), sign).tolist(), strict=True))


def by_ndimage(image: NDArray[np.float64], sign: float) -> tuple[float, float, float] | None:
    """Give offset, elongation and number of pixels of the source at the centre, by labels and moments; None without one."""
    level, noise, _ = sky(image.astype(np.float32))
    light = sign * (image - level)
    labels, _ = ndimage.label(np.isfinite(light) & (light > THRESHOLD * noise), np.ones((3, 3)))
    y0, x0 = image.shape[0] // 2, image.shape[1] // 2
    near = light[y0 - 3 : y0 + 4, x0 - 3 : x0 + 4]
    peak = np.unravel_index(np.nanargmax(near), near.shape)
    label = labels[peak[0] + y0 - 3, peak[1] + x0 - 3]
    if label == 0:
        return None
    row, column = ndimage.center_of_mass(light, labels, label)
    at = labels == label
    rows, columns = np.nonzero(at)
    moments = np.cov(np.array([rows, columns]), aweights=light[at], ddof=0) + np.eye(2) / 12.0
    minor, major = np.linalg.eigvalsh(moments)
    return float(np.hypot(row - y0, column - x0)), float(np.sqrt(major / max(minor, 1.0 / 12.0))), float(at.sum())


def test_real_stamps_as_scipy_measures_them() -> None:
    stamps, positive = real()
    found: Any = stamp_shape.function(positive, stamps)
    seen = 0
    for row, image in enumerate(stamps.images("difference")):
        assert image is not None
        expected = by_ndimage(image.astype(np.float64), 1.0 if positive[row] else -1.0)
        if expected is None:
            assert np.isnan(found["stamp_offset"][row])
            continue
        seen += 1
        measured = [found[name][row] for name in ("stamp_offset", "stamp_elongation", "n_stamp_pixels")]
        np.testing.assert_allclose(measured, expected, rtol=1e-4, atol=1e-6)
    assert seen > 30


def test_sky_is_that_of_the_pixels_left_by_clipping() -> None:
    image = spot(height=300.0)
    level, noise, bad = sky(image)
    assert bad == 0
    kept = image.astype(np.float64).ravel()
    low, high = -np.inf, np.inf
    for _ in range(5):
        left = kept[(kept >= low) & (kept <= high)]
        low, high = left.mean() - SIGMAS * left.std(), left.mean() + SIGMAS * left.std()
    assert level == pytest.approx(left.mean(), abs=1e-6)
    assert noise == pytest.approx(left.std(), rel=1e-6)


def test_a_round_source_has_its_place_and_width() -> None:
    found = shape(spot(x=1.3, y=-0.6, sigma=1.5, height=2000.0))
    assert found["offset"] == pytest.approx(np.hypot(1.3, 0.6), abs=0.02)
    # pixels average the source over their area, which adds a twelfth to its variance
    assert found["size"] == pytest.approx(2.355 * np.sqrt(1.5**2 + 1.0 / 12.0), rel=0.03)
    assert found["elongation"] == pytest.approx(1.0, abs=0.03)
    assert found["dipole"] == 0.0


@pytest.mark.parametrize("length", [6.0, 12.0, 25.0])
def test_a_trail_has_its_length(length: float) -> None:
    found = shape(spot(trail=length, height=2000.0))
    assert found["trail_length"] == pytest.approx(length, rel=0.05)
    assert found["elongation"] > length / 5.0


def test_a_dipole_has_light_of_the_other_sign() -> None:
    pair = spot(x=-1.5, height=100.0) - spot(x=1.5, height=100.0, seed=2)
    assert 0.7 < shape(pair)["dipole"] < 1.1
    assert shape(spot())["dipole"] < 0.02


def test_a_cosmic_ray_is_sharper_than_a_star() -> None:
    ray = spot(height=0.0)
    ray[31, 31] = 80.0
    assert shape(ray)["sharpness"] > 0.9
    assert shape(spot())["sharpness"] < 0.3


def test_a_source_that_faded_is_measured_alike() -> None:
    image = spot(x=0.4)
    assert shape(-image, -1.0) == pytest.approx(shape(image, 1.0), rel=1e-6)


def test_the_other_stamps_give_the_shifts_of_the_centroid() -> None:
    far, empty = spot(x=2.5, height=200.0), spot(height=0.0, seed=2)
    alerts = ((far, spot(x=-1.5), spot(height=200.0)), (spot(), empty, spot()))
    found: Any = stamp_shape.function(np.array([True, True]), made(*alerts))
    assert found["stamp_centroid_shift"][0] == pytest.approx(2.5, abs=0.05)
    assert found["stamp_centroid_shift"][1] == pytest.approx(0.0, abs=0.05)
    assert found["stamp_template_shift"][0] == pytest.approx(1.5, abs=0.05)
    assert np.isnan(found["stamp_template_shift"][1])


def test_nothing_at_the_centre_or_no_noise_gives_nothing() -> None:
    hole = spot()
    hole[25:38, 25:38] = np.nan
    for image, bad in ((np.zeros((21, 21)), 0), (-spot(), 0), (hole, 13 * 13)):
        found = shape(image)
        assert found.pop("n_stamp_bad_pixels") == bad
        found.pop("sum_ratio")
        assert np.isnan(list(found.values())).all()


def test_moments_and_angle_are_those_that_were_drawn() -> None:
    along = shape(spot(trail=10.0, height=2000.0))
    # a uniform line has a twelfth of its squared length, a Gaussian its variance, a pixel a twelfth
    assert along["xx"] == pytest.approx(10.0**2 / 12.0 + 1.2**2 + 1.0 / 12.0, rel=0.03)
    assert along["yy"] == pytest.approx(1.2**2 + 1.0 / 12.0, rel=0.03)
    assert abs(along["angle"]) < 2.0
    assert abs(abs(shape(spot(trail=10.0, height=2000.0).T)["angle"]) - 90.0) < 2.0
    rows, columns = np.mgrid[:63, :63] - 31.0
    tilted = 2000.0 * np.exp(-0.5 * ((columns - rows) ** 2 / 2.0 / 1.2**2 + (columns + rows) ** 2 / 2.0 / 4.0**2))
    found = shape(tilted + np.random.default_rng(1).normal(size=(63, 63)))
    assert found["angle"] == pytest.approx(45.0, abs=1.0)
    assert found["xy"] == pytest.approx(0.5 * (4.0**2 - 1.2**2), rel=0.05)


def test_the_ratio_of_sums_tells_sources_from_noise_and_pairs() -> None:
    assert shape(spot())["sum_ratio"] > 0.9
    assert shape(-spot(), -1.0)["sum_ratio"] > 0.9
    assert abs(shape(spot(height=0.0, seed=3))["sum_ratio"]) < 0.5
    pair = spot(x=-1.0, height=100.0) - spot(x=1.0, height=100.0, seed=2)
    assert abs(shape(pair)["sum_ratio"]) < 0.3


def test_odd_sizes_of_stamps_and_pixels_are_taken() -> None:
    for image in (spot(7), spot(30)[:12], np.full((3, 3), np.inf), np.full((1, 1), 1.0)):
        values = np.array(list(shape(image).values()))
        assert not np.isinf(values).any()
