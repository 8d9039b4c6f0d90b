"""The laws of light: each does what its object is known for."""

from __future__ import annotations

import numpy as np
import pytest

from fink.simulator import kinds, movers, transients, variables
from fink.simulator.kinds import Floats
from fink.simulator.population import KINDS

R = 6300.0


def one(**parameters: float) -> dict[str, Floats]:
    return {name: np.array([value]) for name, value in parameters.items()}


def mags(flux: Floats) -> Floats:
    return kinds.magnitude_of(flux)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_draws_finite_light_around_the_limit(kind: kinds.Kind) -> None:
    stage = kinds.Stage(np.full(400, 61000.0), 20.5)
    parameters = kind.draw(np.random.default_rng(1), stage)
    flux = kind.flux(stage.near, np.full(400, R), parameters)
    assert set(parameters) <= set(kinds.PARAMETERS)
    assert np.isfinite(flux).all()
    assert (np.abs(flux) > kinds.flux_of(np.array([20.5]))).mean() > 0.1


def test_a_type_ia_supernova_peaks_at_its_peak_and_fades_a_magnitude_in_a_fortnight() -> None:
    p = one(peak_mag=18.0, redshift=0.02, peak_mjd=100.0, rise=4.2, fall=24.0)
    days = np.linspace(80.0, 140.0, 601)
    blue = transients.sn_ia_flux(days, np.full(601, 4750.0), p)
    assert abs(days[np.argmax(blue)] - 100.0) < 3.0
    fall = mags(np.interp(np.array([100.0 + 15.3]), days, blue))[0] - mags(np.interp(np.array([100.0]), days, blue))[0]
    assert 0.6 < fall < 1.4
    at_peak = transients.sn_ia_flux(np.array([100.0]), np.array([R]), p)
    assert abs(mags(at_peak)[0] - 18.0) < 0.05


def test_a_tidal_disruption_fades_with_the_power_five_thirds_at_one_colour() -> None:
    p = one(peak_mag=18.0, redshift=0.0, peak_mjd=0.0, rise=12.0, fall=60.0)
    late = transients.tde_flux(np.array([60.0e4, 120.0e4]), np.full(2, R), p)
    np.testing.assert_allclose(late[1] / late[0], 2.0 ** (-5.0 / 3.0), rtol=1e-3)
    colours = [
        transients.tde_flux(np.array([t]), np.array([4750.0]), p) / transients.tde_flux(np.array([t]), np.array([R]), p)
        for t in (0.0, 90.0)
    ]
    np.testing.assert_allclose(colours[0], colours[1])


def test_a_kilonova_is_gone_in_days_and_turns_red() -> None:
    p = one(peak_mag=18.0, redshift=0.01, peak_mjd=0.0, rise=0.3, fall=1.6)
    blue, red = (transients.kilonova_flux(np.array([0.0, 4.0]), np.full(2, wavelength), p) for wavelength in (4750.0, 7600.0))
    assert mags(blue)[1] - mags(blue)[0] > 3.0
    assert (mags(blue) - mags(red))[1] > (mags(blue) - mags(red))[0] + 0.5


def test_a_lens_magnifies_as_paczynski_says() -> None:
    p = one(peak_mjd=0.0, einstein_time=20.0, impact=1.0)
    # at one Einstein radius the magnification is 3 over the root of 5
    np.testing.assert_allclose(transients.magnification(np.array([0.0]), p), 3.0 / np.sqrt(5.0))


@pytest.mark.parametrize("name", ["rr_lyrae", "eclipsing_binary", "mira"])
def test_periodic_stars_repeat(name: str) -> None:
    kind = next(kind for kind in KINDS if kind.name == name)
    parameters = kind.draw(np.random.default_rng(3), kinds.Stage(np.full(50, 61000.0), 20.5))
    t = np.full(50, 61000.3)
    now, later = (kind.flux(t + turns * parameters["period"], np.full(50, R), parameters) for turns in (0, 7))
    np.testing.assert_allclose(now, later, rtol=1e-5, atol=1e-3 * np.abs(now).max())


def test_a_damped_walk_has_unit_variance_and_forgets() -> None:
    n = 4000
    p = {"seed": np.random.default_rng(5).random(n), "damping_time": np.full(n, 100.0)}
    walk = [variables.damped_walk(np.full(n, t), p) for t in (61000.0, 61010.0, 61100.0)]
    assert abs(np.var(walk[0]) - 1.0) < 0.1
    soon, late = np.corrcoef(walk[0], walk[1])[0, 1], np.corrcoef(walk[0], walk[2])[0, 1]
    # exp(-dt / tau): 0.90 after 10 d and 0.37 after 100 d
    assert abs(soon - np.exp(-0.1)) < 0.08
    assert abs(late - np.exp(-1.0)) < 0.15


def test_a_black_body_has_the_colours_of_planck() -> None:
    # the ratio of B_nu at 4000 and 8000 Angstrom for 6000 K, from Planck's law with CODATA constants
    h, c, k = 6.62607015e-34, 2.99792458e8, 1.380649e-23
    planck = [(c / w) ** 3 / np.expm1(h * c / (w * k * 6000.0)) for w in (4e-7, 8e-7)]
    np.testing.assert_allclose(kinds.blackbody(np.array([4000.0]), np.array([6000.0]), 8000.0), planck[0] / planck[1], rtol=1e-5)


def test_redshifts_follow_distances() -> None:
    # flat Lambda-CDM with H0 = 70 and Omega_m = 0.3 (astropy): 38.32 mag at z = 0.1 and 42.27 mag at z = 0.5
    np.testing.assert_allclose(kinds.redshift_at(np.array([38.32, 42.27])), [0.1, 0.5], rtol=0.03)


def test_designations_are_well_formed_and_missing_where_there_is_no_number() -> None:
    found = movers.designation(np.array([1000.0, -1.0, 639_999.0, 1000.0]))
    assert found[1] is None
    assert found[0] == found[3] != found[2]
    assert all(name[:4].isdigit() and name[4] == " " and name[5:7].isalpha() for name in found if name)
