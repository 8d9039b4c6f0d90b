"""SQL on the lake: the tables `alerts` and `points`, to be read and nothing else.

DuckDB sees the files that the index lists and nothing outside them. What it may do is locked before the first query: no other
file, no network, no extension, no setting; and a query is one statement that reads.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa

from fink.archive.declarations import POINT_COLUMNS, ROW_COLUMNS, empty_table
from fink.archive.lake import Lake
from fink.archive.segments import FileRecord, Kind
from fink.columns import COLUMNS, Column
from fink.errors import QueryError, did_you_mean

_LOCK = (
    "parquet_metadata_cache = true",
    "python_enable_replacements = false",
    "autoinstall_known_extensions = false",
    "autoload_known_extensions = false",
    "enable_external_access = false",
    "lock_configuration = true",
)
_OF_FOLDERS = {name: COLUMNS[name] for name in ("survey", "night")}
_NO_COLUMN = re.compile(r"Referenced column \"([^\"]+)\" not found|does not have a column named \"([^\"]+)\"")
_NO_TABLE = re.compile(r"(?:Table|Function) with name (\S+) does not exist")


def connect(lake: Lake, records: Mapping[str, FileRecord], *, megabytes: int = 2048, threads: int = 2) -> duckdb.DuckDBPyConnection:
    """Open the lake for SQL, as of a list of files: views `alerts` and `points`, locked down.

    Parameters
    ----------
    records
        The files that there are, as the index lists them; the caller's lease keeps them in place while the connection is used.
    megabytes, threads
        What a query may take of memory [MB] and cores.

    Raises
    ------
    ArchiveError
        If a listed segment is damaged or not there.
    """
    connection = duckdb.connect(":memory:", config={"threads": threads, "memory_limit": f"{megabytes}MB", "temp_directory": ""})
    listed = {
        kind: [str((lake.folder / name).absolute()) for name, r in sorted(records.items()) if r.kind == kind and r.state == "parquet"]
        for kind in ("rows", "points")
    }
    connection.execute(f"SET allowed_paths = {_list([*listed['rows'], *listed['points']])}")
    _create_view(connection, "alerts", listed["rows"], _in_segments(lake, records, "rows", ROW_COLUMNS))
    _create_view(connection, "points", listed["points"], _in_segments(lake, records, "points", {**_OF_FOLDERS, **POINT_COLUMNS}))
    for setting in _LOCK:
        connection.execute(f"SET {setting}")
    return connection


def _list(names: Sequence[str]) -> str:
    return "[" + ", ".join("'" + name.replace("'", "''") + "'" for name in names) + "]"


def _in_segments(lake: Lake, records: Mapping[str, FileRecord], kind: Kind, columns: Mapping[str, Column]) -> pa.Table:
    """Give what is not in Parquet yet, where it lies; at least the columns that are always there."""
    parts = [empty_table(columns)]
    for name, record in sorted(records.items()):
        if record.kind == kind and record.state in ("open", "closed"):
            parts += [_placed(table, record) if kind == "points" else table for table in lake.tables(name, record)]
    return pa.concat_tables(parts, promote_options="permissive")


def _placed(table: pa.Table, record: FileRecord) -> pa.Table:
    """Give points the survey and night that their file is of."""
    survey, night = pa.repeat(record.survey, len(table)), pa.repeat(pa.scalar(record.night, pa.int32()), len(table))
    return table.append_column("survey", survey).append_column("night", night)


def _create_view(connection: duckdb.DuckDBPyConnection, view: str, files: Sequence[str], recent: pa.Table) -> None:
    connection.register(f"recent_{view}", recent)
    text = f"SELECT * FROM recent_{view}"
    if files:
        # points do not repeat their survey and night in every row: these come from the names of their folders
        folders = "true, hive_types = {'survey': VARCHAR, 'night': INTEGER}" if view == "points" else "false"
        parquet = f"read_parquet({_list(files)}, union_by_name = true, hive_partitioning = {folders})"
        text = f"SELECT * FROM {parquet} UNION ALL BY NAME {text}"
    connection.execute(f"CREATE VIEW {view} AS {text}")


def query(
    connection: duckdb.DuckDBPyConnection,
    text: str,
    parameters: Sequence[Any] | Mapping[str, Any] = (),
    *,
    seconds: float = 60.0,
    rows: int | None = None,
    most_bytes: int | None = None,
) -> pa.Table:
    """Run one query that reads: SELECT, WITH, FROM, VALUES, DESCRIBE, SHOW or SUMMARIZE.

    Parameters
    ----------
    connection
        What `connect` gave.
    parameters
        Values for ``?`` (in order) or ``$name``.
    seconds
        How long it may take [s].
    rows
        Rows to give at most; the rest is not computed further than needed.
    most_bytes
        Bytes of an answer after which no further rows are read: one that has more is cut.

    Raises
    ------
    QueryError
        If it is not one reading statement, names what does not exist (the message offers the nearest name), asks for a file
        or a setting, or takes too long or too much memory.
    """
    _check_reads(connection, text)
    values = dict(parameters) if isinstance(parameters, Mapping) else list(parameters)
    try:
        with _interrupted_after(connection, seconds) as late:
            reader = connection.sql(text, params=values).to_arrow_reader(65_536 if most_bytes is None else 2_048)
            return _read(reader, rows, most_bytes)
    except (duckdb.Error, OSError) as error:
        if late.is_set():
            raise QueryError(f"the query took longer than {seconds:g} s and was stopped; narrow it, by night for example") from error
        raise _refusal(connection, error) from error


def stream(connection: duckdb.DuckDBPyConnection, text: str, rows: int) -> Iterator[pa.Table]:
    """Run one query that reads, and give its answer in parts of at most so many rows, however long it takes altogether.

    Raises
    ------
    QueryError
        As `query`.
    """
    _check_reads(connection, text)
    try:
        for batch in connection.sql(text).to_arrow_reader(rows):
            yield pa.Table.from_batches([batch])
    except (duckdb.Error, OSError) as error:
        raise _refusal(connection, error) from error


def _refusal(connection: duckdb.DuckDBPyConnection, error: Exception) -> QueryError:
    """Say why a query failed; what happens while the answer is read reaches us as an error of the system, with DuckDB's text."""
    if isinstance(error, duckdb.OutOfMemoryException) or str(error).startswith("Out of Memory"):
        return QueryError("the query needs more memory than a query may take; narrow it, or select fewer columns")
    return QueryError(_explain(connection, str(error)))


def _check_reads(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    """Refuse what is not exactly one statement that reads."""
    try:
        statements = connection.extract_statements(text)
    except duckdb.Error as error:
        raise QueryError(_explain(connection, str(error))) from error
    if len(statements) != 1:
        raise QueryError(f"{len(statements)} statements where one is allowed; send one SELECT")
    if statements[0].type != duckdb.StatementType.SELECT:
        raise QueryError(f"{statements[0].type.name} is not allowed here; the archive is read with SELECT")


def _read(reader: pa.RecordBatchReader, rows: int | None, most_bytes: int | None) -> pa.Table:
    if rows is None:
        return reader.read_all()
    batches, count, size = [], 0, 0
    while count < rows and (most_bytes is None or size <= most_bytes):
        try:
            batches.append(reader.read_next_batch())
        except StopIteration:
            break
        count += batches[-1].num_rows
        size += batches[-1].nbytes
    return pa.Table.from_batches(batches, reader.schema).slice(0, rows)


@contextmanager
def _interrupted_after(connection: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[threading.Event]:
    """Stop what the connection does after some time; the event says that it was."""
    late = threading.Event()

    def stop() -> None:
        late.set()
        connection.interrupt()

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()
        timer.join()


def _explain(connection: duckdb.DuckDBPyConnection, message: str) -> str:
    """Turn DuckDB's message into one that names the nearest column or table, without the file names that it may hold."""
    table = _NO_TABLE.search(message)
    if table is not None:
        return f"there is no table or function {table[1]}{did_you_mean(table[1], ('alerts', 'points'))}"
    column = _NO_COLUMN.search(message)
    if column is None:
        return message.split("\n")[0]
    name = column[1] or column[2]
    known = connection.execute("SELECT DISTINCT column_name FROM duckdb_columns() WHERE NOT internal").fetchall()
    return f"there is no column {name}{did_you_mean(name, sorted(each for (each,) in known))}"
