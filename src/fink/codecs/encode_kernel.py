"""Compiled writing of Avro bytes: a small program, made from a schema, is run over every row of a batch.

The mirror of `fink.codecs.kernel`, in a file of its own because numba's disk cache notices changes of the compiled function's file only.
Positions are absolute addresses (int64); the caller provides as much room as the rows can take.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

# Operations: six int64 words each, (operation, column or group, branch byte or -1, a, b, 0).
END, CONSTANT, FLOAT32, FLOAT64, INT, BOOL, TEXT, FIXED, PRESENCE, ARRAY, ARRAY_END = range(11)
OP_WORDS = 6
OP_BYTES = 48

# Column descriptor: address of values, of validity bytes (0: all valid), of lengths, of the bytes that values point into.
COLUMN_WORDS = 4
COLUMN_BYTES = 32
FRAME_BYTES = 24
DEEPEST = 16

Word: TypeAlias = Any  # an int64 in compiled code: a position, an address, a count or a value
Function = TypeVar("Function", bound=Callable[..., Any])

_intrinsic: Callable[[Callable[..., Any]], Callable[..., Any]] = intrinsic
_compiled: Callable[[Function], Function] = njit(error_model="numpy", nogil=True)
_entry: Callable[[Function], Function] = njit(error_model="numpy", nogil=True, cache=True)
_BYTE, _WORD = ir.IntType(8), ir.IntType(64)
_FLOAT32, _FLOAT64 = ir.FloatType(), ir.DoubleType()


@_intrinsic
def _load_byte(typing: Any, address: Any) -> Any:
    """Read one byte as int64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.zext(builder.load(builder.inttoptr(arguments[0], _BYTE.as_pointer()), align=1), _WORD)

    return types.int64(types.int64), generate


@_intrinsic
def _load_word(typing: Any, address: Any) -> Any:
    """Read eight bytes as int64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(builder.inttoptr(arguments[0], _WORD.as_pointer()), align=1)

    return types.int64(types.int64), generate


@_intrinsic
def _store_byte(typing: Any, address: Any, value: Any) -> Any:
    """Write the low byte of an int64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(builder.trunc(arguments[1], _BYTE), builder.inttoptr(arguments[0], _BYTE.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@_intrinsic
def _store_word(typing: Any, address: Any, value: Any) -> Any:
    """Write an int64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[1], builder.inttoptr(arguments[0], _WORD.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@_intrinsic
def _narrow(typing: Any, address: Any, source: Any) -> Any:
    """Write the float64 at ``source`` as a float of four bytes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = builder.load(builder.inttoptr(arguments[1], _FLOAT64.as_pointer()), align=1)
        builder.store(builder.fptrunc(wide, _FLOAT32), builder.inttoptr(arguments[0], _FLOAT32.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@_intrinsic
def _copy(typing: Any, target: Any, source: Any, count: Any) -> Any:
    """Copy bytes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target, source = (builder.inttoptr(address, _BYTE.as_pointer()) for address in arguments[:2])
        cgutils.raw_memcpy(builder, target, source, arguments[2], 1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@_intrinsic
def _shift_right(typing: Any, value: Any, count: Any) -> Any:
    """Shift without regard to the sign."""
    return types.int64(types.int64, types.int64), lambda context, builder, signature, arguments: builder.lshr(*arguments)


@_compiled
def _write_varint(p: Word, value: Word) -> Word:
    """Write one zigzag integer."""
    x = (value << 1) ^ (value >> 63)
    while x < 0 or x > 127:
        _store_byte(p, (x & 127) | 128)
        x = _shift_right(x, 7)
        p += 1
    _store_byte(p, x)
    return p + 1


@_compiled
def _write_presence(p: Word, column: Word, row: Word, branch: Word) -> tuple[Word, Word]:
    """Write the branch of a nullable value; say whether a value is to follow."""
    if branch < 0:
        return p, np.int64(1)
    valid = _load_word(column + 8)
    if valid == 0 or _load_byte(valid + row) != 0:
        _store_byte(p, branch)
        return p + 1, np.int64(1)
    _store_byte(p, 2 - branch)
    return p + 1, np.int64(0)


@_compiled
def _write_value(op: Word, p: Word, column: Word, row: Word, width: Word) -> Word:
    """Write one value that is there."""
    at = _load_word(column) + 8 * row
    if op == FLOAT32:
        _narrow(p, at)
        return p + 4
    if op == FLOAT64:
        _store_word(p, _load_word(at))
        return p + 8
    if op == INT:
        return _write_varint(p, _load_word(at))
    if op == BOOL:
        _store_byte(p, np.int64(_load_word(at) != 0))
        return p + 1
    length = width
    if op == TEXT:
        length = _load_word(_load_word(column + 16) + 8 * row)
        p = _write_varint(p, length)
    _copy(p, _load_word(column + 24) + _load_word(at), length)
    return p + length


@_compiled
def _begin_array(p: Word, pc: Word, row: Word, past: Word, offsets: Word, frame: Word) -> tuple[Word, Word, Word]:
    """Write the number of items; give the next position, the operation to go on with, and the row."""
    first = _load_word(offsets + 8 * row)
    stop = _load_word(offsets + 8 * (row + 1))
    if first == stop:
        _store_byte(p, np.int64(0))
        return p + 1, past, row
    _store_word(frame, row)
    _store_word(frame + 8, stop)
    _store_word(frame + 16, pc)
    return _write_varint(p, stop - first), pc, first


@_compiled
def _run(program: Word, p: Word, row: Word, columns: Word, groups: Word, stack: Word) -> Word:
    """Write one record; give where it ends."""
    pc = program
    frame = stack
    while True:
        op, k, branch, a = _load_word(pc), _load_word(pc + 8), _load_word(pc + 16), _load_word(pc + 24)
        pc += OP_BYTES
        if op == END:
            return p
        if op == CONSTANT:
            _store_byte(p, a)
            p += 1
        elif op == ARRAY_END:
            row += 1
            if row < _load_word(frame - FRAME_BYTES + 8):
                pc = _load_word(frame - FRAME_BYTES + 16)
            else:
                frame -= FRAME_BYTES
                row = _load_word(frame)
                _store_byte(p, np.int64(0))
                p += 1
        elif op == ARRAY:
            p, pc, row = _begin_array(p, pc, row, program + a, _load_word(groups + 8 * k), frame)
            if pc != program + a:
                frame += FRAME_BYTES
        else:
            p, present = _write_presence(p, columns + k * COLUMN_BYTES, row, branch)
            if op == PRESENCE:
                if present == 0:
                    pc = program + a
            elif present == 1:
                p = _write_value(op, p, columns + k * COLUMN_BYTES, row, a)


@_entry
def encode_rows(program: Word, columns: Word, groups: Word, out: Word, offsets: Any, stack: Any) -> None:
    """Write all rows, one behind the other; ``offsets[i]`` becomes where row ``i`` begins.

    ``stack`` is room to work in, (`DEEPEST` * 3,) int64: an array that were made here would be gone once its address is taken.
    """
    frames = stack.ctypes.data
    p = out
    for row in range(len(offsets) - 1):
        offsets[row] = p - out
        p = _run(program, p, row, columns, groups, frames)
    offsets[len(offsets) - 1] = p - out


@_entry
def join_pairs(packets: Word, starts: Any, ends: Any, added: Word, added_offsets: Any, out: Word, offsets: Any) -> None:
    """Copy packets, each followed by its added bytes, one behind the other."""
    for i in range(len(starts)):
        at = out + offsets[i]
        length = ends[i] - starts[i]
        _copy(at, packets + starts[i], length)
        _copy(at + length, added + added_offsets[i], added_offsets[i + 1] - added_offsets[i])
