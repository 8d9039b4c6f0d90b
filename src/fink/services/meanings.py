"""What every column and every field means, for a survey: as its users know it, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fink import surveys
from fink.archive.declarations import POINT_COLUMNS
from fink.columns import CORE, Column
from fink.errors import NotFoundError, did_you_mean
from fink.services.rules import described
from fink.surveys.fields import Field, FieldTable, read_table, version_text
from fink.surveys.mapping import MappedSurvey
from fink.surveys.public import FORMS, OBJECT_COLUMNS, public_columns

ALERTS, OBJECTS, POINTS, PACKETS = "alerts", "objects", "points", "packets"
TABLES: Mapping[str, str] = {
    ALERTS: "Alerts: what most routes answer with, and what conditions and SQL read",
    OBJECTS: "Objects: what the survey says of an object, and not of one alert of it",
    POINTS: "Points: the light curves that the alerts brought, as SQL reads them",
    PACKETS: "Packets: the survey's own records, as they come",
}
"""What there are meanings of, in words."""


def tables_of(survey: str) -> dict[str, str]:
    """Give what there are meanings of in a survey: not every survey tells objects from alerts."""
    return {name: about for name, about in TABLES.items() if name != OBJECTS or survey in OBJECT_COLUMNS}


def meanings(survey: str, table: str, columns: Iterable[Column]) -> list[dict[str, Any]]:
    """Say what the columns of one of the `TABLES` mean.

    Parameters
    ----------
    columns
        Every column that there is; those of other surveys are left out.

    Returns
    -------
    rows
        ``name`` (the public one), ``column`` (Fink's own, as conditions and SQL have it), ``type``, ``unit``, ``ucd``, ``about``,
        ``module`` (empty where the survey sends it), ``from`` and ``fast`` (whether lists show it without reading the lake).

    Raises
    ------
    NotFoundError
        If there is no such table.
    """
    known = tables_of(survey)
    if table not in known:
        raise NotFoundError(f"there are no meanings of {table}{did_you_mean(table, known)}; there are those of {', '.join(known)}")
    if table == PACKETS:
        return packet_fields(survey)
    if table == POINTS:
        return [_row(survey, column.name, column) for column in POINT_COLUMNS.values()]
    public = public_columns(survey, columns, of_objects=table == OBJECTS)
    return [_row(survey, name, column) for name, column in public.items()]


def _row(survey: str, name: str, column: Column) -> dict[str, Any]:
    said, form = described(column), FORMS.get((survey, column.name))
    shown = str(form.type) if form and name != column.name else said["type"]
    source = f"module {said['module']}" if said["module"] else f"{survey.upper()}"
    return {**said, "name": name, "column": column.name, "type": shown, "from": source, "fast": column.indexed}


def packet_fields(survey: str) -> list[dict[str, Any]]:
    """Give the fields of a survey's packets by their path, in the order of their bytes, and the column that each is kept as.

    Returns
    -------
    rows
        As `meanings` has them; ``column`` is empty where no column is that field as it stands, and ``versions`` says in which
        versions of the survey's schema the field is.
    """
    described_here = surveys.registry()[survey]
    plain = described_here.plain if isinstance(described_here, MappedSurvey) else ()
    columns = {path: source.column for source in plain for path in source.paths}
    table = read_table(survey)
    return [_field_row(survey, path, field, columns.get(path, "")) for path, field in _paths(table, next(iter(table.records)))]


def _paths(table: FieldTable, record: str, before: str = "") -> Iterator[tuple[str, Field]]:
    """Give each field of a record, and those of the records in it, with its path."""
    for field in table.records[record]:
        yield before + field.name, field
        if field.type in table.records:
            yield from _paths(table, field.type, f"{before}{field.name}.")


def _field_row(survey: str, path: str, field: Field, column: str) -> dict[str, Any]:
    declared = {each.name: each for each in (*CORE, *surveys.registry()[survey].columns)}.get(column)
    first, last = version_text(field.first), version_text(field.last)
    about = field.about or (declared.about if declared else f"Former name of {field.renamed}" if field.renamed else "")
    return {
        "name": path,
        "column": column,
        "type": f"{field.type}{'[]' if field.array else ''}{' or null' if field.nullable else ''}",
        "unit": field.unit,
        "ucd": field.ucd,
        "about": about,
        "module": "",
        "from": survey.upper(),
        "fast": False,
        "versions": first if first == last else f"{first} to {last}",
    }
