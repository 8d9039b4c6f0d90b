"""The sky is filled by quota and by seed, with noise of the size that is said."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from fink.simulator.kinds import flux_of
from fink.simulator.population import KINDS, THRESHOLD, Population, Sky, make_sky, noise, populate
from fink.simulator.sky import telescope_of

SURVEYS = ("ztf", "lsst")
NIGHTS = np.array([60999])
NUMBER = {kind.name: number for number, kind in enumerate(KINDS)}


@cache
def sky_of(survey: str, seed: int = 3) -> Sky:
    return make_sky(telescope_of(survey), NIGHTS, seed, 60.0)


@cache
def filled(survey: str, seed: int = 3) -> tuple[Population, NDArray[np.int64]]:
    return populate(sky_of(survey), 500, seed)


def test_the_shares_of_all_kinds_add_up_to_one() -> None:
    assert sum(kind.share for kind in KINDS) == pytest.approx(1.0)
    assert len(NUMBER) == len(KINDS)


@pytest.mark.parametrize("survey", SURVEYS)
def test_every_kind_gives_its_share_of_alerts(survey: str) -> None:
    people, alerts = filled(survey)
    kinds = people.kind[people.owners()[alerts]]
    assert len(alerts) == 500
    np.testing.assert_allclose(np.bincount(kinds, minlength=len(KINDS)), [500 * kind.share for kind in KINDS], atol=1.0)


@pytest.mark.parametrize("survey", SURVEYS)
def test_alerts_are_detections_of_the_night_once_each_in_the_order_of_time(survey: str) -> None:
    people, alerts = filled(survey)
    visits = sky_of(survey).visits
    assert people.detected[alerts].all()
    assert set(visits.night[people.visit[alerts]].tolist()) == {60999}
    assert len(np.unique(alerts)) == len(alerts)
    assert (np.diff(visits.mjd[people.visit[alerts]]) >= 0.0).all()


def test_shares_that_are_asked_for_are_given() -> None:
    people, alerts = populate(sky_of("ztf"), 90, 1, {"mira": 2.0, "asteroid": 1.0})
    kinds = people.kind[people.owners()[alerts]]
    assert np.count_nonzero(kinds == NUMBER["mira"]) == 60
    assert np.count_nonzero(kinds == NUMBER["asteroid"]) == 30


def test_the_seed_decides() -> None:
    (first, a), (again, b), (other, _) = (populate(sky_of("ztf"), 120, seed) for seed in (8, 8, 9))
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(first.flux, again.flux)
    np.testing.assert_array_equal(first.ra, again.ra)
    assert not np.isin(first.ra, other.ra).any()


@pytest.mark.parametrize("survey", SURVEYS)
def test_points_are_ordered_by_object_and_time_and_lie_on_its_field(survey: str) -> None:
    people, _ = filled(survey)
    visits, owner = sky_of(survey).visits, people.owners()
    assert people.offsets[-1] == len(people.visit) == len(owner)
    same = owner[1:] == owner[:-1]
    assert (np.diff(visits.mjd[people.visit])[same] > 0.0).all()
    assert (visits.field[people.visit] == people.field[owner]).all()


@pytest.mark.parametrize("survey", SURVEYS)
def test_noise_scatters_as_its_error_says(survey: str) -> None:
    people, alerts = filled(survey)
    # alerts are chosen for their noise, the other points are not
    others = np.ones(len(people.visit), np.bool_)
    others[alerts] = False
    lasting = np.isin(people.kind, [NUMBER[name] for name in ("rr_lyrae", "eclipsing_binary", "mira", "agn")])[people.owners()]
    pull = ((people.flux - people.true_flux) / people.flux_err)[others & lasting]
    assert len(pull) > 1000
    assert abs(pull.mean()) < 4.0 / np.sqrt(len(pull)) + 0.02
    assert abs(pull.std() - 1.0) < 0.05


def test_a_source_at_the_limit_has_five_sigma_and_a_bright_one_three_per_mille() -> None:
    limit = np.full(3, 20.5)
    total = np.array([0.0, float(flux_of(np.array(20.5))), 1e9])
    found = noise(limit, total)
    np.testing.assert_allclose(total[1] / found[1], THRESHOLD, rtol=0.02)
    np.testing.assert_allclose(found[0], flux_of(limit)[0] / 5.0)
    np.testing.assert_allclose(found[2] / total[2], 0.003, rtol=0.01)


def test_what_is_seen_once_has_light_in_one_exposure_only() -> None:
    for survey in SURVEYS:
        people, _ = filled(survey)
        once = np.array([kind.once for kind in KINDS])[people.kind]
        lit = np.bincount(people.owners(), people.true_flux != 0.0, len(people))
        assert once.any()
        assert (lit[once] == 1).all()


def test_lsst_keeps_of_a_mover_its_own_exposure_and_ztf_a_window_before() -> None:
    points = {}
    for survey in SURVEYS:
        people, _ = filled(survey)
        mover = people.kind == NUMBER["asteroid"]
        points[survey] = np.diff(people.offsets)[mover]
    assert (points["lsst"] == 1).all()
    assert points["ztf"].max() > 1


def test_only_lasting_variables_of_ztf_were_detected_before_the_simulation() -> None:
    people, _ = filled("ztf")
    before = people.earlier > 0
    assert before.any()
    assert {KINDS[kind].name for kind in people.kind[before].tolist()} <= {"rr_lyrae", "eclipsing_binary", "mira", "agn"}
    assert (np.isnan(people.earlier_mjd) == ~before).all()
    assert (people.earlier_mjd[before] < sky_of("ztf").visits.mjd.min()).all()
    assert not filled("lsst")[0].earlier.any()


def test_parameters_are_missing_where_a_kind_has_none() -> None:
    people, _ = filled("ztf")
    moves = np.isin(people.kind, [NUMBER["asteroid"], NUMBER["near_earth_object"]])
    assert (np.isfinite(people.parameters["rate"]) == moves).all()
    assert (np.isfinite(people.parameters["einstein_time"]) == (people.kind == NUMBER["microlensing"])).all()
