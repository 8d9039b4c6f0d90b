"""A download gives the alerts that the page shows."""

from __future__ import annotations

import io

import pyarrow.parquet as pq
import pytest

from fink.portal.downloads import FORMATS
from unit.api.conftest import Served

ID = {"ztf": "i:objectId", "lsst": "r:diaObjectId"}


@pytest.mark.parametrize("query", ["tag=first_detections", "mag < 19", "trend=rising", "random=5", "after=2000-01-01 last=30"])
def test_the_addresses_give_what_was_found(served: Served, query: str) -> None:
    answer = served.client.get("/search", params={"q": query, "view": "map", "by": "alert", "format": "json"}, follow_redirects=True).json()
    shown = {(row["survey"], row["object_id"]) for row in answer["rows"] if row["object_id"]}
    assert shown
    given = set()
    for each in answer["downloads"]:
        if each["format"] == "json":
            rows = served.client.get(each["to"]).json()
            given |= {(each["survey"], str(row[ID[each["survey"]]])) for row in rows if row[ID[each["survey"]]]}
    assert shown <= given


def test_each_format_comes_for_each_survey(served: Served) -> None:
    answer = served.client.get("/search", params={"q": "tag=first_detections", "format": "json"}).json()
    assert [(each["survey"], each["format"]) for each in answer["downloads"]] == [(s, f) for s in ("lsst", "ztf") for f in FORMATS]
    table = served.client.get(next(each["to"] for each in answer["downloads"] if each["format"] == "parquet"))
    assert pq.read_table(io.BytesIO(table.content)).num_rows > 0


def test_a_cone_is_given_as_a_cone(served: Served) -> None:
    row = served.archive.object_alerts(served.archive.object_names("ZTF", "ztf", 1)[0]).to_pylist()[-1]
    answer = served.client.get("/search", params={"q": f"{row['ra']} {row['dec']} 5s", "format": "json"}).json()
    rows = served.client.get(next(each["to"] for each in answer["downloads"] if each["format"] == "json")).json()
    assert [each["i:objectId"] for each in rows] == [card["object_id"] for card in answer["cards"]]
