"""Decays in time and frequency, orphans of jets seen from the side, and mean rates: by simulation, scipy and hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import optimize

from alert_batches import BANDS, NOW, light_curves
from fink.lightcurves import DETECTION
from fink.science.afterglow import ERROR_FLOOR, afterglow
from unit.science.sampled_curves import sampled

WAVELENGTH = {band.name: band.wavelength for band in BANDS}
BURST, INDEX, COLOUR = NOW - 6.0, 1.1, 0.7
SLOPE, LEVEL, HEIGHT, BEND = 0.15, 19.0, 2.0, 1.2


def decay(t: Any, band: str) -> Any:
    return 20000.0 * (t - BURST) ** -INDEX * (WAVELENGTH[band] / WAVELENGTH["r"]) ** COLOUR


def orphan(t: Any, band: str) -> Any:
    since = t - (NOW - 12.0)
    mag = SLOPE * since + LEVEL + HEIGHT * np.exp(-BEND * since) - 2.5 * 0.8 * np.log10(WAVELENGTH[band] / WAVELENGTH["r"])
    return 10.0 ** (0.4 * (31.4 - mag))


def run(curves: list[Any]) -> dict[str, Any]:
    return dict(afterglow.function(light_curves(curves)))


def test_a_decay_comes_back_with_its_onset_and_spectrum() -> None:
    found = run([sampled(decay, seed, (BURST + 0.2, NOW), n=60, snr=400.0) for seed in range(60)])
    for name, truth in {"index": INDEX, "spectral_index": COLOUR, "onset_mjd": BURST}.items():
        pull = (found[f"decay_{name}"] - truth) / found[f"decay_{name}_err"]
        assert np.nanmedian(np.abs(pull)) < 1.0, name
    assert np.nanmedian(found["decay_index_err"]) < 0.2
    assert found["decay_fit"].to_pylist().count("converged") > 40


def test_the_decay_is_that_of_scipy() -> None:
    curves = [sampled(decay, seed, (BURST + 0.2, NOW), n=60, snr=400.0) for seed in range(8)]
    found = run(curves)
    for row, curve in enumerate(curves):
        highest = max(p[3] for p in curve)
        begin = max(range(len(curve)), key=lambda i: curve[i][3] - np.hypot(curve[i][4], ERROR_FLOOR * highest))
        part = curve[begin:]
        time, flux, error = (np.array([p[i] for p in part], np.float64) for i in (0, 3, 4))
        ratio = np.array([WAVELENGTH[p[1]] / WAVELENGTH[part[0][1]] for p in part])
        error = np.hypot(error, ERROR_FLOOR * highest)

        def model(t: Any, flux_1: float, index: float, lead: float, colour: float, ratio: Any = ratio) -> Any:
            return flux_1 * ((t + lead) / (1.0 + lead)) ** -index * ratio**colour

        start, bounds = [20000.0, INDEX, 0.3, COLOUR], ([0, -1, 1e-4, -3], [np.inf, 10, 100, 5])
        best, _ = optimize.curve_fit(model, time - time[0], flux, start, error, bounds=bounds)
        lowest = (((flux - model(time - time[0], *best)) / error) ** 2).sum()
        assert found["decay_chi2"][row] * (len(time) - 4) < lowest + 0.05


def test_an_orphan_comes_back() -> None:
    found = run([sampled(orphan, seed, (NOW - 12.0, NOW), n=60, snr=300.0) for seed in range(60)])
    # time counts from the first point, a fraction of a day after the time that was drawn
    for name, truth in {"slope": SLOPE, "bend": BEND}.items():
        pull = (found[f"afterglow_{name}"] - truth) / found[f"afterglow_{name}_err"]
        assert np.nanmedian(np.abs(pull)) < 1.0, name
    assert np.nanmedian(found["afterglow_chi2"]) < 1.2
    known = found["afterglow_spectral_index"][np.isfinite(found["afterglow_spectral_index"])]
    assert len(known) > 50
    assert ((known >= 0.6) & (known <= 1.1)).all()


def test_one_band_has_no_spectrum() -> None:
    found = run([sampled(decay, 1, (BURST + 0.2, NOW), n=40, bands="r", snr=400.0)])
    assert np.isnan(found["decay_spectral_index"][0])
    assert np.isnan(found["afterglow_spectral_index"][0])
    assert found["decay_index"][0] == pytest.approx(INDEX, abs=0.3)


def test_mean_rates_are_those_by_hand() -> None:
    days, mags = [0.0, 1.0, 2.0, 2.05, 3.0, 4.0, 7.0, 8.0, 9.0, 11.0], [20.0, 19.5, 19.0, 19.9, 19.4, 19.6, 20.5, 20.6, 20.8, 21.4]
    curve = [(NOW - 11.0 + day, "r", DETECTION, 10.0 ** (0.4 * (31.4 - mag)), 20.0) for day, mag in zip(days, mags, strict=True)]
    found = {name: float(values[0]) for name, values in run([curve]).items() if name.startswith("afterglow_") and "rate" in name}
    # the point at 2.05 d is too near to the one before it to give a rate; the brightest is at 2 d, thirds end at 5 and begin at 8 d
    assert found["afterglow_rise_rate"] == pytest.approx(-0.5, abs=1e-4)
    assert found["afterglow_early_rate"] == pytest.approx(((19.4 - 19.0) / 1.0 + (19.6 - 19.4) / 1.0) / 2.0, abs=1e-4)
    assert found["afterglow_late_rate"] == pytest.approx(((20.8 - 20.6) / 1.0 + (21.4 - 20.8) / 2.0) / 2.0, abs=1e-4)
    assert float(run([curve])["afterglow_rise_duration"][0]) == pytest.approx(2.0)


def test_nothing_gives_nothing() -> None:
    found = run([[], [(NOW, "r", DETECTION, 500.0, 50.0)]])
    assert np.isnan(found["decay_index"]).all()
    assert np.isnan(found["afterglow_slope"]).all()
    assert found["afterglow_fit"].null_count == 2
