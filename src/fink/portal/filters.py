"""The page where a filter is written: what it would take and what is wrong with it are told while it is typed."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any

from fink import filters
from fink.api.arguments import Argument
from fink.conditions import FUNCTIONS
from fink.errors import ConditionError, QueryError
from fink.portal.pages import Answer, Page, Visit
from fink.portal.substreams import SERVED, trial
from fink.services import rules
from fink.services.trials import vocabulary

STARTS: Mapping[str, str] = {
    "New, rising and bright": "clean_transient AND age < 5 AND mag < 18.5",
    "In a galaxy nearby": "clean_transient AND host_redshift < 0.05",
    "Known asteroids, bright": "is_known_sso AND mag < 17",
    "Flares of red dwarfs": "is_on_star AND mag_rate_upper < -0.5",
}
"""Conditions to begin with."""


def page(visit: Visit) -> Answer:
    """Judge a condition: whether it can be read, what it reads, and what it takes of the newest nights."""
    text, survey = visit.query["where"].strip(), visit.query["survey"] or visit.settings.serve.survey
    answer: dict[str, Any] = {"where": text, "survey": survey, "surveys": list(SERVED), "nights": visit.query["nights"]}
    answer |= {"starts": dict(_usable_starts()), "error": None, "rule": None, "trial": None}
    if text:
        try:
            answer["rule"] = rules.explained(text, vocabulary())
        except ConditionError as error:
            wrong = {"title": "This cannot be read", "message": str(error), "at": error.at, "length": _length(text, error.at)}
            return answer | {"error": wrong}
        try:
            answer["trial"] = _tried(visit, text, survey)
        except QueryError as error:
            answer["error"] = {"title": "This cannot be tried here", "message": str(error), "at": None, "length": 0}
    return answer


def _length(text: str, at: int | None) -> int:
    """Say how many characters from there on are the word that is wrong."""
    if at is None:
        return 0
    end = at + 1
    while end < len(text) and (text[end].isalnum() or text[end] == "_") and (text[at].isalnum() or text[at] == "_"):
        end += 1
    return end - at


def _usable_starts() -> list[tuple[str, str]]:
    """Give the conditions to begin with that every column is there for."""
    known = vocabulary()
    found = []
    for name, text in STARTS.items():
        try:
            rules.explained(text, known)
        except ConditionError:
            # a module that was taken out takes its example with it
            continue
        found.append((name, text))
    return found


def _tried(visit: Visit, text: str, survey: str) -> dict[str, Any] | None:
    nights = [night for night in visit.archive.statistics()["nights"] if night["survey"] == survey]
    looked = nights[-visit.query["nights"] :]
    if not looked:
        return None
    alerts = sum(night["archived"] for night in looked)
    return trial(visit, text, survey, (looked[0]["night"], looked[-1]["night"])) | {"alerts": alerts}


def words(_: Visit) -> Answer:
    """Give every word that a condition may be written with: columns and named cuts with their meanings, and functions."""
    cuts = [{"name": name, "about": cut.about, "where": cut.where} for name, cut in sorted(filters.named_cuts().items())]
    functions = [{"name": name, "least": least, "most": most} for name, (least, most) in FUNCTIONS.items()]
    columns = [rules.described(column) for column in sorted(vocabulary().values(), key=lambda column: column.name)]
    return {"columns": columns, "cuts": cuts, "functions": functions}


_ARGUMENTS = (
    Argument("where", "text", "Condition", default="", example="mag < 18 AND age < 5"),
    Argument("survey", "choice", "Survey whose nights it is tried on", choices=SERVED),
    Argument("nights", "integer", "How many of the newest nights it is tried on", default=1, least=1, most=60),
)

PAGES: tuple[Page, ...] = (
    Page("/filter", "Filter", "filter.html", page, _ARGUMENTS, place=3, costly_with="where"),
    Page("/filter/words", "Words", "", words),
)
DRAWINGS: Mapping[str, Callable[..., str]] = {"shell_quoted": shlex.quote}
