"""The search field, used with the keyboard alone."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from e2e.conftest import Open
from unit.api.conftest import Served


def test_a_suggestion_is_chosen_and_searched_for_by_keys(visit: Open) -> None:
    with visit("/substreams") as opened:
        page = opened.page
        field, options = page.get_by_role("combobox", name="Search"), page.locator("#suggestions [role=option]")
        page.keyboard.press("/")
        expect(field).to_be_focused()
        page.keyboard.type("first det")
        expect(options).to_have_count(1)
        expect(field).to_have_attribute("aria-expanded", "true")
        page.keyboard.press("ArrowDown")
        expect(options.first).to_have_attribute("aria-selected", "true")
        assert field.get_attribute("aria-activedescendant") == options.first.get_attribute("id")
        expect(field).to_have_value("tag=first_detections")
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile(r"/search\?q=tag%3Dfirst_detections"))
        expect(page.get_by_role("heading", level=1)).to_have_text("Substream first_detections")
        assert not opened.complaints


def test_escape_gives_back_what_was_typed(visit: Open) -> None:
    with visit("/") as opened:
        page = opened.page
        field = page.get_by_role("combobox", name="Search")
        expect(field).to_be_focused()
        page.keyboard.type("tag=f")
        expect(page.locator("#suggestions [role=option]").first).to_be_visible()
        page.keyboard.press("ArrowDown")
        expect(field).not_to_have_value("tag=f")
        page.keyboard.press("Escape")
        expect(field).to_have_value("tag=f")
        expect(page.get_by_role("listbox")).to_be_hidden()


def test_an_object_is_gone_to_by_the_beginning_of_its_name(visit: Open, served: Served) -> None:
    name = served.archive.object_names("ZTF", "ztf", 1)[0]
    with visit("/") as opened:
        page = opened.page
        page.keyboard.type(name[:-1].lower())
        option = page.get_by_role("option", name=name)
        expect(option).to_be_visible()
        option.click()
        expect(page).to_have_url(re.compile(f"/ztf/object/{name}"))


def test_a_key_waits_for_its_value(visit: Open) -> None:
    with visit("/") as opened:
        page = opened.page
        page.keyboard.type("surv")
        expect(page.locator("#suggestions [role=option]")).to_have_count(1)
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        expect(page.get_by_role("combobox", name="Search")).to_have_value("survey=")
        expect(page.get_by_role("option", name="survey=ztf")).to_be_visible()


def test_earlier_searches_are_offered_again(visit: Open) -> None:
    with visit("/") as opened:
        page = opened.page
        page.keyboard.type("mag < 18.25")
        page.keyboard.press("Enter")
        page.wait_for_url("**/search**")
        page.goto("/")
        page.get_by_role("combobox", name="Search").click()
        expect(page.get_by_role("option", name="mag < 18.25")).to_be_visible()


def test_results_without_scripts_are_complete(visit: Open, served: Served) -> None:
    with visit("/search?q=tag%3Dfirst_detections&view=table") as opened:
        page = opened.page
        page.get_by_role("link", name="mag", exact=True).click()
        expect(page.get_by_role("columnheader", name="mag").first).to_have_attribute("aria-sort", "ascending")
        shown = page.locator("tbody tr").count()
        assert shown == min(len(set(served.archive.substream("first_detections", limit=100)["object_id"].to_pylist())), 100)
