"""Searches give the alerts that the archive holds, each object once where that is asked."""

from __future__ import annotations

import pyarrow as pa

from fink.services.searches import last_of_each


def alerts(*rows: tuple[str | None, float, int]) -> pa.Table:
    names, times, numbers = zip(*rows, strict=True)
    return pa.table({"object_id": pa.array(names, pa.string()), "mjd": times, "alert_id": pa.array(numbers, pa.int64())})


def test_of_each_object_the_last_alert_stays_in_the_order_of_the_table() -> None:
    table = alerts(("b", 2.0, 1), ("a", 1.0, 2), ("b", 3.0, 3), (None, 1.0, 4), ("a", 1.0, 5), (None, 2.0, 6))
    assert last_of_each(table)["alert_id"].to_pylist() == [3, 4, 5, 6]


def test_nothing_stays_nothing() -> None:
    assert last_of_each(alerts(("a", 1.0, 1)).slice(0, 0)).num_rows == 0
