"""SQL on the lake: it answers, says what is wrong, and can do nothing but read."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from fink.archive.compaction import compact, plan_compactions
from fink.archive.lake import Lake
from fink.archive.sql import connect, query
from fink.errors import QueryError
from unit.archive.lake_samples import NIGHT, Published, alert_rows


@pytest.fixture
def index(tmp_path: Path) -> Published:
    """Commits 1 to 3 in Parquet, with a column that the later ones lack, and commit 4 in an open segment with one of its own."""
    index = Published(tmp_path / "it's an archive")
    index.lake.append_rows("ztf", NIGHT, alert_rows(1, old_score=pa.array([0.25] * 20, pa.float32())), commit=1)
    index.publish()
    for commit in (2, 3):
        index.commit(commit)
    index.lake.close_segments()
    for job in plan_compactions(index.lake.records()):
        change = compact(index.lake, job, {})
        index.lake.adopt(change.added, change.replaced, at=3)
    index.lake.append_rows("ztf", NIGHT + 1, alert_rows(4, new_score=pa.array([0.5] * 20, pa.float32())), commit=4)
    index.publish()
    return index


@pytest.fixture
def connection(index: Published) -> duckdb.DuckDBPyConnection:
    return connect(Lake(index.folder, writable=False), index.records)


def answer(connection: duckdb.DuckDBPyConnection, text: str, parameters: Any = ()) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in query(connection, text, parameters).to_pylist()]


def test_parquet_and_open_segments_are_one_table(connection: duckdb.DuckDBPyConnection) -> None:
    assert answer(connection, 'SELECT "commit", count(*), count(old_score), count(new_score) FROM alerts GROUP BY 1 ORDER BY 1') == [
        (1, 20, 20, 0),
        (2, 20, 0, 0),
        (3, 20, 0, 0),
        (4, 20, 0, 20),
    ]
    assert answer(connection, "SELECT count(*), count(DISTINCT alert_id) FROM points") == [(100, len(set_of_bringers()))]


def set_of_bringers() -> set[int]:
    from unit.archive.lake_samples import point_rows

    return {alert for commit in (2, 3) for alert in point_rows(commit)["alert_id"].to_pylist()}


def test_values_are_those_that_were_appended(connection: duckdb.DuckDBPyConnection) -> None:
    names = alert_rows(1).column_names
    quoted = ", ".join(f'"{name}"' for name in names)
    found = query(connection, f"SELECT {quoted} FROM alerts ORDER BY alert_id")
    expected = pa.concat_tables([alert_rows(commit) for commit in (1, 2, 3, 4)])
    assert found.to_pylist() == expected.to_pylist()


def test_parameters_are_bound(connection: duckdb.DuckDBPyConnection) -> None:
    assert answer(connection, "SELECT alert_id FROM alerts WHERE alert_id = ?", [1003]) == [(1003,)]
    assert answer(connection, "SELECT alert_id FROM alerts WHERE alert_id = $id", {"id": 1003}) == [(1003,)]
    assert answer(connection, "SELECT count(*) FROM alerts WHERE survey = ?", ["x' OR 1=1 --"]) == [(0,)]


@pytest.mark.parametrize(
    "text", ["DESCRIBE alerts", "SHOW alerts", "DESCRIBE points", "SHOW TABLES", "SUMMARIZE alerts", "FROM alerts", "VALUES (1)"]
)
def test_the_tables_describe_themselves(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    assert query(connection, text).num_rows > 0


def test_an_empty_archive_has_the_columns_that_every_one_has(tmp_path: Path) -> None:
    connection = connect(Lake(tmp_path, writable=True), {})
    described = {row[0]: row[1] for row in answer(connection, "DESCRIBE alerts")}
    assert described["alert_id"] == "BIGINT"
    assert described["mjd"] == "DOUBLE"
    assert described["commit"] == "BIGINT"
    assert answer(connection, "SELECT count(*) FROM points") == [(0,)]


REFUSED = [
    "COPY alerts TO '{folder}/out.csv'",
    "COPY (SELECT 1) TO '{parquet}'",
    "ATTACH '{folder}/other.db'",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_parquet('{folder}/lake/**/*.parquet')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM glob('/*')",
    "SELECT * FROM read_csv('https://example.org/a.csv')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "PRAGMA table_info('alerts')",
    "PRAGMA database_list",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET threads = 64",
    "RESET memory_limit",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "SELECT 1; SELECT 2",
    "SELECT 1; COPY alerts TO '{folder}/out.csv'",
    "",
    "-- nothing",
    "CREATE TABLE mine (a INTEGER)",
    "CREATE OR REPLACE VIEW alerts AS SELECT 1",
    "CREATE MACRO f() AS 1",
    "DROP VIEW alerts",
    "INSERT INTO alerts SELECT * FROM alerts",
    "WITH x AS (INSERT INTO alerts VALUES (1) RETURNING *) SELECT * FROM x",
    "DELETE FROM alerts",
    "CALL pragma_version()",
    "EXPORT DATABASE '{folder}/out'",
    "BEGIN TRANSACTION",
    "PREPARE p AS SELECT 1",
    "CHECKPOINT",
    "USE memory",
    "SELECT * FROM secret_table",
    "SELECT getenv('HOME')",
]


@pytest.mark.parametrize("text", REFUSED)
def test_what_does_not_only_read_the_lake_is_refused(index: Published, connection: duckdb.DuckDBPyConnection, text: str) -> None:
    secret_table = pa.table({"a": [1]})
    before = {path: path.stat().st_mtime_ns for path in index.folder.rglob("*")}
    parquet = next(name for name, record in index.records.items() if record.state == "parquet")
    with pytest.raises(QueryError):
        query(connection, text.format(folder=str(index.folder).replace("'", "''"), parquet=str(index.folder / parquet).replace("'", "''")))
    assert {path: path.stat().st_mtime_ns for path in index.folder.rglob("*")} == before
    assert answer(connection, "SELECT count(*) FROM alerts") == [(80,)]
    assert secret_table.num_rows == 1


def test_duckdb_itself_is_locked_too(connection: duckdb.DuckDBPyConnection) -> None:
    """The second wall: were a statement let through, DuckDB would still refuse it."""
    for text in (
        "SELECT * FROM read_csv('/etc/passwd')",
        "SET enable_external_access = true",
        "LOAD httpfs",
        "COPY alerts TO '/tmp/fink-out.csv'",
    ):
        with pytest.raises(duckdb.Error):
            connection.execute(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("SELECT magg FROM alerts", "did you mean mag?"),
        ("SELECT a.objectid FROM alerts a", "did you mean object_id?"),
        ("SELECT * FROM alerts WHERE new_scor > 0", "did you mean new_score?"),
        ("SELECT * FROM alert", "did you mean alerts?"),
        ("SELEC 1", "syntax error"),
        ("SELECT alert_id FROM alerts GROUP BY mag", "GROUP BY"),
        ("SELECT $x", "parameter"),
        ("SELECT CAST(object_id AS INTEGER) FROM alerts", "convert"),
        ("SELECT 1; SELECT 2", "send one SELECT"),
        ("DROP VIEW alerts", "SELECT"),
    ],
)
def test_errors_name_the_remedy(connection: duckdb.DuckDBPyConnection, text: str, hint: str) -> None:
    with pytest.raises(QueryError, match=f"(?i){re.escape(hint)}") as caught:
        query(connection, text)
    assert "\n" not in str(caught.value)


def test_a_long_query_is_stopped(connection: duckdb.DuckDBPyConnection) -> None:
    began = time.monotonic()
    with pytest.raises(QueryError, match=r"longer than 0\.3 s"):
        query(connection, "SELECT sum(a.range * b.range % 7) FROM range(10000000) a, range(10000000) b", seconds=0.3)
    assert time.monotonic() - began < 60
    assert answer(connection, "SELECT count(*) FROM alerts") == [(80,)], "the connection is of use afterwards"


def test_a_large_query_is_stopped(index: Published) -> None:
    connection = connect(index.lake, index.records, megabytes=64)
    with pytest.raises(QueryError, match="more memory"):
        query(connection, "SELECT list(range::VARCHAR || 'a long enough text') FROM range(50000000)")


@pytest.mark.parametrize(("rows", "got"), [(None, 80), (0, 0), (7, 7), (80, 80), (10_000, 80)])
def test_rows_are_bounded(connection: duckdb.DuckDBPyConnection, rows: int | None, got: int) -> None:
    table = query(connection, "SELECT * FROM alerts", rows=rows)
    assert table.num_rows == got
    assert "alert_id" in table.column_names


def test_a_bounded_query_does_not_compute_the_rest(connection: duckdb.DuckDBPyConnection) -> None:
    assert query(connection, "SELECT * FROM range(1000000000000)", rows=5, seconds=30).num_rows == 5


def test_files_that_are_not_listed_are_not_read(index: Published) -> None:
    parquet = next(name for name, record in index.records.items() if record.state == "parquet" and record.kind == "rows")
    (index.folder / parquet).with_name("alerts-stray.parquet").write_bytes((index.folder / parquet).read_bytes())
    assert answer(connect(index.lake, index.records), "SELECT count(*) FROM alerts") == [(80,)]
