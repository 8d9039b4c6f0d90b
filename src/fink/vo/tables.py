"""The tables that ADQL sees: alerts, objects and points of each survey, and TAP_SCHEMA, which describes them; all from the vocabulary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from fink import surveys
from fink.archive.declarations import POINT_COLUMNS
from fink.codecs.votable import vo_type, vo_unit
from fink.columns import Column

SURVEYS = ("lsst", "ztf")
"""Surveys that have a schema."""

Kind = Literal["alerts", "objects", "points", "metadata"]


@dataclass(frozen=True)
class Table:
    """A table that can be asked.

    Parameters
    ----------
    schema, name
        Both parts of its public name.
    kind
        What its rows are.
    about
        A sentence on them.
    columns
        Declarations by name, in their order.
    rows
        The table itself where it is of the service's own metadata.
    """

    schema: str
    name: str
    kind: Kind
    about: str
    columns: Mapping[str, Column]
    rows: pa.Table | None = None

    @property
    def full_name(self) -> str:
        """The name with its schema."""
        return f"{self.schema}.{self.name}"

    @property
    def has_sky(self) -> bool:
        """Whether positions find its rows in the index."""
        return self.kind in ("alerts", "objects")


N_ALERTS = Column("n_alerts", pa.int32(), "", "meta.number;obs", "Alerts of the object in the archive")

_ABOUT: Mapping[str, str] = {
    "alerts": "Alerts, each with what the survey and Fink's science modules say of it",
    "objects": "Objects, each with every column of its last alert",
    "points": "Points of light curves, one for each time that an alert brought it: detections, forced photometry and upper limits",
}
_TITLES: Mapping[str, str] = {
    "lsst": "Alerts of the Vera C. Rubin Observatory",
    "ztf": "Alerts of the Zwicky Transient Facility",
    "tap_schema": "Tables, columns and keys of this service",
}


def public_tables(vocabulary: Mapping[str, Column]) -> dict[str, Table]:
    """Give every table by its full name.

    Parameters
    ----------
    vocabulary
        Every column that there is, by name.
    """
    tables = [table for survey in SURVEYS for table in _of_survey(survey, vocabulary)]
    tables += _metadata(tables)
    return {table.full_name: table for table in tables}


def _of_survey(survey: str, vocabulary: Mapping[str, Column]) -> list[Table]:
    own = {column.name for column in surveys.registry()[survey].columns}
    foreign = {column.name for other in surveys.registry().values() for column in other.columns} - own
    alerts = {name: column for name, column in vocabulary.items() if name not in foreign | {"survey"}}
    points = {name: column for name, column in POINT_COLUMNS.items() if name != "commit"}
    columns: Mapping[Kind, Mapping[str, Column]] = {
        "alerts": alerts,
        "objects": {"object_id": alerts["object_id"], N_ALERTS.name: N_ALERTS, **alerts},
        "points": points,
    }
    return [Table(survey, kind, kind, _ABOUT[kind], columns[kind]) for kind in columns]


_TEXT, _NUMBER = pa.string(), pa.int32()
_DESCRIPTION: Mapping[str, Mapping[str, tuple[pa.DataType, str]]] = {
    "schemas": {
        "schema_name": (_TEXT, "Name of the schema"),
        "utype": (_TEXT, "Data model of the schema"),
        "description": (_TEXT, "What the schema holds"),
        "schema_index": (_NUMBER, "Order in which schemas are shown"),
    },
    "tables": {
        "schema_name": (_TEXT, "Schema of the table"),
        "table_name": (_TEXT, "Name of the table with its schema"),
        "table_type": (_TEXT, "Whether it is a table or a view"),
        "utype": (_TEXT, "Data model of the table"),
        "description": (_TEXT, "What the rows of the table are"),
        "table_index": (_NUMBER, "Order in which tables are shown"),
    },
    "columns": {
        "table_name": (_TEXT, "Table of the column"),
        "column_name": (_TEXT, "Name of the column"),
        "datatype": (_TEXT, "VOTable type"),
        "arraysize": (_TEXT, "VOTable array size; null for a single value"),
        "xtype": (_TEXT, "Further type of DALI"),
        "size": (_NUMBER, "Length of an array; kept for TAP 1.0"),
        "description": (_TEXT, "What the column means"),
        "utype": (_TEXT, "Data model of the column"),
        "unit": (_TEXT, "Unit, by VOUnits"),
        "ucd": (_TEXT, "Unified Content Descriptor"),
        "indexed": (_NUMBER, "1 where a condition on the column alone is answered quickly"),
        "principal": (_NUMBER, "1 for the columns that matter most"),
        "std": (_NUMBER, "1 where a standard defines the column"),
        "column_index": (_NUMBER, "Order in which columns are shown"),
    },
    "keys": {
        "key_id": (_TEXT, "Identity of the key"),
        "from_table": (_TEXT, "Table that refers to another"),
        "target_table": (_TEXT, "Table that is referred to"),
        "utype": (_TEXT, "Data model of the key"),
        "description": (_TEXT, "What the key means"),
    },
    "key_columns": {
        "key_id": (_TEXT, "Identity of the key"),
        "from_column": (_TEXT, "Column that refers"),
        "target_column": (_TEXT, "Column that is referred to"),
    },
}


def _metadata(tables: list[Table]) -> list[Table]:
    """Describe tables, and the tables that describe them."""
    own = [
        Table(
            "tap_schema",
            name,
            "metadata",
            f"TAP_SCHEMA: {name.replace('_', ' ')} of this service",
            {key: Column(key, kind, "", "", about) for key, (kind, about) in columns.items()},
        )
        for name, columns in _DESCRIPTION.items()
    ]
    described = [*tables, *own]
    rows = {
        "schemas": [{"schema_name": name, "description": about, "schema_index": i} for i, (name, about) in enumerate(_TITLES.items())],
        "tables": [_table_row(i, table) for i, table in enumerate(described)],
        "columns": [_column_row(i, table, column) for table in described for i, column in enumerate(table.columns.values())],
        **_key_rows(),
    }
    return [Table(t.schema, t.name, t.kind, t.about, t.columns, _arrow(t, rows[t.name])) for t in own]


def _arrow(table: Table, rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, pa.schema([(name, column.type) for name, column in table.columns.items()]))


def _table_row(index: int, table: Table) -> dict[str, Any]:
    kind = "view" if table.kind == "objects" else "table"
    return {
        "schema_name": table.schema,
        "table_name": table.full_name,
        "table_type": kind,
        "description": table.about,
        "table_index": index,
    }


def _column_row(index: int, table: Table, column: Column) -> dict[str, Any]:
    datatype, arraysize = vo_type(column.type)
    return {
        "table_name": table.full_name,
        "column_name": shown_name(column),
        "datatype": datatype,
        "arraysize": arraysize,
        "description": column.about,
        "unit": vo_unit(column.unit) or None,
        "ucd": column.ucd or None,
        "indexed": int(is_indexed(table, column)),
        "principal": int(column.indexed or table.kind in ("points", "metadata")),
        "std": int(table.kind == "metadata"),
        "column_index": index,
    }


def shown_name(column: Column) -> str:
    """Give the name of a column as a query has to write it: in quotes where ADQL itself uses the word."""
    return '"size"' if column.name == "size" else column.name


def is_indexed(table: Table, column: Column) -> bool:
    """Say whether a condition on a column finds its rows without a look at all of them."""
    return table.has_sky and column.name in ("ra", "dec", "object_id")


@dataclass(frozen=True)
class Key:
    """A column of a table that refers to one of another."""

    identity: str
    from_table: str
    from_column: str
    target_table: str
    target_column: str
    about: str


def _keys() -> Iterator[Key]:
    for survey in SURVEYS:
        alerts, objects, points = (f"{survey}.{kind}" for kind in ("alerts", "objects", "points"))
        yield Key(f"{survey}_object", alerts, "object_id", objects, "object_id", "The object of an alert")
        yield Key(f"{survey}_alert", points, "alert_id", alerts, "alert_id", "The alert that brought a point")
    for table, column, target, of_target in (
        ("tables", "schema_name", "schemas", "schema_name"),
        ("columns", "table_name", "tables", "table_name"),
        ("keys", "from_table", "tables", "table_name"),
        ("keys", "target_table", "tables", "table_name"),
        ("key_columns", "key_id", "keys", "key_id"),
    ):
        yield Key(f"{table}_{column}", f"tap_schema.{table}", column, f"tap_schema.{target}", of_target, "")


KEYS = tuple(_keys())
"""Every key."""


def _key_rows() -> dict[str, list[dict[str, Any]]]:
    keys = [
        {"key_id": key.identity, "from_table": key.from_table, "target_table": key.target_table, "description": key.about or None}
        for key in KEYS
    ]
    columns = [{"key_id": key.identity, "from_column": key.from_column, "target_column": key.target_column} for key in KEYS]
    return {"keys": keys, "key_columns": columns}
