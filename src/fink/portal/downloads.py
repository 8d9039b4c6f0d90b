"""Addresses of the interface for programs that give what a search found, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import numpy as np

from fink.portal.finding import ANY, Outcome
from fink.portal.phrases import MOST, Phrase
from fink.sky import tai_to_utc

FORMATS = ("csv", "votable", "parquet", "json")


def downloads(phrase: Phrase, found: Outcome) -> list[dict[str, str]]:
    """Give for each survey among the results, and each format, where to get them."""
    surveys = sorted(set(found.alerts["survey"].to_pylist())) if found.alerts.num_rows else []
    given = []
    for survey in surveys:
        route, arguments = _asked(phrase, found, survey)
        for form in FORMATS:
            address = f"/{survey}/api/v1/{route}?{urlencode({**arguments, 'output-format': form})}"
            given.append({"survey": survey, "format": form, "to": address})
    return given


def _asked(phrase: Phrase, found: Outcome, survey: str) -> tuple[str, Mapping[str, Any]]:
    """Give the route and its arguments that answer the same question."""
    when = {name: _mjd(value, survey) for name, value in (("startdate", phrase.start), ("stopdate", phrase.stop)) if value is not None}
    if found.centre is not None:
        place = found.centre
        stop = {name: value for name, value in when.items() if name == "stopdate"}
        return "conesearch", {"ra": round(place.ra, 7), "dec": round(place.dec, 7), "radius": place.radius, "n": MOST, **stop}
    if phrase.action == "substream":
        return "tags", {"tag": phrase.names[0], "n": phrase.last, **when}
    if phrase.action in ("night", "period", "condition"):
        where = f"night = {phrase.night}" if phrase.night is not None else phrase.condition or ANY
        where = f"({where}) AND {phrase.trend}" if phrase.trend else where
        return "alerts", {"where": where, "n": phrase.last, **when}
    names = sorted({name for name, own in _objects(found) if own == survey and name})
    return ("objects", {"objectId": ",".join(names)}) if survey == "ztf" else ("sources", {"diaObjectId": ",".join(names)})


def _objects(found: Outcome) -> list[tuple[str, str]]:
    return list(zip(found.alerts["object_id"].to_pylist(), found.alerts["survey"].to_pylist(), strict=True))


def _mjd(value: float, survey: str) -> float:
    """Write a time as the survey's routes read it: MJD in TAI for Rubin, in UTC for ZTF."""
    return round(value if survey == "lsst" else float(tai_to_utc(np.array([value]))[0]), 8)
