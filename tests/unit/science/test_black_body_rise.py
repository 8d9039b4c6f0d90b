"""A black body that brightens: its temperature and rise come back; one band, or few points, are not enough."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from alert_batches import BANDS, NOW, light_curves
from fink.fitting.rainbow import ERG_PER_NJY_HZ, planck
from fink.science.black_body_rise import black_body_rise
from unit.science.sampled_curves import sampled

WAVELENGTH = {band.name: band.wavelength for band in BANDS}
HALF, RISE, TEMPERATURE, BOLOMETRIC = NOW - 8.0, 5.0, 22000.0, 3e18


def flux(t: Any, band: str) -> Any:
    return BOLOMETRIC * planck(WAVELENGTH[band], TEMPERATURE)[0] / (1.0 + np.exp(-(t - HALF) / RISE))


def run(curves: list[Any]) -> dict[str, Any]:
    return dict(black_body_rise.function(light_curves(curves)))


def test_a_rising_black_body_comes_back_with_errors() -> None:
    found = run([sampled(flux, seed, (NOW - 40.0, NOW), n=60, bands="ugri", snr=80.0) for seed in range(60)])
    truth = {"half_mjd": HALF, "rise_time": RISE, "temperature": TEMPERATURE, "amplitude": BOLOMETRIC * ERG_PER_NJY_HZ}
    for name, value in truth.items():
        pull = (found[f"black_body_{name}"] - value) / found[f"black_body_{name}_err"]
        assert np.nanmedian(np.abs(pull)) < 1.0, name
    assert np.nanmedian(found["black_body_temperature"]) == pytest.approx(TEMPERATURE, rel=0.05)
    assert np.nanmedian(found["black_body_chi2"]) < 1.0
    assert found["black_body_fit"].to_pylist().count("converged") > 50


def test_one_band_or_few_points_are_not_enough() -> None:
    found = run([sampled(flux, 1, (NOW - 40.0, NOW), bands="g"), sampled(flux, 2, (NOW - 9.0, NOW), n=5, bands="gr"), []])
    assert np.isnan(found["black_body_rise_time"]).all()
    assert found["black_body_fit"].null_count == 3
