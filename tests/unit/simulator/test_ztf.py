"""ZTF packets: values in the survey's ranges, its sentinels where it has them, and histories before the alert."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from fink.codecs.encode import Encodable
from fink.lightcurves import AB_ZERO
from fink.simulator.kinds import magnitude_of
from fink.simulator.night import derive, is_real
from fink.simulator.population import KINDS, make_sky, populate
from fink.simulator.sky import telescope_of
from fink.simulator.ztf import ZtfForm

Ints = NDArray[np.int64]


@cache
def made() -> tuple[ZtfForm, Ints, Encodable]:
    sky = make_sky(telescope_of("ztf"), np.array([60999]), 3, 90.0)
    population, alerts = populate(sky, 400, 3)
    form = ZtfForm(derive(sky, population, 3), 3)
    return form, alerts, form.records(alerts, history=True)


def field(name: str, group: str = "candidate") -> Any:
    values = made()[2].values[f"{group}.{name}"]
    return values.to_numpy(zero_copy_only=False) if isinstance(values, pa.Array) else values


def names() -> NDArray[np.str_]:
    form, alerts, _ = made()
    return np.array([kind.name for kind in KINDS])[form.points.population.kind[form.points.owner[alerts]]]


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("fid", 1, 3),
        ("rcid", 0, 63),
        ("ra", 0, 360),
        ("dec", -30, 90),
        ("xpos", 0, 3072),
        ("ypos", 0, 3080),
        ("mindtoedge", 0, 1540),
        ("magpsf", 10, 22),
        ("sigmapsf", 0, 0.22),
        ("diffmaglim", 18, 22),
        ("rb", 0, 1),
        ("drb", 0, 1),
        ("classtar", 0, 1),
        ("elong", 1, 3),
        ("fwhm", 0.5, 10),
        ("sumrat", 0, 1),
        ("ndethist", 1, 3000),
        ("jdstarthist", 2458194, 2461001),
        ("neargaia", 0, 90),
    ],
)
def test_values_lie_in_the_survey_s_ranges(name: str, low: float, high: float) -> None:
    values = field(name)
    assert low <= values.min() < values.max() <= high


def test_magnitudes_are_those_of_the_flux_and_the_sign_is_told() -> None:
    form, alerts, _ = made()
    flux = form.points.population.flux[alerts]
    np.testing.assert_allclose(field("magpsf"), magnitude_of(flux))
    assert (field("isdiffpos") == np.where(flux > 0.0, "t", "f")).all()
    assert set(field("isdiffpos").tolist()) == {"t", "f"}
    np.testing.assert_allclose(field("magdiff"), field("magap") - field("magpsf"))
    np.testing.assert_allclose(field("magfromlim"), field("diffmaglim") - field("magap"))


def test_candidates_are_numbered_as_the_survey_numbers_them() -> None:
    candid, pid = field("candid"), field("pid")
    assert len(np.unique(candid)) == len(candid)
    assert (candid // 10**6 == pid).all()
    assert (pid // 10**9 == field("nid")).all()
    assert (pid // 100 % 100 == field("rcid")).all()
    assert ((candid % 10**6 // 5000 == 3) == (field("isdiffpos") == "t")).all()
    assert set(field("nid").tolist()) == {60999 - 57754}


def test_objects_have_a_year_and_seven_letters_each_its_own() -> None:
    form, alerts, _ = made()
    found = form.object_ids(alerts).to_pylist()
    owners = form.points.owner[alerts].tolist()
    assert all(name[:3] == "ZTF" and 18 <= int(name[3:5]) <= 25 and name[5:].isalpha() and name[5:].islower() for name in found)
    assert {len(name) for name in found} == {12}
    assert len(set(found)) == len(set(owners)) == len(set(zip(found, owners, strict=True)))


def test_solar_system_objects_are_named_and_the_others_have_sentinels() -> None:
    known = field("ssnamenr") != "null"
    assert set(names()[known].tolist()) <= {"asteroid", "near_earth_object"}
    assert 0.7 < known[names() == "asteroid"].mean() < 1.0
    assert (field("ssdistnr")[~known] == -999.0).all()
    assert (field("ssmagnr")[~known] == -999.0).all()
    assert (field("ssdistnr")[known] < 1.0).all()


def test_neighbours_come_in_the_order_of_distance_and_faint_ones_lack_a_magnitude() -> None:
    distance = np.stack([field(f"distpsnr{tag}") for tag in "123"])
    assert 0.0 <= distance.min() < distance.max() < 30.0
    assert (np.diff(distance, axis=0) > 0.0).all()
    for band in "griz":
        mag = np.stack([field(f"s{band}mag{tag}") for tag in "123"])
        assert ((mag == -999.0) | ((mag > 8.0) & (mag < 23.5))).all()
    assert (field("sgmag1") == -999.0).any()


def test_beyond_thirty_arcseconds_neighbours_are_sentinels() -> None:
    form, alerts, _ = made()
    people = form.points.population
    far = replace(people, parameters=people.parameters | {"host_separation": np.full(len(people), 31.0)})
    found = ZtfForm(replace(form.points, population=far), 3).records(alerts, history=False).values
    hosted = np.nan_to_num(people.parameters["host_mag"], nan=99.0)[form.points.owner[alerts]] < 22.5
    assert 0 < hosted.sum() < len(alerts)
    for name in ("distpsnr1", "sgscore1", "srmag1", "szmag1", "distpsnr3"):
        assert ((np.asarray(found[f"candidate.{name}"]) == -999.0) == hosted).all(), name
    assert ((np.asarray(found["candidate.objectidps1"]) == 0) == hosted).all()


def test_stars_score_as_stars_and_hosts_as_galaxies() -> None:
    star = np.isin(names(), ["rr_lyrae", "mira"]) & (field("distpsnr1") < 0.4) & (field("sgscore1") >= 0.0)
    host = np.isin(names(), ["sn_ia", "tde"]) & (field("srmag1") != -999.0) & (field("distpsnr1") < 1.0)
    assert star.sum() > 20
    assert field("sgscore1")[star].min() > 0.8
    assert field("sgscore1")[host & (names() == "tde")].max() < 0.3


def test_artefacts_score_low_and_look_odd() -> None:
    form, alerts, _ = made()
    real = is_real(form.points.population)[form.points.owner[alerts]]
    assert field("drb")[real].min() >= 0.7 - 1e-6
    assert field("rb")[~real].max() <= 0.6
    assert np.median(field("elong")[~real]) > 1.3 > field("elong")[real].max() - 1e-6
    assert (field("nbad")[real] == 0).all()


def test_earlier_points_are_of_the_object_before_the_alert_and_in_the_window() -> None:
    form, _, records = made()
    offsets = records.offsets["prv_candidates"]
    age = np.repeat(field("jd"), np.diff(offsets)) - field("jd", "prv_candidates[]")
    assert len(age) > 1000
    assert 0.0 < age.min() < age.max() < 30.001
    earlier = field("candid", "prv_candidates[]")
    assert not np.isin(earlier[earlier > 0], np.setdiff1d(form.names.candid, form.names.candid[form.points.detected])).any()
    assert (records.valid["prv_candidates"] == (np.diff(offsets) > 0)).all()
    assert records.offsets["fp_hists"] is offsets


def test_upper_limits_have_their_limit_only() -> None:
    _, _, records = made()
    detected = records.valid["prv_candidates[].magpsf"]
    assert 0.05 < detected.mean() < 0.95
    assert np.isfinite(field("magpsf", "prv_candidates[]")[detected]).all()
    assert (field("candid", "prv_candidates[]")[detected] > 0).all()
    assert {"prv_candidates[].diffmaglim", "prv_candidates[].jd", "prv_candidates[].fid"}.isdisjoint(records.valid)
    assert np.isfinite(field("diffmaglim", "prv_candidates[]")).all()


def test_forced_photometry_is_in_counts_and_fails_with_its_sentinel() -> None:
    form, alerts, _ = made()
    flux, status = field("forcediffimflux", "fp_hists[]"), field("procstatus", "fp_hists[]")
    failed = flux == -99999.0
    assert 0.0 < failed.mean() < 0.03
    assert (failed == (status == "61")).all()
    assert (field("forcediffimfluxunc", "fp_hists[]")[failed] == -99999.0).all()
    _, at = form.points.before(alerts, np.ones(len(form.points.mjd), np.bool_))
    to_njy = 10.0 ** ((AB_ZERO - field("magzpsci", "fp_hists[]")) / 2.5)
    np.testing.assert_allclose((flux * to_njy)[~failed], form.points.population.flux[at][~failed])
    assert not failed[form.points.detected[at]].any()


def test_the_first_detection_is_no_later_than_any_in_the_packet() -> None:
    _, _, records = made()
    offsets, detected = records.offsets["prv_candidates"], records.valid["prv_candidates[].magpsf"]
    row = np.repeat(np.arange(400), np.diff(offsets))[detected]
    jd = field("jd", "prv_candidates[]")[detected]
    assert (field("jdstarthist")[row] <= jd + 1e-6).all()
    assert (field("ndethist") >= 1 + np.bincount(row, minlength=400)).all()
    assert (field("ncovhist") >= field("ndethist")).all()
    assert (field("jdendhist") == field("jd")).all()


def test_without_history_only_the_candidate_is_there() -> None:
    form, alerts, _ = made()
    alone = form.records(alerts[:5], history=False)
    assert not alone.offsets
    assert not any(name.startswith(("prv_candidates", "fp_hists")) for name in alone.values)
    np.testing.assert_array_equal(alone.values["candidate.magpsf"], field("magpsf")[:5])


def test_image_names_say_date_filter_and_quadrant() -> None:
    channel, band = field("rcid"), field("fid")
    for row, name in enumerate(field("pdiffimfilename")[:50].tolist()):
        head, date, number, letter, ccd, _, quadrant, _ = name.split("_")
        assert (head, date[:8], letter) == ("ztf", "20251120", "z" + " gri"[band[row]])
        assert int(number) == field("field")[row]
        assert (int(ccd[1:]) - 1) * 4 + int(quadrant[1:]) - 1 == channel[row]
