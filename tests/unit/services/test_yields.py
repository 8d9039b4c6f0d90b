"""Yields add up to the ledger, and every substream is listed with them."""

from __future__ import annotations

import pytest

from fink import filters
from fink.archive.embedded import EmbeddedArchive
from fink.config import UserSettings
from fink.errors import NotFoundError
from fink.services import yields
from fink.services.substreams import Substreams, Wanted


def test_a_yield_out_of_its_range_is_remarked() -> None:
    nights = [{"survey": "ztf", "night": 20251120, "archived": 90, "substreams": {"a": 4, "b": 5, "c": 9, "d": 10, "e": 9999}}]
    rows = yields.yields(nights, {"a": (5, 9), "b": (5, 9), "c": (5, 9), "d": (5, 9), "e": None})
    assert [row["remark"] for row in rows] == ["fewer than expected", "", "", "more than expected", ""]


def test_a_night_without_any_counts_too() -> None:
    nights = [{"survey": "ztf", "night": 20251120 + k, "archived": 9, "substreams": taken} for k, taken in enumerate(({"a": 3}, {}))]
    rows = yields.nightly(nights, "a", (1, 5))
    assert [(row["selected"], row["remark"]) for row in rows] == [(3, ""), (0, "fewer than expected")]


def test_the_listing_adds_up_to_the_ledger(archive: EmbeddedArchive) -> None:
    listed = {each["name"]: each for each in yields.listing(archive)}
    assert listed.keys() >= filters.registry().keys()
    ledger = archive.ledger()["substreams"]
    assert {name: listed[name]["selected"] for name in ledger} == ledger
    assert sum(each["selected"] for each in listed.values()) == sum(ledger.values()) > 0
    newest = archive.statistics()["nights"][-1]["substreams"]
    assert {name: listed[name]["last"] for name in newest} == newest


def test_a_survey_lists_its_own_only(archive: EmbeddedArchive) -> None:
    of_lsst = {each["name"]: each for each in yields.listing(archive, "lsst")}
    assert not any(each["selected"] for each in of_lsst.values())
    assert {name for name, declared in filters.registry().items() if declared.surveys == ("ztf",)}.isdisjoint(of_lsst)


def test_a_users_filter_is_listed_with_its_limit_and_owner(archive: EmbeddedArchive) -> None:
    Substreams(archive, UserSettings()).create("my_own", "ada", Wanted("Mine", "mag < 19", ["ztf"], 500), on=False)
    found = yields.one(archive, "ztf", "my_own")
    assert (found["kind"], found["owner"], found["state"], found["expected"]) == ("filter", "ada", "off", (0, 500))
    assert found["description"] == "Mine"
    with pytest.raises(NotFoundError, match="/substreams"):
        yields.one(archive, "lsst", "my_own")
    with pytest.raises(NotFoundError, match="did you mean fast_risers"):
        yields.one(archive, "ztf", "fast_riser")
