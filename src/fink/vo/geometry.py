"""Places on the sky in ADQL: points, circles, boxes and polygons, what they contain, and the cap that holds a region.

A side of a box or polygon is a part of a great circle. Seen from the region's centre (gnomonic projection) great circles are
straight lines, so a point is inside where a ray from it crosses the projected sides an odd number of times.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from fink.errors import QueryError

MOST_CORNERS = 64
"""Corners of a polygon at most."""
WIDEST = 60.0
"""Largest distance of a box's or polygon's corner from its centre [deg]."""


@dataclass(frozen=True)
class Number:
    """A number in SQL; ``value`` where it is a constant."""

    sql: str
    value: float | None = None

    @classmethod
    def of(cls, value: float) -> Number:
        """Make a constant."""
        return cls(f"{value:.17e}", value)


@dataclass(frozen=True)
class Point:
    """A position, ICRS [deg]."""

    ra: Number
    dec: Number

    @property
    def place(self) -> tuple[float, float] | None:
        """The position where it is a constant."""
        return None if self.ra.value is None or self.dec.value is None else (self.ra.value, self.dec.value)


@dataclass(frozen=True)
class Circle:
    """A cap of the sky; radius [deg]."""

    centre: Point
    radius: Number


@dataclass(frozen=True)
class Polygon:
    """A region between constant corners, in order (ra, dec) [deg]."""

    corners: tuple[tuple[float, float], ...]


Region = Point | Circle | Polygon


@dataclass(frozen=True)
class Cap:
    """A constant cap that holds a region: centre and radius [deg]."""

    ra: float
    dec: float
    radius: float


def cap_of(region: Region) -> Cap | None:
    """Give a cap that holds a constant region; None where the region is not constant."""
    match region:
        case Circle(centre, radius):
            place = centre.place
            return None if place is None or radius.value is None else Cap(*place, max(radius.value, 0.0))
        case Polygon(corners):
            ra, dec = _middle(corners)
            # a cap smaller than a hemisphere holds the great circle between any two of its places
            return Cap(ra, dec, max(apart(ra, dec, *corner) for corner in corners))
        case Point():
            place = region.place
            return None if place is None else Cap(*place, 0.0)


def apart(ra1: float, dec1: float, ra2: float, dec2: float) -> float:
    """Give the angle between two positions [deg]."""
    a1, d1, a2, d2 = map(math.radians, (ra1, dec1, ra2, dec2))
    h = math.sin((d2 - d1) / 2) ** 2 + math.cos(d1) * math.cos(d2) * math.sin((a2 - a1) / 2) ** 2
    return math.degrees(2 * math.asin(min(1.0, math.sqrt(h))))


def distance(one: Point, other: Point) -> str:
    """Write the angle between two positions [deg]."""
    across = f"pow(sin(radians(({other.dec.sql}) - ({one.dec.sql})) / 2), 2)"
    along = f"pow(sin(radians(({other.ra.sql}) - ({one.ra.sql})) / 2), 2)"
    both = f"{across} + cos(radians({one.dec.sql})) * cos(radians({other.dec.sql})) * {along}"
    return f"degrees(2 * asin(least(1e0, pow({both}, 0.5e0))))"


def contains(inner: Region, outer: Region) -> str:
    """Write the test whether a region lies within another.

    Raises
    ------
    QueryError
        If these two kinds of regions cannot be compared.
    """
    match inner, outer:
        case Point(), Circle(centre, radius):
            band = f"({inner.dec.sql}) BETWEEN ({centre.dec.sql}) - ({radius.sql}) AND ({centre.dec.sql}) + ({radius.sql})"
            return f"({band} AND {distance(inner, centre)} <= ({radius.sql}))"
        case Point(), Polygon(corners):
            return _inside(inner, corners)
        case Circle(), Circle(centre, radius):
            return f"({distance(inner.centre, centre)} + ({inner.radius.sql}) <= ({radius.sql}))"
    raise QueryError("CONTAINS takes a point and a circle, box or polygon, or two circles")


def intersects(one: Region, other: Region) -> str:
    """Write the test whether two regions have a place in common.

    Raises
    ------
    QueryError
        If these two kinds of regions cannot be compared.
    """
    match one, other:
        case Point(), (Circle() | Polygon()):
            return contains(one, other)
        case ((Circle() | Polygon()), Point()):
            return contains(other, one)
        case Circle(), Circle():
            return f"({distance(one.centre, other.centre)} <= ({one.radius.sql}) + ({other.radius.sql}))"
    raise QueryError("INTERSECTS takes a point and a circle, box or polygon, or two circles")


def box(centre: Point, width: Number, height: Number) -> Polygon:
    """Make the polygon of a box: great circles at right angles to the arms of a cross.

    Raises
    ------
    QueryError
        If it is not constant, or wider than a hemisphere.
    """
    place = centre.place
    if place is None or width.value is None or height.value is None:
        raise QueryError("BOX takes constants: centre and size in degrees")
    if not (0 < width.value < 2 * WIDEST and 0 < height.value < 2 * WIDEST):
        raise QueryError(f"a BOX of {width.value:g} by {height.value:g} deg is not possible; from 0 to {2 * WIDEST:g} are")
    x, y = math.tan(math.radians(width.value / 2)), math.tan(math.radians(height.value / 2))
    return polygon([_unproject(*place, *corner) for corner in ((x, y), (-x, y), (-x, -y), (x, -y))])


def polygon(corners: Sequence[tuple[float, float]]) -> Polygon:
    """Make a polygon.

    Raises
    ------
    QueryError
        If it has too few or too many corners, or is too large.
    """
    if not 3 <= len(corners) <= MOST_CORNERS:
        raise QueryError(f"a POLYGON of {len(corners)} corners is not possible; from 3 to {MOST_CORNERS} are")
    found = Polygon(tuple(corners))
    middle = _middle(found.corners)
    if any(apart(*middle, *corner) > WIDEST for corner in corners):
        raise QueryError(f"the region reaches more than {WIDEST:g} deg from its centre; ask for a smaller one")
    return found


def _middle(corners: Sequence[tuple[float, float]]) -> tuple[float, float]:
    vectors = [_vector(*corner) for corner in corners]
    x, y, z = (sum(parts) for parts in zip(*vectors, strict=True))
    if math.hypot(x, y, z) < 1e-12:
        raise QueryError("the region's corners lie all around the sky; ask for a smaller one")
    return math.degrees(math.atan2(y, x)) % 360.0, math.degrees(math.atan2(z, math.hypot(x, y)))


def _vector(ra: float, dec: float) -> tuple[float, float, float]:
    a, d = math.radians(ra), math.radians(dec)
    return math.cos(d) * math.cos(a), math.cos(d) * math.sin(a), math.sin(d)


def _axes(ra: float, dec: float) -> tuple[tuple[float, float, float], ...]:
    """Give the unit vectors towards east, north and a position itself."""
    a, d = math.radians(ra), math.radians(dec)
    east = (-math.sin(a), math.cos(a), 0.0)
    north = (-math.sin(d) * math.cos(a), -math.sin(d) * math.sin(a), math.cos(d))
    return east, north, _vector(ra, dec)


def _unproject(ra: float, dec: float, x: float, y: float) -> tuple[float, float]:
    east, north, out = _axes(ra, dec)
    vx, vy, vz = (x * e + y * n + o for e, n, o in zip(east, north, out, strict=True))
    return math.degrees(math.atan2(vy, vx)) % 360.0, math.degrees(math.atan2(vz, math.hypot(vx, vy)))


def _inside(point: Point, corners: Sequence[tuple[float, float]]) -> str:
    """Write the test whether a point lies within a polygon."""
    cap = cap_of(Polygon(tuple(corners)))
    assert cap is not None
    axes = _axes(cap.ra, cap.dec)
    a, d = f"radians({point.ra.sql})", f"radians({point.dec.sql})"
    parts = (f"cos({d}) * cos({a})", f"cos({d}) * sin({a})", f"sin({d})")
    east, north, out = (" + ".join(f"({axis[i]:.17e}) * {parts[i]}" for i in range(3)) for axis in axes)
    x, y = f"(({east}) / ({out}))", f"(({north}) / ({out}))"
    plane = [_projected(axes, corner) for corner in corners]
    crossings = [_crossed(x, y, one, other) for one, other in pairwise([*plane, plane[0]])]
    near = contains(point, Circle(Point(Number.of(cap.ra), Number.of(cap.dec)), Number.of(cap.radius + 1e-9)))
    return f"({near} AND ({' + '.join(crossings)}) % 2 = 1)"


def _projected(axes: tuple[tuple[float, float, float], ...], corner: tuple[float, float]) -> tuple[float, float]:
    vector = _vector(*corner)
    along, across, out = (sum(a * v for a, v in zip(axis, vector, strict=True)) for axis in axes)
    return along / out, across / out


def _crossed(x: str, y: str, one: tuple[float, float], other: tuple[float, float]) -> str:
    """Write 1 where a ray from (x, y) towards larger x crosses a side, 0 elsewhere."""
    if one[1] == other[1]:
        return "0"
    slope = (other[0] - one[0]) / (other[1] - one[1])
    between = f"({y} < {one[1]:.17e}) <> ({y} < {other[1]:.17e})"
    return f"CAST(({between}) AND {x} < {one[0]:.17e} + ({slope:.17e}) * ({y} - ({one[1]:.17e})) AS INTEGER)"
