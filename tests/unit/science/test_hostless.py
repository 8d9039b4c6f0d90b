"""Hostless measures agree with astropy's clipping, numpy's transform, scipy's test and the mean over shuffled pixels."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.stats import sigma_clip
from numpy.typing import NDArray
from scipy.stats import kstest

from fink.codecs.cutouts import Stamps
from fink.science.hostless import MAX_EXCESS, box_means, central, clip_bounds, excess, hostless, structure
from unit.science.stamp_samples import made, real, spot


def measured(stamps: Stamps) -> dict[str, NDArray[np.float64]]:
    return dict(hostless.function(stamps))


def normalised(centre: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the powers of half of the plane over their mean in random order, by numpy's transform."""
    power = np.abs(np.fft.fft2(centre - centre.mean())) ** 2
    half = [(k, q) for k in range(15) for q in range(8) if (q > 0 or 0 < k <= 7)]
    expected = float(np.sum((centre - centre.mean()) ** 2)) * 225.0 / 224.0
    return np.array([float(power[i]) / expected for i in half])


def test_counts_are_those_of_astropy_on_real_stamps() -> None:
    stamps, _ = real()
    found = measured(stamps)
    for which in ("science", "template"):
        for row, image in enumerate(stamps.images(which)):
            assert image is not None
            mask = sigma_clip(image[np.isfinite(image)].astype(np.float64), sigma=3.0, maxiters=10)
            part = central(image)
            if part is None:
                assert np.isnan(found[f"n_{which}_clipped"][row])
                continue
            low, high = mask.min(), mask.max()
            assert found[f"n_{which}_clipped"][row] == np.count_nonzero((part < low) | (part > high))


def test_structure_is_that_of_numpy_and_scipy_on_real_stamps() -> None:
    stamps, _ = real()
    found = measured(stamps)["template_structure"]
    for row, image in enumerate(stamps.images("template")):
        part = None if image is None else central(image)
        if part is not None:
            assert found[row] == pytest.approx(kstest(normalised(part), "expon").statistic, abs=1e-9)
    assert np.isfinite(found).sum() > 35


def test_mean_power_is_that_of_shuffled_pixels() -> None:
    """What is divided by in closed form is the mean over many random orders, also where the pixels are far from Gaussian."""
    centre = spot(15).astype(np.float64)
    rng = np.random.default_rng(3)
    mean = np.mean([normalised(rng.permutation(centre.ravel()).reshape(15, 15)) for _ in range(3000)])
    assert mean == pytest.approx(1.0, abs=0.005)


def test_noise_has_no_structure_and_a_source_has() -> None:
    noise = np.array([structure(np.random.default_rng(seed).normal(size=(15, 15))) for seed in range(300)])
    # the 95 % quantile of the Kolmogorov distribution for 112 values is 0.127
    assert np.mean(noise < 0.127) == pytest.approx(0.95, abs=0.04)
    assert structure(spot(15).astype(np.float64)) > 0.5


def test_a_source_in_an_empty_place_is_hostless_and_one_on_a_galaxy_is_not() -> None:
    empty, galaxy = spot(height=0.0, seed=2), spot(height=20.0, sigma=3.0, seed=3)
    found = measured(made((spot(), empty, spot()), (spot() + galaxy, galaxy, spot()), (empty, empty, spot(height=0.0, seed=9))))
    assert found["is_hostless"].tolist() == [1.0, 0.0, 0.0]
    assert found["n_template_clipped"][1] > 20


def test_stamps_that_lack_the_centre_say_nothing() -> None:
    hole = spot()
    hole[30, 30] = np.nan
    found = measured(made((hole, spot(), spot()), (spot(9), spot(9), spot(9))))
    assert np.isnan(found["is_hostless"]).all()
    assert np.isfinite(found["n_template_clipped"][0])


def test_pixels_without_a_value_elsewhere_do_not_count() -> None:
    edge = spot()
    edge[:5] = np.nan
    low, high = clip_bounds(np.sort(edge[np.isfinite(edge)]))
    assert -4.0 < low < -2.5
    assert 2.5 < high < 4.0


def test_a_galaxy_fainter_than_the_noise_of_a_pixel_is_found() -> None:
    """No pixel of it is clipped and it has no structure beyond noise, but many pixels together show it."""
    faint = spot(height=1.5, sigma=3.0, x=8.0, seed=5)
    near, far = (Stamps(stamps.packets, stamps.cutouts, scale) for stamps in [made((spot(), faint, spot()))] for scale in (0.3, 3.0))
    found = measured(near)
    assert found["n_template_clipped"].tolist() <= [2.0]
    assert found["template_structure"][0] < 0.2
    assert found["template_excess"][0] > MAX_EXCESS
    assert found["is_hostless"].tolist() == [0.0]
    assert measured(far)["template_excess"][0] < found["template_excess"][0], "ten pixels of three arcsec are too far"


def test_excess_is_that_of_plain_means_and_rare_in_noise() -> None:
    image = spot(31, seed=8)
    plain = np.array([[image[y : y + 5, x : x + 5].mean(dtype=np.float64) for x in range(27)] for y in range(27)])
    assert box_means(image.astype(np.float64)) == pytest.approx(plain, abs=1e-5)
    clipped = sigma_clip(plain.astype(np.float32), sigma=3.0, maxiters=10)
    middle = 0.5 * (clipped.min() + clipped.max())
    assert excess(image, 15) > 10.0
    assert middle == pytest.approx(0.0, abs=0.3)
    noise = np.array([excess(spot(63, height=0.0, seed=seed), 7) for seed in range(400)])
    assert np.mean(noise > MAX_EXCESS) <= 0.005
    assert np.median(noise) == pytest.approx(2.0, abs=0.7)
    assert np.isnan(excess(np.zeros((63, 63), np.float32), 7))
    assert np.isnan(excess(spot(9), 7))
