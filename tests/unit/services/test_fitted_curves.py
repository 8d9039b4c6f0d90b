"""Curves drawn from columns are the curves that were fitted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fink import surveys
from fink.fitting import Points
from fink.fitting.microlensing import fit_pspl
from fink.fitting.rainbow import ERG_PER_NJY_HZ, Rainbow
from fink.fitting.transients import fit_bazin, fit_sigmoid, fit_two_exponential
from fink.services.fitted_curves import Measured, fitted_curves

START = 60000.0
BANDS = surveys.registry()["ztf"].bands
TIME = START + np.arange(0.0, 80.0, 2.0)


def pulse(time: Any, peak: float = START + 25.0, rise: float = 4.0, fall: float = 18.0) -> Any:
    s = time - peak
    return 1.0 / (np.exp(-s / rise) + np.exp(s / fall))


def measured(*fluxes: Any) -> Measured:
    band = [BANDS[b].name for b in range(len(fluxes)) for _ in TIME]
    return Measured(np.tile(TIME, len(fluxes)), np.concatenate(fluxes), np.full(len(band), 0.5), band, START)


def points(*fluxes: Any) -> Points:
    n = len(TIME) * len(fluxes)
    band = np.repeat(np.arange(len(fluxes)), len(TIME))
    order = np.argsort(np.tile(TIME, len(fluxes)), kind="stable")
    return Points.of([0, n], np.tile(TIME, len(fluxes))[order], band[order], np.concatenate(fluxes)[order], np.full(n, 0.5))


def at_points(line: dict[str, Any]) -> Any:
    return np.interp(TIME, line["mjd"], line["flux"])


def curve_named(name: str, alert: dict[str, Any], over: Measured) -> dict[str, Any]:
    return next(curve for curve in fitted_curves(alert, over, BANDS) if curve["name"] == name)


def test_bazin_is_drawn_in_the_bands_that_have_its_columns() -> None:
    flux = 1000.0 * pulse(TIME)
    fits = fit_bazin(points(flux))
    names = {"amplitude": "amplitude", "peak_mjd": "peak_time", "rise_time": "rise_time", "fall_time": "fall_time"}
    alert = {f"bazin_{column}_g": float(fits.value(name)[0]) for column, name in names.items()} | {"bazin_chi2_g": 0.1}
    found = curve_named("Bazin", alert, measured(flux, flux))
    assert [line["band"] for line in found["lines"]] == ["g"]
    assert found["lines"][0]["chi2"] == 0.1
    assert at_points(found["lines"][0]) == pytest.approx(flux, abs=0.02 * flux.max())


def test_a_sigmoid_is_drawn() -> None:
    flux = 500.0 / (1.0 + np.exp(-(TIME - START - 30.0) / 5.0))
    fits = fit_sigmoid(points(flux))
    names = {"amplitude": "amplitude", "half_mjd": "half_time", "time": "rise_time"}
    alert = {f"rise_{column}_g": float(fits.value(name)[0]) for column, name in names.items()}
    assert at_points(curve_named("Rise", alert, measured(flux))["lines"][0]) == pytest.approx(flux, abs=10.0)


def test_rainbow_is_drawn_in_every_band_with_points() -> None:
    fluxes = (1000.0 * pulse(TIME), 1400.0 * pulse(TIME))
    model = Rainbow(tuple(band.wavelength for band in BANDS[:2]))
    fits = model.fit(points(*fluxes))
    alert = {f"rainbow_{p.name}": float(fits.value(p.name)[0]) for p in model.parameters}
    alert["rainbow_luminosity_peak_mjd"] = alert.pop("rainbow_peak_time")
    alert["rainbow_amplitude"] *= ERG_PER_NJY_HZ
    found = curve_named("Rainbow", alert, measured(*fluxes))
    assert [line["band"] for line in found["lines"]] == ["g", "r"]
    for line, flux in zip(found["lines"], fluxes, strict=True):
        assert at_points(line) == pytest.approx(flux, abs=0.1 * flux.max())


def test_a_lens_takes_flux_and_level_of_each_band_from_its_points() -> None:
    square = 0.3**2 + ((TIME - START - 40.0) / 15.0) ** 2
    excess = (square + 2.0) / np.sqrt(square * (square + 4.0)) - 1.0
    fluxes = (300.0 * excess - 20.0, 800.0 * excess + 50.0)
    fits = fit_pspl(points(*fluxes), 2)
    names = {"lens_peak_mjd": "peak_time", "lens_einstein_time": "einstein_time", "lens_impact": "impact"}
    alert = {column: float(fits.value(name)[0]) for column, name in names.items()}
    for line, flux in zip(curve_named("Point lens", alert, measured(*fluxes))["lines"], fluxes, strict=True):
        assert at_points(line) == pytest.approx(flux, abs=0.02 * np.ptp(flux))


def test_a_flare_begins_at_its_onset() -> None:
    since = np.maximum(TIME - START - 20.0, 0.0)
    flux = 900.0 * (1.0 - np.exp(-since / 3.0)) * np.exp(-since / 10.0)
    fits = fit_two_exponential(points(flux))
    names = {"flare_onset_mjd": "onset", "flare_rise_time": "rise_time", "flare_fall_time": "fall_time"}
    line = curve_named("Flare", {column: float(fits.value(name)[0]) for column, name in names.items()}, measured(flux))["lines"][0]
    assert at_points(line) == pytest.approx(flux, abs=0.03 * flux.max())
    assert np.array(line["flux"])[np.array(line["mjd"]) < START + 19.0].max() == 0.0


def test_without_parameters_there_is_no_curve() -> None:
    assert fitted_curves({"rainbow_amplitude": 1e-12, "bazin_amplitude_g": 5.0}, measured(pulse(TIME)), BANDS) == []
