"""The schema browser finds columns by name and meaning, and every route's columns are there."""

from __future__ import annotations

from typing import Any

import pytest

from fink.portal.schema import ENDPOINTS
from unit.api.conftest import Served


def twin(served: Served, **query: Any) -> dict[str, Any]:
    answer = served.client.get("/schema", params={**query, "format": "json"})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_words_narrow_the_list_by_name_and_meaning(served: Served) -> None:
    found = twin(served, survey="ztf", q="template FLUX")["columns"]
    whole = twin(served, survey="ztf")
    assert 0 < len(found) < whole["whole"] == len(whole["columns"])
    assert all("flux" in str(row).lower() and "template" in str(row).lower() for row in found)
    assert twin(served, survey="ztf", q="no such word anywhere")["columns"] == []


def test_a_module_gives_its_own_columns(served: Served) -> None:
    rows = twin(served, survey="lsst", module="colour")["columns"]
    assert {row["column"] for row in rows} >= {"colour", "colour_err", "colour_status"}
    assert {row["module"] for row in rows} == {"colour"}


@pytest.mark.parametrize(("survey", "endpoint"), [(survey, path) for survey, paths in ENDPOINTS.items() for path in paths])
def test_the_columns_of_a_route_are_those_that_the_interface_tells(survey: str, endpoint: str, served: Served) -> None:
    assert endpoint == "/live" or served.client.get(f"/{survey}/api/v1{endpoint}").status_code == 200
    rows = {row["name"]: row for row in twin(served, survey=survey, endpoint=endpoint)["columns"]}
    path = "/api/v1/objects" if (survey, endpoint) == ("lsst", "/objects") else "/api/v1/sources"
    told = served.client.get(f"/{survey}/api/v1/schema", params={"endpoint": path}).json()
    # stamps and distances are of alerts, also where the interface tells of them beside objects
    names = {name for family in told.values() for name in family if "objects" not in path or name.startswith("r:")}
    assert names <= rows.keys()


def test_packets_and_points_are_told_too(served: Served) -> None:
    assert {row["name"] for row in twin(served, survey="ztf", table="packets")["columns"]} >= {"candidate.magpsf", "objectId"}
    assert {row["column"] for row in twin(served, survey="lsst", table="points")["columns"]} >= {"flux", "kind"}
    shown = served.client.get("/schema?survey=ztf&table=packets", headers={"Accept": "text/html"})
    assert "candidate.magpsf" in shown.text
