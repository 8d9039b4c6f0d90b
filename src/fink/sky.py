"""Geometry and time: positions on the sphere, HEALPix pixels, time scales, nights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

MJD_OF_JD = 2400000.5
"""MJD = JD - MJD_OF_JD."""

_LEAP_MJD = np.array(
    [
        41317,
        41499,
        41683,
        42048,
        42413,
        42778,
        43144,
        43509,
        43874,
        44239,
        44786,
        45151,
        45516,
        46247,
        47161,
        47892,
        48257,
        48804,
        49169,
        49534,
        50083,
        50630,
        51179,
        53736,
        54832,
        56109,
        57204,
        57754,
    ],
    dtype=np.float64,
)
"""UTC dates [MJD] from which TAI - UTC is 10, 11, 12… seconds (IERS Bulletin C)."""

GALACTIC_POLE_RA, GALACTIC_POLE_DEC, GALACTIC_NODE_L = 192.85948, 27.12825, 122.93192
"""ICRS position of the north galactic pole, and galactic longitude of the north celestial pole [deg]."""

OBLIQUITY = 84381.406 / 3600.0
"""Mean obliquity of the ecliptic at J2000, IAU 2006 [deg]."""


def tai_minus_utc(mjd_utc: NDArray[np.float64]) -> NDArray[np.float64]:
    """Leap seconds at these UTC dates [s]; 10 before 1972."""
    return np.broadcast_to(_leap_seconds(mjd_utc), np.shape(mjd_utc))


def _leap_seconds(mjd_utc: NDArray[np.float64]) -> NDArray[np.float64] | float:
    """Leap seconds at these UTC dates [s]: one number where no date is before the last leap, as of all surveys' alerts."""
    if np.size(mjd_utc) and np.min(mjd_utc) >= _LEAP_MJD[-1]:
        return len(_LEAP_MJD) + 9.0
    return np.maximum(np.searchsorted(_LEAP_MJD, mjd_utc, side="right"), 1) + 9.0


def utc_to_tai(mjd_utc: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn MJD in UTC into MJD in TAI."""
    return mjd_utc + _leap_seconds(mjd_utc) / 86400.0


def tai_to_utc(mjd_tai: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn MJD in TAI into MJD in UTC, exact but for the leap second itself."""
    return mjd_tai - _leap_seconds(mjd_tai - _leap_seconds(mjd_tai) / 86400.0) / 86400.0


def calendar_date(mjd: NDArray[np.float64]) -> NDArray[np.int32]:
    """Give the calendar date of an MJD, in its own time scale, as YYYYMMDD; 0 where it is not a number."""
    good = np.isfinite(mjd)
    days = np.floor(np.where(good, mjd, np.min(mjd, initial=np.inf, where=good) if good.any() else 0.0)).astype(np.int64) - 40587
    first, last = (int(days.min()), int(days.max())) if days.size else (0, 0)
    # a batch is of one night or few: their dates are looked up
    dates = _date_of_day(np.arange(first, last + 1))[days - first] if last - first < days.size else _date_of_day(days)
    return np.where(good, dates, 0).astype(np.int32)


def _date_of_day(days: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give the calendar date of a day counted from 1970, as YYYYMMDD."""
    date = days.astype("datetime64[D]")
    month = date.astype("datetime64[M]")
    months = month.astype(np.int64)
    day = (date - month.astype("datetime64[D]")).astype(np.int64) + 1
    return np.asarray((months // 12 + 1970) * 10000 + (months % 12 + 1) * 100 + day)


def separation(
    ra1: NDArray[np.float64], dec1: NDArray[np.float64], ra2: NDArray[np.float64], dec2: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Angle between positions [deg], exact at all scales (Vincenty's formula); all arguments in degrees."""
    a1, d1, a2, d2 = (np.radians(np.asarray(x, np.float64)) for x in (ra1, dec1, ra2, dec2))
    da = a2 - a1
    across = np.hypot(np.cos(d2) * np.sin(da), np.cos(d1) * np.sin(d2) - np.sin(d1) * np.cos(d2) * np.cos(da))
    along = np.sin(d1) * np.sin(d2) + np.cos(d1) * np.cos(d2) * np.cos(da)
    return np.asarray(np.degrees(np.arctan2(across, along)))


def galactic(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Galactic longitude and latitude of ICRS positions [deg]."""
    a, d, pole = np.radians(ra - GALACTIC_POLE_RA), np.radians(dec), np.radians(GALACTIC_POLE_DEC)
    sin_b = np.sin(d) * np.sin(pole) + np.cos(d) * np.cos(pole) * np.cos(a)
    y = np.cos(d) * np.sin(a)
    x = np.sin(d) * np.cos(pole) - np.cos(d) * np.sin(pole) * np.cos(a)
    longitude = (GALACTIC_NODE_L - np.degrees(np.arctan2(y, x))) % 360.0
    return longitude, np.degrees(np.arcsin(np.clip(sin_b, -1.0, 1.0)))


def ecliptic(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ecliptic longitude and latitude at J2000 of ICRS positions [deg]; the frame bias (0.02 arcsec) is left out."""
    a, d, tilt = np.radians(ra), np.radians(dec), np.radians(OBLIQUITY)
    sin_b = np.sin(d) * np.cos(tilt) - np.cos(d) * np.sin(tilt) * np.sin(a)
    y = np.sin(a) * np.cos(tilt) * np.cos(d) + np.sin(d) * np.sin(tilt)
    longitude = np.degrees(np.arctan2(y, np.cos(d) * np.cos(a))) % 360.0
    return longitude, np.degrees(np.arcsin(np.clip(sin_b, -1.0, 1.0)))


@njit(cache=True, nogil=True)
def _spread(value: Any) -> Any:
    """Put a zero between the bits of a number, which interleaves two of them into a nested pixel number."""
    x = np.uint64(value)
    x = (x | (x << np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
    x = (x | (x << np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
    x = (x | (x << np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    x = (x | (x << np.uint64(2))) & np.uint64(0x3333333333333333)
    return np.int64((x | (x << np.uint64(1))) & np.uint64(0x5555555555555555))


@njit(cache=True, nogil=True)
def pixel_at(order: int, ra: float, dec: float) -> Any:
    """HEALPix pixel, nested scheme, of one position [deg]; -1 where it is not finite. For kernels; see `healpix`."""
    if not (np.isfinite(ra) and abs(dec) <= 90.0):
        return np.int64(-1)
    n_side = np.int64(1) << order
    z = np.sin(np.radians(dec))
    za = abs(z)
    t = (ra % 360.0) / 90.0
    if za <= 2.0 / 3.0:
        up, down = n_side * (0.5 + t - z * 0.75), n_side * (0.5 + t + z * 0.75)
        jp, jm = np.int64(np.floor(up)), np.int64(np.floor(down))
        ifp, ifm = jp >> order, jm >> order
        if ifp == ifm:
            face = (ifp & 3) | 4
        elif ifp < ifm:
            face = ifp & 3
        else:
            face = (ifm & 3) + 8
        ix, iy = jm & (n_side - 1), n_side - (jp & (n_side - 1)) - 1
    else:
        quarter = min(np.int64(t), np.int64(3))
        # 3 (1 - |z|) loses all digits near a pole; the half angle keeps them
        s = np.sin(np.radians((90.0 - abs(dec)) * 0.5))
        edge = n_side * np.sqrt(6.0) * s
        jp = min(np.int64((t - quarter) * edge), n_side - 1)
        jm = min(np.int64((1.0 - (t - quarter)) * edge), n_side - 1)
        if z >= 0:
            face, ix, iy = quarter, n_side - jm - 1, n_side - jp - 1
        else:
            face, ix, iy = quarter + 8, jp, jm
    return nested_pixel(order, face, ix, iy)


@njit(cache=True, nogil=True)
def nested_pixel(order: int, face: int, ix: int, iy: int) -> Any:
    """Number, in the nested scheme, of the pixel at column ``ix`` and row ``iy`` of one of the 12 faces. For kernels."""
    return (np.int64(face) << (2 * order)) + _spread(ix) + (_spread(iy) << 1)


@njit(cache=True, nogil=True)
def healpix(order: int, ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.int64]:
    """HEALPix pixel, nested scheme, of positions [deg] at an order from 0 to 29.

    A position that is not finite gives -1. Górski et al. 2005, doi:10.1086/427976.
    """
    out = np.empty(len(ra), np.int64)
    for i in range(len(ra)):
        out[i] = pixel_at(order, ra[i], dec[i])
    return out
