"""Alert batches: rows that stay together with their light curves, packets and stamps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from alert_batches import random_batch
from fink.tables import PADDING, AlertBatch, Cutouts, Packets, concatenate

BODIES = (b"first", b"", b"the third", b"4")


def batch(n: int = 6) -> AlertBatch:
    """Give a batch whose rows can be told apart."""
    made = random_batch(3, n)
    table = made.alerts.set_column(made.alerts.column_names.index("alert_id"), "alert_id", pa.array(range(100, 100 + n), pa.int64()))
    return replace(made, alerts=table)


def assert_same_row(one: AlertBatch, row: int, other: AlertBatch, other_row: int) -> None:
    assert one.alerts.slice(row, 1).combine_chunks().equals(other.alerts.slice(other_row, 1).combine_chunks())
    a = slice(*one.lightcurves.offsets[row : row + 2])
    b = slice(*other.lightcurves.offsets[other_row : other_row + 2])
    np.testing.assert_array_equal(one.lightcurves.mjd[a], other.lightcurves.mjd[b])
    np.testing.assert_array_equal(one.lightcurves.flux[a], other.lightcurves.flux[b])
    assert one.packets.body(row) == other.packets.body(other_row)
    np.testing.assert_array_equal(one.cutouts.start[row], other.cutouts.start[other_row])
    np.testing.assert_array_equal(one.cutouts.length[row], other.cutouts.length[other_row])


def test_packets_give_back_the_records_that_were_joined() -> None:
    packets = Packets.from_bodies(BODIES, b'"bytes"')
    assert len(packets) == 4
    assert tuple(packets.body(row) for row in range(4)) == BODIES
    assert len(packets.buffer) == packets.ends[-1] + PADDING
    assert packets.schemas == (b'"bytes"',)
    assert packets.schema.dtype == np.int32


def test_packets_are_taken_in_any_order_without_copying_their_bytes() -> None:
    packets = Packets.from_bodies(BODIES, b'"bytes"')
    taken = packets.take(np.array([2, 0, 2]))
    assert [taken.body(row) for row in range(3)] == [b"the third", b"first", b"the third"]
    assert taken.buffer is packets.buffer


def test_no_packets_can_be_joined() -> None:
    packets = Packets.from_bodies([], b'"bytes"')
    assert (len(packets), len(packets.buffer)) == (0, PADDING)


def test_alerts_without_stamps_have_ranges_of_no_length() -> None:
    none = Cutouts.none(3)
    assert none.start.shape == none.length.shape == (3, 3)
    assert not none.length.any()
    assert none.take(np.array([1])).length.shape == (1, 3)


def test_rows_are_taken_with_everything_that_is_theirs() -> None:
    whole = batch()
    taken = whole.take(np.array([4, 1, 4], np.int32))
    assert len(taken) == 3
    assert taken.survey == whole.survey
    for row, of in enumerate((4, 1, 4)):
        assert_same_row(taken, row, whole, of)


def test_no_row_can_be_taken() -> None:
    empty = batch().take(np.zeros(0, np.int64))
    assert (len(empty), len(empty.packets), empty.lightcurves.n_points) == (0, 0, 0)
    assert empty.alerts.column_names == batch().alerts.column_names


def test_columns_are_added_at_the_end_and_replaced_where_they_stand() -> None:
    whole = batch()
    new = pa.array(np.arange(6, dtype=np.float32))
    wider = whole.with_columns({"fresh": new, "mag": pa.array([20.0] * 6)})
    assert wider.alerts.column_names == [*whole.alerts.column_names, "fresh"]
    assert wider.alerts["fresh"].to_pylist() == new.to_pylist()
    assert wider.alerts["mag"].to_pylist() == [20.0] * 6
    assert wider.alerts.schema.field("mag").type == pa.float64()
    assert "fresh" not in whole.alerts.column_names


def test_what_is_cut_apart_comes_together_again() -> None:
    whole = batch()
    parts = [whole.take(np.arange(0, 2)), whole.take(np.arange(2, 3)), whole.take(np.arange(3, 6))]
    joined = concatenate(parts)
    assert len(joined) == 6
    for row in range(6):
        assert_same_row(joined, row, whole, row)
    assert joined.packets.buffer is whole.packets.buffer


def test_one_part_is_the_whole() -> None:
    whole = batch()
    assert concatenate([whole]) is whole


@pytest.mark.parametrize("change", ["survey", "buffer"])
def test_batches_of_different_surveys_or_buffers_stay_apart(change: str) -> None:
    one = batch()
    moved = replace(one.packets, buffer=one.packets.buffer.copy())
    other = replace(one, survey="ztf") if change == "survey" else replace(one, packets=moved)
    with pytest.raises(ValueError, match="different surveys or buffers"):
        concatenate([one, other])
