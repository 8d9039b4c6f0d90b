"""Simulated nights: packets that an independent reader reads, and that say what the truth says."""

from __future__ import annotations

import io
import json
from functools import cache
from typing import Any

import fastavro
import numpy as np
import pyarrow.compute as pc
import pytest

from fink.codecs.cutouts import read_fits
from fink.errors import ConfigError
from fink.simulator.kinds import magnitude_of
from fink.simulator.population import KINDS, THRESHOLD
from fink.simulator.survey import SimulatedNight, simulate_night, simulate_nights, simulate_spread
from fink.surveys import registry

SURVEYS = ("ztf", "lsst")


@cache
def night(survey: str) -> SimulatedNight:
    return simulate_night(survey, 600, seed=5)


def read(simulated: SimulatedNight) -> list[dict[str, Any]]:
    schema = fastavro.parse_schema(json.loads(simulated.packets.schemas[0]))
    bodies = (io.BytesIO(simulated.packets.body(row)) for row in range(len(simulated.packets)))
    return [fastavro.schemaless_reader(body, schema) for body in bodies]


@cache
def records(survey: str) -> list[dict[str, Any]]:
    return read(night(survey))


def truth(simulated: SimulatedNight, name: str) -> Any:
    return simulated.truth[name].to_numpy(zero_copy_only=False)


def test_fastavro_reads_every_ztf_packet_and_it_says_the_truth() -> None:
    simulated, found = night("ztf"), records("ztf")
    flux = truth(simulated, "flux")
    assert [record["candid"] for record in found] == truth(simulated, "alert_id").tolist()
    assert [record["candidate"]["candid"] for record in found] == truth(simulated, "alert_id").tolist()
    assert [record["objectId"] for record in found] == truth(simulated, "object_id").tolist()
    np.testing.assert_allclose([record["candidate"]["magpsf"] for record in found], magnitude_of(flux), rtol=1e-6)
    assert [record["candidate"]["isdiffpos"] == "t" for record in found] == (flux > 0).tolist()


def test_fastavro_reads_every_lsst_packet_and_it_says_the_truth() -> None:
    simulated, found = night("lsst"), records("lsst")
    assert [record["diaSourceId"] for record in found] == truth(simulated, "alert_id").tolist()
    np.testing.assert_allclose([record["diaSource"]["psfFlux"] for record in found], truth(simulated, "flux"), rtol=1e-6)
    ids = [record["diaSource"]["diaObjectId"] for record in found]
    assert [None if number is None else str(number) for number in ids] == simulated.truth["object_id"].to_pylist()


@pytest.mark.parametrize("survey", SURVEYS)
def test_the_survey_decodes_the_same_values(survey: str) -> None:
    simulated = night(survey)
    batch, rows, refusals = registry()[survey].decode(simulated.packets)
    assert refusals == ()
    assert rows.tolist() == list(range(len(simulated.packets)))
    for name in ("alert_id", "object_id", "band"):
        assert batch.alerts[name].to_pylist() == simulated.truth[name].to_pylist()
    np.testing.assert_allclose(batch.alerts["mjd"].to_numpy(), truth(simulated, "mjd"), rtol=0, atol=1e-8)
    np.testing.assert_allclose(batch.alerts["flux"].to_numpy(), truth(simulated, "flux"), rtol=5e-6)
    assert set(batch.alerts["night"].to_pylist()) == {simulated.night}


@pytest.mark.parametrize("survey", SURVEYS)
def test_ids_are_unique_and_every_kind_is_there(survey: str) -> None:
    simulated = night(survey)
    assert len(np.unique(truth(simulated, "alert_id"))) == len(simulated.packets) == 600
    assert set(simulated.truth["kind"].to_pylist()) == {kind.name for kind in KINDS}


@pytest.mark.parametrize("survey", SURVEYS)
def test_alerts_are_detections_and_their_noise_is_as_said(survey: str) -> None:
    simulated = night(survey)
    pull = (truth(simulated, "flux") - truth(simulated, "true_flux")) / truth(simulated, "flux_err")
    assert (np.abs(truth(simulated, "flux") / truth(simulated, "flux_err")) > THRESHOLD).all()
    # the threshold favours upward noise of the faintest, hence the room
    assert abs(np.std(pull) - 1.0) < 0.15
    assert abs(np.median(pull)) < 0.5


@pytest.mark.parametrize("survey", SURVEYS)
@pytest.mark.parametrize("stamps", [False, "shared", True])
def test_the_same_seed_gives_the_same_bytes(survey: str, stamps: Any) -> None:
    first, again = (simulate_night(survey, 60, seed=9, stamps=stamps) for _ in range(2))
    other = simulate_night(survey, 60, seed=10, stamps=stamps)
    assert first.packets.buffer.tobytes() == again.packets.buffer.tobytes()
    assert first.truth.equals(again.truth)
    assert first.packets.buffer.tobytes() != other.packets.buffer.tobytes()


def test_a_ztf_point_is_the_same_in_all_nights() -> None:
    nights = simulate_nights("ztf", 5, 400, seed=2, stamps=False)
    sent = {record["candid"]: record for one in nights for record in read(one)}
    earlier = [point for record in sent.values() for point in record["prv_candidates"] or [] if point["candid"] in sent]
    assert len(earlier) > 100
    for point in earlier:
        there = sent[point["candid"]]["candidate"]
        assert {name: point[name] for name in ("jd", "ra", "magpsf", "sigmapsf", "rb", "fwhm")} == {
            name: there[name] for name in ("jd", "ra", "magpsf", "sigmapsf", "rb", "fwhm")
        }
    assert [one.night for one in nights] == [20251120, 20251121, 20251122, 20251123, 20251124]


def test_lsst_history_is_complete_and_grows() -> None:
    first, last = (read(one) for one in (lambda n: (n[0], n[-1]))(simulate_nights("lsst", 4, 300, seed=2, stamps=False)))
    sources = {r["diaSource"]["diaObjectId"]: r["diaSource"]["diaSourceId"] for r in first if r["diaSource"]["diaObjectId"]}
    later = [r for r in last if r["diaSource"]["diaObjectId"] in sources]
    assert len(later) > 10
    for record in later:
        ids = [source["diaSourceId"] for source in record["prvDiaSources"]]
        assert sources[record["diaSource"]["diaObjectId"]] in ids
        assert record["diaObject"]["nDiaSources"] == len(ids) + 1
        times = [source["midpointMjdTai"] for source in record["prvDiaSources"]]
        assert times == sorted(times)
        assert times[-1] < record["diaSource"]["midpointMjdTai"]


def test_the_lsst_object_summarises_its_sources() -> None:
    record = max(records("lsst"), key=lambda r: len(r["prvDiaSources"] or []))
    detections = [*record["prvDiaSources"], record["diaSource"]]
    for band in "griz":
        flux = np.array([s["psfFlux"] for s in detections if s["band"] == band])
        weight = np.array([s["psfFluxErr"] for s in detections if s["band"] == band]) ** -2.0
        assert record["diaObject"][f"{band}_psfFluxNdata"] == len(flux)
        np.testing.assert_allclose(record["diaObject"][f"{band}_psfFluxMean"], np.average(flux, weights=weight), rtol=1e-5)
        np.testing.assert_allclose(record["diaObject"][f"{band}_psfFluxSigma"], flux.std(ddof=1), rtol=1e-5)
        assert record["diaObject"][f"{band}_psfFluxMax"] == flux.max()


def test_ztf_history_lies_in_the_window_and_forced_photometry_agrees() -> None:
    compared = 0
    for record in records("ztf"):
        jd = record["candidate"]["jd"]
        for point, forced in zip(record["prv_candidates"] or [], record["fp_hists"] or [], strict=True):
            assert 0 < jd - point["jd"] < 30.01
            if point["magpsf"] is not None:
                mag = forced["magzpsci"] - 2.5 * np.log10(abs(forced["forcediffimflux"]))
                assert abs(mag - point["magpsf"]) < 1e-3
                compared += 1
    assert compared > 500


@pytest.mark.parametrize(("survey", "side"), [("ztf", 63), ("lsst", 30)])
def test_stamps_show_the_source_in_the_middle(survey: str, side: int) -> None:
    simulated = night(survey)
    snr = truth(simulated, "flux") / truth(simulated, "flux_err")
    bright = np.flatnonzero((snr > 40) & truth(simulated, "real"))[:20]
    middle = 0
    for row in bright.tolist():
        stamp = records(survey)[row]["cutoutDifference"]
        image = read_fits(stamp["stampData"] if survey == "ztf" else stamp)[0].image
        assert image is not None
        assert image.shape == (side, side)
        y, x = divmod(int(np.argmax(image)), side)
        middle += max(abs(x - side // 2), abs(y - side // 2)) <= 3
    assert len(bright) >= 5
    assert middle == len(bright)


@pytest.mark.parametrize(("survey", "low", "high"), [("ztf", 40_000, 75_000), ("lsst", 100_000, 160_000)])
def test_packets_are_as_large_as_real_ones(survey: str, low: int, high: int) -> None:
    packets = night(survey).packets
    assert low < float(np.mean(packets.ends - packets.starts)) < high


def test_known_bodies_carry_their_names_and_artefacts_low_scores() -> None:
    simulated, found = night("ztf"), records("ztf")
    named = np.array([record["candidate"]["ssnamenr"] != "null" for record in found])
    assert (named == (pc.is_valid(simulated.truth["number"]).to_numpy() & (np.nan_to_num(truth(simulated, "number"), nan=-1) >= 0))).all()
    assert named.any()
    score = np.array([record["candidate"]["drb"] for record in found])
    real = truth(simulated, "real")
    assert np.median(score[real]) > 0.9 > 0.5 > np.median(score[~real])


def test_without_history_there_is_none() -> None:
    for survey, name in (("ztf", "prv_candidates"), ("lsst", "prvDiaSources")):
        assert all(record[name] is None for record in read(simulate_night(survey, 80, stamps=False, history=False)))


def test_the_spread_of_history_is_the_promised_one() -> None:
    found = read(simulate_spread("lsst", 1000, stamps=False))
    earlier = np.array([len(r["prvDiaSources"] or []) + len(r["prvDiaForcedSources"] or []) for r in found])
    shares = [np.mean((low <= earlier) & (earlier <= high)) for low, high in ((0, 0), (1, 30), (31, 150), (151, 350))]
    np.testing.assert_allclose(shares, [0.40, 0.40, 0.15, 0.05], atol=1e-3)


def test_what_cannot_be_simulated_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="did you mean ztf"):
        simulate_night("ztff", 10)
    with pytest.raises(ConfigError, match="20251399 is no date"):
        simulate_night("ztf", 10, night=20251399)
    with pytest.raises(ConfigError, match="at least 1"):
        simulate_night("ztf", 0)
    with pytest.raises(ConfigError, match="spread"):
        simulate_spread("ztf", 10)
