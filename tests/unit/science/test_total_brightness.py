from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alert_batches import BANDS, NOW, light_curves
from fink.lightcurves import DETECTION, FORCED, LIMIT, Band, LightCurves
from fink.science.total_brightness import total_brightness
from fink.surveys import registry
from shared_data import shared_data
from unit.surveys.real_packets import containers_in, read_twice

UNKNOWN = np.array([np.nan])
Point = tuple[float, str, float, float]
"""Days before the alert, band, total flux and its error [nJy]."""


def curves_of(points: list[Point], kind: int = DETECTION, bands: tuple[Band, ...] = BANDS) -> LightCurves:
    """One light curve, whose difference fluxes are a tenth of the total ones; the point at the alert's time is a detection."""
    rows = [(NOW - days, band, kind if days else DETECTION, 0.1 * flux, error) for days, band, flux, error in points]
    curves = light_curves([rows], bands)
    return replace(curves, total_flux=10.0 * curves.flux, total_flux_err=curves.flux_err)


def colours(curves: LightCurves, n: int = 1) -> dict[str, Any]:
    unknown = np.full(n, np.nan)
    return dict(total_brightness.function(*[unknown] * 6, np.full(n, NOW), curves))


def mags(**known: float) -> dict[str, Any]:
    names = ("flux", "flux_err", "total_flux", "total_flux_err", "template_flux", "template_flux_err")
    given = [np.array([known.get(name, np.nan)]) for name in names]
    return dict(total_brightness.function(*given, np.array([NOW]), LightCurves.empty(1, BANDS)))


def test_magnitude_is_ab_of_the_total_flux() -> None:
    values = mags(total_flux=3631e9, total_flux_err=3631e7)
    assert values["total_mag"] == pytest.approx(0.0, abs=1e-4)
    assert values["total_mag_err"] == pytest.approx(2.5 / np.log(10.0) * 0.01)


@pytest.mark.parametrize(
    "known", [{"total_flux": 100.0, "total_flux_err": 50.0}, {"total_flux": -100.0, "total_flux_err": 1.0}, {"total_flux": 1e3}]
)
def test_what_is_not_significant_or_has_no_error_has_no_magnitude(known: dict[str, float]) -> None:
    assert np.isnan(mags(**known)["total_mag"])
    assert np.isnan(mags(**known)["total_mag_err"])


def test_change_against_the_template_and_its_error_are_those_of_simulated_fluxes() -> None:
    rng = np.random.default_rng(3)
    template, difference = 1000.0 + rng.normal(0.0, 30.0, 400_000), 800.0 + rng.normal(0.0, 20.0, 400_000)
    drawn = -2.5 * np.log10((template + difference) / template)
    values = mags(flux=800.0, flux_err=20.0, total_flux=1800.0, total_flux_err=36.0, template_flux=1000.0, template_flux_err=30.0)
    assert values["template_change"] == pytest.approx(drawn.mean(), abs=2e-3)
    assert values["template_change_err"] == pytest.approx(drawn.std(), rel=0.01)


def test_template_that_is_lost_in_its_noise_or_unknown_gives_no_change() -> None:
    known = {"flux": 800.0, "flux_err": 20.0, "total_flux": 1800.0, "total_flux_err": 20.0}
    assert np.isnan(mags(**known)["template_change"])
    assert np.isnan(mags(**known, template_flux=20.0, template_flux_err=10.0)["template_change"])


def test_mean_colour_over_matched_epochs_with_its_latest() -> None:
    points = [
        (0.0, "r", 2000.0, 40.0),
        (0.1, "g", 1000.0, 40.0),
        (5.0, "g", 1100.0, 30.0),
        (5.2, "r", 2000.0, 40.0),
        (9.0, "r", 5000.0, 40.0),
    ]
    values = colours(curves_of(points))
    single = [-2.5 * np.log10(1000.0 / 2000.0), -2.5 * np.log10(1100.0 / 2000.0)]
    errors = [2.5 / np.log(10.0) * np.hypot(40.0 / 1000.0, 0.02), 2.5 / np.log(10.0) * np.hypot(30.0 / 1100.0, 0.02)]
    mean, weight = np.average(single, weights=np.array(errors) ** -2.0, returned=True)
    assert values["total_colour_bands"].to_pylist() == ["g-r"]
    assert values["total_colour"] == pytest.approx(mean, rel=1e-5)
    assert values["total_colour_err"] == pytest.approx(weight**-0.5, rel=1e-5)
    assert values["total_colour_chi2"] == pytest.approx(sum(((c - mean) / e) ** 2 for c, e in zip(single, errors, strict=True)), rel=1e-4)
    assert values["n_colour_epochs"] == 2
    assert values["total_colour_latest"] == pytest.approx(single[0], rel=1e-5)
    assert values["total_colour_latest_err"] == pytest.approx(errors[0], rel=1e-5)


def test_colour_is_the_bluer_minus_the_redder_whichever_band_the_alert_has() -> None:
    for own, other in (("r", "g"), ("g", "r")):
        fluxes = {"g": 1000.0, "r": 2500.0}
        values = colours(curves_of([(0.0, own, fluxes[own], 20.0), (0.2, other, fluxes[other], 20.0)]))
        assert values["total_colour"] == pytest.approx(2.5 * np.log10(2.5), rel=1e-5)
        assert values["total_colour_bands"].to_pylist() == ["g-r"]


def test_the_band_with_most_matched_epochs_is_taken_and_the_bluest_of_equals() -> None:
    red = [(float(day), "r", 2000.0, 40.0) for day in range(4)]
    few, many = [(0.2, "g", 1000.0, 20.0)], [(day + 0.2, "i", 3000.0, 20.0) for day in range(3)]
    assert colours(curves_of(red + few + many))["total_colour_bands"].to_pylist() == ["r-i"]
    assert colours(curves_of(red + few + many[:1]))["total_colour_bands"].to_pylist() == ["g-r"]


def test_no_point_is_used_twice_and_only_mutual_neighbours_within_half_a_day_match() -> None:
    points = [
        (0.0, "r", 2000.0, 40.0),
        (0.1, "r", 2000.0, 40.0),
        (0.15, "g", 1000.0, 20.0),
        (3.0, "r", 2000.0, 40.0),
        (3.6, "g", 1000.0, 20.0),
    ]
    values = colours(curves_of(points))
    assert values["n_colour_epochs"] == 1
    assert np.isnan(values["total_colour_latest"])
    assert np.isnan(values["total_colour_chi2"])


def test_faint_points_limits_and_unknown_totals_do_not_count_and_forced_photometry_does() -> None:
    faint = [(0.0, "r", 2000.0, 40.0), (0.1, "g", 100.0, 40.0)]
    assert np.isnan(colours(curves_of(faint))["total_colour"])
    bright = [(0.0, "r", 2000.0, 40.0), (0.1, "g", 1000.0, 40.0)]
    assert np.isnan(colours(curves_of(bright, LIMIT))["total_colour"])
    assert colours(curves_of(bright, FORCED))["n_colour_epochs"] == 1
    known = curves_of(bright)
    assert np.isnan(colours(replace(known, total_flux=np.full(2, np.nan, np.float32)))["total_colour"])


def test_bands_of_another_survey_are_not_matched() -> None:
    bands = (Band("g", "ztf", 4746.5), Band("r", "lsst", 6223.0), Band("i", "lsst", 7546.0))
    points = [
        (0.0, "r", 2000.0, 40.0),
        (0.1, "g", 1000.0, 20.0),
        (1.0, "r", 2000.0, 40.0),
        (1.1, "g", 1000.0, 20.0),
        (1.2, "i", 3000.0, 20.0),
    ]
    values = colours(curves_of(points, bands=bands))
    assert values["total_colour_bands"].to_pylist() == ["r-i"]
    assert values["n_colour_epochs"] == 1


def test_errors_of_the_mean_colour_are_right() -> None:
    rng = np.random.default_rng(11)
    n, epochs = 4000, 6
    days = np.repeat(np.arange(epochs) * 3.0, 2) + np.tile([0.0, 0.05], epochs)
    rows = []
    for _ in range(n):
        flux = np.tile([3000.0, 1500.0], epochs) * (1.0 + rng.normal(0.0, 0.05, 2 * epochs))
        rows.append(
            [(NOW - d, "rg"[i % 2], DETECTION, f, 0.05 * (3000.0, 1500.0)[i % 2]) for i, (d, f) in enumerate(zip(days, flux, strict=True))]
        )
    curves = light_curves(rows)
    values = colours(replace(curves, total_flux=curves.flux, total_flux_err=curves.flux_err), n)
    pull = (values["total_colour"] - 2.5 * np.log10(2.0)) / values["total_colour_err"]
    assert np.std(pull) == pytest.approx(1.0, abs=0.03)
    assert values["total_colour_chi2"].mean() == pytest.approx(1.0, abs=0.03)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), days=st.integers(-2000, 2000), power=st.integers(-6, 6))
def test_order_time_and_scale_of_flux_do_not_change_a_colour(seed: int, days: int, power: int) -> None:
    rng = np.random.default_rng(seed)
    points = [
        (float(d) / 64.0, str(rng.choice(list("gri"))), float(rng.uniform(500.0, 5000.0)), 50.0) for d in rng.choice(900, 25, replace=False)
    ]
    curves = curves_of([(0.0, "r", 2000.0, 50.0), *((d + 1.0, b, f, e) for d, b, f, e in points)])
    plain = colours(curves)
    order = rng.permutation(curves.n_points)
    moved: dict[str, Any] = {name: array[order] for name, array in curves.arrays().items()}
    factor = np.float32(2.0**power)
    scaled = replace(curves, total_flux=curves.total_flux * factor, total_flux_err=curves.total_flux_err * factor)
    unknown = np.full(1, np.nan)
    shifted = total_brightness.function(*[unknown] * 6, np.full(1, NOW + days), replace(curves, mjd=curves.mjd + days))
    for name, values in plain.items():
        for other in (colours(replace(curves, **moved).sorted_by_time()), colours(scaled), shifted):
            if name == "total_colour_bands":
                assert other[name].equals(values)
            else:
                np.testing.assert_array_equal(other[name], values, err_msg=name)


def test_real_ztf_alerts_have_the_dc_magnitude_of_their_survey() -> None:
    """The recipe that ZTF publishes, from the packet's own magnitudes: template flux plus or minus the difference."""
    batch, records, _ = read_twice(list(containers_in(shared_data("ztf_alerts", "nightly_tarballs")))[:200], registry()["ztf"])  # type: ignore[arg-type]
    names = ("flux", "flux_err", "total_flux", "total_flux_err", "template_flux", "template_flux_err")
    inputs = [batch.alerts[name].to_numpy(zero_copy_only=False).astype(np.float64) for name in names]
    values = total_brightness.function(*inputs, batch.alerts["mjd"].to_numpy(), batch.lightcurves)
    compared = 0
    for row, record in enumerate(records):
        c = record["candidate"]
        if not 0.0 <= c["distnr"] <= 1.5 or np.isnan(values["total_mag"][row]):
            continue
        sign = 1.0 if c["isdiffpos"] in ("t", "1") else -1.0
        total = 10 ** (-0.4 * c["magnr"]) + sign * 10 ** (-0.4 * c["magpsf"])
        assert values["total_mag"][row] == pytest.approx(-2.5 * np.log10(total), abs=2e-5)
        assert values["template_change"][row] == pytest.approx(-2.5 * np.log10(total) - c["magnr"], abs=2e-5)
        compared += 1
    assert compared > 20
