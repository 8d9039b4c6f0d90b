"""Routes that say what there is: columns, named conditions, classes, statistics of nights, and the broker's own account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from fink import filters
from fink.api.answers import Answer, TableAnswer
from fink.api.arguments import Argument
from fink.api.routes import COLUMNS, OUTPUT, Question, Route
from fink.columns import Column
from fink.errors import NotFoundError, did_you_mean
from fink.surveys.public import FORMS, public_columns

_FAMILIES = {
    "ztf": {"i:": "ZTF original fields (i:)", "d:": "Fink science module outputs (d:)"},
    "lsst": {"r:": "LSST original fields (r:)", "f:": "Fink science module outputs (f:)"},
}


def schema(question: Question) -> Answer:
    """Say what each column of a route means, in families by prefix."""
    endpoint = question.values.get("endpoint")
    known = ("/api/v1/sources", "/api/v1/objects", "/api/v1/conesearch", "/api/v1/tags", "/api/v1/sso")
    if endpoint and endpoint not in known:
        raise NotFoundError(f"there is no schema of {endpoint}{did_you_mean(endpoint, known)}; there are those of {', '.join(known)}")
    of_objects = endpoint == "/api/v1/objects"
    columns = public_columns(question.survey, question.vocabulary.values(), of_objects=of_objects)
    return {
        family: {name: _meaning(question.survey, column) for name, column in sorted(columns.items()) if name.startswith(prefix)}
        for prefix, family in _FAMILIES[question.survey].items()
    }


def _meaning(survey: str, column: Column) -> dict[str, Any]:
    form = FORMS.get((survey, column.name))
    unit = f" [{column.unit}]" if column.unit else ""
    return {"type": str(form.type if form else column.type), "doc": column.about + unit, "unit": column.unit, "ucd": column.ucd}


def blocks(_: Question) -> Answer:
    """Give the named conditions that filters are built of."""
    return {name: cut.about for name, cut in sorted(filters.named_cuts().items())}


_NIGHT = (
    Column("night", pa.int32(), "", "time.epoch;obs", "Night as YYYYMMDD"),
    Column("alerts", pa.int64(), "", "meta.number", "Alerts archived"),
    Column("objects", pa.int64(), "", "meta.number", "Objects seen for the first time"),
    Column("late", pa.int64(), "", "meta.number", "Alerts that came after a later night of their object"),
    Column("points", pa.int64(), "", "meta.number", "Points of light curves that the alerts brought"),
)
_SOURCES = {"night": "night", "alerts": "archived", "objects": "new_objects", "late": "late", "points": "points"}


def statistics(question: Question) -> Answer:
    """Give what each night brought: alerts in all and by band, new objects, and the yield of each substream."""
    digits = "".join(letter for letter in str(question["date"] or "") if letter.isdigit())
    nights = [night for night in question.archive.statistics()["nights"] if night["survey"] == question.survey]
    nights = [night for night in nights if str(night["night"]).startswith(digits)]
    prefix = "f:" if question.survey == "lsst" else "basic:"
    rows = [_night_row(night, prefix) for night in nights]
    names = list(dict.fromkeys(name for row in rows for name in row)) or [prefix + column.name for column in _NIGHT]
    asked = [name for name in question["columns"] or names if name in names]
    table = pa.table({name: pa.array([row.get(name, 0) for row in rows], pa.int64()) for name in asked})
    return TableAnswer(table, {prefix + column.name: column for column in _NIGHT})


def _night_row(night: Mapping[str, Any], prefix: str) -> dict[str, int]:
    bands = {f"{prefix}alerts_{band}": count for band, count in sorted(night["bands"].items())}
    taken = {f"{prefix}{name}": count for name, count in sorted(night["substreams"].items())}
    return {prefix + name: night[source] for name, source in _SOURCES.items()} | bands | taken


def ledger(question: Question) -> Answer:
    """Account for every item that was received."""
    return question.archive.ledger()


def _routes() -> tuple[Route, ...]:
    endpoint = Argument("endpoint", "text", "Route whose columns are wanted", example="/api/v1/sources")
    date = Argument("date", "text", "Night, month or year: YYYYMMDD, YYYYMM or YYYY; empty for all", default="", example="2025")
    return (
        Route("/schema", "What each column means", (endpoint,), schema, bare=True),
        Route("/blocks", "Named conditions that filters are built of", (), blocks, bare=True),
        Route("/statistics", "What each night brought", (date, COLUMNS, OUTPUT), statistics),
        Route("/ledger", "What was received, and what became of it", (), ledger, bare=True),
    )


ROUTES = _routes()
