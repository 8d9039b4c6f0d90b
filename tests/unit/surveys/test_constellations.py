"""Constellations are those of astropy, which reads the same boundaries."""

from __future__ import annotations

import numpy as np
from astropy.coordinates import SkyCoord, get_constellation
from numpy.typing import NDArray

from fink.surveys.constellations import constellations


def _astropys(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> list[str]:
    return [name.strip() for name in get_constellation(SkyCoord(ra, dec, unit="deg"))]


def test_constellations_are_astropys() -> None:
    random = np.random.default_rng(5)
    ra, dec = random.uniform(0, 360, 3000), np.degrees(np.arcsin(random.uniform(-1, 1, 3000)))
    mine, known = constellations(ra, dec).to_pylist(), _astropys(ra, dec)
    assert set(mine) == set(known)
    assert len(set(known)) == 88
    # astropy adds the aberration of the Earth's motion, 20 arcsec, which no boundary knows
    differ = np.flatnonzero(np.array(mine) != np.array(known))
    assert len(differ) < 10
    for i in differ:
        near = [(0.01, 0.0), (-0.01, 0.0), (0.0, 0.01), (0.0, -0.01)]
        around = _astropys(
            *(np.array(values) for values in zip(*((ra[i] + a / np.cos(np.radians(dec[i])), dec[i] + d) for a, d in near), strict=True))
        )
        assert mine[i] in around


def test_what_has_no_place_lies_nowhere() -> None:
    assert constellations(np.array([np.nan, 10.68]), np.array([0.0, 41.27])).to_pylist() == [None, "Andromeda"]
    assert len(constellations(np.zeros(0), np.zeros(0))) == 0
