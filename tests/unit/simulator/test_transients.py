"""Transients rise to their maximum and fade from it, with the colours of their temperatures."""

from __future__ import annotations

import numpy as np
import pytest

from fink.simulator import transients
from fink.simulator.kinds import REFERENCE, Floats, Kind, Stage, blackbody, flux_of, magnitude_of
from fink.simulator.transients import EXPLOSIONS, KINDS

BLUE, RED = 4750.0, 7600.0
BY_NAME = {kind.name: kind for kind in KINDS}
EXPLODING = [BY_NAME[name] for name in EXPLOSIONS]


def typical(name: str, **changes: float) -> dict[str, Floats]:
    """Give the parameters of a typical explosion of 18 mag, without redshift, at its maximum on day 0."""
    _, _, rise, fall, _, _ = EXPLOSIONS[name]
    parameters = {"peak_mag": 18.0, "redshift": 0.0, "peak_mjd": 0.0, "rise": rise, "fall": fall} | changes
    return {key: np.array([value]) for key, value in parameters.items()}


def curve(kind: Kind, days: Floats, wavelength: float = REFERENCE, **changes: float) -> Floats:
    return kind.flux(days, np.full(len(days), wavelength), typical(kind.name, **changes))


@pytest.mark.parametrize(("rise", "fall"), [(4.2, 24.0), (0.3, 1.6), (14.0, 55.0), (3.0, 90.0)])
def test_the_law_of_bazin_has_its_maximum_of_one_at_phase_zero(rise: float, fall: float) -> None:
    phase = np.linspace(-5.0, 5.0, 2001) * rise
    shape = transients.bazin(phase, np.array([rise]), np.array([fall]))
    assert abs(phase[np.argmax(shape)]) < 0.01 * rise
    np.testing.assert_allclose(shape.max(), 1.0, atol=1e-5)


def test_the_law_of_bazin_falls_with_its_fall_time() -> None:
    late = transients.bazin(np.array([300.0, 324.0]), np.array([4.2]), np.array([24.0]))
    np.testing.assert_allclose(late[1] / late[0], np.exp(-1.0), rtol=1e-6)


@pytest.mark.parametrize("kind", EXPLODING, ids=lambda kind: kind.name)
def test_every_explosion_rises_to_its_magnitude_and_fades(kind: Kind) -> None:
    _, _, rise, fall, _, _ = EXPLOSIONS[kind.name]
    days = np.linspace(-6.0 * rise, 4.0 * fall, 4001)
    flux = curve(kind, days)
    top = int(np.argmax(flux))
    assert -2.0 * rise < days[top] < 0.6 * fall
    assert abs(magnitude_of(flux[top : top + 1])[0] - 18.0) < 0.3
    assert flux[0] < 0.05 * flux[top]
    assert flux[-1] < 0.15 * flux[top]
    assert (np.diff(flux[: top // 2]) >= 0.0).all()


@pytest.mark.parametrize("name", ["sn_ia", "sn_ii", "sn_ibc", "slsn", "kilonova"])
def test_explosions_turn_red_as_they_cool(name: str) -> None:
    days = np.array([0.0, EXPLOSIONS[name][3]])
    blue, red = (magnitude_of(curve(BY_NAME[name], days, wavelength)) for wavelength in (BLUE, RED))
    assert (blue - red)[1] > (blue - red)[0] + 0.1


def test_superluminous_supernovae_are_bluer_than_the_others() -> None:
    colour = {
        name: magnitude_of(curve(BY_NAME[name], np.zeros(1), BLUE))[0] - magnitude_of(curve(BY_NAME[name], np.zeros(1), RED))[0]
        for name in EXPLOSIONS
    }
    assert colour["tde"] < colour["slsn"] < colour["sn_ii"] < colour["sn_ia"] < colour["sn_ibc"] < colour["kilonova"]


def test_a_redshift_stretches_time() -> None:
    days = np.linspace(0.0, 80.0, 801)
    near, far = (curve(BY_NAME["sn_ibc"], days, redshift=z) for z in (0.0, 0.5))
    half = [float(days[np.argmax(flux < 0.5 * flux[0])]) for flux in (near, far)]
    np.testing.assert_allclose(half[1] / half[0], 1.5, rtol=0.02)


def test_a_type_ia_supernova_has_a_second_maximum_in_the_red_only() -> None:
    days = np.array([10.0, 24.0])
    with_it, without = (curve(BY_NAME[name], days, 8700.0, rise=4.2, fall=24.0) for name in ("sn_ia", "sn_ibc"))
    assert with_it[1] / with_it[0] > 1.2 * without[1] / without[0]
    temperature = np.array([4800.0 + 6200.0 * np.exp(-24.0 / 22.0)])
    blue = curve(BY_NAME["sn_ia"], np.array([24.0]), 5000.0)
    one = transients.bazin(np.array([24.0]), np.array([4.2]), np.array([24.0]))
    np.testing.assert_allclose(blue, flux_of(np.array([18.0])) * blackbody(np.array([5000.0]), temperature) * one)


def test_a_type_ii_supernova_drops_at_the_end_of_its_plateau() -> None:
    mag = magnitude_of(curve(BY_NAME["sn_ii"], np.array([40.0, 80.0, 85.0, 110.0])))
    assert 0.0 < mag[1] - mag[0] < 1.0
    assert 1.5 < mag[3] - mag[2] < 3.0


def test_an_afterglow_begins_with_its_burst_and_follows_its_power() -> None:
    p = {"peak_mag": np.array([17.0]), "peak_mjd": np.array([100.0]), "decay": np.array([1.2])}
    days = np.array([99.9, 100.05, 100.5])
    flux = transients.afterglow_flux(days, np.full(3, REFERENCE), p)
    assert flux[0] == 0.0
    np.testing.assert_allclose(magnitude_of(flux[1:2]), 17.0, atol=1e-6)
    np.testing.assert_allclose(flux[2] / flux[1], 10.0**-1.2, rtol=1e-6)


def test_a_lens_is_symmetric_without_colour_and_ends() -> None:
    p = {"peak_mjd": 0.0, "einstein_time": 20.0, "impact": 0.1, "peak_mag": 18.0, "temperature": 5000.0}
    parameters = {name: np.array([value]) for name, value in p.items()}
    days = np.array([-15.0, 0.0, 15.0, 400.0])
    blue, red = (transients.microlensing_flux(days, np.full(4, wavelength), parameters) for wavelength in (BLUE, RED))
    np.testing.assert_allclose(blue[0], blue[2])
    np.testing.assert_allclose(blue / red, blue[0] / red[0])
    # 1 / u for a small u, less the star itself
    np.testing.assert_allclose(red[1], 9.04 * flux_of(np.array([18.0])) * blackbody(np.array([RED]), np.array([5000.0])), rtol=0.01)
    assert red[3] < 1e-4 * red[1]


@pytest.mark.parametrize("kind", EXPLODING, ids=lambda kind: kind.name)
def test_explosions_are_met_in_their_days_and_are_as_bright_as_their_distance_says(kind: Kind) -> None:
    absolute, spread, _, _, before, after = EXPLOSIONS[kind.name]
    stage = Stage(np.full(2000, 61000.0), 20.5)
    p = kind.draw(np.random.default_rng(2), stage)
    phase = (stage.near - p["peak_mjd"]) / (1.0 + p["redshift"])
    assert before <= phase.min() < phase.max() <= after
    assert (np.abs(phase.mean() - (before + after) / 2.0)) < 0.05 * (after - before)
    distance = 4282.7 * p["redshift"] * (1.0 + 0.775 * p["redshift"] / (1.0 + 0.3 * p["redshift"]))
    found = p["peak_mag"] - 5.0 * np.log10(distance) - 25.0
    np.testing.assert_allclose([found.mean(), found.std()], [absolute, spread], atol=0.08)
    assert 16.0 <= p["peak_mag"].min() < p["peak_mag"].max() <= 20.7


def test_a_tidal_disruption_lies_in_the_nucleus_and_a_supernova_may_not() -> None:
    stage = Stage(np.full(1000, 61000.0), 20.5)
    separation = {name: BY_NAME[name].draw(np.random.default_rng(3), stage)["host_separation"] for name in ("tde", "sn_ia")}
    assert separation["tde"].max() < 0.3
    assert np.median(separation["sn_ia"]) > 0.5
