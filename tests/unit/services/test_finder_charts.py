"""Finder charts are whole SVG, with what lies around in its place."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from fink.services.finder_charts import finder_svg

NAMESPACE = "{http://www.w3.org/2000/svg}"
FINDER: dict[str, Any] = {
    "radius": 20.0,
    "sources": [{"catalogue": "gaia & co", "label": "<b>", "east": 10.0, "north": 5.0, "separation": 11.2}],
    "objects": [{"survey": "lsst", "object_id": "123456789", "east": -3.0, "north": 0.0, "separation": 3.0}],
    "catalogues": ["gaia & co"],
}


def drawn(stamp: dict[str, Any] | None = None) -> ElementTree.Element:
    return ElementTree.fromstring(finder_svg(FINDER, stamp))


def test_east_is_left_and_north_is_up() -> None:
    circle = next(drawn().iter("circle"))
    assert (float(circle.get("cx", "nan")), float(circle.get("cy", "nan"))) == (-100.0, -50.0)
    assert "gaia & co: <b>, 11.2 arcsec" in str(next(circle.iter("title")).text)


def test_other_objects_are_links() -> None:
    link = next(drawn().iter("a"))
    assert link.get("href") == "/lsst/object/123456789"


def test_a_stamp_lies_behind_in_its_scale() -> None:
    stamp = {"url": "/stamp?a=1&b=2", "shape": [30, 20], "affine": [0.2, 0.0, 0.0, 0.2, -2.0, -3.0]}
    image = next(drawn(stamp).iter("image"))
    assert image.get("href") == "/stamp?a=1&b=2"
    assert (image.get("width"), image.get("height"), image.get("transform")) == ("20", "30", "matrix(2 0 0 2 -20 -30)")
    assert not list(drawn().iter("image"))
