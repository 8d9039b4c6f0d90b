"""Neighbouring pixels are those of cdshealpix, and no pixel that a circle touches is missing."""

from __future__ import annotations

import cdshealpix.nested as reference
import numpy as np
import pytest
from astropy import units
from astropy.coordinates import Latitude, Longitude

from fink.catalogs.covering import STRETCH, cover_circle, face_position, order_of_circle, pixel_beside
from fink.sky import healpix, nested_pixel, pixel_at, separation

ARCSEC = np.pi / 648000.0


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_pixels_beside_are_those_of_cdshealpix(order: int) -> None:
    n_side = 1 << order
    for pixel in range(12 << (2 * order)):
        longitude, latitude = reference.healpix_to_lonlat(pixel, order)
        face, x, y = face_position(longitude.deg[0], latitude.deg[0])
        ix, iy = int(x * n_side), int(y * n_side)
        assert nested_pixel(order, face, ix, iy) == pixel
        found = {pixel_beside(order, face, ix + a, iy + b) for a in (-1, 0, 1) for b in (-1, 0, 1)}
        assert found - {-1, pixel} == set(reference.neighbours(pixel, order)[0].tolist()) - {-1, pixel}


def circles(n: int, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Centres everywhere, and many where faces meet: at the poles, at 2/3 of the sine of latitude, at multiples of 45 degrees."""
    rng = np.random.default_rng(3)
    ra, dec = rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    size = np.degrees(radius)
    dec[: n // 8] = 90 - rng.exponential(size, n // 8)
    dec[n // 8 : n // 4] = -90 + rng.exponential(size, n // 4 - n // 8)
    edge = np.degrees(np.arcsin(2 / 3))
    dec[n // 4 : n // 2] = rng.choice([-edge, 0.0, edge], n // 2 - n // 4) + rng.normal(0, size, n // 2 - n // 4)
    ra[n // 3 : n // 2] = (rng.integers(0, 8, n // 2 - n // 3) * 45.0 + rng.normal(0, size, n // 2 - n // 3)) % 360
    return ra, np.clip(dec, -90, 90)


@pytest.mark.parametrize("radius", [0.0, 1.0, 60.0, 3600.0, 60000.0])
def test_no_pixel_that_a_circle_touches_is_missing(radius: float) -> None:
    order = order_of_circle(radius * ARCSEC)
    rng = np.random.default_rng(4)
    pixels = np.empty(4, np.int64)
    for ra, dec in zip(*circles(400, max(radius, 1e-3) * ARCSEC), strict=True):
        count = cover_circle(order, ra, dec, radius * ARCSEC, pixels)
        assert 1 <= count <= 4
        assert len(set(pixels[:count].tolist())) == count
        inside = around(ra, dec, radius * np.sqrt(rng.uniform(0, 1, 60)), rng.uniform(0, 2 * np.pi, 60))
        assert set(healpix(order, *inside).tolist()) <= set(pixels[:count].tolist())


def around(ra: float, dec: float, radius: np.ndarray, angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions [deg] at some distances [arcsec] and angles from one position, exact at the poles too."""
    d, r = np.radians(dec), radius * ARCSEC
    north, east = np.sin(r) * np.cos(angle), np.sin(r) * np.sin(angle)
    across = np.cos(d) * np.cos(r) - np.sin(d) * north
    turn = np.degrees(np.arctan2(east, across))
    return (ra + turn) % 360, np.degrees(np.arctan2(np.sin(d) * np.cos(r) + np.cos(d) * north, np.hypot(across, east)))


def test_the_pixels_are_those_of_cdshealpix_cones() -> None:
    """A circle's pixels hold those that cdshealpix gives for the cone, and at most four."""
    radius, pixels = 40.0, np.empty(4, np.int64)
    order = order_of_circle(radius * ARCSEC)
    for ra, dec in zip(*circles(200, radius * ARCSEC), strict=True):
        cone = reference.cone_search(Longitude(ra, units.deg), Latitude(dec, units.deg), radius * units.arcsec, order, flat=True)
        sure = {int(pixel) for pixel in cone[0] if touches(int(pixel), order, ra, dec, radius)}
        count = cover_circle(order, ra, dec, radius * ARCSEC, pixels)
        assert sure <= set(pixels[:count].tolist())


def touches(pixel: int, order: int, ra: float, dec: float, radius: float) -> bool:
    """Whether a corner or the centre of a pixel lies in a circle: cdshealpix may give pixels beside it too."""
    longitude, latitude = reference.vertices(pixel, order)
    distance = separation(np.full(4, ra), np.full(4, dec), longitude.deg[0], latitude.deg[0]) * 3600
    return bool((distance < radius).any()) or pixel == pixel_at(order, ra, dec)


def test_a_face_is_stretched_by_no_more_than_stated() -> None:
    rng = np.random.default_rng(5)
    ra, dec = rng.uniform(0, 360, 20000), np.degrees(np.arcsin(rng.uniform(-1, 1, 20000)))
    step = 1e-4
    near = [around(a, d, np.array([step / ARCSEC]), np.array([g])) for a, d, g in zip(ra, dec, rng.uniform(0, 6.3, 20000), strict=True)]
    speeds = []
    for a, d, (b, e) in zip(ra, dec, near, strict=True):
        face, x, y = face_position(a, d)
        other, u, v = face_position(b[0], e[0])
        if face == other:
            speeds.append(max(abs(u - x), abs(v - y)) / step)
    assert len(speeds) > 19000
    assert 1.2 < max(speeds) < STRETCH
