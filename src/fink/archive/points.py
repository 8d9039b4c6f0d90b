"""Stored points: what light curves are made of in the index, packed, with who brought each.

A point's identity is its survey number where it has one, else (kind, mjd, band, detector). Of two copies that one night
brought, the one of the earliest alert stands, so that what is stored does not depend on the order within a night.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fink.lightcurves import POINT_TYPES, LightCurves

CHUNK_POINTS = 64
"""Points in a closed chunk."""

POINT = np.dtype(
    [
        ("mjd", "<f8"),
        ("flux", "<f4"),
        ("flux_err", "<f4"),
        ("total_flux", "<f4"),
        ("total_flux_err", "<f4"),
        ("point_id", "<i8"),
        ("alert_mjd", "<f8"),
        ("alert_id", "<i8"),
        ("night", "<i4"),
        ("commit", "<u4"),
        ("detector", "<i2"),
        ("band", "i1"),
        ("kind", "i1"),
    ]
)
"""A stored point: its values, then time, number and night of the alert that brought it, and the commit; ``band`` is the
archive's own number of the band."""

NOTHING, NEW = -1, -2
"""What becomes of a packet's point in the store, where it does not replace a stored copy."""

Array = NDArray[Any]


def pack_points(
    curves: LightCurves, bands: NDArray[np.int8], alert_mjd: Array, alert_id: Array, night: int | Array, commit: int | Array
) -> Array:
    """Pack every point of light curves, (m,) of `POINT`.

    Parameters
    ----------
    bands
        The archive's number of each band of the light curves.
    alert_mjd, alert_id
        (n,) of the alert that brings each light curve.
    night, commit
        Of all points, or of each (m,).
    """
    owners = curves.owners()
    packed = np.empty(curves.n_points, POINT)
    for name, values in curves.arrays().items():
        packed[name] = values
    packed["band"] = bands[curves.band]
    packed["alert_mjd"], packed["alert_id"] = alert_mjd[owners], alert_id[owners]
    packed["night"], packed["commit"] = night, commit
    return packed


def unpack_points(points: Array, offsets: NDArray[np.int64], like: LightCurves, bands: NDArray[np.int8]) -> LightCurves:
    """Make light curves of stored points; ``bands`` gives the index in ``like.bands`` of each of the archive's numbers."""
    flat = {name: np.ascontiguousarray(points[name]).astype(type_, copy=False) for name, type_ in POINT_TYPES.items()}
    flat["band"] = bands[flat["band"]]
    return LightCurves(offsets=offsets, bands=like.bands, **flat)


def identities(point_id: Array, mjd: Array, kind: Array, band: Array, detector: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Write the identity of each point as two integers, equal for two points just where they are the same point."""
    tag = (kind.astype(np.int64) << 32) | ((band.astype(np.int64) & 0xFF) << 16) | (detector.astype(np.int64) & 0xFFFF)
    numbered = point_id != 0
    return np.where(numbered, point_id, np.ascontiguousarray(mjd, np.float64).view(np.int64)), np.where(numbered, -1, tag)


def identities_of(points: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Write the identities of stored points."""
    return identities(points["point_id"], points["mjd"], points["kind"], points["band"], points["detector"])


@njit(cache=True, nogil=True)
def gather_bytes(buffer: Array, starts: Array, lengths: Array) -> Array:
    """Put pieces of a buffer behind one another."""
    out = np.empty(lengths.sum(), np.uint8)
    place = 0
    for i in range(len(starts)):
        out[place : place + lengths[i]] = buffer[starts[i] : starts[i] + lengths[i]]
        place += lengths[i]
    return out


@njit(cache=True, nogil=True)
def _slot(table: Array, a: Array, b: Array, i: int) -> int:
    """Find where the point ``i``, or one of its identity, lies in a hash table of point indices (-1: free)."""
    mask = len(table) - 1
    mixed = (np.uint64(a[i]) ^ (np.uint64(b[i]) * np.uint64(0x9E3779B97F4A7C15))) * np.uint64(0xBF58476D1CE4E5B9)
    slot = np.int64((mixed ^ (mixed >> np.uint64(29))) & np.uint64(mask))
    while table[slot] >= 0 and (a[table[slot]] != a[i] or b[table[slot]] != b[i]):
        slot = (slot + 1) & mask
    return int(slot)


@njit(cache=True, nogil=True)
def _room(n: int) -> int:
    """Size of a hash table for ``n`` points: a power of two, at most half full."""
    size = 8
    while size < 2 * n:
        size *= 2
    return size


@njit(cache=True, nogil=True)
def _earlier(mjd: float, alert_id: int, other_mjd: float, other_id: int) -> bool:
    return mjd < other_mjd or (mjd == other_mjd and alert_id < other_id)


@njit(cache=True, nogil=True)
def _known(a: Array, b: Array, room: int, first: int, last: int, m: int, night: Array) -> Array:
    """Make the hash table of an object's stored points ``first`` to ``last``; of two copies that of the earliest night."""
    table = np.full(_room(room), -1, np.int64)
    for s in range(first, last):
        slot = _slot(table, a, b, m + s)
        if table[slot] < 0 or night[s] < night[table[slot] - m]:
            table[slot] = m + s
    return table


@njit(cache=True, nogil=True)
def brought_points(
    a: Array,
    b: Array,
    offsets: Array,
    alert_groups: Array,
    stored_groups: Array,
    mjd: Array,
    alert_id: Array,
    stored_mjd: Array,
    stored_alert: Array,
    stored_night: Array,
    night: int,
    late: Array,
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Say which points of their packets alerts bring, and what becomes of them in the store.

    Parameters
    ----------
    a, b
        (m + s,) identities of the packets' points, then of the stored ones.
    offsets
        (n + 1,) points of each alert; alerts are ordered by object, then time and number.
    alert_groups, stored_groups
        (u + 1,) alerts, and stored points, of each object.
    mjd, alert_id, night
        (n,) each of the alerts; the night is the same for all.
    stored_mjd, stored_alert, stored_night
        (s,) who brought the stored points, and in which night; the first two are changed where a copy is replaced.
    late
        (u,) whether a later night of the object is stored already: then no copy is replaced.

    Returns
    -------
    brought
        (m,) whether the point was not stored from an earlier night, nor stands in the same packet twice.
    action
        (m,) `NOTHING`, `NEW`, or the index of the stored copy to replace.
    """
    m = offsets[-1]
    # said: the last alert whose packet says the point at an index
    brought, action, said = np.zeros(m, np.bool_), np.full(m, NOTHING, np.int64), np.full(len(a), -1, np.int64)
    for g in range(len(alert_groups) - 1):
        first, last = alert_groups[g], alert_groups[g + 1]
        room = offsets[last] - offsets[first] + stored_groups[g + 1] - stored_groups[g]
        table = _known(a, b, room, stored_groups[g], stored_groups[g + 1], m, stored_night)
        for i in range(first, last):
            for j in range(offsets[i], offsets[i + 1]):
                slot = _slot(table, a, b, j)
                found = table[slot]
                if found < 0:
                    table[slot], said[j], brought[j], action[j] = j, i, True, NEW
                    continue
                repeated, said[found] = said[found] == i, i
                s = found - m
                brought[j] = (s < 0 or stored_night[s] >= night) and not repeated
                if s >= 0:
                    own = stored_night[s] == night and not late[g]
                    if own and _earlier(mjd[i], alert_id[i], stored_mjd[s], stored_alert[s]):
                        action[j], stored_mjd[s], stored_alert[s] = s, mjd[i], alert_id[i]
    return brought, action


@njit(cache=True, nogil=True)
def merged_points(
    a: Array,
    b: Array,
    offsets: Array,
    group: Array,
    stored_groups: Array,
    stored: Array,
    stored_mjd: Array,
    stored_alert: Array,
    cut: Array,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Join each packet's points with the older stored ones of its object.

    Parameters
    ----------
    a, b
        (m + s,) identities of the packets' points, then of the stored ones.
    offsets
        (n + 1,) points of each packet.
    group, stored_groups
        (n,) object of each alert, and (u + 1,) stored points of each object.
    stored, stored_mjd, stored_alert
        (s,) time of the stored points, and who brought them; of two copies that of the earliest alert is taken.
    cut
        (n,) only stored points before this time are joined.

    Returns
    -------
    offsets, points
        (n + 1,) and (k,); points from ``m`` on are stored ones.
    """
    m, n = offsets[-1], len(offsets) - 1
    room = m
    for i in range(n):
        room += stored_groups[group[i] + 1] - stored_groups[group[i]]
    out, points, place = np.zeros(n + 1, np.int64), np.empty(room, np.int64), 0
    for i in range(n):
        begin, first, last = place, stored_groups[group[i]], stored_groups[group[i] + 1]
        for j in range(offsets[i], offsets[i + 1]):
            points[place] = j
            place += 1
        if last > first:
            known = np.full(_room(place - begin + last - first), -1, np.int64)
            where = np.zeros(len(known), np.int64)
            for k in range(begin, place):
                known[_slot(known, a, b, points[k])] = points[k]
            for s in range(first, last):
                if stored[s] >= cut[i]:
                    continue
                slot = _slot(known, a, b, m + s)
                found = known[slot]
                if found < 0:
                    known[slot], where[slot], points[place] = m + s, place, m + s
                    place += 1
                elif found >= m and _earlier(stored_mjd[s], stored_alert[s], stored_mjd[found - m], stored_alert[found - m]):
                    known[slot] = points[where[slot]] = m + s
        out[i + 1] = place
    return out, points[:place].copy()
