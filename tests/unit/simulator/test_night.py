"""What is derived of the points: owners, counts, first detections, and the history before an alert."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from fink.simulator.night import Points, derive, is_real, of_kind
from fink.simulator.population import KINDS, make_sky, populate
from fink.simulator.sky import telescope_of

SURVEYS = ("ztf", "lsst")


@cache
def night(survey: str) -> tuple[Points, NDArray[np.int64]]:
    telescope = telescope_of(survey)
    sky = make_sky(telescope, np.array([60999]), 3, 60.0)
    population, alerts = populate(sky, 200, 3)
    return derive(sky, population, 3), alerts


@pytest.mark.parametrize("survey", SURVEYS)
def test_history_is_that_of_the_object_before_the_alert_and_in_the_window(survey: str) -> None:
    points, alerts = night(survey)
    keep = points.detected
    offsets, before = points.before(alerts, keep)
    window = points.sky.telescope.window
    assert len(before) > 100
    for row, alert in enumerate(alerts.tolist()):
        mine = (points.owner == points.owner[alert]) & keep
        age = points.mjd[alert] - points.mjd
        expected = np.flatnonzero(mine & (age > 0.0) & (age <= window))
        assert before[offsets[row] : offsets[row + 1]].tolist() == expected.tolist()


def test_nothing_is_kept_where_nothing_is_wanted() -> None:
    points, alerts = night("ztf")
    offsets, before = points.before(alerts, np.zeros(len(points.mjd), np.bool_))
    assert len(before) == 0
    assert offsets.tolist() == [0] * (len(alerts) + 1)


@pytest.mark.parametrize("survey", SURVEYS)
def test_detections_are_counted_up_to_the_point(survey: str) -> None:
    points, alerts = night(survey)
    for alert in alerts[:60].tolist():
        owner = points.owner[alert]
        first = points.population.offsets[owner]
        seen = np.flatnonzero(points.detected[first : alert + 1]) + first
        assert points.count[alert] == len(seen) + points.population.earlier[owner]
        if points.population.earlier[owner] == 0:
            assert points.first_mjd[alert] == points.mjd[seen[0]]
        else:
            assert points.first_mjd[alert] == points.population.earlier_mjd[owner]


def test_before_the_first_detection_there_is_no_date() -> None:
    points, _ = night("lsst")
    none = np.isnan(points.first_mjd)
    assert none.any()
    assert (points.count[none] == 0).all()
    assert (points.first_mjd[~none] <= points.mjd[~none]).all()
    assert (points.count[~none] > 0).all()


def test_the_small_measurements_follow_from_the_seed() -> None:
    points, _ = night("ztf")
    again, other = (derive(points.sky, points.population, seed).draws for seed in (3, 4))
    np.testing.assert_array_equal(points.draws, again)
    assert np.abs(other - again).max() > 0.5
    assert 0.0 <= points.draws.min() < points.draws.max() < 1.0


def test_kinds_are_told_by_their_template_and_artefacts_by_name() -> None:
    people = night("ztf")[0].population
    names = np.array([kind.name for kind in KINDS])[people.kind]
    assert (is_real(people) == (names != "artefact")).all()
    assert set(names[of_kind(people, "star")].tolist()) >= {"mira", "flare", "microlensing"}
    assert set(names[of_kind(people, "none")].tolist()) == {"asteroid", "near_earth_object", "artefact"}
    assert (np.sum([of_kind(people, template) for template in ("star", "galaxy", "none")], axis=0) == 1).all()
