"""Tables are derived from the vocabulary, and described with units and UCDs that the IVOA knows."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from astropy.io.votable.ucd import parse_ucd
from astropy.units import Unit

from fink.archive.rows import declared_columns
from fink.codecs.votable import vo_unit
from fink.vo.tables import SURVEYS, Table, is_indexed
from unit.vo.conftest import Ask


def test_every_column_has_a_ucd_and_a_unit_that_the_ivoa_knows(tables: Mapping[str, Table]) -> None:
    for column in {column.name: column for table in tables.values() for column in table.columns.values()}.values():
        if column.ucd:
            assert parse_ucd(column.ucd, check_controlled_vocabulary=True, has_colon=True), column.name
        if column.unit:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                assert Unit(vo_unit(column.unit), format="vounit", parse_strict="raise") is not None, column.name


def test_a_survey_has_its_own_columns_and_those_of_all(tables: Mapping[str, Table]) -> None:
    declared = declared_columns()
    assert set(tables["lsst.alerts"].columns) < set(declared)
    assert {"ra", "fink_class"} <= set(tables["ztf.alerts"].columns)
    assert not [name for name in tables["lsst.alerts"].columns if name.startswith("ztf_")]
    assert not [name for name in tables["ztf.alerts"].columns if name.startswith("lsst_")]
    assert set(tables["lsst.alerts"].columns) | set(tables["ztf.alerts"].columns) >= {
        n for n in declared if not n.startswith("elasticc_")
    } - {"survey"}


def test_every_table_can_be_asked_for_every_column(ask: Ask, tables: Mapping[str, Table]) -> None:
    for name, table in tables.items():
        found = ask(f"SELECT * FROM {name}", rows=2)
        assert found.table.column_names == list(table.columns)
        assert [str(kind) for kind in found.table.schema.types] == [str(column.type) for column in table.columns.values()]
        assert found.table.num_rows == 2


def test_tap_schema_describes_every_table_itself_too(ask: Ask, tables: Mapping[str, Table]) -> None:
    listed = ask("SELECT t.table_name FROM tap_schema.tables AS t JOIN tap_schema.schemas AS s ON s.schema_name = t.schema_name")
    assert listed.table["table_name"].to_pylist() == list(tables)
    columns = ask("SELECT table_name, column_name FROM tap_schema.columns", rows=100_000).table.to_pylist()
    assert {(row["table_name"], row["column_name"].strip('"')) for row in columns} == {(n, c) for n, t in tables.items() for c in t.columns}
    keys = ask(
        "SELECT k.from_table, k.target_table, c.from_column, c.target_column "
        "FROM tap_schema.keys AS k JOIN tap_schema.key_columns AS c USING (key_id)"
    )
    for row in keys.table.to_pylist():
        assert row["from_column"] in tables[row["from_table"]].columns
        assert row["target_column"] in tables[row["target_table"]].columns
    assert keys.table.num_rows == 2 * len(SURVEYS) + 5


def test_places_and_names_are_indexed(tables: Mapping[str, Table]) -> None:
    table = tables["ztf.objects"]
    assert [name for name, column in table.columns.items() if is_indexed(table, column)] == ["object_id", "ra", "dec"]
