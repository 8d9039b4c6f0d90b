"""The search: one field for everything that an archive can be asked, and what it found."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pyarrow as pa

from fink.api.arguments import Argument
from fink.archive.embedded import EmbeddedArchive
from fink.errors import NotFoundError, RequestError, did_you_mean
from fink.portal import sparks
from fink.portal.downloads import downloads
from fink.portal.finding import Outcome, address_of, address_of_moving, columns, find
from fink.portal.pages import Answer, Moved, Page, Visit
from fink.portal.phrases import KEYS, MOST, Phrase, understand
from fink.portal.suggestions import suggest
from fink.services import searches
from fink.services.cards import gather, plain_rows
from fink.services.sky_texts import duration_text, sexagesimal
from fink.services.substreams import known_substreams

VIEWS: Mapping[str, int] = {"cards": 24, "table": 100, "map": 1000}
"""How results are shown, and how many on a page."""
SHOWN = ("object_id", "survey", "date", "ra", "dec", "band", "mag", "mag_err", "n_detections", "age", "mag_rate", "fink_class")
"""Columns of the table where none are named."""
HOME_CARDS = 6
_DIGITS: Mapping[str, int] = {"deg": 5, "mag": 3, "d": 2, "mag / d": 3, "separation": 2}
"""Digits behind the point, by unit."""

EXAMPLES: tuple[tuple[str, str], ...] = (
    ("ZTF25abc", "an object by its name, or by how it begins; of Rubin eight digits or more"),
    ("150.12 2.21 5m", "a position in degrees, and a radius: s, m or d, else arcsec"),
    ("10:20:30.5 -10:20:30 30s", "the same in hours and degrees; 10h20m30.5s -10d20m30s is understood, too"),
    ("tag=fast_risers last=50", "the newest alerts of a substream"),
    ("SN 2025abc", "a name: of TNS, of a catalogued star or galaxy"),
    ("sso=2004 RB55", "a solar-system object by number, name or designation"),
    ("2025-11-21", "a night"),
    ("after=2025-11-20 window=2 trend=rising", "a stretch of time, and only what gets brighter"),
    ("mag < 18 AND is_transient", "a condition on any column"),
    ("random=10", "ten objects drawn at random"),
)
"""What may be typed, for those who ask."""


def home(visit: Visit) -> Answer:
    """Give what the archive holds, what is new, and what may be asked; addresses of the older portal lead to their results."""
    if "action" in visit.text:
        return Moved("/search?" + urlencode({"q": _older(visit.text)}))
    statistics = visit.archive.statistics()
    nights = statistics["nights"]
    last = max((night["night"] for night in nights), default=None)
    newest = [night for night in nights if night["night"] == last]
    return {
        "query": "",
        "counts": {name: statistics[name] for name in ("alerts", "objects", "points")} | {"nights": len({n["night"] for n in nights})},
        "night": last,
        "last_night": [{"survey": night["survey"], "alerts": night["archived"], "new_objects": night["new_objects"]} for night in newest],
        "cards": _highlights(visit.archive, nights),
        "examples": _real_examples(visit.archive),
        "keys": KEYS,
    }


def _older(text: Mapping[str, str]) -> str:
    """Write what an address of the older portal asks as a phrase."""
    words = []
    for name, value in text.items():
        if name in ("action", "format") or not value:
            continue
        words.append(f"{name}={value}" if name in KEYS else value)
    return " ".join(words)


def _highlights(archive: EmbeddedArchive, nights: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give a card of each of the rarest substreams that took anything in the newest nights."""
    taken: Counter[str] = Counter()
    for night in nights[-4:]:
        taken.update({name: count for name, count in night["substreams"].items() if count})
    rows, names, seen = list[pa.Table](), list[str](), set[str]()
    for name, _ in sorted(taken.items(), key=lambda item: (item[1], item[0])):
        if len(rows) == HOME_CARDS:
            break
        alerts = archive.substream(name, limit=12)
        fresh = [k for k, each in enumerate(alerts["object_id"].to_pylist()) if each and each not in seen] if alerts.num_rows else []
        if fresh:
            # of the newest, the one that was seen most often shows most
            best = max(fresh, key=lambda k: alerts["n_detections"][k].as_py() or 0)
            seen.add(alerts["object_id"][best].as_py())
            rows.append(alerts.slice(best, 1))
            names.append(name)
    if not rows:
        return []
    cards = _cards(archive, pa.concat_tables(rows, promote_options="permissive"))
    return [{**card, "substream": name} for card, name in zip(cards, names, strict=True)]


def _real_examples(archive: EmbeddedArchive) -> list[str]:
    """Give things to type that find something in this archive."""
    objects = [name for survey in ("ztf", "lsst") for name in archive.object_names("", survey, 3)[-1:]]
    found = objects[:2]
    if objects:
        alert = archive.object_alerts(objects[0]).to_pylist()[-1]
        found.append(f"{alert['ra']:.4f} {alert['dec']:.4f} 1m")
    taken = Counter[str]()
    for night in archive.statistics()["nights"]:
        taken.update({name: count for name, count in night["substreams"].items() if count})
    found += [f"tag={name}" for name, _ in sorted(taken.items(), key=lambda item: item[1])[-6:-5]]
    return [*found, "mag < 17 AND is_transient", "random=10"] if found else []


def results(visit: Visit) -> Answer:
    """Understand what was typed, look for it, and give a page of what was found."""
    query = visit.query["q"] or _older({name: value for name, value in visit.text.items() if name in KEYS})
    substreams = known_substreams(visit.archive)
    phrase = understand(query, substreams, columns())
    if phrase.action == "nothing":
        return Moved("/")
    if phrase.action == "random" and visit.query["seed"] is None:
        return Moved(_address(visit, seed=random.SystemRandom().randrange(10**6)))
    found = find(visit.archive, visit.settings, phrase, visit.query["seed"] or 0)
    if found.to:
        return Moved(found.to)
    return _page(visit, phrase, found)


def _page(visit: Visit, phrase: Phrase, found: Outcome) -> dict[str, Any]:
    """Make the page that was asked for of what was found."""
    alerts = found.alerts
    if visit.query["by"] == "object" and alerts.num_rows and phrase.action not in ("position",):
        alerts = searches.last_of_each(alerts)
    alerts = _sorted(alerts, visit.query["sort"])
    view, page = visit.query["view"], visit.query["page"]
    size = VIEWS[view]
    shown = alerts.slice((page - 1) * size, size)
    answer: dict[str, Any] = {
        **_understood(phrase),
        # substreams and names may come to be known without a commit
        "unfinished": phrase.action in ("unknown", "name", "sso") or not alerts.num_rows,
        "query": phrase.text,
        "view": view,
        "by": visit.query["by"],
        "sort": visit.query["sort"],
        "total": alerts.num_rows,
        "more": found.most,
        "last": phrase.last,
        "named": [_named(row) for row in found.named],
        "centre": _centre(found),
        "downloads": downloads(phrase, found),
        "paging": _paging(visit, page, -(-alerts.num_rows // size)),
        "links": {
            "views": {name: _address(visit, view=name, page=None) for name in VIEWS},
            "by": {name: _address(visit, by=name, page=None) for name in ("object", "alert")},
            "more": _address(visit, q=f"{phrase.text} last={MOST}", page=None) if found.most and phrase.last < MOST else "",
        },
        "examples": EXAMPLES,
        "columns": list(visit.query["columns"] or SHOWN),
        "cards": [],
        "rows": [],
        "coverage": None if alerts.num_rows else _coverage(visit.archive),
    }
    if view == "cards":
        return answer | {"cards": _cards(visit.archive, shown)}
    return answer | _tabulated(visit, shown, view)


def _understood(phrase: Phrase) -> dict[str, Any]:
    return {
        "action": phrase.action,
        "name": phrase.names[0] if phrase.names else "",
        "survey": phrase.survey,
        "understood": [{"words": each.words, "meaning": each.meaning} for each in phrase.heard],
        "trouble": list(phrase.trouble),
    }


def _centre(found: Outcome) -> dict[str, Any] | None:
    if found.centre is None:
        return None
    place = found.centre
    return {"ra": place.ra, "dec": place.dec, "radius": place.radius, "text": sexagesimal(place.ra, place.dec)}


def _named(row: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a name may have meant, with where to go for it."""
    objects = row["objects"]
    to = "/search?" + urlencode({"q": row["name"]})
    if objects:
        own = objects[0]
        to = address_of(own["survey"], own["object_id"]) if own["survey"] else address_of_moving(own["object_id"])
    wider = "/search?" + urlencode({"q": f"{row['ra']:.6f} {row['dec']:.6f} 1m"}) if row["ra"] is not None else ""
    return {**row, "to": to, "wider": wider}


def _cards(archive: EmbeddedArchive, alerts: pa.Table) -> list[dict[str, Any]]:
    return [{**linked(card.row), "light_curve": card.curve, "stamp": card.stamp} for card in gather(archive, alerts)]


def linked(row: Mapping[str, Any]) -> dict[str, Any]:
    """Give an alert with its name and the page to go to."""
    object_id, moving = row.get("object_id"), row.get("sso_name")
    to = address_of(row["survey"], object_id) if object_id else address_of_moving(moving) if moving else ""
    label = object_id or moving or f"alert {row['alert_id']}"
    return {**row, "to": to, "label": label}


def _tabulated(visit: Visit, shown: pa.Table, view: str) -> dict[str, Any]:
    """Give the rows of a table or map, with columns of the lake where they were asked for."""
    wanted = visit.query["columns"] or []
    missing = [name for name in wanted if name not in (*shown.column_names, "date")]
    unknown = [name for name in missing if name not in visit.vocabulary]
    if unknown:
        raise RequestError(f"there is no column {unknown[0]}{did_you_mean(unknown[0], visit.vocabulary)}; the page Columns lists all")
    if missing and shown.num_rows and view == "table":
        wide = visit.archive.wide(shown, ["survey", "alert_id", *missing])
        for name in missing:
            shown = shown.append_column(name, wide[name])
    rows = [linked(row) for row in plain_rows(shown)]
    names = [*(wanted or SHOWN), *(["separation"] if "separation" in shown.column_names and not wanted else [])]
    about = {name: visit.vocabulary[name] for name in names if name in visit.vocabulary}
    header = [
        {
            "name": name,
            "digits": _DIGITS.get(about[name].unit if name in about else name),
            "unit": about[name].unit if name in about else {"separation": "arcsec"}.get(name, ""),
            "about": about[name].about if name in about else {"date": "Middle of the exposure, UTC"}.get(name, "Distance to the centre"),
            # columns of the lake are read for the page only, and cannot order all
            "sort": ""
            if name in missing
            else _address(visit, sort=_turned(visit.query["sort"], "mjd" if name == "date" else name), page=None),
            "number": pa.types.is_floating(about[name].type) or pa.types.is_integer(about[name].type) if name in about else name != "date",
        }
        for name in names
    ]
    return {"rows": rows, "header": header}


def _turned(current: str, name: str) -> str:
    """Give the order that a click on a column's head asks for: rising first, then falling."""
    return f"-{name}" if current == name else name


def _sorted(alerts: pa.Table, order: str) -> pa.Table:
    name = order.removeprefix("-")
    if not name or not alerts.num_rows:
        return alerts
    if name not in alerts.column_names:
        raise RequestError(
            f"sort = {order!r} is no column of the results{did_you_mean(name, alerts.column_names)}; sort by one of the table's"
        )
    direction = "descending" if order.startswith("-") else "ascending"
    return alerts.sort_by([(name, direction), ("alert_id", "ascending")])


def _paging(visit: Visit, page: int, pages: int) -> dict[str, Any]:
    return {
        "page": page,
        "pages": pages,
        "before": _address(visit, page=page - 1) if 1 < page <= pages else "",
        "after": _address(visit, page=page + 1) if page < pages else "",
    }


def _coverage(archive: EmbeddedArchive) -> dict[str, Any]:
    """Say what the archive holds at all, for those who found nothing in it."""
    nights = archive.statistics()["nights"]
    held = {night["survey"] for night in nights}
    spans = {name: [night["night"] for night in nights if night["survey"] == name] for name in sorted(held)}
    return {name: {"first": min(span), "last": max(span), "nights": len(span)} for name, span in spans.items()}


def _address(visit: Visit, **changed: Any) -> str:
    """Give the address of this search with something changed; None takes it out."""
    values = {name: value for name, value in visit.text.items() if name != "format"} | changed
    return "/search?" + urlencode({name: value for name, value in values.items() if value not in (None, "")})


def suggestions(visit: Visit) -> Answer:
    """Give what may be meant by what was typed so far."""
    typed = visit.query["q"] or ""
    return {"query": typed, "suggestions": suggest(typed, visit.archive, visit.settings, known_substreams(visit.archive), columns())}


def by_name(visit: Visit) -> Answer:
    """Lead from an address that is only a name, as the older portals had it, to the page of what bears it."""
    name = visit.path["name"]
    phrase = understand(name, (), columns())
    # no designation has a point, and files that browsers look for have one
    if phrase.action in ("object", "name") and "." not in name:
        found = find(visit.archive, visit.settings, replace(phrase, action="sso") if phrase.action == "name" else phrase)
        if found.to or found.alerts.num_rows:
            return Moved(found.to or "/search?" + urlencode({"q": name}))
    raise NotFoundError(f"there is no page /{name}, and the archive has no object of that name; the search is at /")


def fixed(value: Any, digits: int = 2) -> str:
    """Write a number with so many digits behind the point; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def written(value: Any, digits: int | None = None) -> str:
    """Write any value of a column, a number with so many digits behind the point where that is said."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}" if digits is None else f"{value:.{digits}f}"
    return str(value)


def rate(value: float) -> str:
    """Write how fast something brightens or fades, from the slope of its magnitude [mag/d]."""
    if abs(value) < 0.005:
        return "steady"
    return f"{abs(value):.2f} mag/day {'brighter' if value < 0 else 'fainter'}"


def night_text(night: int) -> str:
    """Write a night as a date."""
    digits = str(night)
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"


_SEARCH = (
    Argument("q", "text", "What is looked for, in any of the ways that the search understands", default="", example="tag=fast_risers"),
    Argument("view", "choice", "How it is shown", default="cards", choices=tuple(VIEWS)),
    Argument("by", "choice", "The last alert of each object, or every alert", default="object", choices=("object", "alert")),
    Argument("sort", "text", "Column to sort by; with - before it the largest first", default="", example="-mag"),
    Argument("page", "integer", "Page of the results", default=1, least=1, most=1000),
    Argument("columns", "list", "Columns of the table, by name with commas between"),
    Argument("seed", "integer", "What a random draw depends on", least=0, most=10**9),
)
_TYPED = (Argument("q", "text", "What was typed so far", default="", example="fast"),)

PAGES: tuple[Page, ...] = (
    Page("/", "Search", "home.html", home, place=1),
    Page("/search", "Results", "results.html", results, _SEARCH),
    Page("/suggest", "Suggestions", "", suggestions, _TYPED, lasting=False),
)
NAMES: tuple[Page, ...] = (Page("/{name}", "Object", "", by_name),)
"""Addresses that are names; every other page comes before them."""

DRAWINGS: Mapping[str, Callable[..., Any]] = {
    "spark": sparks.spark,
    "places": sparks.places,
    "angle": sparks.angle,
    "fixed": fixed,
    "rate": rate,
    "written": written,
    "night_text": night_text,
    "duration": duration_text,
}
