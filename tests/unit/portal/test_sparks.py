"""Small drawings: what they show is in them, and what is not a number is not."""

from __future__ import annotations

import re
from typing import Any

import pytest

from fink.portal.sparks import angle, offset, places, spark

CURVE = {"g": [(-3.0, 5000.0, 100.0, True), (-2.0, 10.0, 90.0, False)], "r": [(0.0, 9000.0, 100.0, True)]}


def test_a_light_curve_has_a_mark_for_each_point_and_says_what_it_shows() -> None:
    drawn = str(spark(CURVE))
    assert 'aria-label="Light curve: 2 detections in g, r over 3 days"' in drawn
    assert drawn.count('class="detection band-') == 2
    assert drawn.count('class="forced band-') == 1
    assert "nan" not in drawn


def test_marks_of_filters_differ_in_shape() -> None:
    shapes = {band: re.findall(r'class="mark" d="M[-.\d]+ [-.\d]+(m[^M"]+)', str(spark({band: CURVE["g"]})))[0] for band in "ugrizy"}
    assert len(set(shapes.values())) == 6


def test_an_object_without_points_is_said_to_have_none() -> None:
    assert "No light curve" in str(spark({}))


def row(ra: float, dec: float, **more: Any) -> dict[str, Any]:
    return {"ra": ra, "dec": dec, "survey": "ztf", "to": "/ztf/object/A", "label": "A"} | more


def test_every_place_is_a_link_and_names_are_harmless() -> None:
    for centre in (None, {"ra": 10.0, "dec": 20.0, "radius": 60.0}):
        drawn = str(places([row(10.0, 20.0), row(10.001, 20.001, label="<b>", survey="lsst")], centre))
        assert drawn.count("<a href=") == 2
        assert "<b>" not in drawn
        assert "&lt;b&gt;" in drawn


def test_east_is_left_and_north_is_up_in_arcsec() -> None:
    assert offset(10.0, 21.0, 10.0, 20.0) == pytest.approx((0.0, 3600.37), abs=0.01)
    east, north = offset(10.0 + 1 / 3600, 60.0, 10.0, 60.0)
    assert (east, north) == pytest.approx((0.5, 0.0), abs=1e-5)


def test_angles_are_written_in_the_unit_that_suits_them() -> None:
    assert [angle(each) for each in (5.0, 90.0, 7200.0)] == ["5″", "1.5′", "2°"]
