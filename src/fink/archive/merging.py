"""What a commit makes of the objects that it touches: totals, newly stored points, chunks that fill up and close."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fink.archive.index import Changes, Store
from fink.archive.objects import HEAD, NAMED, RANGE, Groups, StoredPoints, chunk_key, running, stored_points
from fink.archive.points import CHUNK_POINTS, NEW, POINT, brought_points, identities, identities_of, pack_points
from fink.lightcurves import LightCurves


@dataclass(frozen=True)
class Merged:
    """What merging a commit's alerts into their objects gave.

    Parameters
    ----------
    brought
        (m,) of the points of the alerts, in the alerts' order: whether the alert brought it.
    late
        Alerts of a night before one already stored for their object.
    new_objects
        Objects seen for the first time.
    """

    brought: NDArray[np.bool_]
    late: int
    new_objects: int


def put_objects(
    store: Store, changes: Changes, groups: Groups, alerts: pa.Table, curves: LightCurves, bands: NDArray[np.int8], night: int, commit: int
) -> Merged:
    """Merge alerts of one night into their objects.

    Parameters
    ----------
    groups
        The objects of the alerts.
    alerts, curves
        (n,) alerts and the light curves that their packets carry.
    bands
        The archive's number of each band of the light curves.
    """
    order = groups.order
    ordered = curves.take(order)
    mjd, ids = alerts["mjd"].to_numpy()[order], alerts["alert_id"].to_numpy()[order]
    late = groups.heads.known & (groups.heads.head["last_night"] > night)
    stored = stored_points(store, groups, *_time_ranges(groups, ordered))
    points = stored.points.copy()
    a, b = _identities(ordered, bands, points)
    who = np.ascontiguousarray(points["alert_mjd"]), np.ascontiguousarray(points["alert_id"]), points["night"].astype(np.int64)
    brought, action = brought_points(a, b, ordered.offsets, groups.offsets, stored.offsets, mjd, ids, *who, night, late)
    packed = pack_points(ordered, bands, mjd, ids, night, commit)
    replacing = np.flatnonzero(action >= 0)
    points[action[replacing]] = packed[replacing]
    stored = StoredPoints(points, stored.offsets, stored.chunk)
    _rewrite_chunks(changes, groups, stored, action[replacing])
    new = action == NEW
    owners = np.repeat(np.arange(len(groups.keys)), np.diff(groups.offsets))[ordered.owners()[new]]
    _put_heads(changes, groups, _totals(groups, alerts, night), stored, packed[new], owners)
    return Merged(_in_alert_order(brought, ordered, order), int(late[groups.group].sum()), int((~groups.heads.known).sum()))


def _identities(curves: LightCurves, bands: NDArray[np.int8], stored: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    own = identities(curves.point_id, curves.mjd, curves.kind, bands[curves.band], curves.detector)
    past = identities_of(stored)
    return np.concatenate([own[0], past[0]]), np.concatenate([own[1], past[1]])


def _in_alert_order(flags: NDArray[np.bool_], ordered: LightCurves, order: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Bring flags of points, ordered by object, into the order of the alerts."""
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    starts, lengths = ordered.offsets[:-1][back], np.diff(ordered.offsets)[back]
    offsets = running(lengths)
    places = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
    return np.asarray(flags[places], np.bool_)


def _time_ranges(groups: Groups, ordered: LightCurves) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the time of the first and last point that the packets of each object carry, (u,) each; of none, nothing overlaps."""
    first, last = np.full(len(groups.keys), np.inf), np.full(len(groups.keys), -np.inf)
    bounds = ordered.offsets[groups.offsets]
    some = np.diff(bounds) > 0
    if some.any():
        first[some] = np.minimum.reduceat(ordered.mjd, bounds[:-1][some])
        last[some] = np.maximum.reduceat(ordered.mjd, bounds[:-1][some])
    return first, last


def _rewrite_chunks(changes: Changes, groups: Groups, stored: StoredPoints, replaced: NDArray[np.int64]) -> None:
    """Write the closed chunks again in which a copy was replaced."""
    closed = replaced[stored.chunk[replaced] >= 0]
    owner = np.searchsorted(stored.offsets, closed, side="right") - 1
    for g, number in sorted(set(zip(owner.tolist(), stored.chunk[closed].tolist(), strict=True))):
        part = slice(stored.offsets[g], stored.offsets[g + 1])
        changes.put("chunks", chunk_key(groups.keys[g], number), stored.points[part][stored.chunk[part] == number].tobytes())


def _totals(groups: Groups, alerts: pa.Table, night: int) -> NDArray[Any]:
    """Add the alerts to their objects' totals, (u,) of `HEAD`."""
    head, known = groups.heads.head.copy(), groups.heads.known
    first, last = groups.order[groups.offsets[:-1]], groups.order[groups.offsets[1:] - 1]
    mjd, ids = alerts["mjd"].to_numpy(), alerts["alert_id"].to_numpy()
    head["n_alerts"] += np.diff(groups.offsets).astype(np.uint32)
    head["last_mjd"] = np.where(known, np.maximum(head["last_mjd"], mjd[last]), mjd[last])
    head["last_night"] = np.maximum(head["last_night"], night)
    same_time = (mjd[first] == head["first_mjd"]) & (ids[first] < head["first_id"])
    earlier = ~known | (mjd[first] < head["first_mjd"]) | same_time
    for name, values in (("first_mjd", mjd), ("first_id", ids), ("ra", alerts["ra"].to_numpy()), ("dec", alerts["dec"].to_numpy())):
        head[name] = np.where(earlier, values[first], head[name])
    return head


def _put_heads(
    changes: Changes, groups: Groups, head: NDArray[Any], stored: StoredPoints, new: NDArray[Any], owners: NDArray[np.int64]
) -> None:
    """Add new points to the open chunks, close full ones, and write the heads."""
    u = len(groups.keys)
    is_open = stored.chunk < 0
    owner = np.concatenate([np.repeat(np.arange(u), np.diff(stored.offsets))[is_open], owners])
    points = np.concatenate([stored.points[is_open], new])
    order = np.lexsort((points["mjd"], owner))
    before, width = groups.heads.ranges.tobytes(), RANGE.itemsize
    ranges = [before[first:last] for first, last in pairwise((groups.heads.ranges_offsets * width).tolist())]
    values, closed = object_values(head, points[order], running(np.bincount(owner, minlength=u).astype(np.int64)), ranges)
    changes.put_all("chunks", [chunk_key(groups.keys[g], number) for g, number, _ in closed], [chunk for _, _, chunk in closed])
    changes.put_all("objects", groups.keys, values)
    for g in np.flatnonzero(~groups.heads.known).tolist():
        if groups.names[g][:1] == NAMED:
            changes.put("names", groups.keys[g][:1] + groups.names[g][1:], groups.keys[g][1:5])


def object_values(
    head: NDArray[Any], points: NDArray[Any], offsets: NDArray[np.int64], ranges: Sequence[bytes]
) -> tuple[list[bytes], list[tuple[int, int, bytes]]]:
    """Give what the index holds of ``u`` objects, and the chunks that close: the oldest points of those with more than fit.

    Parameters
    ----------
    head
        (u,) totals, with the number of chunks that are closed already.
    points, offsets
        `POINT` of the open chunks, in order of time, and (u + 1,) whose they are.
    ranges
        `RANGE` of each object's chunks that are closed already.

    Returns
    -------
    values
        The entry of each object.
    closed
        Of each chunk that closes: its object, its number there, and its points.
    """
    closing = np.maximum(np.diff(offsets) - 1, 0) // CHUNK_POINTS
    numbers, size = head["n_closed"].astype(np.int64), POINT.itemsize
    totals = head.copy()
    totals["n_closed"] += closing.astype(np.uint32)
    blob, heads, width = points.tobytes(), totals.tobytes(), HEAD.itemsize
    ranges, closed = list(ranges), []
    for g in np.flatnonzero(closing).tolist():
        for k in range(int(closing[g])):
            first = int(offsets[g]) + k * CHUNK_POINTS
            last = first + CHUNK_POINTS
            closed.append((g, int(numbers[g]) + k, blob[first * size : last * size]))
            ranges[g] += np.array([(points["mjd"][first], points["mjd"][last - 1])], RANGE).tobytes()
    starts, ends = ((offsets[:-1] + closing * CHUNK_POINTS) * size).tolist(), (offsets[1:] * size).tolist()
    return [heads[g * width : (g + 1) * width] + ranges[g] + blob[starts[g] : ends[g]] for g in range(len(totals))], closed
