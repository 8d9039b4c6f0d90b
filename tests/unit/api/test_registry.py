"""Every route is registered once for a survey, is found by its path, and is where the application answers it."""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter
from pathlib import Path

import pytest

import fink.api
from fink.api.registry import ROUTES, route_at
from fink.api.routes import Route
from fink.config import Settings
from fink.errors import RequestError
from in_process import answering

SURVEYS = ("ztf", "lsst")


def test_no_survey_has_a_path_twice() -> None:
    counted = Counter((survey, route.path) for route in ROUTES for survey in route.surveys)
    assert {survey for survey, _ in counted} == set(SURVEYS)
    assert [where for where, times in counted.items() if times > 1] == []


def test_the_routes_of_every_module_are_registered() -> None:
    declared: list[Route] = []
    for found in pkgutil.iter_modules(fink.api.__path__, "fink.api."):
        own = getattr(importlib.import_module(found.name), "ROUTES", ())
        declared += own if own is not ROUTES else ()
    assert len(declared) == len(ROUTES) > 20
    assert {id(route) for route in declared} == {id(route) for route in ROUTES}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.path}-{'-'.join(route.surveys)}")
def test_a_route_is_found_by_its_path(route: Route) -> None:
    for survey in route.surveys:
        other = SURVEYS[SURVEYS.index(survey) - 1]
        assert route_at(f"/{survey}/api/v1{route.path}", other) == (route, survey)
        assert route_at(f"/api/v1{route.path}", survey) == (route, survey)


def test_where_no_survey_is_named_it_is_the_default() -> None:
    ztf, lsst = (route_at("/api/v1/conesearch", survey) for survey in SURVEYS)
    assert (ztf[1], lsst[1]) == SURVEYS
    assert (ztf[0].surveys, lsst[0].surveys) == (("ztf",), ("lsst",))


@pytest.mark.parametrize(
    ("path", "default", "told"),
    [
        ("/ztf/api/v1/conesearhc", "ztf", "did you mean /ztf/api/v1/conesearch?"),
        ("/api/v1/trackle", "ztf", "did you mean /ztf/api/v1/tracklet?"),
        ("/ztff/api/v1/objects", "lsst", "did you mean /ztf/api/v1/objects?"),
        ("/lsst/api/v1/latests", "ztf", "did you mean /ztf/api/v1/latests?"),
        ("/api/v1/latests", "lsst", "is no route"),
        ("/api/v1/fp", "ztf", "is no route"),
        ("/ztf/api/v2/objects", "ztf", "is no route"),
        ("/ztf/api/v1/objects/", "ztf", "is no route"),
        ("/ztf/api/v1/objects?n=3", "ztf", "is no route"),
        ("/ztf/api/v1/objects\n", "ztf", "is no route"),
        ("https://example.org/ztf/api/v1/objects", "ztf", "is no route"),
        ("/ztf/api/v1/", "ztf", "is no route"),
        ("conesearch", "ztf", "is no route"),
        ("", "ztf", "is no route"),
    ],
)
def test_what_is_no_route_is_told_how_one_is_written(path: str, default: str, told: str) -> None:
    with pytest.raises(RequestError) as refused:
        route_at(path, default)
    text = str(refused.value)
    assert text.startswith(f"path = {path!r} is no route")
    assert text.endswith("; write one as /ztf/api/v1/conesearch")
    assert told in text


@pytest.mark.parametrize("default", SURVEYS)
def test_the_application_answers_each_path_by_the_route_that_is_found(tmp_path: Path, default: str) -> None:
    settings = Settings.model_validate({"archive": tmp_path, "serve": {"survey": default}})
    with answering(settings) as client:
        endpoints = [(str(vars(each)["path"]), vars(each)["endpoint"]) for each in client.application.routes if "endpoint" in vars(each)]
        mounted = {path: vars(endpoint)["answers"] for path, endpoint in endpoints if "answers" in vars(endpoint)}
    assert len(mounted) == sum(len(route.surveys) + (default in route.surveys) for route in ROUTES)
    assert {path: route_at(path, default) for path in mounted} == mounted
