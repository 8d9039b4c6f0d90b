"""The page of status: whether all that was received is accounted for, who lags, what fails, how old and how large things are."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fink import factory
from fink.portal.pages import Answer, Page, Visit
from fink.services.health import health

NIGHTS = 60
"""Rows of the ledger that the page shows."""


def page(visit: Visit) -> Answer:
    """Give how the archive is doing."""
    state = health(visit.archive, factory.catalogues(visit.settings))
    sources = state["sources"]
    return {
        **state,
        "sources": sources[:NIGHTS],
        "sources_left_out": max(len(sources) - NIGHTS, 0),
        "followers": factory.follower_states(visit.archive),
        "topics": factory.topic_states(visit.archive),
    }


def bytes_text(size: int) -> str:
    """Write a number of bytes in the unit that suits it."""
    number, units = float(size), ("B", "kB", "MB", "GB", "TB", "PB")
    place = 0
    while number >= 1000.0 and place < len(units) - 1:
        number, place = number / 1000.0, place + 1
    return f"{number:.3g} {units[place]}"


PAGES: tuple[Page, ...] = (Page("/status", "Status", "status.html", page, place=6, lasting=False),)
DRAWINGS: Mapping[str, Callable[..., str]] = {"bytes_text": bytes_text}
