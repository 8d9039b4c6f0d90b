"""Pages of substreams: every one is listed, and its page agrees with the archive and the interface for programs."""

from __future__ import annotations

import html
from typing import Any

import pytest

from fink import filters
from unit.api.conftest import Served

HTML = {"Accept": "text/html"}


def twin(served: Served, path: str, **query: Any) -> dict[str, Any]:
    answer = served.client.get(path, params={**query, "format": "json"})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_every_substream_is_listed_with_a_page_that_is_there(served: Served) -> None:
    listed = twin(served, "/substreams")["substreams"]
    assert {each["name"] for each in listed} >= filters.registry().keys()
    ledger = served.archive.ledger()["substreams"]
    assert {each["name"]: each["selected"] for each in listed if each["selected"]} == {n: k for n, k in ledger.items() if k}
    for each in listed[:3]:
        assert served.client.get(each["page"], headers=HTML).status_code == 200


def test_a_survey_lists_its_own(served: Served) -> None:
    names = {each["name"] for each in twin(served, "/substreams", survey="lsst")["substreams"]}
    assert "faint_trails" in names
    assert "sso_ztf_candidates" not in names
    assert served.client.get("/substreams", params={"survey": "lsts", "format": "json"}).json()["detail"].endswith("did you mean lsst?")


@pytest.mark.parametrize("survey", ["ztf", "lsst"])
def test_a_page_shows_the_alerts_that_the_interface_gives(survey: str, served: Served) -> None:
    page = twin(served, f"/{survey}/substream/first_detections")
    rows = served.rows(f"/{survey}/api/v1/tags", tag="first_detections", n=len(page["latest"]))
    word = "i:candid" if survey == "ztf" else "r:diaSourceId"
    assert [row["alert_id"] for row in page["latest"]] == [str(row[word]) for row in rows]
    assert page["substream"]["selected"] == sum(night["selected"] for night in page["substream"]["nights"])
    assert served.client.get(page["latest"][0]["page"], headers=HTML).status_code == 200


def test_a_rule_is_shown_with_the_meaning_of_its_words(served: Served) -> None:
    text = html.unescape(served.client.get("/ztf/substream/fast_risers", headers=HTML).text)
    declared = filters.registry()["fast_risers"]
    assert declared.where in text
    assert filters.named_cuts()["clean_transient"].about in text
    assert {"cuts", "columns", "written_out"} == twin(served, "/ztf/substream/fast_risers")["rule"].keys()


def test_a_trial_of_all_nights_takes_what_the_run_took(served: Served) -> None:
    nights = [night["night"] for night in served.archive.statistics()["nights"] if night["survey"] == "ztf"]
    page = twin(served, "/ztf/substream/first_detections", first=nights[0], last=nights[-1], **{"try": True})
    assert page["trial"]["selected"] == page["substream"]["selected"] > 0
    one = twin(served, "/ztf/substream/first_detections", first=nights[0], last=nights[0], **{"try": True})["trial"]
    assert [each["night"] for each in one["nights"]] == [nights[0]]
    assert twin(served, "/ztf/substream/first_detections")["trial"] is None


def test_what_is_asked_wrongly_is_said(served: Served) -> None:
    wrong = served.client.get("/ztf/substream/first_detections", params={"first": 20260101, "last": 20250101, "format": "json"})
    assert wrong.status_code == 400
    assert "exchange" in wrong.json()["detail"]
    absent = served.client.get("/ztf/substream/first_detection", headers=HTML)
    assert absent.status_code == 404
    assert "did you mean first_detections" in absent.text
    assert served.client.get("/ztf/substream/faint_trails").status_code == 404


def test_the_live_feed_of_a_page_answers_under_the_names_that_it_says(served: Served) -> None:
    live = twin(served, "/lsst/substream/first_detections")["live"]
    with served.client.stream("GET", live["url"], headers={"Last-Event-ID": "1.0"}) as feed:
        assert feed.headers["content-type"].startswith("text/event-stream")
        data = next(line for line in feed.iter_lines() if line.startswith("data: "))
    assert all(f'"{name}":' in data for name in live["names"].values())
