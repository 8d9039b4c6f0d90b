"""Small circles on the sky and the HEALPix pixels that they touch: at most four, across the edges of faces and at the poles too.

Within a face the position in units of its side changes by less than 1.5 for each radian on the sky, everywhere. So a circle
around a position touches only pixels that a square of 1.5 times its size touches, and where a pixel's side is at least that of
the square, these are at most four. Górski et al. 2005, doi:10.1086/427976.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fink.sky import nested_pixel

STRETCH = 1.5
"""Upper bound of the change of the position in a face, in units of its side, for each radian."""

MOST_PIXELS = 4

ROUNDING = 5e-10
"""What is added to a circle's radius for rounding [rad]: a quarter of the side of a pixel of order 29."""

# Where a step over an edge of one of the 12 faces leads. First index: 3 (sign of the step in y + 1) + sign of the step in x + 1;
# second index: the face. Three faces meet at eight of the corners: there -1, no face lies across.
_FACE_BESIDE = np.array(
    [
        [8, 9, 10, 11, -1, -1, -1, -1, 10, 11, 8, 9],
        [5, 6, 7, 4, 8, 9, 10, 11, 9, 10, 11, 8],
        [-1, -1, -1, -1, 5, 6, 7, 4, -1, -1, -1, -1],
        [4, 5, 6, 7, 11, 8, 9, 10, 11, 8, 9, 10],
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
        [1, 2, 3, 0, 0, 1, 2, 3, 5, 6, 7, 4],
        [-1, -1, -1, -1, 7, 4, 5, 6, -1, -1, -1, -1],
        [3, 0, 1, 2, 3, 0, 1, 2, 4, 5, 6, 7],
        [2, 3, 0, 1, -1, -1, -1, -1, 0, 1, 2, 3],
    ],
    dtype=np.int64,
)
# How the axes of the face beside lie to those of this one, for the four northern, equatorial and southern faces:
# 1 turns x around, 2 turns y around, 4 swaps them afterwards.
_TURN = np.array([[0, 0, 3], [0, 0, 6], [0, 0, 0], [0, 0, 5], [0, 0, 0], [5, 0, 0], [0, 0, 0], [6, 0, 0], [3, 0, 0]], dtype=np.int64)


@njit(cache=True, nogil=True)
def face_position(ra: float, dec: float) -> Any:
    """Give the face of a position [deg] and where on it, as ``(face, x, y)`` with x and y from 0 to 1."""
    z = np.sin(np.radians(dec))
    t = (ra % 360.0) / 90.0
    if abs(z) <= 2.0 / 3.0:
        up, down = 0.5 + t - 0.75 * z, 0.5 + t + 0.75 * z
        jp, jm = np.int64(np.floor(up)), np.int64(np.floor(down))
        face = (jp & 3) | 4 if jp == jm else (jp & 3 if jp < jm else (jm & 3) + 8)
        return face, down - jm, 1.0 - (up - jp)
    quarter = min(np.int64(t), np.int64(3))
    edge = np.sqrt(6.0) * np.sin(np.radians((90.0 - abs(dec)) * 0.5))
    along, against = (t - quarter) * edge, (1.0 - (t - quarter)) * edge
    if z >= 0:
        return quarter, 1.0 - against, 1.0 - along
    return quarter + 8, along, against


@njit(cache=True, nogil=True)
def pixel_beside(order: int, face: int, ix: Any, iy: Any) -> Any:
    """Give the pixel at column ``ix`` and row ``iy`` of a face, either of which may be one step over its edge; -1 where none is."""
    n_side: Any = np.int64(1) << order
    side = 4
    if ix < 0:
        ix, side = ix + n_side, side - 1
    elif ix >= n_side:
        ix, side = ix - n_side, side + 1
    if iy < 0:
        iy, side = iy + n_side, side - 3
    elif iy >= n_side:
        iy, side = iy - n_side, side + 3
    beside = _FACE_BESIDE[side, face]
    if beside < 0:
        return np.int64(-1)
    turn = _TURN[side, face >> 2]
    if turn & 1:
        ix = n_side - ix - 1
    if turn & 2:
        iy = n_side - iy - 1
    if turn & 4:
        ix, iy = iy, ix
    return nested_pixel(order, beside, ix, iy)


@njit(cache=True, nogil=True)
def order_of_circle(radius: float) -> Any:
    """Give the finest order at which a circle of this radius [rad] touches at most four pixels; -1 where there is none."""
    square = 2.0 * STRETCH * (radius + ROUNDING)
    order = np.int64(-1)
    while order < 29 and square * (np.int64(1) << (order + 1)) <= 1.0:
        order += 1
    return order


@njit(cache=True, nogil=True)
def cover_circle(order: int, ra: float, dec: float, radius: float, pixels: NDArray[np.int64]) -> Any:
    """Write the pixels of an order (at most `order_of_circle`) that a circle [deg, deg, rad] touches; give their number.

    A pixel that it does not touch may be among them, one that it touches is never missing.
    """
    n_side = np.int64(1) << order
    face, x, y = face_position(ra, dec)
    reach = STRETCH * (radius + ROUNDING)
    first_x, last_x = np.int64(np.floor((x - reach) * n_side)), np.int64(np.floor((x + reach) * n_side))
    first_y, last_y = np.int64(np.floor((y - reach) * n_side)), np.int64(np.floor((y + reach) * n_side))
    count = 0
    for iy in range(first_y, last_y + 1):
        for ix in range(first_x, last_x + 1):
            pixel = pixel_beside(order, face, ix, iy)
            known = pixel < 0
            for j in range(count):
                known = known or pixels[j] == pixel
            if not known:
                pixels[count] = pixel
                count += 1
    return count
