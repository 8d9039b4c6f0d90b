"""Pulses in each band come back with errors, as scipy finds them; and bands that were hardly seen have none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import optimize

from alert_batches import BANDS, NOW, light_curves
from fink.fitting.bands import LETTERS
from fink.lightcurves import DETECTION, FORCED, LIMIT, Band
from fink.science.bazin import BEFORE, ERROR_FLOOR, bazin
from unit.science.sampled_curves import sampled

HEIGHT = {"g": 9000.0, "r": 15000.0, "i": 6000.0}
RISE, FALL, PEAK = 3.0, {"g": 12.0, "r": 20.0, "i": 35.0}, NOW - 40.0


def pulse(t: Any, amplitude: float, peak: float, rise: float, fall: float) -> Any:
    shift = rise * fall / (rise + fall) * np.log(fall / rise)
    s = t - peak + shift
    return amplitude * (np.exp(-shift / rise) + np.exp(shift / fall)) / (np.exp(-s / rise) + np.exp(s / fall))


def supernova(t: Any, band: str) -> Any:
    return pulse(t, HEIGHT[band], PEAK, RISE, FALL[band])


def run(curves: list[Any], bands: tuple[Band, ...] = BANDS) -> dict[str, Any]:
    return dict(bazin.function(light_curves(curves, bands)))


def test_each_band_has_its_own_pulse_with_errors() -> None:
    found = run([sampled(supernova, seed, (PEAK - 30.0, NOW), n=90) for seed in range(60)])
    for band, height in HEIGHT.items():
        truth = {"amplitude": height, "peak_mjd": PEAK, "rise_time": RISE, "fall_time": FALL[band]}
        for name, value in truth.items():
            pull = (found[f"bazin_{name}_{band}"] - value) / found[f"bazin_{name}_{band}_err"]
            # 3 % is added to errors of 2 to 4 %, so that they scatter by less
            assert 0.1 < np.nanmedian(np.abs(pull)) < 0.7, (name, band)
        assert 0.1 < np.nanmedian(found[f"bazin_chi2_{band}"]) < 0.8
        assert found[f"bazin_fit_{band}"].to_pylist().count("converged") > 50
    for band in set(LETTERS) - set(HEIGHT):
        assert np.isnan(found[f"bazin_amplitude_{band}"]).all()
        assert found[f"bazin_fit_{band}"].null_count == 60


def test_the_minimum_is_that_of_scipy() -> None:
    curves = [sampled(supernova, seed, (PEAK - 30.0, NOW), n=90) for seed in range(12)]
    found = run(curves)
    for row, curve in enumerate(curves):
        time, flux, error = (np.array([p[i] for p in curve if p[1] == "r"], np.float64) for i in (0, 3, 4))
        flux, error = flux.astype(np.float32).astype(np.float64), error.astype(np.float32).astype(np.float64)
        error = np.hypot(error, ERROR_FLOOR * flux.max())
        start = [HEIGHT["r"], 0.0, RISE, FALL["r"]]
        best, covariance = optimize.curve_fit(pulse, time - PEAK, flux, start, error, absolute_sigma=True)
        errors = np.sqrt(np.diag(covariance))
        ours = [found[f"bazin_{name}_r"][row] for name in ("amplitude", "peak_mjd", "rise_time", "fall_time")]
        assert np.abs((np.array(ours) - [0, PEAK, 0, 0] - best) / errors).max() < 0.1
        assert found["bazin_amplitude_r_err"][row] == pytest.approx(errors[0], rel=0.1)


def test_bands_need_three_detections_and_limits_count() -> None:
    curve = sampled(supernova, 3, (PEAK - 10.0, NOW), n=60)
    few = [*[p for p in curve if p[1] != "g"], *[p for p in curve if p[1] == "g" and p[2] == DETECTION][:2]]
    limits = [(PEAK - 12.0 - i, "r", LIMIT, float("nan"), 100.0) for i in range(8)]
    whole, without, bounded = (
        run([curve, few, [*curve, *limits]])["bazin_amplitude_g"],
        *(run([c])["bazin_rise_time_r_err"] for c in (few, [*few, *limits])),
    )
    assert np.isfinite(whole[[0, 2]]).all()
    assert np.isnan(whole[1])
    assert bounded[0] < without[0]


def test_old_points_do_not_count_and_forced_photometry_beside_a_detection_does_not_either() -> None:
    curve = sampled(supernova, 4, (PEAK - 30.0, NOW), n=90)
    first = min(p[0] for p in curve if p[2] == DETECTION)
    old = [(first - BEFORE - 1.0 - i, "r", FORCED, 900.0, 10.0) for i in range(6)]
    twice = [(t, b, FORCED, 0.5 * f, e) for t, b, k, f, e in curve if k == DETECTION]
    plain, burdened, doubled = run([curve, [*curve, *old], [*curve, *twice]])["bazin_fall_time_r"]
    assert plain == burdened == doubled


def test_of_two_surveys_the_band_with_more_points_answers() -> None:
    bands = (Band("r", "ztf", 6366.0), Band("R", "lsst", 6223.0))
    ztf = sampled(lambda t, b: supernova(t, "r"), 5, (PEAK - 30.0, NOW), n=40, bands="r")
    few = [(t, "R", k, 2.0 * f, e) for t, _, k, f, e in sampled(lambda t, b: supernova(t, "r"), 6, (PEAK - 30.0, NOW), n=20, bands="r")]
    many = [(t, "R", k, 2.0 * f, e) for t, _, k, f, e in sampled(lambda t, b: supernova(t, "r"), 6, (PEAK - 30.0, NOW), n=60, bands="r")]
    alone, mixed, other = run([ztf, [*ztf, *few], [*ztf, *many]], bands)["bazin_amplitude_r"]
    assert alone == mixed
    assert other == pytest.approx(2.0 * alone, rel=0.1)


def test_nothing_gives_nothing() -> None:
    found = run([[], [(NOW, "r", DETECTION, 500.0, 50.0)]])
    assert np.isnan(found["bazin_amplitude_r"]).all()
