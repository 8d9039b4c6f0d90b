"""The page where a filter is written judges a condition as the stream would."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from fink.portal.filters import STARTS
from fink.services import rules
from fink.services.trials import vocabulary
from unit.api.conftest import Served, serving

HTML = {"Accept": "text/html"}


def judged(served: Served, where: str, **more: Any) -> dict[str, Any]:
    answer = served.client.get("/filter", params={"where": where, "format": "json", **more})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize(("survey", "nights"), [("ztf", 1), ("ztf", 7), ("lsst", 7)])
def test_a_condition_is_counted_on_the_newest_nights(survey: str, nights: int, served: Served) -> None:
    trial = judged(served, "mag < 19.5", survey=survey, nights=nights)["trial"]
    archived = [night for night in served.archive.statistics()["nights"] if night["survey"] == survey][-nights:]
    found = served.archive.sql(
        "SELECT count(*) AS n FROM alerts WHERE survey = $survey AND mag < 19.5 AND night >= $first",
        {"survey": survey, "first": archived[0]["night"]},
    )
    assert trial["selected"] == found["n"][0].as_py()
    assert trial["alerts"] == sum(night["archived"] for night in archived)
    assert all(row["mag"] < 19.5 for row in trial["newest"])


def test_what_is_wrong_is_marked_where_it_is(served: Served) -> None:
    text = "is_transient AND magg < 18"
    error = judged(served, text)["error"]
    assert text[error["at"] : error["at"] + error["length"]] == "magg"
    assert "did you mean mag" in error["message"]
    shown = served.client.get(f"/filter?{urlencode({'where': text})}", headers=HTML).text
    assert "<mark>magg</mark>" in shown
    assert judged(served, text)["trial"] is None


@pytest.mark.parametrize("text", ["mag <", "SELECT 1", "mag < 18; DROP TABLE alerts", "<script>alert(1)</script>", "'", "x" * 5000])
def test_nothing_that_is_typed_breaks_the_page(text: str, served: Served) -> None:
    assert judged(served, text)["error"]["message"]
    shown = served.client.get(f"/filter?{urlencode({'where': text})}", headers=HTML)
    assert shown.status_code == 200
    assert "<script>alert" not in shown.text


def test_the_words_are_those_that_a_condition_may_have(served: Served) -> None:
    words = served.client.get("/filter/words").json()
    assert {column["name"] for column in words["columns"]} == vocabulary().keys()
    assert all(cut["where"] and cut["about"] for cut in words["cuts"])
    assert "log10" in {function["name"] for function in words["functions"]}


@pytest.mark.parametrize("text", STARTS.values())
def test_a_condition_to_begin_with_can_be_read(text: str, served: Served) -> None:
    assert rules.explained(text, vocabulary())["columns"]
    assert judged(served, text)["error"] is None


def test_trials_count_against_what_an_asker_may_ask(served_archive: Path) -> None:
    with serving(served_archive, "--set", "serve.anonymous_costly_per_minute=2") as strict:
        answers = [strict.client.get("/filter", params={"where": f"mag < 1{k}", "format": "json"}).status_code for k in range(4)]
        assert answers == [200, 200, 429, 429]
        # what was answered is remembered, and costs nothing; a page without a condition neither
        assert judged(strict, "mag < 10")["trial"]
        assert strict.client.get("/filter", headers=HTML).status_code == 200
