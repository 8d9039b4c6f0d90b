"""Charts: what is drawn lies where it should."""

from __future__ import annotations

import base64
import re
import struct
import xml.etree.ElementTree as ET
import zlib

import numpy as np

from fink.services import charts
from fink.sky import ecliptic, galactic

NS = "{http://www.w3.org/2000/svg}"


def points(n: int = 20) -> charts.Points:
    mjd = 60000.0 - np.arange(n)[::-1].astype(np.float64)
    return charts.Points(mjd, np.linspace(-5e3, 2e4, n), np.full(n, 500.0), ["g", "r"] * (n // 2), np.arange(n) % 2 == 0)


def test_mollweide_keeps_areas_and_known_places() -> None:
    x, y = charts.mollweide(np.array([180.0, 180.0, 0.0, 180.0]), np.array([0.0, 90.0, 0.0, -90.0]))
    np.testing.assert_allclose(x, [0.0, 0.0, 2.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(y, [0.0, 1.0, 0.0, -1.0], atol=1e-2)
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(0, 360, 40000), np.degrees(np.arcsin(rng.uniform(-1, 1, 40000)))
    x, y = charts.mollweide(ra, dec)
    inside = (x / 2) ** 2 + y**2
    assert inside.max() < 1.0 + 1e-6
    # an even sky stays even: half of the ellipse's area lies within the ellipse of half the area
    assert abs(np.mean(inside < 0.5) - 0.5) < 0.01


def test_reference_lines_lie_where_they_are_said_to_be() -> None:
    assert np.abs(galactic(*charts._galactic_plane())[1]).max() < 1e-3
    assert np.abs(ecliptic(*charts._ecliptic())[1]).max() < 1e-3


def test_steps_are_round_and_cover_the_range() -> None:
    assert charts.nice_steps(0.0, 10.0) == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    steps = charts.nice_steps(-0.37, 0.91)
    assert len(steps) <= 6
    assert -0.37 <= min(steps) <= max(steps) <= 0.91


def test_a_light_curve_is_well_formed_and_has_each_point_in_order_of_time() -> None:
    svg = ET.fromstring(charts.light_curve(points(), 60000.0))
    groups = [g for g in svg.iter("g") if "detection" in g.get("class", "")]
    across = [float(g.find("circle").get("cx", "nan")) for g in groups]  # type: ignore[union-attr]
    up = [float(g.find("circle").get("cy", "nan")) for g in groups]  # type: ignore[union-attr]
    assert len(groups) == 10
    assert across == sorted(across)
    # brighter is higher, and y counts from the top
    assert up == sorted(up, reverse=True)
    assert {g.get("class") for g in groups} == {"detection band-g"}


def test_a_sky_map_is_well_formed_with_one_dot_for_each_place() -> None:
    ra, dec = np.array([10.0, 200.0, 200.0]), np.array([5.0, -40.0, -40.0])
    text = charts.sky_map([("ztf", ra, dec), ("lsst", ra[:1], dec[:1])])
    assert ET.fromstring(text).tag == "svg"
    dots = re.findall(r'class="dots group-(\d)" d="([^"]*)"', text)
    assert [(name, path.count("M")) for name, path in dots] == [("0", 2), ("1", 1)]


def test_a_stamp_becomes_a_png_of_its_size_with_its_source_bright() -> None:
    image = np.random.default_rng(2).normal(0, 1, (30, 40)).astype(np.float32)
    image[5, 7] = 500.0
    image[0, 0] = np.nan
    data = base64.b64decode(charts.stamp_png(image).partition(",")[2])
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", data[16:24]) == (40, 30)
    at = data.index(b"IDAT")
    grey = np.frombuffer(zlib.decompress(data[at + 4 :]), np.uint8).reshape(30, 41)[:, 1:]
    # rows of an image count from the bottom, those of a picture from the top
    assert divmod(int(grey.argmax()), 40) == (24, 7)
    assert grey.max() == 255
