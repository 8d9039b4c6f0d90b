"""Queries become SQL of our own over the tables that they name; what would leave the tables, or is too large, is refused."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from fink.errors import QueryError
from fink.vo.adql import MOST_TABLES, translate
from fink.vo.geometry import Cap
from fink.vo.scopes import EVER, Source
from fink.vo.tables import Table
from unit.vo.conftest import Ask


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        'SELECT * FROM "/etc/passwd"',
        "SELECT * FROM \"read_csv('/etc/passwd')\"",
        "SELECT * FROM glob('*')",
        "SELECT * FROM range(1000000000)",
        "SELECT * FROM alerts",
        "SELECT * FROM recent_alerts",
        'SELECT * FROM "source_0"',
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM main.lsst.alerts",
        "SELECT * FROM LATERAL (SELECT 1) AS t",
        "COPY ztf.alerts TO '/tmp/stolen'",
        "ATTACH '/tmp/other.db'",
        "PRAGMA database_list",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET threads = 8",
        "CALL pragma_version()",
        "EXPORT DATABASE '/tmp/stolen'",
        "DESCRIBE ztf.alerts",
        "SHOW tables",
        "VALUES (1)",
        "INSERT INTO ztf.alerts VALUES (1)",
        "UPDATE ztf.alerts SET ra = 1",
        "DELETE FROM ztf.alerts",
        "DROP TABLE ztf.alerts",
        "CREATE TABLE x (a INTEGER)",
        "SELECT ra FROM ztf.alerts; DROP TABLE x",
        "SELECT ra INTO x FROM ztf.alerts",
        "SELECT unnest(ra) FROM ztf.alerts",
        "SELECT * EXCLUDE ra FROM ztf.alerts",
        "SELECT COLUMNS('r.*') FROM ztf.alerts",
        "SELECT ra FROM ztf.alerts TABLESAMPLE 1",
        "SELECT rowid FROM ztf.alerts",
        "SELECT ra FROM ztf.alerts FOR UPDATE",
        "SELECT ra FROM ztf.alerts LIMIT 1",
        "SELECT TOP -1 ra FROM ztf.alerts",
        "SELECT TOP (SELECT 1) ra FROM ztf.alerts",
        "SELECT ra FROM ztf.alerts OFFSET ra",
        "SELECT ra FROM ztf.alerts ORDER BY 2",
        "SELECT t.b FROM (SELECT 1 AS a) AS t(b)",
        "SELECT a FROM (SELECT a FROM t) AS t",
        "SELECT ra FROM ztf.alerts AS a, ztf.objects AS a",
        "SELECT ra FROM ztf.alerts, ztf.objects",
        "WITH t AS (SELECT 1 AS a UNION ALL SELECT a FROM t) SELECT a FROM t",
        "WITH RECURSIVE t AS (SELECT 1 AS a) SELECT a FROM t",
        "SELECT 1 UNION SELECT 1, 2",
        "SELECT 'a' FROM ztf.alerts LEFT JOIN ztf.objects",
        "SELECT " + "(SELECT " * 12 + "1" + ")" * 12,
        "SELECT 1 FROM " + ", ".join(f"ztf.alerts AS a{i}" for i in range(MOST_TABLES + 1)),
        "WITH a AS (SELECT 1 AS n), "
        + ", ".join(f"{b} AS (SELECT x.n FROM {a} x, {a} y)" for a, b in ("ab", "bc", "cd", "de"))
        + " SELECT 1 FROM e",
    ],
)
def test_nothing_leaves_the_tables(tables: Mapping[str, Table], text: str) -> None:
    with pytest.raises(QueryError):
        translate(text, tables, 10)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT object_id FROM ztf.alerts WHERE object_id = ''' OR 1 = 1 --'",
        "SELECT object_id FROM ztf.alerts WHERE object_id LIKE '; DROP VIEW alerts; --%'",
        'SELECT object_id AS "x""; DROP VIEW alerts" FROM ztf.alerts WHERE object_id = \'"\'',
    ],
)
def test_quotes_stay_quotes(ask: Ask, text: str) -> None:
    assert ask(text).table.num_rows == 0


def test_no_text_of_the_user_is_in_the_sql(tables: Mapping[str, Table]) -> None:
    found = translate('SELECT a.RA AS "Mine" FROM ztf.alerts AS "Theirs", (SELECT ra FROM lsst.objects) AS a', tables, 5)
    assert "Mine" not in found.sql
    assert "heirs" not in found.sql
    assert [output.name for output in found.outputs] == ["Mine"]


def only_source(tables: Mapping[str, Table], text: str) -> Source:
    (source,) = translate(text, tables, 5).sources
    return source


@pytest.mark.parametrize(
    "where",
    [
        "1 = CONTAINS(POINT('ICRS', ra, dec), CIRCLE('ICRS', 10, -5, 0.5))",
        "CONTAINS(POINT(ra, dec), CIRCLE(POINT(10, -5), 1800 / 3600.)) = 1 AND mag < 20",
        "(mag < 20 AND (1 = INTERSECTS(CIRCLE(10, -5, 0.5), POINT(ra, dec))))",
        "1 = CONTAINS(POINT(10, -5), CIRCLE(ra, dec, 0.5))",
        "DISTANCE(POINT(ra, dec), POINT(10, -5)) < 0.5",
        "0.5 >= DISTANCE(10, -5, ra, dec)",
    ],
)
def test_places_are_noted_for_the_index(tables: Mapping[str, Table], where: str) -> None:
    assert only_source(tables, f"SELECT mag FROM ztf.objects WHERE {where}").cap == Cap(10.0, -5.0, 0.5)


@pytest.mark.parametrize(
    "where",
    [
        "0 = CONTAINS(POINT(ra, dec), CIRCLE(10, -5, 0.5))",
        "NOT 1 = CONTAINS(POINT(ra, dec), CIRCLE(10, -5, 0.5))",
        "1 = CONTAINS(POINT(ra, dec), CIRCLE(10, -5, 0.5)) OR mag < 20",
        "1 = CONTAINS(POINT(ra + 1, dec), CIRCLE(10, -5, 0.5))",
        "1 = CONTAINS(POINT(dec, ra), CIRCLE(10, -5, 0.5))",
        "1 = CONTAINS(POINT(ra, dec), CIRCLE(10, -5, mag))",
        "DISTANCE(POINT(ra, dec), POINT(10, -5)) > 0.5",
        "0.5 < DISTANCE(POINT(ra, dec), POINT(10, -5))",
    ],
)
def test_what_does_not_restrict_all_rows_is_not_noted(tables: Mapping[str, Table], where: str) -> None:
    assert only_source(tables, f"SELECT mag FROM ztf.objects WHERE {where}").cap is None


def test_names_are_noted(tables: Mapping[str, Table]) -> None:
    assert only_source(tables, "SELECT ra FROM ztf.alerts WHERE object_id IN ('a', 'b') AND mag < 3").objects == ("a", "b")
    assert only_source(tables, "SELECT ra FROM ztf.alerts WHERE 'a' = object_id").objects == ("a",)
    assert only_source(tables, "SELECT ra FROM ztf.alerts WHERE object_id > 'a'").objects is None
    assert only_source(tables, "SELECT ra FROM ztf.alerts WHERE NOT object_id = 'a'").objects is None


@pytest.mark.parametrize(
    ("where", "nights"),
    [
        ("night = 20251101", (20251101, 20251101)),
        ("20251101 <= night AND night < 20251105", (20251101, 20251105)),
        ("night BETWEEN 20251101 AND 20251103", (20251101, 20251103)),
        ("mjd > 60980", (20251030, EVER)),
        ("night > 20251101 OR mag < 3", (0, EVER)),
    ],
)
def test_nights_are_noted(tables: Mapping[str, Table], where: str, nights: tuple[int, int]) -> None:
    source = only_source(tables, f"SELECT ra FROM ztf.alerts WHERE {where}")
    assert (source.first, source.last) == nights
    of_objects = only_source(tables, f"SELECT ra FROM ztf.objects WHERE {where}")
    assert (of_objects.first, of_objects.last) == (0, EVER)


def test_only_the_tables_of_a_query_around_are_left_alone(tables: Mapping[str, Table]) -> None:
    text = "SELECT ra FROM ztf.alerts AS a WHERE EXISTS (SELECT 1 FROM ztf.objects AS o WHERE a.object_id = 'x' AND o.object_id = 'y')"
    first, second = translate(text, tables, 5).sources
    assert first.objects is None
    assert second.objects == ("y",)
