"""The period search finds what was put in and what is known of real stars, and its false alarms are as often as it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from astropy.timeseries import LombScargle, LombScargleMultiband
from astropy.timeseries.periodograms.lombscargle import _statistics

from fink.fitting.periodogram import MAX_FREQUENCY, find_periods, log_false_alarm
from shared_data import shared_data

Waves = tuple[Any, Any, Any, Any, Any]


def waves(seed: int, n: int, points: int, period: float, size: float, n_bands: int = 3, span: float = 200.0) -> Waves:
    """Make light curves of one period: each band with a mean and an amplitude of its own, a third of it in the overtone."""
    rng = np.random.default_rng(seed)
    offsets = np.arange(n + 1) * points
    time = np.sort(rng.uniform(60000.0, 60000.0 + span, (n, points)), axis=1).ravel()
    band = rng.integers(0, n_bands, n * points)
    error = np.exp(rng.normal(0.0, 0.3, n * points))
    turn = 2.0 * np.pi * time / period
    shape = np.sin(turn) + np.sin(2.0 * turn + 1.0) / 3.0
    value = 100.0 * band + size * (1.0 + 0.5 * band) * shape + error * rng.normal(size=n * points)
    return offsets, time, band, value, error


@pytest.mark.parametrize("period", [0.2317, 0.61803, 3.777, 31.4])
def test_a_period_with_bands_of_their_own_is_found(period: float) -> None:
    found = find_periods(*waves(1, 20, 90, period, 5.0), 3)
    assert np.all(np.abs(1.0 / found.period - 1.0 / period) < 0.1 / 200.0)
    assert np.all(found.log_fap < -6.0)
    assert np.all(found.residual < 0.15)
    np.testing.assert_allclose(found.harmonic_ratio, 1.0 / 3.0, atol=0.15)


def test_power_is_that_of_the_exact_periodogram() -> None:
    """One band of equal errors: the highest point of astropy's periodogram with a floating mean."""
    offsets, time, band, value, error = waves(2, 12, 80, 0.7, 0.8, n_bands=1)
    error[:] = 1.0
    found = find_periods(offsets, time, band, value, error, 1)
    for i in range(12):
        rows = slice(offsets[i], offsets[i + 1])
        exact = LombScargle(time[rows], value[rows], error[rows])
        frequency = np.arange(2.0 / 200.0, MAX_FREQUENCY, 1.0 / (20.0 * 200.0))
        assert found.power[i] == pytest.approx(exact.power(frequency, method="cython").max(), rel=0.01)


def test_the_best_period_is_that_of_the_multiband_periodogram_of_astropy() -> None:
    offsets, time, band, value, error = waves(3, 6, 60, 0.7321, 3.0)
    found = find_periods(offsets, time, band, value, error, 3)
    frequency = np.arange(0.02, MAX_FREQUENCY, 1.0 / 1000.0)
    for i in range(6):
        rows = slice(offsets[i], offsets[i + 1])
        other = LombScargleMultiband(time[rows], value[rows], band[rows], error[rows], nterms_base=2, nterms_band=1)
        best = frequency[np.argmax(other.power(frequency, sb_method="flexible"))]
        assert 1.0 / found.period[i] == pytest.approx(best, abs=1.0 / 500.0)


@pytest.mark.parametrize("power", [0.3, 0.5, 0.9, 0.999])
def test_false_alarm_formula_is_that_of_astropy(power: float) -> None:
    _, time, _, value, error = waves(4, 1, 60, 1.0, 0.0)
    weight = error**-2 / np.sum(error**-2)
    expected = np.log10(_statistics.fap_baluev(power, MAX_FREQUENCY, time, value, error))
    assert log_false_alarm(power, 59, time, weight, MAX_FREQUENCY) == pytest.approx(expected, rel=1e-6)


def test_false_alarms_in_noise_are_as_often_as_said() -> None:
    found = find_periods(*waves(5, 1000, 60, 1.0, 0.0, n_bands=2), 2)
    for level in (0.05, 0.2, 0.5):
        share = np.mean(found.log_fap < np.log10(level))
        assert abs(share - level) < 4.0 * np.sqrt(level * (1.0 - level) / 1000.0) + 0.01


def test_an_answer_depends_on_its_light_curve_alone() -> None:
    offsets, time, band, value, error = waves(6, 40, 70, 2.5, 1.0)
    together = find_periods(offsets, time, band, value, error, 3)
    for i in (0, 17, 39):
        rows = slice(offsets[i], offsets[i + 1])
        alone = find_periods(np.array([0, 70]), time[rows], band[rows], value[rows], error[rows], 3)
        for name in ("period", "power", "log_fap", "residual", "harmonic_ratio"):
            assert getattr(alone, name)[0] == getattr(together, name)[i], name


def test_shift_of_time_scale_of_flux_and_order_of_points_change_nothing() -> None:
    offsets, time, band, value, error = waves(7, 10, 70, 1.234, 4.0)
    found = find_periods(offsets, time, band, value, error, 3)
    mixed = np.concatenate([start + np.random.default_rng(1).permutation(70) for start in offsets[:-1]])
    for other in (
        find_periods(offsets, time - 12345.0, band, value, error, 3),
        find_periods(offsets, time, band, -1e4 * value, 1e4 * error, 3),
        find_periods(offsets, time[mixed], band[mixed], value[mixed], error[mixed], 3),
    ):
        np.testing.assert_allclose(other.period, found.period, rtol=1e-5)
        np.testing.assert_allclose(other.power, found.power, rtol=1e-5)


def test_few_constant_or_unusable_points_give_nothing() -> None:
    offsets, time, band, value, error = waves(8, 4, 60, 1.0, 5.0)
    value[:60] = 7.0
    error[60:120] = np.nan
    value[120:170] = np.inf
    time[180:240] = 60000.0
    found = find_periods(offsets, time, band, value, error, 3)
    assert np.isnan(found.period).all()
    assert np.isnan(found.log_fap).all()


def test_periods_of_rr_lyrae_stars_are_recovered() -> None:
    """Forty stars of SDSS Stripe 82 with their published periods; the benchmark does it for all 483."""
    stars = pl.read_csv(shared_data("lightcurves", "sdss_s82_rrlyrae_periods.csv")).sort("Num").gather_every(12)
    points = pl.read_parquet(shared_data("lightcurves", "sdss_s82_rrlyrae.parquet")).filter(pl.col("magerr").is_between(0, 1, "right"))
    points = points.with_columns(Num=pl.col("name").cast(pl.Int64)).join(stars, on="Num").sort("Num", "time")
    counts = points.group_by("Num").len().sort("Num")["len"].to_numpy()
    flux = 10 ** (-0.4 * (points["mag"].to_numpy() - 31.4))
    band = points["band"].replace_strict({name: i for i, name in enumerate("ugriz")}, return_dtype=pl.Int64)
    found = find_periods(np.r_[0, np.cumsum(counts)], points["time"], band, flux, flux * points["magerr"].to_numpy(), 5)
    right = np.abs(found.period / stars["Per"].to_numpy() - 1.0) < 1e-3
    assert right.mean() > 0.9
    assert np.all(found.log_fap < -10.0)
