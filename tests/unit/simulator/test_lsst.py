"""LSST packets: values in the survey's ranges, numbers that hang together, and summaries of the history before the alert."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from fink.codecs.encode import Encodable
from fink.simulator.lsst import LsstForm
from fink.simulator.night import derive, is_real
from fink.simulator.population import KINDS, make_sky, populate
from fink.simulator.sky import telescope_of

Ints = NDArray[np.int64]


@cache
def made() -> tuple[LsstForm, Ints, Encodable]:
    sky = make_sky(telescope_of("lsst"), np.array([60999]), 3, 120.0)
    population, alerts = populate(sky, 400, 3)
    form = LsstForm(derive(sky, population, 3), 3)
    return form, alerts, form.records(alerts, history=True)


def field(name: str, group: str = "diaSource") -> Any:
    values = made()[2].values[f"{group}.{name}"]
    return values.to_numpy(zero_copy_only=False) if isinstance(values, pa.Array) else values


def kinds() -> NDArray[np.str_]:
    form, alerts, _ = made()
    return np.array([kind.name for kind in KINDS])[form.points.population.kind[form.points.owner[alerts]]]


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("detector", 0, 188),
        ("ra", 0, 360),
        ("dec", -67, 6),
        ("raErr", 0, 1e-4),
        ("x", 0, 4072),
        ("y", 0, 4000),
        ("midpointMjdTai", 60999.9, 61000.6),
        ("snr", 5, 1e4),
        ("psfFluxErr", 1, 1e6),
        ("extendedness", 0, 1),
        ("reliability", 0, 1),
        ("trailAngle", -180, 180),
        ("ixx", 0, 20),
    ],
)
def test_values_lie_in_the_survey_s_ranges(name: str, low: float, high: float) -> None:
    values = field(name)
    assert low <= values.min() < values.max() <= high


def test_fluxes_add_up_and_negative_ones_are_told() -> None:
    flux = field("psfFlux")
    np.testing.assert_allclose(field("snr"), np.abs(flux) / field("psfFluxErr"))
    assert (field("isNegative") == (flux < 0.0)).all()
    assert 0.05 < field("isNegative").mean() < 0.6
    # the template is measured with a twentieth of the difference's error at most
    excess = (field("scienceFlux") - flux - field("templateFlux")) / field("psfFluxErr")
    assert np.abs(excess).max() <= 0.05 + 1e-9


def test_bands_are_those_of_the_telescope() -> None:
    form, alerts, _ = made()
    assert field("band").tolist() == [form.points.sky.telescope.bands[k] for k in form.points.band[alerts]]


def test_sources_and_visits_are_numbered_by_date_and_exposure() -> None:
    form, alerts, _ = made()
    assert len(np.unique(form.numbers.source)) == len(form.numbers.source)
    assert set((field("visit") // 100000).tolist()) == {20251120}
    # exposures are numbered in the order of time
    places = [np.unique(values, return_inverse=True)[1].tolist() for values in (field("visit"), form.points.mjd[alerts])]
    assert places[0] == places[1]
    assert np.intersect1d(form.numbers.forced, form.numbers.source).size == 0
    assert (form.alert_ids(alerts) == field("diaSourceId")).all()


def test_an_alert_belongs_to_an_object_or_to_a_known_body() -> None:
    form, alerts, records = made()
    known = field("ssObjectId") > 0
    assert set(kinds()[known].tolist()) <= {"asteroid", "near_earth_object"}
    assert 0.7 < known[kinds() == "asteroid"].mean() < 1.0
    assert (known == (field("diaObjectId") == 0)).all()
    for name, there in (("diaObject", ~known), ("ssSource", known), ("diaSource.diaObjectId", ~known), ("prvDiaForcedSources", ~known)):
        assert (records.valid[name] == there).all(), name
    assert (np.array(form.object_ids(alerts).is_null()) == known).all()
    assert all(field("designation", "ssSource")[known])


def test_an_object_is_named_after_its_first_source() -> None:
    form, alerts, _ = made()
    owner = form.points.owner
    for row in np.flatnonzero(field("diaObjectId") > 0)[:80].tolist():
        mine = np.flatnonzero((owner == owner[alerts[row]]) & form.points.detected)
        assert field("diaObjectId")[row] == form.numbers.source[mine[0]]


def test_earlier_sources_are_detections_before_the_alert() -> None:
    _, _, records = made()
    offsets = records.offsets["prvDiaSources"]
    row = np.repeat(np.arange(400), np.diff(offsets))
    age = field("midpointMjdTai")[row] - field("midpointMjdTai", "prvDiaSources[]")
    assert len(age) > 1000
    assert 0.0 < age.min() < age.max() <= 365.0
    assert (field("diaObjectId")[row] == field("diaObjectId", "prvDiaSources[]")).all()
    assert field("snr", "prvDiaSources[]").min() > 5.0
    assert (np.diff(offsets)[field("ssObjectId") > 0] == 0).all()


def test_forced_photometry_begins_with_the_first_detection_and_has_faint_points() -> None:
    _, _, records = made()
    offsets = records.offsets["prvDiaForcedSources"]
    row = np.repeat(np.arange(400), np.diff(offsets))
    mjd = field("midpointMjdTai", "prvDiaForcedSources[]")
    assert (mjd >= field("firstDiaSourceMjdTai", "diaObject")[row] - 1e-9).all()
    assert (mjd < field("midpointMjdTai")[row]).all()
    assert (np.diff(offsets) >= np.diff(records.offsets["prvDiaSources"])).all()
    snr = np.abs(field("psfFlux", "prvDiaForcedSources[]") / field("psfFluxErr", "prvDiaForcedSources[]"))
    assert 0.02 < (snr < 5.0).mean() < 0.9


def test_the_object_counts_and_dates_its_sources() -> None:
    _, _, records = made()
    offsets, mjd = records.offsets["prvDiaSources"], field("midpointMjdTai", "prvDiaSources[]")
    count, first = field("nDiaSources", "diaObject"), field("firstDiaSourceMjdTai", "diaObject")
    assert (count == np.diff(offsets) + 1).all()
    for row in range(400):
        mine = mjd[offsets[row] : offsets[row + 1]]
        assert first[row] == (mine[0] if len(mine) else field("midpointMjdTai")[row])
    bands = sum(field(f"{band}_psfFluxNdata", "diaObject") for band in "ugrizy")
    assert (bands == count).all()


def test_the_object_summarises_each_band() -> None:
    _, _, records = made()
    offsets = records.offsets["prvDiaSources"]
    checked = 0
    for row in np.argsort(np.diff(offsets))[-5:].tolist():
        part = slice(offsets[row], offsets[row + 1])
        for band in "griz":
            earlier, now = field("band", "prvDiaSources[]")[part] == band, field("band")[row] == band
            flux, error, mjd = (
                np.append(field(name, "prvDiaSources[]")[part][earlier], field(name)[row : row + 1][: int(now)])
                for name in ("psfFlux", "psfFluxErr", "midpointMjdTai")
            )
            if len(flux) < 3:
                continue
            expected = {
                "psfFluxMean": np.average(flux, weights=error**-2.0),
                "psfFluxMeanErr": (error**-2.0).sum() ** -0.5,
                "psfFluxSigma": flux.std(ddof=1),
                "psfFluxMin": flux.min(),
                "psfFluxMax": flux.max(),
                "psfFluxMaxSlope": (np.diff(flux) / np.diff(mjd)).max(),
                "psfFluxErrMean": error.mean(),
            }
            for name, value in expected.items():
                np.testing.assert_allclose(field(f"{band}_{name}", "diaObject")[row], value, rtol=1e-8, err_msg=f"{band} {name}")
            checked += 1
    assert checked >= 8


def test_a_band_without_sources_has_no_summary() -> None:
    for band in "ugrizy":
        none = field(f"{band}_psfFluxNdata", "diaObject") == 0
        single = field(f"{band}_psfFluxNdata", "diaObject") == 1
        for name in ("psfFluxMean", "psfFluxMeanErr", "psfFluxMin", "psfFluxMax", "scienceFluxMean"):
            assert (np.isnan(field(f"{band}_{name}", "diaObject")) == none).all(), (band, name)
        for name in ("psfFluxSigma", "psfFluxMaxSlope"):
            assert (np.isnan(field(f"{band}_{name}", "diaObject")) == (none | single)).all(), (band, name)
    assert (field("u_psfFluxNdata", "diaObject") == 0).any()


def test_a_limit_counts_sources_and_forced_measurements_together_and_keeps_the_latest() -> None:
    form, alerts, whole = made()
    limit = np.arange(400) % 13
    few = form.records(alerts, history=True, limit=limit)
    sizes = [np.diff(few.offsets[name]) for name in ("prvDiaSources", "prvDiaForcedSources")]
    available = [np.diff(whole.offsets[name]) for name in ("prvDiaSources", "prvDiaForcedSources")]
    assert (sizes[0] + sizes[1] <= limit).all()
    assert (sizes[0] == np.minimum(available[0], (limit + 1) // 2)).all()
    assert (sizes[1] == np.minimum(available[1], limit - sizes[0])).all()
    kept, every = (np.asarray(records.values["prvDiaSources[].diaSourceId"]) for records in (few, whole))
    for row in range(400):
        last = whole.offsets["prvDiaSources"][row + 1]
        mine = kept[few.offsets["prvDiaSources"][row] : few.offsets["prvDiaSources"][row + 1]]
        assert mine.tolist() == every[last - sizes[0][row] : last].tolist()


def test_movers_leave_trails_and_dipoles_are_artefacts() -> None:
    form, alerts, _ = made()
    real = is_real(form.points.population)[form.points.owner[alerts]]
    fast = kinds() == "near_earth_object"
    # a degree a day is 1.25 arcsec in an exposure of 30 s
    assert field("trailLength")[fast].min() > 0.9
    assert field("trailLength")[~fast].max() < 0.9
    assert (np.isfinite(field("dipoleLength")) == field("isDipole")).all()
    assert field("isDipole")[~real].any()
    assert not field("isDipole")[real].any()
    assert field("reliability")[real].min() >= 0.5
    assert field("reliability")[~real].max() <= 0.6


def test_predictions_lie_beside_the_body_and_follow_its_motion() -> None:
    known = field("ssObjectId") > 0
    offset = (field("ephRa", "ssSource") - field("ra", "diaObject")) * 3600.0
    np.testing.assert_allclose(offset, field("ephOffset", "ssSource"), atol=1e-6)
    rate = np.hypot(field("ephRateRa", "ssSource"), field("ephRateDec", "ssSource"))
    np.testing.assert_allclose(rate, field("ephRate", "ssSource"), atol=1e-12)
    assert (rate[known] >= 0.15).all()
    assert not rate[(kinds() == "mira") | (kinds() == "artefact")].any()
    assert np.median(np.abs(field("eclBeta", "ssSource")[kinds() == "asteroid"])) < 30.0


def test_without_history_lists_are_empty_and_the_object_knows_one_source() -> None:
    form, alerts, _ = made()
    alone = form.records(alerts, history=False)
    assert not alone.offsets["prvDiaSources"].any()
    assert not alone.offsets["prvDiaForcedSources"].any()
    assert set(np.asarray(alone.values["diaObject.nDiaSources"]).tolist()) == {1}
