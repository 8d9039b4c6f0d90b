"""Blocks: what goes in comes out, and damage is seen."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fink.archive.segments import (
    ALIGNMENT,
    FileRecord,
    SegmentWriter,
    blocks,
    check_block,
    map_file,
    packets_at,
)
from fink.errors import ArchiveError
from fink.tables import PADDING, Packets


def new_segment(folder: Path, kind: str = "packets") -> SegmentWriter:
    return SegmentWriter(folder, "segment.bin", FileRecord(kind, "ztf", 20181129, 0, 0, "open", 0, 0))  # type: ignore[arg-type]


bodies = st.lists(st.tuples(st.binary(max_size=100), st.integers(0, 2)), max_size=8)


@settings(deadline=None, max_examples=60)
@given(parts=st.lists(bodies, min_size=1, max_size=5), reopen=st.sets(st.integers(0, 4)))
def test_packets_come_back_with_their_schema(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[tuple[bytes, int]]], reopen: set[int]
) -> None:
    schemas = (b'{"name": "a"}', b"{}", b'"string"')
    folder = tmp_path_factory.mktemp("segment")
    writer = new_segment(folder)
    offsets, lengths, expected = [], [], []
    for number, part in enumerate(parts, 1):
        if number in reopen:
            writer.close()
            writer = SegmentWriter(folder, "segment.bin", writer.record)
        joined = Packets.from_bodies([body for body, _ in part], b"")
        packets = Packets(joined.buffer, joined.starts, joined.ends, np.array([s for _, s in part], np.int32), schemas)
        _, _, places = writer.append_packets(packets, commit=number)
        offsets += places.tolist()
        lengths += [len(body) for body, _ in part]
        expected += [(body, schemas[s]) for body, s in part]
    writer.close()
    order = np.random.default_rng(len(expected)).permutation(len(expected))
    data = memoryview(map_file(folder / "segment.bin"))
    found = packets_at(data, np.array(offsets, np.int64)[order], np.array(lengths, np.int64)[order], "segment.bin")
    assert [(found.body(i), found.schemas[found.schema[i]]) for i in range(len(found))] == [expected[i] for i in order]
    assert len(found.buffer) >= sum(lengths) + PADDING
    assert sum(block.rows for block in blocks(data, "segment.bin")) == len(expected) == writer.record.rows
    for schema in {schema for _, schema in expected}:
        # a packet may happen to be the text of a schema
        copies = sum(body[: len(schema)] == schema and len(body) == len(schema) for body, _ in expected)
        assert bytes(data).count(len(schema).to_bytes(8, "little") + schema) == 1 + copies


@settings(deadline=None, max_examples=60)
@given(payloads=st.lists(st.binary(max_size=300), min_size=1, max_size=6))
def test_blocks_are_walked_and_checked(tmp_path_factory: pytest.TempPathFactory, payloads: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("segment")
    writer = new_segment(folder, "quarantine")
    spans = [writer.append(payload, rows=1, commit=number) for number, payload in enumerate(payloads, 7)]
    data = memoryview((folder / "segment.bin").read_bytes())
    found = list(blocks(data, "segment.bin"))
    assert [bytes(data[block.start : block.end]) for block in found] == payloads
    assert [(block.start - ALIGNMENT, block.next) for block in found] == spans
    assert all(start % ALIGNMENT == 0 for start, _ in spans)
    assert [block.commit for block in found] == list(range(7, 7 + len(payloads)))
    assert writer.record.first_commit == 7
    assert writer.record.length == len(data)
    walk(data)
    writer.close()


@pytest.mark.parametrize("place", [8, 16, 24, 64, 70])
def test_a_changed_byte_is_seen(tmp_path: Path, place: int) -> None:
    writer = new_segment(tmp_path, "quarantine")
    writer.append(b"what was committed", rows=1, commit=1)
    data = bytearray((tmp_path / "segment.bin").read_bytes())
    data[place] ^= 1
    with pytest.raises(ArchiveError, match=r"segment\.bin"):
        walk(memoryview(data))
    writer.close()


def walk(data: memoryview) -> None:
    for block in blocks(data, "segment.bin"):
        check_block(data, block, "segment.bin")


@pytest.mark.parametrize("kept", [1, 63, 64, 70])
def test_a_cut_block_is_seen(tmp_path: Path, kept: int) -> None:
    writer = new_segment(tmp_path, "quarantine")
    writer.append(b"what was committed", rows=1, commit=1)
    data = memoryview((tmp_path / "segment.bin").read_bytes())[:kept]
    with pytest.raises(ArchiveError, match="restore"):
        list(blocks(data, "segment.bin"))
    writer.close()


@pytest.mark.parametrize(("offset", "length"), [(0, 0), (88, 3), (89, 5), (10_000, 5), (88, -5), (-8, 5)])
def test_a_pointer_that_leads_nowhere_is_refused(tmp_path: Path, offset: int, length: int) -> None:
    writer = new_segment(tmp_path)
    _, _, places = writer.append_packets(Packets.from_bodies([b"12345"], b"{}"), commit=1)
    data = memoryview(map_file(tmp_path / "segment.bin"))
    assert (int(places[0]), length) != (offset, 5)
    with pytest.raises(ArchiveError, match="holds no packet"):
        packets_at(data, np.array([offset]), np.array([length]), "segment.bin")
    writer.close()


@pytest.fixture
def small_disk() -> object:
    """Let files grow to 20,000 bytes only, which the system refuses as it refuses a full disk: after writing a part."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_disk")
def test_a_full_disk_leaves_what_was_committed(tmp_path: Path) -> None:
    writer = new_segment(tmp_path)
    first = writer.append_packets(Packets.from_bodies([b"a" * 10_000], b"{}"), commit=1)
    before = writer.record
    with pytest.raises(ArchiveError, match="free some space"):
        writer.append_packets(Packets.from_bodies([b"b" * 15_000], b'{"new": 1}'), commit=2)
    assert writer.record == before
    assert (tmp_path / "segment.bin").stat().st_size == before.length
    start, _, places = writer.append_packets(Packets.from_bodies([b"c" * 100], b'{"new": 1}'), commit=3)
    assert start == before.length == first[1]
    found = packets_at(memoryview(map_file(tmp_path / "segment.bin")), places, np.array([100]), "segment.bin")
    assert (found.body(0), found.schemas) == (b"c" * 100, (b'{"new": 1}',))
    writer.close()


def test_arrow_is_read_where_it_lies(tmp_path: Path) -> None:
    writer = new_segment(tmp_path, "rows")
    table = pa.table({"mjd": np.arange(10_000, dtype=np.float64)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    start, end = writer.append(sink.getvalue(), rows=10_000, commit=1)
    data = map_file(tmp_path / "segment.bin")
    before = pa.total_allocated_bytes()
    found = pa.ipc.open_stream(data.slice(start + ALIGNMENT, end - start - ALIGNMENT)).read_all()
    assert found.equals(table)
    assert pa.total_allocated_bytes() - before < 10_000
    assert data.address <= found["mjd"].chunk(0).buffers()[1].address < data.address + data.size
    writer.close()


@given(length=st.integers(0, 2**62), rows=st.integers(0, 2**40), state=st.sampled_from(["open", "closed", "parquet", "dropped"]))
def test_a_record_survives_its_bytes(length: int, rows: int, state: str) -> None:
    record = FileRecord("rows", "ztf", 20181129, length, rows, state, 3, 9, 12)  # type: ignore[arg-type]
    assert FileRecord.from_bytes(record.to_bytes()) == record
