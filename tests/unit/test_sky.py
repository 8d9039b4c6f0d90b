"""Geometry and time against astropy and cdshealpix."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import Latitude, Longitude, SkyCoord
from astropy.time import Time
from cdshealpix import lonlat_to_healpix

from fink import sky

RNG = np.random.default_rng(7)
RA = np.concatenate([RNG.uniform(0, 360, 20000), np.zeros(50), np.full(50, np.nextafter(360, 0)), RNG.uniform(0, 360, 400)])
DEC = np.degrees(np.arcsin(RNG.uniform(-1, 1, len(RA))))
DEC[-400:-200], DEC[-200:] = 90 - 10 ** RNG.uniform(-12, 0, 200), -90 + 10 ** RNG.uniform(-12, 0, 200)


@pytest.mark.parametrize("order", [0, 3, 8, 14, 20, 29])
def test_healpix_equals_cdshealpix(order: int) -> None:
    expected = lonlat_to_healpix(Longitude(RA * u.deg), Latitude(DEC * u.deg), order).astype(np.int64)
    assert (sky.healpix(order, RA, DEC) == expected).all()


def test_healpix_of_no_position() -> None:
    assert sky.healpix(8, np.array([np.nan, 10.0]), np.array([0.0, 91.0])).tolist() == [-1, -1]


def test_galactic_and_ecliptic_within_a_tenth_of_an_arcsecond() -> None:
    there = SkyCoord(RA * u.deg, DEC * u.deg)
    longitude, latitude = sky.galactic(RA, DEC)
    assert sky.separation(longitude, latitude, there.galactic.l.deg, there.galactic.b.deg).max() * 3600 < 0.1
    longitude, latitude = sky.ecliptic(RA, DEC)
    ecliptic = there.barycentricmeanecliptic
    assert sky.separation(longitude, latitude, ecliptic.lon.deg, ecliptic.lat.deg).max() * 3600 < 0.1


def test_separation_equals_astropy_at_all_scales() -> None:
    near_ra, near_dec = RA + 10 ** RNG.uniform(-10, 1, len(RA)), np.clip(DEC + 10 ** RNG.uniform(-10, 1, len(RA)), -90, 90)
    expected = SkyCoord(RA * u.deg, DEC * u.deg).separation(SkyCoord(near_ra * u.deg, near_dec * u.deg)).deg
    np.testing.assert_allclose(sky.separation(RA, DEC, near_ra, near_dec), expected, rtol=1e-9, atol=1e-13)


def test_tai_and_back_across_leap_seconds() -> None:
    mjd = np.concatenate([np.arange(43000, 62000, 7.3), [57753.999, 57754.0, 57754.0001]])
    days = np.arange(41316.0, 61316.0)
    holds_leap_second = np.isin(np.floor(mjd) + 1, days[1:][np.diff(sky.tai_minus_utc(days)) > 0])
    mjd = mjd[~holds_leap_second]  # astropy stretches those days
    tai = sky.utc_to_tai(mjd)
    np.testing.assert_allclose(tai, Time(mjd, format="mjd", scale="utc").tai.mjd, rtol=0, atol=2e-6 / 86.4)
    np.testing.assert_allclose(sky.tai_to_utc(tai), mjd, rtol=0, atol=1e-10)


def test_calendar_date() -> None:
    mjd = np.array([58451.17, 40587.0, 61000.9999, np.nan, 58118.0])
    expected = [int(Time(value, format="mjd").strftime("%Y%m%d")) if np.isfinite(value) else 0 for value in mjd]
    assert sky.calendar_date(mjd).tolist() == expected
