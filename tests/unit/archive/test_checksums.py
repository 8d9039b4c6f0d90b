"""The checksum of a commit: what changes it, and what must not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fink.archive.checksums import checksum, row_order

HEADER = {"survey": "ztf", "night": "20200101", "source": "sample", "plan": "", "quarantined": ""}
ROWS: dict[str, pa.Array] = {
    "alert_id": pa.array([5, -2, 9], pa.int64()),
    "mjd": pa.array([58849.5, 58849.5, 58849.1]),
    "band": pa.array(["g", None, "rr"]),
    "mag": pa.array([20.5, None, 0.0], pa.float32()),
    "positive": pa.array([True, False, None]),
}
SELECTIONS = {"bright": np.array([0, 2]), "fifth": np.array([0])}


def of(rows: dict[str, pa.Array], before: str = "", header: dict[str, str] = HEADER, selections: dict[str, Any] = SELECTIONS) -> str:
    return checksum(before, header, pa.table(rows), selections)


def test_rows_are_ordered_by_time_then_number() -> None:
    assert row_order(pa.table(ROWS)).tolist() == [2, 1, 0]
    assert row_order(pa.table(ROWS).slice(0, 0)).tolist() == []


@pytest.mark.parametrize(
    ("column", "changed"),
    [
        ("alert_id", [5, -2, 8]),
        ("mjd", [58849.5, 58849.5, np.nextafter(58849.1, 0)]),
        ("band", ["g", None, "rg"]),
        ("band", ["g", "", "rr"]),
        ("band", ["gr", None, "r"]),
        ("band", ["g", "r", "r"]),
        ("mag", [20.5, None, None]),
        ("mag", [20.5, 0.0, 0.0]),
        ("mag", [20.5, None, -0.0]),
        ("positive", [True, None, None]),
        ("positive", [True, True, None]),
    ],
)
def test_any_value_changes_it(column: str, changed: list[Any]) -> None:
    assert of({**ROWS, column: pa.array(changed, ROWS[column].type)}) != of(ROWS)


def test_order_of_rows_names_and_the_commit_before_change_it() -> None:
    table = pa.table(ROWS)
    others = [
        checksum("", HEADER, table.take(pa.array([1, 0, 2])), SELECTIONS),
        checksum("", HEADER, table.slice(0, 2), SELECTIONS),
        of(ROWS, before="ab"),
        of(ROWS, header={**HEADER, "night": "20200102"}),
        of(ROWS, header={**HEADER, "quarantined": "00"}),
        of(ROWS, selections={**SELECTIONS, "fifth": np.array([1])}),
        of(ROWS, selections={"bright": SELECTIONS["bright"]}),
        of(ROWS, selections={"bright": SELECTIONS["fifth"], "fifth": SELECTIONS["bright"]}),
        of({("magpsf" if name == "mag" else name): column for name, column in ROWS.items()}),
    ]
    assert len({of(ROWS), *others}) == len(others) + 1


def test_how_columns_are_laid_out_does_not_change_it() -> None:
    expected = of(ROWS)
    assert of(dict(reversed(ROWS.items()))) == expected
    assert of(ROWS, header=dict(reversed(HEADER.items())), selections=dict(reversed(SELECTIONS.items()))) == expected
    assert of({**ROWS, "never": pa.nulls(3, pa.float32())}) == expected
    assert of(ROWS, selections={name: rows.astype("<u4") for name, rows in SELECTIONS.items()}) == expected
    table = pa.table(ROWS)
    chunked = pa.concat_tables([table.slice(0, 1), table.slice(1, 2)])
    padded = pa.concat_tables([table, table, table]).combine_chunks().slice(3, 3)
    assert checksum("", HEADER, chunked, SELECTIONS) == expected
    assert checksum("", HEADER, padded, SELECTIONS) == expected


def test_what_lies_below_a_null_does_not_change_it() -> None:
    valid = pa.array([True, False, True]).buffers()[1]
    below = [pa.Array.from_buffers(pa.float32(), 3, [valid, pa.py_buffer(np.array([20.5, x, 0], "<f4"))]) for x in (7.0, np.nan)]
    assert [array.to_pylist() for array in below] == [ROWS["mag"].to_pylist()] * 2
    assert {of({**ROWS, "mag": array}) for array in below} == {of(ROWS)}


def test_a_commit_without_alerts_has_a_checksum_of_its_header() -> None:
    nothing = checksum("ab", HEADER, pa.table({}), {})
    assert nothing == checksum("ab", HEADER, pa.table(ROWS).slice(0, 0), {})
    assert nothing != checksum("ab", {**HEADER, "source": "other"}, pa.table({}), {})
