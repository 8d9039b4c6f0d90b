"""Segments: append-only files of checksummed blocks, one block for each commit's part, written before the commit is published.

A block is a header of 64 bytes, then its payload, padded to 64 bytes, so that what lies in it can be used where it lies
(memory-mapped, nothing copied) and a file can be walked from block to block. A payload is either one Arrow IPC stream, or
packets: the schemas that this file did not hold yet, then each packet's bytes after the place of its schema.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import orjson
import pyarrow as pa
from isal import isal_zlib
from numba import njit
from numpy.typing import NDArray

from fink.archive.packet_blocks import PREFIX, SECTOR, WINDOW, PacketBlock, set_direct, write_fully
from fink.errors import ArchiveError
from fink.tables import PADDING, Packets

Kind = Literal["rows", "points", "packets", "selected", "quarantine"]
State = Literal["open", "closed", "parquet", "dropped"]

ALIGNMENT = 64
"""Blocks and Arrow payloads begin at multiples of this, as Arrow asks of buffers that are used in place."""

_MAGIC = b"FINKBLK1"
_HEADER = struct.Struct("<8sqqqII24x")
_LONG = struct.Struct("<q")
assert _HEADER.size == ALIGNMENT


@dataclass(frozen=True)
class FileRecord:
    """What the index keeps of one file of the lake; a file that it does not list does not exist for anyone.

    Parameters
    ----------
    kind
        What lies in it: ``rows`` (alerts), ``points``, ``packets``, ``selected`` (packets that substreams took), ``quarantine``.
    survey, night
        Of everything in it; empty and 0 for the quarantine.
    length
        Bytes that count; what a file holds beyond was never committed.
    rows
        Rows, points, packets or items in it.
    state
        ``open`` (appended to), ``closed`` (a finished segment), ``parquet`` (in the lake), ``dropped`` (replaced or no longer
        kept; on disk only until no reader or follower can ask for it).
    first_commit, last_commit
        Numbers of the first and the last commit that it holds a part of.
    dropped_at
        For a dropped file, the number that the archive had published when it was dropped (see `fink.archive.lake.Lake.purge`).
    """

    kind: Kind
    survey: str
    night: int
    length: int
    rows: int
    state: State
    first_commit: int
    last_commit: int
    dropped_at: int = 0

    def to_bytes(self) -> bytes:
        """Write the record as JSON."""
        return orjson.dumps(asdict(self))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote."""
        return cls(**orjson.loads(data))


@dataclass(frozen=True)
class Block:
    """Where one block's payload lies in its file, and what its header says of it."""

    start: int
    end: int
    rows: int
    commit: int
    schemas: int
    checksum: int

    @property
    def next(self) -> int:
        """Where the next block begins."""
        return _aligned(self.end)


def _aligned(length: int) -> int:
    return -(-length // ALIGNMENT) * ALIGNMENT


def block_header(payload: Any, *, rows: int, commit: int, schemas: int = 0) -> bytes:
    """Make the header of a block: its payload's length, rows, commit, count of new schemas, and a CRC-32 over all of it."""
    size = memoryview(payload).nbytes
    checksum = isal_zlib.crc32(payload, bare_checksum(size, rows, commit, schemas))
    return _HEADER.pack(_MAGIC, size, rows, commit, schemas, checksum)


def bare_checksum(size: int, rows: int, commit: int, schemas: int) -> int:
    """Give the CRC-32 of a block's header without the checksum, from which that of the payload goes on."""
    return isal_zlib.crc32(_HEADER.pack(_MAGIC, size, rows, commit, schemas, 0))


def read_block(data: memoryview, start: int, name: str) -> Block:
    """Read the header of the block that begins at ``start``.

    Raises
    ------
    ArchiveError
        If no whole block begins there.
    """
    header = data[start : start + ALIGNMENT]
    if len(header) < ALIGNMENT or bytes(header[:8]) != _MAGIC:
        raise ArchiveError(f"{name} holds no block at byte {start}; the file is damaged, restore it from a copy")
    _, size, rows, commit, schemas, checksum = _HEADER.unpack(header)
    end = start + ALIGNMENT + size
    if size < 0 or end > len(data):
        raise ArchiveError(f"{name} ends at byte {len(data)} inside its block at byte {start}; restore the file from a copy")
    return Block(start + ALIGNMENT, end, rows, commit, schemas, checksum)


def blocks(data: memoryview, name: str) -> Iterator[Block]:
    """Walk over the blocks of a segment."""
    start = 0
    while start < len(data):
        block = read_block(data, start, name)
        yield block
        start = block.next


def check_block(data: memoryview, block: Block, name: str) -> None:
    """Compare a block with its checksum.

    Raises
    ------
    ArchiveError
        If they differ.
    """
    bare = bare_checksum(block.end - block.start, block.rows, block.commit, block.schemas)
    if isal_zlib.crc32(data[block.start : block.end], bare) != block.checksum:
        place = block.start - ALIGNMENT
        raise ArchiveError(f"{name}: the block at byte {place} (commit {block.commit}) differs from its checksum; restore it from a copy")


class SegmentWriter:
    """One segment that is being appended to.

    Parameters
    ----------
    folder
        The archive's folder; ``name`` is a path inside it.
    name
        Name of the file as the index lists it.
    record
        What it holds; a new file's record has length 0.
    threads
        Where blocks are written while the caller goes on; `sync` waits for them. None writes each before it goes on.

    Attributes
    ----------
    record
        What it holds now, with what was appended last.
    """

    def __init__(self, folder: Path, name: str, record: FileRecord, threads: Executor | None = None) -> None:
        self.name = name
        self.record = record
        self._path, self._threads = folder / name, threads
        self._schemas: dict[bytes, int] = {}
        self._waiting: list[Future[None]] = []
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._window: mmap.mmap | None = None
        self._direct = False
        if record.kind in ("packets", "selected"):
            self._schemas = self._schemas_written() if record.length else {}
            self._direct = record.length % SECTOR == 0 and set_direct(self._file, on=True)

    def append(self, payload: Any, *, rows: int, commit: int) -> tuple[int, int]:
        """Append one block and give where it begins and ends; ``payload`` must not change before `sync`.

        Raises
        ------
        ArchiveError
            If the disk does not take it (with threads, `sync` raises it); the file then ends where it ended before.
        """
        start, size = self.record.length, memoryview(payload).nbytes
        end = _aligned(start + ALIGNMENT + size)

        def write() -> None:
            header = block_header(payload, rows=rows, commit=commit)
            write_fully(self._file, [header, payload, bytes(end - start - ALIGNMENT - size)], start)

        self._append(write, end, rows, commit)
        return start, end

    def append_packets(self, packets: Packets, *, commit: int) -> tuple[int, int, NDArray[np.int64]]:
        """Append packets as one block: where it begins and ends, and where each body lies in the file (n,); raises like `append`."""
        start = self.record.length
        used = np.unique(packets.schema).tolist()
        head, places = self._new_schemas([packets.schemas[i] for i in used], start + ALIGNMENT)
        where = np.zeros(len(packets.schemas), np.int64)
        where[used] = [places[packets.schemas[i]] for i in used]
        block = PacketBlock(
            packets.buffer,
            packets.starts,
            packets.ends,
            where[packets.schema],
            first=ALIGNMENT,
            head=head,
            aligned=SECTOR if self._direct else ALIGNMENT,
        )
        counts = (block.length - ALIGNMENT, len(packets), commit, len(places) - len(self._schemas))
        self._append(lambda: self._write_packets(block, start, counts), start + block.length, len(packets), commit)
        self._schemas = places
        return start, start + block.length, block.places + start

    def _write_packets(self, block: PacketBlock, start: int, counts: tuple[int, int, int, int]) -> None:
        if self._window is None:
            self._window = mmap.mmap(-1, WINDOW)
        block.write(self._file, start, self._window, bare_checksum(*counts), lambda checksum: _HEADER.pack(_MAGIC, *counts, checksum))

    def _append(self, write: Callable[[], None], end: int, rows: int, commit: int) -> None:
        """Have a block written, and count it."""
        if self._threads is None:
            try:
                write()
            except OSError as error:
                self.cut(self.record)
                raise self._refused("write to", error) from error
        else:
            before = self._waiting[-1:]
            self._waiting.append(self._threads.submit(_write_after, before, write))
        first = self.record.first_commit or commit
        self.record = replace(self.record, length=end, rows=self.record.rows + rows, first_commit=first, last_commit=commit)

    def _new_schemas(self, schemas: Sequence[bytes], base: int) -> tuple[bytes, dict[bytes, int]]:
        """Give the bytes of the schemas that the file lacks, and the place of every schema once these lie at ``base``."""
        places, head = dict(self._schemas), bytearray()
        for schema in schemas:
            if schema not in places:
                places[schema] = base + len(head)
                head += _LONG.pack(len(schema)) + schema + bytes(-len(schema) % 8)
        return bytes(head), places

    def _schemas_written(self) -> dict[bytes, int]:
        data = memoryview(map_file(self._path))[: self.record.length]
        found = {}
        for block in blocks(data, self.name):
            place = block.start
            for _ in range(block.schemas):
                schema = schema_at(data, place)
                found[schema] = place
                place += _LONG.size + len(schema) + -len(schema) % 8
        return found

    def _refused(self, what: str, error: OSError) -> ArchiveError:
        return ArchiveError(f"cannot {what} {self._path}: {error.strerror}; free some space or repair the disk")

    def cut(self, record: FileRecord) -> None:
        """Go back to what ``record`` says: whatever lies beyond was not committed."""
        wait(self._waiting)
        self._waiting.clear()
        os.ftruncate(self._file, record.length)
        self._schemas = {schema: place for schema, place in self._schemas.items() if place < record.length}
        self.record = record

    def sync(self) -> None:
        """Have the disk keep what was appended.

        Raises
        ------
        ArchiveError
            If it does not.
        """
        try:
            for written in self._waiting:
                written.result()
        except OSError as error:
            raise self._refused("write to", error) from error
        self._waiting.clear()
        try:
            os.fdatasync(self._file)
        except OSError as error:
            raise self._refused("sync", error) from error

    def close(self) -> None:
        """Let go of the file."""
        wait(self._waiting)
        os.close(self._file)


def _write_after(before: list[Future[None]], write: Callable[[], None]) -> None:
    """Write a block once the one before it in its file is written."""
    wait(before)
    write()


def map_file(path: Path) -> pa.Buffer:
    """Map a file into memory, to be read where it lies.

    Raises
    ------
    ArchiveError
        If it is not there.
    """
    try:
        if path.stat().st_size == 0:
            return pa.py_buffer(b"")
        return pa.memory_map(str(path)).read_buffer()
    except FileNotFoundError as error:
        raise ArchiveError(f"{path} is listed in the archive and not there; restore it from a copy") from error


def schema_at(data: memoryview, place: int) -> bytes:
    """Read the schema that lies at ``place`` of a packet segment."""
    (size,) = _LONG.unpack(data[place : place + _LONG.size])
    return bytes(data[place + _LONG.size : place + _LONG.size + size])


def packets_at(data: memoryview, offsets: NDArray[np.int64], lengths: NDArray[np.int64], name: str) -> Packets:
    """Read packets out of a segment: bodies at ``offsets`` (n,) of ``lengths`` (n,), each with its schema.

    Raises
    ------
    ArchiveError
        If no packet of that length lies at one of the places.
    """
    words = np.frombuffer(data[: len(data) // 8 * 8], np.int64)
    wrong = (offsets % 8 != 0) | (offsets < ALIGNMENT + PREFIX) | (offsets + lengths > len(data))
    heads = np.where(wrong, 2, offsets // 8)
    wrong |= words[heads - 1] != lengths
    if wrong.any():
        first = int(np.argmax(wrong))
        raise ArchiveError(f"{name} holds no packet of {lengths[first]} bytes at byte {offsets[first]}; run `fink archive verify`")
    places, schema = np.unique(words[heads - 2], return_inverse=True)
    schemas = tuple(schema_at(data, place) for place in places.tolist())
    ends = np.cumsum(lengths, dtype=np.int64)
    buffer = np.zeros(int(lengths.sum()) + PADDING, np.uint8)
    _gather(buffer, ends - lengths, np.frombuffer(data, np.uint8), offsets, lengths)
    return Packets(buffer, ends - lengths, ends, schema.astype(np.int32), schemas)


@njit(cache=True, nogil=True)
def _gather(out: Any, places: Any, buffer: Any, starts: Any, sizes: Any) -> None:
    for i in range(len(starts)):
        out[places[i] : places[i] + sizes[i]] = buffer[starts[i] : starts[i] + sizes[i]]
