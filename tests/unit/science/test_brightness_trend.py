"""Rising and fading by hand; the straight line against numpy, and the calibration of its significance."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from alert_batches import BANDS, NOW, Point, light_curves
from fink.lightcurves import DETECTION, FORCED, LIMIT, LightCurves
from fink.science.brightness_trend import brightness_trend
from shared_data import shared_data


def trend(*points: Point) -> dict[str, Any]:
    """Run the module on one alert."""
    return {name: values[0] for name, values in brightness_trend.function(np.array([NOW]), light_curves([points])).items()}


def flat(*fluxes: float, error: float = 100.0) -> list[Point]:
    """Earlier r points, one a day, the oldest first."""
    return [(NOW - len(fluxes) + i, "r", FORCED, flux, error) for i, flux in enumerate(fluxes)]


def test_rising_and_fading_against_the_mean_before() -> None:
    for flux, rising, fading in ((2000.0, 1.0, 0.0), (1000.0, 0.0, 0.0), (300.0, 0.0, 1.0)):
        found = trend(*flat(1000.0, 1000.0, 1000.0, 1000.0), (NOW, "r", DETECTION, flux, 100.0))
        assert (found["rising"], found["fading"]) == (rising, fading)
        assert found["flux_change_significance"] == pytest.approx((flux - 1000.0) / np.hypot(100.0, 50.0))


def test_a_variable_where_it_often_was_does_not_rise() -> None:
    calm = trend(*flat(1000.0, 1000.0), (NOW, "r", DETECTION, 1500.0, 100.0))
    restless = trend(*flat(200.0, 1800.0), (NOW, "r", DETECTION, 1500.0, 100.0))
    assert (calm["rising"], restless["rising"]) == (1.0, 0.0)


def test_other_bands_and_limits_are_no_past() -> None:
    found = trend((NOW - 1.0, "g", DETECTION, 1000.0, 10.0), (NOW - 1.0, "r", LIMIT, 0.0, 10.0), (NOW, "r", DETECTION, 500.0, 10.0))
    assert np.isnan([found["flux_change_significance"], found["rising"], found["fading"]]).all()
    assert found["n_trend_points"] == 1


def test_line_through_the_last_days() -> None:
    rng = np.random.default_rng(8)
    time, error = np.array([-9.0, -6.5, -4.0, -2.0, 0.0]), np.array([50.0, 80.0, 50.0, 60.0, 40.0])
    flux = 3000.0 + 200.0 * time + rng.normal(0.0, error)
    points: list[Point] = [(NOW + t, "r", DETECTION, f, e) for t, f, e in zip(time, flux, error, strict=True)]
    found = trend((NOW - 11.0, "r", DETECTION, 9e5, 10.0), *points)
    (slope, level), covariance = np.polyfit(time, flux.astype(np.float32), 1, w=1.0 / error, cov="unscaled")
    assert found["trend"] == pytest.approx(-2.5 / np.log(10.0) * slope / level, rel=1e-5)
    assert found["trend_err"] == pytest.approx(2.5 / np.log(10.0) * covariance[0, 0] ** 0.5 / level, rel=1e-5)
    assert found["trend_chi2"] == pytest.approx((((flux - level - slope * time) / error) ** 2).sum() / 3.0, rel=1e-4)
    assert (found["n_trend_points"], found["n_bands_rising"], found["n_bands_fading"]) == (5, 1, 0)


def test_one_night_makes_no_line() -> None:
    found = trend(*((NOW - t, "r", DETECTION, 5000.0, 50.0) for t in (0.4, 0.2, 0.1)), (NOW, "r", DETECTION, 5000.0, 50.0))
    assert found["n_trend_points"] == 4
    assert np.isnan(found["trend"])


def test_every_band_is_fitted() -> None:
    fading: list[Point] = [(NOW - t, band, DETECTION, 1000.0 + 300.0 * t, 50.0) for band in "gi" for t in (0.2, 1.0, 2.0, 3.0)]
    found = trend(*fading, (NOW, "r", DETECTION, 1000.0, 50.0))
    assert (found["n_bands_rising"], found["n_bands_fading"]) == (0, 2)
    assert np.isnan(found["trend"])


def test_three_sigma_is_three_sigma() -> None:
    """Of constant sources with Gaussian errors 0.27 % rise or fade; with the mean's own error counted."""
    rng = np.random.default_rng(9)
    n = 20_000
    flux = rng.normal(5000.0, 300.0, (n, 6))
    curves = light_curves([[(NOW - 5.0 + i, "r", DETECTION, f, 300.0) for i, f in enumerate(row)] for row in flux])
    found = brightness_trend.function(np.full(n, NOW), curves)
    changes = np.mean(found["rising"] + found["fading"])
    assert 0.0008 < changes < 0.0035
    assert np.std(found["flux_change_significance"]) == pytest.approx(1.0, abs=0.06)
    slopes = found["trend"] / found["trend_err"]
    assert np.nanstd(slopes) == pytest.approx(1.0, abs=0.03)


def test_what_brightens_once_has_no_extra_crossings_and_a_variable_has() -> None:
    times = np.linspace(NOW - 60.0, NOW, 61)
    bump = [
        (float(t), "gr"[i % 2], FORCED, float(5000.0 * np.exp(-0.5 * ((t - NOW + 30.0) / 5.0) ** 2)), 100.0) for i, t in enumerate(times)
    ]
    wave = [(float(t), "gr"[i % 2], DETECTION, float(5000.0 * np.sin(t / 2.0)), 100.0) for i, t in enumerate(times)]
    flat = [(float(t), "r", DETECTION, 5000.0, 100.0) for t in times]
    found = dict(brightness_trend.function(np.full(4, NOW), light_curves([bump, wave, flat, []])))["n_extra_crossings"]
    assert found[0] == 0
    assert found[1] > 12
    assert found[2] == 0
    assert np.isnan(found[3])


def test_transients_of_plasticc_pass_and_variable_stars_do_not() -> None:
    points = pl.read_parquet(shared_data("lightcurves", "plasticc_train_lc.parquet")).sort("object_id", "mjd")
    targets = pl.read_parquet(shared_data("lightcurves", "plasticc_train_meta.parquet")).sort("object_id")["target"].to_numpy()
    counts = points.group_by("object_id", maintain_order=True).len()["len"].to_numpy()
    flux, error = (points[name].to_numpy().astype(np.float32) for name in ("flux", "flux_err"))
    seen, zeros = flux > 5.0 * error, np.zeros(len(flux), np.int64)
    curves = LightCurves(
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        mjd=points["mjd"].to_numpy(),
        band=points["passband"].to_numpy().astype(np.int8),
        kind=np.where(seen, DETECTION, FORCED).astype(np.int8),
        flux=flux,
        flux_err=error,
        total_flux=flux,
        total_flux_err=error,
        point_id=zeros,
        detector=zeros.astype(np.int16),
        bands=BANDS,
    )
    often = np.add.reduceat(seen, curves.offsets[:-1]) >= 8
    extra = dict(brightness_trend.function(curves.mjd[curves.offsets[1:] - 1], curves))["n_extra_crossings"]
    transients, stars = (extra[often & np.isin(targets, kinds)] for kinds in ((6, 15, 42, 52, 62, 67, 90, 95), (92,)))
    assert len(transients) > 500
    assert (transients <= 1).mean() > 0.99
    assert len(stars) > 100
    assert (stars > 1).mean() > 0.95
