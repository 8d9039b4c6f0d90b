"""Full rows out of the lake: of a few alerts, or of one commit, wherever they lie now (a segment, or Parquet)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fink.archive.declarations import POINT_COLUMNS, ROW_COLUMNS, empty_table
from fink.archive.lake import Lake
from fink.archive.segments import FileRecord, Kind
from fink.codecs.parquet import opened


def find_alerts(lake: Lake, records: Mapping[str, FileRecord], alerts: pa.Table, columns: Sequence[str] | None = None) -> pa.Table:
    """Give the full rows of alerts of any surveys and nights, in the order asked.

    Parameters
    ----------
    alerts
        Which alerts: a table with at least ``survey``, ``night`` and ``alert_id``; with ``commit`` and ``object_id`` less has to
        be searched.
    columns
        Names of the columns wanted, None for all; those that no row has are left out.

    Raises
    ------
    ArchiveError, NotFoundError
        As `find_rows`.
    """
    names = None if columns is None else [*dict.fromkeys(("alert_id", *columns))]
    # everything is joined once: joining tables of a thousand columns costs more than reading them
    parts, places = [_only(empty_table(ROW_COLUMNS), names)], [np.zeros(0, np.int64)]
    for group in alerts.select(["survey", "night"]).group_by(["survey", "night"], use_threads=False).aggregate([]).to_pylist():
        mine = pc.and_(pc.equal(alerts["survey"], group["survey"]), pc.equal(alerts["night"], group["night"]))
        chosen, rows = alerts.filter(mine), np.flatnonzero(mine.to_numpy())
        ids = chosen["alert_id"].combine_chunks()
        commits = set(chosen["commit"].to_pylist()) if "commit" in alerts.column_names else None
        objects = _bounds(chosen)
        for part in _pieces(lake, records, group["survey"], group["night"], ids, commits, names, objects):
            parts.append(part)
            places.append(rows[pc.index_in(part["alert_id"].combine_chunks(), ids).to_numpy()])
    found = pa.concat_tables(parts, promote_options="permissive")
    return _only(found.take(pa.array(np.argsort(np.concatenate(places), kind="stable"))), columns)


def _bounds(alerts: pa.Table) -> tuple[str, str] | None:
    """Give the first and last name of the objects of alerts; None where one has none, or they are not told."""
    if "object_id" not in alerts.column_names or alerts["object_id"].null_count or not alerts.num_rows:
        return None
    ends = pc.min_max(alerts["object_id"]).as_py()
    return ends["min"], ends["max"]


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
    parts = [_only(empty_table(ROW_COLUMNS), names), *_pieces(lake, records, survey, night, wanted, commits, names, None)]
    found = pa.concat_tables(parts, promote_options="permissive").combine_chunks()
    return _only(found.take(pc.array_sort_indices(pc.index_in(found["alert_id"].combine_chunks(), wanted))), columns)


def _pieces(
    lake: Lake,
    records: Mapping[str, FileRecord],
    survey: str,
    night: int,
    wanted: pa.Array,
    commits: Collection[int] | None,
    names: Sequence[str] | None,
    objects: tuple[str, str] | None,
) -> Iterator[pa.Table]:
    """Give the rows of some alerts of a night, as they lie in one file after another."""
    for name, record in _files(records, "rows", survey, night, commits).items():
        if record.state == "parquet":
            yield from _matching_in_parquet(lake, name, "alert_id", wanted, names, objects)
        else:
            yield from _matching(lake.tables(name, record, commits=commits), "alert_id", wanted, names)


def _only(table: pa.Table, columns: Sequence[str] | None) -> pa.Table:
    if columns is None:
        return table
    there = frozenset(table.column_names)  # a list that Arrow makes anew each time
    return table.select([name for name in columns if name in there])


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


def alert_columns(lake: Lake, records: Mapping[str, FileRecord], columns: Sequence[str], rows: int = 262_144) -> Iterator[pa.Table]:
    """Give some columns of all alerts in some files, in parts of at most so many rows; a column that a file has not is left out.

    Raises
    ------
    ArchiveError
        If a listed file is damaged, or a Parquet file is not there.
    NotFoundError
        If a listed segment is not there.
    """
    for name, record in records.items():
        if record.kind != "rows" or record.state == "dropped":
            continue
        if record.state == "parquet":
            with opened(lake.folder / name) as file:
                there = frozenset(file.schema_arrow.names)
                batches = file.iter_batches(rows, columns=[each for each in columns if each in there])
                yield from (pa.Table.from_batches([batch]) for batch in batches if batch.num_rows)
        else:
            yield from (_only(table, columns) for table in lake.tables(name, record) if table.num_rows)


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


def _matching(tables: Sequence[pa.Table], column: str, wanted: pa.Array, columns: Sequence[str] | None) -> Iterator[pa.Table]:
    for table in tables:
        places = _places(table[column], wanted)
        if len(places):
            yield _only(table, columns).take(pa.array(places))


def _places(values: pa.ChunkedArray, wanted: pa.Array) -> NDArray[np.int64]:
    """Give where values are among those wanted."""
    return np.flatnonzero(pc.is_in(values, wanted).combine_chunks().to_numpy(zero_copy_only=False))


def _matching_in_parquet(
    lake: Lake,
    name: str,
    column: str,
    wanted: pa.Array,
    columns: Sequence[str] | None = None,
    objects: tuple[str, str] | None = None,
) -> list[pa.Table]:
    """Read one column to see where the rows are, then only the row groups that hold them.

    Parameters
    ----------
    objects
        The first and last name of the objects whose rows are wanted, where known: by these the rows are sorted.
    """
    with opened(lake.folder / name) as file:
        there = frozenset(file.schema_arrow.names)
        chosen = None if columns is None else [each for each in columns if each in there]
        tables = []
        for group in _row_groups(file, objects):
            places = _places(file.read_row_group(group, columns=[column])[column], wanted)
            if len(places):
                tables.append(file.read_row_group(group, columns=chosen).take(pa.array(places)))
        return tables


def _row_groups(file: pq.ParquetFile, objects: tuple[str, str] | None) -> Iterator[int]:
    """Give the row groups that can hold rows of some objects, by the first and last name that each says it holds."""
    metadata, place = file.metadata, file.schema_arrow.get_field_index("object_id")
    for group in range(metadata.num_row_groups):
        said = metadata.row_group(group).column(place).statistics if place >= 0 else None
        if objects is None or said is None or not said.has_min_max or (said.min <= objects[1] and said.max >= objects[0]):
            yield group
