"""Charts of nights are well-formed, say what they show, and stand in proportion."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from fink.services.night_charts import Bar, calendar, date, density_map, night_bars, short, spark

SVG = "{http://www.w3.org/2000/svg}"


def drawn(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def test_bars_stand_in_proportion_and_name_their_parts() -> None:
    chart = drawn(night_bars([Bar(20251120, {"g": 10, "r": 30}), Bar(20251121, {"g": 20, "r": 0})], "Alerts by night"))
    assert chart.get("aria-label") == "Alerts by night"
    heights = {(rect.get("class"), float(rect.get("height", 0))) for rect in chart.iter(f"{SVG}rect")}
    tallest = max(height for name, height in heights if name == "part-r")
    assert {name for name, _ in heights} == {"part-g", "part-r"}
    assert sorted(round(height / tallest, 2) for name, height in heights if name == "part-g") == [0.33, 0.67]
    titles = [title.text for title in chart.iter(f"{SVG}title")]
    assert titles == ["2025-11-20: 40 alerts (g 10; r 30)", "2025-11-21: 20 alerts (g 20)"]


def test_no_night_and_a_night_without_alerts_are_charts_too() -> None:
    assert not list(drawn(night_bars([], "none")).iter(f"{SVG}rect"))
    assert not list(drawn(night_bars([Bar(20251120, {"taken": 0})], "none")).iter(f"{SVG}rect"))
    assert not list(drawn(spark([], "none")).iter(f"{SVG}rect"))


def test_a_spark_shows_the_last_values() -> None:
    assert len(list(drawn(spark(list(range(50)), "last", most=30)).iter(f"{SVG}rect"))) == 30


@pytest.mark.parametrize(("year", "days"), [(2024, 366), (2025, 365), (2100, 365)])
def test_a_calendar_has_a_square_for_each_day_in_its_week(year: int, days: int) -> None:
    squares = list(drawn(calendar({year * 10000 + 229: 5.0, year * 10000 + 301: 7.0}, year)).iter(f"{SVG}rect"))
    places = {(square.get("x"), square.get("y")) for square in squares}
    assert len(squares) == len(places) == days
    assert sum(square.get("class") == "day" for square in squares) == (2 if days == 366 else 1)


def test_the_map_is_filled_where_the_alerts_are() -> None:
    counts = np.zeros(12 << 8, np.int64)
    chart, full = density_map(counts, 4), density_map(counts + 3, 4)
    pictures = [re.search(r'href="data:image/png;base64,[^"]+"', text) for text in (chart, full)]
    assert all(pictures)
    assert chart != full
    assert "plane" in chart
    drawn(full)


def test_numbers_and_nights_are_written_short() -> None:
    assert [short(number) for number in (0, 950, 12_000, 3_400_000)] == ["0", "950", "12k", "3.4M"]
    assert date(20251120) == "2025-11-20"
