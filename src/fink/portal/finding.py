"""What the search finds: alerts, one object to go to, or what a name may have meant."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink import filters, surveys
from fink.archive.embedded import EmbeddedArchive
from fink.columns import Column
from fink.conditions import parse_condition
from fink.config import Settings
from fink.portal.phrases import DEFAULT_RADIUS, MOST, Phrase
from fink.services import names, searches
from fink.services.positions import Position
from fink.services.searches import Interval
from fink.services.trials import vocabulary

SPANS = (3.0, 30.0)
"""Days before the newest night in which the newest alerts are looked for first [d]."""
_MJD_0 = datetime(1858, 11, 17)
ANY = "alert_id IS NOT NULL"
"""A condition that every alert fulfils."""


@dataclass(frozen=True)
class Outcome:
    """What was found.

    Parameters
    ----------
    alerts
        Alerts with the columns of the index, in their natural order: the nearest, or the newest, first.
    to
        Address of the one page that was meant; empty where there is none.
    named
        What a name is, or may have meant.
    centre
        Where was looked, for searches around a position.
    most
        Whether there may be more than were asked for.
    """

    alerts: pa.Table = field(default_factory=lambda: pa.table({}))
    to: str = ""
    named: Sequence[Mapping[str, Any]] = ()
    centre: Position | None = None
    most: bool = False


@cache
def columns() -> dict[str, Column]:
    """Give every column that a condition may name, by name."""
    return vocabulary()


def listed(archive: EmbeddedArchive) -> list[str]:
    """Give the columns that the index of an archive holds."""
    return [name for name in archive.object_alerts("").column_names if name != "commit"]


def find(archive: EmbeddedArchive, settings: Settings, phrase: Phrase, seed: int = 0) -> Outcome:
    """Look for what a phrase asks.

    Parameters
    ----------
    seed
        What random draws depend on.
    """
    match phrase.action:
        case "object":
            return _objects(archive, settings, phrase)
        case "alert":
            return _alert(archive, phrase)
        case "position":
            assert phrase.position is not None
            return _around(archive, phrase, phrase.position)
        case "substream":
            return _listed(archive.substream, archive, phrase)
        case "sso":
            return _moving(archive, settings, phrase)
        case "night" | "period" | "condition":
            return _where(archive, phrase)
        case "random":
            return _drawn(archive, phrase, seed)
        case "name":
            return _named(archive, settings, phrase)
        case _:
            return Outcome()


def address_of(survey: str, object_id: str) -> str:
    """Give the address of an object's page."""
    return f"/{survey}/object/{quote(object_id, safe='')}"


def address_of_moving(name: str) -> str:
    """Give the address of the page of a solar-system object."""
    return f"/sso/{quote(name, safe='')}"


def _objects(archive: EmbeddedArchive, settings: Settings, phrase: Phrase) -> Outcome:
    """Find objects by their ids, or by the beginning of one; the one that is there alone is gone to.

    An id that the archive does not know may still be a name: catalogues of transients keep those that surveys gave.
    """
    found: list[tuple[str, str]] = []
    known = [phrase.survey] if phrase.survey else list(surveys.registry())
    for name in phrase.names:
        for survey in known:
            begin = archive.object_names(name, survey, MOST)
            found += [(survey, name)] if name in begin else [(survey, each) for each in begin]
    if len(found) == 1:
        return Outcome(to=address_of(*found[0]))
    if not found:
        return _alert(archive, phrase) if phrase.names[0].lstrip("-").isdigit() else _named(archive, settings, phrase)
    return _last_alerts(archive, found[: phrase.last], most=len(found) > phrase.last)


def _last_alerts(archive: EmbeddedArchive, objects: Sequence[tuple[str, str]], *, most: bool = False) -> Outcome:
    parts = [archive.object_alerts(name, survey) for survey, name in objects]
    parts = [part.slice(part.num_rows - 1) for part in parts if part.num_rows]
    return Outcome(pa.concat_tables(parts, promote_options="permissive") if parts else pa.table({}), most=most)


def _alert(archive: EmbeddedArchive, phrase: Phrase) -> Outcome:
    """Find an alert by its number: the page of its object, opened at this alert."""
    for name in phrase.names:
        for survey in [phrase.survey] if phrase.survey else surveys.registry():
            if not name.lstrip("-").isdigit() or abs(int(name)) >= 2**63:
                continue
            row = archive.alert(survey, int(name))
            if row is not None and (row["object_id"] or row["sso_name"]):
                page = address_of(survey, row["object_id"]) if row["object_id"] else address_of_moving(row["sso_name"])
                return Outcome(to=f"{page}?alert={name}")
    return Outcome()


def _around(archive: EmbeddedArchive, phrase: Phrase, position: Position) -> Outcome:
    """Find the last alert of each object around a position, the nearest first."""
    alerts = archive.cone(position.ra, position.dec, position.radius or DEFAULT_RADIUS, phrase.survey, phrase.start, phrase.stop)
    alerts = _of_trend(searches.last_of_each(alerts), phrase)
    return Outcome(alerts.slice(0, MOST), centre=position, most=alerts.num_rows > MOST)


def _listed(substream: Any, archive: EmbeddedArchive, phrase: Phrase) -> Outcome:
    """Find the newest alerts of a substream."""
    name, when = phrase.names[0], Interval(phrase.start, phrase.stop)
    if phrase.survey:
        alerts = searches.of_substream(archive, phrase.survey, name, phrase.last, when, [])
    else:
        alerts = substream(name, when.start, when.stop, phrase.last)
    return Outcome(_of_trend(alerts, phrase), most=alerts.num_rows >= phrase.last)


def _moving(archive: EmbeddedArchive, settings: Settings, phrase: Phrase) -> Outcome:
    """Find a solar-system object by any of its names."""
    known = names.designations_of(phrase.names[0], archive, settings)
    if known:
        return Outcome(to=address_of_moving(known[0]))
    near = names.resolve(phrase.names[0], archive, settings, limit=8)
    return Outcome(named=[each.row() for each in near if each.kind == "solar system"])


def _where(archive: EmbeddedArchive, phrase: Phrase) -> Outcome:
    """Find the newest alerts of a night or time, or for which a condition holds."""
    text = phrase.condition or ANY
    if phrase.night is not None:
        text = f"night = {phrase.night}"
    if phrase.trend:
        text = f"({text}) AND {phrase.trend}"
    types = {column.name: column.type for column in columns().values()}
    condition = parse_condition(text, types, {name: cut.where for name, cut in filters.named_cuts().items()})
    nights = [night["night"] for night in archive.statistics()["nights"]]
    # the newest are wanted, and mostly found in the newest nights
    for start in starts(nights if phrase.night is None and phrase.stop is None else [], phrase.start):
        alerts = searches.where(archive, phrase.survey, condition, phrase.last, Interval(start, phrase.stop), listed(archive))
        if alerts.num_rows >= phrase.last:
            break
    return Outcome(alerts, most=alerts.num_rows >= phrase.last)


def starts(nights: Sequence[int], start: float | None) -> list[float | None]:
    """Give the times from which to look for the newest alerts, one after the other until enough are found [MJD].

    Parameters
    ----------
    nights
        The nights that there are, as YYYYMMDD.
    start
        The earliest time that is wanted.
    """
    days = [(datetime.strptime(str(night), "%Y%m%d") - _MJD_0).days for night in {min(nights), max(nights)}] if nights else [0]
    earliest = max(min(days) - 1.0, -math.inf if start is None else start)
    return [*(max(days) - span for span in SPANS if max(days) - span > earliest), start]


def _drawn(archive: EmbeddedArchive, phrase: Phrase, seed: int) -> Outcome:
    """Draw alerts of different objects at random, from as many batches as it takes."""
    draw, parts, rows = np.random.default_rng(seed), list[pa.Table](), 0
    commits = draw.permutation(archive.last_commit())[:20] + 1
    for number in commits.tolist():
        if rows >= phrase.last:
            break
        alerts = archive.commit_rows(number)
        there = frozenset(alerts.column_names)
        alerts = alerts.select([name for name in listed(archive) if name in there])
        if phrase.survey and alerts.num_rows:
            alerts = alerts.filter(pc.equal(alerts["survey"], phrase.survey))
        alerts = searches.last_of_each(alerts.filter(pc.is_valid(alerts["object_id"])) if alerts.num_rows else alerts)
        chosen = draw.permutation(alerts.num_rows)[: phrase.last - rows]
        parts.append(alerts.take(pa.array(np.sort(chosen))))
        rows += len(chosen)
    return Outcome(pa.concat_tables(parts, promote_options="permissive") if parts else pa.table({}))


def _named(archive: EmbeddedArchive, settings: Settings, phrase: Phrase) -> Outcome:
    """Find what a name stands for: an object of the archive, what lies at a catalogued place, or what was nearly written."""
    found = names.resolve(phrase.names[0], archive, settings, survey=phrase.survey, limit=8)
    exact = [each for each in found if each.exact]
    rows = [each.row() for each in found]
    moving = next((each for each in exact if each.kind == "solar system" and each.objects), None)
    if moving is not None:
        return Outcome(to=address_of_moving(moving.objects[0]["object_id"]), named=rows)
    objects = list(dict.fromkeys((each["survey"], each["object_id"]) for one in exact for each in one.objects if each["survey"]))
    if len(objects) == 1:
        return Outcome(to=address_of(*objects[0]), named=rows)
    if objects:
        return Outcome(_last_alerts(archive, objects).alerts, named=rows)
    placed = next((each for each in exact if each.ra is not None and each.dec is not None), None)
    if placed is None or placed.ra is None or placed.dec is None:
        return Outcome(named=rows)
    around = _around(archive, phrase, Position(placed.ra, placed.dec, DEFAULT_RADIUS))
    return Outcome(around.alerts, named=rows, centre=around.centre)


def _of_trend(alerts: pa.Table, phrase: Phrase) -> pa.Table:
    if phrase.trend is None or phrase.trend not in alerts.column_names:
        return alerts
    return alerts.filter(pc.fill_null(alerts[phrase.trend], False))
