"""Places that users name: every alert gets the answer of an exhaustive comparison, at the poles and across 0 degrees too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from astropy import units
from astropy.coordinates import Latitude, Longitude
from cdshealpix import nested

from fink.errors import ConditionError, NotFoundError
from fink.filters.places import Area, PositionList, open_places
from fink.filters.users import UserSubstream
from fink.sky import separation

RNG = np.random.default_rng(5)


def sky(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Give positions everywhere, many of them near the poles and near right ascension 0."""
    ra, dec = RNG.uniform(0, 360, n), np.degrees(np.arcsin(RNG.uniform(-1, 1, n)))
    third = n // 3
    dec[:third] = np.where(RNG.random(third) < 0.5, 90.0, -90.0) + RNG.choice([-1, 1], third) * RNG.exponential(0.02, third)
    dec = np.where(np.abs(dec) > 90, np.sign(dec) * (180 - np.abs(dec)), dec)
    ra[third : 2 * third] = RNG.normal(0, 0.02, third) % 360.0
    dec[third : 2 * third] = RNG.normal(0, 0.5, third)
    dec[0], dec[1], ra[third] = 90.0, -90.0, 0.0
    return ra, dec


def entries(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, pa.Array]:
    ra, dec = sky(n)
    # from 0 to ten degrees: most small, some very large
    radius = np.where(RNG.random(n) < 0.01, RNG.uniform(0, 36_000, n), RNG.exponential(60.0, n))
    return ra, dec, radius, pa.array([f"e{i}" for i in range(n)])


def test_a_list_takes_what_an_exhaustive_comparison_takes(tmp_path: Path) -> None:
    ra, dec, radius, names = entries(1500)
    listed = PositionList.open(tmp_path / PositionList.build(ra, dec, radius, names).write(tmp_path))
    at_ra, at_dec = sky(3000)
    inside, said = listed.match(at_ra, at_dec)
    apart = separation(at_ra[:, None], at_dec[:, None], ra[None, :], dec[None, :]) * 3600.0
    within = np.asarray(apart <= radius.astype(np.float32).astype(np.float64))
    # where rounding decides, either answer is right
    clear = np.asarray(np.all(np.abs(apart - radius) > 1e-6, axis=1))
    assert clear.sum() > 2900
    np.testing.assert_array_equal(inside[clear], np.asarray(within.any(axis=1))[clear])
    assert 500 < inside.sum() < 2900
    nearest = np.where(within, apart, np.inf).argmin(axis=1)
    rows = np.flatnonzero(inside & clear)
    assert said["entry"].take(pa.array(rows)).to_pylist() == [f"e{i}" for i in nearest[rows]]
    np.testing.assert_allclose(said["entry_separation"].to_numpy()[rows], apart[rows, nearest[rows]], rtol=1e-5, atol=1e-5)
    assert said["entry"].null_count == said["entry_separation"].null_count == (~inside).sum()


def test_a_position_that_is_none_is_nowhere(tmp_path: Path) -> None:
    listed = PositionList.build(np.array([0.0]), np.array([0.0]), np.array([36_000.0]), pa.array(["a"]))
    area = Area(np.array([[0, 12 << 58]], np.int64))
    for places in (listed, area):
        inside, _ = places.match(np.array([np.nan, 0.0, 1.0]), np.array([0.0, np.nan, 1.0]))
        assert inside.tolist() == [False, False, True]


def test_the_same_list_is_written_once_and_a_changed_one_beside_it(tmp_path: Path) -> None:
    ra, dec, radius, names = entries(50)
    one = PositionList.build(ra, dec, radius, names)
    shuffled = RNG.permutation(50)
    again = PositionList.build(ra[shuffled], dec[shuffled], radius[shuffled], names.take(pa.array(shuffled)))
    renamed = PositionList.build(ra, dec, radius, pa.array([f"f{i}" for i in range(50)]))
    identities = [places.write(tmp_path) for places in (one, one, again, renamed)]
    assert identities[0] == identities[1] == identities[2] != identities[3]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({*identities})


@pytest.mark.parametrize(
    ("ra", "dec", "radius", "said"),
    [(np.nan, 0.0, 1.0, "row 2 has no position"), (1.0, 91.0, 1.0, "dec from -90"), (1.0, 1.0, -1.0, "radius"), (1.0, 1.0, 4e4, "area")],
)
def test_a_row_that_cannot_be_is_named(ra: float, dec: float, radius: float, said: str) -> None:
    with pytest.raises(ConditionError, match=said):
        PositionList.build(np.array([0.0, ra]), np.array([0.0, dec]), np.array([1.0, radius]), pa.array(["a", "b"]))


def test_an_area_takes_the_pixels_that_it_is_made_of(tmp_path: Path) -> None:
    order = 6
    chosen = np.sort(RNG.choice(12 << (2 * order), 9000, replace=False)).astype(np.int64)
    shift = 2 * (29 - order)
    area = Area(np.column_stack([chosen << shift, (chosen + 1) << shift]))
    area = Area.open(tmp_path / area.write(tmp_path))
    ra, dec = sky(20_000)
    pixels = nested.lonlat_to_healpix(Longitude(ra * units.deg), Latitude(dec * units.deg), order)
    inside, said = area.match(ra, dec)
    assert said is None
    np.testing.assert_array_equal(inside, np.isin(pixels.astype(np.int64), chosen))
    assert area.square_degrees == pytest.approx(9000 / (12 << (2 * order)) * 41252.96, rel=1e-6)


def test_places_that_are_gone_are_named(tmp_path: Path) -> None:
    missing = UserSubstream("mine", "ana", 1, "mine", kind="watchlist", places="0" * 32)
    with pytest.raises(NotFoundError, match="the watchlist of mine cannot be read"):
        open_places(tmp_path, missing)
    assert open_places(tmp_path, UserSubstream("mine", "ana", 1, "mine")) is None
