"""Compaction: finished segments of a night become Parquet, sorted by object and time, while the stream goes on.

Nothing that a reader may be using is changed: a job reads finished files and writes a new one aside. The change of the list of
files is then published in one write of the index, and what was replaced is removed later (`Lake.purge`). A crash at any moment
leaves either the old list, with a new file that recovery removes, or the new list.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from fink.archive.declarations import POINT_COLUMNS, ROW_COLUMNS
from fink.archive.lake import Lake
from fink.archive.segments import FileRecord, Kind
from fink.codecs.parquet import read_parquet, write_parquet
from fink.columns import Column
from fink.errors import ArchiveError

ROWS_IN_FILE = {"rows": 500_000, "points": 5_000_000}
"""Files are joined as long as together they hold no more than this."""

SMALL_FILES = 8
"""More Parquet files of one night than this, none of them full, are joined into one."""

_ROW_GROUP = {"rows": 16_384, "points": 131_072}
_SORT = {"rows": ("object_id", "mjd", "alert_id"), "points": ("object_id", "mjd", "alert_id", "kind", "band", "point_id")}
_NAME = {"rows": "alerts", "points": "points"}


@dataclass(frozen=True)
class Compaction:
    """One piece of work: files of one kind, survey and night that become one."""

    kind: Kind
    survey: str
    night: int
    files: tuple[str, ...]
    target: str


@dataclass(frozen=True)
class Change:
    """How a finished compaction changes the list of files; `Lake.adopt` takes it in."""

    added: Mapping[str, FileRecord]
    replaced: tuple[str, ...]


def plan_compactions(records: Mapping[str, FileRecord], *, everything: bool = False) -> list[Compaction]:
    """Say what is worth compacting: closed segments, and nights of many small files.

    Parameters
    ----------
    everything
        Join all files of a night that are not full, however few.
    """
    jobs = []
    for (kind, survey, night), files in sorted(_by_night(records).items()):
        small = {name for name in files if records[name].state == "parquet" and records[name].rows < ROWS_IN_FILE[kind] // 2}
        join = everything or len(small) > SMALL_FILES
        due = [name for name in files if records[name].state == "closed" or (join and name in small)]
        groups = [tuple(group) for group in _groups(due, records, ROWS_IN_FILE[kind])]
        jobs += [
            Compaction(kind, survey, night, group, _target(kind, survey, night, group, records))
            for group in groups
            if len(group) > 1 or group[0] not in small
        ]
    return jobs


def _by_night(records: Mapping[str, FileRecord]) -> dict[tuple[Kind, str, int], list[str]]:
    """Give the files of rows and points that are finished, by kind, survey and night, in the order of their commits."""
    nights = defaultdict(list)
    for name, record in records.items():
        if record.kind in _NAME and record.state in ("closed", "parquet"):
            nights[(record.kind, record.survey, record.night)].append(name)
    return {key: sorted(names, key=lambda name: (records[name].first_commit, name)) for key, names in nights.items()}


def _groups(names: list[str], records: Mapping[str, FileRecord], most: int) -> Iterator[list[str]]:
    """Split files into runs that hold at most so many rows together, or a single file each."""
    group: list[str] = []
    rows = 0
    for name in names:
        if group and rows + records[name].rows > most:
            yield group
            group, rows = [], 0
        group.append(name)
        rows += records[name].rows
    if group:
        yield group


def _target(kind: Kind, survey: str, night: int, group: tuple[str, ...], records: Mapping[str, FileRecord]) -> str:
    return lake_name(kind, survey, night, (records[group[0]].first_commit, max(records[name].last_commit for name in group)))


def lake_name(kind: Kind, survey: str, night: int, commits: tuple[int, int]) -> str:
    """Name a file of the lake after the first and the last commit in it."""
    return f"lake/survey={survey}/night={night}/{_NAME[kind]}-{commits[0]:09d}-{commits[1]:09d}.parquet"


def compact(lake: Lake, job: Compaction, columns: Mapping[str, Column]) -> Change:
    """Write the rows of a job's files into one sorted Parquet file, synced and in its place, and give the change.

    Parameters
    ----------
    columns
        Declarations of the plan's columns; their units and meanings go into the file.

    Raises
    ------
    ArchiveError
        If a file is damaged, or the disk does not take the new one; nothing has changed then.
    """
    records = lake.records()
    tables = [table for name in job.files for table in _contents(lake, name, records[name])]
    try:
        table = pa.concat_tables(tables, promote_options="permissive").combine_chunks()
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        raise ArchiveError(
            f"the files {', '.join(job.files)} cannot be joined: {error}; give the column that changed a new name"
        ) from error
    first = min(records[name].first_commit for name in job.files)
    last = max(records[name].last_commit for name in job.files)
    return Change(write_lake_file(lake.folder, job.kind, job.survey, job.night, table, (first, last), columns), job.files)


def write_lake_file(
    folder: Path, kind: Kind, survey: str, night: int, table: pa.Table, commits: tuple[int, int], columns: Mapping[str, Column]
) -> dict[str, FileRecord]:
    """Write a night's rows or points into one sorted Parquet file, synced and in its place; give its name and record.

    Parameters
    ----------
    folder
        The archive's folder.
    commits
        The first and the last commit of which it holds a part.
    columns
        Declarations of the plan's columns.

    Raises
    ------
    ArchiveError
        If the disk does not take it.
    """
    known = {**(ROW_COLUMNS if kind == "rows" else POINT_COLUMNS), **columns}
    sort_by = [name for name in _SORT[kind] if name in table.column_names]
    target = lake_name(kind, survey, night, commits)
    length = write_parquet(folder / target, table, known, sort_by=sort_by, row_group=_ROW_GROUP[kind])
    return {target: FileRecord(kind, survey, night, length, table.num_rows, "parquet", *commits)}


def _contents(lake: Lake, name: str, record: FileRecord) -> list[pa.Table]:
    if record.state == "parquet":
        return [read_parquet(lake.folder / name, check=True)]
    return lake.tables(name, record, check=True)


class Compactor:
    """Compacts in a thread of its own, one job at a time, while the owner goes on appending.

    The owner calls `advance` between commits; it starts the next job when there is one, and gives the change of a finished one,
    which the owner adopts and publishes.
    """

    def __init__(self, lake: Lake, columns: Mapping[str, Column]) -> None:
        self._lake = lake
        self._columns = columns
        self._thread = ThreadPoolExecutor(1, "compaction")
        self._running: tuple[Compaction, Future[Change]] | None = None
        self._failed: set[str] = set()

    def advance(self, *, wait: bool = False, everything: bool = False) -> Change | None:
        """Give the change of the job that has finished, if one has; start the next one where none is running.

        Parameters
        ----------
        wait
            Wait for the running job.
        everything
            See `plan_compactions`.

        Raises
        ------
        ArchiveError
            If the job failed; nothing has changed then, and it is not tried again, so that the others go on.
        """
        if self._running is None:
            jobs = plan_compactions(self._lake.records(), everything=everything)
            job = next((job for job in jobs if job.target not in self._failed), None)
            if job is not None:
                self._running = job, self._thread.submit(compact, self._lake, job, self._columns)
        if self._running is None or not (wait or self._running[1].done()):
            return None
        (job, finished), self._running = self._running, None
        try:
            return finished.result()
        except ArchiveError:
            self._failed.add(job.target)
            raise

    def close(self) -> None:
        """Wait for the running job and let it go: its file is not listed, so recovery removes it."""
        self._thread.shutdown(wait=True)
