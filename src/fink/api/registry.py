"""Every route that answers a question, of whatever survey."""

from __future__ import annotations

import re

from fink.api import about, alerts, classes, names, notes, skymaps, solar_system, stamps
from fink.api.routes import Route
from fink.errors import RequestError, did_you_mean

ROUTES: tuple[Route, ...] = (
    *alerts.ROUTES,
    *classes.ROUTES,
    *stamps.ROUTES,
    *solar_system.ROUTES,
    *skymaps.ROUTES,
    *names.ROUTES,
    *notes.ROUTES,
    *about.ROUTES,
)

_PATH = re.compile(r"(?:/(?P<survey>[a-z]+))?/api/v1(?P<path>/\S+)")


def route_at(path: str, default_survey: str) -> tuple[Route, str]:
    """Give the route of a path, as ``/ztf/api/v1/conesearch``, and its survey.

    Raises
    ------
    RequestError
        If there is none.
    """
    read = _PATH.fullmatch(path)
    survey = (read["survey"] or default_survey) if read else ""
    known = {route.path: route for route in ROUTES if survey in route.surveys}
    if read is None or read["path"] not in known:
        paths = [f"/{name}/api/v1{route.path}" for route in ROUTES for name in route.surveys]
        raise RequestError(f"path = {path!r} is no route{did_you_mean(path, paths)}; write one as /ztf/api/v1/conesearch")
    return known[read["path"]], survey
