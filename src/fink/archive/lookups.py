"""Full rows out of the lake: of a few alerts, or of one commit, wherever they lie now (a segment, or Parquet)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink.archive.declarations import POINT_COLUMNS, ROW_COLUMNS, empty_table
from fink.archive.lake import Lake
from fink.archive.segments import FileRecord, Kind
from fink.codecs.parquet import opened


def find_rows(
    lake: Lake, records: Mapping[str, FileRecord], survey: str, night: int, alert_ids: Sequence[int], *, commit: int | None = None
) -> pa.Table:
    """Give the full rows of alerts, in the order asked; those that are not in the lake are left out.

    Parameters
    ----------
    records
        The files that there are, as the index lists them.
    commit
        The commit that archived them, where known: then one file is searched instead of a night.

    Raises
    ------
    ArchiveError
        If a listed file is damaged, or a Parquet file is not there.
    NotFoundError
        If a listed segment is not there.
    """
    wanted = pa.array(alert_ids, pa.int64())
    parts = [empty_table(ROW_COLUMNS)]
    for name, record in _files(records, "rows", survey, night, commit).items():
        if record.state == "parquet":
            parts += _matching_in_parquet(lake, name, "alert_id", wanted)
        else:
            parts += _matching(lake.tables(name, record, commit=commit), "alert_id", wanted)
    found = pa.concat_tables(parts, promote_options="permissive").combine_chunks()
    return found.take(pc.array_sort_indices(pc.index_in(found["alert_id"].combine_chunks(), wanted)))


def commit_part(lake: Lake, records: Mapping[str, FileRecord], kind: Kind, survey: str, night: int, commit: int) -> pa.Table:
    """Give the rows (or points) that one commit archived; once compacted, they come sorted by object and time.

    Raises
    ------
    ArchiveError
        If a listed file is damaged, or a Parquet file is not there.
    NotFoundError
        If a listed segment is not there.
    """
    wanted = pa.array([commit], pa.int64())
    parts = [empty_table(ROW_COLUMNS if kind == "rows" else POINT_COLUMNS)]
    for name, record in _files(records, kind, survey, night, commit).items():
        if record.state == "parquet":
            parts += _matching_in_parquet(lake, name, "commit", wanted)
        else:
            parts += lake.tables(name, record, commit=commit)
    return pa.concat_tables(parts, promote_options="permissive").combine_chunks()


def _files(records: Mapping[str, FileRecord], kind: Kind, survey: str, night: int, commit: int | None) -> dict[str, FileRecord]:
    """Give the files of a kind, survey and night that can hold a part of a commit."""
    return {
        name: record
        for name, record in records.items()
        if (record.kind, record.survey, record.night) == (kind, survey, night)
        and record.state != "dropped"
        and (commit is None or record.first_commit <= commit <= record.last_commit)
    }


def _matching(tables: Sequence[pa.Table], column: str, wanted: pa.Array) -> list[pa.Table]:
    kept = [table.filter(pc.is_in(table[column], wanted)) for table in tables]
    return [table for table in kept if table.num_rows]


def _matching_in_parquet(lake: Lake, name: str, column: str, wanted: pa.Array) -> list[pa.Table]:
    """Read one column to see where the rows are, then only the row groups that hold them."""
    with opened(lake.folder / name) as file:
        there = pc.is_in(file.read(columns=[column])[column], wanted).combine_chunks()
        places = np.flatnonzero(there.to_numpy(zero_copy_only=False))
        metadata = file.metadata
        ends = np.cumsum([metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)], dtype=np.int64)
        groups = np.searchsorted(ends, places, side="right")
        tables = []
        for group in np.unique(groups).tolist():
            first = int(ends[group]) - metadata.row_group(group).num_rows
            tables.append(file.read_row_group(group).take(pa.array(places[groups == group] - first)))
        return tables
