"""Points from several arrays of a packet into one light curve for each alert."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fink.codecs.kernel import (
    load_byte,
    load_float32,
    load_float64,
    load_half,
    load_half_word,
    load_word,
    store_byte,
    store_half,
    store_half_word,
    store_word,
)
from fink.lightcurves import DETECTION, LIMIT, POINT_TYPES, Band, LightCurves

Array = NDArray[Any]


class PointParts:
    """The points of several arrays of the packets, one part behind the other, on their way to one light curve for each alert.

    A part has a flat array of every name of `POINT_TYPES`: fill it with `fill`, or write into those that `part` gives.

    Parameters
    ----------
    offsets
        Of each part, (n + 1,): its points ``offsets[i]:offsets[i + 1]`` belong to alert ``i``.
    """

    def __init__(self, *offsets: Array) -> None:
        sizes = [int(part[-1]) for part in offsets]
        self._bases = [sum(sizes[:number]) for number in range(len(sizes) + 1)]
        self._starts = np.empty((len(offsets), len(offsets[0])), np.int64)
        for row, part, base in zip(self._starts, offsets, self._bases, strict=False):
            np.add(part, base, out=row)
        self.flat: dict[str, Array] = {name: np.empty(self._bases[-1], dtype) for name, dtype in POINT_TYPES.items()}

    def part(self, number: int) -> dict[str, Array]:
        """Give the arrays of one part, to be written to."""
        place = slice(self._bases[number], self._bases[number + 1])
        return {name: array[place] for name, array in self.flat.items()}

    def fill(self, number: int, **known: Array | int) -> None:
        """Write what is known of the points of a part, each an array of them or one number for all; the rest is unknown."""
        with np.errstate(over="ignore"):
            for name, array in self.part(number).items():
                array[:] = known[name] if name in known else _UNKNOWN[name]

    def joined(self, bands: tuple[Band, ...]) -> LightCurves:
        """Give one light curve for each alert, in time order, each point once.

        A point without time, band or flux is left out (a limit: without limiting flux). Of two copies of a point (the same number, or
        the same kind, time, band and detector) that of the earlier part stands, and within a part the earlier one.
        """
        joined: dict[str, Array] = {name: np.empty_like(array) for name, array in self.flat.items()}
        where = [np.array([array.ctypes.data for array in arrays.values()], np.int64) for arrays in (self.flat, joined)]
        offsets = join_points(self._starts, *where)
        return LightCurves(offsets=offsets, bands=bands, **{name: array[: offsets[-1]] for name, array in joined.items()})


_UNKNOWN = {"flux": np.nan, "flux_err": np.nan, "total_flux": np.nan, "total_flux_err": np.nan, "point_id": 0, "detector": -1}


@njit(cache=True, nogil=True)
def first_detections(offsets: Array, mjd: Array, kind: Array) -> Array:
    """Give the time of the first detection in each light curve [d], (n,); NaN where there is none. Points are in time order."""
    first = np.empty(len(offsets) - 1, np.float64)
    for i in range(len(first)):
        first[i] = np.nan
        for j in range(offsets[i], offsets[i + 1]):
            if kind[j] == DETECTION:
                first[i] = mjd[j]
                break
    return first


# The kernels below are given addresses, in the order of POINT_TYPES: arrays passed on to small functions cost more than what those do.
_MJD, _BAND, _KIND, _FLUX, _FLUX_ERR, _TOTAL_FLUX, _TOTAL_FLUX_ERR, _POINT_ID, _DETECTOR = range(9)


@njit(cache=True, nogil=True)
def join_points(starts: Array, points: Array, joined: Array) -> Array:
    """Write the points of each alert in time order, without copies and without what is no measurement; give the offsets, (n + 1,).

    Parameters
    ----------
    starts
        (parts, n + 1) int64, where the points of each alert begin in each part, counted through all parts.
    points, joined
        (9,) int64, addresses of the arrays of `POINT_TYPES`: those to read, and those to write.
    """
    n_parts, n = starts.shape[0], starts.shape[1] - 1
    most = np.int64(0)
    for i in range(n):
        together = np.int64(0)
        for part in range(n_parts):
            together += starts[part, i + 1] - starts[part, i]
        most = max(most, together)
    room = np.empty((3, most + 2), np.int64)
    order, spare, runs = room[0], room[1], room[2]
    mjd, kind, band, point_id = points[_MJD], points[_KIND], points[_BAND], points[_POINT_ID]
    offsets = np.empty(n + 1, np.int64)
    offsets[0] = 0
    at = np.int64(0)
    for i in range(n):
        count = np.int64(0)
        for part in range(n_parts):
            for j in range(starts[part, i], starts[part, i + 1]):
                flux = points[_FLUX_ERR] if load_byte(kind + j) == LIMIT else points[_FLUX]
                if np.isfinite(load_float32(flux + 4 * j)) and np.isfinite(load_float64(mjd + 8 * j)) and load_byte(band + j) < 128:
                    order[count] = j
                    count += 1
        _merge_runs(order, spare, runs, count, mjd, kind, band, point_id)
        for k in range(count):
            j = order[k]
            if not _is_copy(j, offsets[i], at, points, joined):
                _copy_point(j, at, points, joined)
                at += 1
        offsets[i + 1] = at
    return offsets


@njit(nogil=True, inline="always")
def _is_copy(j: int, first: int, last: int, points: Array, joined: Array) -> bool:
    """Say whether point ``j`` is one of those written to ``first:last``, the latest of which come just before it in time."""
    copy = False
    k = last - 1
    while not copy and k >= first and load_float64(joined[_MJD] + 8 * k) == load_float64(points[_MJD] + 8 * j):
        same = load_byte(joined[_KIND] + k) == load_byte(points[_KIND] + j) and load_byte(joined[_BAND] + k) == load_byte(points[_BAND] + j)
        number = load_word(points[_POINT_ID] + 8 * j)
        same = same and load_word(joined[_POINT_ID] + 8 * k) == number
        copy = same and (number != 0 or load_half(joined[_DETECTOR] + 2 * k) == load_half(points[_DETECTOR] + 2 * j))
        k -= 1
    return copy


@njit(nogil=True, inline="always")
def _copy_point(j: int, at: int, points: Array, joined: Array) -> None:
    """Copy point ``j`` to place ``at``."""
    for name in (_MJD, _POINT_ID):
        store_word(joined[name] + 8 * at, load_word(points[name] + 8 * j))
    for name in (_FLUX, _FLUX_ERR, _TOTAL_FLUX, _TOTAL_FLUX_ERR):
        store_half_word(joined[name] + 4 * at, load_half_word(points[name] + 4 * j))
    for name in (_BAND, _KIND):
        store_byte(joined[name] + at, load_byte(points[name] + j))
    store_half(joined[_DETECTOR] + 2 * at, load_half(points[_DETECTOR] + 2 * j))


@njit(nogil=True, forceinline=True)
def _follows(a: int, b: int, mjd: int, kind: int, band: int, point_id: int) -> bool:
    """Say whether point ``a`` belongs after point ``b``: by time, then kind, band and number."""
    if load_float64(mjd + 8 * a) != load_float64(mjd + 8 * b):
        return bool(load_float64(mjd + 8 * a) > load_float64(mjd + 8 * b))
    if load_byte(kind + a) != load_byte(kind + b):
        return bool(load_byte(kind + a) > load_byte(kind + b))
    if load_byte(band + a) != load_byte(band + b):
        return bool(load_byte(band + a) > load_byte(band + b))
    return bool(load_word(point_id + 8 * a) > load_word(point_id + 8 * b))


@njit(nogil=True)
def _merge_runs(order: Array, spare: Array, runs: Array, n: int, mjd: int, kind: int, band: int, point_id: int) -> None:
    """Sort the first ``n`` of ``order`` by merging the runs that are in order already: a packet's arrays are, so there are few.

    Points that compare equal keep their order. ``spare`` (n,) and ``runs`` (n + 2,) are room to work in.
    """
    n_runs = np.int64(0)
    for j in range(n):
        if j == 0 or _follows(order[j - 1], order[j], mjd, kind, band, point_id):
            runs[n_runs] = j
            n_runs += 1
    runs[n_runs] = runs[n_runs + 1] = n
    while n_runs > 1:
        left = np.int64(0)
        for r in range(0, n_runs, 2):
            middle, high = runs[r + 1], runs[r + 2]
            i, j = runs[r], middle
            for k in range(runs[r], high):
                if j >= high or (i < middle and not _follows(order[i], order[j], mjd, kind, band, point_id)):
                    spare[k] = order[i]
                    i += 1
                else:
                    spare[k] = order[j]
                    j += 1
            runs[left] = runs[r]
            left += 1
        runs[left] = runs[left + 1] = n
        n_runs = left
        for k in range(n):
            order[k] = spare[k]
