"""Packed rows: the indexed columns of an alert as one byte string, with where its packet lies.

A row is a fixed part (`POINTER`, which values are null, numbers, lengths of texts) and then its texts. Rows name their
format by number, so that columns may come and go with the plan and old rows stay readable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Self

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fink import science, surveys
from fink.archive.points import gather_bytes
from fink.columns import CORE, Column

NOT_KEPT, IN_PACKETS, IN_SELECTED = 0, 1, 2
"""Where an alert's packet is: nowhere, with the rest, or with those that substreams took."""

POINTER = np.dtype(
    [
        ("format", "<u2"),
        ("kept", "<u1"),
        ("selected", "<u1"),
        ("commit", "<i8"),
        ("row", "<u4"),
        ("segment", "<i8"),
        ("offset", "<i8"),
        ("length", "<u4"),
        ("stamps", "<u4", (3, 2)),
    ]
)
"""The first bytes of each row: its format; where its packet is kept; whether any substream took it; its commit and its row
there; the commit that the packet's segment is named after, offset and length in it; start in the packet and length of each
stamp."""

_NUMPY = {
    pa.float32(): "<f4",
    pa.float64(): "<f8",
    pa.int8(): "i1",
    pa.int16(): "<i2",
    pa.int32(): "<i4",
    pa.int64(): "<i8",
    pa.bool_(): "u1",
}
_ARROW = {str(type_): type_ for type_ in (*_NUMPY, pa.string())}


def declared_columns() -> dict[str, Column]:
    """Give the columns that the vocabulary, the surveys and the modules declare, by name."""
    declared = [*CORE]
    for survey in surveys.registry().values():
        declared += survey.columns
    for module in science.registry().values():
        declared += module.outputs
    return {column.name: column for column in declared}


@dataclass(frozen=True)
class RowFormat:
    """Which columns a packed row holds, in their order.

    Parameters
    ----------
    number
        What rows of this format begin with.
    columns
        Name and Arrow type (as text) of each column.
    """

    number: int
    columns: tuple[tuple[str, str], ...]

    @classmethod
    def of_table(cls, number: int, table: pa.Table, indexed: frozenset[str]) -> Self:
        """Make the format of the indexed columns of a table."""
        return cls(number, tuple((f.name, str(f.type)) for f in table.schema if f.name in indexed))

    @classmethod
    def from_bytes(cls, number: int, data: bytes) -> Self:
        """Read what `to_bytes` wrote."""
        return cls(number, tuple((name, type_) for name, type_ in orjson.loads(data)))

    def to_bytes(self) -> bytes:
        """Write the columns as JSON."""
        return orjson.dumps(self.columns)

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns as an Arrow schema."""
        return pa.schema([(name, _ARROW[type_]) for name, type_ in self.columns])

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Names of the text columns."""
        return tuple(f.name for f in self.schema if f.type == pa.string())

    @cached_property
    def fixed(self) -> np.dtype[Any]:
        """The fixed part of a row."""
        nulls = ("nulls", "u1", ((len(self.columns) + 7) // 8,))
        values = [(f"value {f.name}", _NUMPY[f.type]) for f in self.schema if f.type != pa.string()]
        return np.dtype([("pointer", POINTER), nulls, *values, *((f"length {name}", "<u2") for name in self.texts)])

    def pack(self, table: pa.Table, pointers: NDArray[Any]) -> list[bytes]:
        """Pack each row of a table (which may hold more columns) with its pointer."""
        n = table.num_rows
        fixed = np.zeros(n, self.fixed)
        fixed["pointer"] = pointers
        fixed["pointer"]["format"] = self.number
        nulls = np.zeros((n, len(self.columns)), np.bool_)
        for i, field in enumerate(self.schema):
            values = _one_array(table[field.name])
            nulls[:, i] = values.is_null().to_numpy(zero_copy_only=False)
            if field.type != pa.string():
                filled = values.fill_null(False if field.type == pa.bool_() else 0) if values.null_count else values
                fixed[f"value {field.name}"] = filled.to_numpy(zero_copy_only=False)
        fixed["nulls"] = np.packbits(nulls, axis=1)
        tails = self._pack_texts(table, fixed)
        width, blob = self.fixed.itemsize, fixed.tobytes()
        return [blob[i * width : (i + 1) * width] + tail for i, tail in enumerate(tails)]

    def _pack_texts(self, table: pa.Table, fixed: NDArray[Any]) -> list[bytes]:
        """Give the texts of each row behind one another, and note their lengths."""
        n = len(fixed)
        if not self.texts or not n:
            return [b""] * n
        arrays = [_one_array(table[name]).fill_null("").cast(pa.binary()) for name in self.texts]
        for name, array in zip(self.texts, arrays, strict=True):
            fixed[f"length {name}"] = pc.binary_length(array).to_numpy()
        order = np.arange(n * len(arrays)).reshape(len(arrays), n).T.ravel()
        joined = pa.concat_arrays(arrays).take(pa.array(order))
        offsets = np.frombuffer(joined.buffers()[1], np.int32, len(joined) + 1, joined.offset * 4)[:: len(arrays)].tolist()
        data = joined.buffers()[2].to_pybytes() if joined.buffers()[2] is not None else b""
        return [data[first:last] for first, last in pairwise(offsets)]

    def unpack(self, rows: Sequence[bytes]) -> tuple[pa.Table, NDArray[Any]]:
        """Read packed rows of this format: the table, and the pointers (n,)."""
        width, n = self.fixed.itemsize, len(rows)
        fixed = np.frombuffer(b"".join([row[:width] for row in rows]), self.fixed)
        tails = np.frombuffer(b"".join([row[width:] for row in rows]), np.uint8)
        nulls = np.unpackbits(fixed["nulls"], axis=1, count=len(self.columns))
        counts = nulls.sum(axis=0, dtype=np.int64).tolist()
        # each column's validity as Arrow keeps it: a bit a row, the lowest first
        valid = np.packbits(nulls ^ 1, axis=0, bitorder="little").T.tobytes()
        step = (n + 7) // 8
        texts = self._unpack_texts(fixed, tails)
        columns = []
        for i, (name, type_, value) in enumerate(self._plain):
            mask = pa.py_buffer(valid[i * step : (i + 1) * step]) if counts[i] else None
            columns.append(pa.Array.from_buffers(type_, n, [mask, *(texts[name] if not value else _kept(fixed[value], type_))], counts[i]))
        return pa.Table.from_arrays(columns, schema=self.schema), fixed["pointer"]

    @cached_property
    def _plain(self) -> list[tuple[str, pa.DataType, str]]:
        """Name, type and field of the fixed part (none of texts) of each column."""
        return [(f.name, f.type, "" if f.type == pa.string() else f"value {f.name}") for f in self.schema]

    def _unpack_texts(self, fixed: NDArray[Any], data: NDArray[np.uint8]) -> dict[str, tuple[pa.Buffer, pa.Buffer]]:
        """Give the offsets and letters of each column of texts, as Arrow keeps them."""
        if not self.texts:
            return {}
        lengths = np.stack([fixed[f"length {name}"].astype(np.int64) for name in self.texts], axis=1)
        starts = (np.cumsum(lengths.ravel()) - lengths.ravel()).reshape(lengths.shape)
        offsets = np.zeros((len(self.texts), len(fixed) + 1), np.int32)
        np.cumsum(lengths, axis=0, out=offsets[:, 1:].T)
        return {
            name: (pa.py_buffer(offsets[i]), pa.py_buffer(gather_bytes(data, starts[:, i], lengths[:, i])))
            for i, name in enumerate(self.texts)
        }


def _kept(values: NDArray[Any], type_: pa.DataType) -> tuple[pa.Buffer]:
    """Give the values of a column of numbers as Arrow keeps them."""
    return (pa.py_buffer(np.packbits(values, bitorder="little") if type_ == pa.bool_() else values.tobytes()),)


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    return array.chunk(0) if isinstance(array, pa.ChunkedArray) else array


def format_number(row: bytes) -> int:
    """Give the format that a packed row names."""
    return int.from_bytes(row[:2], "little")


def with_pointer(row: bytes, pointer: Any) -> bytes:
    """Give a packed row with another pointer to its packet."""
    return bytes(pointer.tobytes()) + row[POINTER.itemsize :]


def read_pointers(rows: Sequence[bytes]) -> NDArray[Any]:
    """Give the pointers of packed rows of any formats (n,)."""
    return np.frombuffer(b"".join([row[: POINTER.itemsize] for row in rows]), POINTER)
