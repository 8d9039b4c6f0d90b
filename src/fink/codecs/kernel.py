"""Compiled reading of Avro bytes: a small program, made from a schema, is run over every record of a batch.

Everything that is compiled to read lies in this one file, because numba's disk cache notices changes of the compiled function's own
file only. Positions are absolute addresses (int64); a function that finds the bytes wrong returns a negative *status* in place of the
next position. Bounds are checked at texts, arrays, items and ``CHECK`` operations; between two checks a record may be over-read by less
than ``PADDING`` bytes, which the caller provides behind the buffer and the program compiler guarantees.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

PADDING = 4096
"""Readable bytes that must follow the last record of a buffer [byte]."""

# Operations: six int64 words each, (operation, count, a, b, c, d).
(
    END,
    CHECK,
    JUMP,
    SKIP_BYTES,
    SKIP_RUN,
    SKIP_VARINTS,
    SKIP_TEXT,
    READ_FLOAT,
    READ_INT,
    READ_BOOL,
    READ_ENUM,
    READ_TEXT,
    READ_FIXED,
    UNION,
    ARRAY,
    ARRAY_END,
) = range(16)
OP_BYTES = 48

# Column descriptor: address of values, of validity bytes, of lengths; group; bits that stand for null in values.
COLUMN_WORDS = 6
COLUMN_BYTES = 48
# Group descriptor: address of offsets, parent group, rows so far, rows there is room for.
GROUP_WORDS = 4
GROUP_BYTES = 32
# Table entry of a value in a run that is skipped; see _skip_run.
RUN_WORDS = 4
RUN_BYTES = 32
WINDOW = 64  # bytes that are compared at once
# Stack frame of an open array: row to return to, items left, first operation of an item, group.
FRAME_BYTES = 32
DEEPEST = 16
FRAMES = DEEPEST * FRAME_BYTES // 8

GOOD, ENDS_EARLY, BAD_BRANCH, BAD_LENGTH, BAD_VARINT, BAD_COUNT, BAD_BOOL, BAD_ENUM, BAD_TEXT, TRAILING, UNREADABLE, NO_ROOM = range(12)
# A status is its code, plus 256 times a detail (the byte that is wrong), plus 65,536 times where (bytes from the record's start).
DETAIL = 1 << 8
PLACE = 1 << 16

NAN = float("nan")
NAN_BITS = 0x7FF8000000000000
HIGH_BITS = -0x7F7F7F7F7F7F7F80  # 0x80 in each of eight bytes

Word: TypeAlias = Any  # an int64 in compiled code: a position, an address, a count or a value
Function = TypeVar("Function", bound=Callable[..., Any])

_intrinsic: Callable[[Callable[..., Any]], Callable[..., Any]] = intrinsic
_BYTE, _HALF, _HALF_WORD, _WORD = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_FLOAT32, _FLOAT64 = ir.FloatType(), ir.DoubleType()


def _load_with(kind: Any, finish: Any) -> Any:
    """Make the code generator of an unaligned load of ``kind`` followed by ``finish``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return finish(builder, builder.load(builder.inttoptr(arguments[0], kind.as_pointer()), align=1))

    return generate


@_intrinsic
def load_byte(typing: Any, address: Any) -> Any:
    """Read one byte as int64."""
    return types.int64(types.int64), _load_with(_BYTE, lambda builder, value: builder.zext(value, _WORD))


@_intrinsic
def load_half(typing: Any, address: Any) -> Any:
    """Read two bytes as int64, without regard to the sign."""
    return types.int64(types.int64), _load_with(_HALF, lambda builder, value: builder.zext(value, _WORD))


@_intrinsic
def load_half_word(typing: Any, address: Any) -> Any:
    """Read four bytes as int64, without regard to the sign."""
    return types.int64(types.int64), _load_with(_HALF_WORD, lambda builder, value: builder.zext(value, _WORD))


@_intrinsic
def load_word(typing: Any, address: Any) -> Any:
    """Read eight bytes as int64."""
    return types.int64(types.int64), _load_with(_WORD, lambda builder, value: value)


@_intrinsic
def load_float32(typing: Any, address: Any) -> Any:
    """Read four bytes as a float, widened (exactly) to float64."""
    return types.float64(types.int64), _load_with(_FLOAT32, lambda builder, value: builder.fpext(value, _FLOAT64))


@_intrinsic
def load_float64(typing: Any, address: Any) -> Any:
    """Read eight bytes as float64."""
    return types.float64(types.int64), _load_with(_FLOAT64, lambda builder, value: value)


def _store_with(kind: Any, prepare: Any) -> Any:
    """Make the code generator of an unaligned store of ``kind``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(prepare(builder, arguments[1]), builder.inttoptr(arguments[0], kind.as_pointer()), align=1)
        return context.get_dummy_value()

    return generate


@_intrinsic
def store_byte(typing: Any, address: Any, value: Any) -> Any:
    """Write the low byte of an int64."""
    return types.void(types.int64, types.int64), _store_with(_BYTE, lambda builder, value: builder.trunc(value, _BYTE))


@_intrinsic
def store_half(typing: Any, address: Any, value: Any) -> Any:
    """Write the low two bytes of an int64."""
    return types.void(types.int64, types.int64), _store_with(_HALF, lambda builder, value: builder.trunc(value, _HALF))


@_intrinsic
def store_half_word(typing: Any, address: Any, value: Any) -> Any:
    """Write the low four bytes of an int64."""
    return types.void(types.int64, types.int64), _store_with(_HALF_WORD, lambda builder, value: builder.trunc(value, _HALF_WORD))


@_intrinsic
def store_word(typing: Any, address: Any, value: Any) -> Any:
    """Write an int64."""
    return types.void(types.int64, types.int64), _store_with(_WORD, lambda builder, value: value)


@_intrinsic
def store_float32(typing: Any, address: Any, value: Any) -> Any:
    """Write a float64 as four bytes, rounded."""
    return types.void(types.int64, types.float64), _store_with(_FLOAT32, lambda builder, value: builder.fptrunc(value, _FLOAT32))


@_intrinsic
def store_float64(typing: Any, address: Any, value: Any) -> Any:
    """Write a float64."""
    return types.void(types.int64, types.float64), _store_with(_FLOAT64, lambda builder, value: value)


@_intrinsic
def shift_right(typing: Any, value: Any, count: Any) -> Any:
    """Shift without regard to the sign."""
    return types.int64(types.int64, types.int64), lambda context, builder, signature, arguments: builder.lshr(*arguments)


@_intrinsic
def trailing_zeros(typing: Any, value: Any) -> Any:
    """Count the zero bits below the lowest set bit."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.int64), generate


@_intrinsic
def count_ones(typing: Any, value: Any) -> Any:
    """Count the bits that are set."""
    return types.int64(types.int64), lambda context, builder, signature, arguments: builder.ctpop(arguments[0])


@_intrinsic
def bytes_unlike(typing: Any, address: Any, byte: Any) -> Any:
    """Compare 64 bytes with one value; give a bit for each that differs."""
    lanes = ir.VectorType(_BYTE, WINDOW)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        window = builder.load(builder.inttoptr(arguments[0], lanes.as_pointer()), align=1)
        one = builder.insert_element(ir.Constant(lanes, ir.Undefined), builder.trunc(arguments[1], _BYTE), ir.Constant(ir.IntType(32), 0))
        wanted = builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), WINDOW), [0] * WINDOW))
        return builder.bitcast(builder.icmp_unsigned("!=", window, wanted), _WORD)

    return types.int64(types.int64, types.int64), generate


@_intrinsic
def windows_unlike(typing: Any, a: Any, b: Any) -> Any:
    """Compare 64 bytes with 64 others; give a bit for each that differs."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = ir.VectorType(_BYTE, WINDOW).as_pointer()
        one, other = (builder.load(builder.inttoptr(address, pointer), align=1) for address in arguments)
        return builder.bitcast(builder.icmp_unsigned("!=", one, other), _WORD)

    return types.int64(types.int64, types.int64), generate


_compiled: Callable[[Function], Function] = njit(error_model="numpy", nogil=True, forceinline=True)
_entry: Callable[[Function], Function] = njit(error_model="numpy", nogil=True, cache=True)


@_compiled
def _fault(code: Word, detail: Word, p: Word) -> Word:
    """Make the negative number that stands for a fault at ``p``."""
    return -(code + DETAIL * detail + PLACE * p)


@_compiled
def _status(fault: Word, start: Word, end: Word) -> Word:
    """Make a record's status of a fault; whatever is wrong behind its end is that it ends early."""
    code, p = -fault & 0xFF, shift_right(-fault, 16)
    if code == ENDS_EARLY or (p >= end and code != TRAILING and code != BAD_LENGTH and code != BAD_COUNT):
        return ENDS_EARLY + PLACE * (end - start)
    return (-fault & 0xFFFF) + PLACE * (p - start)


# --- variable-length integers -------------------------------------------------------------------------------------------------------


@_compiled
def _skip_varint(p: Word) -> Word:
    """Step over one variable-length integer, of at most ten bytes."""
    if load_byte(p) < 128:
        return p + 1
    stops = (~load_word(p)) & HIGH_BITS
    if stops != 0:
        return p + 1 + shift_right(trailing_zeros(stops), 3)
    if load_byte(p + 8) < 128:
        return p + 9
    if load_byte(p + 9) < 2:
        return p + 10
    return _fault(BAD_VARINT, 0, p + 9)


@_compiled
def _squeeze(x: Word) -> Word:
    """Bring eight groups of seven bits together."""
    x &= 0x7F7F7F7F7F7F7F7F
    x = (x & 0x007F007F007F007F) | shift_right(x & 0x7F007F007F007F00, 1)
    x = (x & 0x00003FFF00003FFF) | shift_right(x & 0x3FFF00003FFF0000, 2)
    return (x & 0x000000000FFFFFFF) | shift_right(x & 0x0FFFFFFF00000000, 4)


@_compiled
def _read_long_varint(p: Word) -> tuple[Word, Word]:
    """Read an unsigned variable-length integer of two bytes or more, eight bytes at a time."""
    x = load_word(p)
    stops = (~x) & HIGH_BITS
    if stops != 0:
        n = shift_right(trailing_zeros(stops), 3) + 1
        if n < 8:
            x = x & ((np.int64(1) << (8 * n)) - 1)
        return _squeeze(x), p + n
    x = _squeeze(x)
    byte = load_byte(p + 8)
    x |= (byte & 127) << 56
    if byte < 128:
        return x, p + 9
    byte = load_byte(p + 9)
    x |= byte << 63
    if byte < 2:
        return x, p + 10
    return np.int64(0), _fault(BAD_VARINT, 0, p + 9)


@_compiled
def _read_varint(p: Word) -> tuple[Word, Word]:
    """Read one zigzag integer; give the value and the next position."""
    x = load_byte(p)
    q = p + 1
    if x >= 128:
        x, q = _read_long_varint(p)
    return shift_right(x, 1) ^ (-(x & 1)), q


@_compiled
def _skip_varints(p: Word, count: Word, branch: Word) -> Word:
    """Step over ``count`` integers, nullable if ``branch`` is not negative."""
    for _ in range(count):
        present = _presence(p, branch)
        if present < 0:
            return present
        if branch >= 0:
            p += 1
        if present == 1:
            p = _skip_varint(p)
            if p < 0:
                return p
    return p


# --- nullable values ----------------------------------------------------------------------------------------------------------------


@_compiled
def _presence(p: Word, branch: Word) -> Word:
    """Say whether a value follows (1) or null stands (0); ``branch`` is the byte that announces a value, negative if never null."""
    if branch < 0:
        return np.int64(1)
    byte = load_byte(p)
    if byte == branch:
        return np.int64(1)
    if byte == 2 - branch:
        return np.int64(0)
    return _fault(BAD_BRANCH, byte, p)


@_compiled
def _skip_run(p: Word, count: Word, table: Word, branch: Word) -> Word:
    """Step over ``count`` nullable values of fixed widths, as many at once as are there, or null, one behind the other.

    A value's table entry says, should it and its followers all be there: where in the next 64 bytes their branches lie (one bit for
    each), how far it is to the first value beyond, and how many values that takes; and, should they all be null, how many follow without
    other bytes between them, with 65,536 times the bytes that come then.
    """
    null = 2 - branch
    done = np.int64(0)
    while done < count:
        entry = table + RUN_BYTES * done
        word = load_word(p) ^ (null * 0x0101010101010101)
        if word & 0xFF == 0:
            nulls = shift_right(trailing_zeros(word), 3)
            neighbours = load_word(entry + 24)
            if nulls >= neighbours & 0xFFFF:
                nulls = neighbours & 0xFFFF
                p += shift_right(neighbours, 16)
            p += nulls
            done += nulls
            continue
        branches = load_word(entry)
        other = bytes_unlike(p, branch) & branches
        if other == 0:
            p += load_word(entry + 8)
            done += load_word(entry + 16)
        elif other & 1 == 1:
            return _fault(BAD_BRANCH, load_byte(p), p)
        else:
            p += trailing_zeros(other)
            done += count_ones(branches & (other ^ (other - 1)) & ~other)
    return p


@_compiled
def _put(column: Word, row: Word, bits: Word, valid: Word) -> None:
    """Store the bits of one value and its validity."""
    store_word(load_word(column) + 8 * row, bits)
    store_byte(load_word(column + 8) + row, valid)


@_compiled
def _read_floats(p: Word, count: Word, column: Word, row: Word, width: Word, branch: Word) -> Word:
    """Read ``count`` floats of ``width`` bytes into neighbouring columns."""
    for _ in range(count):
        present = _presence(p, branch)
        if present < 0:
            return present
        if branch >= 0:
            p += 1
        value = NAN
        if present == 1:
            value = load_float32(p) if width == 4 else load_float64(p)
            p += width
        store_float64(load_word(column) + 8 * row, value)
        store_byte(load_word(column + 8) + row, present)
        column += COLUMN_BYTES
    return p


@_compiled
def _read_ints(p: Word, count: Word, column: Word, row: Word, branch: Word) -> Word:
    """Read ``count`` integers into neighbouring columns."""
    for _ in range(count):
        present = _presence(p, branch)
        if present < 0:
            return present
        if branch >= 0:
            p += 1
        value = np.int64(0)
        if present == 1:
            value, p = _read_varint(p)
            if p < 0:
                return p
        _put(column, row, value, present)
        column += COLUMN_BYTES
    return p


@_compiled
def _read_bools(p: Word, count: Word, column: Word, row: Word, branch: Word) -> Word:
    """Read ``count`` booleans, which are 0 or 1 and nothing else, into neighbouring columns."""
    for _ in range(count):
        present = _presence(p, branch)
        if present < 0:
            return present
        if branch >= 0:
            p += 1
        value = np.int64(0)
        if present == 1:
            value = load_byte(p)
            if value > 1:
                return _fault(BAD_BOOL, value, p)
            p += 1
        _put(column, row, value, present)
        column += COLUMN_BYTES
    return p


@_compiled
def _read_enum(p: Word, symbols: Word, column: Word, row: Word, branch: Word) -> Word:
    """Read one enumeration as the number of its symbol."""
    q = _read_ints(p, np.int64(1), column, row, branch)
    if q > 0:
        symbol = load_word(load_word(column) + 8 * row)
        if symbol < 0 or symbol >= symbols:
            return _fault(BAD_ENUM, 0, p)
    return q


# --- texts and bytes ----------------------------------------------------------------------------------------------------------------


@_compiled
def _text_span(p: Word, end: Word, branch: Word) -> tuple[Word, Word, Word]:
    """Find a text or bytes value: position of its first byte, its length, and whether it is there."""
    if p >= end:
        return _fault(ENDS_EARLY, 0, p), np.int64(0), np.int64(0)
    present = _presence(p, branch)
    if present < 0:
        return present, np.int64(0), np.int64(0)
    if branch >= 0:
        p += 1
    if present == 0:
        return p, np.int64(0), np.int64(0)
    length, p = _read_varint(p)
    if p < 0:
        return p, np.int64(0), np.int64(0)
    if p > end:
        return _fault(ENDS_EARLY, 0, p), np.int64(0), np.int64(0)
    if length < 0 or length > end - p:
        return _fault(BAD_LENGTH, 0, p), np.int64(0), np.int64(0)
    return p, length, present


@_compiled
def _sequence_length(p: Word, left: Word) -> Word:
    """Give the bytes of the UTF-8 sequence at ``p``, or 0 if there is no valid one."""
    first = load_byte(p)
    if first < 0x80:
        return 1
    second = load_byte(p + 1)
    length, low, high = 0, 0x80, 0xBF
    if 0xC2 <= first <= 0xDF:
        length = 2
    elif 0xE0 <= first <= 0xEF:
        length = 3
        low = 0xA0 if first == 0xE0 else 0x80
        high = 0x9F if first == 0xED else 0xBF
    elif 0xF0 <= first <= 0xF4:
        length = 4
        low = 0x90 if first == 0xF0 else 0x80
        high = 0x8F if first == 0xF4 else 0xBF
    if length > left or second < low or second > high:
        return 0
    for j in range(2, length):
        if load_byte(p + j) & 0xC0 != 0x80:
            return 0
    return length


@_compiled
def _is_utf8(p: Word, length: Word) -> bool:
    """Say whether the bytes are UTF-8; eight plain ASCII ones at a time."""
    end = p + length
    while p < end:
        if end - p >= 8 and load_word(p) & HIGH_BITS == 0:
            p += 8
            continue
        step = _sequence_length(p, end - p)
        if step == 0:
            return False
        p += step
    return True


@_compiled
def _read_text(p: Word, end: Word, base: Word, column: Word, row: Word, must_be_text: Word, branch: Word) -> Word:
    """Note where a text or bytes value lies; a text must be UTF-8."""
    p, length, present = _text_span(p, end, branch)
    if p < 0:
        return p
    if must_be_text == 1 and not _is_utf8(p, length):
        return _fault(BAD_TEXT, 0, p)
    _put(column, row, p - base, present)
    store_word(load_word(column + 16) + 8 * row, length)
    return p + length


@_compiled
def _read_fixed(p: Word, base: Word, column: Word, row: Word, width: Word, branch: Word) -> Word:
    """Note where a value of a fixed number of bytes lies."""
    present = _presence(p, branch)
    if present < 0:
        return present
    if branch >= 0:
        p += 1
    _put(column, row, p - base, present)
    store_word(load_word(column + 16) + 8 * row, width * present)
    return p + width * present


@_compiled
def _skip_text(p: Word, end: Word, branch: Word) -> Word:
    """Step over a text or bytes value."""
    p, length, _ = _text_span(p, end, branch)
    return p + length


# --- unions and arrays --------------------------------------------------------------------------------------------------------------


@_compiled
def _fill_null(table: Word, row: Word, first: Word, stop: Word, columns: Word, groups: Word) -> None:
    """Make null, at one row, all columns of a union; give the row no item in the union's arrays."""
    group = load_word(table + 16)
    for j in range(first, stop):
        column = columns + j * COLUMN_BYTES
        if load_word(column + 24) == group:
            _put(column, row, load_word(column + 32), np.int64(0))
            if load_word(column + 16) != 0:
                store_word(load_word(column + 16) + 8 * row, np.int64(0))
    for g in range(load_word(table), load_word(table + 8)):
        child = groups + g * GROUP_BYTES
        if load_word(child + 8) == group:
            store_word(load_word(child) + 8 * (row + 1), load_word(child + 16))


@_compiled
def _choose_branch(p: Word, end: Word, branches: Word, table: Word) -> tuple[Word, Word]:
    """Read which branch of a union follows; give the next position and the branch's operation, from the program's start."""
    if p >= end:
        return _fault(ENDS_EARLY, 0, p), np.int64(0)
    branch, p = _read_varint(p)
    if p < 0:
        return p, np.int64(0)
    if branch < 0 or branch >= branches:
        return _fault(BAD_BRANCH, (2 * branch) & 0xFF, p - 1), np.int64(0)
    return p, load_word(table + 24 + 8 * branch)


@_compiled
def _read_count(p: Word, end: Word, smallest: Word) -> tuple[Word, Word]:
    """Read how many items the next block of an array has, and refuse more than its bytes can hold."""
    if p >= end:
        return np.int64(0), _fault(ENDS_EARLY, 0, p)
    count, p = _read_varint(p)
    if p > 0 and count < 0:
        count = -count
        p = _skip_varint(p)
    if p < 0:
        return np.int64(0), p
    if p > end:
        return np.int64(0), _fault(ENDS_EARLY, 0, p)
    if count < 0 or count > (end - p) // smallest:
        return np.int64(0), _fault(BAD_COUNT, 0, p)
    return count, p


@_compiled
def _begin_rows(group: Word, count: Word, row: Word, groups: Word, demand: Word) -> Word:
    """Give the first of ``count`` new rows of an array's group (the same row where the array is not wanted)."""
    if group < 0:
        return row
    descriptor = groups + group * GROUP_BYTES
    rows = load_word(descriptor + 16)
    if rows + count > load_word(descriptor + 24):
        store_word(demand, group)
        store_word(demand + 8, rows + count)
        return _fault(NO_ROOM, 0, 0)
    store_word(descriptor + 16, rows + 1)
    return rows


@_compiled
def _close_array(group: Word, row: Word, groups: Word) -> None:
    """Note that the items of a row of the parent end here."""
    if group >= 0:
        descriptor = groups + group * GROUP_BYTES
        store_word(load_word(descriptor) + 8 * (row + 1), load_word(descriptor + 16))


@_compiled
def _begin_array(
    p: Word, end: Word, pc: Word, row: Word, group: Word, branch: Word, past: Word, smallest: Word, frame: Word, groups: Word, demand: Word
) -> tuple[Word, Word, Word]:
    """Begin an array: give the next position, the operation to go on with, and the row."""
    if p >= end:
        return _fault(ENDS_EARLY, 0, p), pc, row
    present = _presence(p, branch)
    if present < 0:
        return present, pc, row
    if branch >= 0:
        p += 1
    count = np.int64(0)
    if present == 1:
        count, p = _read_count(p, end, smallest)
        if p < 0:
            return p, pc, row
    if count == 0:
        _close_array(group, row, groups)
        return p, past, row
    store_word(frame, row)
    store_word(frame + 8, count)
    store_word(frame + 16, pc)
    store_word(frame + 24, group)
    first = _begin_rows(group, count, row, groups, demand)
    return (first, pc, row) if first < 0 else (p, pc, first)


@_compiled
def _end_item(p: Word, end: Word, pc: Word, row: Word, smallest: Word, frame: Word, groups: Word, demand: Word) -> tuple[Word, Word, Word]:
    """End an item: go to the next item, the next block, or past the array (the operation is then ``pc``)."""
    if p > end:
        return _fault(ENDS_EARLY, 0, p), pc, row
    group = load_word(frame + 24)
    left = load_word(frame + 8) - 1
    again = load_word(frame + 16)
    if left > 0:
        store_word(frame + 8, left)
        if group >= 0:
            row += 1
            store_word(groups + group * GROUP_BYTES + 16, row + 1)
        return p, again, row
    count, p = _read_count(p, end, smallest)
    if p < 0:
        return p, pc, row
    if count == 0:
        row = load_word(frame)
        _close_array(group, row, groups)
        return p, pc, row
    store_word(frame + 8, count)
    first = _begin_rows(group, count, row, groups, demand)
    return (first, again, row) if first < 0 else (p, again, first)


# --- records ------------------------------------------------------------------------------------------------------------------------


@_compiled
def _run(program: Word, base: Word, p: Word, end: Word, row: Word, columns: Word, groups: Word, stack: Word, demand: Word) -> Word:
    """Run the program over one record; give where the record ends, or a negative status."""
    if p >= end:
        return _fault(ENDS_EARLY, 0, p) if load_word(program) != END else p
    pc = program
    frame = stack
    while True:
        op, count, a, b, c = load_word(pc), load_word(pc + 8), load_word(pc + 16), load_word(pc + 24), load_word(pc + 32)
        column = columns + c * COLUMN_BYTES
        pc += OP_BYTES
        # Only comparisons for equality, so that they become one table of jumps.
        if op == SKIP_RUN:
            p = _skip_run(p, count, program + a, b)
        elif op == SKIP_VARINTS:
            p = _skip_varints(p, count, b)
        elif op == SKIP_BYTES:
            p += count
        elif op == SKIP_TEXT:
            p = _skip_text(p, end, b)
        elif op == READ_FLOAT:
            p = _read_floats(p, count, column, row, a, b)
        elif op == READ_INT:
            p = _read_ints(p, count, column, row, b)
        elif op == READ_TEXT:
            p = _read_text(p, end, base, column, row, a, b)
        elif op == READ_BOOL:
            p = _read_bools(p, count, column, row, b)
        elif op == READ_ENUM:
            p = _read_enum(p, a, column, row, b)
        elif op == READ_FIXED:
            p = _read_fixed(p, base, column, row, a, b)
        elif op == ARRAY_END:
            following = pc
            p, pc, row = _end_item(p, end, pc, row, a, frame - FRAME_BYTES, groups, demand)
            if pc == following:
                frame -= FRAME_BYTES
        elif op == ARRAY:
            past = program + c
            p, pc, row = _begin_array(p, end, pc, row, count, b, past, a, frame, groups, demand)
            if pc != past:
                frame += FRAME_BYTES
        elif op == UNION:
            _fill_null(program + a, row, b, c, columns, groups)
            p, target = _choose_branch(p, end, count, program + a)
            pc = program + target
        elif op == JUMP:
            pc = program + a
        elif p > end:  # the checks: CHECK and END
            return _fault(ENDS_EARLY, 0, p)
        elif op == END:
            return p
        if p < 0:
            return p


@_compiled
def _save_counts(groups: Word, n_groups: Word, saved: Word) -> None:
    """Remember how many rows the groups have."""
    for g in range(1, n_groups):
        store_word(saved + 8 * g, load_word(groups + g * GROUP_BYTES + 16))


@_compiled
def _roll_back(row: Word, groups: Word, n_groups: Word, saved: Word) -> None:
    """Take back the rows that a record brought before it proved bad."""
    for g in range(1, n_groups):
        group = groups + g * GROUP_BYTES
        rows = load_word(saved + 8 * g)
        store_word(group + 16, rows)
        if load_word(group + 8) == 0:
            store_word(load_word(group) + 8 * (row + 1), rows)


@_entry
def decode_records(
    program: Word,
    base: Word,
    starts: Any,
    ends: Any,
    first: Word,
    columns: Word,
    groups: Word,
    n_groups: Word,
    exact: Word,
    status: Any,
    demand: Any,
    room: Any,
) -> Word:
    """Decode records from the ``first`` on; give the first that found no room (``demand`` says in which group), or their number.

    ``room`` is to work in, (`FRAMES` + n_groups,) int64.
    """
    # Only addresses go on from here: to pass an array is to count a reference to it, for every item of every array. All are of arrays
    # that the caller holds; one that were made here would be gone once its address is taken.
    frames, wanted = room.ctypes.data, demand.ctypes.data
    saved = frames + 8 * FRAMES
    for i in range(first, len(starts)):
        _save_counts(groups, n_groups, saved)
        end = base + ends[i]
        p = _run(program, base, base + starts[i], end, i, columns, groups, frames, wanted)
        if p > 0 and exact == 1 and p != end:
            p = _fault(TRAILING, 0, p)
        status[i] = np.int64(0)
        if p < 0:
            _roll_back(i, groups, n_groups, saved)
            if -p & 0xFF == NO_ROOM:
                return i
            status[i] = _status(p, base + starts[i], end)
    return len(starts)


@_entry
def split_blocks(
    program: Word,
    base: Word,
    block_starts: Any,
    block_ends: Any,
    counts: Any,
    first_record: Any,
    starts: Any,
    ends: Any,
    n_good: Any,
    status: Any,
    room: Any,
) -> None:
    """Find where each record of each block lies; ``n_good`` and ``status`` say how far a block could be followed.

    ``room`` is to work in, (`FRAMES`,) int64.
    """
    frames = room.ctypes.data
    for i in range(len(block_starts)):
        p = base + block_starts[i]
        end = base + block_ends[i]
        good = 0
        for j in range(first_record[i], first_record[i + 1]):
            q = _run(program, base, p, end, np.int64(0), np.int64(0), np.int64(0), frames, np.int64(0))
            starts[j] = p - base
            if q < 0:
                status[i] = _status(q, p, end)
                break
            ends[j] = q - base
            p = q
            good += 1
        n_good[i] = good


@_entry
def gather_bytes(base: Word, starts: Any, offsets: Any, out: Any) -> None:
    """Copy ranges of bytes, each from ``starts`` on, one behind the other."""
    for i in range(len(starts)):
        source = base + starts[i] - offsets[i]
        for j in range(offsets[i], offsets[i + 1]):
            out[j] = load_byte(source + j)


@_entry
def first_bytes(base: Word, starts: Any, lengths: Any, valid: Any, longest: Word, out: Any) -> None:
    """Read the first byte of each text of 1 to ``longest`` bytes; others give 0."""
    for i in range(len(starts)):
        out[i] = load_byte(base + starts[i]) if valid[i] and 0 < lengths[i] <= longest else 0


# --- object container files ---------------------------------------------------------------------------------------------------------

(
    FILE_WHOLE,
    FILE_EMPTY,
    FILE_HEADER_UNKNOWN,
    FILE_BAD_BLOCK_COUNT,
    FILE_BAD_BLOCK_SIZE,
    FILE_TRUNCATED,
    FILE_BAD_SYNC,
) = range(7)


@_compiled
def _same_bytes(a: Word, b: Word, length: Word) -> bool:
    """Compare two ranges of bytes."""
    j = np.int64(0)
    while j + WINDOW <= length:
        if windows_unlike(a + j, b + j) != 0:
            return False
        j += WINDOW
    while j + 8 <= length:
        if load_word(a + j) != load_word(b + j):
            return False
        j += 8
    while j < length:
        if load_byte(a + j) != load_byte(b + j):
            return False
        j += 1
    return True


@_compiled
def _find_header(p: Word, end: Word, headers: Any, lengths: Any, likely: Word) -> Word:
    """Find which known header a file begins with, the likely one first; -1 if none."""
    n = len(headers)
    for j in range(n):
        k = (likely + j) % n
        if end - p >= lengths[k] + 16 and _same_bytes(p, headers[k], lengths[k]):
            return k
    return np.int64(-1)


@_compiled
def _next_block(p: Word, end: Word, sync: Word) -> tuple[Word, Word, Word, Word]:
    """Read the frame of one block: why it is broken (0 if not), number of records, first byte and end of its payload."""
    nothing = np.int64(0)
    count, q = _read_varint(p)
    if q > end:
        return np.int64(FILE_TRUNCATED), nothing, nothing, nothing
    if q < 0 or count < 0:
        return np.int64(FILE_BAD_BLOCK_COUNT), nothing, nothing, nothing
    size, q = _read_varint(q)
    if q > end:
        return np.int64(FILE_TRUNCATED), nothing, nothing, nothing
    if q < 0 or size < 0:
        return np.int64(FILE_BAD_BLOCK_SIZE), nothing, nothing, nothing
    if size > end - q - 16:
        return np.int64(FILE_TRUNCATED), nothing, nothing, nothing
    if not _same_bytes(q + size, sync, np.int64(16)):
        return np.int64(FILE_BAD_SYNC), nothing, nothing, nothing
    return np.int64(FILE_WHOLE), count, q, q + size


@_entry
def scan_containers(
    base: Word,
    starts: Any,
    ends: Any,
    headers: Any,
    lengths: Any,
    resume: Any,
    file_header: Any,
    state: Any,
    stopped: Any,
    blocks: Any,
    n: Word,
) -> Word:
    """List the blocks of files, as rows (file, payload start, payload end, records); stop when the rows are used up.

    ``resume[0]`` is the file and ``resume[1]`` the offset to go on from (0: from the file's header).
    """
    likely = np.int64(0)
    for f in range(resume[0], len(starts)):
        p = base + starts[f] + resume[1]
        end = base + ends[f]
        resume[0] = f
        if resume[1] == 0:
            if p >= end:
                state[f] = FILE_EMPTY
                continue
            file_header[f] = _find_header(p, end, headers, lengths, likely)
            if file_header[f] < 0:
                state[f] = FILE_HEADER_UNKNOWN
                continue
            likely = file_header[f]
            p += lengths[likely] + 16
        sync = base + starts[f] + lengths[file_header[f]]
        while p < end:
            if n >= len(blocks):
                resume[1] = p - base - starts[f]
                return n
            broken, count, first, stop = _next_block(p, end, sync)
            if broken != FILE_WHOLE:
                state[f] = broken
                stopped[f] = p - base
                break
            blocks[n, 0], blocks[n, 1], blocks[n, 2], blocks[n, 3] = f, first - base, stop - base, count
            n += 1
            p = stop + 16
        resume[1] = 0
    resume[0] = len(starts)
    return n
