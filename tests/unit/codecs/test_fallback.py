"""The slow reader gives what the compiled one gives, and reads beside maps, unions and recursive types that only it takes."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from fink.codecs import kernel
from fink.codecs.avro import decode, split_records
from fink.codecs.fallback import decode_slowly, split_slowly
from fink.codecs.schemas import compile_program, parse_schema
from fink.errors import SchemaError
from unit.codecs.avro_reference import Reference, batch, decoded_columns, everything, mutate

ALERT = parse_schema("""{"type": "record", "name": "alert", "fields": [
    {"name": "id", "type": "long"},
    {"name": "real", "type": "boolean"},
    {"name": "band", "type": {"type": "enum", "name": "band", "symbols": ["g", "r", "i"]}},
    {"name": "stamp", "type": ["null", "bytes"]},
    {"name": "source", "type": ["null", {"type": "record", "name": "source", "fields": [
        {"name": "flux", "type": ["null", "double"]}, {"name": "name", "type": "string"}]}]},
    {"name": "prv", "type": ["null", {"type": "array", "items": {"type": "record", "name": "point", "fields": [
        {"name": "mjd", "type": "double"}, {"name": "flags", "type": {"type": "array", "items": "int"}}]}}]}]}""")
WIDE = parse_schema("""{"type": "record", "name": "r", "fields": [
    {"name": "id", "type": "long"},
    {"name": "extra", "type": {"type": "map", "values": "string"}},
    {"name": "mixed", "type": ["null", "int", "double"]},
    {"name": "label", "type": ["null", "string", "long"]},
    {"name": "next", "type": ["null", "r"]}]}""")


def alert(k: int) -> dict[str, Any]:
    points = [{"mjd": 60000.0 + j, "flags": list(range(j % 3))} for j in range(k % 5)]
    source = {"flux": None if k % 4 == 1 else k / 2, "name": f"é{k}"}
    return {
        "id": k - 3,
        "real": k % 2 == 0,
        "band": "gri"[k % 3],
        "stamp": None if k % 6 == 0 else bytes(range(k)),
        "source": None if k % 3 == 2 else source,
        "prv": None if k % 7 == 3 else points,
    }


def wide(k: int, mixed: Any, label: Any) -> dict[str, Any]:
    return {"id": k, "extra": {"a": "x", "b": "y"}, "mixed": mixed, "label": label, "next": None}


def test_it_equals_the_compiled_reader_on_every_column() -> None:
    reference = Reference(ALERT)
    data = batch([reference.write(alert(k)) for k in range(40)])
    fast, slow = decode(compile_program(ALERT, everything), *data), decode_slowly(ALERT, everything, *data)
    assert decoded_columns(slow) == decoded_columns(fast)
    assert [column.path for column in slow.columns] == [column.path for column in fast.columns]
    assert slow.offsets("prv").tolist() == fast.offsets("prv").tolist()
    assert slow.offsets("prv[].flags").tolist() == fast.offsets("prv[].flags").tolist()


def test_only_what_is_wanted_is_given() -> None:
    data = batch([Reference(ALERT).write(alert(k)) for k in range(9)])
    decoded = decode_slowly(ALERT, {"source.name", "prv[].mjd"}, *data)
    assert [column.path for column in decoded.columns] == ["source.name", "prv[].mjd"]
    assert decoded.text("source.name").to_pylist()[:3] == ["é0", "é1", None]
    with pytest.raises(SchemaError, match="no array"):
        decoded.offsets("prv[].flags")


def test_damaged_records_are_refused_and_the_others_kept() -> None:
    rng, reference = random.Random(3), Reference(ALERT)
    whole = [reference.write(alert(k)) for k in range(60)]
    data = [mutate(record, rng) if k % 2 else record for k, record in enumerate(whole)]
    slow = decode_slowly(ALERT, {"id"}, *batch(data))
    expected = [reference.read(record) for record in data]
    assert (slow.status == 0).tolist() == [record is not None for record in expected]
    assert (slow.status[::2] == 0).all()
    assert 5 < np.count_nonzero(slow.status) <= 30
    assert slow.values("id")[::2].tolist() == [k - 3 for k in range(0, 60, 2)]


def test_bytes_behind_a_record_are_refused_only_if_the_end_is_to_be_exact() -> None:
    data = batch([Reference(ALERT).write(alert(4)) + b"\x00\x00"])
    assert decode_slowly(ALERT, {"id"}, *data).status.tolist() == [kernel.TRAILING]
    loose = decode_slowly(ALERT, {"id"}, *data, exact=False)
    assert (loose.status.tolist(), loose.values("id").tolist()) == ([0], [1])


def test_beside_a_map_everything_is_read() -> None:
    reference = Reference(WIDE)
    records = [wide(1, 7, "seven"), wide(2, 2.5, 8), wide(3, None, None), wide(4, -1, "") | {"next": wide(5, 1, "inner")}]
    decoded = decode_slowly(WIDE, everything, *batch([reference.write(record) for record in records]))
    assert decoded.status.tolist() == [0] * 4
    assert decoded.values("id").tolist() == [1, 2, 3, 4]
    np.testing.assert_array_equal(decoded.values("mixed"), [7.0, 2.5, np.nan, -1.0])
    assert decoded.text("label").to_pylist() == ["seven", "8", None, ""]
    assert not any(path.startswith("extra") for path in (column.path for column in decoded.columns))


def test_a_union_that_no_column_can_hold_is_named() -> None:
    kind = ["null", "bytes", "double"]
    schema = parse_schema({"type": "record", "name": "r", "fields": [{"name": "id", "type": "long"}, {"name": "blob", "type": kind}]})
    data = batch([Reference(schema).write({"id": 4, "blob": 1.0})])
    with pytest.raises(SchemaError, match="blob is a union of bytes, float"):
        decode_slowly(schema, everything, *data)
    assert decode_slowly(schema, {"id"}, *data).values("id").tolist() == [4]


def test_blocks_are_split_where_the_compiled_reader_splits_them() -> None:
    reference = Reference(ALERT)
    blocks = [[reference.write(alert(10 * n + k)) for k in range(n)] for n in (4, 1, 6)]
    joined = [b"".join(block) for block in blocks]
    joined[1] = joined[1][:-1]
    counts = np.array([4, 1, 6])
    slow = split_slowly(ALERT, *batch(joined), counts)
    fast = split_records(compile_program(ALERT, ()), *batch(joined), counts)
    assert slow.n_good.tolist() == fast.n_good.tolist() == [4, 0, 6]
    assert (slow.starts.tolist(), slow.ends.tolist()) == (fast.starts.tolist(), fast.ends.tolist())
    assert slow.block.tolist() == [0] * 4 + [2] * 6
    assert slow.status.tolist() == [0, kernel.UNREADABLE, 0]
