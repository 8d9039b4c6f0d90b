"""Keys sort as their meaning does."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fink.archive import keys
from fink.archive.index import after_prefix

LONGS = st.integers(-(2**63), 2**63 - 1)


@given(st.lists(LONGS, min_size=2, max_size=50))
def test_integers_sort_as_bytes(values: list[int]) -> None:
    written = keys.split([keys.sortable_integers(np.array(values, np.int64))], len(values))
    assert [values[i] for i in sorted(range(len(values)), key=lambda i: (written[i], values[i]))] == sorted(values)
    assert [keys.read_integer(key) for key in written] == values
    assert [keys.integer_key(value) for value in values] == written


@given(st.lists(st.floats(allow_nan=False), min_size=2, max_size=50))
def test_floats_sort_as_bytes(values: list[float]) -> None:
    packed = keys.sortable_floats(np.array(values, np.float64))
    written = keys.split([packed], len(values))
    assert sorted(values) == [values[i] for i in sorted(range(len(values)), key=lambda i: (written[i], values[i]))]
    assert keys.read_floats(packed).tolist() == values
    assert keys.float_key(-0.0) == keys.float_key(0.0)


@given(st.binary(max_size=6), st.binary(max_size=8))
def test_what_begins_with_a_prefix_lies_before_its_end(prefix: bytes, rest: bytes) -> None:
    end = after_prefix(prefix)
    if end is None:
        assert prefix.strip(b"\xff") == b""
    else:
        assert prefix <= prefix + rest < end
        assert not end.startswith(prefix) or prefix == b""


def test_objects_of_one_place_lie_together() -> None:
    near = keys.object_key(1, 5, b"ZTF18zzz"), keys.object_key(1, 5, b"ZTF18aaa")
    assert max(near) < keys.object_key(1, 6, b"ZTF18aaa") < keys.object_key(1, keys.LONE, b"1") < keys.object_key(1, keys.MOVING, b"1")
    pixels = np.array([5, keys.MOVING], np.int64)
    assert [prefix + b"x\0" for prefix in keys.object_prefixes(1, pixels)] == [keys.object_key(1, int(p), b"x") for p in pixels]
