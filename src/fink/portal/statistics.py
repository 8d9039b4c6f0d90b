"""The page of statistics: what each night brought, by filter and by class, and where on the sky."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from fink.api.arguments import Argument
from fink.portal.pages import Answer, Page, Visit
from fink.portal.substreams import SERVED
from fink.services.live import LiveArchive
from fink.services.night_charts import Bar, calendar, density_map, night_bars
from fink.services.tallies import ORDER, Tallies

PATIENCE = 0.05
"""Seconds that a visit may spend on counting nights by class and place; the rest is counted at the next visits [s]."""

SHOWN = 90
"""Nights of the chart by night."""

_tallies: WeakKeyDictionary[LiveArchive, Tallies] = WeakKeyDictionary()


def page(visit: Visit) -> Answer:
    """Give what the nights brought: totals, a row for each night, classes and places."""
    survey, archive = visit.query["survey"], visit.archive
    nights = [night for night in archive.statistics()["nights"] if survey in (None, night["survey"])]
    tallies = _tallies.setdefault(visit.live, Tallies())
    due = tallies.count(archive, nights, PATIENCE)
    counted = tallies.total(nights)
    places = np.flatnonzero(counted.sky)
    return {
        "survey": survey,
        "surveys": list(SERVED),
        "totals": _totals(nights),
        "nights": [_row(night) for night in reversed(nights)],
        "bands": _bands(nights),
        "classes": _classes(counted.classes),
        "sky": {"order": ORDER, "scheme": "nested", "pixels": dict(zip(places.tolist(), counted.sky[places].tolist(), strict=True))},
        "nights_to_count": due,
        "unfinished": due > 0,
    }


def _totals(nights: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    sums = {
        name: sum(night[key] for night in nights)
        for name, key in (("alerts", "archived"), ("objects", "new_objects"), ("points", "points"))
    }
    return {"nights": len({night["night"] for night in nights})} | sums


def _row(night: Mapping[str, Any]) -> dict[str, Any]:
    taken = sum(night["substreams"].values())
    kept = {name: night[key] for name, key in (("alerts", "archived"), ("objects", "new_objects"), ("late", "late"), ("points", "points"))}
    return (
        {"night": night["night"], "survey": night["survey"]} | kept | {"selections": taken, "bands": dict(sorted(night["bands"].items()))}
    )


def _bands(nights: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Count the alerts of each filter, in order of wavelength."""
    total: Counter[str] = Counter()
    for night in nights:
        total.update(night["bands"])
    return {band: total[band] for band in sorted(total, key=lambda band: ("ugrizy".find(band) % 99, band))}


def _classes(classes: Mapping[str, int]) -> list[dict[str, Any]]:
    """List the classes, the most frequent first; those of which nothing can be said come last."""
    rows = [{"class": name, "alerts": number} for name, number in classes.items()]
    return sorted(rows, key=lambda row: (not row["class"], -row["alerts"], row["class"]))


def bars_by_night(nights: Sequence[Mapping[str, Any]]) -> str:
    """Draw the alerts of the newest nights by filter; rows come the newest first."""
    total: dict[int, Counter[str]] = {}
    for row in reversed(nights):
        total.setdefault(row["night"], Counter()).update(row["bands"])
    bars = [Bar(night, dict(sorted(bands.items(), key=lambda item: "ugrizy".find(item[0])))) for night, bands in sorted(total.items())]
    return night_bars(bars[-SHOWN:], "Alerts by night and filter")


def years(nights: Sequence[Mapping[str, Any]]) -> list[str]:
    """Draw a calendar for each year that has nights, the newest first."""
    total: Counter[int] = Counter()
    for row in nights:
        total[row["night"]] += row["alerts"]
    found = sorted({night // 10000 for night in total}, reverse=True)
    return [calendar({night: count for night, count in total.items() if night // 10000 == year}, year) for year in found]


def sky(counts: Mapping[str, Any]) -> str:
    """Draw how many alerts lie where."""
    whole = np.zeros(12 << 2 * counts["order"], np.int64)
    for pixel, number in counts["pixels"].items():
        whole[pixel] = number
    return density_map(whole, counts["order"])


_SURVEY = Argument("survey", "choice", "Only nights of this survey", choices=SERVED)
PAGES: tuple[Page, ...] = (Page("/statistics", "Statistics", "statistics.html", page, (_SURVEY,), place=4),)
DRAWINGS: Mapping[str, Callable[..., Any]] = {"bars_by_night": bars_by_night, "years": years, "density": sky}
