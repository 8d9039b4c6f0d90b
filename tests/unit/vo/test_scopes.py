"""Names find the table and column that they mean, from within outwards; what is used is noted."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from fink.errors import QueryError
from fink.vo.geometry import Cap
from fink.vo.scopes import Output, Relation, Scope, Source, table_named
from fink.vo.tables import Table


def relation(tables: Mapping[str, Table], full_name: str, name: str, alias: str) -> Relation:
    table = tables[full_name]
    outputs = tuple(Output(column, column, declared, table) for column, declared in table.columns.items())
    return Relation(name, alias, outputs, Source(table, f"view_{alias}"))


def test_a_column_is_found_by_name_and_by_its_table(tables: Mapping[str, Table]) -> None:
    outer = Scope()
    outer.add(relation(tables, "ztf.alerts", "a", "r1"))
    inner = Scope(outer)
    points = inner.add(relation(tables, "ztf.points", "p", "r2"))
    assert inner.value("kind") == 'r2."kind"'
    assert inner.value("fink_class") == 'r1."fink_class"'
    assert inner.value("mjd", "a") == 'r1."mjd"'
    assert inner.value("mjd") == 'r2."mjd"'
    assert points.source is not None
    assert list(points.source.columns) == ["kind", "mjd"]


def test_what_is_not_there_or_not_clear_is_told(tables: Mapping[str, Table]) -> None:
    scope = Scope()
    scope.add(relation(tables, "ztf.alerts", "a", "r1"))
    scope.add(relation(tables, "ztf.objects", "o", "r2"))
    for name, qualifier, told in (
        ("ra", "", "a.ra"),
        ("rab", "", "no column"),
        ("mga", "o", "did you mean mag"),
        ("ra", "x", "no table x"),
    ):
        with pytest.raises(QueryError, match=told):
            scope.value(name, qualifier)
    with pytest.raises(QueryError, match="twice"):
        scope.add(relation(tables, "ztf.points", "a", "r3"))


def test_the_smallest_cap_is_kept_where_there_is_a_sky(tables: Mapping[str, Table]) -> None:
    source = Source(tables["ztf.alerts"], "v")
    for radius in (2.0, 1.0, 3.0):
        source.within(Cap(0, 0, radius))
    assert source.cap == Cap(0, 0, 1.0)
    source.only(("a", "b"))
    source.only(("c",))
    assert source.objects == ("c",)
    points = Source(tables["ztf.points"], "v")
    points.within(Cap(0, 0, 1))
    points.only(("a",))
    assert (points.cap, points.objects) == (None, None)


def test_tables_are_found_with_or_without_schema(tables: Mapping[str, Table]) -> None:
    assert table_named(tables, "ztf.alerts").full_name == "ztf.alerts"
    assert table_named(tables, "key_columns").full_name == "tap_schema.key_columns"
    for name, told in (("alerts", "there are lsst.alerts"), ("ztf.alert", "did you mean ztf.alerts")):
        with pytest.raises(QueryError, match=told):
            table_named(tables, name)
