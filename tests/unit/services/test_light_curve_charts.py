"""Light curves as SVG: every point is drawn once, where its values say."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import numpy as np

from fink.services.light_curve_charts import MOST_POINTS, light_curve_svg, marker_svg, scatter_svg


def curve(n: int = 40) -> dict[str, Any]:
    flux = (1000.0 + 10.0 * np.arange(n)).tolist()
    kind = ["detection"] * (n - 10) + ["forced"] * 5 + ["limit"] * 5
    values: list[float | None] = [None if each == "limit" else value for each, value in zip(kind, flux, strict=True)]
    return {
        "mjd": (60000.0 + np.arange(n)).tolist(),
        "flux": values,
        "flux_err": [50.0] * n,
        "band": ["g", "r"] * (n // 2),
        "kind": kind,
    }


def marks(svg: str, kind: str) -> int:
    found = [
        path.get("d", "") for group in ElementTree.fromstring(svg).iter("g") if str(group.get("class")).startswith(kind) for path in group
    ]
    return sum(path.count("M") for path in found[-1:] if kind == "limit") or sum(path.count("z") for path in found)


def test_every_point_is_drawn() -> None:
    svg = light_curve_svg(curve())
    assert marks(svg, "detection") == 30
    assert marks(svg, "forced") == 5
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == "Light curve in g, r from MJD 60000.0 to 60039.0: 30 detections, 5 forced points, 5 upper limits"


def test_later_is_to_the_right_and_brighter_is_higher() -> None:
    few: dict[str, Any] = {
        "mjd": [60000.0, 60010.0],
        "flux": [100.0, 900.0],
        "flux_err": [1.0, 1.0],
        "band": ["u", "u"],
        "kind": ["detection", "detection"],
    }
    path = next(each for each in ElementTree.fromstring(light_curve_svg(few)).iter("path") if each.get("class") == "bars").get("d", "")
    (x1, y1), (x2, y2) = [tuple(map(float, part.split("V")[0].split())) for part in path.split("M")[1:]]
    assert x2 > x1
    assert y2 < y1


def test_a_model_is_drawn_and_the_alert_marked() -> None:
    model = {"lines": [{"band": "g", "mjd": [60000.0, 60020.0, 60039.0], "flux": [1000.0, 1200.0, 1e9]}]}
    svg = light_curve_svg(curve(), 60010.0, model)
    assert 'class="now"' in svg
    line = next(group for group in ElementTree.fromstring(svg).iter("g") if group.get("class") == "model band-g")
    assert line[0].get("d", "").count("L") == 1, "what lies outside the axes is left out"


def test_long_light_curves_are_thinned_and_empty_ones_are_nothing() -> None:
    long = curve(4000)
    assert marks(light_curve_svg(long), "detection") <= MOST_POINTS
    assert light_curve_svg({"mjd": [], "flux": [], "flux_err": [], "band": [], "kind": []}) == ""


def test_bands_have_shapes_of_their_own() -> None:
    assert len({marker_svg(band) for band in "ugrizy"}) == 6


def test_magnitudes_run_downwards() -> None:
    rows: list[dict[str, Any]] = [
        {"x": 1.0, "y": 20.0, "band": "g"},
        {"x": 2.0, "y": 18.0, "band": "g"},
        {"x": None, "y": 10.0, "band": "g"},
    ]
    root = ElementTree.fromstring(scatter_svg(rows, "x", "y", "Phase", "Magnitude"))
    path = next(each for each in root.iter("path") if each.get("class") == "marks").get("d", "")
    heights = [float(part.split("m")[0].split()[1]) for part in path.split("M")[1:]]
    assert len(heights) == 2
    assert heights[1] < heights[0]
    assert any(text.text == "18" for text in root.iter("text"))
    assert scatter_svg(rows[:1], "x", "y", "Phase", "Magnitude") == ""
