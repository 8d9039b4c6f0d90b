"""The page of an object, used: other units, folding, other alerts, stamps, copying, finding a column, images of the sky."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from e2e.conftest import Open
from unit.api.conftest import Served


@pytest.fixture
def address(served: Served) -> str:
    """The object of ZTF with most alerts."""
    names = served.archive.object_names("", "ztf", 100)
    return f"/ztf/object/{max(names, key=lambda name: served.archive.object_alerts(name, 'ztf').num_rows)}"


@contextmanager
def drawn(visit: Open, address: str, **more: Any) -> Iterator[Page]:
    """Open an object and wait until its light curve can be used."""
    with visit(address, **more) as opened:
        expect(opened.page.locator("[data-curve][data-drawn]")).to_be_attached()
        yield opened.page
        assert not opened.complaints


def values(page: Page) -> list[float]:
    """Give the values of all points that are drawn."""
    found: list[float] = page.evaluate("document.querySelector('[data-curve]').data.filter(t => t.mode == 'markers').flatMap(t => t.y)")
    return found


def test_the_light_curve_is_there_before_any_script(visit: Open, address: str, served: Served) -> None:
    text = served.client.get(address).text
    assert 'class="chart curve"' in text
    with drawn(visit, address) as page:
        data = page.evaluate("JSON.parse(document.getElementById('object-data').textContent).light_curve")
        shown = [flux for flux, kind in zip(data["flux"], data["kind"], strict=True) if kind != "limit" and flux is not None]
        limits = [error for error, kind in zip(data["flux_err"], data["kind"], strict=True) if kind == "limit" and error is not None]
        assert sorted(values(page)) == pytest.approx(sorted([*(each / 1000 for each in shown), *(each / 200 for each in limits)]))


def test_units_and_magnitudes_are_one_choice_away(visit: Open, address: str) -> None:
    with drawn(visit, address) as page:
        before = values(page)
        page.get_by_label("Unit").select_option("nJy")
        assert values(page) == pytest.approx([each * 1000 for each in before])
        page.get_by_label("Show").select_option("difference magnitude")
        assert all(5 < each < 35 for each in values(page))
        low, high = page.evaluate("document.querySelector('[data-curve]').layout.yaxis.range")
        assert low > high, "bright is up"
        page.reload()
        expect(page.get_by_label("Show")).to_have_value("mag")


def test_a_filter_can_be_left_out(visit: Open, address: str) -> None:
    with drawn(visit, address) as page:
        before = len(values(page))
        page.locator("[data-band]").first.uncheck()
        assert len(values(page)) < before


def test_a_period_folds_the_light_curve(visit: Open, address: str) -> None:
    with drawn(visit, address) as page:
        before = len(values(page))
        page.get_by_label("Fold with a period of").fill("2.5")
        phases = page.evaluate("document.querySelector('[data-curve]').data.filter(t => t.mode == 'markers').flatMap(t => t.x)")
        assert len(phases) == 2 * before
        assert 0 <= min(phases) < max(phases) <= 2
        page.get_by_role("button", name="2 ×").click()
        expect(page.get_by_label("Fold with a period of")).to_have_value("5")
        page.get_by_role("button", name="Unfold").click()
        assert len(values(page)) == before


def test_another_alert_is_chosen_by_keys_and_can_be_gone_back_from(visit: Open, address: str) -> None:
    with drawn(visit, address) as page:
        alerts = page.locator("[data-epoch] option").evaluate_all("options => options.map(option => option.value)")
        assert len(alerts) > 1
        page.get_by_role("button", name="Earlier alert").focus()
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile(f"alert={alerts[1]}"))
        expect(page.locator('[data-part="epoch"]')).to_contain_text(alerts[1])
        expect(page.locator("#columns")).to_contain_text(alerts[1])
        expect(page.locator(f'[data-row="{alerts[1]}"]')).to_have_attribute("aria-current", "true")
        page.go_back()
        expect(page.locator('[data-part="epoch"]')).to_contain_text(alerts[0])


def test_a_click_on_a_point_shows_its_alert(visit: Open, address: str) -> None:
    with drawn(visit, address) as page:
        alerts = page.locator("[data-epoch] option").evaluate_all("options => options.map(option => option.value)")
        place = page.evaluate(
            """alert => {
                const box = document.querySelector("[data-curve]");
                const trace = box.data.find(each => each.customdata?.includes(alert));
                const at = trace.customdata.indexOf(alert);
                const { xaxis, yaxis } = box._fullLayout;
                const edge = box.getBoundingClientRect();
                return [edge.x + xaxis._offset + xaxis.d2p(trace.x[at]), edge.y + yaxis._offset + yaxis.d2p(trace.y[at])];
            }""",
            alerts[-1],
        )
        page.mouse.move(place[0] + 5, place[1])
        page.mouse.move(*place)
        expect(page.locator(".hovertext").first).to_contain_text("MJD")
        page.mouse.down()
        page.mouse.up()
        expect(page).to_have_url(re.compile("alert="))


def test_stamps_take_a_stretch_and_colours(visit: Open, address: str) -> None:
    with drawn(visit, address) as page:
        picture = page.locator("[data-stamp]").first
        expect(picture).to_have_js_property("naturalWidth", 63)
        page.get_by_label("Stretch").select_option("log")
        page.locator("[data-colours]").select_option("viridis")
        expect(picture).to_have_attribute("src", re.compile("stretch=log&colormap=viridis"))
        expect(picture).to_have_js_property("complete", True)
        expect(picture).to_have_js_property("naturalWidth", 63)


def test_columns_are_found_by_name_or_meaning(visit: Open, address: str) -> None:
    with drawn(visit, address) as page:
        page.get_by_label("Find a column").fill("right ascension")
        shown = page.locator("#columns tbody tr:visible")
        expect(shown.first).to_contain_text("ra")
        assert all("right ascension" in text.lower() for text in shown.all_inner_texts())


def test_what_is_copied_is_what_is_shown(visit: Open, address: str) -> None:
    with drawn(visit, address) as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.get_by_role("button", name="Copy sexagesimal coordinates").click()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} [+-]\d\d:\d\d:\d\d\.\d\d", copied)
        expect(page.locator(".places")).to_contain_text(copied)


def test_images_of_the_sky_are_loaded_only_when_asked_for_and_may_fail(visit: Open, address: str) -> None:
    with visit(address) as opened:
        page = opened.page
        page.wait_for_load_state("networkidle")
        assert not opened.outside
        page.route("https://aladin.cds.unistra.fr/**", lambda route: route.abort())
        page.get_by_role("link", name="Show images of the sky").click()
        frame = page.frame_locator("iframe[title='Images of the sky']")
        expect(frame.locator("[data-sky-state]")).to_contain_text("The finder chart of the object's page needs no network")
        assert all(each.startswith("https://aladin.cds.unistra.fr/") for each in opened.outside)
        assert opened.outside


def test_images_of_the_sky_are_centred_on_the_object(visit: Open, address: str) -> None:
    served = "window.A = {init: Promise.resolve(), aladin: (box, told) => (window.told = told, {addCatalog() {}}),"
    served += " catalog: () => ({addSources() {}}), source: (ra, dec) => ({ra, dec})};"

    def script(route: Route) -> None:
        route.fulfill(content_type="text/javascript", body=served)

    with visit("/status") as opened:
        page = opened.page
        page.route("https://aladin.cds.unistra.fr/**", script)
        page.goto(f"{address}/sky")
        expect(page.locator("[data-sky-state]")).to_be_empty()
        box = page.locator("[data-aladin]")
        assert page.evaluate("told.target") == f"{box.get_attribute('data-ra')} {box.get_attribute('data-dec')}"
        assert not opened.complaints, "the policy lets Aladin Lite in"


def test_without_scripts_everything_is_there(served: Served, address: str) -> None:
    text = served.client.get(address).text
    for part in ("chart curve", "chart finder", "data-stamp", "Cross-matches", "Every column", "fink query", "Coordinates"):
        assert part in text
    alert = re.findall(r'<option value="(-?\d+)"', text)[-1]
    assert f"Alert {alert} of" in served.client.get(address, params={"alert": alert}).text
