"""Avro records to columns without the compiled decoder, for schemas that it does not read (recursive types, maps, wide unions).

fastavro reads record by record; the result is the same `fink.codecs.avro.Decoded`. It is some hundred times slower.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import fastavro
import numpy as np

from fink.codecs import kernel
from fink.codecs.avro import Bytes, Decoded, Ints, Splits, padded
from fink.codecs.schemas import Group, Kind, ProgramColumn, Wanted, WriterSchema
from fink.errors import SchemaError

_UNREADABLE = (EOFError, IndexError, KeyError, ValueError, TypeError, OverflowError, MemoryError, struct.error, RecursionError)
_KINDS: dict[str, Kind] = {
    "boolean": "bool",
    "int": "int",
    "long": "int",
    "float": "float",
    "double": "float",
    "string": "string",
    "bytes": "bytes",
    "enum": "int",
    "fixed": "bytes",
}


@dataclass
class _Layout:
    """The columns and arrays that are wanted of a schema, with the keys that lead to them."""

    schema: WriterSchema
    wanted: Wanted
    columns: list[ProgramColumn] = field(default_factory=list)
    keys: list[tuple[str, ...]] = field(default_factory=list)
    groups: list[Group] = field(default_factory=lambda: [Group("", -1)])
    group_keys: list[tuple[str, ...]] = field(default_factory=lambda: [()])
    open_types: list[str] = field(default_factory=list)

    def walk(self, kind: Any, path: str, keys: tuple[str, ...], group: int) -> None:
        """Enter what is wanted of a type; a recursive type is followed once, a map not at all."""
        branches = [self.schema.resolve(branch) for branch in (kind if isinstance(kind, list) else [kind])]
        leaves = []
        for branch in branches:
            name = branch if isinstance(branch, str) else branch["type"]
            if name in ("record", "error"):
                self.record(branch, path, keys, group)
            elif name == "array":
                self.array(branch["items"], path, keys, group)
            elif name not in ("null", "map"):
                leaves.append((name, tuple(branch["symbols"]) if name == "enum" else ()))
        if leaves and self.wanted(path):
            kinds = {_KINDS[name] for name, _ in leaves}
            self.columns.append(ProgramColumn(path, group, _common_kind(kinds, path), leaves[0][1]))
            self.keys.append(keys)

    def record(self, record: dict[str, Any], path: str, keys: tuple[str, ...], group: int) -> None:
        """Enter what is wanted of a record's fields."""
        if record["name"] in self.open_types:
            return
        self.open_types.append(record["name"])
        for item in record["fields"]:
            inner = self.schema.resolve(item["type"])
            self.walk(inner, f"{path}.{item['name']}" if path else item["name"], (*keys, item["name"]), group)
        self.open_types.pop()

    def array(self, items: Any, path: str, keys: tuple[str, ...], group: int) -> None:
        """Enter an array, if anything in it is wanted."""
        child, n_columns = len(self.groups), len(self.columns)
        self.groups.append(Group(path, group))
        self.group_keys.append(keys)
        self.walk(self.schema.resolve(items), f"{path}[]", (), child)
        if len(self.columns) == n_columns:
            del self.groups[child:], self.group_keys[child:]


def _common_kind(kinds: set[Kind], path: str) -> Kind:
    """Give the one kind that holds all branches of a union."""
    if len(kinds) == 1:
        return next(iter(kinds))
    if kinds <= {"int", "bool"}:
        return "int"
    if kinds <= {"int", "bool", "float"}:
        return "float"
    if "bytes" not in kinds:
        return "string"
    raise SchemaError(f"{path} is a union of {', '.join(sorted(kinds))}, which no one column can hold; leave it out")


def decode_slowly(
    schema: WriterSchema, wanted: Collection[str] | Wanted, buffer: Bytes, starts: Ints, ends: Ints, *, exact: bool = True
) -> Decoded:
    """Decode records with fastavro; arguments and result are those of `fink.codecs.avro.decode`.

    Ranges of texts and bytes point into a buffer of the result's own.
    """
    layout = _Layout(schema, wanted if callable(wanted) else frozenset(wanted).__contains__)
    layout.walk(schema.document, "", (), 0)
    parsed = _reader_schema(schema)
    status = np.zeros(len(starts), np.int64)
    rows: list[Any] = []
    for i, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        record, length = _read_one(parsed, buffer[start:end].tobytes())
        if record is None:
            status[i] = kernel.UNREADABLE
        elif exact and length != end - start:
            record, status[i] = None, kernel.TRAILING
        rows.append(record)
    return _to_columns(layout, rows, status)


def split_slowly(schema: WriterSchema, buffer: Bytes, block_starts: Ints, block_ends: Ints, counts: Ints) -> Splits:
    """Find the records of blocks with fastavro; arguments and result are those of `fink.codecs.avro.split_records`."""
    parsed = _reader_schema(schema)
    spans: list[tuple[int, int, int]] = []
    status, n_good, stopped = np.zeros(len(counts), np.int64), np.zeros(len(counts), np.int64), block_ends.copy()
    for i, (at, end, count) in enumerate(zip(block_starts.tolist(), block_ends.tolist(), counts.tolist(), strict=True)):
        for j in range(min(count, end - at)):
            record, length = _read_one(parsed, buffer[at:end].tobytes())
            if record is None:
                status[i], stopped[i] = kernel.UNREADABLE, at
                break
            spans.append((at, end if j == count - 1 else at + length, i))
            at += length
            n_good[i] += 1
    starts, ends, block = (np.array([span[j] for span in spans], np.int64) for j in range(3))
    return Splits(starts, ends, block, n_good, status, stopped)


def _reader_schema(schema: WriterSchema) -> Any:
    """Give the schema as fastavro wants it: no logical types (values stay plain) and no defaults (some brokers' are wrong)."""
    return fastavro.parse_schema(_plain(schema.document))


def _plain(kind: Any) -> Any:
    """Copy a schema without what does not change the bytes."""
    if isinstance(kind, dict):
        return {key: _plain(value) for key, value in kind.items() if key not in ("logicalType", "default", "doc", "aliases")}
    return [_plain(part) for part in kind] if isinstance(kind, list) else kind


def _read_one(parsed: Any, data: bytes) -> tuple[Any, int]:
    """Read one record; None if it cannot be read."""
    stream = io.BytesIO(data)
    try:
        return fastavro.schemaless_reader(stream, parsed, None), stream.tell()
    except _UNREADABLE:
        return None, 0


def _follow(value: Any, keys: tuple[str, ...]) -> Any:
    """Give the value that keys lead to, null where a record on the way is."""
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _to_columns(layout: _Layout, rows: list[Any], status: Ints) -> Decoded:
    """Turn Python records into columns."""
    members: list[list[Any]] = [rows]
    offsets: dict[str, Ints] = {}
    for group, keys in zip(layout.groups[1:], layout.group_keys[1:], strict=True):
        items = [found if isinstance(found := _follow(row, keys), list) else [] for row in members[group.parent]]
        members.append([item for row in items for item in row])
        offsets[group.path] = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(row) for row in items], dtype=np.int64)])
    values: list[Ints] = []
    valid: list[Bytes] = []
    lengths: list[Ints | None] = []
    blobs: list[bytes] = []
    at = 0
    for column, keys in zip(layout.columns, layout.keys, strict=True):
        raw = list(_numbers_or_bytes(column, [_follow(row, keys) for row in members[column.group]]))
        valid.append(np.array([value is not None for value in raw], np.uint8))
        if column.kind in ("string", "bytes"):
            sizes = np.array([len(value or b"") for value in raw], np.int64)
            values.append(at + np.cumsum(sizes) - sizes)
            lengths.append(sizes)
            blobs.extend(value or b"" for value in raw)
            at += int(sizes.sum())
        else:
            missing = np.nan if column.kind == "float" else 0
            plain = np.array([missing if value is None else value for value in raw], np.float64 if column.kind == "float" else np.int64)
            values.append(plain.view(np.int64))
            lengths.append(None)
    places = {column.path: i for i, column in enumerate(layout.columns)}
    buffer, addresses = padded(b"".join(blobs)), [(v.ctypes.data, flags.ctypes.data) for v, flags in zip(values, valid, strict=True)]
    return Decoded(len(rows), status, buffer, tuple(layout.columns), places, values, valid, lengths, offsets, addresses)


def _numbers_or_bytes(column: ProgramColumn, raw: list[Any]) -> Iterator[Any]:
    """Turn a column's Python values into numbers (symbols into theirs) or bytes; values of another kind of branch are null."""
    for value in raw:
        if value is None or isinstance(value, (dict, list)):
            yield None
        elif column.kind == "string":
            yield str(value).encode()
        elif column.symbols and isinstance(value, str):
            yield column.symbols.index(value) if value in column.symbols else None
        else:
            yield value
