"""Variables vary around the mean that their template shows, each in its own way."""

from __future__ import annotations

import numpy as np
import pytest

from fink.simulator import variables
from fink.simulator.kinds import REFERENCE, Floats, Stage, blackbody, flux_of, magnitude_of
from fink.simulator.variables import KINDS, LASTING

BLUE, RED = 4746.0, 7800.0
BY_NAME = {kind.name: kind for kind in KINDS}


def one(**parameters: float) -> dict[str, Floats]:
    return {name: np.array([value]) for name, value in parameters.items()}


def total_mag(name: str, days: Floats, wavelength: float, p: dict[str, Floats]) -> Floats:
    """Magnitude of a star: that of its template and of the difference together."""
    whole = flux_of(p["mean_mag"]) * blackbody(np.array([wavelength]), p["temperature"])
    return magnitude_of(BY_NAME[name].flux(days, np.full(len(days), wavelength), p) + whole)


def test_an_rr_lyrae_rises_steeply_and_more_so_in_the_blue() -> None:
    p = one(period=0.5, amplitude=1.0, epoch_mjd=61000.0, mean_mag=17.0, temperature=6800.0)
    days = 61000.0 + np.linspace(0.0, 0.5, 1001)
    blue, red = (total_mag("rr_lyrae", days, wavelength, p) for wavelength in (BLUE, RED))
    rising = np.diff(blue) < 0.0
    assert rising.mean() < 0.35
    assert 0.8 < np.ptp(blue) < 1.2
    np.testing.assert_allclose(np.ptp(red) / np.ptp(blue), (BLUE / RED) ** 0.9, rtol=1e-6)


def test_an_eclipsing_binary_has_a_deep_and_a_shallow_eclipse() -> None:
    p = one(period=2.0, amplitude=0.6, width=0.05, epoch_mjd=61000.0, mean_mag=17.0, temperature=6000.0)
    mag = total_mag("eclipsing_binary", 61000.0 + np.array([0.0, 0.5, 1.0, 1.5, 2.0]), REFERENCE, p)
    assert mag[0] > mag[2] > mag[1] + 0.2
    np.testing.assert_allclose(mag[0] - mag[2], 0.4 * 0.6, atol=1e-6)
    np.testing.assert_allclose([mag[4], mag[3]], [mag[0], mag[1]], atol=1e-6)


def test_a_mira_varies_by_magnitudes_in_one_wave() -> None:
    p = one(period=300.0, amplitude=2.0, epoch_mjd=61000.0, mean_mag=17.0, temperature=3000.0)
    mag = total_mag("mira", 61000.0 + np.arange(300.0), REFERENCE, p)
    turns = np.count_nonzero(np.diff(np.sign(np.diff(np.concatenate([mag, mag[:2]])))))
    assert turns == 2
    assert 3.5 < np.ptp(mag) < 4.6


def test_the_difference_of_a_periodic_star_is_above_and_below_its_template() -> None:
    for name in ("rr_lyrae", "eclipsing_binary", "mira"):
        p = BY_NAME[name].draw(np.random.default_rng(1), Stage(np.full(3000, 61000.0), 20.5))
        flux = BY_NAME[name].flux(np.full(3000, 61000.0), np.full(3000, REFERENCE), p)
        assert 0.2 < (flux > 0.0).mean() < 0.8, name
        # a star cannot lose more light than it has
        assert (flux > -flux_of(p["mean_mag"])).all(), name


def test_a_damped_walk_is_a_law_of_time_alone_and_differs_by_seed() -> None:
    days = np.linspace(60000.0, 61000.0, 50)
    p = {"seed": np.full(50, 0.3), "damping_time": np.full(50, 120.0)}
    walk = variables.damped_walk(days, p)
    np.testing.assert_array_equal(variables.damped_walk(days[::-1], p)[::-1], walk)
    other = variables.damped_walk(days, p | {"seed": np.full(50, 0.7)})
    assert abs(np.corrcoef(walk, other)[0, 1]) < 0.9
    assert np.abs(walk - other).max() > 0.5


def test_an_active_nucleus_is_bluer_when_brighter() -> None:
    p = one(mean_mag=18.0, amplitude=0.3, damping_time=100.0, seed=0.4)
    days = np.linspace(60000.0, 62000.0, 400)
    whole = [flux_of(p["mean_mag"]) * (wavelength / 6300.0) ** 0.3 for wavelength in (BLUE, RED)]
    flux = [variables.agn_flux(days, np.full(400, wavelength), p) for wavelength in (BLUE, RED)]
    blue, red = (magnitude_of(changed + mean) for changed, mean in zip(flux, whole, strict=True))
    assert np.corrcoef(blue, blue - red)[0, 1] > 0.99
    assert 0.15 < np.std(blue) < 0.5


def test_a_dwarf_nova_is_quick_up_flat_and_down() -> None:
    p = one(peak_mag=16.0, duration=8.0, peak_mjd=61000.0)
    mag = magnitude_of(variables.dwarf_nova_flux(61000.0 + np.array([-2.0, 1.5, 4.0, 8.0, 14.0]), np.full(5, REFERENCE), p))
    assert mag[0] > mag[1] + 5.0
    assert 16.0 < mag[1] < mag[2] < 16.7
    assert mag[3] - mag[2] > 0.7
    assert mag[4] - mag[2] > 4.0


def test_a_flare_peaks_rises_in_one_width_and_is_hot() -> None:
    p = one(peak_mag=17.0, duration=0.01, peak_mjd=61000.0)
    steps = np.array([-1.5, -0.5, 0.0, 1.0, 5.0])
    flux = variables.flare_flux(61000.0 + 0.01 * steps, np.full(5, REFERENCE), p)
    assert flux[0] == 0.0
    assert 0.0 < flux[1] < flux[2] > flux[3] > flux[4] > 0.0
    np.testing.assert_allclose(magnitude_of(flux[2:3]), 17.0, atol=0.01)
    blue, red = (variables.flare_flux(np.array([61000.0]), np.array([wavelength]), p)[0] for wavelength in (BLUE, RED))
    assert blue > 0.95 * red


@pytest.mark.parametrize(("name", "low", "high"), [("rr_lyrae", 0.4, 0.9), ("eclipsing_binary", 0.02, 20.0), ("mira", 100.0, 600.0)])
def test_periods_are_those_of_the_kind(name: str, low: float, high: float) -> None:
    stage = Stage(np.full(2000, 61000.0), 20.5)
    p = BY_NAME[name].draw(np.random.default_rng(7), stage)
    assert low <= p["period"].min() < p["period"].max() <= high
    assert ((stage.near - p["epoch_mjd"]) / p["period"] >= 0.0).all()
    assert ((stage.near - p["epoch_mjd"]) / p["period"] <= 1.0 + 1e-6).all()


def test_the_template_of_a_variable_star_is_the_star() -> None:
    stage = Stage(np.full(500, 61000.0), 20.5)
    for name in ("rr_lyrae", "eclipsing_binary", "mira"):
        p = BY_NAME[name].draw(np.random.default_rng(7), stage)
        assert (p["host_mag"] == p["mean_mag"]).all()
        assert (p["host_size"] == 0.0).all()
    quiet = BY_NAME["dwarf_nova"].draw(np.random.default_rng(7), stage)
    assert (quiet["host_mag"] > quiet["peak_mag"] + 2.4).all()


def test_lasting_kinds_have_no_beginning() -> None:
    assert [kind.name for kind in LASTING] == ["rr_lyrae", "eclipsing_binary", "mira", "agn"]
    stage = Stage(np.full(300, 61000.0), 20.5)
    long_ago = stage.near - 3000.0
    for kind in KINDS:
        flux = kind.flux(long_ago, np.full(300, REFERENCE), kind.draw(np.random.default_rng(1), stage))
        shines = (np.abs(flux) > 1.0).mean()
        assert (shines > 0.9) == (kind in LASTING), kind.name
