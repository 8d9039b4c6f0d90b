"""Objects in the index: which object each alert of a batch belongs to, its head, and its stored points.

An object's head holds its totals, the time ranges of its closed chunks, and its open chunk of points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fink.archive import keys
from fink.archive.index import Store
from fink.archive.points import POINT, gather_bytes
from fink.sky import healpix

NAMED, DESIGNATED, ALONE = b"o", b"m", b"a"
"""How an alert finds its object: by its id, by its solar-system designation, or not at all."""

HEAD = np.dtype(
    [
        ("n_alerts", "<u4"),
        ("n_closed", "<u4"),
        ("first_mjd", "<f8"),
        ("first_id", "<i8"),
        ("last_mjd", "<f8"),
        ("last_night", "<i4"),
        ("ra", "<f8"),
        ("dec", "<f8"),
    ]
)
"""Totals of an object: alerts, closed chunks, its first alert, the last time and night, position of the first alert."""

RANGE = np.dtype([("first", "<f8"), ("last", "<f8")])
"""Times of the first and last point of a closed chunk."""

_NO_PIXEL = 0xFFFFFFFD


@dataclass(frozen=True)
class Groups:
    """The ``u`` objects of ``n`` alerts.

    Parameters
    ----------
    group
        (n,) object of each alert.
    order
        (n,) alerts by object, then time, then number.
    offsets
        (u + 1,) places in ``order`` of each object's alerts.
    names
        Name of each object, with `NAMED`, `DESIGNATED` or `ALONE` before it.
    keys
        Key of each object.
    heads
        What the index holds of them.
    """

    group: NDArray[np.int64]
    order: NDArray[np.int64]
    offsets: NDArray[np.int64]
    names: list[bytes]
    keys: list[bytes]
    heads: Heads


@dataclass(frozen=True)
class Heads:
    """What the index holds of ``u`` objects; of those not there, zeros.

    Parameters
    ----------
    known
        (u,) whether the index holds the object.
    head
        (u,) of `HEAD`.
    ranges, ranges_offsets
        `RANGE` of each closed chunk, and (u + 1,) whose they are.
    points, points_offsets
        `POINT` of the open chunks, and (u + 1,) whose they are.
    """

    known: NDArray[np.bool_]
    head: NDArray[Any]
    ranges: NDArray[Any]
    ranges_offsets: NDArray[np.int64]
    points: NDArray[Any]
    points_offsets: NDArray[np.int64]


def read_heads(values: Sequence[bytes | None]) -> Heads:
    """Read heads as the index holds them, None for an object that it does not hold."""
    lengths = np.array([0 if value is None else len(value) for value in values], np.int64)
    buffer = np.frombuffer(b"".join([value for value in values if value is not None]), np.uint8)
    starts = np.cumsum(lengths) - lengths
    known = lengths > 0
    head = np.zeros(len(values), HEAD)
    head[known] = gather_bytes(buffer, starts[known], np.full(int(known.sum()), HEAD.itemsize, np.int64)).view(HEAD)
    ranges = head["n_closed"].astype(np.int64) * RANGE.itemsize
    points = np.where(known, lengths - HEAD.itemsize - ranges, 0)
    return Heads(
        known,
        head,
        gather_bytes(buffer, starts + HEAD.itemsize, ranges).view(RANGE),
        running(head["n_closed"].astype(np.int64)),
        gather_bytes(buffer, starts + HEAD.itemsize + ranges, points).view(POINT),
        running(points // POINT.itemsize),
    )


def running(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give offsets (n + 1,) of counts (n,)."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def object_names(alerts: pa.Table) -> pa.Array:
    """Give the name by which each alert finds its object, as bytes (n,)."""
    ids, designations = alerts["object_id"].combine_chunks(), alerts["sso_name"].combine_chunks()
    lone = pc.cast(alerts["alert_id"].combine_chunks(), pa.string())
    how = pc.if_else(ids.is_valid(), NAMED.decode(), pc.if_else(designations.is_valid(), DESIGNATED.decode(), ALONE.decode()))
    return pc.binary_join_element_wise(how, pc.coalesce(ids, designations, lone), "").cast(pa.binary())


def group_objects(store: Store, survey: int, alerts: pa.Table) -> Groups:
    """Find the objects of alerts and read their heads."""
    names = object_names(alerts)
    encoded = names.dictionary_encode()
    group = encoded.indices.to_numpy().astype(np.int64)
    distinct: list[bytes] = encoded.dictionary.to_pylist()
    order = np.lexsort((alerts["alert_id"].to_numpy(), alerts["mjd"].to_numpy(), group))
    offsets = running(np.bincount(group, minlength=len(distinct)).astype(np.int64))
    first = order[offsets[:-1]]
    pixels = _pixels(distinct, alerts["ra"].to_numpy()[first], alerts["dec"].to_numpy()[first])
    found, values = find_objects(store, survey, distinct, pixels)
    return Groups(group, order, offsets, distinct, found, read_heads(values))


def _pixels(names: list[bytes], ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.int64]:
    """Give the pixel part of new objects' keys."""
    how = np.frombuffer(b"".join([name[:1] for name in names]), "S1")
    pixel: NDArray[np.int64] = healpix(keys.PIXEL_ORDER, ra, dec)
    pixel[pixel < 0] = _NO_PIXEL
    pixel[how == DESIGNATED] = keys.MOVING
    pixel[how == ALONE] = keys.LONE
    return pixel


def find_objects(store: Store, survey: int, names: list[bytes], pixels: NDArray[np.int64]) -> tuple[list[bytes], list[bytes | None]]:
    """Give the key and the head of each object.

    An object lies in the pixel of its first alert, nearly always that of the one at hand: only where nothing lies there
    the index is asked where else.
    """
    prefixes = keys.object_prefixes(survey, pixels)
    found = [prefix + name[1:] + b"\0" for prefix, name in zip(prefixes, names, strict=True)]
    heads = store.get_all("objects", found)
    missing = [i for i, head in enumerate(heads) if head is None and names[i][:1] == NAMED]
    elsewhere = store.get_all("names", [bytes([survey]) + names[i][1:] for i in missing])
    moved = [(i, pixel) for i, pixel in zip(missing, elsewhere, strict=True) if pixel is not None]
    for i, pixel in moved:
        found[i] = bytes([survey]) + pixel + names[i][1:] + b"\0"
    for (i, _), head in zip(moved, store.get_all("objects", [found[i] for i, _ in moved]), strict=True):
        heads[i] = head
    return found, heads


def chunk_key(object_key: bytes, number: int) -> bytes:
    """Give the key of a closed chunk."""
    return object_key + number.to_bytes(4, "big")


@dataclass(frozen=True)
class StoredPoints:
    """Stored points of ``u`` objects: their open chunks and those closed ones that were asked for.

    Parameters
    ----------
    points
        (s,) of `POINT`, object by object.
    offsets
        (u + 1,) whose they are.
    chunk
        (s,) number of the closed chunk that each lies in, -1 in the open one.
    """

    points: NDArray[Any]
    offsets: NDArray[np.int64]
    chunk: NDArray[np.int64]


def stored_points(store: Store, groups: Groups, after: NDArray[np.float64], before: NDArray[np.float64]) -> StoredPoints:
    """Read the stored points of objects, of the closed chunks only those with points from ``after`` to ``before`` (u,)."""
    heads = groups.heads
    u = len(heads.known)
    owner = np.repeat(np.arange(u), np.diff(heads.ranges_offsets))
    wanted = np.flatnonzero((heads.ranges["last"] >= after[owner]) & (heads.ranges["first"] <= before[owner]))
    open_owner = np.repeat(np.arange(u), np.diff(heads.points_offsets))
    if not len(wanted):
        return StoredPoints(heads.points, heads.points_offsets, np.full(len(heads.points), -1, np.int64))
    number = wanted - heads.ranges_offsets[owner[wanted]]
    asked = [chunk_key(groups.keys[g], k) for g, k in zip(owner[wanted].tolist(), number.tolist(), strict=True)]
    blobs = [value or b"" for value in store.get_all("chunks", asked)]
    counts = np.array([len(blob) // POINT.itemsize for blob in blobs], np.int64)
    owners = np.concatenate([np.repeat(owner[wanted], counts), open_owner])
    chunks = np.concatenate([np.repeat(number, counts), np.full(len(heads.points), -1, np.int64)])
    points = np.concatenate([np.frombuffer(b"".join(blobs), POINT), heads.points])
    order = np.argsort(owners, kind="stable")
    return StoredPoints(points[order], running(np.bincount(owners, minlength=u).astype(np.int64)), chunks[order])
