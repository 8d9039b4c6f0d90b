"""Avro object container files, and the framing of Kafka messages: where the records lie, and what is broken.

Many files that lie in one buffer are scanned at once. Blocks before a break stand; what follows the break in a file is one broken item.
"""

from __future__ import annotations

import bz2
import hashlib
import io
import lzma
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

import cramjam
import numpy as np
import pyarrow as pa

from fink.codecs import kernel
from fink.codecs.avro import Bytes, Ints, padded, reason, split_records
from fink.codecs.fallback import split_slowly
from fink.codecs.schemas import WriterSchema, compile_program, parse_schema
from fink.errors import PacketError, SchemaError

MAGIC = b"Obj\x01"
CODECS = ("null", "deflate", "snappy", "zstandard", "bzip2", "xz")
MOST_BYTES = 1 << 28
"""Largest block after decompression [byte]; a larger one is refused."""
TRUNCATED = "the file ends in the middle of a block"
"""The reason of a break that more bytes would mend."""
_SYNC = 16
_HEADERS_KEPT = 256
_BREAKS = {
    kernel.FILE_EMPTY: "the file is empty",
    kernel.FILE_BAD_BLOCK_COUNT: "a block has a number of records that is no number",
    kernel.FILE_BAD_BLOCK_SIZE: "a block has a size that is no number",
    kernel.FILE_TRUNCATED: TRUNCATED,
    kernel.FILE_BAD_SYNC: "the sync marker behind a block is wrong",
}


@dataclass(frozen=True)
class ContainerHeader:
    """The beginning of a container file: how its records were written.

    ``header_length`` is where the first block begins [byte]; the last 16 bytes before it are the ``sync`` marker.
    """

    schema: WriterSchema
    codec: str
    sync: bytes
    header_length: int


@dataclass(frozen=True)
class Broken:
    """A part of a file that cannot be read, as one item: bytes ``start`` to ``end`` of the buffer, of the file numbered ``file``."""

    file: int
    start: int
    end: int
    reason: str


@dataclass(frozen=True, eq=False)
class ContainerScan:
    """The blocks of many files, in the files' order.

    Attributes
    ----------
    file, starts, ends, counts
        ``(n_blocks,)``; number of the file, range of the (possibly compressed) payload, number of records promised.
    headers
        The distinct headers.
    file_header
        ``(n_files,)``; which header the file has, -1 if it could not be read.
    broken
        What could not be read.
    """

    file: Ints
    starts: Ints
    ends: Ints
    counts: Ints
    headers: tuple[ContainerHeader, ...]
    file_header: Ints
    broken: tuple[Broken, ...]


@dataclass
class KnownHeaders:
    """Headers seen before, by their bytes up to the sync marker; a file that begins like one of them is not parsed again."""

    prefixes: list[bytes] = field(default_factory=list)
    headers: list[ContainerHeader] = field(default_factory=list)

    def add(self, prefix: bytes, header: ContainerHeader) -> None:
        """Remember one more header."""
        self.prefixes.append(prefix)
        self.headers.append(header)

    def forget_if_many(self) -> None:
        """Begin anew when a stream of unlike files has filled the memory."""
        if len(self.prefixes) > _HEADERS_KEPT:
            self.prefixes.clear()
            self.headers.clear()


def _read_varint(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """Read one zigzag integer of a header; give it and the next position."""
    value = shift = 0
    for position in range(at, min(at + 10, len(data))):
        byte = data[position]
        value |= (byte & 127) << shift
        if byte < 128:
            return (value >> 1) ^ -(value & 1), position + 1
        shift += 7
    raise PacketError("the container's header ends early or holds an integer of more than 64 bits")


def _read_bytes(data: memoryview, at: int) -> tuple[bytes, int]:
    """Read one bytes value of a header; give it and the next position."""
    length, at = _read_varint(data, at)
    if length < 0 or length > len(data) - at:
        raise PacketError(f"the container's header names {length} bytes where {len(data) - at} are left")
    return bytes(data[at : at + length]), at + length


def read_header(data: bytes | memoryview | Bytes, offset: int = 0) -> ContainerHeader:
    """Read the header of the container file that begins at ``offset``.

    Raises
    ------
    PacketError
        If there is no readable header, or the codec is unknown.
    SchemaError
        If the schema in it cannot be read.
    """
    view = memoryview(data)[offset:]  # type: ignore[arg-type]  # an array gives its buffer
    if bytes(view[:4]) != MAGIC:
        raise PacketError(f"not an Avro container file: it begins with {bytes(view[:4])!r} where {MAGIC!r} is expected")
    metadata: dict[bytes, bytes] = {}
    at = 4
    while True:
        count, at = _read_varint(view, at)
        if count == 0:
            break
        if count < 0:
            count = -count
            _, at = _read_varint(view, at)
        for _ in range(count):
            key, at = _read_bytes(view, at)
            metadata[key], at = _read_bytes(view, at)
    if len(view) < at + _SYNC:
        raise PacketError("the container's header ends before its sync marker")
    return _header_from(metadata, bytes(view[at : at + _SYNC]), at + _SYNC)


def _header_from(metadata: Mapping[bytes, bytes], sync: bytes, length: int) -> ContainerHeader:
    """Make a header from its metadata."""
    codec = metadata.get(b"avro.codec", b"null").decode("utf-8", "replace")
    if codec not in CODECS:
        raise PacketError(f"the container's codec {codec!r} is not one of {', '.join(CODECS)}")
    if b"avro.schema" not in metadata:
        raise PacketError("the container's header has no avro.schema")
    return ContainerHeader(parse_schema(metadata[b"avro.schema"]), codec, sync, length)


def scan(buffer: Bytes, starts: Ints, ends: Ints, known: KnownHeaders | None = None) -> ContainerScan:
    """Find the blocks of the container files that lie at ``starts`` to ``ends`` of a buffer.

    Parameters
    ----------
    buffer
        Bytes, with at least `fink.codecs.avro.PADDING` more behind the last end.
    known
        Headers of earlier scans; those of this one are added.
    """
    known = KnownHeaders() if known is None else known
    known.forget_if_many()
    starts, ends = np.ascontiguousarray(starts, np.int64), np.ascontiguousarray(ends, np.int64)
    todo = np.arange(len(starts))
    file_header = np.full(len(starts), -1, np.int64)
    parts: list[Ints] = []
    broken: list[Broken] = []
    while len(todo):
        blocks, state, stopped, found = _scan_known(buffer, starts[todo], ends[todo], known)
        blocks[:, 0] = todo[blocks[:, 0]]
        parts.append(blocks)
        file_header[todo] = found
        broken += [
            Broken(int(todo[i]), int(stopped[i]), int(ends[todo[i]]), _BREAKS[int(state[i])])
            for i in np.flatnonzero((state != kernel.FILE_WHOLE) & (state != kernel.FILE_HEADER_UNKNOWN))
        ]
        todo = todo[state == kernel.FILE_HEADER_UNKNOWN]
        while len(todo) and (unreadable := _learn(buffer, int(todo[0]), starts, ends, known)) is not None:
            broken.append(unreadable)
            todo = todo[1:]
    table = np.concatenate(parts) if parts else np.zeros((0, 4), np.int64)
    table = table[np.argsort(table[:, 0], kind="stable")]
    file, first, stop, counts = (np.ascontiguousarray(table[:, j]) for j in range(4))
    return ContainerScan(file, first, stop, counts, tuple(known.headers), file_header, tuple(sorted(broken, key=lambda item: item.file)))


def _learn(buffer: Bytes, file: int, starts: Ints, ends: Ints, known: KnownHeaders) -> Broken | None:
    """Read the header of one file and remember it; give what is broken if it cannot be read."""
    start, end = int(starts[file]), int(ends[file])
    try:
        header = read_header(buffer[start:end])
    except (PacketError, SchemaError) as error:
        return Broken(file, start, end, str(error))
    known.add(buffer[start : start + header.header_length - _SYNC].tobytes(), header)
    return None


def _scan_known(buffer: Bytes, starts: Ints, ends: Ints, known: KnownHeaders) -> tuple[Ints, Ints, Ints, Ints]:
    """Scan files with the headers known so far: blocks, and for each file its state, where it broke and its header."""
    n = len(starts)
    prefixes = [np.frombuffer(prefix + bytes(8), np.uint8) for prefix in known.prefixes]
    addresses = np.array([prefix.ctypes.data for prefix in prefixes], np.int64)
    lengths = np.array([len(prefix) for prefix in known.prefixes], np.int64)
    file_header, state, stopped = np.full(n, -1, np.int64), np.zeros(n, np.int64), starts.copy()
    resume = np.zeros(2, np.int64)
    blocks, used = np.zeros((n + 64, 4), np.int64), 0
    while True:
        used = kernel.scan_containers(
            buffer.ctypes.data, starts, ends, addresses, lengths, resume, file_header, state, stopped, blocks, used
        )
        if resume[0] >= n:
            return blocks[:used], state, stopped, file_header
        blocks = np.concatenate([blocks, np.zeros_like(blocks)])


def decompress_block(codec: str, data: bytes, most: int = MOST_BYTES) -> bytes:
    """Decompress the payload of a block.

    Raises
    ------
    PacketError
        If the payload is damaged, or larger than ``most`` bytes when unpacked.
    """
    try:
        unpacked = _decompress(codec, data, most)
    except (zlib.error, lzma.LZMAError, OSError, ValueError, EOFError, cramjam.DecompressionError) as error:
        raise PacketError(f"a block that is packed with {codec} cannot be unpacked: {error}") from error
    if len(unpacked) > most:
        raise PacketError(f"a block that is packed with {codec} takes more than {most} bytes when unpacked")
    return unpacked


def _decompress(codec: str, data: bytes, most: int) -> bytes:
    """Unpack at most one byte more than ``most``."""
    if codec == "null":
        return data
    if codec == "deflate":
        inflate = zlib.decompressobj(-15)
        unpacked = inflate.decompress(data, most + 1)
        return _whole(unpacked, inflate.eof, most)
    if codec == "bzip2":
        bunzip = bz2.BZ2Decompressor()
        unpacked = bunzip.decompress(data, most + 1)
        return _whole(unpacked, bunzip.eof, most)
    if codec == "xz":
        unxz = lzma.LZMADecompressor()
        unpacked = unxz.decompress(data, most + 1)
        return _whole(unpacked, unxz.eof, most)
    if codec == "zstandard":
        with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
            return bytes(stream.read(most + 1))
    if codec == "snappy":
        return _unsnap(data, most)
    raise PacketError(f"the container's codec {codec!r} is not one of {', '.join(CODECS)}")


def _whole(unpacked: bytes, at_end: bool, most: int) -> bytes:
    """Refuse a packed stream that ends early."""
    if not at_end and len(unpacked) <= most:
        raise ValueError("it ends early")
    return unpacked


def _unsnap(data: bytes, most: int) -> bytes:
    """Unpack raw snappy with the CRC-32 that Avro puts behind it; the length stands in front and is believed only up to ``most``."""
    body, crc = data[:-4], data[-4:]
    length = 0
    for shift, byte in enumerate(body[:5]):
        length |= (byte & 127) << (7 * shift)
        if byte < 128:
            break
    if length > most:
        raise PacketError(f"a block that is packed with snappy takes {length} bytes when unpacked, more than {most}")
    unpacked = bytes(cramjam.snappy.decompress_raw(body))
    if zlib.crc32(unpacked) != int.from_bytes(crc, "big"):
        raise ValueError("its checksum is wrong")
    return unpacked


def compress_block(codec: str, data: bytes) -> bytes:
    """Pack the payload of a block."""
    if codec == "null":
        return data
    if codec == "deflate":
        deflate = zlib.compressobj(wbits=-15)
        return deflate.compress(data) + deflate.flush()
    if codec == "bzip2":
        return bz2.compress(data)
    if codec == "xz":
        return lzma.compress(data)
    if codec == "zstandard":
        return bytes(cramjam.zstd.compress(data, level=3))
    if codec == "snappy":
        return bytes(cramjam.snappy.compress_raw(data)) + zlib.crc32(data).to_bytes(4, "big")
    raise SchemaError(f"no codec {codec!r}; there are {', '.join(CODECS)}")


@dataclass(frozen=True, eq=False)
class Records:
    """Records of one schema, ready to be decoded: ``starts`` to ``ends`` of ``buffer``; ``file`` says where each came from."""

    schema: WriterSchema
    buffer: Bytes
    starts: Ints
    ends: Ints
    file: Ints


def read_containers(buffer: Bytes, starts: Ints, ends: Ints, known: KnownHeaders | None = None) -> tuple[list[Records], list[Broken]]:
    """Find every record of many container files, unpacking blocks where they are packed; one `Records` for each header.

    A block whose records cannot be told apart beyond some point gives the records before it, and one broken item for the rest.
    """
    found = scan(buffer, starts, ends, known)
    records, broken = [], list(found.broken)
    block_header = found.file_header[found.file]
    for i in np.unique(block_header):
        chosen = np.flatnonzero(block_header == i)
        header = found.headers[i]
        blocks = (found.starts[chosen], found.ends[chosen], found.counts[chosen], found.file[chosen])
        part, unreadable = _read_blocks(buffer, header, *blocks)
        records.append(part)
        broken.extend(unreadable)
    return records, broken


def _read_blocks(
    buffer: Bytes, header: ContainerHeader, starts: Ints, ends: Ints, counts: Ints, file: Ints
) -> tuple[Records, list[Broken]]:
    """Find the records of blocks that have one header."""
    broken = []
    origin_starts, origin_ends = starts, ends
    if header.codec != "null":
        buffer, starts, ends, damaged = _unpack(buffer, header.codec, starts, ends)
        counts = np.where([i in damaged for i in range(len(counts))], 0, counts)
        broken = [Broken(int(file[i]), int(origin_starts[i]), int(origin_ends[i]), why) for i, why in damaged.items()]
    try:
        splits = split_records(compile_program(header.schema, ()), buffer, starts, ends, counts)
    except SchemaError:
        splits = split_slowly(header.schema, buffer, starts, ends, counts)
    for i in np.flatnonzero(splits.status):
        at, end = (origin_starts[i], origin_ends[i]) if header.codec != "null" else (splits.stopped[i], ends[i])
        broken.append(Broken(int(file[i]), int(at), int(end), reason(int(splits.status[i]))))
    return Records(header.schema, buffer, splits.starts, splits.ends, file[splits.block]), broken


def _unpack(buffer: Bytes, codec: str, starts: Ints, ends: Ints) -> tuple[Bytes, Ints, Ints, dict[int, str]]:
    """Unpack blocks into a new buffer; a damaged one is empty there, with its reason."""
    payloads, damaged = [], {}
    for i, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        try:
            payloads.append(decompress_block(codec, buffer[start:end].tobytes()))
        except PacketError as error:
            payloads.append(b"")
            damaged[i] = error.reason
    stops = np.cumsum([len(payload) for payload in payloads], dtype=np.int64)
    return padded(b"".join(payloads)), np.concatenate([np.zeros(1, np.int64), stops[:-1]]), stops, damaged


def confluent_id(message: bytes) -> int:
    """Give the schema id of a message in Confluent's wire format; the Avro record begins at byte 5.

    Raises
    ------
    PacketError
        If the message does not begin as that format does.
    """
    if len(message) < 5 or message[0] != 0:
        raise PacketError(
            f"not in Confluent's wire format: it begins with {bytes(message[:5])!r} where a zero and a schema id are expected"
        )
    return int.from_bytes(message[1:5], "big")


def confluent_ids(buffer: Bytes, starts: Ints, ends: Ints) -> Ints:
    """Give the schema id of each message that lies in a buffer, -1 where one is not in Confluent's wire format."""
    framed = (ends - starts >= 5) & (buffer[np.minimum(starts, len(buffer) - 1)] == 0)
    ids = np.full(len(starts), -1, np.int64)
    at = starts[framed]
    ids[framed] = sum(buffer[at + j].astype(np.int64) << (8 * (4 - j)) for j in range(1, 5))
    return ids


def _varint(value: int) -> bytes:
    """Write one zigzag integer."""
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _sized(data: bytes) -> bytes:
    """Write a bytes value."""
    return _varint(len(data)) + data


class ContainerWriter:
    """Writes container files from records that are already encoded; can go on at a recorded length.

    The sync marker is made from the schema and the codec, so the same records give the same file.

    Parameters
    ----------
    file
        Open for reading and writing binary data.
    length
        Where to go on [byte]; 0 begins a new file. Whatever lies behind is cut off.
    """

    def __init__(self, file: BinaryIO, schema_text: bytes | str, codec: str = "null", *, length: int = 0) -> None:
        if codec not in CODECS:
            raise SchemaError(f"no codec {codec!r}; there are {', '.join(CODECS)}")
        text = schema_text.encode() if isinstance(schema_text, str) else schema_text
        self.file = file
        self.codec = codec
        self.sync = hashlib.sha256(codec.encode() + b"\n" + text).digest()[:_SYNC]
        metadata = _varint(2) + _sized(b"avro.schema") + _sized(text) + _sized(b"avro.codec") + _sized(codec.encode()) + b"\x00"
        if length == 0:
            file.write(MAGIC + metadata + self.sync)
        else:
            self._go_on(MAGIC + metadata + self.sync, length)

    def _go_on(self, header: bytes, length: int) -> None:
        """Cut the file at a recorded length, after checking that it begins as this writer would have begun it."""
        size = self.file.seek(0, os.SEEK_END)
        self.file.seek(0)
        if size < length or self.file.read(len(header)) != header:
            raise PacketError(f"the container file of {size} bytes is not the one that was written to length {length} with this schema")
        self.file.truncate(length)
        self.file.seek(length)

    def append(self, buffer: Bytes, starts: Ints, ends: Ints, block_bytes: int = 1 << 20) -> None:
        """Write records, in blocks of about ``block_bytes``."""
        if len(starts) == 0:
            return
        sizes = np.cumsum(ends - starts)
        numbers = np.unique(sizes // block_bytes, return_index=True)[1]
        for first, stop in zip(numbers.tolist(), [*numbers[1:].tolist(), len(starts)], strict=True):
            payload = compress_block(self.codec, _joined(buffer, starts[first:stop], ends[first:stop]))
            self.file.write(_varint(stop - first) + _varint(len(payload)))
            self.file.write(payload)
            self.file.write(self.sync)


def _joined(buffer: Bytes, starts: Ints, ends: Ints) -> bytes:
    """Copy ranges of a buffer, one behind the other."""
    if (starts[1:] == ends[:-1]).all():
        return buffer[starts[0] : ends[-1]].tobytes()
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(ends - starts)])
    out = np.empty(int(offsets[-1]), np.uint8)
    kernel.gather_bytes(buffer.ctypes.data, np.ascontiguousarray(starts), offsets, out)
    return out.tobytes()


def write_container(
    target: str | os.PathLike[str] | BinaryIO,
    schema_text: bytes | str,
    buffer: Bytes,
    starts: Ints,
    ends: Ints,
    codec: str = "null",
    block_bytes: int = 1 << 20,
) -> None:
    """Write records that are already encoded as one container file."""
    if isinstance(target, (str, os.PathLike)):
        with open(target, "wb") as file:
            ContainerWriter(file, schema_text, codec).append(buffer, starts, ends, block_bytes)
    else:
        ContainerWriter(target, schema_text, codec).append(buffer, starts, ends, block_bytes)


def warm_up() -> None:
    """Compile the kernels, or load them from the disk cache; later calls then start at once."""
    empty = padded(MAGIC)
    scan(empty, np.zeros(1, np.int64), np.zeros(1, np.int64))
    kernel.gather_bytes(empty.ctypes.data, np.zeros(1, np.int64), np.zeros(2, np.int64), np.zeros(1, np.uint8))


def container_of(schema_text: bytes, body: bytes) -> bytes:
    """Make a container file of one record that is already encoded, readable or not: its bytes with the schema they were written in."""
    file = io.BytesIO()
    ContainerWriter(file, schema_text).append(np.frombuffer(body, np.uint8), np.zeros(1, np.int64), np.array([len(body)]))
    return file.getvalue()
