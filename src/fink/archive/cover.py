"""Caps of the sky as ranges of HEALPix pixels: what a cone search asks the index for."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fink.archive.keys import SKY_ORDER

_DEEPEST = 18
"""Order of the smallest pixels in a cover, 0.8 arcsec: smaller ones would not leave out more alerts."""


@njit(cache=True, nogil=True)
def _squeeze(value: int) -> int:
    """Take every second bit of a number: one of the two coordinates of a nested pixel."""
    x = np.uint64(value) & np.uint64(0x5555555555555555)
    x = (x | (x >> np.uint64(1))) & np.uint64(0x3333333333333333)
    x = (x | (x >> np.uint64(2))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    x = (x | (x >> np.uint64(4))) & np.uint64(0x00FF00FF00FF00FF)
    x = (x | (x >> np.uint64(8))) & np.uint64(0x0000FFFF0000FFFF)
    return int(np.int64((x | (x >> np.uint64(16))) & np.uint64(0x00000000FFFFFFFF)))


@njit(cache=True, nogil=True)
def _centre(order: int, pixel: int) -> tuple[float, float, float]:
    """Unit vector of the centre of a nested pixel (Górski et al. 2005, doi:10.1086/427976)."""
    n_side = np.int64(1) << order
    face, inside = pixel >> (2 * order), pixel & (n_side * n_side - 1)
    x, y = (_squeeze(inside) + 0.5) / n_side, (_squeeze(inside >> 1) + 0.5) / n_side
    row, column = face // 4, face % 4
    ring = row + 2.0 - x - y
    east = 2.0 * column + (0.0 if row == 1 else 1.0)
    if 1.0 <= ring <= 3.0:
        radius, z = 1.0, (2.0 - ring) * 2.0 / 3.0
        rho = np.sqrt(1.0 - z * z)
    else:
        radius = ring if ring < 1.0 else 4.0 - ring
        z = (1.0 - radius * radius / 3.0) * (1.0 if ring < 1.0 else -1.0)
        rho = radius * np.sqrt((2.0 - radius * radius / 3.0) / 3.0)
    phi = np.pi / 4.0 * (east + (x - y) / radius)
    return rho * np.cos(phi), rho * np.sin(phi), z


@njit(cache=True, nogil=True)
def _reach(order: int) -> float:
    """Largest distance of a pixel's corner from its centre at an order [rad]."""
    n_side = 2.0**order
    z1, phi = 2.0 / 3.0, np.pi / (4.0 * n_side)
    z2 = 1.0 - (1.0 - 1.0 / n_side) ** 2 / 3.0
    rho1, rho2 = np.sqrt(1.0 - z1 * z1), np.sqrt(max(1.0 - z2 * z2, 0.0))
    dx, dy, dz = rho1 * np.cos(phi) - rho2, rho1 * np.sin(phi), z1 - z2
    return float(2.0 * np.arcsin(min(1.0, 0.5 * np.sqrt(dx * dx + dy * dy + dz * dz))))


@njit(cache=True, nogil=True)
def cover_cap(ra: float, dec: float, radius: float) -> NDArray[np.int64]:
    """Give ranges of order-29 nested pixels that together hold every position within a cap.

    Parameters
    ----------
    ra, dec
        Centre of the cap [deg].
    radius
        Its radius [deg].

    Returns
    -------
    ranges
        (k, 2), first pixel and first pixel after, in order, apart from one another; together somewhat larger than the cap.
    """
    a, d, r = np.radians(ra), np.radians(dec), np.radians(radius) + 1e-12
    cx, cy, cz = np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)
    target = 0
    while target < _DEEPEST and _reach(target) > 0.5 * r:
        target += 1
    reach = np.array([_reach(order) for order in range(target + 1)])
    out = [(np.int64(0), np.int64(0))]
    stack = [(np.int64(0), np.int64(11 - face)) for face in range(12)]
    while len(stack):
        order, pixel = stack.pop()
        x, y, z = _centre(order, pixel)
        apart = 2.0 * np.arcsin(min(1.0, 0.5 * np.sqrt((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2)))
        if apart > r + reach[order] + 1e-9:
            continue
        if order == target or apart + reach[order] <= r:
            shift = 2 * (SKY_ORDER - order)
            first, last = pixel << shift, (pixel + 1) << shift
            if out[-1][1] == first:
                out[-1] = (out[-1][0], last)
            else:
                out.append((first, last))
        else:
            # the last one pushed is taken first, so ranges come in order
            stack.extend([(np.int64(order + 1), np.int64(4 * pixel + child)) for child in (3, 2, 1, 0)])
    ranges = np.empty((len(out), 2), np.int64)
    for i in range(len(out)):
        ranges[i, 0], ranges[i, 1] = out[i]
    return ranges[ranges[:, 1] > ranges[:, 0]]
