"""Regions contain what they should: the SQL is run by DuckDB and compared with astropy and with plane geometry."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord

from fink.errors import QueryError
from fink.vo import geometry
from fink.vo.geometry import Cap, Circle, Number, Point, Polygon, Region

STARS = Point(Number("ra"), Number("dec"))
PLACES = [(10.0, 5.0), (359.95, -0.02), (120.0, 89.9), (300.0, -89.95), (180.0, -45.0)]


def constant(ra: float, dec: float) -> Point:
    return Point(Number.of(ra), Number.of(dec))


def around(ra: float, dec: float, spread: float, n: int = 400) -> SkyCoord:
    """Scatter positions around a place, poles and all [deg]."""
    rng = np.random.default_rng(5)
    centre = SkyCoord(ra, dec, unit="deg")
    found: SkyCoord = centre.directional_offset_by(rng.uniform(0, 360, n) * units.deg, rng.uniform(0, spread, n) * units.deg)
    return found


def run(sql: str, stars: SkyCoord) -> np.ndarray:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE stars AS SELECT unnest($1) AS ra, unnest($2) AS dec", [stars.ra.deg.tolist(), stars.dec.deg.tolist()])
    return np.array([value for (value,) in connection.execute(f"SELECT {sql} FROM stars").fetchall()])


@pytest.mark.parametrize(("ra", "dec"), PLACES)
def test_distances_are_those_of_astropy(ra: float, dec: float) -> None:
    stars = around(ra, dec, 2.0)
    found = run(geometry.distance(STARS, constant(ra, dec)), stars)
    assert np.allclose(found, stars.separation(SkyCoord(ra, dec, unit="deg")).deg, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("ra", "dec"), PLACES)
def test_a_circle_holds_what_is_near(ra: float, dec: float) -> None:
    stars = around(ra, dec, 2.0)
    found = run(geometry.contains(STARS, Circle(constant(ra, dec), Number.of(1.0))), stars)
    near = stars.separation(SkyCoord(ra, dec, unit="deg")).deg <= 1.0
    assert 0 < near.sum() < len(near)
    assert (found == near).all()


@pytest.mark.parametrize(("ra", "dec"), PLACES)
def test_a_box_has_great_circles_as_sides(ra: float, dec: float) -> None:
    stars = around(ra, dec, 2.0)
    found = run(geometry.contains(STARS, geometry.box(constant(ra, dec), Number.of(2.0), Number.of(1.0))), stars)
    # in the frame of the centre, a side at right angles to an arm is where the angle along the arm is constant
    offset = stars.transform_to(SkyCoord(ra, dec, unit="deg").skyoffset_frame())
    x, y, z = offset.cartesian.xyz.value
    inside = (np.abs(np.degrees(np.arctan2(y, x))) <= 1.0) & (np.abs(np.degrees(np.arctan2(z, x))) <= 0.5)
    assert 0 < inside.sum() < len(inside)
    assert (found == inside).all()


def test_a_polygon_with_a_notch_holds_nothing_in_the_notch() -> None:
    arrow = geometry.polygon([(0.0, 0.0), (2.0, 2.0), (0.0, 1.0), (-2.0 % 360, 2.0)])
    stars = SkyCoord([0.0, 0.0, 0.0, 1.0, 359.0, 3.0], [0.5, 1.5, -0.5, 1.2, 1.2, 1.0], unit="deg")
    assert run(geometry.contains(STARS, arrow), stars).tolist() == [True, False, False, True, True, False]


def test_the_cap_of_a_polygon_holds_it() -> None:
    region = geometry.polygon([(10.0, 60.0), (40.0, 70.0), (30.0, 50.0)])
    cap = geometry.cap_of(region)
    assert cap is not None
    stars = around(25.0, 60.0, 15.0)
    inside = run(geometry.contains(STARS, region), stars)
    assert inside.sum() > 10
    assert (stars.separation(SkyCoord(cap.ra, cap.dec, unit="deg")).deg[inside] <= cap.radius).all()


def test_caps_of_circles_and_points() -> None:
    assert geometry.cap_of(Circle(constant(1.0, 2.0), Number.of(0.5))) == Cap(1.0, 2.0, 0.5)
    assert geometry.cap_of(constant(1.0, 2.0)) == Cap(1.0, 2.0, 0.0)
    assert geometry.cap_of(Circle(STARS, Number.of(0.5))) is None


@pytest.mark.parametrize(
    ("one", "other", "meet", "within"),
    [
        (Circle(constant(0, 0), Number.of(1.0)), Circle(constant(3, 0), Number.of(2.5)), True, False),
        (Circle(constant(0, 0), Number.of(1.0)), Circle(constant(3, 0), Number.of(1.5)), False, False),
        (Circle(constant(0, 0), Number.of(1.0)), Circle(constant(0.5, 0), Number.of(2.0)), True, True),
    ],
)
def test_circles(one: Region, other: Region, meet: bool, within: bool) -> None:
    assert duckdb.connect().execute(f"SELECT {geometry.intersects(one, other)}, {geometry.contains(one, other)}").fetchall() == [
        (meet, within)
    ]


def test_what_cannot_be_compared_is_refused() -> None:
    square = geometry.box(constant(0, 0), Number.of(1.0), Number.of(1.0))
    for one, other in ((square, square), (Circle(STARS, Number.of(1.0)), square)):
        with pytest.raises(QueryError, match="CONTAINS takes"):
            geometry.contains(one, other)
        with pytest.raises(QueryError, match="INTERSECTS takes"):
            geometry.intersects(one, other)


@pytest.mark.parametrize("corners", [[(0.0, 0.0), (1.0, 1.0)], [(0.0, 0.0), (90.0, 0.0), (180.0, 0.0)], [(0.0, 0.0)] * 100])
def test_impossible_polygons_are_refused(corners: list[tuple[float, float]]) -> None:
    with pytest.raises(QueryError):
        geometry.polygon(corners)


def test_impossible_boxes_are_refused() -> None:
    for centre, width in ((STARS, Number.of(1.0)), (constant(0, 0), Number("w")), (constant(0, 0), Number.of(200.0))):
        with pytest.raises(QueryError, match="BOX"):
            geometry.box(centre, width, Number.of(1.0))
    assert isinstance(geometry.box(constant(0, 0), Number.of(1.0), Number.of(1.0)), Polygon)
