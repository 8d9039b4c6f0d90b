"""For each substream an alert that it selects, and alerts that differ in one thing each and are not selected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from alert_batches import NOW, Point, alert_batch, light_curves
from fink import filters
from fink.engines.plan import Plan, build_plan
from fink.lightcurves import DETECTION, LIMIT

ERROR = 1000.0


def detection(days: float, mag: float, band: str = "r") -> Point:
    """A positive detection some days before the alert."""
    return (NOW - days, band, DETECTION, 10 ** (0.4 * (31.4 - mag)), ERROR)


def limit(days: float, mag: float, band: str = "r") -> Point:
    """A five-sigma upper limit some days before the alert."""
    return (NOW - days, band, LIMIT, 0.0, 0.2 * 10 ** (0.4 * (31.4 - mag)))


CLEAN: dict[str, Any] = {
    "mag": 19.0,
    "snr": 90.0,
    "real_score": 0.95,
    "flagged": False,
    "seeing": 2.0,
    "elongation": 1.1,
    "star_separation": 3.5,
    "star_score": 0.1,
    "n_detections": 4,
    "age": 3.0,
}
"""A good measurement of a source beside a galaxy; it stands where galactic latitude is 57 degrees, ecliptic 51."""

STEADY = [detection(2.0, 19.0), detection(1.0, 19.0), detection(0.0, 19.0)]
Curve = Sequence[Point]


@dataclass(frozen=True)
class Case:
    """An alert that a substream selects, and near misses: what differs, in its columns and in its light curve."""

    row: Mapping[str, Any]
    curve: Curve
    misses: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    other_curves: Mapping[str, Curve] = field(default_factory=dict)
    survey: str = "lsst"


RISING = [limit(1.0, 20.5), detection(0.1, 19.3), detection(0.0, 19.0)]
FADING = [detection(2.0, 18.6), detection(1.0, 19.0), detection(0.0, 19.6)]
ORPHAN = [
    detection(3.0, 18.6),
    detection(2.0, 19.0),
    detection(0.05, 19.9, "g"),
    detection(0.0, 19.6),
]
MOVING = {**CLEAN, "star_separation": None, "star_score": None, "n_detections": 2, "age": 0.01}
BAD_MEASUREMENT: dict[str, Mapping[str, Any]] = {
    "flags": {"flagged": True},
    "score": {"real_score": 0.3},
    "blurred": {"seeing": 9.0},
    "faint": {"snr": 4.0},
}
NOT_NEW: dict[str, Mapping[str, Any]] = {
    "negative": {"positive": False},
    "star": {"star_separation": 1.0, "star_score": 0.95},
    "asteroid": {"sso_name": "2023 AB", "sso_separation": 1.0},
}

CASES: dict[str, Case] = {
    "sso_fink_candidates": Case(
        MOVING,
        [detection(0.01, 19.0), detection(0.0, 19.0)],
        {
            "galaxy": {"star_separation": 2.0, "star_score": 0.1},
            "starlike": {"star_separation": 8.0, "star_score": 0.9},
            "repeated": {"n_detections": 3},
            "known": {"sso_name": "1 Ceres", "sso_separation": 0.5},
            **BAD_MEASUREMENT,
        },
        {"stayed": [detection(0.04, 19.0), detection(0.0, 19.0)]},
    ),
    "sso_ztf_candidates": Case(
        MOVING | {"sso_name": "1 Ceres", "sso_separation": 0.5},
        [detection(0.0, 19.0)],
        {
            "far": {"sso_separation": 6.0},
            "star nearer": {"star_separation": 0.2},
            "often here": {"n_detections": 6},
            "none": {"sso_name": None},
        },
        survey="ztf",
    ),
    "uniform_sample": Case({"alert_id": -113}, [], {"next": {"alert_id": 114}, "before": {"alert_id": -112}}),
    "remove_unlikely_transients": Case(
        CLEAN,
        STEADY,
        {"once": {"n_detections": 1}, "weak": {"snr": 10.0}, "asteroid": {"sso_name": "2023 AB"}, **BAD_MEASUREMENT},
    ),
    "orphan_grb": Case(
        CLEAN,
        ORPHAN,
        {"old": {"age": 31.0}, "twice": {"n_detections": 2}, **BAD_MEASUREMENT, **NOT_NEW},
        {
            "was bright": [detection(4.0, 17.9), *ORPHAN],
            "rising": [detection(3.0, 19.8), detection(2.0, 19.8), detection(0.05, 19.9, "g"), detection(0.0, 19.3)],
            "blue": [*ORPHAN[:2], detection(0.05, 18.9, "g"), ORPHAN[3]],
            "no colour": [*ORPHAN[:2], detection(0.5, 19.5), ORPHAN[3]],
        },
    ),
    "quality_cuts": Case(
        {"real_score": 0.55, "flagged": False},
        [],
        {"score": {"real_score": 0.549}, "none": {"real_score": None}, "flag": {"flagged": True}},
    ),
    "transient_complete": Case(
        CLEAN,
        STEADY,
        {
            "faint": {"mag": 19.9},
            "score": {"real_score": 0.7},
            "plane": {"ra": 266.4, "dec": -28.9},
            "bright star": {"gaia_bright_mag": 11.0, "gaia_bright_separation": 15.0},
            "variable": {"age": 100.0, "n_detections": 50},
            **NOT_NEW,
        },
        {"only once": [detection(0.0, 19.0)]},
    ),
    "fast_risers": Case(
        CLEAN,
        RISING,
        {"old": {"age": 10.0}, **BAD_MEASUREMENT, **NOT_NEW},
        {"steady": STEADY, "never seen before": [limit(1.0, 20.5), detection(0.0, 19.0)]},
    ),
    "fast_faders": Case(
        CLEAN,
        FADING,
        {"old": {"age": 10.0}, **BAD_MEASUREMENT, **NOT_NEW},
        {
            "slow": [detection(2.0, 18.6), detection(1.0, 19.0), detection(0.0, 19.25)],
            "other band": [detection(1.0, 18.6, "g"), detection(0.0, 19.6)],
        },
    ),
    "first_detections": Case(
        CLEAN | {"n_detections": 1, "age": 0.0},
        [limit(1.0, 20.0), detection(0.0, 19.0)],
        {
            "second": {"n_detections": 2},
            "lonely near the ecliptic": {"star_separation": None, "star_score": None, "ra": 180.0, "dec": 0.0},
            **BAD_MEASUREMENT,
            **NOT_NEW,
        },
    ),
    "bright_and_new": Case(
        CLEAN | {"mag": 14.0, "star_separation": 0.3, "star_score": 0.98},
        [detection(1.0, 15.0), detection(0.0, 14.0)],
        {"fainter": {"mag": 17.0}, "old": {"age": 6.0}, "negative": {"positive": False}, **BAD_MEASUREMENT},
        {"only once": [detection(0.0, 14.0)]},
    ),
    "near_earth_candidates": Case(
        {"trail_length": 3.0, "flagged": False, "snr": 8.0},
        [detection(0.0, 19.0)],
        {
            "short": {"trail_length": 1.9},
            "flag": {"flagged": True},
            "known": {"sso_name": "433 Eros", "sso_separation": 1.0},
            "weak": {"snr": 4.9},
            "negative": {"positive": False},
        },
    ),
}


@pytest.fixture(scope="module")
def plan() -> Plan:
    return build_plan(substreams=sorted(filters.registry()))


def selected(plan: Plan, name: str, row: Mapping[str, Any], curve: Curve, survey: str) -> bool:
    """Say whether the substream takes an alert, modules run first."""
    batch, counts = plan.run(alert_batch([row], light_curves([curve]), survey))
    assert not any(count.failed for count in counts.values())
    return bool(plan.select(batch.alerts, survey)[name][0])


def test_every_substream_has_a_case() -> None:
    assert set(CASES) == set(filters.registry())


@pytest.mark.parametrize("name", sorted(CASES))
def test_its_alert_is_selected(plan: Plan, name: str) -> None:
    case = CASES[name]
    assert selected(plan, name, case.row, case.curve, case.survey)


MISSES = [(name, miss) for name, case in sorted(CASES.items()) for miss in (*case.misses, *case.other_curves)]


@pytest.mark.parametrize(("name", "miss"), MISSES, ids=[f"{name}-{miss}" for name, miss in MISSES])
def test_near_misses_are_not_selected(plan: Plan, name: str, miss: str) -> None:
    case = CASES[name]
    row = {**case.row, **case.misses.get(miss, {})}
    assert not selected(plan, name, row, case.other_curves.get(miss, case.curve), case.survey)


def test_young_sources_of_a_survey_without_scores_are_kept(plan: Plan) -> None:
    """A missing score counts neither for nor against: the flag is answered, and by signal and flags alone."""
    row = {**CLEAN, "real_score": None}
    assert selected(plan, "transient_complete", row, STEADY, "lsst")
    assert not selected(plan, "transient_complete", row | {"snr": 9.0}, STEADY, "lsst")
