"""Substreams followed live, and filters written, tried and kept, in a real browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from e2e.conftest import Open, opener
from fink.archive.state import State
from fink.cli.application import run
from fink.config import ServeSettings
from fink.services.access import Access
from fink.simulator.replay import write_night
from fink.simulator.survey import simulate_nights
from unit.api.conftest import Served, serving


@pytest.fixture(scope="module")
def own(served_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve an archive that a test may write to."""
    folder = tmp_path_factory.mktemp("own") / "archive"
    shutil.copytree(served_archive, folder, ignore=shutil.ignore_patterns("readers"))
    with serving(folder) as served:
        yield served


def test_alerts_appear_while_a_run_archives_them(chromium: Browser, own: Served, tmp_path: Path) -> None:
    *_, night = simulate_nights("ztf", 3, 60, 3, stamps=True)
    write_night(night, tmp_path / "packets" / "night")
    before = own.archive.last_commit()
    with opener(chromium, own)("/ztf/substream/remove_unlikely_transients") as opened:
        page = opened.page
        page.get_by_role("button", name="Listen").click()
        state = page.locator("[data-state]")
        expect(state).to_have_text("Listening: nothing new yet")
        page.wait_for_timeout(1500)
        assert run(["run", str(tmp_path / "packets"), "--workers", "0", "--archive", str(own.archive.folder), "--format", "json"]) == 0
        own.archive.refresh()
        taken = sum(commit.selected.get("remove_unlikely_transients", 0) for commit in own.archive.commits(after=before))
        assert taken > 0
        expect(state).to_have_text(f"Listening: {taken} new", timeout=20_000)
        first = page.locator("#live-rows tbody tr").first
        expect(first.get_by_role("link")).to_have_attribute("href", re.compile("^/ztf/object/ZTF"))
        expect(first.locator(".when")).to_contain_text(re.compile(r"^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d$"))
        page.get_by_role("button", name="Stop").click()
        expect(state).to_have_text(f"Stopped after {taken} alerts")
        assert not opened.complaints


def test_a_condition_is_judged_while_it_is_typed(visit: Open) -> None:
    with visit("/filter?survey=ztf") as opened:
        page = opened.page
        page.get_by_label("Condition").press_sequentially("mag < 19.5 AND agee > 3", delay=5)
        expect(page.locator("#verdict mark")).to_have_text("agee")
        expect(page.locator("#verdict")).to_contain_text("did you mean age?")
        page.get_by_label("Condition").fill("mag < 19.5 AND age > 3")
        expect(page.locator("#verdict .count")).to_contain_text(re.compile(r"^\d+ of \d+ alerts in the night of"))
        expect(page.locator("#examples tbody tr").first.get_by_role("link")).to_be_visible()
        expect(page).to_have_url(re.compile("where=mag"))
        assert "'mag < 19.5 AND age > 3'" in page.locator("[data-command]").inner_text()
        assert not opened.complaints


def test_a_word_is_found_by_its_meaning_and_written_by_a_key(visit: Open) -> None:
    with visit("/filter") as opened:
        page = opened.page
        page.get_by_label("Search the columns").fill("one-sigma error of mag")
        word = page.locator("#words button").filter(has=page.locator("code", has_text=re.compile("^mag_err$")))
        word.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_label("Condition")).to_have_value("mag_err")
        expect(page.get_by_label("Condition")).to_be_focused()


def test_a_filter_is_kept_with_a_token_and_not_without(chromium: Browser, own: Served) -> None:
    _, token = Access(State(own.archive.folder), ServeSettings()).create("ada", ["write"])
    with opener(chromium, own)("/filter?where=mag+%3C+19&survey=ztf") as opened:
        page = opened.page
        page.get_by_role("textbox", name="Name").fill("bright_of_ada")
        page.get_by_label("What it holds").fill("Bright ones")
        page.get_by_label("Most alerts in a night").fill("5000")
        page.get_by_role("button", name="Keep the filter").click()
        expect(page.locator("[data-kept]")).to_contain_text("It was not kept: this needs a token with the scope write")
        page.get_by_label("Token", exact=True).fill(token)
        page.get_by_role("button", name="Keep the filter").click()
        expect(page.locator("[data-kept]")).to_contain_text("Kept: bright_of_ada")
        page.get_by_role("link", name="bright_of_ada").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("bright_of_ada")
        expect(page.locator("main")).to_contain_text("filter of ada", ignore_case=True)


@pytest.mark.parametrize(
    ("address", "words", "kept"), [("/substreams", "asteroid linkers", "sso_fink_candidates"), ("/schema?survey=ztf", "magpsf", "i:magpsf")]
)
def test_a_list_is_narrowed_while_words_are_typed(address: str, words: str, kept: str, visit: Open) -> None:
    with visit(address) as opened:
        page = opened.page
        whole = page.locator("tbody tr:visible").count()
        page.locator("[data-narrow]").fill(words)
        expect(page.locator("[data-narrowed]")).to_contain_text(re.compile(r"^\d+ of [\d,]+ shown"))
        assert 0 < page.locator("tbody tr:visible").count() < whole
        expect(page.locator("tbody tr:visible", has_text=kept).first).to_be_visible()
