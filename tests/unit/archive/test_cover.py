"""The cover of a cap holds every position in it, and is not much larger."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fink.archive.cover import cover_cap
from fink.sky import healpix, separation

WHOLE = 12 * 4.0**29


@settings(deadline=None)
@given(st.floats(0, 360), st.floats(-90, 90), st.floats(-5.5, 0.7), st.integers(0, 2**32 - 1))
def test_every_position_in_the_cap_is_covered(ra: float, dec: float, log_radius: float, seed: int) -> None:
    radius = 10.0**log_radius
    rng = np.random.default_rng(seed)
    # positions at random in the cap, many at its rim: turned from the pole to the centre
    apart = np.radians(radius) * np.minimum(1.0, np.sqrt(rng.uniform(0, 1.2, 300)))
    angle = rng.uniform(0, 2 * np.pi, 300)
    a, d = np.radians(ra), np.radians(dec)
    north = np.array([-np.sin(d) * np.cos(a), -np.sin(d) * np.sin(a), np.cos(d)])
    east, centre = np.array([-np.sin(a), np.cos(a), 0.0]), np.array([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])
    side = np.cos(angle) * north[:, None] + np.sin(angle) * east[:, None]
    x, y, z = centre[:, None] * np.cos(apart) + side * np.sin(apart)
    at_ra, at_dec = np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arctan2(z, np.hypot(x, y)))
    inside = separation(np.full(300, ra), np.full(300, dec), at_ra, at_dec) <= radius
    pixels = healpix(29, at_ra[inside], at_dec[inside])
    ranges = cover_cap(ra, dec, radius)
    place = np.searchsorted(ranges[:, 0], pixels, side="right") - 1
    assert (place >= 0).all()
    assert (pixels < ranges[place, 1]).all()
    assert (ranges[1:, 0] > ranges[:-1, 1]).all()


@pytest.mark.parametrize("radius", [5.0, 0.1, 0.01])
def test_the_cover_is_not_much_larger_than_the_cap(radius: float) -> None:
    rng = np.random.default_rng(2)
    shares = []
    for _ in range(50):
        ranges = cover_cap(rng.uniform(0, 360), np.degrees(np.arcsin(rng.uniform(-1, 1))), radius)
        assert len(ranges) < 60
        shares.append((ranges[:, 1] - ranges[:, 0]).sum() / WHOLE / np.sin(np.radians(radius) / 2) ** 2)
    assert 1.0 < np.mean(shares) < 4.0
