"""Columns to Avro: added fields, whole records, and the schemas of both; no Python loop over rows.

An Avro record is its fields' encodings in order, so a packet with added fields is the packet's own bytes followed by the added ones.
The buffers that are given have `fink.codecs.avro.PADDING` bytes more behind the last record, so that they can be decoded as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from fink.codecs import encode_kernel as kernel
from fink.codecs.avro import PADDING, Bools, Bytes, Ints
from fink.codecs.schemas import NAMED, WriterSchema, parse_schema
from fink.errors import SchemaError

AvroType = Literal["float", "double", "int", "long", "boolean", "string"]
_OPERATIONS = {
    "float": kernel.FLOAT32,
    "double": kernel.FLOAT64,
    "int": kernel.INT,
    "long": kernel.INT,
    "boolean": kernel.BOOL,
    "string": kernel.TEXT,
    "bytes": kernel.TEXT,
    "enum": kernel.INT,
    "fixed": kernel.FIXED,
}
# The most bytes that one value takes with its branch, texts' own bytes left out.
_MOST = {kernel.FLOAT32: 5, kernel.FLOAT64: 9, kernel.INT: 11, kernel.BOOL: 2, kernel.TEXT: 11, kernel.FIXED: 1}


@dataclass(frozen=True)
class AvroField:
    """A field that is added to packets; nullable ones are the union of null and the type."""

    name: str
    type: AvroType
    nullable: bool = True
    about: str = ""


@dataclass(frozen=True)
class AvroGroup:
    """Added fields under one name, as a record; its bytes are its fields' bytes in order."""

    name: str
    fields: tuple[AvroField, ...]


@dataclass(frozen=True, eq=False)
class Ranges:
    """Texts or bytes that lie in a buffer: ``(n,)`` first bytes and lengths [byte]."""

    buffer: Bytes
    starts: Ints
    lengths: Ints


Values: TypeAlias = "npt.NDArray[Any] | pa.Array | pa.ChunkedArray | Ranges"


@dataclass(frozen=True, eq=False)
class Encodable:
    """Records as columns, the mirror of `fink.codecs.avro.Decoded`.

    Attributes
    ----------
    n
        Number of records.
    values
        By path: numbers as arrays (NaN is null where the schema allows null), texts and bytes as Arrow arrays or `Ranges`. A path that
        is left out is null.
    offsets
        By the array's path: ``(n_parent + 1,)``. An array that is left out is null, else empty.
    valid
        By path of a value, record or array: which rows have one. A nullable record is there if any value in it is given; a nullable
        array is there if it has offsets.
    """

    n: int
    values: Mapping[str, Values]
    offsets: Mapping[str, Ints] = field(default_factory=dict)
    valid: Mapping[str, Bools] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Column:
    """One column as the kernel reads it."""

    values: npt.NDArray[np.int64]
    valid: Bytes | None
    lengths: Ints | None = None
    source: Bytes | None = None

    def words(self) -> tuple[int, int, int, int]:
        """Give the addresses that describe it."""
        arrays = (self.values, self.valid, self.lengths, self.source)
        values, valid, lengths, source = (0 if array is None else int(array.ctypes.data) for array in arrays)
        return values, valid, lengths, source


def _column(name: str, values: Values, kind: str, rows: int) -> _Column:
    """Make a column of the given Avro type from numpy, Arrow or ranges."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    length = len(values.starts) if isinstance(values, Ranges) else len(values)
    if length != rows:
        raise SchemaError(f"{name} has {length} values where {rows} are expected")
    if isinstance(values, Ranges):
        starts, lengths = np.ascontiguousarray(values.starts, np.int64), np.ascontiguousarray(values.lengths, np.int64)
        _check_ranges(name, values.buffer, starts, lengths)
        return _Column(starts, None, lengths, values.buffer)
    if isinstance(values, pa.Array):
        return _from_arrow(name, values, kind)
    return _Column(_numbers(name, values, kind), None)


def _check_ranges(name: str, buffer: Bytes, starts: Ints, lengths: Ints) -> None:
    """Refuse ranges outside their buffer."""
    if len(starts) and (starts.min() < 0 or lengths.min() < 0 or (starts + lengths).max() > len(buffer)):
        raise SchemaError(f"{name} has ranges outside its buffer of {len(buffer)} bytes")


def _numbers(name: str, values: npt.NDArray[Any], kind: str) -> npt.NDArray[np.int64]:
    """Bring numbers to the eight bytes that the kernel reads."""
    if kind in ("string", "bytes", "fixed"):
        raise SchemaError(f"{name} is a {kind} in the schema but numbers were given")
    if kind in ("float", "double"):
        return np.ascontiguousarray(values, np.float64).view(np.int64)
    if values.dtype.kind not in "biu":
        raise SchemaError(f"{name} is of type {kind} in the schema but {values.dtype} values were given")
    whole = np.ascontiguousarray(values, np.int64)
    if kind == "int" and len(whole) and (whole.min() < -(2**31) or whole.max() >= 2**31):
        raise SchemaError(f"{name} is a 32-bit int in the schema but holds {whole.min()} to {whole.max()}; declare it long")
    return whole


def _from_arrow(name: str, values: pa.Array, kind: str) -> _Column:
    """Make a column from an Arrow array."""
    if isinstance(values, pa.DictionaryArray):
        values = values.dictionary_decode()
    valid = None if values.null_count == 0 else np.ascontiguousarray(pc.is_valid(values).to_numpy(zero_copy_only=False)).view(np.uint8)
    if kind not in ("string", "bytes", "fixed"):
        filled = values if valid is None else pc.fill_null(values, False if pa.types.is_boolean(values.type) else 0)
        return _Column(_numbers(name, filled.to_numpy(zero_copy_only=False), kind), valid)
    wide = values.cast(pa.large_string() if kind == "string" else pa.large_binary())
    n = len(wide)
    _, offsets, data = wide.buffers()
    stops = np.frombuffer(offsets, np.int64)[wide.offset : wide.offset + n + 1] if n else np.zeros(1, np.int64)
    source = np.zeros(1, np.uint8) if data is None or data.size == 0 else np.frombuffer(data, np.uint8)
    lengths = np.diff(stops)
    if valid is not None:
        lengths = lengths * valid
    return _Column(np.ascontiguousarray(stops[:-1]), valid, np.ascontiguousarray(lengths, np.int64), source)


class _Encoder:
    """Operations and columns of one call; knows how much room the rows can take."""

    def __init__(self) -> None:
        self.ops: list[list[int]] = []
        self.columns: list[_Column] = []
        self.groups: list[Ints] = []
        self.room = 0

    def emit(self, op: int, k: int = 0, branch: int = -1, a: int = 0) -> list[int]:
        """Append one operation."""
        self.ops.append([op, k, branch, a, 0, 0])
        return self.ops[-1]

    def label(self) -> int:
        """Give the address, in bytes, of the next operation."""
        return len(self.ops) * kernel.OP_BYTES

    def constant(self, byte: int, rows: int) -> None:
        """Write the same byte for every row."""
        self.emit(kernel.CONSTANT, a=byte)
        self.room += rows

    def value(self, kind: str, column: _Column, branch: int, width: int = 0) -> None:
        """Write a column."""
        op = _OPERATIONS[kind]
        self.columns.append(column)
        self.emit(op, len(self.columns) - 1, branch, width)
        lengths = 0 if column.lengths is None else int(column.lengths.sum())
        self.room += len(column.values) * _MOST[op] + lengths

    def run(self, n: int) -> tuple[Bytes, Ints]:
        """Encode ``n`` rows; give the bytes and where each row begins."""
        self.emit(kernel.END)
        program = np.array(self.ops, np.int64)
        columns = np.array([column.words() for column in self.columns] or [(0, 0, 0, 0)], np.int64)
        groups = np.array([group.ctypes.data for group in self.groups] or [0], np.int64)
        out = np.empty(self.room + 16 + PADDING, np.uint8)
        offsets = np.zeros(n + 1, np.int64)
        stack = np.empty(kernel.DEEPEST * 3, np.int64)
        kernel.encode_rows(program.ctypes.data, columns.ctypes.data, groups.ctypes.data, out.ctypes.data, offsets, stack)
        return out[: int(offsets[-1]) + PADDING], offsets


def encode_fields(
    fields: Sequence[AvroField | AvroGroup], columns: pa.RecordBatch | pa.Table | Mapping[str, pa.Array]
) -> tuple[Bytes, Ints]:
    """Encode, for each row, the given fields in order.

    Fields of a group are found as ``group.field`` if there is such a column, else by their own name. Null is written as null, NaN as NaN.

    Returns
    -------
    The bytes, and ``(n + 1,)`` offsets: row ``i`` is ``buffer[offsets[i]:offsets[i + 1]]``.

    Raises
    ------
    SchemaError
        If a column is missing, of another type, or null where its field is not nullable.
    """
    names = columns.keys() if isinstance(columns, Mapping) else columns.schema.names
    encoder = _Encoder()
    n = len(next(iter(columns.values()), ())) if isinstance(columns, Mapping) else columns.num_rows
    for name, item in _flat(fields, frozenset(names)):
        column = _column(name, columns[name], item.type, n)
        if not item.nullable and column.valid is not None:
            raise SchemaError(f"{name} is null in some rows but its field is not nullable")
        encoder.value(item.type, column, 2 if item.nullable else -1)
    return encoder.run(n)


def _flat(fields: Iterable[AvroField | AvroGroup], names: frozenset[str]) -> Iterable[tuple[str, AvroField]]:
    """Give each single field with the name of its column."""
    for item in fields:
        if isinstance(item, AvroGroup):
            for inner in item.fields:
                full = f"{item.name}.{inner.name}"
                yield _existing(full if full in names else inner.name, names), inner
        else:
            yield _existing(item.name, names), item


def _existing(name: str, names: frozenset[str]) -> str:
    """Refuse a field without a column."""
    if name not in names:
        raise SchemaError(f"no column for the added field {name}; there are {', '.join(sorted(names))}")
    return name


def append_fields(buffer: Bytes, starts: Ints, ends: Ints, added: Bytes, added_offsets: Ints) -> tuple[Bytes, Ints]:
    """Put the added bytes of each row behind its packet's own.

    Parameters
    ----------
    buffer, starts, ends
        The packets' records, as in `fink.codecs.avro.decode`.
    added, added_offsets
        What `encode_fields` gave.
    """
    starts, ends = np.ascontiguousarray(starts, np.int64), np.ascontiguousarray(ends, np.int64)
    if len(added_offsets) != len(starts) + 1:
        raise SchemaError(f"{len(starts)} packets but added fields of {len(added_offsets) - 1}")
    _check_ranges("packets", buffer, starts, ends - starts)
    offsets = np.zeros(len(starts) + 1, np.int64)
    np.cumsum(ends - starts + np.diff(added_offsets), out=offsets[1:])
    out = np.empty(int(offsets[-1]) + PADDING, np.uint8)
    kernel.join_pairs(buffer.ctypes.data, starts, ends, added.ctypes.data, added_offsets, out.ctypes.data, offsets)
    return out, offsets


def extend_schema(schema: WriterSchema, fields: Sequence[AvroField | AvroGroup], name: str) -> str:
    """Give the schema of packets with added fields, as minified JSON.

    Named types are spelled out at each use, under unique names without namespace; logical types, documentation and defaults of the
    original go, its bytes stay. ``name`` is the new record's name.

    Raises
    ------
    SchemaError
        If an added field has the name of one that is there.
    """
    there = {item["name"] for item in schema.fields()}
    for item in fields:
        if item.name in there:
            raise SchemaError(f"the added field {item.name} is already in {schema.fullname}")
        there.add(item.name)
    inline = _Inliner(schema, {name})
    members = [{"name": item["name"], "type": inline.kind(item["type"])} for item in schema.fields()]
    members += [_declaration(item, inline) for item in fields]
    return orjson.dumps({"type": "record", "name": name, "fields": members}).decode()


def _declaration(item: AvroField | AvroGroup, inline: _Inliner) -> dict[str, Any]:
    """Give the declaration of an added field or group."""
    if isinstance(item, AvroGroup):
        members = [_declaration(inner, inline) for inner in item.fields]
        return {"name": item.name, "type": {"type": "record", "name": inline.unique(item.name), "fields": members}}
    declared: dict[str, Any] = {"name": item.name, "type": ["null", item.type] if item.nullable else item.type}
    if item.nullable:
        declared["default"] = None
    return declared | ({"doc": item.about} if item.about else {})


class _Inliner:
    """Spells out named types at each use, under names of their own."""

    def __init__(self, schema: WriterSchema, taken: set[str]) -> None:
        self.schema = schema
        self.taken = taken
        self.open: dict[str, str] = {}

    def unique(self, name: str) -> str:
        """Give a name that no type has yet."""
        short = name.rpartition(".")[2]
        found, number = short, 1
        while found in self.taken:
            number += 1
            found = f"{short}_{number}"
        self.taken.add(found)
        return found

    def kind(self, kind: Any) -> Any:
        """Copy a type with everything spelled out; a type inside itself stays a name."""
        kind = self.schema.resolve(kind)
        if isinstance(kind, list):
            return [self.kind(branch) for branch in kind]
        if isinstance(kind, str):
            return kind
        if kind["type"] in NAMED:
            return self.named(kind)
        part = "items" if kind["type"] == "array" else "values"
        return {"type": kind["type"], part: self.kind(kind[part])}

    def named(self, kind: dict[str, Any]) -> Any:
        """Spell out a named type."""
        if kind["name"] in self.open:
            return self.open[kind["name"]]
        name = self.unique(kind["name"])
        if kind["type"] == "enum":
            return {"type": "enum", "name": name, "symbols": kind["symbols"]}
        if kind["type"] == "fixed":
            return {"type": "fixed", "name": name, "size": kind["size"]}
        self.open[kind["name"]] = name
        members = [{"name": item["name"], "type": self.kind(item["type"])} for item in kind["fields"]]
        del self.open[kind["name"]]
        return {"type": "record", "name": name, "fields": members}


def encode_records(schema: WriterSchema, records: Encodable) -> tuple[Bytes, Ints]:
    """Encode whole records.

    Returns
    -------
    The bytes, and ``(n + 1,)`` offsets: record ``i`` is ``buffer[offsets[i]:offsets[i + 1]]``.

    Raises
    ------
    SchemaError
        If a value is missing or null where the schema demands one, is of another type, or if a path is not in the schema.
    """
    writer = _RecordWriter(schema, records)
    writer.fields_of(schema.document, "", records.n)
    unknown = (set(records.values) | set(records.offsets)) - writer.used
    if unknown:
        raise SchemaError(f"{schema.fullname} has no {', '.join(sorted(unknown))}")
    return writer.encoder.run(records.n)


def _above(path: str) -> Iterable[str]:
    """Give a path and those of everything that it lies in: ``a[].b``, ``a[]``, ``a``."""
    yield path
    while path:
        path = path.removesuffix("[]") if path.endswith("[]") else path.rpartition(".")[0]
        yield path


class _RecordWriter:
    """Walks a schema in the order of its bytes and emits what writes each value."""

    def __init__(self, schema: WriterSchema, records: Encodable) -> None:
        self.schema = schema
        self.records = records
        self.encoder = _Encoder()
        self.used: set[str] = set()
        self.above = {above for path in (*records.values, *records.offsets, *records.valid) for above in _above(path)}
        self.conditional = 0
        self.depth = 0

    def given(self, path: str) -> bool:
        """Say whether anything is given at or below a path."""
        return path in self.above

    def fields_of(self, record: dict[str, Any], path: str, rows: int) -> None:
        """Write the fields of a record."""
        for item in record["fields"]:
            self.value(item["type"], f"{path}.{item['name']}" if path else item["name"], rows)

    def value(self, kind: Any, path: str, rows: int) -> None:
        """Write a value of any type."""
        kind = self.schema.resolve(kind)
        branch = -1
        if isinstance(kind, list):
            values = [option for option in kind if self.schema.resolve(option) != "null"]
            if not self.given(path) or not values:
                self.absent(kind, path, rows)
                return
            if len(values) > 1 or len(kind) > 2:
                raise SchemaError(f"{path} is a union of {len(values)} types, which cannot be written from columns; leave it null")
            branch = 2 * kind.index(values[0]) if len(kind) == 2 else -1
            if branch < 0:
                self.encoder.constant(0, rows)
            kind = self.schema.resolve(values[0])
        if isinstance(kind, str):
            self.leaf(kind, path, rows, branch)
        elif kind["type"] in ("record", "error", "array"):
            self.compound(kind, path, rows, branch)
        elif kind["type"] == "map":
            self.empty_map(path, rows, branch)
        else:
            self.leaf(kind["type"], path, rows, branch, int(kind.get("size", 0)))

    def absent(self, branches: list[Any], path: str, rows: int) -> None:
        """Write null for every row."""
        if "null" not in branches:
            raise SchemaError(f"no values are given for {path}, which {self.schema.fullname} demands")
        self.encoder.constant(2 * branches.index("null"), rows)

    def leaf(self, kind: str, path: str, rows: int, branch: int, width: int = 0) -> None:
        """Write a column."""
        if kind == "null":
            return
        if path not in self.records.values:
            raise SchemaError(f"no values are given for {path}, which {self.schema.fullname} demands")
        self.used.add(path)
        column = _column(path, self.records.values[path], kind, rows)
        valid = self.validity(path, column, kind, branch)
        if kind == "fixed" and (column.lengths is None or (column.lengths[:] != width)[slice(None) if valid is None else valid != 0].any()):
            raise SchemaError(f"{path} must have {width} bytes in every row")
        if branch < 0 and self.conditional == 0 and valid is not None and not valid.all():
            raise SchemaError(f"{path} is null in some rows, which {self.schema.fullname} does not allow")
        self.encoder.value(kind, _Column(column.values, valid, column.lengths, column.source), branch, width)

    def validity(self, path: str, column: _Column, kind: str, branch: int) -> Bytes | None:
        """Give which rows have a value: as given, else as Arrow says, else where a number is not NaN."""
        if path in self.records.valid:
            return _flags(path, self.records.valid[path], len(column.values))
        if column.valid is None and branch >= 0 and kind in ("float", "double"):
            return (~np.isnan(column.values.view(np.float64))).view(np.uint8)
        return column.valid

    def compound(self, kind: dict[str, Any], path: str, rows: int, branch: int) -> None:
        """Write a record or an array, null where it is said not to be there."""
        presence = None
        if branch >= 0:
            presence = self.begin_presence(path, rows, branch)
        if kind["type"] == "array":
            self.array(kind["items"], path, rows)
        else:
            self.fields_of(kind, path, rows)
        if presence is not None:
            presence[3] = self.encoder.label()
            self.conditional -= 1

    def begin_presence(self, path: str, rows: int, branch: int) -> list[int]:
        """Write the branch of a nullable record or array; rows without one jump past it."""
        flags = _flags(path, self.records.valid[path], rows) if path in self.records.valid else None
        self.encoder.columns.append(_Column(np.zeros(0, np.int64), flags))
        self.encoder.room += rows
        self.conditional += 1
        return self.encoder.emit(kernel.PRESENCE, len(self.encoder.columns) - 1, branch)

    def array(self, items: Any, path: str, rows: int) -> None:
        """Write an array, item by item."""
        if path not in self.records.offsets:
            self.encoder.constant(0, rows)
            return
        self.used.add(path)
        offsets = np.ascontiguousarray(self.records.offsets[path], np.int64)
        if len(offsets) != rows + 1 or offsets[0] != 0 or (np.diff(offsets) < 0).any():
            raise SchemaError(f"the offsets of {path} must be {rows + 1} numbers that begin with 0 and do not decrease")
        self.depth += 1
        if self.depth > kernel.DEEPEST:
            raise SchemaError(f"{path} lies more than {kernel.DEEPEST} arrays deep, which cannot be written from columns")
        self.encoder.groups.append(offsets)
        self.encoder.room += 11 * rows
        begin = self.encoder.emit(kernel.ARRAY, len(self.encoder.groups) - 1)
        self.value(items, f"{path}[]", int(offsets[-1]))
        self.encoder.emit(kernel.ARRAY_END)
        begin[3] = self.encoder.label()
        self.depth -= 1

    def empty_map(self, path: str, rows: int, branch: int) -> None:
        """Write a map without entries."""
        if self.given(path):
            raise SchemaError(f"{path} is a map, which cannot be written from columns; leave it out")
        if branch >= 0:
            self.encoder.constant(branch, rows)
        self.encoder.constant(0, rows)


def _flags(path: str, valid: Bools, rows: int) -> Bytes:
    """Bring validity to one byte a row."""
    if len(valid) != rows:
        raise SchemaError(f"{path} has validity of {len(valid)} rows where {rows} are expected")
    return np.ascontiguousarray(valid, np.bool_).view(np.uint8)


def warm_up() -> None:
    """Compile the kernels, or load them from the disk cache; later calls then start at once."""
    schema = parse_schema('{"type": "record", "name": "warm", "fields": [{"name": "x", "type": ["null", "double"]}]}')
    buffer, offsets = encode_records(schema, Encodable(1, {"x": np.ones(1)}))
    append_fields(buffer, offsets[:-1], offsets[1:], buffer, offsets)
