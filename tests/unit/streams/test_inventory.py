"""What files hold: each record once, each unreadable part once, whatever the form, the codec and the size of the pieces."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path

import numpy as np
import pytest

from fink.codecs.avro import Bytes, Ints
from fink.codecs.containers import CODECS, Broken, KnownHeaders, Records, read_containers, write_container
from fink.codecs.writers import wire_prefix
from fink.simulator.replay import single_files
from fink.streams import inventory
from fink.streams.inventory import NO_SCHEMA, Inventory, Surveyor
from simulated import SURVEYS, batches_of, given, nights, source_of

NIGHT = nights("ztf", 1, 60)[0]
PACKETS = NIGHT.packets
BODIES = [PACKETS.body(row) for row in range(len(PACKETS))]


def look(*paths: Path) -> Inventory:
    surveyor = Surveyor(SURVEYS, lambda number: PACKETS.schemas[0])
    for path in paths:
        surveyor.look_at(path)
    return surveyor.finish()


def write(path: Path, codec: str = "null", block_bytes: int = 20_000) -> list[tuple[int, int]]:
    """Write the night and give where each block's bytes lie."""
    write_container(path, PACKETS.schemas[0], PACKETS.buffer, PACKETS.starts, PACKETS.ends, codec, block_bytes)
    data = path.read_bytes()
    sync = data[-16:]
    cuts = [i + 16 for i in range(len(data)) if data.startswith(sync, i)]
    return list(itertools.pairwise(cuts))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("chunk", [1 << 26, 50_000, 1000])
def test_every_record_is_found_whatever_the_codec_and_the_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str, chunk: int
) -> None:
    write(tmp_path / "night.avro", codec)
    monkeypatch.setattr(inventory, "CHUNK", chunk)
    assert given(batches_of(source_of(tmp_path))) == BODIES


@pytest.mark.parametrize("codec", ["null", "deflate"])
@pytest.mark.parametrize("chunk", [1 << 26, 50_000, 1000])
@pytest.mark.parametrize("what", ["sync", "size", "cut"])
@pytest.mark.parametrize("which", [0, 2, -1])
def test_blocks_before_a_break_stand_and_the_rest_is_one_item(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str, chunk: int, what: str, which: int
) -> None:
    path = tmp_path / "night.avro"
    blocks = write(path, codec)
    assert len(blocks) > 4
    start, end = blocks[which]
    data = bytearray(path.read_bytes())
    if what == "sync":
        data[end - 5] ^= 255
    elif what == "size":
        data[start + 1] ^= 0x40
    else:
        del data[end - 30 :]
    path.write_bytes(data)
    monkeypatch.setattr(inventory, "CHUNK", chunk)
    batches = batches_of(source_of(tmp_path))
    broken = [item for batch in batches for item in batch.quarantined]
    read = [body for batch in batches if batch.packets for body in given([batch])]
    assert len(broken) == 1
    assert broken[0].body == bytes(data[start:])
    assert broken[0].position == f"byte {start}"
    assert read == BODIES[: len(read)]
    assert len(read) < len(BODIES)
    monkeypatch.setattr(inventory, "CHUNK", 1 << 26)
    assert read == [body for batch in batches_of(source_of(tmp_path)) if batch.packets for body in given([batch])]


@pytest.mark.parametrize("chunk", [1 << 26, 30_000])
def test_a_damaged_block_with_a_right_marker_costs_its_own_records_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    path = tmp_path / "night.avro"
    start, end = write(path, "snappy")[2]
    data = bytearray(path.read_bytes())
    data[(start + end) // 2] ^= 255
    path.write_bytes(data)
    monkeypatch.setattr(inventory, "CHUNK", chunk)
    items = look(path).items()
    broken = items[items["schema"] == NO_SCHEMA]
    batches = batches_of(source_of(path))
    kept = [body for batch in batches if batch.packets for body in given([batch])]
    assert len(broken) == 1
    assert 0 < len(BODIES) - len(kept) < len(BODIES) / 2
    assert set(kept) < set(BODIES)
    (quarantined,) = (item for batch in batches for item in batch.quarantined)
    assert quarantined.body in bytes(data[start:end])
    assert "snappy" in quarantined.reason


def test_pieces_are_no_larger_than_they_must_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "night.avro"
    blocks = write(path)
    monkeypatch.setattr(inventory, "CHUNK", 50_000)
    units = look(path).units
    assert len(units) > path.stat().st_size / 50_000
    assert max(unit.size for unit in units) <= max(50_000, max(end - start for start, end in blocks))
    assert sum(unit.size for unit in units) == path.stat().st_size - blocks[0][0]


def test_a_block_size_that_lies_does_not_take_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "night.avro"
    start, _ = write(path)[1]
    data = bytearray(path.read_bytes())
    data[start : start + 8] = b"\x02\xfe\xff\xff\xff\xff\xff\x0f"
    path.write_bytes(data)
    monkeypatch.setattr(inventory, "CHUNK", 1000)
    monkeypatch.setattr(inventory, "MOST_BYTES", 20_000)
    read: list[int] = []

    def measured(buffer: Bytes, starts: Ints, ends: Ints, known: KnownHeaders) -> tuple[list[Records], list[Broken]]:
        read.append(int(ends[-1]))
        return read_containers(buffer, starts, ends, known)

    monkeypatch.setattr(inventory, "read_containers", measured)
    found = look(path)
    assert (found.items()["schema"] == NO_SCHEMA).sum() == 1
    assert max(read) < 60_000 + start


@pytest.mark.parametrize("form", ["single", "gzip", "framed", "bare"])
def test_single_packets_in_every_form(tmp_path: Path, form: str) -> None:
    schemas = SURVEYS["ztf"].writer_schemas()
    for row, file in enumerate(single_files(NIGHT)):
        body = {"single": file, "gzip": gzip.compress(file), "framed": wire_prefix(402) + BODIES[row], "bare": BODIES[row]}[form]
        (tmp_path / f"{row:03}.avro").write_bytes(body)
    found = look(tmp_path / f"{0:03}.avro", *(tmp_path / f"{row:03}.avro" for row in range(1, len(BODIES))))
    assert len(schemas) > 0
    assert (found.items()["schema"] != NO_SCHEMA).all()
    assert (found.items()["night"] == NIGHT.night).all()
    if form != "framed":
        assert given(batches_of(source_of(tmp_path))) == BODIES


def test_framed_packets_of_an_unknown_schema_number_say_the_number(tmp_path: Path) -> None:
    (tmp_path / "a.avro").write_bytes(wire_prefix(99_999) + BODIES[0])
    (batch,) = batches_of(source_of(tmp_path))
    assert "99999" in batch.quarantined[0].reason
    assert batch.quarantined[0].body == wire_prefix(99_999) + BODIES[0]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"objectId,jd,ra,dec\nZTF18aaaaaaa,2458000.5,10,20\n", "text, and no record"),
        (b'{"alertId": 12}', "JSON text"),
        (b'{"type": "record", "fields": []}', "an Avro schema"),
        (b"PAR1" + bytes(100) + b"PAR1", "a Parquet file"),
        (b"Obj\x01", "header"),
        (b"\x1f\x8b\x08\x00damaged", "gzip"),
        (bytes(200), "neither an Avro container nor a framed message"),
    ],
)
def test_foreign_files_are_items_with_their_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "foreign").write_bytes(data)
    (batch,) = batches_of(source_of(tmp_path))
    (item,) = batch.quarantined
    assert reason in item.reason
    assert item.body == data
    assert item.source == str(tmp_path / "foreign")


def test_random_bytes_are_never_taken_for_alerts(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for number in range(40):
        (tmp_path / str(number)).write_bytes(rng.bytes(int(rng.integers(1, 3000))))
    items = look(*sorted(tmp_path.iterdir())).items()
    assert len(items) == 40
    assert (items["schema"] == NO_SCHEMA).all()


def test_records_of_a_foreign_schema_are_one_item_each_with_their_container(tmp_path: Path) -> None:
    schema = b'{"type":"record","name":"foreign","fields":[{"name":"number","type":"long"}]}'
    ends = np.arange(1, 6)
    write_container(tmp_path / "foreign.avro", schema, np.arange(10_000).astype(np.uint8), ends - 1, ends)
    (batch,) = batches_of(source_of(tmp_path))
    assert len({item.body for item in batch.quarantined}) == 5
    assert all("schema foreign is not of a known survey" in item.reason for item in batch.quarantined)
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "one").write_bytes(batch.quarantined[3].body)
    (again,) = batches_of(source_of(tmp_path / "again"))
    assert again.quarantined[0].body == batch.quarantined[3].body
