"""Bodies move in straight lines at the rates of their kind and turn; artefacts are bright or dark in any filter."""

from __future__ import annotations

import numpy as np
import pytest

from fink.simulator import movers
from fink.simulator.kinds import REFERENCE, Floats, Stage, magnitude_of
from fink.simulator.movers import KINDS
from fink.sky import OBLIQUITY

BY_NAME = {kind.name: kind for kind in KINDS}


def drawn(name: str, n: int = 4000) -> dict[str, Floats]:
    return BY_NAME[name].draw(np.random.default_rng(4), Stage(np.full(n, 61000.0), 20.5))


@pytest.mark.parametrize(("name", "slow", "fast", "known"), [("asteroid", 0.15, 0.28, 0.9), ("near_earth_object", 0.8, 6.0, 0.5)])
def test_rates_are_those_of_the_kind(name: str, slow: float, fast: float, known: float) -> None:
    p = drawn(name)
    assert slow <= p["rate"].min() < p["rate"].max() <= fast
    np.testing.assert_allclose(p["rate"].mean(), (slow + fast) / 2.0, rtol=0.03)
    np.testing.assert_allclose((p["number"] >= 0).mean(), known, atol=0.03)
    assert ((p["number"] == -1) | (p["number"] >= 1000)).all()


def test_asteroids_go_west_and_near_earth_objects_anywhere() -> None:
    (west, _), (anywhere, _) = (movers.displacement(np.full(4000, 61001.0), drawn(name)) for name in ("asteroid", "near_earth_object"))
    assert (west < 0.0).all()
    assert 0.45 < (anywhere < 0.0).mean() < 0.55


def test_a_body_goes_straight_at_its_rate_through_its_place() -> None:
    days = 61000.0 + np.array([-2.0, 0.0, 1.0, 4.0])
    p = {"epoch_mjd": np.full(4, 61000.0), "rate": np.full(4, 0.25), "direction": np.full(4, 180.0)}
    along_ra, along_dec = movers.displacement(days, p)
    np.testing.assert_allclose(np.hypot(along_ra, along_dec), 0.25 * np.abs(days - 61000.0), atol=1e-9)
    slope = np.tan(np.radians(180.0 + OBLIQUITY / 2.0))
    np.testing.assert_allclose(along_dec, slope * along_ra, atol=1e-9)
    assert along_ra[0] > 0.0 > along_ra[2] > along_ra[3]


def test_a_body_has_two_maxima_in_a_turn_and_its_amplitude_from_top_to_bottom() -> None:
    p = {name: np.array([value]) for name, value in {"mean_mag": 18.0, "amplitude": 0.4, "period": 0.25, "epoch_mjd": 61000.0}.items()}
    turn = 61000.0 + np.linspace(0.0, 0.25, 401)
    mag = magnitude_of(movers.body_flux(turn, np.full(401, REFERENCE), p))
    np.testing.assert_allclose(np.ptp(mag), 0.4, rtol=1e-6)
    np.testing.assert_allclose(mag.mean(), 18.0, atol=0.01)
    assert np.count_nonzero((mag[1:-1] < mag[:-2]) & (mag[1:-1] < mag[2:])) == 2


def test_a_body_is_redder_than_the_sun() -> None:
    p = {name: np.array([value]) for name, value in {"mean_mag": 18.0, "amplitude": 0.0, "period": 0.25, "epoch_mjd": 61000.0}.items()}
    blue, red = (magnitude_of(movers.body_flux(np.zeros(1), np.array([wavelength]), p))[0] for wavelength in (4746.0, 6366.0))
    # the Sun has g - r = 0.44 (Willmer 2018), its black body less
    assert 0.3 < blue - red < 0.8


def test_artefacts_are_bright_or_dark_and_the_same_at_all_times_and_in_all_filters() -> None:
    p = drawn("artefact")
    assert set(p["sign"].tolist()) == {1.0, -1.0}
    np.testing.assert_allclose((p["sign"] > 0).mean(), 0.6, atol=0.03)
    first, other = (
        movers.artefact_flux(np.full(4000, day), np.full(4000, wavelength), p) for day, wavelength in ((61000.0, 4746.0), (61300.0, 8700.0))
    )
    np.testing.assert_array_equal(first, other)
    assert (np.sign(first) == p["sign"]).all()


def test_what_is_seen_once_has_nothing_in_the_template() -> None:
    for kind in KINDS:
        assert kind.once
        assert kind.template == "none"
        assert np.isnan(drawn(kind.name, 50)["host_mag"]).all()


def test_different_numbers_have_different_designations() -> None:
    numbers = np.arange(1000.0, 61000.0)
    assert len(set(movers.designation(numbers).tolist())) == len(numbers)
