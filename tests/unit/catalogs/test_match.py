"""Matches are those of an exhaustive comparison, whatever the place, the density, the radius, the motion or the shape."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.time import Time
from numpy.typing import NDArray

from fink.catalogs.match import Matches, SkyIndex, table_order
from fink.errors import CatalogueError
from fink.sky import separation

Floats = NDArray[np.float64]


def sphere(rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
    return rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))


def field(rng: np.random.Generator, n: int, radius: float) -> tuple[Floats, Floats]:
    """Sources: a third over the whole sky, a third near the poles, a third around RA 0."""
    ra, dec = sphere(rng, n)
    size, third = min(20 * radius / 3600, 30.0), n // 3
    dec[:third] = rng.choice([-1, 1], third) * (90 - rng.exponential(size, third) % 170)
    ra[third : 2 * third] = rng.normal(0, size, third) % 360
    dec[third : 2 * third] = rng.normal(0, size, third) % 89
    return ra, dec


def scatter(rng: np.random.Generator, ra: Floats, dec: Floats, n: int, radius: float) -> tuple[Floats, Floats]:
    """Positions near sources."""
    k = rng.integers(0, len(ra), n)
    shift = rng.normal(0, radius / 3600 / 2, (2, n))
    fallen_over = np.abs(dec[k] + shift[1]) > 90
    return (ra[k] + shift[0] / np.maximum(np.cos(np.radians(dec[k])), 1e-3)) % 360, np.where(fallen_over, dec[k], dec[k] + shift[1])


def pairs(found: Matches) -> set[tuple[int, int]]:
    return set(zip(found.position.tolist(), found.source.tolist(), strict=True))


def all_pairs(distance: Floats, limit: Any) -> set[tuple[int, int]]:
    return set(zip(*(x.tolist() for x in np.nonzero(distance <= limit)), strict=True))


def distances(ra: Floats, dec: Floats, source_ra: Floats, source_dec: Floats) -> Floats:
    """Every separation [arcsec], (n, m)."""
    return separation(ra[:, None], dec[:, None], source_ra[None], source_dec[None]) * 3600


@pytest.mark.parametrize("radius", [0.0, 1.0, 60.0, 3600.0, 36000.0, 150000.0])
def test_all_and_nearest_are_those_of_an_exhaustive_comparison(radius: float) -> None:
    rng = np.random.default_rng(int(radius))
    sources = field(rng, 1500, max(radius, 1.0))
    positions = scatter(rng, *sources, 1200, max(radius, 1.0))
    index = SkyIndex.build(*sources)
    apart = distances(*positions, *sources)
    assert pairs(index.match(*positions, radius=radius, nearest=False)) == all_pairs(apart, radius)
    nearest = index.match(*positions, radius=radius)
    has = apart.min(axis=1) <= radius
    np.testing.assert_array_equal(nearest.position, np.flatnonzero(has))
    np.testing.assert_array_equal(nearest.source, apart.argmin(axis=1)[has])
    np.testing.assert_allclose(nearest.separation, apart.min(axis=1)[has], atol=1e-9)


def test_a_crowded_field_is_matched_as_any_other() -> None:
    """100,000 sources in a square degree, where pixels of the table hold thousands, beside an empty sky."""
    rng = np.random.default_rng(8)
    ra, dec = 83.0 + rng.uniform(0, 1, 100_000), -69.0 + rng.uniform(0, 1, 100_000)
    positions = 83.0 + rng.uniform(0, 1, 300), -69.0 + rng.uniform(0, 1, 300)
    found = SkyIndex.build(ra, dec).match(*positions, radius=20.0, nearest=False)
    assert pairs(found) == all_pairs(distances(*positions, ra, dec), 20.0)
    assert len(found) > 5000


def test_an_answer_does_not_depend_on_what_else_is_asked_for() -> None:
    rng = np.random.default_rng(9)
    sources = field(rng, 3000, 30.0)
    ra, dec = scatter(rng, *sources, 500, 30.0)
    index = SkyIndex.build(*sources, pm_ra=rng.normal(0, 300, 3000), pm_dec=rng.normal(0, 300, 3000))
    mjd = rng.uniform(40000, 62000, 500)
    whole = index.match(ra, dec, radius=30.0, mjd=mjd)
    order = rng.permutation(500)
    again = index.match(ra[order], dec[order], radius=30.0, mjd=mjd[order])
    alone = [index.match(ra[i], dec[i], radius=30.0, mjd=mjd[i]) for i in range(500)]
    assert [m.source.tolist() for m in alone] == [whole.source[whole.position == i].tolist() for i in range(500)]
    assert {(order[p], s) for p, s in pairs(again)} == pairs(whole)


def test_many_positions_match_one_source() -> None:
    """Each position has its own answer: the other way round only the nearest position would be told."""
    found = SkyIndex.build([10.0], [20.0]).match([10.0, 10.0001, 10.0002], [20.0] * 3, radius=2.0)
    assert found.source.tolist() == [0, 0, 0]


def test_each_source_has_its_own_radius() -> None:
    rng = np.random.default_rng(10)
    sources, size = field(rng, 2000, 100.0), 10 ** rng.uniform(-1, 4.5, 2000)
    positions = scatter(rng, *sources, 1000, 100.0)
    index = SkyIndex.build(*sources, radius=size)
    assert len(index.tiers) > 4
    limits = size.astype(np.float32).astype(np.float64)[None]
    found = index.match(*positions, nearest=False)
    assert pairs(found) == all_pairs(distances(*positions, *sources), limits)
    np.testing.assert_allclose(found.fraction, found.separation / limits[0][found.source])


def test_each_position_has_its_own_radius() -> None:
    rng = np.random.default_rng(11)
    sources = field(rng, 2000, 100.0)
    positions, radius = scatter(rng, *sources, 1000, 100.0), 10 ** rng.uniform(-1, 4, 1000)
    found = SkyIndex.build(*sources).match(*positions, radius=radius, nearest=False)
    assert pairs(found) == all_pairs(distances(*positions, *sources), radius[:, None])


def test_proper_motion_is_that_of_astropy() -> None:
    """Barnard's star and faster ones, a century on, at all declinations; Barnard's star in 2026 lies 5 arcmin from where it was in 1997."""
    rng = np.random.default_rng(12)
    ra, dec = sphere(rng, 400)
    dec[:20] = 89.9999
    pm_ra, pm_dec = rng.normal(0, 3000, (2, 400))
    start = Time(2016.0, format="jyear", scale="tcb")
    there = SkyCoord(
        ra * units.deg, dec * units.deg, pm_ra_cosdec=pm_ra * units.mas / units.yr, pm_dec=pm_dec * units.mas / units.yr, obstime=start
    )
    for year in (1950.0, 2026.0, 2116.0):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sources without a distance
            moved = there.apply_space_motion(new_obstime=Time(year, format="jyear", scale="tcb"))
        index = SkyIndex.build(ra, dec, pm_ra=pm_ra, pm_dec=pm_dec, epoch=2016.0)
        mjd = 51544.5 + (year - 2000.0) * 365.25
        found = index.match(moved.ra.deg, moved.dec.deg, radius=1.0, mjd=mjd)
        assert found.source.tolist() == list(range(400))
        assert found.separation.max() < 2e-3
    assert len(index.match(moved.ra.deg, moved.dec.deg, radius=1.0)) < 10


def test_without_a_time_sources_stay_where_the_catalogue_has_them() -> None:
    index = SkyIndex.build([10.0, 20.0], [0.0, 0.0], pm_ra=[np.nan, 10000.0], pm_dec=[np.nan, 0.0], epoch=2000.0)
    assert index.match([10.0, 20.0], [0.0, 0.0], radius=1.0).source.tolist() == [0, 1]
    assert index.match([10.0, 20.0], [0.0, 0.0], radius=1.0, mjd=60000.0).source.tolist() == [0]
    assert len(index.match([10.0], [0.0], radius=1.0, mjd=np.nan)) == 0


def test_an_ellipse_reaches_as_far_as_its_directional_light_radius() -> None:
    """Around galaxies at all declinations, in all directions, against astropy's position angles and the formula of Sullivan et al."""
    rng = np.random.default_rng(13)
    ra, dec = sphere(rng, 300)
    ra[:10], dec[:10] = 359.9999, 89.99
    size, ratio, angle = rng.uniform(5, 200, 300), rng.uniform(0.1, 1, 300), rng.uniform(-180, 180, 300)
    centre = SkyCoord(ra, dec, unit="deg")
    direction, distance = rng.uniform(0, 360, 300), size * rng.uniform(0.1, 1.1, 300)
    position = centre.directional_offset_by(direction * units.deg, distance * units.arcsec)
    off = np.radians(direction - angle)
    reach = size / np.sqrt((np.sin(off) / ratio) ** 2 + np.cos(off) ** 2)
    index = SkyIndex.build(ra, dec, radius=size, axis_ratio=ratio, position_angle=angle)
    found = index.match(position.ra.deg, position.dec.deg, nearest=False)
    own = found.position == found.source
    np.testing.assert_array_equal(found.position[own], np.flatnonzero(distance <= reach))
    np.testing.assert_allclose(found.fraction[own], (distance / reach)[distance <= reach], rtol=1e-4)
    assert 100 < own.sum() < 250


def test_the_best_galaxy_is_that_with_the_smallest_fraction_not_the_nearest() -> None:
    index = SkyIndex.build([10.0, 10.01], [0.0, 0.0], radius=[300.0, 40.0], axis_ratio=[0.9, 0.9], position_angle=[0, 0])
    found = index.match([10.006], [0.0])
    assert found.source.tolist() == [0]
    assert found.separation[0] == pytest.approx(21.6)
    assert SkyIndex.build([10.0, 10.01], [0.0, 0.0], radius=[300.0, 40.0]).match([10.006], [0.0]).source.tolist() == [1]


def test_of_two_sources_at_the_same_place_always_the_same_is_given() -> None:
    index = SkyIndex.build([5.0] * 4, [5.0] * 4)
    assert {index.match([5.0] * n, [5.0] * n, radius=1.0).source[-1] for n in (1, 2, 50)} == {0}
    assert index.match([5.0], [5.0], radius=1.0, nearest=False).source.tolist() == [0, 1, 2, 3]


def test_right_ascension_is_taken_around_the_circle() -> None:
    index = SkyIndex.build([359.9999, 0.00009], [0.0, 0.0])
    assert index.match([0.0, 360.0, -0.0001], [0.0] * 3, radius=1.0, nearest=False).source.tolist() == [1, 0, 1, 0, 0, 1]


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_or_no_sources(n: int) -> None:
    index = SkyIndex.build(np.arange(n) * 90.0, np.zeros(n))
    found = index.match([0.0, 90.0, 45.0], [0.0, 0.0, 0.0], radius=1.0)
    assert found.source.tolist() == list(range(n))
    assert len(index) == n
    assert len(index.match([], [], radius=1.0)) == 0


def test_what_is_no_position_matches_nothing() -> None:
    index = SkyIndex.build([0.0], [0.0])
    odd = [np.nan, np.inf, 0.0, 0.0, 0.0]
    assert len(index.match(odd, [0.0, 0.0, np.nan, np.inf, 91.0], radius=1.0)) == 0
    assert len(index.match([0.0, 0.0], [0.0, 0.0], radius=[np.nan, -1.0])) == 0


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(CatalogueError, match="source 1 has no position"):
        SkyIndex.build([0.0, np.nan], [0.0, 0.0])
    with pytest.raises(CatalogueError, match="source 0 has the radius -1"):
        SkyIndex.build([0.0], [0.0], radius=-1.0)
    with pytest.raises(CatalogueError, match=r"ratio 1\.5"):
        SkyIndex.build([0.0], [0.0], radius=1.0, axis_ratio=[1.5])
    with pytest.raises(CatalogueError, match="semi-major"):
        SkyIndex.build([0.0], [0.0], axis_ratio=[0.5])
    with pytest.raises(CatalogueError, match="give one"):
        SkyIndex.build([0.0], [0.0]).match([0.0], [0.0])
    with pytest.raises(CatalogueError, match="give none"):
        SkyIndex.build([0.0], [0.0], radius=1.0).match([0.0], [0.0], radius=1.0)


def test_tables_hold_about_eight_sources_in_a_pixel() -> None:
    for n in (1_000, 100_000, 10**8, 1_800_000_000):
        assert 4 <= n / (12 << (2 * table_order(n))) <= 21
