"""The compiled writer at its edges: integers of every length, narrowed floats, open arrays in arrays, and packets put together."""

from __future__ import annotations

import io
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pytest

from fink.codecs import encode_kernel
from fink.codecs.encode import Encodable, encode_records
from fink.codecs.schemas import WriterSchema, parse_schema
from unit.codecs.avro_reference import Reference
from unit.codecs.avro_strategies import encodable

EDGES = [edge + step for bits in range(6, 64, 7) for edge in (2**bits, -(2**bits)) for step in (-1, 0, 1)]
EDGES += [0, 1, -1, 2**63 - 1, -(2**63)]


def one_field(kind: Any) -> WriterSchema:
    return parse_schema({"type": "record", "name": "r", "fields": [{"name": "f", "type": kind}]})


def written(schema: WriterSchema, columns: Encodable) -> list[bytes]:
    buffer, offsets = encode_records(schema, columns)
    data = buffer.tobytes()
    return [data[first:stop] for first, stop in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]


def test_integers_where_their_length_changes_are_written_as_fastavro_writes_them() -> None:
    schema = one_field("long")
    reference = Reference(schema)
    found = written(schema, Encodable(len(EDGES), {"f": np.array(EDGES, np.int64)}))
    assert found == [reference.write({"f": value}) for value in EDGES]
    assert {len(data) for data in found} == set(range(1, 11))


def test_floats_of_four_bytes_are_rounded_as_ieee_says() -> None:
    numbers = np.array([0.1, -0.0, 1e-45, 1e300, -np.inf, 16777217.0, 3.4028234663852886e38])
    found = written(one_field("float"), Encodable(len(numbers), {"f": numbers}))
    with np.errstate(over="ignore"):
        assert b"".join(found) == numbers.astype(np.float32).tobytes()


@pytest.mark.parametrize(("kind", "null", "there"), [(["null", "long"], b"\x00", b"\x02"), (["long", "null"], b"\x02", b"\x00")])
def test_the_branch_follows_the_order_of_the_union(kind: Any, null: bytes, there: bytes) -> None:
    found = written(one_field(kind), Encodable(3, {"f": pa.array([1, None, -1])}))
    assert found == [there + b"\x02", null, there + b"\x01"]


def test_booleans_and_texts_are_single_bytes_and_prefixed_bytes() -> None:
    schema = parse_schema(
        {"type": "record", "name": "r", "fields": [{"name": "b", "type": "boolean"}, {"name": "t", "type": ["null", "string"]}]}
    )
    found = written(schema, Encodable(3, {"b": np.array([True, False, True]), "t": pa.array(["é", "", None])}))
    assert found == [b"\x01\x02\x04\xc3\xa9", b"\x00\x02\x00", b"\x01\x00"]


def test_arrays_in_arrays_return_to_the_row_they_left() -> None:
    inner = {"type": "record", "name": "i", "fields": [{"name": "x", "type": {"type": "array", "items": "long"}}]}
    fields = [{"name": "a", "type": {"type": "array", "items": inner}}, {"name": "after", "type": "long"}]
    schema = parse_schema({"type": "record", "name": "r", "fields": fields})
    records = [
        {"a": [{"x": [1, 2]}, {"x": []}, {"x": [-3]}], "after": 10},
        {"a": [], "after": 20},
        {"a": [{"x": []}], "after": 30},
        {"a": [{"x": list(range(100))}] * 70, "after": 40},
    ]
    reference = Reference(schema)
    assert written(schema, encodable(schema, records)) == [reference.write(record) for record in records]


def test_rows_lie_one_behind_the_other_and_fastavro_reads_them_in_a_row() -> None:
    schema = one_field(["null", "string"])
    texts = ["x" * (k % 200) if k % 7 else None for k in range(500)]
    buffer, offsets = encode_records(schema, Encodable(500, {"f": pa.array(texts, pa.string())}))
    assert offsets[0] == 0
    assert (np.diff(offsets) > 0).all()
    stream = io.BytesIO(buffer.tobytes())
    assert [fastavro.schemaless_reader(stream, Reference(schema).parsed, None)["f"] for _ in range(500)] == texts
    assert stream.tell() == offsets[-1]


def test_packets_are_joined_with_what_is_added() -> None:
    packets = np.frombuffer(b"..abcdefgh", np.uint8)
    added = np.frombuffer(b"123456", np.uint8)
    starts, ends, added_offsets = np.array([2, 5, 5]), np.array([5, 5, 10]), np.array([0, 0, 4, 6])
    offsets = np.array([0, 3, 7])
    out = np.zeros(14, np.uint8)
    encode_kernel.join_pairs(packets.ctypes.data, starts, ends, added.ctypes.data, added_offsets, out.ctypes.data, offsets)
    assert out.tobytes() == b"abc" + b"1234" + b"defgh" + b"56"
