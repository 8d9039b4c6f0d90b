"""Suggestions complete what is typed with what is there."""

from __future__ import annotations

from typing import Any

import pytest

from fink import filters
from fink.config import Settings
from fink.portal.finding import columns
from fink.portal.suggestions import MOST, suggest
from unit.api.conftest import Served


def suggested(served: Served, text: str) -> list[dict[str, Any]]:
    about = {name: substream.about for name, substream in filters.registry().items()}
    found = suggest(text, served.archive, Settings(), about, columns())
    assert len(found) <= MOST
    return found


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("tag=fast_r", "tag=fast_risers"),
        ("survey=ztf tag=fast_r", "survey=ztf tag=fast_risers"),
        ("trend=r", "trend=rising"),
        ("fast ris", "tag=fast_risers"),
        ("150.1 2.2 5m", "150.1 2.2 5m"),
        ("mag < 18", "mag < 18"),
        ("aft", "after="),
        ("tag=vra win", "tag=vra window="),
    ],
)
def test_the_likeliest_comes_first(served: Served, text: str, first: str) -> None:
    assert suggested(served, text)[0]["text"] == first


def test_objects_come_by_the_beginning_of_their_name_with_their_page(served: Served) -> None:
    name = served.archive.object_names("ZTF", "ztf", 1)[0]
    found = suggested(served, name[:-1].lower())
    assert (name, f"/ztf/object/{name}") in [(each["text"], each["to"]) for each in found]


def test_nothing_typed_shows_where_to_begin(served: Served) -> None:
    assert {each["kind"] for each in suggested(served, "")} == {"key"}


def test_the_field_asks_over_http(served: Served) -> None:
    answer = served.client.get("/suggest", params={"q": "tag=fast_r"})
    assert answer.json()["suggestions"][0]["text"] == "tag=fast_risers"
