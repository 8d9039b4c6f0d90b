"""What is sent of an alert: the original bytes, the added columns under public names, and a schema that plain readers accept."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from fink import surveys
from fink.codecs.encode import encode_fields
from fink.codecs.schemas import parse_schema
from fink.commits import PlanRecord
from fink.engines.plan import build_plan
from fink.streams.output_packets import Added, OutputPackets, avro_fields, output_packets, output_schema, public_fields
from fink.surveys.names import ALIASES, PublicName
from fink.surveys.public import PublicForm
from fink.tables import Packets
from simulated import nights

PRIMITIVE = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"}
NAMES: dict[str, Added] = {
    "ztf": {"mag_rate": "float", "mag_rate_lower": "float", "mag_rate_from_limit": "bool", "my_kind": "string", "my_count": "int64"},
    "lsst": {"mag_rate": "float", "is_known_sso": "bool", "is_first_appearance": "bool", "my_kind": "string", "my_count": "int32"},
}
PLACES = {
    "ztf": {"mag_rate_lower": "lower_rate", "mag_rate_from_limit": "from_upper"},
    "lsst": {
        "mag_rate": "misc.mag_rate",
        "is_known_sso": "pred.is_sso",
        "is_first_appearance": "pred.is_first",
        "my_kind": "misc.my_kind",
        "my_count": "misc.my_count",
    },
}


def rows(added: Added, n: int) -> pa.Table:
    values: dict[str, list[Any]] = {
        "float": [None if i % 3 == 0 else i / 7 for i in range(n)],
        "bool": [None if i % 5 == 0 else i % 2 == 0 for i in range(n)],
        "string": [None if i % 4 == 0 else f"kind {i}" for i in range(n)],
        "int32": [i - 5 for i in range(n)],
        "int64": [(i - 5) << 40 for i in range(n)],
    }
    return pa.table({name: pa.array(values[kind], pa.type_for_alias(kind)) for name, kind in added.items()})


def read(sent: OutputPackets, row: int) -> dict[str, Any]:
    """Read a packet as a user does: with the schema that came with it, and nothing else."""
    schema = fastavro.parse_schema(json.loads(sent.schemas[sent.schema[row]]))
    stream = io.BytesIO(sent.body(row))
    record = fastavro.schemaless_reader(stream, schema, None)
    assert stream.read() == b""
    assert isinstance(record, dict)
    return record


def at(record: dict[str, Any], path: str) -> Any:
    for name in path.split("."):
        record = record[name]
    return record


@pytest.mark.parametrize("survey", ["ztf", "lsst"])
def test_the_original_comes_first_and_the_columns_behind_it_under_their_public_names(survey: str) -> None:
    packets, added = nights(survey, 1, 40)[0].packets, NAMES[survey]
    table = rows(added, len(packets))
    sent = output_packets(table, packets, added, surveys.registry()[survey])
    for row in range(len(packets)):
        assert sent.body(row).startswith(packets.body(row))
        original = fastavro.schemaless_reader(
            io.BytesIO(packets.body(row)), fastavro.parse_schema(json.loads(packets.schemas[packets.schema[row]])), None
        )
        record = read(sent, row)
        assert isinstance(original, dict)
        assert list(record)[: len(original)] == list(original)
        assert {name: record[name] for name in original} == original
        for name in added:
            expected = table[name][row].as_py()
            assert at(record, PLACES[survey].get(name, name)) == expected


@pytest.mark.parametrize("survey", ["ztf", "lsst", "elasticc"])
def test_every_column_of_the_plan_has_a_place_of_its_own(survey: str) -> None:
    added, known = build_plan().record.columns, surveys.registry()[survey]
    places = [known.packet_name(column) for column in added]
    assert len({place.path for place in places}) == len(added)
    groups = {place.group for place in places if place.group}
    assert not groups & {place.field for place in places if not place.group}


def test_aliases_name_columns_that_there_are() -> None:
    plan = build_plan()
    for survey, names in ALIASES.items():
        assert survey in surveys.registry()
        assert names.keys() <= plan.vocabulary.keys()


def shapes(kind: Any) -> set[str]:
    """Give the kinds of types in a schema, and the name of each record."""
    if isinstance(kind, str):
        return {kind}
    if isinstance(kind, list):
        assert len(kind) == 2
        assert "null" in kind
        return set().union(*(shapes(branch) for branch in kind))
    assert "logicalType" not in kind
    if kind["type"] == "record":
        inside = [shapes(field["type"]) for field in kind["fields"]]
        assert sum(f"record {kind['name']}" in names for names in inside) == 0
        return {f"record {kind['name']}"}.union(*inside)
    assert kind["type"] in ("array", "map")
    return shapes(kind["items"] if kind["type"] == "array" else kind["values"])


def record_names(kind: Any) -> list[str]:
    if isinstance(kind, list):
        return [name for branch in kind for name in record_names(branch)]
    if not isinstance(kind, dict):
        return []
    inside = [field["type"] for field in kind["fields"]] if kind["type"] == "record" else [kind.get("items", kind.get("values"))]
    return ([kind["name"]] if kind["type"] == "record" else []) + [name for part in inside for name in record_names(part)]


@pytest.mark.parametrize(
    ("survey", "schema"),
    [(name, schema) for name in ("ztf", "lsst") for schema in surveys.registry()[name].writer_schemas()],
    ids=lambda value: value if isinstance(value, str) else str(parse_schema(value).fullname),
)
def test_schemas_have_only_shapes_that_the_clients_parquet_writer_reads(survey: str, schema: bytes) -> None:
    added = build_plan().record.columns
    known = surveys.registry()[survey]
    text = output_schema(schema, public_fields(added, known))
    document = json.loads(text)
    used = {name for name in shapes(document) if not name.startswith("record ")}
    assert used <= PRIMITIVE
    names = record_names(document)
    assert len(set(names)) == len(names)
    assert b": " not in text
    fastavro.parse_schema(document)


def test_a_field_that_the_packet_has_already_is_added_under_another_name() -> None:
    packets = nights("ztf", 1, 40)[0].packets.take(np.arange(3))
    first = output_packets(rows({"my_kind": "string"}, 3), packets, {"my_kind": "string"}, surveys.registry()["ztf"])
    again = Packets.from_bodies([first.body(row) for row in range(3)], first.schemas[first.schema[0]])
    sent = output_packets(rows({"my_kind": "string"}, 3), again, {"my_kind": "string"}, surveys.registry()["ztf"])
    assert [(read(sent, row)["my_kind"], read(sent, row)["fink_my_kind"]) for row in range(3)] == [
        (None, None),
        ("kind 1", "kind 1"),
        ("kind 2", "kind 2"),
    ]


def test_what_a_public_format_says_of_a_missing_value_is_said_at_the_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = PublicForm(pa.string(), lambda values: pc.fill_null(values, "Unknown"))
    coded = PublicForm(pa.int32(), lambda values: pc.fill_null(pc.cast(values, pa.int32()), -1))
    monkeypatch.setattr("fink.streams.output_packets.FORMS", {("ztf", "my_kind"): unknown, ("ztf", "my_flag"): coded})
    monkeypatch.setitem(ALIASES["ztf"], "my_kind", PublicName("cdsxmatch"))
    packets, added = nights("ztf", 1, 40)[0].packets.take(np.arange(3)), {"my_kind": "string", "my_flag": "bool"}
    sent = output_packets(rows(added, 3), packets, added, surveys.registry()["ztf"])
    found = [(read(sent, row)["cdsxmatch"], read(sent, row)["my_flag"]) for row in range(3)]
    assert found == [("Unknown", -1), ("kind 1", 0), ("kind 2", 1)]


def test_cross_matches_read_as_users_know_them() -> None:
    columns = {
        "simbad_former_type": pa.array(["QSO", None]),
        "tns_type": pa.array(["SN Ia", None]),
        "gaiadr3_source_id": pa.array([4111834567779557376, None]),
        "gaiadr3_variable": pa.array([True, None]),
        "spicy_number": pa.array([7, None], pa.int32()),
    }
    added = {name: str(values.type) for name, values in columns.items()}
    for survey, seen in (("ztf", ("Unknown", "", "nan", None, -1)), ("lsst", (None,) * 5)):
        packets = nights(survey, 1, 40)[0].packets.take(np.arange(2))
        known = surveys.registry()[survey]
        sent = output_packets(pa.table(columns), packets, added, known)
        places = [known.packet_name(name).path for name in added]
        assert tuple(at(read(sent, 0), place) for place in places) == ("QSO", "SN Ia", "Gaia DR3 4111834567779557376", 1, 7)
        assert tuple(at(read(sent, 1), place) for place in places) == seen


def test_the_bytes_do_not_depend_on_the_names() -> None:
    added = NAMES["lsst"]
    table, packets = rows(added, 6), nights("lsst", 1, 40)[0].packets.take(np.arange(6))
    sent = output_packets(table, packets, added, surveys.registry()["lsst"])
    order = [name for group in ("misc", "pred") for name in added if PLACES["lsst"][name].startswith(group)]
    plain, offsets = encode_fields(avro_fields({name: added[name] for name in order}), table)
    for row in range(6):
        assert sent.body(row) == packets.body(row) + plain[offsets[row] : offsets[row + 1]].tobytes()


@pytest.mark.parametrize("survey", ["ztf", "lsst"])
def test_packets_say_which_fink_made_them(survey: str) -> None:
    packets, added = nights(survey, 1, 60)[0].packets.take(np.arange(4)), NAMES[survey]
    versions = build_plan().record.versions
    assert set(versions) == {"fink_broker_version", "fink_science_version"}
    told = output_packets(rows(added, 4), packets, added, surveys.registry()[survey], versions)
    plain = output_packets(rows(added, 4), packets, added, surveys.registry()[survey])
    for row in range(4):
        assert read(told, row) == {**read(plain, row), **versions}


def test_the_version_of_the_science_changes_with_what_it_is_made_of() -> None:
    record = build_plan(["magnitude_rate"]).record
    changed = replace(record, modules={**record.modules, "magnitude_rate": "9.9"})
    newer = replace(record, artifacts={"gaiadr3": "2027"})
    assert len({each.versions["fink_science_version"] for each in (record, changed, newer)}) == 3
    assert replace(record, columns={}, users={"a": "b"}).versions == record.versions
    assert replace(record, fink="").versions == {}
    assert PlanRecord.from_bytes(record.to_bytes()) == record
