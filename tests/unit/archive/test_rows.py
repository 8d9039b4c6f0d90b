"""Packed rows give back what was packed, whatever is null."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from fink.archive.rows import IN_PACKETS, POINTER, RowFormat, format_number, read_pointers, with_pointer

VALUES = {
    "a": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "b": (pa.string(), st.text(max_size=12)),
    "c": (pa.float32(), st.floats(width=32, allow_nan=False)),
    "d": (pa.bool_(), st.booleans()),
    "e": (pa.string(), st.text(alphabet="é☉x", max_size=4)),
    "f": (pa.int8(), st.integers(-128, 127)),
    "g": (pa.float64(), st.floats(allow_nan=False)),
    "h": (pa.int16(), st.integers(-(2**15), 2**15 - 1)),
    "i": (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
}
ROW = st.fixed_dictionaries({name: st.none() | values for name, (_, values) in VALUES.items()})


@settings(deadline=None)
@given(st.lists(ROW, max_size=20), st.sets(st.sampled_from(sorted(VALUES)), min_size=1), st.integers(0, 5))
def test_rows_come_back(rows: list[dict[str, object]], indexed: set[str], skipped: int) -> None:
    schema = pa.schema([(name, type_) for name, (type_, _) in VALUES.items()])
    table = pa.Table.from_pylist(rows, schema).slice(min(skipped, len(rows)))
    format_ = RowFormat.of_table(7, table, frozenset(indexed))
    pointers = np.zeros(table.num_rows, POINTER)
    pointers["offset"] = np.arange(table.num_rows) * 2**40
    packed = format_.pack(table, pointers)
    read, where = RowFormat.from_bytes(7, format_.to_bytes()).unpack(packed)
    assert read.to_pylist() == table.select(sorted(indexed)).to_pylist()
    assert where["offset"].tolist() == pointers["offset"].tolist()
    assert all(format_number(row) == 7 for row in packed)


def test_a_pointer_can_be_replaced() -> None:
    table = pa.table({"a": pa.array([1, 2]), "b": pa.array(["x", None])})
    format_ = RowFormat.of_table(0, table, frozenset("ab"))
    packed = format_.pack(table, np.zeros(2, POINTER))
    pointer = read_pointers(packed).copy()[1]
    pointer["kept"], pointer["segment"] = IN_PACKETS, 99
    packed[1] = with_pointer(packed[1], pointer)
    read, where = format_.unpack(packed)
    assert read.equals(table)
    assert where["segment"].tolist() == [0, 99]
