"""Directions, proper motions and ellipses are those of astropy; a search writes no more than there is room for."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord, search_around_sky
from astropy.time import Time
from numpy.typing import NDArray

from fink.catalogs.kernel import ARCSEC, extent, moved, search, unit_vector
from fink.catalogs.match import SkyIndex

Floats = NDArray[np.float64]

POLES = np.array([[0.0, 90.0], [123.0, -90.0], [359.9999, 89.9999], [45.0, -89.9999], [0.0, 0.0], [360.0, 41.8]])


def places(n: int, seed: int) -> SkyCoord:
    """Everywhere, and where coordinates are special."""
    rng = np.random.default_rng(seed)
    sphere = np.column_stack([rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))])
    return SkyCoord(np.concatenate([POLES, sphere]), unit="deg")


def directions(where: SkyCoord) -> Floats:
    """Unit vectors of astropy, (n, 3)."""
    return np.asarray(where.cartesian.xyz.value.T)


def test_a_direction_is_that_of_astropy() -> None:
    where = places(300, 1)
    found = [unit_vector(ra, dec) for ra, dec in zip(where.ra.deg, where.dec.deg, strict=True)]
    np.testing.assert_allclose(found, directions(where), rtol=0, atol=1e-15)


@pytest.mark.parametrize("years", [-100.0, 0.0, 10.5, 100.0])
def test_a_source_moves_as_astropy_says(years: float) -> None:
    """Also faster than Barnard's star, and across the poles."""
    rng, where = np.random.default_rng(2), places(200, 2)
    pm_ra, pm_dec = rng.normal(0, 5000, (2, len(where)))
    rate, start = units.mas / units.yr, Time(2000.0, format="jyear", scale="tcb")
    there = SkyCoord(where.ra, where.dec, pm_ra_cosdec=pm_ra * rate, pm_dec=pm_dec * rate, obstime=start)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sources without a distance
        then = there.apply_space_motion(new_obstime=Time(2000.0 + years, format="jyear", scale="tcb"))
    found = np.array([moved(*row, years) for row in zip(where.ra.deg, where.dec.deg, pm_ra, pm_dec, strict=True)])
    wanted = directions(SkyCoord(then.ra, then.dec))
    apart = np.linalg.norm(found - wanted, axis=1) / ARCSEC
    assert apart.max() < 2e-3
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-14)
    if years == 100.0:
        assert np.median(np.linalg.norm(found - directions(where), axis=1)) / ARCSEC > 300


def test_an_ellipse_reaches_as_far_as_astropys_position_angle_says() -> None:
    """Against the polar equation of an ellipse, whose angle is that between the position and the major axis."""
    rng, centre = np.random.default_rng(3), places(300, 3)[2:]
    n = len(centre)
    size, ratio, angle = rng.uniform(1, 3000, n), rng.uniform(0.05, 1, n), rng.uniform(-360, 360, n)
    position = centre.directional_offset_by(rng.uniform(0, 360, n) * units.deg, rng.uniform(0.1, 500, n) * units.arcsec)
    off = centre.position_angle(position).rad - np.radians(angle)
    wanted = size / np.hypot(np.cos(off), np.sin(off) / ratio)
    rows = zip(directions(position), directions(centre), size, ratio, angle, strict=True)
    found = [extent(*there, *own, a, q, pa) for there, own, a, q, pa in rows]
    np.testing.assert_allclose(found, wanted, rtol=2e-6)


def test_an_ellipse_reaches_its_axes_in_their_directions() -> None:
    for ra, dec in ((10.0, 0.0), (200.0, 60.0), (0.0, -89.0)):
        centre = SkyCoord(ra, dec, unit="deg")
        own = directions(centre.reshape(1))[0]
        for turn, reach in ((30, 100.0), (210, 100.0), (120, 25.0), (300, 25.0)):
            there = directions(centre.directional_offset_by(turn * units.deg, 50 * units.arcsec).reshape(1))[0]
            assert extent(*there, *own, 100.0, 0.25, 30.0) == pytest.approx(reach, rel=1e-6)
            assert extent(*there, *own, 100.0, 1.0, 30.0) == 100.0
        assert 25.0 <= extent(*own, *own, 100.0, 0.25, 30.0) <= 100.0


def test_at_the_pole_an_ellipse_is_as_long_and_as_wide_as_elsewhere() -> None:
    """Where north has no direction, it is taken towards RA 180 from the northern pole, towards RA 0 from the southern."""
    for z, north in ((1.0, (-1.0, 0.0)), (-1.0, (1.0, 0.0))):
        step = 50 * ARCSEC
        assert extent(north[0] * step, 0.0, z, 0.0, 0.0, z, 100.0, 0.25, 0.0) == pytest.approx(100.0)
        assert extent(0.0, step, z, 0.0, 0.0, z, 100.0, 0.25, 0.0) == pytest.approx(25.0)


@pytest.mark.parametrize("room", [0, 7, 100_000])
def test_a_search_finds_the_pairs_of_astropy_and_writes_those_there_is_room_for(room: int) -> None:
    rng, radius = np.random.default_rng(4), 40.0
    sources = np.column_stack([rng.uniform(359, 361, 4000) % 360, rng.uniform(-61, -60, 4000)])
    positions = np.column_stack([rng.uniform(359, 361, 300) % 360, rng.uniform(-61, -60, 300)])
    index = SkyIndex.build(*sources.T)
    (tier,), n = index.tiers, len(positions)
    tiers = np.array([tier.order]), np.array([tier.start]), np.array([tier.reach]), np.array([tier.motion])
    pairs, measures = np.full((room, 2), -1, np.int64), np.full((room, 2), np.nan)
    asked = (np.ascontiguousarray(positions[:, 0]), np.ascontiguousarray(positions[:, 1]), np.full(n, radius), np.zeros(n))
    kept = index.positions, index.motion, index.shape, index.offsets
    count = search(*asked, *kept, *tiers, False, False, pairs, measures)
    catalogue = SkyCoord(index.positions, unit="deg")
    wanted = search_around_sky(SkyCoord(positions, unit="deg"), catalogue, radius * units.arcsec)
    assert count == len(wanted[0]) > 400
    written = pairs[: min(room, count)]
    truth = dict(zip(zip(*(one.tolist() for one in wanted[:2]), strict=True), wanted[2].arcsec.tolist(), strict=True))
    assert len({tuple(pair) for pair in written.tolist()}) == min(room, count)
    np.testing.assert_allclose(measures[: len(written), 0], [truth[i, j] for i, j in written.tolist()], atol=1e-7)
    assert (pairs[len(written) :] == -1).all()
