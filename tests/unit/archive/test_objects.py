"""Objects in the index: which object an alert belongs to, where it is found, and what of it is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fink.archive import keys
from fink.archive.index import Store
from fink.archive.objects import HEAD, RANGE, chunk_key, find_objects, group_objects, object_names, read_heads, running, stored_points
from fink.archive.points import POINT
from fink.sky import healpix


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "index", cache_megabytes=4)
    yield opened
    opened.close()


def put(store: Store, family: str, entries: dict[bytes, bytes]) -> None:
    changes = store.changes()
    changes.put_all(family, list(entries), list(entries.values()))
    store.write(changes)


def points(*mjd: float) -> Any:
    made = np.zeros(len(mjd), POINT)
    made["mjd"] = mjd
    return made


def head(n_alerts: int, ranges: list[tuple[float, float]], open_points: Any) -> bytes:
    made = np.zeros(1, HEAD)
    made["n_alerts"], made["n_closed"] = n_alerts, len(ranges)
    return made.tobytes() + np.array(ranges, RANGE).tobytes() + bytes(open_points.tobytes())


ALERTS = pa.table(
    {
        "alert_id": pa.array([7, -3, 5, 9, 4, 8], pa.int64()),
        "object_id": pa.array(["A", "A", None, None, "B", "A"], pa.string()),
        "sso_name": pa.array(["1 Ceres", None, "1 Ceres", None, None, None], pa.string()),
        "mjd": pa.array([3.0, 2.0, 1.0, 1.0, 1.0, 2.0]),
        "ra": pa.array([10.0, 10.1, 20.0, 30.0, 200.0, 80.0]),
        "dec": pa.array([5.0, 5.0, 0.0, 0.0, -60.0, 5.0]),
    }
)


def test_an_alert_finds_its_object_by_id_then_designation_then_not_at_all() -> None:
    assert object_names(ALERTS).to_pylist() == [b"oA", b"oA", b"m1 Ceres", b"a9", b"oB", b"oA"]


def test_alerts_are_grouped_and_ordered_by_object_time_and_number(store: Store) -> None:
    groups = group_objects(store, 2, ALERTS)
    assert groups.names == [b"oA", b"m1 Ceres", b"a9", b"oB"]
    assert groups.group.tolist() == [0, 0, 1, 2, 3, 0]
    assert [groups.order[a:b].tolist() for a, b in zip(groups.offsets[:-1], groups.offsets[1:], strict=True)] == [[1, 5, 0], [2], [3], [4]]
    assert not groups.heads.known.any()
    # the pixel is that of the first alert in time
    pixels = healpix(keys.PIXEL_ORDER, np.array([10.1, 200.0]), np.array([5.0, -60.0])).tolist()
    assert groups.keys == [
        keys.object_key(2, pixels[0], b"A"),
        keys.object_key(2, keys.MOVING, b"1 Ceres"),
        keys.object_key(2, keys.LONE, b"9"),
        keys.object_key(2, pixels[1], b"B"),
    ]


def test_an_object_first_seen_in_another_pixel_is_found_by_its_name(store: Store) -> None:
    elsewhere = keys.object_key(2, 17, b"A")
    put(store, "objects", {elsewhere: head(6, [], points(1.0, 2.0)), keys.object_key(1, 18, b"B"): head(1, [], points())})
    put(store, "names", {b"\x02A": elsewhere[1:5], b"\x01B": (18).to_bytes(4, "big")})
    groups = group_objects(store, 2, ALERTS)
    assert groups.keys[0] == elsewhere
    assert groups.heads.known.tolist() == [True, False, False, False], "an object of another survey was taken"
    assert groups.heads.head["n_alerts"].tolist() == [6, 0, 0, 0]
    assert groups.heads.points["mjd"].tolist() == [1.0, 2.0]


def test_a_moving_object_is_not_looked_for_among_names(store: Store) -> None:
    put(store, "names", {b"\x021 Ceres": (17).to_bytes(4, "big")})
    put(store, "objects", {keys.object_key(2, 17, b"1 Ceres"): head(1, [], points())})
    found, heads = find_objects(store, 2, [b"m1 Ceres", b"o1 Ceres"], np.array([keys.MOVING, 3]))
    assert found == [keys.object_key(2, keys.MOVING, b"1 Ceres"), keys.object_key(2, 17, b"1 Ceres")]
    assert [value is None for value in heads] == [True, False]


def test_heads_are_read_with_their_ranges_and_open_points() -> None:
    values = [None, head(3, [(1.0, 2.0), (2.0, 5.0)], points(6.0)), head(1, [], points()), None, head(9, [(0.0, 1.0)], points(2.0, 3.0))]
    heads = read_heads(values)
    assert heads.known.tolist() == [False, True, True, False, True]
    assert heads.head["n_alerts"].tolist() == [0, 3, 1, 0, 9]
    assert heads.ranges_offsets.tolist() == [0, 0, 2, 2, 2, 3]
    assert heads.ranges.tolist() == [(1.0, 2.0), (2.0, 5.0), (0.0, 1.0)]
    assert heads.points_offsets.tolist() == [0, 0, 1, 1, 1, 3]
    assert heads.points["mjd"].tolist() == [6.0, 2.0, 3.0]
    assert running(np.array([2, 0, 3])).tolist() == [0, 2, 2, 5]


@pytest.mark.parametrize(
    ("after", "before", "expected"),
    [
        (-np.inf, np.inf, [(1.0, 0), (2.0, 0), (3.0, 1), (4.0, 1), (9.0, -1)]),
        (2.0, 2.5, [(1.0, 0), (2.0, 0), (9.0, -1)]),
        (2.1, 2.9, [(9.0, -1)]),
        (4.0, np.inf, [(3.0, 1), (4.0, 1), (9.0, -1)]),
        (np.inf, -np.inf, [(9.0, -1)]),
    ],
)
def test_only_closed_chunks_that_overlap_are_read(store: Store, after: float, before: float, expected: list[tuple[float, int]]) -> None:
    mine, other = (group_objects(store, 2, ALERTS).keys[g] for g in (0, 3))
    put(store, "objects", {mine: head(5, [(1.0, 2.0), (3.0, 4.0)], points(9.0)), other: head(1, [(0.0, 8.0)], points())})
    put(store, "chunks", {chunk_key(mine, 0): points(1.0, 2.0).tobytes(), chunk_key(mine, 1): points(3.0, 4.0).tobytes()})
    put(store, "chunks", {chunk_key(other, 0): points(0.0, 8.0).tobytes()})
    groups = group_objects(store, 2, ALERTS)
    none = np.full(4, np.inf)
    stored = stored_points(store, groups, np.where(np.arange(4) == 0, after, none), np.full(4, before))
    assert list(zip(stored.points["mjd"].tolist(), stored.chunk.tolist(), strict=True)) == expected
    assert stored.offsets.tolist() == [0, *[len(expected)] * 4]
