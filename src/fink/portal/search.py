"""The search: one field for everything that an archive can be asked, and what it found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fink import filters
from fink.portal.pages import Answer, Page, Visit


def home(visit: Visit) -> Answer:
    """Give what the archive holds, and what may be asked."""
    counts = {name: value for name, value in visit.archive.statistics().items() if name != "nights"}
    about = {name: substream.about for name, substream in sorted(filters.registry().items())}
    return {"counts": counts, "substreams": about}


PAGES: tuple[Page, ...] = (Page("/", "Search", "home.html", home, place=1),)
DRAWINGS: Mapping[str, Callable[..., Any]] = {}
