"""Errors have one shape and say what is allowed; the interface describes itself."""

from __future__ import annotations

import concurrent.futures
from typing import Any

import pytest

from fink.api.registry import ROUTES
from unit.api.conftest import Served


@pytest.mark.parametrize(
    ("path", "arguments", "told"),
    [
        ("/api/v1/sources", {"columns": "x"}, "diaObjectId is missing"),
        ("/api/v1/conesearch", {"ra": 1, "dec": 2, "radius": 20000}, "from 0 to 18000"),
        ("/api/v1/conesearch", {"ra": 1, "dec": 2, "radius": "wide"}, "is not a number"),
        ("/api/v1/conesearch", {"ra": 1, "dec": 2, "radius": 5, "kind": "withn"}, "within, across"),
        ("/api/v1/conesearch", {"ra": "here", "dec": 2, "radius": 5}, "no position"),
        ("/api/v1/conesearch", {"ra": 1, "dec": 2, "radius": 5, "window": 3}, "window needs startdate"),
        ("/api/v1/tags", {"tag": "first_detection"}, "did you mean first_detections"),
        ("/api/v1/tags", {"tag": "first_detections", "startdate": "yesterday"}, "is not a time"),
        ("/api/v1/tags", {"tag": "first_detections", "n": 1.5}, "whole number"),
        ("/api/v1/cutouts", {"diaSourceId": 1, "kind": "Sience"}, "did you mean Science"),
        ("/ztf/api/v1/cutouts", {"kind": "Science"}, "candid is missing"),
        ("/api/v1/statistics", {"date": "", "output-format": "xls"}, "json, csv, votable, parquet"),
    ],
)
def test_a_wrong_question_is_told_what_is_allowed(served: Served, path: str, arguments: dict[str, Any], told: str) -> None:
    answer = served.client.get(path, params=arguments)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "instance"}
    assert (problem["status"], problem["instance"]) == (400, path)
    assert told in problem["detail"]


@pytest.mark.parametrize("body", [b"{no json", b"[1, 2]", b"\xff\xfe"])
def test_a_body_that_is_no_json_object_is_refused(served: Served, body: bytes) -> None:
    answer = served.client.post("/api/v1/sources", content=body)
    assert answer.status_code == 400
    assert "body is not" in answer.json()["detail"]


def test_a_route_asked_for_nothing_describes_itself(served: Served) -> None:
    for route in ROUTES:
        for survey in route.surveys:
            answer = served.client.get(f"/{survey}/api/v1{route.path}")
            assert answer.status_code == 200
            if not route.bare:
                assert answer.headers["content-type"].startswith("text/plain")
                assert all(argument.name in answer.text for argument in route.arguments)


def test_openapi_names_every_route_with_its_arguments(served: Served) -> None:
    paths = served.client.get("/api/openapi.json").json()["paths"]
    for route in ROUTES:
        for survey in route.surveys:
            methods = paths[f"/{survey}/api/v1{route.path}"]
            assert {argument.name for argument in route.arguments} == {
                parameter["name"] for parameter in methods["get"].get("parameters", [])
            }
            assert "post" in methods
    assert served.client.get("/api/docs").status_code == 200


@pytest.mark.parametrize("survey", ["ztf", "lsst"])
def test_examples_of_arguments_are_answered(served: Served, survey: str) -> None:
    name = served.archive.object_names("", survey, 1)[0]
    number = served.archive.object_alerts(name, survey)["alert_id"][0].as_py()
    designation = served.archive.sql(f"SELECT sso_name FROM alerts WHERE is_known_sso AND survey = '{survey}' LIMIT 1")["sso_name"][
        0
    ].as_py()
    known = {"objectId": name, "diaObjectId": name, "candid": number, "diaSourceId": number, "n_or_d": designation}
    for route in ROUTES:
        if survey in route.surveys:
            given = {argument.name: known.get(argument.name, argument.example) for argument in route.arguments}
            given = {argument: value for argument, value in given.items() if value not in (None, "")}
            answer = served.client.get(f"/{survey}/api/v1{route.path}", params=given)
            assert answer.status_code == 200, (route.path, given, answer.text)


def test_pages_of_other_places_may_ask(served: Served) -> None:
    answer = served.client.get("/api/v1/tags", headers={"Origin": "https://example.org"})
    assert answer.headers["access-control-allow-origin"] == "*"


def test_many_may_ask_at_once(served: Served) -> None:
    names = served.archive.object_names("ZTF", "ztf", 20)
    alone = {name: served.rows("/ztf/api/v1/objects", objectId=name) for name in names}
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        together = list(pool.map(lambda name: (name, served.rows("/ztf/api/v1/objects", objectId=name)), names * 4))
    assert len(together) == 4 * len(names)
    assert all(rows == alone[name] for name, rows in together)
