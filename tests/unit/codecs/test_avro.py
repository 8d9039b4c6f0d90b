"""The decoder gives what fastavro gives, on real alerts, on drawn schemas, and on damaged bytes; bad records leave no rows."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fink.codecs import kernel
from fink.codecs.avro import PADDING, Decoded, decode, padded, reason, split_records
from fink.codecs.containers import Records, read_containers
from fink.codecs.fallback import decode_slowly, split_slowly
from fink.codecs.schemas import WriterSchema, compile_program, parse_schema
from fink.errors import SchemaError
from shared_data import shared_data
from unit.codecs.avro_reference import Reference, batch, decoded_columns, everything, expected_columns, fuzz, same
from unit.codecs.avro_strategies import readable, schemas, values

ARCHIVES = [
    "ztf_alerts/misc_schema_versions.tar.xz",
    "ztf_alerts/boom_kowalski_v33_v40x.tar.xz",
    "ztf_alerts/ampel_core_real_201801_jpgcutouts.tar.xz",
    "ztf_alerts/alerce_lc_correction_7objects_sample.tar.xz",
    "ztf_alerts/nightly_tarballs/ampel_recent_alerts.tar.gz",
    "ztf_alerts/other_surveys_foreign_schemas.tar.xz",
    "elasticc/alerce_elasticc_v0_9_alerts.tar.xz",
    "rubin/lsst_alert_packet_schemas_v3-v11_with_fakeAlerts.tar.xz",
]
CONTAINERS = [
    "ztf_alerts/alerce_7objects_nocutout_v1.8.avro",
    "ztf_alerts/alerce_7objects_nocutout_v3.2.avro",
    "rubin/rubin_test_data_7_4_32cols.avro",
    "rubin/rubin_test_data_9_0_14cols.avro",
]
NESTED = parse_schema("""{"type": "record", "name": "r", "fields": [
    {"name": "id", "type": "long"},
    {"name": "outer", "type": ["null", {"type": "record", "name": "o", "fields": [
        {"name": "name", "type": "string"},
        {"name": "points", "type": {"type": "array", "items": {"type": "record", "name": "p", "fields": [
            {"name": "x", "type": "double"},
            {"name": "flags", "type": {"type": "array", "items": ["null", "boolean"]}}]}}}]}]}]}""")


def one_field(kind: Any, name: str = "f") -> WriterSchema:
    return parse_schema({"type": "record", "name": "r", "fields": [{"name": name, "type": kind}]})


def packets(path: Path, most: int = 60) -> list[bytes]:
    """Read container files out of an archive (evenly sampled), or one file."""
    if path.suffix == ".avro":
        return [path.read_bytes()]
    with tarfile.open(path) as archive:
        members = sorted((member for member in archive if member.name.endswith(".avro")), key=lambda member: member.name)
        chosen = members[:: max(1, len(members) // most)]
        return [stream.read() for member in chosen if (stream := archive.extractfile(member)) is not None]


def real_records(path: Path) -> list[Records]:
    files = packets(path)
    records, _ = read_containers(*batch(files))
    return records


def decode_all(part: Records) -> Decoded:
    try:
        program = compile_program(part.schema, everything)
    except SchemaError:
        return decode_slowly(part.schema, everything, part.buffer, part.starts, part.ends)
    return decode(program, part.buffer, part.starts, part.ends)


@pytest.mark.parametrize("name", ARCHIVES + CONTAINERS)
def test_real_alerts_decode_as_with_fastavro(name: str) -> None:
    compared = 0
    for part in real_records(shared_data(name)):
        decoded = decode_all(part)
        reference = Reference(part.schema)
        raw = [part.buffer[start:end].tobytes() for start, end in zip(part.starts, part.ends, strict=True)]
        expected = expected_columns(decoded, [reference.read(record) for record in raw])
        found = decoded_columns(decoded)
        assert not decoded.status.any()
        for path in expected:
            assert same(expected[path], found[path]), path
        compared += sum(map(len, expected.values()))
    assert compared > 1000


def test_offsets_follow_the_history_of_each_alert() -> None:
    (part,) = real_records(shared_data("ztf_alerts/alerce_7objects_nocutout_v3.2.avro"))
    decoded = decode(compile_program(part.schema, {"prv_candidates[].jd"}), part.buffer, part.starts, part.ends)
    reference = Reference(part.schema)
    lengths = [
        len(reference.read(part.buffer[start:end].tobytes())["prv_candidates"] or [])
        for start, end in zip(part.starts, part.ends, strict=True)
    ]
    assert np.diff(decoded.offsets("prv_candidates")).tolist() == lengths
    assert sum(lengths) == len(decoded.values("prv_candidates[].jd")) > 1000


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), schema=schemas())
def test_drawn_schemas_decode_as_with_fastavro(data: st.DataObject, schema: WriterSchema) -> None:
    records = data.draw(st.lists(values(schema, schema.document), max_size=4))
    reference = Reference(schema)
    raw = [reference.write(record) for record in records]
    program = compile_program(schema, readable)
    decoded = decode(program, *batch(raw))
    expected, found = expected_columns(program, [reference.read(record) for record in raw]), decoded_columns(decoded)
    assert decoded.status.tolist() == [0] * len(raw)
    assert all(same(expected[path], found[path]) for path in expected)
    slow = decoded_columns(decode_slowly(schema, readable, *batch(raw)))
    assert all(same(expected[path], slow[path]) for path in expected)


def test_damaged_real_alerts_are_read_as_by_fastavro_or_refused() -> None:
    for name in ("ztf_alerts/boom_kowalski_v33_v40x.tar.xz", "rubin/rubin_test_data_9_0_14cols.avro"):
        part = real_records(shared_data(name))[-1]
        raw = [part.buffer[start:end].tobytes() for start, end in zip(part.starts[:20], part.ends[:20], strict=True)]
        result = fuzz(compile_program(part.schema, everything), raw, 700)
        assert result.mistakes == []
        assert result.both > 20
        assert result.neither > 200
        assert sum(result.stricter.values()) < 35, result.stricter


def test_damaged_nested_records_are_read_as_by_fastavro_or_refused() -> None:
    program = compile_program(NESTED, everything)
    result = fuzz(program, [nested_bytes(i) for i in range(6)], 2000)
    assert result.mistakes == []
    assert result.both > 100
    assert result.neither > 500


def nested(i: int) -> dict[str, Any]:
    points = [{"x": float(j), "flags": [True, None, False][: j % 4]} for j in range(i)]
    return {"id": i, "outer": None if i % 3 == 2 else {"name": f"été {i}", "points": points}}


def nested_bytes(i: int) -> bytes:
    return Reference(NESTED).write(nested(i))


def test_a_bad_record_leaves_no_rows_and_the_others_stand() -> None:
    program = compile_program(NESTED, everything)
    good = [nested(i) for i in range(7)]
    raw = [nested_bytes(i) for i in range(7)]
    damaged = list(raw)
    damaged[4] = raw[4][:-3]
    damaged[6] = raw[6] + b"\x00"
    decoded = decode(program, *batch(damaged))
    assert np.flatnonzero(decoded.status).tolist() == [4, 6]
    assert "middle of a field" in reason(decoded.status[4])
    assert "follow the end" in reason(decoded.status[6])
    left = [record if i not in (4, 6) else {"id": None, "outer": None} for i, record in enumerate(good)]
    assert decoded_columns(decoded) == expected_columns(program, left)
    assert f"at byte {len(raw[6])})" in reason(decoded.status[6])
    assert decode(program, *batch(damaged), exact=False).status.tolist() == [0, 0, 0, 0, decoded.status[4], 0, 0]


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        (["null", "double"], b"\x0e" + bytes(8), "byte 14 names no branch"),
        (["null", "double"], b"\x01" + bytes(8), "byte 1 names no branch"),
        ("boolean", b"\x02", "boolean has the value 2"),
        ("long", b"\xff" * 10, "64 bits"),
        ("long", b"\xff" * 9 + b"\x02", "64 bits"),
        ("string", b"\x04\xc3\x28", "UTF-8"),
        ("string", b"\x08abc", "longer than what is left"),
        ("string", b"\x01", "longer than what is left"),
        ({"type": "array", "items": "double"}, b"\x04" + bytes(8), "more items"),
        ({"type": "enum", "name": "e", "symbols": ["A"]}, b"\x02", "does not define"),
        ("double", b"", "middle of a field"),
        ("double", bytes(5), "middle of a field"),
    ],
)
def test_what_is_wrong_is_said_in_words(kind: Any, data: bytes, said: str) -> None:
    schema = one_field(kind)
    decoded = decode(compile_program(schema, everything), *batch([data]))
    assert said in reason(decoded.status[0])


TEXTS = [b"plain", "été".encode(), "日本語テキスト".encode(), b"\xf0\x9f\x98\x80", b"\xed\xa0\x80", b"\xc0\x80"]
TEXTS += [b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80", b"a" * 9 + b"\xff"]


@pytest.mark.parametrize("text", TEXTS)
def test_texts_are_utf8_exactly_as_python_says(text: bytes) -> None:
    schema = one_field("string")
    decoded = decode(compile_program(schema, {"f"}), *batch([bytes([2 * len(text)]) + text]))
    try:
        assert decoded.text("f").to_pylist() == [text.decode()]
    except UnicodeDecodeError:
        assert "UTF-8" in reason(decoded.status[0])


def test_arrays_in_several_blocks_and_with_sizes_are_read() -> None:
    schema = one_field({"type": "array", "items": "int"}, "a")
    data = b"\x04\x02\x04" + b"\x03\x04\x06\x08" + b"\x00"  # two items, then a block of minus two items with its size
    decoded = decode(compile_program(schema, {"a[]"}), *batch([data, b"\x00", data]))
    assert decoded.values("a[]").tolist() == [1, 2, 3, 4] * 2
    assert decoded.offsets("a").tolist() == [0, 4, 4, 8]


def test_tables_grow_while_a_batch_is_decoded_and_results_are_not_overwritten() -> None:
    schema = one_field({"type": "array", "items": {"type": "array", "items": "long"}}, "a")
    reference = Reference(schema)
    records = [{"a": [list(range(k)) for k in range(n)]} for n in (3, 200, 0, 150)]
    program = compile_program(schema, everything)
    first = decode(program, *batch([reference.write(record) for record in records]))
    before = first.values("a[][]").copy()
    decode(program, *batch([reference.write({"a": [[7] * 300] * 90})]))
    assert decoded_columns(first) == expected_columns(program, records)
    assert np.array_equal(first.values("a[][]"), before)


def test_floats_of_four_bytes_are_exact_and_missing_is_nan() -> None:
    schema = one_field(["float", "null"])
    numbers = np.array([0.1, -1e-40, 3.4e38, 7.0], np.float32)
    raw = [b"\x00" + number.tobytes() for number in numbers] + [b"\x02"]
    decoded = decode(compile_program(schema, {"f"}), *batch(raw))
    assert decoded.values("f")[:4].astype(np.float32).tobytes() == numbers.tobytes()
    assert np.isnan(decoded.values("f")[4])
    assert decoded.valid("f").tolist() == [True] * 4 + [False]


def test_asking_for_the_wrong_thing_says_what_there_is() -> None:
    decoded = decode(compile_program(NESTED, {"id", "outer.name"}), *batch([nested_bytes(1)]))
    with pytest.raises(SchemaError, match=r"outer\.nam was decoded; did you mean outer\.name"):
        decoded.values("outer.nam")
    with pytest.raises(SchemaError, match="ask for its ranges"):
        decoded.values("outer.name")
    with pytest.raises(SchemaError, match="ask for its values"):
        decoded.ranges("id")
    with pytest.raises(SchemaError, match="no array points was"):
        decoded.offsets("points")
    assert "id" in decoded
    assert "x" not in decoded


def test_ranges_outside_the_buffer_are_refused() -> None:
    program = compile_program(NESTED, {"id"})
    buffer = padded(b"\x02\x00")
    for start, end in ((-1, 2), (2, 1), (0, 3)):
        with pytest.raises(SchemaError, match="inside the buffer"):
            decode(program, buffer, np.array([start]), np.array([end]))
    with pytest.raises(SchemaError, match="uint8"):
        decode(program, np.zeros(9000, np.int8), np.array([0]), np.array([2]))
    assert len(buffer) == 2 + PADDING


def test_an_empty_batch_gives_empty_columns() -> None:
    decoded = decode(compile_program(NESTED, everything), *batch([]))
    assert decoded.n == 0
    assert decoded.text("outer.name").to_pylist() == []
    assert decoded.offsets("outer.points").tolist() == [0]


def test_blocks_are_split_into_records_up_to_a_break() -> None:
    program = compile_program(NESTED, everything)
    blocks = [[nested_bytes(i) for i in range(n)] for n in (3, 1, 5)]
    joined = [b"".join(block) for block in blocks]
    joined[2] = joined[2][:-2]
    splits = split_records(program, *batch(joined), np.array([3, 1, 5]))
    assert splits.n_good.tolist() == [3, 1, 4]
    assert splits.block.tolist() == [0, 0, 0, 1, 2, 2, 2, 2]
    assert (splits.ends - splits.starts).tolist() == [len(r) for block in blocks for r in block][:-1]
    assert splits.status[:2].tolist() == [0, 0]
    assert splits.stopped[2] == splits.ends[-1]
    assert "middle" in reason(splits.status[2])
    slow = split_slowly(NESTED, *batch(joined), np.array([3, 1, 5]))
    assert (slow.starts.tolist(), slow.ends.tolist()) == (splits.starts.tolist(), splits.ends.tolist())
    assert slow.stopped.tolist() == splits.stopped.tolist()


def test_a_block_that_promises_too_many_records_is_broken_at_its_first_byte() -> None:
    buffer, starts, ends = batch([nested_bytes(1), nested_bytes(3) + nested_bytes(0)])
    splits = split_records(compile_program(NESTED, ()), buffer, starts, ends, np.array([2**60, 2]))
    assert splits.status.tolist() == [kernel.BAD_COUNT, 0]
    assert splits.n_good.tolist() == [0, 2]
    assert splits.stopped[0] == starts[0]


def test_what_the_kernel_refuses_fastavro_reads() -> None:
    schema = parse_schema("""{"type": "record", "name": "r", "fields": [
        {"name": "id", "type": "long"},
        {"name": "mixed", "type": ["null", "int", "double"]},
        {"name": "named", "type": {"type": "map", "values": "int"}},
        {"name": "next", "type": ["null", "r"]}]}""")
    with pytest.raises(SchemaError):
        compile_program(schema, everything)
    reference = Reference(schema)
    inner: dict[str, Any] = {"id": 1, "mixed": None, "named": {}, "next": None}
    records = [{"id": 5, "mixed": 3, "named": {"a": 1}, "next": inner}, {"id": 6, "mixed": 2.5, "named": {}, "next": None}]
    raw = [reference.write(record) for record in records]
    decoded = decode_slowly(schema, everything, *batch([*raw, raw[0][:3]]))
    assert decoded.values("id").tolist() == [5, 6, 0]
    assert decoded.values("mixed")[:2].tolist() == [3.0, 2.5]
    assert decoded.status.tolist() == [0, 0, kernel.UNREADABLE]
    assert "reference decoder" in reason(decoded.status[2])


def test_symbols_are_given_as_numbers_and_as_text() -> None:
    schema = one_field(["null", {"type": "enum", "name": "e", "symbols": ["g", "r"]}], "e")
    decoded = decode(compile_program(schema, {"e"}), *batch([b"\x02\x02", b"\x00", b"\x02\x00"]))
    assert decoded.values("e").tolist() == [1, 0, 0]
    assert decoded.text("e").to_pylist() == ["r", None, "g"]


def test_padded_copies() -> None:
    assert padded(io.BytesIO(b"ab").getvalue())[:3].tolist() == [97, 98, 0]


def test_memory_is_used_again_only_when_nothing_refers_to_it() -> None:
    program = compile_program(parse_schema({"type": "record", "name": "r", "fields": [{"name": "x", "type": "long"}]}), ("x",))
    batches = [padded(bytes([2 * value])) for value in range(30)]
    start, end = np.zeros(1, np.int64), np.ones(1, np.int64)
    held = [decode(program, buffer, start, end).values("x") for buffer in batches]
    assert [int(values[0]) for values in held] == list(range(30))
    addresses = set()
    for buffer in batches:
        addresses.add(decode(program, buffer, start, end).values("x").ctypes.data)
    assert len(addresses) < len(batches)
