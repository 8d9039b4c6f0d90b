"""The columns that the lake's two tables have whatever survey and modules there are: alerts, and the points that they brought."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from fink.columns import COLUMNS, Column

POINT_COLUMNS: dict[str, Column] = {
    column.name: column
    for column in (
        COLUMNS["alert_id"],
        COLUMNS["object_id"],
        Column("commit", pa.int64(), "", "meta.id", "Number of the commit that archived it"),
        COLUMNS["mjd"],
        COLUMNS["band"],
        Column("kind", pa.string(), "", "meta.code.class", "Kind of point: detection, forced photometry, or upper limit"),
        COLUMNS["flux"],
        COLUMNS["flux_err"],
        COLUMNS["total_flux"],
        COLUMNS["total_flux_err"],
        Column("point_id", pa.int64(), "", "meta.id", "Number of the point in its survey; 0 where it has none"),
        Column("detector", pa.int16(), "", "meta.id;instr.det", "Detector, or read-out channel; -1 where unknown"),
    )
}
"""Name and declaration of each column of a point."""

ROW_COLUMNS: dict[str, Column] = {**COLUMNS, "commit": POINT_COLUMNS["commit"]}
"""The columns that every row of an alert has; surveys and modules add theirs."""


def empty_table(columns: Mapping[str, Column]) -> pa.Table:
    """Make a table of these columns without rows."""
    return pa.schema([(column.name, column.type) for column in columns.values()]).empty_table()
