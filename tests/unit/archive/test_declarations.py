"""The columns of the lake's tables are declared once, and tables hold them."""

from __future__ import annotations

import pyarrow as pa

from fink.archive.applying import points_table
from fink.archive.declarations import POINT_COLUMNS, ROW_COLUMNS, empty_table
from fink.columns import COLUMNS
from unit.archive.outcomes import NIGHTS, SmallSky


def test_an_empty_table_has_the_declared_columns() -> None:
    table = empty_table(POINT_COLUMNS)
    assert table.num_rows == 0
    assert [(f.name, f.type) for f in table.schema] == [(name, column.type) for name, column in POINT_COLUMNS.items()]


def test_points_that_alerts_bring_fit_their_declarations() -> None:
    batch = SmallSky(5).night(NIGHTS[0]).batch
    table = points_table(batch.alerts, batch.lightcurves, 1)
    assert table.num_rows == batch.lightcurves.n_points > 0
    assert {f.name: f.type for f in table.schema} == {name: column.type for name, column in POINT_COLUMNS.items()}
    joined = pa.concat_tables([empty_table(POINT_COLUMNS), table.select(list(POINT_COLUMNS))])
    assert joined.num_rows == table.num_rows


def test_rows_have_the_vocabulary_and_their_commit() -> None:
    assert set(ROW_COLUMNS) - set(COLUMNS) == {"commit"}
    assert empty_table(ROW_COLUMNS).schema.field("commit").type == pa.int64()
    assert all(column.about for column in (*ROW_COLUMNS.values(), *POINT_COLUMNS.values()))
