"""Running a translated query: the rows that the index can find are fetched first, the rest is read from the lake, under limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink.archive.embedded import EmbeddedArchive
from fink.archive.segments import Kind
from fink.archive.sql import query
from fink.columns import Column
from fink.config import VoSettings
from fink.errors import QueryError
from fink.services.searches import last_of_each
from fink.vo.adql import translate
from fink.vo.scopes import Output, Source
from fink.vo.tables import N_ALERTS, Table

LARGEST_CAP = 2.0
"""Largest radius for which the index is asked; larger regions are read from the lake [deg]."""

SPREAD = 5.0 / 3600.0
"""How far from its last alert an object's other alerts lie at most [deg]."""

_FILES: Mapping[str, Kind] = {"alerts": "rows", "objects": "rows", "points": "points"}
_VIEWS: Mapping[str, str] = {"alerts": "alerts", "objects": "alerts", "points": "points"}
_TYPES: Mapping[pa.DataType, str] = {
    pa.bool_(): "BOOLEAN",
    pa.int8(): "TINYINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.string(): "VARCHAR",
}


@dataclass(frozen=True)
class Answer:
    """The rows of a query.

    Parameters
    ----------
    outputs
        What its columns are.
    overflow
        Whether there are more rows than were wanted.
    """

    table: pa.Table
    outputs: tuple[Output, ...]
    overflow: bool

    @property
    def meanings(self) -> dict[str, Column]:
        """Declarations of the columns that are columns of a table, by the names in the answer."""
        return {output.name: output.column for output in self.outputs if output.column is not None}


def answer(archive: EmbeddedArchive, tables: Mapping[str, Table], text: str, rows: int, settings: VoSettings) -> Answer:
    """Answer an ADQL query.

    Parameters
    ----------
    rows
        How many rows are wanted at most.

    Raises
    ------
    QueryError
        If it is not ADQL, names what is not there, or takes more time or memory than it may.
    """
    translation = translate(text, tables, rows + 1)
    wanted = min(rows, settings.most_values // max(len(translation.outputs), 1))
    most_bytes = settings.megabytes * 500_000
    ready = {source.view: _fetched(archive, source, settings) for source in translation.sources}
    with _connection(archive, [source for source in translation.sources if ready[source.view] is None], settings) as connection:
        for source in translation.sources:
            _provide(connection, source, ready[source.view])
        found = query(connection, translation.sql, seconds=settings.seconds, rows=wanted + 1, most_bytes=most_bytes)
    kept = found.slice(0, wanted)
    columns = [_plain(column, output) for column, output in zip(kept.columns, translation.outputs, strict=True)]
    table = pa.table(columns, names=[output.name for output in translation.outputs])
    return Answer(table, translation.outputs, found.num_rows > wanted or found.nbytes > most_bytes)


def _connection(archive: EmbeddedArchive, sources: Sequence[Source], settings: VoSettings) -> duckdb.DuckDBPyConnection:
    """Open the lake, as far as it is needed for some tables."""
    kinds, surveys = {_FILES[source.table.kind] for source in sources}, {source.table.schema for source in sources}
    nights = (min((source.first for source in sources), default=0), max((source.last for source in sources), default=0))
    return archive.connection(kinds, surveys, nights, megabytes=settings.megabytes, threads=settings.threads)


def _provide(connection: duckdb.DuckDBPyConnection, source: Source, rows: pa.Table | None) -> None:
    """Make the view that a query reads, of rows that are there already or of the lake."""
    if rows is not None:
        connection.register(source.view, rows)
        return
    columns = {name: source.table.columns[name] for name in source.columns}
    view = _VIEWS[source.table.kind]
    there = {name for (name, *_) in connection.execute(f"DESCRIBE {view}").fetchall()}
    connection.execute(f"CREATE VIEW {source.view} AS {_selected(source.table, view, columns, there)}")


def _selected(table: Table, view: str, columns: Mapping[str, Column], there: set[str]) -> str:
    """Write what selects a table's columns from the lake; those that no file has are null."""

    def written(name: str) -> str:
        return f'"{name}"' if name in there else f"CAST(NULL AS {_TYPES[columns[name].type]})"

    of_survey = f"FROM {view} WHERE survey = '{table.schema}'"
    own = [name for name in columns if name != N_ALERTS.name]
    if table.kind != "objects":
        columns_written = [f'{written(name)} AS "{name}"' for name in own] or ["1 AS one"]
        return f"SELECT {', '.join(columns_written)} {of_survey}"
    packed = ", ".join([f'"{name}" := {written(name)}' for name in own] or ["one := 1"])
    last = f"arg_max(struct_pack({packed}), struct_pack(mjd := mjd, alert_id := alert_id))"
    counted = f"CAST(count(*) AS INTEGER) AS {N_ALERTS.name}"
    return (
        f"SELECT last.*, {N_ALERTS.name} FROM (SELECT {counted}, {last} AS last {of_survey} AND object_id IS NOT NULL GROUP BY object_id)"
    )


def _fetched(archive: EmbeddedArchive, source: Source, settings: VoSettings) -> pa.Table | None:
    """Fetch the rows of a table that the index finds, or that are the service's own; None where the lake has to be read."""
    if source.table.rows is not None:
        return source.table.rows
    alerts = _found(archive, source)
    if alerts is None:
        return None
    columns = {name: source.table.columns[name] for name in source.columns}
    counts = None
    if source.table.kind == "objects":
        alerts, counts = _last_alerts(alerts.filter(alerts["object_id"].is_valid()) if alerts.num_rows else alerts)
    names = [name for name in columns if name != N_ALERTS.name]
    if alerts.num_rows and not set(names) <= set(alerts.column_names):
        if alerts.num_rows * len(names) > settings.most_values:
            return None
        alerts = archive.wide(alerts, list(dict.fromkeys((*names, "alert_id"))))
    return _shaped(alerts, columns, counts)


def _found(archive: EmbeddedArchive, source: Source) -> pa.Table | None:
    """Ask the index for the alerts of some objects, or those in a cap."""
    survey, cap = source.table.schema, source.cap
    if source.objects is not None:
        return archive.alerts_of_objects(source.objects, survey)
    if cap is None or cap.radius > LARGEST_CAP:
        return None
    if abs(cap.dec) > 90:
        raise QueryError(f"dec = {cap.dec:g} is no declination; it is from -90 to 90 deg")
    # a little more than the cap, for what WHERE asks is checked again, and an object is all of its alerts
    radius = cap.radius + (SPREAD if source.table.kind == "objects" else 1e-9)
    return archive.cone(cap.ra % 360.0, cap.dec, radius * 3600.0, survey).drop_columns("separation")


def _last_alerts(alerts: pa.Table) -> tuple[pa.Table, pa.Array]:
    """Give the last alert of each object, and how many there are of it."""
    last = last_of_each(alerts)
    if not alerts.num_rows:
        return last, pa.array([], pa.int32())
    counted = pc.value_counts(alerts["object_id"].combine_chunks())
    places = pc.index_in(last["object_id"].combine_chunks(), counted.field("values"))
    return last, counted.field("counts").take(places).cast(pa.int32())


def _shaped(alerts: pa.Table, columns: Mapping[str, Column], counts: pa.Array | None) -> pa.Table:
    """Give exactly the columns wanted, in their declared types."""
    rows = alerts.num_rows
    arrays: dict[str, pa.Array | pa.ChunkedArray] = {}
    for name, column in columns.items():
        if counts is not None and name == N_ALERTS.name:
            arrays[name] = counts
        else:
            arrays[name] = alerts[name].cast(column.type) if name in alerts.column_names else pa.nulls(rows, column.type)
    return pa.table(arrays) if arrays else pa.table({"one": pa.array(np.ones(rows, np.int8))})


def _plain(values: pa.ChunkedArray, output: Output) -> pa.ChunkedArray:
    """Give values in a type that every format has."""
    kind = values.type
    if pa.types.is_decimal(kind) or pa.types.is_uint64(kind):
        whole = kind.scale == 0 if pa.types.is_decimal(kind) else True
        top = pc.max(pc.abs(values)).as_py() if whole and not pa.types.is_uint64(kind) else pc.max(values).as_py()
        return values.cast(pa.int64() if whole and (top is None or top < 2**63) else pa.float64())
    if pa.types.is_unsigned_integer(kind):
        return values.cast(pa.int64())
    if pa.types.is_null(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return values.cast(pa.string())
    return values
