"""Numbers to Arrow: all columns of a batch in one call, whatever their types, into one block of memory.

A batch has fifty to three hundred columns and some hundred to some thousand alerts, so what is done once a column costs more than what
is done once a number. The kernel is therefore told by addresses where the numbers lie and where they go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from fink.codecs.kernel import (
    count_ones,
    load_byte,
    load_float64,
    load_word,
    shift_right,
    store_byte,
    store_float32,
    store_float64,
    store_half,
    store_half_word,
    store_word,
)

ALIGNED = 64
"""Arrow wants its buffers to begin at multiples of this [byte]."""

# How the kernel knows the types: whole numbers by their width in bytes.
_BOOL, _FLOAT32, _FLOAT64 = 0, 16, 32
_CODES = {
    pa.bool_().id: _BOOL,
    pa.int8().id: 1,
    pa.int16().id: 2,
    pa.int32().id: 4,
    pa.int64().id: 8,
    pa.float32().id: _FLOAT32,
    pa.float64().id: _FLOAT64,
}
_MOST_FLOAT32, _MOST_FLOAT64 = 3.4028235677973362e38, 1.7976931348623157e308  # the first is just below what rounds to infinity
_MOST_INT64 = 2.0**63 - 1024.0
_BYTES = np.zeros(_FLOAT64 + 1)
_BYTES[[_BOOL, 1, 2, 4, 8, _FLOAT32, _FLOAT64]] = [1 / 8, 1, 2, 4, 8, 4, 8]


Function = TypeVar("Function", bound=Callable[..., Any])


class Stored(NamedTuple):
    """Numbers that lie in memory, (n,), and which of them are there.

    Parameters
    ----------
    values
        Address of the values, float64 or int64.
    valid
        Address of one byte for each, 0 where there is none.
    whole
        Whether they are int64.
    owner
        What keeps that memory as it is.
    missing
        Up to two numbers that stand for missing, beside NaN.
    """

    values: int
    valid: int
    whole: bool
    owner: object
    missing: tuple[float, ...] = ()

    @classmethod
    def of(cls, values: NDArray[Any], valid: NDArray[np.bool_], missing: tuple[float, ...] = ()) -> Stored:
        """Give numbers of an array as they lie there, or in a copy where they are neither float64 nor int64."""
        values = np.ascontiguousarray(values, np.float64 if values.dtype.kind == "f" else np.int64)
        valid = np.ascontiguousarray(valid, np.bool_)
        # Arrow tells an address in a quarter of the time that the array itself takes
        return cls(pa.py_buffer(values).address, pa.py_buffer(valid).address, values.dtype == np.int64, (values, valid), missing)


def pack(numbers: Sequence[Stored], types: Sequence[pa.DataType], n: int) -> list[pa.Array]:
    """Make an Arrow array of each type; null where a number is not valid, not finite, stands for missing, or the type cannot hold it.

    Parameters
    ----------
    numbers
        ``n`` numbers each.
    """
    if not numbers:
        return []
    table = np.array(
        [(source.values, source.valid, source.whole, _CODES[kind.id], 0, 0) for source, kind in zip(numbers, types, strict=True)]
    )
    missing = np.full((len(numbers), 2), np.nan)
    for row, source in enumerate(numbers):
        if source.missing:
            missing[row, : len(source.missing)] = source.missing
    sizes = np.stack([np.ceil(n * _BYTES[table[:, 3]]).astype(np.int64), np.full(len(table), (n + 7) // 8)], axis=1)
    room = -(-sizes // ALIGNED) * ALIGNED
    block = np.empty(int(room.sum()) + ALIGNED, np.uint8)
    first = -block.ctypes.data % ALIGNED
    at = first + np.cumsum(room.ravel()).reshape(room.shape) - room
    table[:, 4:] = block.ctypes.data + at
    nulls = pack_columns(table, missing, n, np.zeros(2 * n + 16, np.uint8))
    return _arrays(block, types, n, np.concatenate([at, sizes], axis=1).tolist(), nulls.tolist())


def _arrays(block: NDArray[np.uint8], types: Sequence[pa.DataType], n: int, places: list[list[int]], nulls: list[int]) -> list[pa.Array]:
    """Make arrays of parts of a block: values and bits begin and take so many bytes; no bits where nothing is null."""
    memory, make = pa.py_buffer(block), pa.Array.from_buffers
    return [
        make(kind, n, [memory.slice(bits, bits_size) if gaps else None, memory.slice(values, size)], gaps)
        for kind, (values, bits, size, bits_size), gaps in zip(types, places, nulls, strict=True)
    ]


_compiled: Callable[[Function], Function] = njit(error_model="numpy", nogil=True, forceinline=True)
_entry: Callable[[Function], Function] = njit(error_model="numpy", nogil=True, cache=True)


@_compiled
def _load(values: int, i: int, whole: bool) -> float:
    """Read one number as float64."""
    return float(load_word(values + 8 * i)) if whole else load_float64(values + 8 * i)


@_compiled
def _fits(number: float, one: float, other: float, least: float, most: float) -> Any:
    """Say by 1 or 0 whether a number is none of those that stand for missing and lies inside the limits; NaN does not."""
    return np.int64(number != one) & np.int64(number != other) & np.int64(number >= least) & np.int64(number <= most)


@_compiled
def _pack_floats(source: Any, n: int, code: int, one: float, other: float, out: int, good: int) -> None:
    """Cast to float32 or float64."""
    values, valid, whole = source[0], source[1], source[2] == 1
    if whole:
        for i in range(n):
            number = _load(values, i, True)
            there = load_byte(valid + i) & _fits(number, one, other, -_MOST_FLOAT32, _MOST_FLOAT32)
            store_byte(good + i, there)
            number = number if there else 0.0
            if code == _FLOAT32:
                store_float32(out + 4 * i, number)
            else:
                store_float64(out + 8 * i, number)
    elif code == _FLOAT32:
        for i in range(n):
            number = load_float64(values + 8 * i)
            there = load_byte(valid + i) & _fits(number, one, other, -_MOST_FLOAT32, _MOST_FLOAT32)
            store_byte(good + i, there)
            store_float32(out + 4 * i, number if there else 0.0)
    else:
        for i in range(n):
            number = load_float64(values + 8 * i)
            there = load_byte(valid + i) & _fits(number, one, other, -_MOST_FLOAT64, _MOST_FLOAT64)
            store_byte(good + i, there)
            store_float64(out + 8 * i, number if there else 0.0)


@_compiled
def _pack_integers(source: Any, n: int, code: int, one: float, other: float, out: int, good: int) -> None:
    """Cast to whole numbers of a width, or to one byte for each truth value."""
    values, valid, whole = source[0], source[1], source[2] == 1
    most = 2.0 ** (8 * code - 1) - 1.0 if 0 < code < 8 else _MOST_INT64
    least = -most - 1.0
    if whole and (code == 0 or code == 8):
        least, most = -np.inf, np.inf
    for i in range(n):
        number = _load(values, i, whole)
        there = load_byte(valid + i) & _fits(number, one, other, least, most)
        store_byte(good + i, there)
        word = load_word(values + 8 * i) if whole else np.int64(number if there else 0.0)
        word = word if there else np.int64(0)
        if code == 4:
            store_half_word(out + 4 * i, word)
        elif code == 8:
            store_word(out + 8 * i, word)
        elif code == 2:
            store_half(out + 2 * i, word)
        elif code == 1:
            store_byte(out + i, word)
        else:
            store_byte(out + i, np.int64(word != 0))


@_compiled
def _pack_bits(flags: int, n: int, bits: int) -> Any:
    """Put bytes of 0 or 1 together, eight to a byte; give how many are 1. Up to seven bytes behind the last are read, and are 0."""
    total = np.int64(0)
    for i in range(0, n, 8):
        byte = shift_right(load_word(flags + i) * 0x0102040810204080, 56)
        total += count_ones(byte)
        store_byte(bits + (i >> 3), byte)
    return total


@_entry
def pack_columns(table: Any, missing: Any, n: int, room: Any) -> Any:
    """Cast the numbers of each column and say by one bit for each whether it is there; gives how many are not, (k,).

    Parameters
    ----------
    table
        (k, 6) int64: address of values, of validity; whether they are int64; code of the type; where values and bits go.
    missing
        (k, 2) numbers that stand for missing; NaN where there are fewer.
    room
        (2 n + 16,) zeros, uint8, to work in.
    """
    nulls = np.empty(len(table), np.int64)
    good = room.ctypes.data
    truth = good + n + 8
    for c in range(len(table)):
        code, out, bits = table[c, 3], table[c, 4], table[c, 5]
        if code >= _FLOAT32:
            _pack_floats(table[c], n, code, missing[c, 0], missing[c, 1], out, good)
        else:
            _pack_integers(table[c], n, code, missing[c, 0], missing[c, 1], truth if code == _BOOL else out, good)
        if code == _BOOL:
            _pack_bits(truth, n, out)
        nulls[c] = n - _pack_bits(good, n, bits)
    return nulls
