"""Avro records to columns: a batch of records in one buffer becomes flat arrays, ragged where the schema has arrays.

No Python object is made for a record. Texts and bytes stay where they are, as ranges into the buffer. A record that is wrong gets a
status and leaves no rows; the others stand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fink.codecs import kernel
from fink.codecs.kernel import PADDING
from fink.codecs.schemas import Program, ProgramColumn, compile_program, parse_schema
from fink.errors import SchemaError, did_you_mean

__all__ = ["PADDING", "Decoded", "Splits", "decode", "padded", "reason", "split_records", "warm_up"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Number = TypeVar("Number", bound=np.generic)

_REASONS = {
    kernel.GOOD: "good",
    kernel.ENDS_EARLY: "the record ends in the middle of a field",
    kernel.BAD_BRANCH: "the byte {detail} names no branch of a union",
    kernel.BAD_LENGTH: "a text or bytes value is longer than what is left of the record, or of negative length",
    kernel.BAD_VARINT: "an integer takes more than 64 bits",
    kernel.BAD_COUNT: "an array has more items than what is left of the record can hold",
    kernel.BAD_BOOL: "a boolean has the value {detail}",
    kernel.BAD_ENUM: "an enumeration has a value that it does not define",
    kernel.BAD_TEXT: "a text is not UTF-8",
    kernel.TRAILING: "bytes follow the end of the record",
    kernel.UNREADABLE: "the reference decoder cannot read the record",
}


def reason(status: int) -> str:
    """Say in words what a record's status means, and at which of its bytes the decoder stopped."""
    place, rest = divmod(int(status), kernel.PLACE)
    detail, code = divmod(rest, kernel.DETAIL)
    at = f" (at byte {place:,})" if code not in (kernel.GOOD, kernel.UNREADABLE) else ""
    return _REASONS[code].format(detail=detail) + at


def padded(data: bytes | bytearray | memoryview) -> Bytes:
    """Copy bytes into a buffer with the padding that decoding needs behind them."""
    buffer = np.zeros(len(data) + PADDING, np.uint8)
    buffer[: len(data)] = np.frombuffer(data, np.uint8)
    return buffer


@dataclass(frozen=True, eq=False)
class Decoded:
    """The columns of a batch of records.

    Attributes
    ----------
    n
        Number of records, bad ones included: a bad record is null in every column of its own and has no item in any array.
    status
        ``(n,)``; 0 is good, else `reason` says what is wrong.
    buffer
        The bytes that `ranges` point into; keep it unchanged as long as ranges or texts are asked for.
    """

    n: int
    status: Ints
    buffer: Bytes
    columns: tuple[ProgramColumn, ...]
    _places: dict[str, int] = field(repr=False)
    _values: list[Ints] = field(repr=False)
    _valid: list[Bytes] = field(repr=False)
    _lengths: list[Ints | None] = field(repr=False)
    _offsets: dict[str, Ints] = field(repr=False)

    def __contains__(self, path: str) -> bool:
        """Say whether there is a column of this path."""
        return path in self._places

    def _place(self, path: str) -> int:
        """Find a column."""
        if path not in self._places:
            raise SchemaError(f"no column {path} was decoded{did_you_mean(path, self._places)}")
        return self._places[path]

    def values(self, path: str) -> Floats | Ints:
        """Give a column's values: float64 with NaN for null, or int64 with 0 for null (booleans and enumerations too)."""
        place = self._place(path)
        kind = self.columns[place].kind
        if kind in ("string", "bytes"):
            raise SchemaError(f"{path} is a {kind}: ask for its ranges or its text")
        return self._values[place].view(np.float64) if kind == "float" else self._values[place]

    def valid(self, path: str) -> Bools:
        """Say for each row whether the column has a value there."""
        return self._valid[self._place(path)].view(np.bool_)

    def ranges(self, path: str) -> tuple[Ints, Ints, Bools]:
        """Give where a column's texts or bytes lie in ``buffer``: first byte, length [byte], and whether there is a value."""
        place = self._place(path)
        lengths = self._lengths[place]
        if lengths is None:
            raise SchemaError(f"{path} is a {self.columns[place].kind}: ask for its values")
        return self._values[place], lengths, self._valid[place].view(np.bool_)

    def offsets(self, group: str) -> Ints:
        """Give ``(n_parent + 1,)``: items ``offsets[i]`` to ``offsets[i + 1]`` of the array are those of row ``i``."""
        if group not in self._offsets:
            raise SchemaError(f"no array {group} was decoded{did_you_mean(group, self._offsets)}")
        return self._offsets[group]

    def text(self, path: str) -> pa.Array:
        """Give a column as Arrow strings (names of symbols for an enumeration, binary for bytes)."""
        place = self._place(path)
        column = self.columns[place]
        if column.symbols:
            codes = pa.array(self._values[place], mask=~self.valid(path))
            return pa.DictionaryArray.from_arrays(codes.cast(pa.int32()), pa.array(column.symbols)).cast(pa.string())
        starts, lengths, valid = self.ranges(path)
        return _gather(self.buffer, starts, lengths, valid, pa.large_binary() if column.kind == "bytes" else pa.string())


def _gather(buffer: Bytes, starts: Ints, lengths: Ints, valid: Bools, kind: pa.DataType) -> pa.Array:
    """Copy ranges of a buffer into an Arrow array."""
    offsets = np.zeros(len(starts) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    out = np.empty(int(offsets[-1]), np.uint8)
    kernel.gather_bytes(buffer.ctypes.data, starts, offsets, out)
    if kind == pa.string():
        offsets = offsets.astype(np.int32)
    bitmap = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(kind, len(starts), [bitmap, pa.py_buffer(offsets), pa.py_buffer(out)])


class _Tables:
    """The arrays that one call fills; they grow while it runs and become the result."""

    def __init__(self, program: Program, n: int) -> None:
        self.program = program
        self.capacity = [n] + [max(64, 32 * n)] * (len(program.groups) - 1)
        self.values: list[Ints] = []
        self.valid: list[Bytes] = []
        self.lengths: list[Ints | None] = []
        for column in program.columns:
            room = self.capacity[column.group]
            self.values.append(np.empty(room, np.int64))
            self.valid.append(np.empty(room, np.uint8))
            self.lengths.append(np.empty(room, np.int64) if column.kind in ("string", "bytes") else None)
        self.offsets = [np.zeros(self.capacity[max(group.parent, 0)] + 1, np.int64) for group in program.groups]
        self.column_words = np.zeros((len(program.columns) + 1, kernel.COLUMN_WORDS), np.int64)
        self.group_words = np.zeros((len(program.groups), kernel.GROUP_WORDS), np.int64)
        self.describe()

    def describe(self) -> None:
        """Tell the kernel where everything lies."""
        for i, column in enumerate(self.program.columns):
            lengths = self.lengths[i]
            null = kernel.NAN_BITS if column.kind == "float" else 0
            self.column_words[i, :5] = (
                self.values[i].ctypes.data,
                self.valid[i].ctypes.data,
                0 if lengths is None else lengths.ctypes.data,
                column.group,
                null,
            )
        for i, group in enumerate(self.program.groups):
            self.group_words[i, 0] = self.offsets[i].ctypes.data
            self.group_words[i, 1] = group.parent
            self.group_words[i, 3] = self.capacity[i]

    def rows(self, group: int) -> int:
        """Give how many rows a group has."""
        return self.capacity[0] if group == 0 else int(self.group_words[group, 2])

    def grow(self, group: int, need: int, done: int) -> None:
        """Make room for at least ``need`` rows in a group, and for what the records to come should need by those that are ``done``."""
        rows, room = self.rows(group), self.capacity[group]
        to_come = need * self.capacity[0] // (done + 1)
        room = max(need, 2 * room, min(to_come + to_come // 4, 16 * room))
        self.capacity[group] = room
        for i, column in enumerate(self.program.columns):
            if column.group == group:
                self.values[i] = _longer(self.values[i], rows, room)
                self.valid[i] = _longer(self.valid[i], rows, room)
                lengths = self.lengths[i]
                self.lengths[i] = None if lengths is None else _longer(lengths, rows, room)
        for i, child in enumerate(self.program.groups):
            if child.parent == group:
                self.offsets[i] = _longer(self.offsets[i], rows + 1, room + 1)
        self.describe()

    def result(self, buffer: Bytes, status: Ints) -> Decoded:
        """Cut everything to its length; records that are bad become null."""
        columns, groups = self.program.columns, self.program.groups
        bad = np.flatnonzero(status)
        for i, column in enumerate(columns):
            rows = self.rows(column.group)
            self.values[i], self.valid[i] = self.values[i][:rows], self.valid[i][:rows]
            lengths = self.lengths[i]
            self.lengths[i] = None if lengths is None else lengths[:rows]
            if column.group == 0 and len(bad):
                self.values[i][bad] = kernel.NAN_BITS if column.kind == "float" else 0
                self.valid[i][bad] = 0
                if lengths is not None:
                    lengths[bad] = 0
        offsets = {groups[i].path: self.offsets[i][: self.rows(groups[i].parent) + 1] for i in range(1, len(groups))}
        places = {column.path: i for i, column in enumerate(columns)}
        return Decoded(self.capacity[0], status, buffer, columns, places, self.values, self.valid, self.lengths, offsets)


def _longer(array: npt.NDArray[Number], rows: int, room: int) -> npt.NDArray[Number]:
    """Copy the rows that are in use into a longer array."""
    longer = np.empty(room, array.dtype)
    longer[:rows] = array[:rows]
    return longer


def _check_span(buffer: Bytes, starts: Ints, ends: Ints) -> None:
    """Refuse ranges that the kernel may not touch."""
    if buffer.dtype != np.uint8 or not buffer.flags.c_contiguous:
        raise SchemaError(f"the buffer must be contiguous uint8, not {buffer.dtype}")
    if len(starts) != len(ends):
        raise SchemaError(f"{len(starts)} starts but {len(ends)} ends of records")
    if len(starts) and (starts.min() < 0 or (ends < starts).any() or ends.max() + PADDING > len(buffer)):
        raise SchemaError(f"records must lie inside the buffer of {len(buffer)} bytes, with {PADDING} bytes behind the last one")


def decode(program: Program, buffer: Bytes, starts: Ints, ends: Ints, *, exact: bool = True) -> Decoded:
    """Decode the records that lie at ``starts`` to ``ends`` of a buffer.

    Parameters
    ----------
    buffer
        Bytes, with at least `PADDING` more behind the last end.
    starts, ends
        ``(n,)``; where each record's first byte and the byte behind its last one lie.
    exact
        Whether a record must end exactly at its end; otherwise bytes behind it are ignored.

    Raises
    ------
    SchemaError
        If the ranges do not lie inside the buffer.
    """
    starts, ends = np.ascontiguousarray(starts, np.int64), np.ascontiguousarray(ends, np.int64)
    _check_span(buffer, starts, ends)
    n = len(starts)
    tables = _Tables(program, n)
    status = np.zeros(n, np.int64)
    demand = np.zeros(2, np.int64)
    done = 0
    while True:
        done = kernel.decode_records(
            program.code.ctypes.data,
            buffer.ctypes.data,
            starts,
            ends,
            done,
            tables.column_words.ctypes.data,
            tables.group_words.ctypes.data,
            len(program.groups),
            int(exact),
            status,
            demand,
        )
        if done >= n:
            return tables.result(buffer, status)
        tables.grow(int(demand[0]), int(demand[1]), done)


@dataclass(frozen=True, eq=False)
class Splits:
    """Where the records of blocks lie.

    Attributes
    ----------
    starts, ends, block
        ``(n_records,)``; range of each record that was found, and the number of its block.
    n_good
        ``(n_blocks,)``; how many records of the block were found.
    status
        ``(n_blocks,)``; 0 if all were, else `reason` says what stopped it.
    stopped
        ``(n_blocks,)``; where the first record that was not found begins (the block's end if all were).
    """

    starts: Ints
    ends: Ints
    block: Ints
    n_good: Ints
    status: Ints
    stopped: Ints


def split_records(program: Program, buffer: Bytes, block_starts: Ints, block_ends: Ints, counts: Ints) -> Splits:
    """Find where each record begins and ends in blocks that hold several.

    The last record of a block reaches to the block's end, so that decoding it exactly tells of bytes that are left over. A block that
    promises more records than its bytes can hold is broken at its first byte.
    """
    program = _skipping(program)
    block_starts, block_ends, counts = (np.ascontiguousarray(a, np.int64) for a in (block_starts, block_ends, counts))
    _check_span(buffer, block_starts, block_ends)
    status = np.where(counts > (block_ends - block_starts) // max(1, program.smallest), kernel.BAD_COUNT, 0).astype(np.int64)
    usable = np.where(status == 0, counts, 0)
    first = np.concatenate([np.zeros(1, np.int64), np.cumsum(usable)])
    starts, ends = np.zeros(int(first[-1]), np.int64), np.zeros(int(first[-1]), np.int64)
    n_good = np.zeros(len(counts), np.int64)
    if (usable <= 1).all():
        n_good[:] = usable
        starts[:], ends[:] = block_starts[usable == 1], block_ends[usable == 1]
    else:
        kernel.split_blocks(
            program.code.ctypes.data, buffer.ctypes.data, block_starts, block_ends, usable, first, starts, ends, n_good, status
        )
        full = (n_good == usable) & (usable > 0)
        ends[first[1:][full] - 1] = block_ends[full]
    missing = np.append(starts, 0)[first[:-1] + n_good]
    stopped = np.where(status == 0, block_ends, np.where(usable == 0, block_starts, missing))
    found = np.arange(len(starts)) - np.repeat(first[:-1], usable) < np.repeat(n_good, usable)
    block = np.repeat(np.arange(len(counts)), usable)[found]
    return Splits(starts[found], ends[found], block, n_good, status, stopped)


def _skipping(program: Program) -> Program:
    """Give the program that only finds a record's end."""
    return compile_program(program.schema, ())


_WARM_UP = """{"type": "record", "name": "warm", "fields": [
    {"name": "x", "type": "double"}, {"name": "texts", "type": {"type": "array", "items": ["null", "string"]}}]}"""


def warm_up() -> None:
    """Compile the kernels, or load them from the disk cache; later calls then start at once."""
    program = compile_program(parse_schema(_WARM_UP), ("x", "texts[]"))
    record = bytes(8) + b"\x02\x02\x02a\x00"
    buffer = padded(record + record)
    whole, end = np.zeros(1, np.int64), np.array([2 * len(record)], np.int64)
    splits = split_records(program, buffer, whole, end, np.array([2], np.int64))
    decode(program, buffer, splits.starts, splits.ends).text("texts[]")
