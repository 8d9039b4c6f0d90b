"""ZTF packets against what fastavro and astropy give, converted here in plain Python."""

from __future__ import annotations

import copy
import math
from functools import cache
from typing import Any

import fastavro
import numpy as np
import orjson
import pytest
from astropy import units
from astropy.time import Time

from fink.codecs.schemas import parse_schema
from fink.columns import CORE
from fink.errors import SchemaError
from fink.lightcurves import DETECTION, FORCED, LIMIT
from fink.surveys.ztf import survey
from fink.tables import AlertBatch, Packets, concatenate
from shared_data import shared_data
from unit.surveys.real_packets import Record, blank, containers_in, differences, packets_of, read_twice, same, schema_of, write

BANDS = {1: "g", 2: "r", 3: "i"}
STAR = {"star_separation": "distpsnr", "star_score": "sgscore", "star_g": "sgmag", "star_r": "srmag", "star_i": "simag", "star_z": "szmag"}
AS_IT_IS = {
    "detector": "rcid",
    "ra": "ra",
    "dec": "dec",
    "mag": "magpsf",
    "mag_err": "sigmapsf",
    "limit_mag": "diffmaglim",
    "stellarity": "classtar",
    "elongation": "elong",
    "n_detections": "ndethist",
    "n_visits": "ncovhist",
    "sso_separation": "ssdistnr",
    "sso_mag": "ssmagnr",
    "gaia_separation": "neargaia",
    "gaia_mag": "maggaia",
    "gaia_bright_separation": "neargaiabright",
    "gaia_bright_mag": "maggaiabright",
}
NEVER = {"is_dipole", "trail_length"}


def known(value: Any, missing: float = -999.0) -> Any:
    """Give None for a value that stands for missing."""
    gone = value is None or value == missing or (isinstance(value, float) and math.isnan(value))
    return None if gone else value


@cache
def njy(mag: float | None) -> float:
    with np.errstate(over="ignore"):
        return math.nan if mag is None else float((mag * units.ABmag).to_value(units.nJy))


@cache
def tai(jd: float) -> float:
    return float(Time(jd, format="jd", scale="utc").tai.mjd)


def middle(jd: float, exposure_time: float | None) -> float:
    return tai(jd) + (exposure_time or 30.0) / 2.0 / 86400.0


def sign(isdiffpos: Any) -> float:
    return {"t": 1.0, "1": 1.0, 1: 1.0, "f": -1.0, "0": -1.0, 0: -1.0}.get(isdiffpos, math.nan)


def with_template(flux: float, error: float, item: Record, radius: float, missing: float) -> tuple[float, float]:
    separation, mag = known(item.get("distnr"), missing), known(item.get("magnr"), missing)
    if separation is None or separation > radius or mag is None:
        return math.nan, math.nan
    before = njy(mag)
    relative = (known(item.get("sigmagnr"), missing) or 0.0) * math.log(10.0) / 2.5
    return before + flux, math.hypot(before * relative, error)


Point = tuple[float, str, int, float, float, float, float, int, int]


def epoch(item: Record) -> Point:
    """A point of the candidate or of one of the earlier epochs."""
    detector = -1 if item.get("rcid") is None else item["rcid"]
    mjd, band = middle(item["jd"], item.get("exptime")), BANDS[item["fid"]]
    if item.get("candid") is None:
        limit = njy(known(item.get("diffmaglim"))) / 5.0
        return mjd, band, LIMIT, math.nan, limit, math.nan, math.nan, 0, detector
    flux = sign(item["isdiffpos"]) * njy(known(item["magpsf"]))
    error = abs(flux) * item["sigmapsf"] * math.log(10.0) / 2.5
    return mjd, band, DETECTION, flux, error, *with_template(flux, error, item, 1.5, -999.0), item["candid"], detector


def forced(item: Record) -> Point:
    """A point of forced photometry."""
    counts = known(item["forcediffimflux"], -99999.0)
    unit = njy(item["magzpsci"]) if counts is not None else math.nan
    flux = (counts or 0.0) * unit
    error = item["forcediffimfluxunc"] * unit if counts is not None else math.nan
    total = with_template(flux, error, item, 1.5 * 1.01, -99999.0)
    detector = -1 if item["rcid"] is None else item["rcid"]
    return middle(item["jd"], item["exptime"]), BANDS[item["fid"]], FORCED, flux, error, *total, 0, detector


def light_curve(record: Record) -> list[Point]:
    """All points of a packet, each once, in the order of time, kind, band and number."""
    previous = record.get("prv_candidates") or []
    found = [epoch(record["candidate"]), *(epoch(item) for item in previous)]
    found += [forced(item) for item in record.get("fp_hists") or []]
    found += [forced(item) for item in previous if "forcediffimflux" in item]
    once: dict[Any, Point] = {}
    for point in found:
        measured = point[4] if point[2] == LIMIT else point[3]
        if math.isfinite(measured):
            once.setdefault(point[7] or (point[2], point[0], point[1], point[8]), point)
    return sorted(once.values(), key=lambda point: (point[0], point[2], "gri".index(point[1]), point[7]))


def own_values(record: Record) -> dict[str, Any]:
    """The survey's own columns."""
    values = {}
    for column in survey.columns:
        name = column.name.removeprefix("ztf_")
        value = record["candidate"].get(name, record.get(name))
        values[column.name] = value if isinstance(value, str) else known(value)
    return values


def expected(record: Record, version: str) -> dict[str, Any]:
    """Every column of one alert."""
    c = record["candidate"]
    own = epoch(c)
    start = known(c.get("jdstarthist"))
    mjd, first = own[0], middle(start, c.get("exptime")) if start else min(p[0] for p in light_curve(record) if p[2] == DETECTION)
    total, total_err = with_template(own[3], own[4], c, 1.5, -999.0)
    before, before_err = with_template(0.0, 0.0, c, 1.5, -999.0)
    score = known(c.get("drb"))
    name = c.get("ssnamenr")
    values = {column: known(c.get(field)) for column, field in AS_IT_IS.items()}
    values |= {column: known(c.get(f"{field}1", c.get(field))) for column, field in STAR.items()}
    return (
        dict.fromkeys(NEVER)
        | values
        | own_values(record)
        | {
            "alert_id": record["candid"],
            "object_id": record.get("objectId"),
            "sso_name": None if name in ("null", "") else name,
            "survey": "ztf",
            "schema_version": record.get("schemavsn", version),
            "night": int(Time(c["jd"], format="jd", scale="utc").strftime("%Y%m%d")),
            "mjd": mjd,
            "visit": round((c["jd"] - 2400000.5) * 86400),
            "exposure_time": c.get("exptime") or 30.0,
            "band": own[1],
            "flux": own[3],
            "flux_err": own[4],
            "snr": own[3] / own[4] if own[4] else None,
            "positive": sign(c["isdiffpos"]) > 0,
            "total_flux": total,
            "total_flux_err": total_err,
            "template_flux": before,
            "template_flux_err": before_err,
            "real_score": known(c.get("rb")) if score is None else score,
            "flagged": None if c.get("nbad") is None else c["nbad"] > 0,
            "seeing": None if c.get("fwhm") is None else c["fwhm"] * 1.01,
            "first_mjd": first,
            "reference_separation": None if known(c.get("distnr")) is None else c["distnr"] * 1.01,
        }
    )


@pytest.fixture(scope="module")
def files() -> list[bytes]:
    return list(containers_in(shared_data("ztf_alerts")))


@pytest.fixture(scope="module")
def real(files: list[bytes]) -> tuple[AlertBatch, list[Record], list[str]]:
    return read_twice(files, survey)


def test_every_column_of_every_real_alert(real: tuple[AlertBatch, list[Record], list[str]]) -> None:
    batch, records, versions = real
    assert len(records) >= 2400
    right = [expected(record, version) for record, version in zip(records, versions, strict=True)]
    names = [name for name in batch.alerts.column_names if name not in ("age", "mjd", "first_mjd")]
    assert set(names) <= set(right[0])
    wrong = differences(batch.alerts, right, names)
    assert wrong == []
    for name in ("mjd", "first_mjd"):
        assert np.allclose(batch.alerts[name].to_numpy(), [item[name] for item in right], rtol=0, atol=1e-9)
    age = [item["mjd"] - item["first_mjd"] for item in right]
    assert np.allclose(batch.alerts["age"].to_numpy(), age, rtol=2e-7, atol=2e-9)


def test_every_point_of_every_real_alert(real: tuple[AlertBatch, list[Record], list[str]]) -> None:
    batch, records, _ = real
    curves = batch.lightcurves
    right = [light_curve(record) for record in records]
    assert np.diff(curves.offsets).tolist() == [len(points) for points in right]
    flat = [point for points in right for point in points]
    assert len(flat) > 40_000
    assert {point[2] for point in flat} == {DETECTION, FORCED, LIMIT}
    names = np.array([band.name for band in curves.bands])[curves.band]
    assert names.tolist() == [point[1] for point in flat]
    for name, place in (("kind", 2), ("point_id", 7), ("detector", 8)):
        assert getattr(curves, name).tolist() == [point[place] for point in flat]
    assert np.allclose(curves.mjd, [point[0] for point in flat], rtol=0, atol=1e-9)
    for name, place in (("flux", 3), ("flux_err", 4), ("total_flux", 5), ("total_flux_err", 6)):
        got = getattr(curves, name).tolist()
        wrong = [
            (row, name, value, point[place])
            for row, (value, point) in enumerate(zip(got, flat, strict=True))
            if not same(None if math.isnan(value) else value, point[place], 2e-7)
        ]
        assert wrong == []


def test_every_version_gives_the_same_columns(real: tuple[AlertBatch, list[Record], list[str]]) -> None:
    batch, _, versions = real
    assert {"1.1", "1.3", "1.7", "1.8", "2.0", "3.0", "3.1", "3.3", "3.5", "4.01", "4.02"} <= set(versions)
    declared = [(column.name, column.type) for column in (*CORE, *survey.columns)]
    assert [(field.name, field.type) for field in batch.alerts.schema] == declared


def test_nights_are_those_of_the_decoded_alerts(real: tuple[AlertBatch, list[Record], list[str]]) -> None:
    batch, _, _ = real
    nights, refusals = survey.nights(batch.packets)
    assert refusals == ()
    assert nights.tolist() == batch.alerts["night"].to_pylist()


def test_stamps_are_where_the_ranges_say(real: tuple[AlertBatch, list[Record], list[str]]) -> None:
    batch, records, _ = real
    stamped = 0
    for row, record in enumerate(records):
        for i, name in enumerate(("cutoutScience", "cutoutTemplate", "cutoutDifference")):
            stamp = (record[name] or {}).get("stampData") or b""
            start, length = batch.cutouts.start[row, i], batch.cutouts.length[row, i]
            assert batch.packets.buffer[start : start + length].tobytes() == stamp
            stamped += bool(stamp)
    assert stamped > 2900


def layout(schema: Any, kind: Any = None) -> Any:
    """Names and types in the order of the bytes."""
    kind = schema.resolve(schema.document if kind is None else kind)
    if isinstance(kind, list):
        return [layout(schema, branch) for branch in kind]
    if isinstance(kind, str):
        return kind
    if kind["type"] == "array":
        return ["array", layout(schema, kind["items"])]
    return [(item["name"], layout(schema, item["type"])) for item in kind["fields"]]


@pytest.mark.parametrize(("place", "versions", "least"), [(0, {"4.01", "4.02"}, 25), (1, {"3.3"}, 2), (2, {"3.3"}, 190)])
def test_built_in_schema_reads_real_packets(files: list[bytes], place: int, versions: set[str], least: int) -> None:
    built_in = survey.writer_schemas()[place]
    alike = [data for data in files if (schema := schema_of(data)) and layout(schema) == layout(parse_schema(built_in))]
    assert {schema_of(data).document["version"] for data in alike} == versions  # type: ignore[union-attr]
    packets = packets_of(alike)
    assert len(packets) >= least
    bare = Packets(packets.buffer, packets.starts, packets.ends, np.zeros(len(packets), np.int32), (built_in,))
    with_own, _, _ = survey.decode(packets)
    with_built_in, _, refusals = survey.decode(bare)
    assert refusals == ()
    assert with_built_in.alerts.equals(with_own.alerts)
    for name, array in with_own.lightcurves.arrays().items():
        assert np.array_equal(with_built_in.lightcurves.arrays()[name], array, equal_nan=name.endswith(("flux", "err")))


def a_record() -> Record:
    """A small packet of schema 4.02."""
    record: Record = blank(orjson.loads(survey.writer_schemas()[0]), {})
    record |= {"objectId": "ZTF18abcdefg", "candid": -5, "schemavsn": "4.02"}
    record["candidate"] |= {
        "jd": 2460000.75,
        "fid": 2,
        "candid": -5,
        "isdiffpos": "t",
        "ra": 10.0,
        "dec": -20.0,
        "magpsf": 18.0,
        "sigmapsf": 0.1,
    }
    return record


def decode(records: list[Record]) -> tuple[AlertBatch, Any]:
    schema = survey.writer_schemas()[0]
    batch, _, refusals = survey.decode(Packets.from_bodies(write(orjson.loads(schema), records), schema))
    return batch, refusals


@pytest.mark.parametrize("value", [None, math.nan, -999.0])
def test_missing_values_become_null(value: float | None) -> None:
    record = a_record()
    record["candidate"] |= {"neargaia": value, "distpsnr2": value, "drb": value, "rb": 0.5, "magnr": value, "distnr": value, "fwhm": value}
    alert = decode([record])[0].alerts.to_pylist()[0]
    for name in ("gaia_separation", "ztf_distpsnr2", "ztf_drb", "template_flux", "total_flux", "reference_separation", "seeing"):
        assert alert[name] is None
    assert alert["real_score"] == 0.5


def test_forced_photometry_without_flux_gives_no_point() -> None:
    record = a_record()
    item = {field["name"]: blank(field["type"], {}) for field in _forced_fields()}
    item |= {"jd": 2459999.75, "fid": 1, "magzpsci": 26.0, "forcediffimfluxunc": 5.0}
    record["fp_hists"] = [item | {"forcediffimflux": flux} for flux in (100.0, -99999.0, None, math.nan)]
    curves = decode([record])[0].lightcurves
    assert curves.kind.tolist() == [FORCED, DETECTION]
    assert curves.flux[0] == pytest.approx(100.0 * 10 ** ((31.4 - 26.0) / 2.5), rel=1e-6)


def _forced_fields() -> list[Any]:
    alert = orjson.loads(survey.writer_schemas()[0])
    array = next(field["type"][1] for field in alert["fields"] if field["name"] == "fp_hists")
    fields: list[Any] = array["items"]["fields"]
    return fields


def test_points_are_told_apart() -> None:
    record = a_record()
    alert = orjson.loads(survey.writer_schemas()[0])
    previous = next(field["type"][1]["items"]["fields"] for field in alert["fields"] if field["name"] == "prv_candidates")
    item = {field["name"]: blank(field["type"], {}) for field in previous} | {"fid": 1, "jd": 2459990.75}
    seen = item | {"candid": 7, "magpsf": 19.0, "sigmapsf": 0.2, "isdiffpos": "f", "rcid": 3}
    record["prv_candidates"] = [
        item | {"diffmaglim": 20.0},
        seen | {"jd": 2459991.75},
        seen | {"jd": 2459991.75},
        seen | {"candid": 8, "isdiffpos": None},
        item | {"jd": 2459992.75},
        copy.deepcopy(record["candidate"]) | {"rbversion": ""},
    ]
    record["prv_candidates"][-1] = {key: record["prv_candidates"][-1].get(key) for key in item}
    curves = decode([record])[0].lightcurves
    assert curves.kind.tolist() == [LIMIT, DETECTION, DETECTION]
    assert curves.point_id.tolist() == [0, 7, -5]
    assert curves.detector.tolist() == [-1, 3, -1]
    assert curves.flux_err[0] == pytest.approx(10 ** ((31.4 - 20.0) / 2.5) / 5.0, rel=1e-6)
    assert curves.flux[1] < 0 < curves.flux[2]


def test_unusable_packets_are_refused_and_the_others_stand() -> None:
    good, unknown_band, no_sign, off_sky = a_record(), a_record(), a_record(), a_record()
    unknown_band["candidate"]["fid"] = 9
    no_sign["candidate"]["isdiffpos"] = "?"
    off_sky["candidate"]["dec"] = 123.0
    schema = survey.writer_schemas()[0]
    bodies = write(orjson.loads(schema), [good, unknown_band, no_sign, off_sky, good])
    packets = Packets.from_bodies([*bodies, bodies[0][:-3], bodies[0] + b"\0"], schema)
    batch, rows, refusals = survey.decode(packets)
    assert rows.tolist() == [0, 4]
    assert len(batch) == len(batch.lightcurves) == len(batch.packets) == 2
    assert [refusal.row for refusal in refusals] == [1, 2, 3, 5, 6]
    assert "band" in refusals[0].reason
    assert "positive" in refusals[1].reason
    assert "declination" in refusals[2].reason
    nights, unreadable = survey.nights(packets)
    assert nights.tolist() == [20230225] * 5 + [0, 0]
    assert [refusal.row for refusal in unreadable] == [5, 6]


def test_packets_of_several_schemas_keep_their_order() -> None:
    new, old, _ = survey.writer_schemas()
    records = [a_record() | {"candid": i} for i in range(6)]
    numbers = np.array([0, 1, 1, 0, 1, 0], np.int32)
    bodies = [write(orjson.loads((new, old)[n]), [record])[0] for n, record in zip(numbers, records, strict=True)]
    joined = Packets.from_bodies(bodies, new)
    mixed = Packets(joined.buffer, joined.starts, joined.ends, numbers, (new, old))
    batch, rows, _ = survey.decode(mixed)
    assert batch.alerts["alert_id"].to_pylist() == rows.tolist() == [0, 1, 2, 3, 4, 5]
    assert batch.packets.starts.tolist() == joined.starts.tolist()
    one_by_one = concatenate([survey.decode(mixed.take(np.array([i])))[0] for i in range(6)])
    assert one_by_one.alerts.equals(batch.alerts)


def test_no_packets_give_no_alerts_but_all_columns() -> None:
    batch, rows, refusals = survey.decode(Packets.from_bodies([], b"{}"))
    assert (len(batch), len(rows), refusals) == (0, 0, ())
    assert batch.alerts.column_names == [column.name for column in (*CORE, *survey.columns)]


def test_recognised_by_content() -> None:
    schema = orjson.loads(survey.writer_schemas()[0])
    assert survey.recognises(orjson.dumps(schema))
    assert survey.recognises(orjson.dumps(schema | {"name": "topLevelRecord", "namespace": ""}))
    other = {"type": "record", "name": "alert", "namespace": "pgir", "fields": [{"name": "candid", "type": "long"}]}
    assert not survey.recognises(orjson.dumps(other))
    with pytest.raises(SchemaError, match="candidate"):
        survey.recognises(orjson.dumps(other | {"namespace": "ztf"}))


def test_other_surveys_are_not_taken_for_ztf(files: list[bytes]) -> None:
    others = [schema for data in files if (schema := schema_of(data)) and schema.namespace not in ("", "ztf")]
    assert {schema.namespace for schema in others} == {"atlas", "decat", "pgir", "turbo", "winter"}
    assert not any(survey.recognises(schema.text) for schema in others)


def test_public_names() -> None:
    assert survey.public_name("alert_id") == "i:candid"
    assert survey.public_name("mag") == "i:magpsf"
    assert survey.public_name("star_score") == "i:sgscore1"
    assert survey.public_name("ztf_distnr") == "i:distnr"
    assert survey.public_name("rise_rate") == "d:rise_rate"


def test_built_in_schemas_are_avro() -> None:
    for schema in survey.writer_schemas():
        assert fastavro.parse_schema(orjson.loads(schema))
        assert survey.recognises(schema)
