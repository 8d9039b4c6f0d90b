"""For each substream an alert that it selects, and alerts that differ in one thing each and are not selected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
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
    """An alert that a substream selects, and near misses: what differs, in its columns and in its light curve.

    Columns that modules add are what catalogues and stamps would have answered; the others are given to the modules.
    """

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

MOVES: dict[str, Mapping[str, Any]] = {"asteroid": {"sso_name": "2023 AB", "sso_separation": 1.0, "is_known_sso": True}}
ASKED = {"simbad_status": 0, "gaiadr3_status": 0}
"""Both catalogues were asked, and know nothing."""

IN_GALAXY = {**CLEAN, **ASKED, "snr": 20.0, "simbad_type": "G", "simbad_code": "G", "simbad_family": "galaxy", "simbad_branch": "galaxy"}
WITH_HOST = {**CLEAN, **ASKED, "host_probability": 0.9, "host_offset": 3.0, "absolute_mag": -16.0}
NOT_NEAR_GALAXY: dict[str, Mapping[str, Any]] = {
    "star of gaia": {"gaiadr3_parallax": 2.0, "gaiadr3_parallax_err": 0.1},
    "star of simbad": {"simbad_branch": "star"},
    "variable star": {"vsx_type": "EA"},
    "weak": {"snr": 5.5},
    "plane": {"ra": 266.4, "dec": -28.9},
    "negative": {"positive": False},
    **MOVES,
}
NO_GALAXY: dict[str, Mapping[str, Any]] = {
    "no galaxy": {"simbad_code": None, "simbad_family": None},
    "quasar": {"simbad_code": "QSO", "simbad_family": "active galaxy"},
}
NOT_EMPTY: dict[str, Mapping[str, Any]] = {
    "in simbad": {"simbad_type": "G"},
    "in gaia": {"gaiadr3_separation": 0.4},
    "simbad not asked": {"simbad_status": 3},
    "gaia not asked": {"gaiadr3_status": 3},
    "host": {"host_probability": 0.9},
    "in the template": {"reference_separation": 0.5},
    "seen on stamps": {"is_hostless": False},
    **BAD_MEASUREMENT,
    **NOT_NEW,
}
EMPTY_PLACE = {**CLEAN, **ASKED, "is_hostless": True, "reference_separation": 5.0, "star_separation": 12.0}
RED_STAR = {"star_r": 18.0, "star_i": 17.2, "star_z": 16.8, "star_separation": 0.5, "star_score": 0.95}

CASES |= {
    "blazar": Case(
        {"simbad_code": "BL?"},
        [],
        {"quasar": {"simbad_code": "QSO"}, "active galaxy": {"simbad_code": "AGN"}, "none": {"simbad_code": None}},
    ),
    "early_kn_candidates": Case(
        {**WITH_HOST, "age": 0.1, "n_detections": 2, "stellarity": 0.9, "ra": 180.0, "dec": 60.0},
        STEADY,
        {
            "old": {"age": 0.3},
            "score": {"real_score": 0.4},
            "extended": {"stellarity": 0.3},
            "quasar": {"milliquas_name": "a quasar"},
            "far out": {"host_offset": 11.0},
            "too luminous": {"absolute_mag": -18.0},
            "too faint": {"absolute_mag": -14.0},
            "no host": {"host_probability": None},
            "star in simbad": {"simbad_type": "*", "simbad_branch": "star"},
            "simbad not asked": {"simbad_status": 3},
            "ecliptic": {"ra": 180.0, "dec": 0.0},
            **MOVES,
        },
    ),
    "rate_based_kn_candidates": Case(
        {**CLEAN, **ASKED, "stellarity": 0.9, "trend": 0.5, "trend_err": 0.05, "n_trend_points": 3},
        STEADY,
        {
            "score": {"real_score": 0.85},
            "old": {"age": 5.0},
            "just seen": {"age": 0.4},
            "slow": {"trend": 0.29},
            "uncertain": {"trend_err": 0.2},
            "faint": {"mag": 21.0},
            "asteroid beside": {"sso_separation": 9.0},
            "quasar": {"milliquas_name": "a quasar"},
            "variable": {"simbad_type": "RR*", "simbad_branch": "star"},
            "simbad not asked": {"simbad_status": 3},
        },
    ),
    "magnetic_cvs": Case({"magnetic_cv_name": "AM Her"}, [], {"negative": {"positive": False}, "none": {"magnetic_cv_name": None}}),
    "simbad_grav_candidates": Case(
        {"simbad_family": "gravitation", "simbad_is_candidate": False},
        [],
        {"candidate": {"simbad_is_candidate": True}, "star": {"simbad_family": "star"}},
    ),
    "tns_match": Case(
        {"tns_name": "SN 2023x", "tns_type": "SN Ia", "age": 30.0}, [], {"unclassified": {"tns_type": None}, "old": {"age": 31.0}}
    ),
    "in_tns": Case({"tns_name": "AT 2023x"}, [], {"none": {"tns_name": None}}),
    "unknowns": Case({"fink_class": "Unknown"}, [], {"known": {"fink_class": "Star"}, "not looked up": {"fink_class": None}}),
    "vra": Case(
        {**ASKED, "mag": 20.0, "real_score": 0.6},
        [],
        {
            "bright": {"mag": 19.5},
            "score": {"real_score": 0.5},
            "known": {"simbad_type": "G"},
            "not asked": {"simbad_status": 3},
            **MOVES,
        },
    ),
    "yso_candidates": Case({"simbad_code": "TT?"}, [], {"sure": {"simbad_code": "TT*"}}),
    "yso_spicy_candidates": Case(
        {
            "spicy_class": "ClassI",
            "mag_linear_fit_slope_r": -0.03,
            "mag_n_points_r": 6,
            "mag_linear_trend_noise_r": 0.1,
            "mag_standard_deviation_r": 0.3,
        },
        [],
        {
            "other": {"spicy_class": None},
            "flat": {"mag_linear_fit_slope_r": 0.02},
            "few": {"mag_n_points_r": 4},
            "scattered": {"mag_linear_trend_noise_r": 0.25},
        },
    ),
    "new_hostless": Case({**EMPTY_PLACE, "n_detections": 1, "age": 0.0}, STEADY, {"second": {"n_detections": 2}, **NOT_EMPTY}),
    "intra_night_hostless": Case(
        {**EMPTY_PLACE, "n_detections": 2, "age": 0.1}, STEADY, {"next night": {"age": 0.6}, "third": {"n_detections": 3}, **NOT_EMPTY}
    ),
    "inter_night_hostless": Case(
        {**EMPTY_PLACE, "n_detections": 3, "age": 1.1}, STEADY, {"same night": {"age": 0.4}, "fourth": {"n_detections": 4}, **NOT_EMPTY}
    ),
    "hostless_candidate": Case(
        {**CLEAN, "is_hostless": True},
        STEADY,
        {
            "seen on stamps": {"is_hostless": False},
            "host": {"host_probability": 0.6},
            "star": {"simbad_branch": "star"},
            "faint": {"mag": 21.6},
            "plane": {"ra": 266.4, "dec": -28.9},
            **BAD_MEASUREMENT,
        },
    ),
    "known_tde": Case({"known_tde_name": "AT 2019azh"}, [], {"none": {"known_tde_name": None}}),
    "symbiotic_stars": Case(
        {"symbiotic_cv_kind": "symbiotic_stars", "template_change": -0.6},
        [],
        {"quiet": {"template_change": -0.4}, "other list": {"symbiotic_cv_kind": "cataclysmic_variables"}},
    ),
    "cv_stars": Case(
        {"symbiotic_cv_kind": "cataclysmic_variables", "template_change": -3.5},
        [],
        {"quiet": {"template_change": -2.9}, "other list": {"symbiotic_cv_kind": "symbiotic_stars"}},
    ),
    "vast": Case(
        {"dec": -30.0, "mangrove_luminosity_distance": 50.0, "tns_name": "AT 2023x"},
        [],
        {"north": {"dec": -9.0}, "far": {"mangrove_luminosity_distance": 201.0}, "neither": {"tns_name": None}},
    ),
    "rrlyr": Case({"simbad_code": "RR*"}, [], {"cepheid": {"simbad_code": "Ce*"}}),
    "extragalactic_lt20mag_candidate": Case(
        {**IN_GALAXY, "rising": True, "n_detections": 5},
        STEADY,
        {
            "faint": {"mag": 20.0},
            "steady": {"rising": False},
            "few": {"n_detections": 4},
            "young": {"age": 1.0},
            "unknown and gaia not asked": {**NO_GALAXY["no galaxy"], "simbad_type": None, "gaiadr3_status": 3},
            "unknown and simbad not asked": {**NO_GALAXY["no galaxy"], "simbad_type": None, "simbad_status": 3},
            "quasar": NO_GALAXY["quasar"],
            **NOT_NEAR_GALAXY,
        },
    ),
    "extragalactic_new_candidate": Case(
        {**IN_GALAXY, "age": 2.0, "mag_rate": -0.3, "mag_rate_from_limit": False},
        STEADY,
        {
            "slow": {"mag_rate": -0.1},
            "slow for its age": {"age": 4.0},
            "fades slowly": {"mag_rate": 0.1},
            "from a limit": {"mag_rate_from_limit": True},
            **NO_GALAXY,
            **NOT_NEAR_GALAXY,
        },
    ),
    "extragalactic_svom": Case(
        {**IN_GALAXY, "age": 2.0}, STEADY, {"old": {"age": 5.0}, "faint": {"mag": 24.0}, **NO_GALAXY, **NOT_NEAR_GALAXY}
    ),
    "fast_transient_gvom": Case(
        {**IN_GALAXY, "age": 2.0, "mag_rate": -0.4, "mag_rate_significance": 5.0},
        STEADY,
        {
            "old": {"age": 5.0},
            "slow": {"mag_rate": -0.2},
            "uncertain": {"mag_rate_significance": 2.9},
            "quasar": NO_GALAXY["quasar"],
            **NOT_NEAR_GALAXY,
        },
    ),
    "faint_trails": Case(
        {
            "mag": 19.0,
            "snr": 20.0,
            "trail_length": 3.0,
            "elongation": 2.5,
            "flagged": False,
            "lsst_trail_flux": 9.0,
            "lsst_pixel_flags_cr": False,
        },
        [detection(0.0, 19.0)],
        {
            "bright": {"mag": 18.0},
            "short": {"trail_length": 2.0},
            "round": {"elongation": 2.0},
            "cosmic ray": {"lsst_pixel_flags_cr": True},
            "flag": {"flagged": True},
            "negative trail": {"lsst_trail_flux": -1.0},
        },
    ),
    "mdwarf_flare": Case(
        {**CLEAN, **RED_STAR, "band": "u", "flux": 9e4, "template_flux": 5e4, "previous_detection_mjd": NOW - 30.0},
        STEADY,
        {
            "red band": {"band": "r"},
            "blue star": {"star_r": 17.3},
            "no colour": dict.fromkeys(RED_STAR),
            "seen yesterday": {"previous_detection_mjd": NOW - 1.0},
            "new and no star": {"n_detections": 1},
            "small": {"template_flux": 1e6},
            "star beside": {"star_separation": 4.0},
            **MOVES,
        },
    ),
    "sn_near_galaxy_candidate": Case(
        {**WITH_HOST, "n_detections": 6},
        STEADY,
        {
            "few": {"n_detections": 5},
            "faint": {"absolute_mag": -12.0},
            "too luminous": {"absolute_mag": -23.5},
            "no host": {"host_probability": 0.4},
            **NOT_NEAR_GALAXY,
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
    added = {column.name: column.type for column in plan.added}
    assert row.keys() <= set(batch.alerts.column_names)
    answers = {column: pa.array([row[column]], added[column]) for column in row.keys() & added.keys()}
    return bool(plan.select(batch.with_columns(answers).alerts, survey)[name][0])


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


def test_places_that_both_catalogues_do_not_know_may_be_extragalactic(plan: Plan) -> None:
    row = {**CLEAN, **ASKED, "rising": True, "n_detections": 5}
    assert selected(plan, "extragalactic_lt20mag_candidate", row, STEADY, "lsst")
    assert not selected(plan, "extragalactic_svom", row, STEADY, "lsst")


def test_young_sources_of_a_survey_without_scores_are_kept(plan: Plan) -> None:
    """A missing score counts neither for nor against: the flag is answered, and by signal and flags alone."""
    row = {**CLEAN, "real_score": None}
    assert selected(plan, "transient_complete", row, STEADY, "lsst")
    assert not selected(plan, "transient_complete", row | {"snr": 9.0}, STEADY, "lsst")


def test_each_is_compared_with_the_present_broker() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "science" / "substreams.md").read_text()
    listed = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert sorted(listed) == sorted(filters.registry())
