"""What substreams took of each night, beside what they expect; and which substreams there are."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from fink import filters
from fink.archive.embedded import EmbeddedArchive
from fink.archive.substreams import Kept, UserSubstreams
from fink.errors import NotFoundError, did_you_mean
from fink.services.substreams import described

Expected = Mapping[str, tuple[int, int] | None]
"""Smallest and largest number of alerts a night by substream, where it expects any."""


def yields(nights: Sequence[Mapping[str, Any]], expected: Expected) -> list[dict[str, Any]]:
    """Compare what substreams took in each night with what they expect."""
    return [
        {"substream": name, "survey": night["survey"], "night": night["night"], "alerts": night["archived"]}
        | {"selected": selected, "expected": expected.get(name), "remark": _remark(selected, expected.get(name))}
        for night in nights
        for name, selected in sorted(night["substreams"].items())
    ]


def _remark(selected: int, expected: tuple[int, int] | None) -> str:
    low, high = expected or (0, sys.maxsize)
    return "fewer than expected" if selected < low else "more than expected" if selected > high else ""


def nightly(nights: Sequence[Mapping[str, Any]], name: str, expected: tuple[int, int] | None = None) -> list[dict[str, Any]]:
    """Give what one substream took of each night, none included, in order of time: survey, night, alerts, selected, remark."""
    return [
        {"survey": night["survey"], "night": night["night"], "alerts": night["archived"]}
        | {"selected": taken, "remark": _remark(taken, expected)}
        for night in nights
        for taken in (night["substreams"].get(name, 0),)
    ]


def listing(archive: EmbeddedArchive, survey: str | None = None) -> list[dict[str, Any]]:
    """Give every substream that there is, by name, with what it took of the newest nights.

    Parameters
    ----------
    survey
        Only those that look at the alerts of this survey, and only its nights.

    Returns
    -------
    substreams
        ``name``, ``about``, ``where``, ``kind`` (``built-in``, ``filter``, ``watchlist``, ``area`` or ``former``), ``owner``,
        ``state``, ``surveys``, ``expected``, ``on_demand``, ``selected`` in all, ``last`` (in the newest night) and ``nights``.
    """
    nights = [night for night in archive.statistics()["nights"] if survey in (None, night["survey"])]
    found = [each for each in _declared(archive) if survey is None or not each["surveys"] or survey in each["surveys"]]
    known = {each["name"] for each in found}
    everything = {each["name"] for each in _declared(archive)}
    former = sorted({name for night in nights for name in night["substreams"]} - everything)
    found += [_former(name) for name in former if name not in known]
    return [each | _taken(nights, each["name"], each["expected"]) for each in sorted(found, key=lambda each: str(each["name"]))]


def one(archive: EmbeddedArchive, survey: str, name: str) -> dict[str, Any]:
    """Give one substream as `listing` does, with its ``description``.

    Raises
    ------
    NotFoundError
        If the survey has none of this name.
    """
    found = {each["name"]: each for each in listing(archive, survey)}
    if name not in found:
        near = did_you_mean(name, found)
        raise NotFoundError(f"{survey} has no substream {name}{near}; the page /substreams lists all")
    declared = filters.registry().get(name)
    return {**found[name], "description": declared.description if declared else found[name]["about"]}


def _declared(archive: EmbeddedArchive) -> list[dict[str, Any]]:
    built_in = [
        {"name": name, "about": declared.about, "where": declared.where, "kind": "built-in", "owner": "", "state": "on", "message": ""}
        | {"surveys": list(declared.surveys), "expected": declared.per_night, "on_demand": declared.on_demand}
        for name, declared in filters.registry().items()
    ]
    return built_in + [_of_user(kept) for kept in UserSubstreams(archive.folder).all()]


def _of_user(kept: Kept) -> dict[str, Any]:
    record = described(kept, 0)
    same = {name: record[name] for name in ("name", "where", "kind", "owner", "state", "message")}
    limits = {"surveys": record["surveys"] or [], "expected": (0, record["most_per_night"]), "on_demand": False}
    return same | {"about": record["holds"]} | limits


def _former(name: str) -> dict[str, Any]:
    about = "What a former substream of this name selected"
    said = {"name": name, "about": about, "where": "", "kind": "former", "owner": "", "state": "off", "message": ""}
    return {**said, "surveys": [], "expected": None, "on_demand": False}


def _taken(nights: Sequence[Mapping[str, Any]], name: str, expected: tuple[int, int] | None) -> dict[str, Any]:
    rows = nightly(nights, name, expected)
    newest = max((row["night"] for row in rows), default=0)
    last = sum(row["selected"] for row in rows if row["night"] == newest)
    return {"selected": sum(row["selected"] for row in rows), "last": last, "nights": rows}
