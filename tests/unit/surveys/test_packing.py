"""Numbers to Arrow: every type against arrays that pyarrow makes of plain Python lists."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fink.surveys.packing import ALIGNED, Stored, pack

INTEGERS: dict[pa.DataType, type[np.signedinteger[Any]]] = {
    pa.int8(): np.int8,
    pa.int16(): np.int16,
    pa.int32(): np.int32,
    pa.int64(): np.int64,
}
FLOATS: dict[pa.DataType, type[np.floating[Any]]] = {pa.float32(): np.float32, pa.float64(): np.float64}
TYPES = [pa.bool_(), *INTEGERS, *FLOATS]
EDGES = sorted({sign * (2**bits + by) for bits in (0, 7, 8, 15, 16, 24, 31, 32, 53, 62) for by in (-1, 0, 1) for sign in (-1, 1)})
HALVES = [0.5, -0.5, -0.0, 127.5, -128.5, 32767.25, -32768.25, 2147483647.5, -2147483648.5]
LARGE = [9.2e18, -9.2e18, 9.3e18, -9.3e18, 3.4028234e38, 3.4028236e38, -3.5e38, 1e-45, 5e-324, 1.7e308, math.inf, -math.inf, math.nan]
SENTINELS = [-999.0, -99999.0, 0.0, 127.0]

WHOLE = st.sampled_from([*EDGES, -999, -99999, 2**63 - 1, -(2**63)]) | st.integers(-(2**63), 2**63 - 1)
REAL = st.sampled_from([*map(float, EDGES), *HALVES, *LARGE, *SENTINELS]) | st.floats()


class Given(NamedTuple):
    """Numbers, which of them are there, what they become, and which stand for missing."""

    values: list[Any]
    valid: list[bool]
    kind: pa.DataType
    missing: tuple[float, ...]

    @property
    def numbers(self) -> NDArray[Any]:
        return np.array(self.values, np.int64 if self.values and isinstance(self.values[0], int) else np.float64)

    def stored(self) -> Stored:
        return Stored.of(self.numbers, np.array(self.valid, np.bool_), self.missing)


def given_numbers(n: int) -> st.SearchStrategy[Given]:
    """Draw a column: truth values come from whole numbers only."""
    missing = st.lists(st.sampled_from(SENTINELS), max_size=2).map(tuple)
    valid = st.lists(st.booleans(), min_size=n, max_size=n)
    whole = st.builds(Given, st.lists(WHOLE, min_size=n, max_size=n), valid, st.sampled_from(TYPES), missing)
    # -2**63 itself is the one float that int64 has and that becomes null all the same
    real = REAL.filter(lambda number: number != -(2.0**63))
    kinds = st.sampled_from([*INTEGERS, *FLOATS])
    return whole | st.builds(Given, st.lists(real, min_size=n, max_size=n), valid, kinds, missing)


def expected(column: Given) -> pa.Array:
    """Make the array number by number; a whole number becomes a float by way of float64."""
    return pa.array([_one(*item, column) for item in zip(column.values, column.valid, strict=True)], column.kind)


def _one(number: Any, there: bool, column: Given) -> Any:
    if not there or not math.isfinite(number) or float(number) in column.missing:
        return None
    if column.kind in FLOATS:
        with np.errstate(over="ignore"):
            rounded = float(FLOATS[column.kind](float(number)))
        return rounded if math.isfinite(rounded) else None
    if column.kind == pa.bool_():
        return number != 0
    limits = np.iinfo(INTEGERS[column.kind])
    return int(number) if int(limits.min) <= number <= int(limits.max) else None


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 41).flatmap(lambda n: st.tuples(st.just(n), st.lists(given_numbers(n), max_size=12))))
def test_columns_of_one_call_are_those_that_pyarrow_makes(drawn: tuple[int, list[Given]]) -> None:
    n, columns = drawn
    packed = pack([column.stored() for column in columns], [column.kind for column in columns], n)
    assert len(packed) == len(columns)
    for got, column in zip(packed, columns, strict=True):
        right = expected(column)
        got.validate(full=True)
        assert got.equals(right), (column, got, right)
        assert got.null_count == right.null_count


@pytest.mark.parametrize(("kind", "dtype"), INTEGERS.items(), ids=str)
@pytest.mark.parametrize("whole", [True, False])
def test_limits_of_whole_numbers(kind: pa.DataType, dtype: type[np.signedinteger[Any]], whole: bool) -> None:
    limits = np.iinfo(dtype)
    least, most = int(limits.min), int(limits.max)
    if kind == pa.int64():
        values: list[Any] = [least, most] if whole else [-(2.0**63) + 1024.0, 2.0**63 - 1024.0, 2.0**63, -(2.0**63) - 2048.0]
        right = [*map(int, values[:2]), None, None][: len(values)]
    else:
        values = [least, most, least - 1, most + 1] if whole else [float(least), float(most), least - 0.5, most + 0.5]
        right = [least, most, None, None]
    column = Given(values, [True] * len(values), kind, ())
    assert pack([column.stored()], [kind], len(values))[0].to_pylist() == right


def test_limit_of_float32_is_where_rounding_gives_infinity() -> None:
    largest = float(np.finfo(np.float32).max)
    to_infinity = largest + 2.0**103  # half a step further
    values = [largest, np.nextafter(to_infinity, 0.0), to_infinity, -largest, -to_infinity]
    narrow, wide = pack([Given(values, [True] * 5, pa.float32(), ()).stored()] * 2, [pa.float32(), pa.float64()], 5)
    assert narrow.to_pylist() == [largest, largest, None, -largest, None]
    assert wide.to_pylist() == values


@pytest.mark.parametrize("n", [1, 7, 8, 9, 63, 64, 65, 1000])
@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_every_type_at_every_length(kind: pa.DataType, n: int) -> None:
    random = np.random.default_rng(n)
    values, valid = random.integers(-100, 101, n), random.random(n) < 0.8
    whole, real = pack([Stored.of(values, valid), Stored.of(values.astype(np.float64), valid)], [kind, kind], n)
    plain = values != 0 if kind == pa.bool_() else values.astype(kind.to_pandas_dtype())
    right = pa.array(plain, kind, mask=~valid)
    assert whole.equals(right)
    assert real.equals(right)


def test_not_valid_not_finite_and_missing_are_null() -> None:
    values = [1.0, math.nan, math.inf, -math.inf, -999.0, -99999.0, 7.0]
    valid = [True] * 6 + [False]
    for missing, gone in (((), 4), ((-999.0,), 5), ((-999.0, -99999.0), 6)):
        column = Given(values, valid, pa.float64(), missing)
        got = pack([column.stored()], [pa.float64()], 7)[0]
        assert got.null_count == gone
        assert got.equals(expected(column))


def test_no_bits_where_nothing_is_null_and_every_buffer_is_aligned() -> None:
    random = np.random.default_rng(1)
    columns = [Stored.of(random.integers(0, 2, 77), np.arange(77) >= gap) for gap in (0, 1) for _ in TYPES]
    packed = pack(columns, TYPES * 2, 77)
    for number, array in enumerate(packed):
        bits, values = array.buffers()
        assert (bits is None) == (number < len(TYPES))
        assert values.address % ALIGNED == 0
        assert bits is None or bits.address % ALIGNED == 0


def test_nothing_gives_nothing() -> None:
    assert pack([], [], 5) == []
    none = Stored.of(np.zeros(0), np.zeros(0, np.bool_))
    assert [array.to_pylist() for array in pack([none] * len(TYPES), TYPES, 0)] == [[]] * len(TYPES)


def test_arrays_are_taken_where_they_lie_or_copied() -> None:
    numbers, valid = np.arange(6.0), np.ones(6, np.bool_)
    assert Stored.of(numbers, valid).values == numbers.ctypes.data
    assert Stored.of(numbers, valid).valid == valid.ctypes.data
    for other in (numbers.astype(np.float32), numbers.astype(np.int16), numbers.astype(np.uint8), np.repeat(numbers, 2)[::2]):
        stored = Stored.of(other, np.repeat(valid, 3)[::3])
        assert stored.whole == (other.dtype.kind != "f")
        assert pack([stored], [pa.float64()], 6)[0].to_pylist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    truth = Stored.of(np.array([True, False]), np.ones(2, np.bool_))
    assert pack([truth], [pa.bool_()], 2)[0].to_pylist() == [True, False]
