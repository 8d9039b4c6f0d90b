"""Full rows out of the lake: of a few alerts, or of one commit, wherever they lie now (a segment, or Parquet)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink.archive.declarations import POINT_COLUMNS, ROW_COLUMNS, empty_table
from fink.archive.lake import Lake
from fink.archive.segments import FileRecord, Kind
from fink.codecs.parquet import opened


def find_alerts(lake: Lake, records: Mapping[str, FileRecord], alerts: pa.Table, columns: Sequence[str] | None = None) -> pa.Table:
    """Give the full rows of alerts of any surveys and nights, in the order asked.

    Parameters
    ----------
    alerts
        Which alerts: a table with at least ``survey``, ``night`` and ``alert_id``; with ``commit`` less has to be searched.
    columns
        Names of the columns wanted, None for all; those that no row has are left out.

    Raises
    ------
    ArchiveError, NotFoundError
        As `find_rows`.
    """
    names = None if columns is None else [*dict.fromkeys(("alert_id", *columns))]
    parts, places = [_only(empty_table(ROW_COLUMNS), names)], [np.zeros(0, np.int64)]
    for group in alerts.select(["survey", "night"]).group_by(["survey", "night"], use_threads=False).aggregate([]).to_pylist():
        mine = pc.and_(pc.equal(alerts["survey"], group["survey"]), pc.equal(alerts["night"], group["night"]))
        ids = alerts["alert_id"].filter(mine).combine_chunks()
        commits = set(alerts["commit"].filter(mine).to_pylist()) if "commit" in alerts.column_names else None
        parts.append(find_rows(lake, records, group["survey"], group["night"], ids.to_pylist(), commits=commits, columns=names))
        there = pc.is_in(ids, parts[-1]["alert_id"].combine_chunks())
        places.append(np.flatnonzero(mine.to_numpy())[there.to_numpy(zero_copy_only=False)])
    found = pa.concat_tables(parts, promote_options="permissive")
    return _only(found.take(pa.array(np.argsort(np.concatenate(places), kind="stable"))), columns)


def find_rows(
    lake: Lake,
    records: Mapping[str, FileRecord],
    survey: str,
    night: int,
    alert_ids: Sequence[int],
    *,
    commits: Collection[int] | None = None,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """Give the full rows of alerts, in the order asked; those that are not in the lake are left out.

    Parameters
    ----------
    records
        The files that there are, as the index lists them.
    commits
        The commits that archived them, where known: then their files are searched instead of a night.
    columns
        Names of the columns wanted, None for all.

    Raises
    ------
    ArchiveError
        If a listed file is damaged, or a Parquet file is not there.
    NotFoundError
        If a listed segment is not there.
    """
    wanted = pa.array(alert_ids, pa.int64())
    names = None if columns is None else [*dict.fromkeys(("alert_id", *columns))]
    parts = [_only(empty_table(ROW_COLUMNS), names)]
    for name, record in _files(records, "rows", survey, night, commits).items():
        if record.state == "parquet":
            parts += _matching_in_parquet(lake, name, "alert_id", wanted, names)
        else:
            parts += [_only(table, names) for table in _matching(lake.tables(name, record, commits=commits), "alert_id", wanted)]
    found = pa.concat_tables(parts, promote_options="permissive").combine_chunks()
    return _only(found.take(pc.array_sort_indices(pc.index_in(found["alert_id"].combine_chunks(), wanted))), columns)


def _only(table: pa.Table, columns: Sequence[str] | None) -> pa.Table:
    return table if columns is None else table.select([name for name in columns if name in table.column_names])


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
    for name, record in _files(records, kind, survey, night, (commit,)).items():
        if record.state == "parquet":
            parts += _matching_in_parquet(lake, name, "commit", wanted)
        else:
            parts += lake.tables(name, record, commits=(commit,))
    return pa.concat_tables(parts, promote_options="permissive").combine_chunks()


def _files(
    records: Mapping[str, FileRecord], kind: Kind, survey: str, night: int, commits: Collection[int] | None
) -> dict[str, FileRecord]:
    """Give the files of a kind, survey and night that can hold a part of some commits."""
    return {
        name: record
        for name, record in records.items()
        if (record.kind, record.survey, record.night) == (kind, survey, night)
        and record.state != "dropped"
        and (commits is None or any(record.first_commit <= commit <= record.last_commit for commit in commits))
    }


def _matching(tables: Sequence[pa.Table], column: str, wanted: pa.Array) -> list[pa.Table]:
    kept = [table.filter(pc.is_in(table[column], wanted)) for table in tables]
    return [table for table in kept if table.num_rows]


def _matching_in_parquet(lake: Lake, name: str, column: str, wanted: pa.Array, columns: Sequence[str] | None = None) -> list[pa.Table]:
    """Read one column to see where the rows are, then only the row groups that hold them."""
    with opened(lake.folder / name) as file:
        there = pc.is_in(file.read(columns=[column])[column], wanted).combine_chunks()
        places = np.flatnonzero(there.to_numpy(zero_copy_only=False))
        metadata = file.metadata
        chosen = None if columns is None else [each for each in columns if each in file.schema_arrow.names]
        ends = np.cumsum([metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)], dtype=np.int64)
        groups = np.searchsorted(ends, places, side="right")
        tables = []
        for group in np.unique(groups).tolist():
            first = int(ends[group]) - metadata.row_group(group).num_rows
            tables.append(file.read_row_group(group, columns=chosen).take(pa.array(places[groups == group] - first)))
        return tables
