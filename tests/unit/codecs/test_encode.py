"""What is encoded from columns is what fastavro reads back, value by value; packets keep their bytes."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fink.codecs.avro import decode
from fink.codecs.encode import AvroField, AvroGroup, Encodable, Ranges, append_fields, encode_fields, encode_records, extend_schema
from fink.codecs.schemas import WriterSchema, compile_program, parse_schema
from fink.errors import SchemaError
from shared_data import shared_data
from unit.codecs.avro_reference import Reference, batch, same
from unit.codecs.avro_strategies import encodable, schemas, values
from unit.codecs.test_avro import real_records

FIELDS = [
    AvroField("rise_rate", "float"),
    AvroField("score", "double"),
    AvroField("n_points", "int"),
    AvroField("neighbour", "long"),
    AvroField("is_star", "boolean"),
    AvroField("crossmatch", "string", about="nearest known source"),
    AvroField("version", "string", nullable=False),
]
COLUMNS = {
    "rise_rate": pa.array([0.5, None, float("nan")], pa.float32()),
    "score": pa.array([1e300, -0.0, None], pa.float64()),
    "n_points": pa.array([None, -(2**31), 2**31 - 1], pa.int32()),
    "neighbour": pa.array([2**63 - 1, -(2**63), None], pa.int64()),
    "is_star": pa.array([True, None, False]),
    "crossmatch": pa.array(["", "Mira été", None]),
    "version": pa.array(["1.0", "2", "3"]),
}
PLAIN = parse_schema({"type": "record", "name": "alert", "fields": [{"name": "id", "type": "long"}]})


def split(buffer: np.ndarray[Any, Any], offsets: np.ndarray[Any, Any]) -> list[bytes]:
    return [buffer[a:b].tobytes() for a, b in pairwise(offsets.tolist())]


def read_added(fields: list[AvroField | AvroGroup], encoded: list[bytes]) -> list[Any]:
    """Read added fields behind an alert's id, by the extended schema."""
    reference = Reference(parse_schema(extend_schema(PLAIN, fields, "out")))
    return [reference.read(b"\x02" + data) for data in encoded]


def test_added_fields_are_read_back_by_fastavro() -> None:
    encoded = split(*encode_fields(FIELDS, COLUMNS))
    rows = read_added([*FIELDS], encoded)
    for name, column in COLUMNS.items():
        assert same(column.to_pylist(), [row[name] for row in rows]), name


def test_tables_batches_chunks_and_slices_are_the_same_columns() -> None:
    table = pa.table(COLUMNS)
    expected = split(*encode_fields(FIELDS, COLUMNS))
    assert split(*encode_fields(FIELDS, table)) == expected
    assert split(*encode_fields(FIELDS, pa.concat_tables([table, table]))) == expected * 2
    assert split(*encode_fields(FIELDS, table.to_batches()[0].slice(1))) == expected[1:]
    assert split(*encode_fields(FIELDS, table.slice(2))) == expected[2:]
    assert encode_fields(FIELDS, table.slice(3))[1].tolist() == [0]


def test_dictionaries_are_written_as_their_texts() -> None:
    encoded = split(*encode_fields([AvroField("c", "string")], {"c": pa.array(["Mira", None, "Mira"]).dictionary_encode()}))
    assert encoded == [b"\x02\x08Mira", b"\x00", b"\x02\x08Mira"]


def test_a_group_is_its_fields_one_behind_the_other() -> None:
    fields: list[AvroField | AvroGroup] = [
        AvroGroup("scores", (AvroField("snn", "float"), AvroField("rf", "float"))),
        AvroField("tail", "int"),
    ]
    columns = {"snn": pa.array([0.5, 1.0]), "scores.rf": pa.array([None, 0.25]), "tail": pa.array([1, 2])}
    rows = read_added(fields, split(*encode_fields(fields, columns)))
    assert [row["scores"] for row in rows] == [{"snn": 0.5, "rf": None}, {"snn": 1.0, "rf": 0.25}]
    assert [row["tail"] for row in rows] == [1, 2]


@pytest.mark.parametrize(
    ("field", "column", "said"),
    [
        (AvroField("y", "int"), {"x": pa.array([1])}, "no column for the added field y"),
        (AvroField("x", "int"), {"x": pa.array([2**31])}, "declare it long"),
        (AvroField("x", "int"), {"x": pa.array([0.5])}, "double values were given|float64 values were given"),
        (AvroField("x", "int", nullable=False), {"x": pa.array([1, None])}, "not nullable"),
        (AvroField("x", "long"), {"x": pa.array(["a"])}, "object values were given"),
    ],
)
def test_columns_that_do_not_fit_are_refused(field: AvroField, column: dict[str, pa.Array], said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        encode_fields([field], column)


ARCHIVES = [
    "ztf_alerts/boom_kowalski_v33_v40x.tar.xz",
    "ztf_alerts/misc_schema_versions.tar.xz",
    "elasticc/alerce_elasticc_v0_9_alerts.tar.xz",
    "rubin/lsst_alert_packet_schemas_v3-v11_with_fakeAlerts.tar.xz",
]


@pytest.mark.parametrize("name", ARCHIVES)
def test_real_packets_keep_every_value_and_gain_the_added_ones(name: str) -> None:
    for part in real_records(shared_data(name)):
        n = len(part.starts)
        columns = {"mag_rate": pa.array(np.arange(n) / 2, mask=np.arange(n) % 3 == 2), "label": pa.array([f"label {i}" for i in range(n)])}
        fields = [AvroField("mag_rate", "double"), AvroField("label", "string")]
        buffer, offsets = append_fields(part.buffer, part.starts, part.ends, *encode_fields(fields, columns))
        before, after = Reference(part.schema), Reference(parse_schema(extend_schema(part.schema, fields, "fink_alert")))
        for i, data in enumerate(split(buffer, offsets)):
            original = part.buffer[part.starts[i] : part.ends[i]].tobytes()
            assert data.startswith(original)
            expected = before.read(original) | {name: column[i].as_py() for name, column in columns.items()}
            assert repr(after.read(data)) == repr(expected)


def names_in(kind: Any) -> list[str]:
    if isinstance(kind, list):
        return [name for part in kind for name in names_in(part)]
    if not isinstance(kind, dict):
        return []
    own = [kind["name"]] if kind.get("type") in ("record", "enum", "fixed") else []
    return own + [name for key in ("type", "items", "values", "fields") for name in names_in(kind.get(key))]


def test_the_output_schema_spells_every_type_out_under_a_name_of_its_own() -> None:
    (part, *_) = real_records(shared_data("ztf_alerts/boom_kowalski_v33_v40x.tar.xz"))
    text = extend_schema(part.schema, [*FIELDS, AvroGroup("candidate_scores", (AvroField("a", "float"),))], "candidate")
    names = names_in(json.loads(text))
    assert max(Counter(names).values()) == 1
    assert len([name for name in names if name.startswith("cutout")]) == 3
    assert "logicalType" not in text
    assert len(text) == len(json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False))
    with pytest.raises(SchemaError, match="candid is already"):
        extend_schema(part.schema, [AvroField("candid", "long")], "x")
    with pytest.raises(SchemaError, match="a is already"):
        extend_schema(PLAIN, [AvroField("a", "long"), AvroField("a", "int")], "x")


def test_a_recursive_type_stays_a_name() -> None:
    schema = parse_schema({"type": "record", "name": "n.tree", "fields": [{"name": "next", "type": ["null", "tree"]}]})
    reference = Reference(parse_schema(extend_schema(schema, [AvroField("x", "int")], "out")))
    data = Reference(schema).write({"next": {"next": None}})
    assert reference.read(data + b"\x02\x06") == {"next": {"next": None}, "x": 3}


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), schema=schemas(writable=True))
def test_drawn_records_are_read_back_by_fastavro(data: st.DataObject, schema: WriterSchema) -> None:
    records = data.draw(st.lists(values(schema, schema.document), max_size=4))
    buffer, offsets = encode_records(schema, encodable(schema, records))
    reference = Reference(schema)
    assert split(buffer, offsets) == [reference.write(record) for record in records]


def test_a_real_packet_is_encoded_from_its_own_columns() -> None:
    (part, *_) = real_records(shared_data("rubin/lsst_alert_packet_schemas_v3-v11_with_fakeAlerts.tar.xz"))
    reference = Reference(part.schema)
    raw = [part.buffer[start:end].tobytes() for start, end in zip(part.starts, part.ends, strict=True)]
    buffer, offsets = encode_records(part.schema, encodable(part.schema, [reference.read(record) for record in raw]))
    assert split(buffer, offsets) == raw


ALERT = parse_schema("""{"type": "record", "name": "alert", "fields": [
    {"name": "id", "type": "long"},
    {"name": "source", "type": {"type": "record", "name": "source", "fields": [
        {"name": "mjd", "type": "double"}, {"name": "flux", "type": ["null", "float"]}, {"name": "flag", "type": "boolean"}]}},
    {"name": "prv", "type": ["null", {"type": "array", "items": "source"}]},
    {"name": "object", "type": ["null", {"type": "record", "name": "object", "fields": [{"name": "ra", "type": "double"}]}]},
    {"name": "extra", "type": {"type": "map", "values": "string"}},
    {"name": "wide", "type": ["int", "null", "string"]},
    {"name": "stamp", "type": ["null", "bytes"]}]}""")


def alerts() -> Encodable:
    rng = np.random.default_rng(1)
    offsets = np.array([0, 0, 3, 5])
    pixels = rng.integers(0, 255, 90, np.uint8)
    return Encodable(
        3,
        {
            "id": np.array([5, -6, 7]),
            "source.mjd": np.array([1.0, 2.0, 3.0]),
            "source.flux": np.array([1.5, np.nan, 2.5], np.float32),
            "source.flag": np.array([True, False, True]),
            "prv[].mjd": np.arange(5.0),
            "prv[].flux": pa.array([1.0, None, 3.0, 4.0, 5.0]),
            "prv[].flag": np.zeros(5, bool),
            "stamp": Ranges(pixels, np.array([0, 30, 10]), np.array([30, 60, 5])),
        },
        {"prv": offsets},
        {"prv": np.array([False, True, True])},
    )


def test_whole_alerts_are_written_from_ragged_columns() -> None:
    columns = alerts()
    buffer, offsets = encode_records(ALERT, columns)
    reference = Reference(ALERT)
    first, second, third = (reference.read(data) for data in split(buffer, offsets))
    assert first["prv"] is None
    assert [point["mjd"] for point in second["prv"]] == [0.0, 1.0, 2.0]
    assert [point["flux"] for point in second["prv"]] == [1.0, None, 3.0]
    assert [point["mjd"] for point in third["prv"]] == [3.0, 4.0]
    assert (second["source"]["flux"], third["source"]["flux"]) == (None, 2.5)
    assert (first["object"], first["extra"], first["wide"]) == (None, {}, None)
    stamp = columns.values["stamp"]
    assert isinstance(stamp, Ranges)
    assert [len(alert["stamp"]) for alert in (first, second, third)] == [30, 60, 5]
    assert third["stamp"] == stamp.buffer[10:15].tobytes()


def test_decoding_what_was_encoded_gives_the_columns_back() -> None:
    columns = alerts()
    buffer, offsets = encode_records(ALERT, columns)
    decoded = decode(compile_program(ALERT, {"id", "prv[].mjd", "source.flux"}), buffer, offsets[:-1], offsets[1:])
    assert decoded.offsets("prv").tolist() == columns.offsets["prv"].tolist()
    assert same(decoded.values("source.flux").tolist(), [1.5, float("nan"), 2.5])
    assert decoded.values("prv[].mjd").tolist() == list(range(5))


@pytest.mark.parametrize(
    ("changes", "offsets", "said"),
    [
        ({"id": None}, None, "no values are given for id"),
        ({"source.mjd": np.zeros(2)}, None, "2 values where 3"),
        ({"source.mjd": pa.array([1.0, None, 2.0])}, None, "source.mjd is null in some rows"),
        ({"colour": np.zeros(3)}, None, "has no colour"),
        ({"extra": np.zeros(3)}, None, "is a map"),
        ({"wide": np.zeros(3)}, None, "union of 2"),
        ({"stamp": np.zeros(3)}, None, "numbers were given"),
        ({"stamp": Ranges(np.zeros(9, np.uint8), np.zeros(3, np.int64), np.array([1, 1, 10]))}, None, "outside its buffer"),
        ({}, np.array([0, 3, 2, 5]), "offsets of prv"),
        ({}, np.array([0, 5]), "offsets of prv"),
    ],
)
def test_what_does_not_fit_the_schema_is_refused(changes: dict[str, Any], offsets: Any, said: str) -> None:
    columns = alerts()
    changed = {path: column for path, column in ({**columns.values} | changes).items() if column is not None}
    with pytest.raises(SchemaError, match=said):
        encode_records(ALERT, Encodable(3, changed, {"prv": columns.offsets["prv"] if offsets is None else offsets}, columns.valid))


def test_everything_is_appended_only_in_equal_numbers() -> None:
    with pytest.raises(SchemaError, match="2 packets but added fields of 3"):
        append_fields(*batch([b"\x02", b"\x02"]), *encode_fields(FIELDS, COLUMNS))
