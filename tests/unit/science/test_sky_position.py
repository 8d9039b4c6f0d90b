"""Latitudes against astropy."""

from __future__ import annotations

import numpy as np
from astropy import units
from astropy.coordinates import BarycentricMeanEcliptic, SkyCoord

from fink.science.sky_position import sky_position


def test_latitudes_are_astropys() -> None:
    rng = np.random.default_rng(6)
    ra, dec = rng.uniform(0.0, 360.0, 2000), np.degrees(np.arcsin(rng.uniform(-1.0, 1.0, 2000)))
    found = sky_position.function(ra, dec)
    position = SkyCoord(ra * units.deg, dec * units.deg)
    ecliptic = position.transform_to(BarycentricMeanEcliptic(equinox="J2000"))
    assert np.abs(found["galactic_latitude"] - position.galactic.b.deg).max() * 3600.0 < 0.02
    assert np.abs(found["ecliptic_latitude"] - ecliptic.lat.deg).max() * 3600.0 < 0.06


def test_unknown_positions_have_no_latitude() -> None:
    found = sky_position.function(np.array([np.nan, 10.0, np.inf]), np.array([0.0, np.nan, 5.0]))
    assert np.isnan(found["galactic_latitude"]).all()
    assert np.isnan(found["ecliptic_latitude"]).all()
