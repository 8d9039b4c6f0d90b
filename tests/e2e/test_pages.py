"""Every page, in a real browser: no complaint, nothing from outside, no barrier, nothing that sticks out or jumps.

A page is opened four times: a minute in all, since a browser and its reader of barriers take their time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe

from e2e.conftest import Open, Size, Theme
from unit.api.conftest import Served


def _search(query: str, view: str = "cards") -> Callable[[Served], str]:
    return lambda _: f"/search?q={quote(query)}&view={view}"


def _object(survey: str) -> Callable[[Served], str]:
    def address(served: Served) -> str:
        names = served.archive.object_names("", survey, 100)
        # the one that was seen most often has most to show
        return f"/{survey}/object/{max(names, key=lambda name: served.archive.object_alerts(name, survey).num_rows)}"

    return address


def _around(served: Served) -> str:
    row = served.archive.object_alerts(served.archive.object_names("", "ztf", 1)[0]).to_pylist()[-1]
    return f"/search?q={row['ra']}+{row['dec']}+1d&view=map"


PAGES: dict[str, Callable[[Served], str]] = {
    "home": lambda _: "/",
    "cards": _search("tag=first_detections"),
    "table": _search("after=2000-01-01", "table"),
    "map": _search("after=2000-01-01", "map"),
    "position": _around,
    "nothing found": _search("1.0 -89.9"),
    "not understood": _search("tag=first_detection"),
    "object of ZTF": _object("ztf"),
    "object of Rubin": _object("lsst"),
    "solar system": lambda served: f"/sso/{quote(served.archive.designations('', 1)[0])}",
    "substreams": lambda _: "/substreams",
    "substream": lambda _: "/ztf/substream/first_detections",
    "filter": lambda _: "/filter",
    "statistics": lambda _: "/statistics",
    "schema": lambda _: "/schema",
    "status": lambda _: "/status",
}
_SHIFTS = """() => new Promise(done => new PerformanceObserver(list => done(list.getEntries().reduce((sum, e) => sum + e.value, 0)))
    .observe({type: "layout-shift", buffered: true}) || setTimeout(() => done(0), 300))"""
BARRIERS = {"resultTypes": ["violations"], "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("size", "theme"), [("desk", "light"), ("phone", "dark"), ("desk", "dark"), ("phone", "light")])
def test_a_page_has_no_fault(name: str, size: Size, theme: Theme, visit: Open, served: Served) -> None:
    with visit(PAGES[name](served), size, theme) as opened:
        page = opened.page
        page.wait_for_load_state("networkidle")
        assert page.locator("h1").count() == 1
        assert not opened.outside
        assert not opened.complaints
        width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width <= 0, "it sticks out to the right"
        assert page.evaluate(_SHIFTS) < 0.1
        # each size and each theme once
        if (size, theme) in (("desk", "light"), ("phone", "dark")):
            assert barriers(page) == []


def barriers(page: Any) -> list[str]:
    """Give what keeps some people out of a page: rules that are broken seriously, and where."""
    found = Axe().run(page, options=BARRIERS).response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found if each["impact"] in ("serious", "critical")]


def test_an_address_without_a_page_says_so_without_a_barrier(visit: Open) -> None:
    with visit("/no/such/page") as opened:
        assert "there is no page" in opened.page.locator("main").inner_text()
        assert barriers(opened.page) == []


@pytest.mark.parametrize("name", ["home", "cards"])
def test_what_is_touched_is_large_enough_on_a_phone(name: str, visit: Open, served: Served) -> None:
    with visit(PAGES[name](served), "phone") as opened:
        touched = opened.page.locator("button:visible, input:visible, select:visible, summary:visible, .button:visible, nav a:visible")
        heights = [box["height"] for box in (each.bounding_box() for each in touched.all()) if box]
        assert len(heights) > 5
        assert min(heights) >= 44


def test_a_theme_is_chosen_for_all_pages(visit: Open) -> None:
    with visit("/") as opened:
        page = opened.page
        by_day = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.get_by_label("Colours").select_option("dark")
        by_night = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert by_night != by_day
        page.goto("/status")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == by_night


def test_the_content_is_one_key_away(visit: Open) -> None:
    with visit("/search?q=tag%3Dfirst_detections") as opened:
        page = opened.page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "content"
