"""Blocks of packets: laid out window by window, the bytes are those of a block laid out at once."""

from __future__ import annotations

import mmap
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fink.archive.packet_blocks import SECTOR, PacketBlock, set_direct, write_fully
from fink.tables import Packets

HEADER = 64


def laid_out(bodies: list[bytes], schemas: list[int], head: bytes, aligned: int) -> bytes:
    """Lay a block out, without its header, in the simplest way."""
    block = bytearray(HEADER) + head
    for body, schema in zip(bodies, schemas, strict=True):
        block += schema.to_bytes(8, "little") + len(body).to_bytes(8, "little") + body + bytes(-len(body) % 8)
    return bytes(block + bytes(-len(block) % aligned))


@settings(deadline=None, max_examples=80)
@given(
    sizes=st.lists(st.one_of(st.integers(0, 40), st.integers(0, 3 * SECTOR)), max_size=12),
    head=st.integers(0, 1500).map(lambda words: bytes(range(1, 9)) * words),
    windows=st.integers(1, 3),
    direct=st.booleans(),
    start=st.integers(0, 2),
)
def test_windows_change_no_byte(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], head: bytes, windows: int, direct: bool, start: int
) -> None:
    random = np.random.default_rng(len(sizes))
    bodies, schemas = [random.bytes(size) for size in sizes], list(range(7, 7 + len(sizes)))
    packets = Packets.from_bodies(bodies, b"")
    block = PacketBlock(
        packets.buffer, packets.starts, packets.ends, np.array(schemas, np.int64), first=HEADER, head=head, aligned=SECTOR if direct else 64
    )
    expected = laid_out(bodies, schemas, head, SECTOR if direct else 64)
    path = tmp_path_factory.mktemp("block") / "block"
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    set_direct(file, on=direct)
    said = []

    def header(checksum: int) -> bytes:
        said.append(checksum)
        return b"H" * HEADER

    block.write(file, start * SECTOR, mmap.mmap(-1, windows * SECTOR), 17, header)
    os.close(file)
    assert block.length == len(expected)
    assert path.read_bytes() == bytes(start * SECTOR) + b"H" * HEADER + expected[HEADER:]
    assert said == [zlib.crc32(expected[HEADER:], 17)]
    assert [expected[place : place + size] for place, size in zip(block.places.tolist(), sizes, strict=True)] == bodies


def test_what_direct_writing_refuses_is_written_the_usual_way(tmp_path: Path) -> None:
    file = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    set_direct(file, on=True)
    write_fully(file, [b"not a sector", b"", b", nor aligned"], 3)
    os.close(file)
    assert (tmp_path / "file").read_bytes() == bytes(3) + b"not a sector, nor aligned"
