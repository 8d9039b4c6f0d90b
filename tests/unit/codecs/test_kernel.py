"""The compiled reader at its edges: integers of every length, bytes one too few, numbers one too large, and ranges put together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fink.codecs import kernel
from fink.codecs.avro import decode
from fink.codecs.schemas import WriterSchema, compile_program, parse_schema
from unit.codecs.avro_reference import Reference, batch, everything

EDGES = [edge + step for bits in range(6, 64, 7) for edge in (2**bits, -(2**bits)) for step in (-1, 0, 1)]
EDGES += [0, 1, -1, 2**63 - 1, -(2**63)]


def one_field(kind: Any) -> WriterSchema:
    return parse_schema({"type": "record", "name": "r", "fields": [{"name": "f", "type": kind}]})


def status_of(kind: Any, data: bytes) -> tuple[int, int, int]:
    """Decode one record; give the code of its status, the detail and the place."""
    status = int(decode(compile_program(one_field(kind), everything), *batch([data])).status[0])
    place, rest = divmod(status, kernel.PLACE)
    detail, code = divmod(rest, kernel.DETAIL)
    return code, detail, place


def test_integers_where_their_length_changes_are_read_exactly() -> None:
    schema = one_field("long")
    reference = Reference(schema)
    raw = [reference.write({"f": value}) for value in EDGES]
    decoded = decode(compile_program(schema, {"f"}), *batch(raw))
    assert decoded.values("f").tolist() == EDGES
    assert {len(data) for data in raw} == set(range(1, 11))
    assert not decoded.status.any()


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 31, 40])
def test_integers_in_a_row_are_read_and_skipped_alike(n: int) -> None:
    fields = [{"name": f"f{i}", "type": ["null", "long"] if i % 3 == 2 else "long"} for i in range(n)]
    schema = parse_schema({"type": "record", "name": "r", "fields": [*fields, {"name": "last", "type": "long"}]})
    record = {f"f{i}": EDGES[5 * i % len(EDGES)] for i in range(n)} | {"last": 77}
    raw = [Reference(schema).write(record)] * 3
    read, skipped = (decode(compile_program(schema, wanted), *batch(raw)) for wanted in (everything, {"last"}))
    assert [read.values(f"f{i}").tolist() for i in range(n)] == [[record[f"f{i}"]] * 3 for i in range(n)]
    assert read.values("last").tolist() == skipped.values("last").tolist() == [77] * 3


def test_an_unending_integer_is_refused_whether_it_is_read_or_skipped() -> None:
    schema = parse_schema({"type": "record", "name": "r", "fields": [{"name": "a", "type": "long"}, {"name": "b", "type": "long"}]})
    for wanted in ({"a", "b"}, {"b"}):
        status = decode(compile_program(schema, wanted), *batch([b"\xff" * 11 + b"\x00\x00"])).status
        assert status[0] % kernel.DETAIL == kernel.BAD_VARINT


@pytest.mark.parametrize(
    ("kind", "data", "code", "detail"),
    [
        ("boolean", b"\x07", kernel.BAD_BOOL, 7),
        (["null", "long"], b"\x04\x00", kernel.BAD_BRANCH, 4),
        ({"type": "enum", "name": "e", "symbols": ["A", "B"]}, b"\x04", kernel.BAD_ENUM, None),
        ("string", b"\x02\xff", kernel.BAD_TEXT, None),
        ("bytes", b"\x06ab", kernel.BAD_LENGTH, None),
        ("double", bytes(7), kernel.ENDS_EARLY, None),
        ("double", bytes(9), kernel.TRAILING, None),
        ({"type": "array", "items": "long"}, b"\x06\x02", kernel.BAD_COUNT, None),
    ],
)
def test_each_fault_has_its_code(kind: Any, data: bytes, code: int, detail: int | None) -> None:
    found = status_of(kind, data)
    assert found[0] == code
    assert detail is None or found[1] == detail
    assert found[2] <= len(data)


def test_a_status_says_where_the_fault_lies() -> None:
    fields = [{"name": "pad", "type": {"type": "fixed", "name": "x", "size": 300}}, {"name": "f", "type": "boolean"}]
    schema = parse_schema({"type": "record", "name": "r", "fields": fields})
    decoded = decode(compile_program(schema, everything), *batch([bytes(301), bytes(300) + b"\x05"]))
    assert decoded.status[0] == kernel.GOOD
    assert decoded.status[1] // kernel.PLACE == 300


def test_every_cut_of_a_record_is_refused() -> None:
    schema = one_field({"type": "array", "items": ["null", "string"]})
    whole = Reference(schema).write({"f": ["abc", None, "a long text of forty bytes or more, to be cut"]})
    decoded = decode(compile_program(schema, everything), *batch([whole[:k] for k in range(len(whole) + 1)]))
    assert (decoded.status[:-1] != 0).all()
    assert decoded.status[-1] == kernel.GOOD
    assert decoded.offsets("f").tolist() == [0] * (len(whole) + 1) + [3]


def test_ranges_are_gathered_one_behind_the_other() -> None:
    data = np.arange(200, dtype=np.uint8)
    starts, lengths = np.array([7, 0, 150, 3, 199]), np.array([5, 0, 50, 0, 1])
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    out = np.zeros(56, np.uint8)
    kernel.gather_bytes(data.ctypes.data, starts, offsets, out)
    assert out.tolist() == [*range(7, 12), *range(150, 200), 199]


def test_first_bytes_are_those_of_short_valid_texts() -> None:
    data = np.frombuffer(b"tfabc\x00", np.uint8)
    out = np.full(5, 9, np.uint8)
    starts, lengths = np.array([0, 1, 2, 0, 1]), np.array([1, 1, 3, 0, 1])
    kernel.first_bytes(data.ctypes.data, starts, lengths, np.array([1, 1, 1, 1, 0], np.uint8), np.int64(2), out)
    assert out.tolist() == [ord("t"), ord("f"), 0, 0, 0]
