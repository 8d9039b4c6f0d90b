"""Routes that say what there is: columns, named conditions, classes, statistics of nights, and the broker's own account."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import pyarrow as pa

from fink import filters
from fink.api.answers import Answer, TableAnswer
from fink.api.arguments import Argument
from fink.api.routes import COLUMNS, OUTPUT, Question, Route
from fink.columns import Column
from fink.errors import NotFoundError, did_you_mean
from fink.services.night_counts import KEPT
from fink.surveys.public import FORMS, public_columns, runtime_needs

_FAMILIES = {
    "ztf": {"i:": "ZTF original fields (i:)", "d:": "Fink science module outputs (d:)"},
    "lsst": {"r:": "LSST original fields (r:)", "f:": "Fink science module outputs (f:)"},
}


def schema(question: Question) -> Answer:
    """Say what each column of a route means, in families by prefix."""
    endpoint = question.values.get("endpoint")
    if endpoint and endpoint not in ENDPOINTS:
        raise NotFoundError(
            f"there is no schema of {endpoint}{did_you_mean(endpoint, ENDPOINTS)}; there are those of {', '.join(ENDPOINTS)}"
        )
    of_objects = endpoint == "/api/v1/objects" and question.survey == "lsst"
    columns = public_columns(question.survey, question.vocabulary.values(), of_objects=of_objects)
    families = {
        family: {name: _meaning(question.survey, column) for name, column in sorted(columns.items()) if name.startswith(prefix)}
        for prefix, family in _FAMILIES[question.survey].items()
        if endpoint not in _ONE_FAMILY or prefix in _ONE_FAMILY[endpoint]
    }
    return families if endpoint in _ONE_FAMILY else families | made_when_asked(question.survey)


ENDPOINTS = (
    "/api/v1/sources",
    "/api/v1/objects",
    "/api/v1/fp",
    "/api/v1/conesearch",
    "/api/v1/tags",
    "/api/v1/sso",
    "/api/v1/skymap",
    "/api/v1/latests",
    "/datatransfer/fink",
    "/datatransfer/lsst",
    "/datatransfer/ztf",
)
_ONE_FAMILY = {"/datatransfer/fink": ("f:", "d:"), "/datatransfer/lsst": ("r:",), "/datatransfer/ztf": ("i:",)}


def made_when_asked(survey: str) -> dict[str, Any]:
    """Describe stamps, and what is made when it is asked for."""
    stamps = {
        f"b:cutout{kind}{'_stampData' if survey == 'ztf' else ''}": {"type": "array", "doc": f"{kind} stamp, rows of pixels", "unit": ""}
        for kind in ("Science", "Template", "Difference")
    }
    made = {name: {"type": "computed", "doc": f"made of {', '.join(needed)}", "unit": ""} for name, needed in runtime_needs(survey).items()}
    made["v:separation_degree"] = {"type": "double", "doc": "Distance to the centre of a cone search", "unit": "deg"}
    return {"Fink added values at query time (v:)": made, "Cutouts (b:)": stamps}


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
    """Give what each night brought: alerts in all and by band, new objects, what they were, and the yield of each substream."""
    digits = "".join(letter for letter in str(question["date"] or "") if letter.isdigit())
    nights = [night for night in question.archive.statistics()["nights"] if night["survey"] == question.survey]
    nights = [night for night in nights if str(night["night"]).startswith(digits)]
    counted = KEPT.of(question.archive, question.survey, {night["night"]: night["archived"] for night in nights})
    prefix = "f:" if question.survey == "lsst" else "basic:"
    rows = [_night_row(night, prefix) | _counts_row(counted[night["night"]], prefix) for night in nights]
    names = list(dict.fromkeys(name for row in rows for name in row)) or [prefix + column.name for column in _NIGHT]
    meanings = {name: _STATISTICS.get(name.removeprefix(prefix), _counted_as(name)) for name in names}
    if question.values.get("schema"):
        return {name: {"type": str(column.type), "doc": column.about} for name, column in meanings.items()}
    said = {"key:key": _KEY} if question.survey == "ztf" else {"f:fink_broker_version": _VERSION}
    texts = [f"ztf_{night['night']}" if question.survey == "ztf" else version("fink") for night in nights]
    asked = question.wanted({**meanings, **said})
    values = {
        name: pa.array(texts, pa.string()) if name in said else pa.array([row.get(name, 0) for row in rows], pa.int64()) for name in asked
    }
    return TableAnswer(pa.table(values), asked)


_STATISTICS = {column.name: column for column in _NIGHT}
_KEY = Column("key", pa.string(), "", "meta.id", "Survey and night")
_VERSION = Column("fink_version", pa.string(), "", "meta.version", "Version of Fink that answers")


def _counted_as(name: str) -> Column:
    """Say what a column of counts is that has no meaning of its own."""
    label = name.partition(":")[2]
    return Column("alerts", pa.int64(), "", "meta.number", f"Alerts: {label}")


def _night_row(night: Mapping[str, Any], prefix: str) -> dict[str, int]:
    bands = {f"{prefix}alerts_{band}": count for band, count in sorted(night["bands"].items())}
    taken = {f"{prefix}{name}": count for name, count in sorted(night["substreams"].items())}
    raw = {"basic:raw": night["archived"], "basic:sci": night["archived"]} if prefix == "basic:" else {}
    return {prefix + name: night[source] for name, source in _SOURCES.items()} | raw | bands | taken


def _counts_row(counts: Mapping[str, int], prefix: str) -> dict[str, int]:
    """Give what was counted of a night, by public name; counts by class have a prefix of their own."""
    return {name if ":" in name else prefix + name: count for name, count in counts.items()}


def ledger(question: Question) -> Answer:
    """Account for every item that was received."""
    return question.archive.ledger()


def _routes() -> tuple[Route, ...]:
    endpoint = Argument("endpoint", "text", "Route whose columns are wanted", example="/api/v1/sources")
    numbers = tuple(
        Argument(f"{which}_version", "integer", f"{which.capitalize()} version of the survey's schema; one list stands for all")
        for which in ("major", "minor")
    )
    described = Argument("schema", "flag", "Whether the columns are described, and no values given", default=False)
    date = Argument("date", "text", "Night, month or year: YYYYMMDD, YYYYMM or YYYY; empty for all", default="", example="2025")
    return (
        Route("/schema", "What each column means", (endpoint, *numbers), schema, bare=True),
        Route("/blocks", "Named conditions that filters are built of", (), blocks, bare=True),
        Route("/statistics", "What each night brought", (date, COLUMNS, OUTPUT), statistics, ("lsst",)),
        Route("/statistics", "What each night brought", (date, described, COLUMNS, OUTPUT), statistics, ("ztf",)),
        Route("/ledger", "What was received, and what became of it", (), ledger, bare=True),
    )


ROUTES = _routes()
