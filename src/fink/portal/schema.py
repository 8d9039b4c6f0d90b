"""The schema browser: every column and field of a survey with its names, type, unit, UCD and meaning, and what makes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fink.api.about import made_when_asked
from fink.api.arguments import Argument
from fink.portal.pages import Answer, Page, Visit
from fink.portal.substreams import SERVED
from fink.services.meanings import ALERTS, OBJECTS, TABLES, meanings, tables_of
from fink.services.trials import vocabulary

_OF_ALERTS = ("/conesearch", "/tags", "/alerts", "/sso", "/skymap", "/live")
ENDPOINTS: Mapping[str, Mapping[str, str]] = {
    "lsst": {"/sources": ALERTS, "/objects": OBJECTS, **dict.fromkeys(_OF_ALERTS, ALERTS)},
    "ztf": {"/objects": ALERTS, "/latests": ALERTS, "/anomaly": ALERTS, **dict.fromkeys(_OF_ALERTS, ALERTS)},
}
"""By survey, the routes that answer with tables, and what their columns are."""


def page(visit: Visit) -> Answer:
    """Give the columns of one of a survey's tables, or of a route, that match some words."""
    survey = visit.query["survey"] or visit.settings.serve.survey
    endpoint = visit.query["endpoint"]
    table = ENDPOINTS.get(survey, {}).get(endpoint or "", visit.query["table"])
    words = visit.query["q"].lower().split()
    rows = meanings(survey, table, vocabulary().values())
    rows += _made_when_asked(survey) if table == ALERTS and survey in ENDPOINTS else []
    modules = sorted({row["module"] for row in rows if row["module"]})
    chosen = visit.query["module"]
    return {
        "survey": survey,
        "surveys": list(SERVED),
        "table": table,
        "tables": tables_of(survey),
        "endpoint": endpoint,
        "endpoints": list(ENDPOINTS.get(survey, {})),
        "module": chosen,
        "modules": modules,
        "q": visit.query["q"],
        "whole": len(rows),
        "columns": [row for row in rows if _matches(row, words) and (not chosen or row["module"] == chosen)],
    }


def _made_when_asked(survey: str) -> list[dict[str, Any]]:
    """Describe what the interface makes when it is asked: stamps, older names, dates in words."""
    nothing = {"column": "", "ucd": "", "module": "", "from": "the interface, when asked", "fast": False}
    told = [each for family in made_when_asked(survey).values() for each in family.items()]
    return [{**nothing, "name": name, "type": said["type"], "unit": said["unit"], "about": said["doc"]} for name, said in told]


def _matches(row: Mapping[str, Any], words: Sequence[str]) -> bool:
    said = " ".join(str(row[name]) for name in ("name", "column", "about", "unit", "ucd", "from")).lower()
    return all(word in said for word in words)


_ARGUMENTS = (
    Argument("survey", "choice", "Survey", choices=SERVED),
    Argument("table", "choice", "What the columns are of", default=ALERTS, choices=tuple(TABLES)),
    Argument("endpoint", "text", "Route whose columns are wanted, as /sources"),
    Argument("module", "text", "Only what this science module makes", default=""),
    Argument("q", "text", "Words that name or meaning contain", default=""),
)
PAGES: tuple[Page, ...] = (Page("/schema", "Schema", "schema.html", page, _ARGUMENTS, place=5),)
