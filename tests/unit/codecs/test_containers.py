"""Container files are read block by block; what is broken is one item and spoils nothing before it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pytest

from fink.codecs import containers
from fink.codecs.containers import (
    CODECS,
    ContainerWriter,
    KnownHeaders,
    confluent_id,
    confluent_ids,
    decompress_block,
    read_containers,
    read_header,
    scan,
    write_container,
)
from fink.codecs.schemas import parse_schema
from fink.errors import PacketError, SchemaError
from shared_data import shared_data
from unit.codecs.avro_reference import Reference, batch
from unit.codecs.test_avro import packets

SCHEMA = parse_schema({"type": "record", "name": "r", "fields": [{"name": "i", "type": "long"}, {"name": "s", "type": "string"}]})
RECORDS: list[dict[str, Any]] = [{"i": i * i, "s": "x" * (i % 7)} for i in range(500)]
RAW = [Reference(SCHEMA).write(record) for record in RECORDS]
FASTAVRO_CODECS = [codec for codec in CODECS if codec != "zstandard"]  # for which fastavro wants one more package


def container(records: list[bytes] = RAW, codec: str = "null", block_bytes: int = 200) -> bytes:
    stream = io.BytesIO()
    write_container(stream, SCHEMA.text, *batch(records), codec, block_bytes)
    return stream.getvalue()


def found(files: list[bytes]) -> tuple[dict[int, list[bytes]], list[containers.Broken]]:
    """Give the records found in each file, and what is broken."""
    parts, broken = read_containers(*batch(files))
    records: dict[int, list[bytes]] = {}
    for part in parts:
        for start, end, file in zip(part.starts, part.ends, part.file, strict=True):
            records.setdefault(int(file), []).append(part.buffer[start:end].tobytes())
    return records, broken


@pytest.mark.parametrize("codec", CODECS)
def test_what_is_written_is_read_with_every_codec(codec: str) -> None:
    records, broken = found([container(codec=codec)])
    assert records == {0: RAW}
    assert broken == []


@pytest.mark.parametrize("codec", FASTAVRO_CODECS)
def test_fastavro_reads_what_is_written_and_the_other_way_round(codec: str) -> None:
    assert list(fastavro.reader(io.BytesIO(container(codec=codec)))) == RECORDS
    stream = io.BytesIO()
    fastavro.writer(stream, json.loads(SCHEMA.text), RECORDS, codec=codec, sync_interval=300)
    assert found([stream.getvalue()])[0] == {0: RAW}


def test_a_header_tells_schema_codec_and_where_blocks_begin() -> None:
    data = container(codec="deflate")
    header = read_header(b"..." + data, 3)
    assert (header.schema, header.codec) == (SCHEMA, "deflate")
    assert data[header.header_length - 16 : header.header_length] == header.sync
    assert read_header(np.frombuffer(data, np.uint8)) == header


def test_the_same_records_give_the_same_file() -> None:
    assert container() == container()


def test_many_files_of_several_kinds_are_read_in_one_scan() -> None:
    other = parse_schema({"type": "record", "name": "other", "fields": [{"name": "x", "type": "double"}]})
    stream = io.BytesIO()
    write_container(stream, other.text, *batch([bytes(8)] * 3))
    files = [container(RAW[:2]), stream.getvalue(), container(RAW[2:5], "snappy"), container([]), container(RAW[5:6])]
    known = KnownHeaders()
    result = scan(*batch(files), known)
    assert result.file.tolist() == [0, 1, 2, 4]
    assert result.counts.tolist() == [2, 3, 3, 1]
    assert [result.headers[i].schema.name for i in result.file_header] == ["r", "other", "r", "r", "r"]
    assert len(known.headers) == 3
    assert scan(*batch(files), known).headers == result.headers
    assert found(files)[0] == {0: RAW[:2], 1: [bytes(8)] * 3, 2: RAW[2:5], 4: RAW[5:6]}


def blocks_of(data: bytes) -> list[tuple[int, int]]:
    result = scan(*batch([data]))
    return list(zip(result.starts.tolist(), result.ends.tolist(), strict=True))


def test_a_wrong_sync_marker_ends_a_file_and_blocks_before_it_stand() -> None:
    data = bytearray(container())
    blocks = blocks_of(bytes(data))
    data[blocks[2][1] + 5] ^= 1
    records, broken = found([bytes(data), container(RAW[:3])])
    n = len(records[0])
    assert 0 < n < len(RAW)
    assert records == {0: RAW[:n], 1: RAW[:3]}
    (item,) = broken
    assert (item.file, item.end) == (0, len(data))
    assert blocks[1][1] + 16 == item.start
    assert "sync marker" in item.reason


@pytest.mark.parametrize("cut", [1, 10, 17, 100, 290])
def test_a_cut_file_gives_its_whole_blocks_and_one_broken_item(cut: int) -> None:
    data = container()[:-cut]
    records, broken = found([data])
    assert records[0] == RAW[: len(records[0])]
    assert 400 < len(records[0]) < 500
    assert [(item.end, "middle of a block" in item.reason) for item in broken] == [(len(data), True)]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html>", "not an Avro container"),
        (container()[:40], "header names"),
        (container()[:6], "header"),
        (b"Obj\x01\x00" + bytes(16), "no avro.schema"),
        (b"Obj\x01\x02\x14avro.codec\x06lzo\x00" + bytes(16), "lzo"),
        (b"Obj\x01\x02\x16avro.schema\x0c'long'\x00" + bytes(16), "not JSON"),
        (container([]) + b"\x01\x02" + bytes(30), "number of records"),
        (container([]) + b"\x02\x01" + bytes(30), "size that is no number"),
        (container([]) + b"\xff" * 12 + bytes(30), "number of records"),
        (container([]) + b"\x02\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", "middle of a block"),
    ],
)
def test_what_is_no_container_is_one_broken_item(data: bytes, said: str) -> None:
    records, broken = found([container(RAW[:1]), data, container(RAW[1:2])])
    assert records == {0: RAW[:1], 2: RAW[1:2]}
    (item,) = broken
    assert (item.file, item.end - item.start <= len(data)) == (1, True)
    assert said in item.reason


def test_a_damaged_record_inside_a_whole_block_leaves_the_rest_of_the_block_as_one_item() -> None:
    data = bytearray(container(RAW[:30], block_bytes=10_000))
    ((start, end),) = blocks_of(bytes(data))
    at = start + sum(map(len, RAW[:20])) + len(RAW[20]) - 1 - len(RECORDS[20]["s"])
    data[at] = 0xFF
    records, broken = found([bytes(data)])
    assert records == {0: RAW[:20]}
    assert [(item.start, item.end) for item in broken] == [(at - 2, end)]


@pytest.mark.parametrize("codec", [codec for codec in CODECS if codec != "null"])
def test_a_damaged_packed_block_is_one_item_and_the_next_blocks_stand(codec: str) -> None:
    data = bytearray(container(codec=codec, block_bytes=800))
    start, end = blocks_of(bytes(data))[1]
    data[start : start + 8] = b"\x55" * 8
    records, broken = found([bytes(data)])
    assert [(item.start, item.end) for item in broken] == [(start, end)]
    assert codec in broken[0].reason
    assert set(records[0]) < set(RAW)
    assert records[0][-1] == RAW[-1]


@pytest.mark.parametrize("codec", [codec for codec in CODECS if codec != "null"])
def test_a_decompression_bomb_is_refused(codec: str) -> None:
    packed = containers.compress_block(codec, bytes(3_000_000))
    assert decompress_block(codec, packed) == bytes(3_000_000)
    with pytest.raises(PacketError, match="more than 1000000"):
        decompress_block(codec, packed, most=1_000_000)
    with pytest.raises(PacketError, match=codec):
        decompress_block(codec, packed[: len(packed) // 2])


def test_unknown_codecs_are_refused() -> None:
    with pytest.raises(PacketError, match="lzo"):
        decompress_block("lzo", b"")
    with pytest.raises(SchemaError, match="lzo"):
        containers.compress_block("lzo", b"")
    with pytest.raises(SchemaError, match="lzo"):
        ContainerWriter(io.BytesIO(), SCHEMA.text, "lzo")


def test_a_writer_goes_on_at_a_recorded_length(tmp_path: Path) -> None:
    path = tmp_path / "alerts.avro"
    with path.open("w+b") as file:
        writer = ContainerWriter(file, SCHEMA.text)
        writer.append(*batch(RAW[:10]))
        length = file.tell()
        writer.append(*batch(RAW[400:]))
    with path.open("r+b") as file:
        ContainerWriter(file, SCHEMA.text, length=length).append(*batch(RAW[10:20]))
    assert found([path.read_bytes()])[0] == {0: RAW[:20]}
    with path.open("rb") as file:
        assert list(fastavro.reader(file)) == RECORDS[:20]


def test_a_writer_refuses_to_go_on_in_another_file(tmp_path: Path) -> None:
    path = tmp_path / "alerts.avro"
    write_container(path, SCHEMA.text, *batch(RAW[:10]))
    for length, codec in ((10_000_000, "null"), (path.stat().st_size, "deflate")):
        with path.open("r+b") as file, pytest.raises(PacketError, match="is not the one"):
            ContainerWriter(file, SCHEMA.text, codec, length=length)


def test_records_that_do_not_lie_together_are_written_in_order() -> None:
    buffer, starts, ends = batch(RAW[:50])
    stream = io.BytesIO()
    write_container(stream, SCHEMA.text, buffer, starts[::-3], ends[::-3])
    assert found([stream.getvalue()])[0] == {0: RAW[:50][::-3]}


def test_schema_ids_of_wire_messages() -> None:
    assert confluent_id(b"\x00\x00\x00\x02\xbd...") == 701
    for message in (b"", b"\x00\x00\x00\x01", b"Obj\x01\x00"):
        with pytest.raises(PacketError, match="wire format"):
            confluent_id(message)
    buffer, starts, ends = batch([b"\x00\x00\x00\x02\xbd!", b"", b"\x00\x00\x00\x00", b"Obj\x01\x00\x00", b"\x00\x80\x00\x00\x00"])
    assert confluent_ids(buffer, starts, ends).tolist() == [701, -1, -1, -1, 2**31]


def test_real_files_give_the_records_that_fastavro_finds() -> None:
    files = packets(shared_data("ztf_alerts/misc_schema_versions.tar.xz"))
    records, broken = found(files)
    assert broken == []
    assert [len(records[i]) for i in range(len(files))] == [sum(1 for _ in fastavro.reader(io.BytesIO(data))) for data in files]


def fastavro_reads(data: bytes) -> bool:
    try:
        return sum(1 for _ in fastavro.reader(io.BytesIO(data))) > 0
    except (EOFError, IndexError, ValueError):
        return False


def test_real_damaged_files_are_told_from_whole_ones() -> None:
    files = packets(shared_data("ztf_alerts/corrupt_or_truncated_avro.tar.xz"))
    records, broken = found(files)
    assert len(broken) >= 10
    assert {item.file for item in broken} == {i for i, data in enumerate(files) if not fastavro_reads(data)}
    assert sum(map(len, records.values())) == 2  # one before a break, one in the file that is whole after all
    assert all(item.reason and item.end > item.start for item in broken)
