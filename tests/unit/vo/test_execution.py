"""Answers agree with the archive's own, whether rows come from the index or the lake; limits hold."""

from __future__ import annotations

import time

import pyarrow.compute as pc
import pytest

from fink.archive.embedded import EmbeddedArchive
from fink.errors import QueryError
from fink.vo import execution
from unit.vo.conftest import Ask


def test_every_clause_of_select(ask: Ask, archive: EmbeddedArchive) -> None:
    text = (
        "SELECT band, COUNT(*) AS n, COUNT(DISTINCT object_id) AS objects, AVG(mag) AS mean FROM ztf.alerts "
        "WHERE NOT mag IS NULL GROUP BY band HAVING COUNT(*) > 1 ORDER BY n DESC, 1"
    )
    expected = archive.sql(
        "SELECT band, count(*) AS n, count(DISTINCT object_id) AS objects, avg(mag) AS mean FROM alerts "
        "WHERE survey = 'ztf' AND mag IS NOT NULL GROUP BY band HAVING count(*) > 1 ORDER BY n DESC, 1"
    )
    assert ask(text).table.to_pylist() == expected.to_pylist()


def test_top_and_offset_go_through_all_rows_once(ask: Ask) -> None:
    every = ask("SELECT alert_id FROM lsst.alerts ORDER BY alert_id").table["alert_id"].to_pylist()
    pages = [
        ask(f"SELECT TOP 7 alert_id FROM lsst.alerts ORDER BY alert_id OFFSET {i}").table["alert_id"].to_pylist()
        for i in range(0, len(every), 7)
    ]
    assert [each for page in pages for each in page] == every


@pytest.mark.parametrize("survey", ["lsst", "ztf"])
def test_the_index_and_the_lake_give_the_same_rows(ask: Ask, survey: str) -> None:
    place = ask(f"SELECT TOP 1 ra, dec FROM {survey}.objects ORDER BY alert_id").table.to_pylist()[0]
    near = f"CONTAINS(POINT(ra, dec), CIRCLE({place['ra']}, {place['dec']}, 1.9))"
    for table in ("alerts", "objects"):
        for columns in ("alert_id, ra, mag", "alert_id, snr, fink_class, night"):
            # a test that is not a plain condition is not seen by the index
            one, other = (
                ask(f"SELECT {columns} FROM {survey}.{table} WHERE {t} ORDER BY 1").table for t in (f"1 = {near}", f"1 = 1 * {near}")
            )
            assert one.num_rows > 0
            assert one.equals(other)


def test_names_find_what_the_lake_holds(ask: Ask) -> None:
    names = ask("SELECT TOP 3 object_id FROM ztf.objects ORDER BY n_alerts DESC, 1").table["object_id"].to_pylist()
    listed = ", ".join(f"'{name}'" for name in names)
    one = ask(f"SELECT alert_id, seeing FROM ztf.alerts WHERE object_id IN ({listed}) ORDER BY 1").table
    other = ask(f"SELECT alert_id, seeing FROM ztf.alerts WHERE object_id || '' IN ({listed}) ORDER BY 1").table
    assert one.num_rows > 3
    assert one.equals(other)


def test_an_object_is_its_last_alert(ask: Ask) -> None:
    text = (
        "SELECT o.object_id, o.mjd, o.n_alerts, a.n, a.last FROM ztf.objects AS o JOIN "
        "(SELECT object_id, COUNT(*) AS n, MAX(mjd) AS last FROM ztf.alerts GROUP BY object_id) AS a ON a.object_id = o.object_id"
    )
    found = ask(text).table
    assert found.num_rows == ask("SELECT COUNT(DISTINCT object_id) AS n FROM ztf.alerts").table["n"][0].as_py()
    assert found["mjd"].equals(found["last"])
    assert found["n_alerts"].to_pylist() == found["n"].to_pylist()
    assert pc.max(found["n"]).as_py() > 1


def test_points_belong_to_alerts(ask: Ask) -> None:
    text = "SELECT p.kind, COUNT(*) AS n FROM ztf.points AS p JOIN ztf.alerts AS a USING (alert_id) GROUP BY p.kind ORDER BY 1"
    kinds = ask(text).table["kind"].to_pylist()
    assert "detection" in kinds


def test_joins_sets_and_queries_within(ask: Ask) -> None:
    both = ask(
        "WITH bright AS (SELECT object_id, mag FROM ztf.objects WHERE mag < 19) "
        "SELECT b.object_id FROM bright AS b LEFT OUTER JOIN ztf.alerts AS a ON a.object_id = b.object_id AND a.mag < 0 "
        "WHERE a.alert_id IS NULL AND EXISTS (SELECT 1 FROM ztf.alerts AS c WHERE c.object_id = b.object_id)"
    )
    plain = ask("SELECT object_id FROM ztf.objects WHERE mag < 19 EXCEPT SELECT object_id FROM ztf.alerts WHERE mag < 0")
    assert sorted(both.table["object_id"].to_pylist()) == sorted(plain.table["object_id"].to_pylist()) != []
    full = ask("SELECT object_id, z.mag FROM ztf.objects AS z FULL OUTER JOIN lsst.objects AS l USING (object_id)")
    assert None not in full.table["object_id"].to_pylist()


def test_columns_keep_what_they_mean(ask: Ask) -> None:
    found = ask("SELECT ra, ra AS place, ra + 1 AS beyond, ra FROM lsst.alerts")
    assert found.table.column_names == ["ra", "place", "beyond", "ra_2"]
    assert {name: column.unit for name, column in found.meanings.items()} == {"ra": "deg", "place": "deg", "ra_2": "deg"}


def test_a_column_that_no_file_has_is_missing(ask: Ask) -> None:
    found = ask("SELECT * FROM lsst.alerts", rows=3)
    assert found.table.num_columns > 900
    assert any(found.table[name].null_count == 3 for name in found.table.column_names)


def test_more_rows_than_wanted_are_an_overflow(ask: Ask) -> None:
    count = ask("SELECT COUNT(*) AS n FROM ztf.alerts").table["n"][0].as_py()
    assert not ask("SELECT ra FROM ztf.alerts", rows=count).overflow
    cut = ask("SELECT ra FROM ztf.alerts", rows=count - 1)
    assert cut.overflow
    assert cut.table.num_rows == count - 1
    assert ask("SELECT * FROM ztf.alerts", rows=10_000, most_values=5_000).overflow
    assert ask("SELECT ra FROM ztf.alerts", rows=0).overflow


def test_a_query_cannot_take_more_time_than_it_may(ask: Ask) -> None:
    start = time.monotonic()
    with pytest.raises(QueryError, match="longer than"):
        ask("SELECT COUNT(*) FROM ztf.points AS a, ztf.points AS b, ztf.points AS c WHERE a.flux * b.flux < c.flux", seconds=0.5)
    assert time.monotonic() - start < 20


def test_a_query_cannot_take_more_memory_than_it_may(ask: Ask) -> None:
    with pytest.raises(QueryError, match="memory"):
        ask(
            "SELECT COUNT(*) FROM (SELECT DISTINCT a.flux * b.flux, a.mjd * b.mjd, a.flux - b.mjd, a.object_id || b.object_id "
            "FROM ztf.points AS a, ztf.points AS b) AS t",
            megabytes=64,
        )


def test_an_answer_is_cut_where_it_fills_the_memory(ask: Ask) -> None:
    text = "SELECT a.object_id || '" + "x" * 480 + "' AS s FROM ztf.points AS a, ztf.points AS b"
    found = ask(text, rows=1_000_000, megabytes=64)
    assert found.overflow
    assert found.table.nbytes < 64e6


@pytest.mark.parametrize(
    "text",
    [
        "SELECT CAST(CASE WHEN ra < 0 THEN '1' ELSE object_id END AS INTEGER) FROM ztf.alerts",
        "SELECT ra FROM ztf.alerts WHERE SUM(ra) > 1",
        "SELECT ra FROM ztf.alerts GROUP BY dec",
        "SELECT AVG(object_id) FROM ztf.alerts",
        "SELECT ra FROM ztf.alerts WHERE ra = 'here'",
        "SELECT ra FROM ztf.alerts WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(1, 91, 1))",
    ],
)
def test_what_makes_no_sense_is_told(ask: Ask, text: str) -> None:
    with pytest.raises(QueryError):
        ask(text)


def test_the_index_is_not_asked_for_half_the_sky() -> None:
    assert execution.LARGEST_CAP < 5
