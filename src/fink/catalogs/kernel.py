"""The comparison of positions with sources, compiled: ranges of sources that a circle may hold, then one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fink.catalogs.covering import MOST_PIXELS, cover_circle, order_of_circle
from fink.sky import pixel_at

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ARCSEC = np.pi / 648000.0
"""One arcsec [rad]."""

DEEPEST = 29
"""HEALPix order by which sources are sorted."""

_CROWDED = 128
"""Sources in a pixel of the table that make a search look more closely."""


@njit(cache=True, nogil=True)
def unit_vector(ra: float, dec: float) -> Any:
    """Direction of a position [deg]."""
    a, d = np.radians(ra), np.radians(dec)
    return np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)


@njit(cache=True, nogil=True)
def moved(ra: float, dec: float, pm_ra: float, pm_dec: float, years: float) -> Any:
    """Direction of a source [deg, mas / yr] after some years, moving along a straight line in space across the line of sight."""
    a, d = np.radians(ra), np.radians(dec)
    east, north = pm_ra * years * 1e-3 * ARCSEC, pm_dec * years * 1e-3 * ARCSEC
    x = np.cos(d) * np.cos(a) - east * np.sin(a) - north * np.sin(d) * np.cos(a)
    y = np.cos(d) * np.sin(a) + east * np.cos(a) - north * np.sin(d) * np.sin(a)
    z = np.sin(d) + north * np.cos(d)
    length = np.sqrt(x * x + y * y + z * z)
    return x / length, y / length, z / length


@njit(cache=True, nogil=True)
def extent(px: float, py: float, pz: float, sx: float, sy: float, sz: float, size: float, ratio: float, angle: float) -> Any:
    """Distance from a source's centre to the edge of its ellipse in the direction of a position, in the unit of its size.

    This is the directional light radius of galaxies (Sullivan et al. 2006, doi:10.1086/506137) where the size is one.
    """
    if ratio == 1.0:
        return size
    # the position as seen from the source: to the east and to the north of it
    across = np.sqrt(sx * sx + sy * sy)
    if across == 0.0:
        east, north = py, -px * sz
    else:
        east = (py * sx - px * sy) / across
        north = pz * across - sz * (px * sx + py * sy) / across
    length = np.hypot(east, north)
    if length == 0.0:
        return size
    turn = np.radians(angle)
    along = (north * np.cos(turn) + east * np.sin(turn)) / length
    aside = (east * np.cos(turn) - north * np.sin(turn)) / length
    return size / np.sqrt(along * along + (aside / ratio) ** 2)


@njit(cache=True, nogil=True)
def _first_in(positions: Floats, low: int, high: int, cell: int) -> Any:
    """Give the first row from ``low`` to ``high`` whose HEALPix number of order 29 is not below ``cell``."""
    while low < high:
        middle = (low + high) >> 1
        if pixel_at(DEEPEST, positions[middle, 0], positions[middle, 1]) < cell:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _ranges(
    ra: float, dec: float, radius: float, positions: Floats, offsets: Ints, order: int, start: int, pixels: Ints, ranges: Ints
) -> Any:
    """Write the ranges of rows of one tier that hold every source within a radius [rad]; give their number."""
    finest = order_of_circle(radius)
    if finest < 0:
        ranges[0, 0], ranges[0, 1] = offsets[start], offsets[start + (np.int64(12) << (2 * order))]
        return 1
    own = start + pixel_at(order, ra, dec)
    crowded = finest > order and offsets[own + 1] - offsets[own] > _CROWDED
    level = finest if crowded else min(finest, np.int64(order))
    count = cover_circle(level, ra, dec, radius, pixels)
    for j in range(count):
        if level <= order:
            down = 2 * (order - level)
            ranges[j, 0], ranges[j, 1] = offsets[start + (pixels[j] << down)], offsets[start + ((pixels[j] + 1) << down)]
            continue
        coarse = start + (pixels[j] >> (2 * (level - order)))
        up = 2 * (DEEPEST - level)
        ranges[j, 0] = _first_in(positions, offsets[coarse], offsets[coarse + 1], pixels[j] << up)
        ranges[j, 1] = _first_in(positions, ranges[j, 0], offsets[coarse + 1], (pixels[j] + 1) << up)
    return count


@njit(cache=True, nogil=True)
def _compare(
    j: int,
    px: float,
    py: float,
    pz: float,
    years: float,
    radius: float,
    positions: Floats,
    motion: NDArray[np.float32],
    shape: NDArray[np.float32],
) -> Any:
    """Give the separation of a direction from source ``j``, and the largest that would match, both [arcsec]."""
    if len(motion):
        sx, sy, sz = moved(positions[j, 0], positions[j, 1], motion[j, 0], motion[j, 1], years)
    else:
        sx, sy, sz = unit_vector(positions[j, 0], positions[j, 1])
    chord = np.sqrt((px - sx) ** 2 + (py - sy) ** 2 + (pz - sz) ** 2)
    apart = 2.0 * np.arcsin(min(0.5 * chord, 1.0)) / ARCSEC
    limit = extent(px, py, pz, sx, sy, sz, shape[j, 0], shape[j, 1], shape[j, 2]) if len(shape) else radius
    return apart, limit


@njit(cache=True, nogil=True)
def search(
    ra: Floats,
    dec: Floats,
    radius: Floats,
    years: Floats,
    positions: Floats,
    motion: NDArray[np.float32],
    shape: NDArray[np.float32],
    offsets: Ints,
    tier_order: Ints,
    tier_start: Ints,
    tier_reach: Floats,
    tier_motion: Floats,
    nearest: bool,
    elliptical: bool,
    pairs: Ints,
    measures: Floats,
) -> Any:
    """Find sources; write as many pairs as there is room for, and give how many there are."""
    count = 0
    pixels, ranges = np.empty(MOST_PIXELS, np.int64), np.empty((MOST_PIXELS, 2), np.int64)
    for i in range(len(ra)):
        if not (np.isfinite(ra[i]) and abs(dec[i]) <= 90.0 and radius[i] >= 0.0 and np.isfinite(years[i])):
            continue
        best_rank = np.inf
        px, py, pz = unit_vector(ra[i], dec[i])
        for t in range(len(tier_order)):
            reach = (tier_reach[t] if len(shape) else radius[i]) + tier_motion[t] * 1e-3 * abs(years[i])
            strip = reach / 3600.0 * (1.0 + 1e-9) + 1e-12
            for k in range(_ranges(ra[i], dec[i], reach * ARCSEC, positions, offsets, tier_order[t], tier_start[t], pixels, ranges)):
                for j in range(ranges[k, 0], ranges[k, 1]):
                    if abs(positions[j, 1] - dec[i]) > strip:
                        continue
                    apart, limit = _compare(j, px, py, pz, years[i], radius[i], positions, motion, shape)
                    if not apart <= limit:
                        continue
                    share = apart / limit if limit > 0.0 else 0.0
                    rank = share if elliptical else apart
                    if nearest and not (rank < best_rank or (rank == best_rank and j < pairs[count, 1])):
                        continue
                    best_rank = rank
                    if count < len(pairs):
                        pairs[count, 0], pairs[count, 1], measures[count, 0], measures[count, 1] = i, j, apart, share
                    count += 0 if nearest else 1
        count += 1 if nearest and best_rank < np.inf else 0
    return count
