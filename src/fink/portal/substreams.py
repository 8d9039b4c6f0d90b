"""Pages of substreams: which there are, and for each its rule, its yield, its latest alerts, its live feed and a trial on past nights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fink.api.arguments import Argument
from fink.archive.embedded import EmbeddedArchive
from fink.errors import RequestError
from fink.filters.users import EVERYTHING
from fink.portal.pages import Answer, Page, Visit
from fink.services import rules, searches, yields
from fink.services.night_charts import Bar, date, night_bars, spark
from fink.services.sky_texts import date_text
from fink.services.substreams import Substreams
from fink.services.trials import Span, vocabulary
from fink.surveys import registry

SERVED = ("lsst", "ztf")
"""Surveys that have routes, and so live feeds."""

LATEST = 15
PATIENCE = 10.0
"""Seconds that a trial may look at the archive, twice [s]: a page is not there for what takes minutes."""
FED = ("object_id", "sso_name", "alert_id", "mjd", "ra", "dec", "band", "mag", "fink_class")
"""What lists of alerts show, and the live feed sends."""


def overview(visit: Visit) -> Answer:
    """List every substream with its yield; of one survey, where it is named."""
    survey = visit.query["survey"]
    rows = yields.listing(visit.archive, survey)
    default = survey or _newest_survey(visit.archive) or visit.settings.serve.survey
    listed = [{**row, "nights": row["nights"][-60:], "page": f"/{_home(row, default)}/substream/{row['name']}"} for row in rows]
    return {
        "survey": survey,
        "surveys": list(SERVED),
        "substreams": sorted(listed, key=lambda row: (row["kind"] != "built-in", row["name"])),
    }


def _home(row: Mapping[str, Any], default: str) -> str:
    return default if not row["surveys"] or default in row["surveys"] else str(row["surveys"][0])


def _newest_survey(archive: EmbeddedArchive) -> str | None:
    nights = archive.statistics()["nights"]
    return str(nights[-1]["survey"]) if nights else None


def page_of_one(visit: Visit) -> Answer:
    """Give all that is shown of one substream of a survey."""
    survey, name = str(visit.survey), visit.path["name"]
    found = yields.one(visit.archive, survey, name)
    found["nights"] = found["nights"][-_SHOWN_NIGHTS:]
    rule = rules.explained(found["where"], vocabulary()) if found["where"] not in ("", EVERYTHING) else None
    first, last = _chosen_nights(visit)
    answer: dict[str, Any] = {"survey": survey, "surveys": list(SERVED), "substream": found, "rule": rule}
    answer |= {"latest": latest(visit.archive, survey, name), "first": first, "last": last, "base": visit.base}
    answer |= {"live": live_feed(survey, name) if survey in SERVED and found["kind"] != "former" else None}
    return answer | {"trial": trial(visit, name, survey, (first, last)) if visit.query["try"] and found["where"] else None}


_SHOWN_NIGHTS = 120


def _chosen_nights(visit: Visit) -> tuple[int, int]:
    """Give the nights of the trial: those that were chosen, or the last of the survey."""
    known = [night["night"] for night in visit.archive.statistics()["nights"] if night["survey"] == visit.survey]
    last = visit.query["last"] or (known[-1] if known else 0)
    first = visit.query["first"] or (min(known[-3:], default=0) if not visit.query["last"] else last)
    if first > last:
        raise RequestError(f"first = {first} is after last = {last}; exchange them")
    return first, last


def trial(visit: Visit, text: str, survey: str, nights: tuple[int, int]) -> dict[str, Any]:
    """Say what a substream, or a condition, would have sent from the first to the last of some nights of a survey."""
    first, last = nights
    mine = Substreams(visit.archive, visit.settings.users)
    tried = mine.try_out(text, night=Span(first, last), survey=survey, cost=False, patience=PATIENCE)
    newest = [shown(row) for row in tried.newest]
    return {"first": first, "last": last, "selected": tried.selected, "nights": tried.nights, "newest": newest}


def latest(archive: EmbeddedArchive, survey: str, name: str, limit: int = LATEST) -> list[dict[str, Any]]:
    """Give the newest alerts of a substream as lists show them."""
    return [shown(row) for row in searches.of_substream(archive, survey, name, limit, columns=()).to_pylist()]


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """Give of an alert what lists show, with its time in words and the address of its object's page."""
    kept = {name: row.get(name) for name in FED} | {"survey": row["survey"], "time": date_text(row["mjd"])}
    # numbers of alerts have more digits than a browser keeps
    kept["alert_id"] = str(row["alert_id"])
    return kept | {"page": page_of(row), "label": row.get("object_id") or row.get("sso_name") or kept["alert_id"]}


def page_of(row: Mapping[str, Any]) -> str:
    """Give the address of the page of an alert's object; empty where it has none."""
    if row.get("object_id"):
        return f"/{row['survey']}/object/{row['object_id']}"
    return f"/sso/{row['sso_name']}" if row.get("sso_name") else ""


def live_feed(survey: str, name: str) -> dict[str, Any]:
    """Say where a substream is followed live, and under which public name each column comes there."""
    public = {column: registry()[survey].public_name(column) for column in FED}
    return {"url": f"/{survey}/api/v1/live?tag={name}&columns={','.join(public.values())}", "names": public}


def yield_chart(rows: Sequence[Mapping[str, Any]], name: str) -> str:
    """Draw what a substream took of each night."""
    return night_bars([Bar(row["night"], {"taken": row["selected"]}) for row in rows], f"Alerts of {name} by night")


def yield_line(row: Mapping[str, Any]) -> str:
    """Draw the yields of a substream in a line of text; those of several surveys' same night are added."""
    total: dict[int, int] = {}
    for night in row["nights"]:
        total[night["night"]] = total.get(night["night"], 0) + night["selected"]
    return spark(list(total.values()), f"{row['selected']:,} alerts in {len(total)} nights, {row['last']:,} in the last")


_SURVEY = Argument("survey", "choice", "Only substreams of this survey", choices=SERVED)
_FIRST = Argument("first", "integer", "First night of the trial, YYYYMMDD", least=19000101, most=99991231)
_LAST = Argument("last", "integer", "Last night of the trial, YYYYMMDD", least=19000101, most=99991231)
_TRY = Argument("try", "flag", "Whether to try the substream on these nights", default=False)

PAGES: tuple[Page, ...] = (
    Page("/substreams", "Substreams", "substreams.html", overview, (_SURVEY,), place=2),
    Page("/{survey}/substream/{name}", "Substream", "substream.html", page_of_one, (_FIRST, _LAST, _TRY), costly_with="try"),
)
DRAWINGS: Mapping[str, Callable[..., str]] = {"yield_chart": yield_chart, "yield_line": yield_line, "night_date": date}
