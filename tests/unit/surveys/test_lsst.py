"""LSST packets to columns: field tables against the survey's schemas, and every real packet against fastavro."""

from __future__ import annotations

import io
import json
import math
import re
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import PurePosixPath
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pytest
from astropy import units
from astropy.time import Time
from benchmarks.lsst_packets import lsst_packets

from fink.codecs.avro import decode
from fink.codecs.containers import confluent_id
from fink.codecs.cutouts import Stamps
from fink.codecs.schemas import compile_program, parse_schema
from fink.columns import CORE
from fink.errors import SchemaError
from fink.lightcurves import DETECTION, FORCED, LIMIT
from fink.surveys import Survey, registry
from fink.surveys.fields import read_table
from fink.surveys.lsst import FLAGS, OWN, snake, survey, writer_schema
from fink.tables import AlertBatch, Packets
from shared_data import shared_data

Record = dict[str, Any]
SCHEMAS = "lsst_alert_packet_schemas_v3-v11_with_fakeAlerts.tar.xz"
OTHERS = "other_broker_lsst_samples.tar.xz"
TABLE = read_table("lsst")


@cache
def members(archive: str) -> dict[str, bytes]:
    """Give the files of one of the archives of real data."""
    with tarfile.open(shared_data("rubin", archive)) as file:
        opened = {member.name: file.extractfile(member) for member in file.getmembers() if member.isfile()}
        return {name: stream.read() for name, stream in opened.items() if stream is not None}


def wire_messages() -> Iterator[tuple[str, bytes]]:
    """Give the real messages in the wire format."""
    for name, data in members(OTHERS).items():
        if name.endswith(".avro") and data[:1] == b"\x00" and "rapid" not in name:
            yield name, data


def containers() -> Iterator[tuple[str, bytes]]:
    """Give the containers of LSST packets of version 7.0 or later."""
    for file in sorted(shared_data("rubin").glob("*.avro")):
        yield file.name, file.read_bytes()
    for archive in (SCHEMAS, OTHERS):
        for name, data in members(archive).items():
            if name.endswith(".avro") and data[:4] == b"Obj\x01" and _is_supported(data):
                yield name, data


def _is_supported(data: bytes) -> bool:
    schema = fastavro.reader(io.BytesIO(data)).metadata["avro.schema"].encode()
    try:
        return survey.recognises(schema)
    except SchemaError:
        return False


def packets_of(data: bytes) -> tuple[Packets, list[Record]]:
    """Read a container with fastavro, and lay its records out again as the survey wrote them."""
    reader = fastavro.reader(io.BytesIO(data))
    records: list[Record] = list(reader)
    bodies = []
    schema = fastavro.parse_schema(json.loads(reader.metadata["avro.schema"]))
    for record in records:
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, schema, record)
        bodies.append(stream.getvalue())
    return Packets.from_bodies(bodies, reader.metadata["avro.schema"].encode()), records


def read_message(message: bytes) -> tuple[Packets, Record]:
    """Decode a message in the wire format with fastavro and the survey's own schema."""
    number = confluent_id(message)
    schema = fastavro.parse_schema(official_schema(number // 100, number % 100))
    stream = io.BytesIO(message[5:])
    record: Record = fastavro.schemaless_reader(stream, schema, None)
    assert not stream.read()
    text = survey.schema_of_number(number)
    assert text is not None
    return Packets.from_bodies([message[5:]], text), record


def official_schema(major: int, minor: int) -> Record:
    """Join the survey's own schema files of one version."""
    parts = {PurePosixPath(n).name: d for n, d in members(SCHEMAS).items() if f"v{major}_{minor}." in n and n.endswith(".avsc")}
    written: set[str] = set()

    def join(kind: Any) -> Any:
        if isinstance(kind, list):
            return [join(branch) for branch in kind]
        if isinstance(kind, dict):
            return kind | {"items": join(kind["items"])} if kind["type"] == "array" else kind
        if f"{kind}.avsc" not in parts or kind in written:
            return kind
        written.add(kind)
        record = json.loads(parts[f"{kind}.avsc"])
        kept = {key: record[key] for key in ("type", "name", "namespace")}
        fields = [{k: v for k, v in f.items() if k in ("name", "default")} | {"type": join(f["type"])} for f in record["fields"]]
        return kept | {"fields": fields}

    joined: Record = join(f"lsst.v{major}_{minor}.alert")
    return joined


@pytest.mark.parametrize("version", TABLE.versions)
def test_field_tables_give_the_survey_schemas(version: tuple[int, int]) -> None:
    assert json.loads(writer_schema(*version)) == official_schema(*version)


def test_versions_are_all_that_the_survey_published() -> None:
    roots = [re.search(r"lsst\.v(\d+)_(\d+)\.alert\.avsc", name) for name in members(SCHEMAS)]
    published = {(int(root[1]), int(root[2])) for root in roots if root}
    assert {v for v in published if v >= (7, 0)} - set(TABLE.versions) <= {(10, 1)}
    assert len(TABLE.versions) == 10


def test_every_field_since_8_is_a_column_or_left_in_the_packet_on_purpose() -> None:
    left = {
        "diaSource.time_processed",
        "diaObject.validityStart",
        "diaObject.diaObjectId",
        "ssSource.residualRa",
        "ssSource.residualDec",
        "ssSource.ssObjectId",
        "ssSource.diaSourceId",
        "MPCORB.ssObjectId",
        "mpc_orbits.id",
        "mpc_orbits.unpacked_primary_provisional_designation",
        "mpc_orbits.mpc_orb_jsonb",
        "mpc_orbits.created_at",
        "mpc_orbits.updated_at",
        "mpc_orbits.fitting_datetime",
    }
    used = survey.paths | {path for plain in survey.plain for path in plain.paths}
    records = ("diaSource", "diaObject", "ssSource", "MPCORB", "mpc_orbits")
    fields = {f"{record}.{field.name}" for record in records for field in TABLE.records[record] if field.last >= (8, 0)}
    assert fields - used == left


def test_columns_are_declared_well() -> None:
    names = [column.name for column in survey.columns]
    assert len(set(names)) == len(names) > 240
    assert all(name.startswith("lsst_") for name in names)
    assert not set(names) & {column.name for column in CORE}
    for column in survey.columns:
        units.Unit(column.unit, format="vounit" if "10**" not in column.unit else None)
        assert not column.about.endswith(".")
    assert snake("psfFluxErr") == "psf_flux_err"
    assert {"lsst_ap_flux", "lsst_object_u_psf_flux_mean", "lsst_sso_ecl_lambda", "lsst_orbit_e", "lsst_ra_dec_cov"} <= set(names)


def test_it_is_a_survey() -> None:
    assert isinstance(survey, Survey)
    assert registry()["lsst"] is survey
    assert survey.history_window == 365.0
    assert [survey.recognises(schema) for schema in survey.writer_schemas()] == [True] * 10
    assert parse_schema(survey.writer_schemas()[0]).fullname == "lsst.v11_1.alert"


def value_at(record: Record, path: str) -> Any:
    """Follow a path through nested records."""
    for key in path.split("."):
        record = record.get(key) if isinstance(record, dict) else None  # type: ignore[assignment]
    return record


def expected_value(record: Record, paths: tuple[str, ...], kind: pa.DataType) -> Any:
    """Convert one field as the column's type demands."""
    value = next((value_at(record, path) for path in paths if _has(record, path)), None)
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return float(np.float32(value)) if kind == pa.float32() else value


def _has(record: Record, path: str) -> bool:
    head, _, tail = path.rpartition(".")
    inner = value_at(record, head) if head else record
    return isinstance(inner, dict) and tail in inner


def check_own_columns(batch: AlertBatch, records: list[Record]) -> None:
    for own in OWN:
        expected = [expected_value(record, own.paths, own.column.type) for record in records]
        assert batch.alerts[own.column.name].to_pylist() == expected, own.column.name


def expected_core(record: Record) -> Record:
    """Work out the core columns of one packet, each from its meaning."""
    source, parent = record["diaSource"], record.get("diaObject") or {}
    flux, err, mjd = source["psfFlux"], source["psfFluxErr"], source["midpointMjdTai"]
    previous = [p["midpointMjdTai"] for p in record.get("prvDiaSources") or []]
    designations = (record.get("mpc_orbits") or {}, record.get("ssSource") or {}, record.get("MPCORB") or {})
    keys = ("packed_primary_provisional_designation", "designation", "mpcDesignation")
    flags = [source[flag] for flag in FLAGS if source.get(flag) is not None]
    first = parent.get("firstDiaSourceMjdTai")
    return {
        "alert_id": source["diaSourceId"],
        "object_id": str(source["diaObjectId"]) if source["diaObjectId"] else None,
        "sso_name": next((d[k] for d, k in zip(designations, keys, strict=True) if d.get(k)), None),
        "survey": "lsst",
        "mjd": mjd,
        "visit": source["visit"],
        "detector": source["detector"],
        "ra": source["ra"],
        "dec": source["dec"],
        "band": source["band"],
        "flux": flux,
        "flux_err": err,
        "mag": 31.4 - 2.5 * math.log10(abs(flux)),
        "mag_err": 1.0857362 * err / abs(flux) if err is not None else None,
        "snr": math.copysign(source["snr"], flux) if source["snr"] is not None else None,
        "positive": flux > 0,
        "total_flux": source.get("scienceFlux"),
        "total_flux_err": source.get("scienceFluxErr"),
        "template_flux": source.get("templateFlux"),
        "template_flux_err": source.get("templateFluxErr"),
        "exposure_time": source.get("exposureTime"),
        "real_score": source["reliability"],
        "is_dipole": source.get("isDipole"),
        "flagged": any(flags) if flags else None,
        "trail_length": source["trailLength"],
        "n_detections": parent.get("nDiaSources") or 1 + len(previous),
        "first_mjd": min(first, mjd) if first is not None and math.isfinite(first) else min([mjd, *previous]),
    }


def check_core_columns(batch: AlertBatch, records: list[Record]) -> None:
    for row, record in zip(batch.alerts.to_pylist(), records, strict=True):
        expected = expected_core(record)
        for name, value in expected.items():
            if isinstance(value, float) and math.isfinite(value):
                assert row[name] == pytest.approx(value, rel=1e-6 if name.startswith("mag") else 1e-7), name
            else:
                assert row[name] == (None if isinstance(value, float) else value), name
        assert row["age"] == pytest.approx(row["mjd"] - row["first_mjd"], abs=1e-6)


def expected_points(record: Record) -> list[tuple[Any, ...]]:
    """Work out the light curve of one packet: time, kind, band, number, flux and its error."""
    points = []
    for kind, sources, number in (
        (DETECTION, [record["diaSource"], *(record.get("prvDiaSources") or [])], "diaSourceId"),
        (FORCED, record.get("prvDiaForcedSources") or [], "diaForcedSourceId"),
        (LIMIT, record.get("prvDiaNondetectionLimits") or [], ""),
    ):
        for p in sources:
            flux, err = (math.nan, p["diaNoise"]) if kind == LIMIT else (p["psfFlux"], p["psfFluxErr"])
            measured = err if kind == LIMIT else flux
            if p["band"] in list("ugrizy") and measured is not None and math.isfinite(measured):
                point = (p["midpointMjdTai"], kind, "ugrizy".index(p["band"]), p[number] if number else 0, flux, err)
                points.append(tuple(math.nan if x is None else x for x in point))
    unique = {point[:4]: point for point in reversed(points)}
    return sorted(unique.values(), key=lambda point: point[:4])


def check_light_curves(batch: AlertBatch, records: list[Record]) -> int:
    curves = batch.lightcurves
    got = np.stack([curves.mjd, curves.kind, curves.band, curves.flux, curves.flux_err], axis=1)
    for i, record in enumerate(records):
        expected = expected_points(record)
        mine = slice(curves.offsets[i], curves.offsets[i + 1])
        assert curves.point_id[mine].tolist() == [point[3] for point in expected]
        wanted = np.array([(p[0], p[1], p[2], np.float32(p[4]), np.float32(p[5])) for p in expected]).reshape(-1, 5)
        np.testing.assert_array_equal(got[mine], wanted)
    return curves.n_points


def check_nights(packets: Packets, records: list[Record], batch: AlertBatch) -> None:
    nights, refusals = survey.nights(packets)
    assert refusals == ()
    assert batch.alerts["night"].to_pylist() == nights.tolist()
    for night, record in zip(nights, records, strict=True):
        mjd = record["diaSource"]["midpointMjdTai"]
        if mjd > 2_973_000:
            assert night == 99991231
            continue
        moment = Time(mjd, format="mjd", scale="tai").utc
        evening = datetime(1858, 11, 17, tzinfo=UTC) + timedelta(days=float(moment.mjd) - 0.5)
        assert night == int(evening.strftime("%Y%m%d"))


def check_cutouts(batch: AlertBatch, records: list[Record]) -> None:
    for row, record in enumerate(records):
        for column, name in enumerate(("cutoutScience", "cutoutTemplate", "cutoutDifference")):
            start, length = int(batch.cutouts.start[row, column]), int(batch.cutouts.length[row, column])
            assert batch.packets.buffer[start : start + length].tobytes() == (record[name] or b"")


def check_all(packets: Packets, records: list[Record]) -> int:
    batch, rows, refusals = survey.decode(packets)
    assert refusals == ()
    assert rows.tolist() == list(range(len(records)))
    check_core_columns(batch, records)
    check_own_columns(batch, records)
    check_cutouts(batch, records)
    check_nights(packets, records, batch)
    return check_light_curves(batch, records)


def test_every_packet_of_the_containers_equals_fastavro() -> None:
    n_records = n_points = n_files = 0
    for _, data in containers():
        packets, records = packets_of(data)
        n_points += check_all(packets, records)
        n_records += len(records)
        n_files += 1
    assert n_files >= 13
    assert n_records > 400
    assert n_points > 900


def test_every_wire_message_equals_fastavro() -> None:
    numbers = []
    for _, message in wire_messages():
        packets, record = read_message(message)
        check_all(packets, [record])
        numbers.append(confluent_id(message))
        batch = survey.decode(packets)[0]
        assert batch.alerts["schema_version"].to_pylist() == [f"{numbers[-1] // 100}.{numbers[-1] % 100}"]
    assert len(numbers) >= 17
    assert set(numbers) >= {100 * major + minor for major, minor in TABLE.versions}


def test_every_field_of_every_wire_message_equals_fastavro() -> None:
    n_values = 0
    for _, message in wire_messages():
        packets, record = read_message(message)
        program = compile_program(parse_schema(packets.schemas[0]), _everything)
        decoded = decode(program, packets.buffer, packets.starts, packets.ends)
        for column in decoded.columns:
            expected = _flat(record, column.path)
            if column.kind in ("string", "bytes"):
                got = decoded.text(column.path).to_pylist()
            else:
                got = [v if ok else None for v, ok in zip(decoded.values(column.path).tolist(), decoded.valid(column.path), strict=True)]
            np.testing.assert_equal(got, expected, err_msg=column.path)
            n_values += len(expected)
    assert n_values > 5000


def _everything(path: str) -> bool:
    return True


def _flat(record: Record, path: str) -> list[Any]:
    """Give the values at a path, of every item where it leads through an array."""
    array, inside, rest = path.partition("[].")
    values = [value_at(item, rest) for item in record[array] or []] if inside else [value_at(record, path)]
    return [_micros(value) if isinstance(value, datetime) else value for value in values]


def _micros(moment: datetime) -> int:
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


def test_schemas_before_7_are_refused() -> None:
    old = [schema for major, minor in ((3, 0), (4, 0), (5, 0), (6, 0), (6, 1)) for schema in [official_schema(major, minor)]]
    for schema in old:
        with pytest.raises(SchemaError, match=r"LSST schema [3-6]\.[01] is older than 7\.0"):
            survey.recognises(json.dumps(schema).encode())
    with pytest.raises(SchemaError, match=r"LSST schema 6\.1 is older than 7\.0"):
        survey.schema_of_number(601)
    assert survey.schema_of_number(1299) is None
    assert survey.schema_of_number(3) is None


def test_other_surveys_are_not_recognised() -> None:
    other = {"type": "record", "name": "alert", "namespace": "ztf", "fields": [{"name": "candid", "type": "long"}]}
    assert not survey.recognises(json.dumps(other).encode())


def any_message() -> tuple[Packets, Record]:
    return read_message(next(data for _, data in wire_messages() if confluent_id(data) == 900))


def changed(record: Record, **source: Any) -> bytes:
    """Write a packet of version 9.0 with some fields of its source changed."""
    stream = io.BytesIO()
    altered = record | {"diaSource": record["diaSource"] | source}
    fastavro.schemaless_writer(stream, fastavro.parse_schema(json.loads(writer_schema(9, 0))), altered)
    return stream.getvalue()


def test_packets_that_are_no_alert_are_refused_and_the_others_stand() -> None:
    _, record = any_message()
    whole = changed(record)
    bodies = [whole, changed(record, band=None), whole[:-100], changed(record, midpointMjdTai=math.nan), changed(record, dec=99.0), whole]
    bodies += [changed(record, band="vr"), changed(record, midpointMjdTai=math.inf), changed(record, midpointMjdTai=-math.inf)]
    batch, rows, refusals = survey.decode(Packets.from_bodies(bodies, writer_schema(9, 0)))
    assert rows.tolist() == [0, 5]
    assert len(batch) == len(batch.lightcurves) == len(batch.packets) == 2
    assert [refusal.row for refusal in refusals] == [1, 2, 3, 4, 6, 7, 8]
    assert "band" in refusals[0].reason
    assert "declination" in refusals[3].reason
    nights, unread = survey.nights(Packets.from_bodies(bodies, writer_schema(9, 0)))
    assert [refusal.row for refusal in unread] == [2, 3, 7, 8]
    assert (nights[[0, 1, 4, 5, 6]] > 20250000).all()


def test_sign_without_a_flux_is_the_survey_flag() -> None:
    _, record = any_message()
    cases = [(math.nan, False), (math.nan, True), (None, None), (-5.0, False), (5.0, True), (0.0, False)]
    bodies = [changed(record, psfFlux=flux, isNegative=negative) for flux, negative in cases]
    batch = survey.decode(Packets.from_bodies(bodies, writer_schema(9, 0)))[0]
    assert batch.alerts["positive"].to_pylist() == [True, False, False, False, True, False]
    assert batch.alerts["mag"].to_pylist()[5] is None


def test_packets_of_several_versions_keep_their_order() -> None:
    messages = [data for _, data in wire_messages()][:12]
    numbers = sorted({confluent_id(message) for message in messages})
    schemas = tuple(survey.schema_of_number(number) or b"" for number in numbers)
    joined = Packets.from_bodies([message[5:] for message in messages], schemas[0])
    index = np.array([numbers.index(confluent_id(message)) for message in messages], np.int32)
    packets = Packets(joined.buffer, joined.starts, joined.ends, index, schemas)
    batch, rows, refusals = survey.decode(packets)
    assert len(numbers) > 2
    assert refusals == ()
    assert rows.tolist() == list(range(len(messages)))
    assert batch.alerts["alert_id"].to_pylist() == [read_message(message)[1]["diaSource"]["diaSourceId"] for message in messages]


def test_core_columns_alone_are_those_of_a_full_batch() -> None:
    packets = lsst_packets(5, 3, 2, distinct=5)
    full, core = survey.decode(packets)[0], survey.decode(packets, own=False)[0]
    assert core.alerts.column_names == [column.name for column in CORE]
    assert core.alerts.equals(full.alerts.select(core.alerts.column_names))
    assert core.lightcurves.to_arrow().equals(full.lightcurves.to_arrow())
    assert len(core) == 5
    assert survey.decode(packets.take(np.zeros(0, np.int64)), own=False)[0].alerts.column_names == core.alerts.column_names


def test_detection_repeated_in_the_history_counts_once() -> None:
    _, record = any_message()
    earlier = record["diaSource"] | {"diaSourceId": 7, "midpointMjdTai": record["diaSource"]["midpointMjdTai"] - 3}
    body = changed(record | {"prvDiaSources": [earlier, record["diaSource"], earlier]})
    batch = survey.decode(Packets.from_bodies([body], writer_schema(9, 0)))[0]
    assert batch.lightcurves.point_id.tolist() == [7, record["diaSource"]["diaSourceId"]]


def test_public_names_are_those_of_the_survey() -> None:
    assert survey.public_name("flux") == "r:psfFlux"
    assert survey.public_name("alert_id") == "r:diaSourceId"
    assert survey.public_name("mjd") == "r:midpointMjdTai"
    assert survey.public_name("lsst_pixel_flags_cr") == "r:pixelFlags_cr"
    assert survey.public_name("n_detections") == "r:nDiaSources"
    assert survey.public_name("rise_rate") == "f:rise_rate"
    assert survey.public_name("sso_name") == "f:sso_name"


def test_version_of_packets_that_other_software_rewrote_is_told() -> None:
    told = {}
    for name in ("rubin_test_data_7_4_32cols.avro", "rubin_test_data_9_0_14cols.avro"):
        packets, _ = packets_of(shared_data("rubin", name).read_bytes())
        told[name] = set(survey.decode(packets)[0].alerts["schema_version"].to_pylist())
    assert list(told.values()) == [{"7.4"}, {"9.0"}]


@pytest.mark.parametrize("version", [(8, 0), (9, 0), (10, 0), (11, 1)])
def test_long_histories_decode_whole(version: tuple[int, int]) -> None:
    packets = lsst_packets(7, 120, 130, distinct=3, version=version)
    batch, rows, _ = survey.decode(packets)
    curves = batch.lightcurves
    assert len(rows) == 7
    assert np.diff(curves.offsets).tolist() == [251] * 7
    assert np.bincount(curves.kind, minlength=3).tolist() == [7 * 121, 7 * 130, 0]
    assert all((np.diff(curves.mjd[a:b]) >= 0).all() for a, b in zip(curves.offsets[:-1], curves.offsets[1:], strict=True))
    stamps = Stamps(batch.packets, batch.cutouts)
    assert [image.shape for image in stamps.images("difference") if image is not None] == [(51, 51)] * 7
    assert stamps.reason(0, "science", "psf") == ""


def test_damaged_packets_are_refused_or_read_and_never_stop_the_batch() -> None:
    random = np.random.default_rng(77)
    whole = lsst_packets(4, 3, 3, distinct=4)
    bodies = []
    for i in range(600):
        body = bytearray(whole.body(i % 4))
        reach = 400 if i % 2 else 4000
        for at in random.integers(0, reach, random.integers(1, 4)):
            body[at] = random.choice(np.array([0, 127, 128, 255, int(random.integers(256))]))
        bodies.append(bytes(body))
    packets = Packets.from_bodies(bodies, whole.schemas[0])
    batch, rows, refusals = survey.decode(packets)
    assert sorted([*rows.tolist(), *(refusal.row for refusal in refusals)]) == list(range(600))
    assert len(rows) > 100
    assert len(refusals) > 100
    assert all(refusal.reason for refusal in refusals)
    assert all(batch.alerts[column.name].null_count == 0 for column in CORE if not column.nullable)
    assert np.isfinite(batch.lightcurves.mjd).all()
    nights, unread = survey.nights(packets)
    assert set(np.flatnonzero(nights == 0)) == {refusal.row for refusal in unread}
