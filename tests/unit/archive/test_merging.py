"""Merging alerts into their objects: totals, chunks that close, and the copy that stands whatever the order."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fink.archive.index import Store
from fink.archive.merging import Merged, put_objects
from fink.archive.objects import group_objects, object_names, read_heads, stored_points
from fink.archive.points import CHUNK_POINTS, POINT
from fink.tables import AlertBatch
from unit.archive.outcomes import NIGHTS, SmallSky

BANDS = np.arange(3, dtype=np.int8)


def merge(store: Store, batch: AlertBatch, night: int, commit: int = 1) -> Merged:
    changes = store.changes()
    merged = put_objects(store, changes, group_objects(store, 0, batch.alerts), batch.alerts, batch.lightcurves, BANDS, night, commit)
    store.write(changes)
    return merged


def filled(folder: Path, parts: Sequence[tuple[AlertBatch, int]]) -> tuple[Store, list[Merged]]:
    store = Store(folder, cache_megabytes=4)
    return store, [merge(store, batch, night, i) for i, (batch, night) in enumerate(parts, 1)]


def contents(store: Store) -> dict[bytes, tuple[bytes, bytes]]:
    """Give each object's totals and its points, in one order and without the commit's number."""
    found = {}
    for key, value in store.scan("objects", b""):
        heads = read_heads([value])
        chunks = [chunk for _, chunk in store.scan_prefix("chunks", key)]
        points = np.concatenate([np.frombuffer(b"".join(chunks), POINT), heads.points])
        points["commit"] = 0
        order = np.lexsort((points["point_id"], points["band"], points["kind"], points["mjd"]))
        head = heads.head.copy()
        # how full chunks are follows the batches; what they hold together does not
        head["n_closed"] = 0
        found[key] = head.tobytes(), points[order].tobytes()
    return found


def rows(batch: AlertBatch, order: NDArray[np.int64], size: int) -> list[AlertBatch]:
    return [batch.take(order[first : first + size]) for first in range(0, len(order), size)]


def test_the_same_copy_stands_whatever_the_order_within_a_night(tmp_path: Path) -> None:
    sky, states = SmallSky(6, exposures=4), []
    nights = [(sky.night(night).batch, night) for night in NIGHTS[:2]]
    for way, size in enumerate([1000, 1, 1, 3, 5]):
        rng = np.random.default_rng(way)
        parts = [(part, night) for batch, night in nights for part in rows(batch, rng.permutation(len(batch)), size)]
        store, _ = filled(tmp_path / str(way), parts)
        states.append(contents(store))
        store.close()
    assert len(states[0]) == 6
    assert all(state == states[0] for state in states[1:])


def test_the_earliest_alert_of_the_night_gives_the_copy(tmp_path: Path) -> None:
    batch = SmallSky(6, exposures=4).night(NIGHTS[0]).batch
    mjd, ids, curves = batch.alerts["mjd"].to_numpy(), batch.alerts["alert_id"].to_numpy(), batch.lightcurves
    for way, order in enumerate((np.arange(len(batch)), np.arange(len(batch))[::-1])):
        store, _ = filled(tmp_path / str(way), [(part, NIGHTS[0]) for part in rows(batch, order, 1)])
        groups = group_objects(store, 0, batch.alerts)
        for g, (first, last) in enumerate(itertools.pairwise(groups.heads.points_offsets.tolist())):
            mine = np.flatnonzero(groups.group == g)
            for point in groups.heads.points[first:last]:
                says = [i for i in mine if point["mjd"] in curves.mjd[curves.offsets[i] : curves.offsets[i + 1]]]
                best = min(says, key=lambda i: (mjd[i], ids[i]))
                assert point["alert_id"] == ids[best]
                own = slice(curves.offsets[best], curves.offsets[best + 1])
                np.testing.assert_array_equal(point["flux"], curves.flux[own][curves.mjd[own] == point["mjd"]][0])
        store.close()


def test_totals_are_those_of_all_alerts(tmp_path: Path) -> None:
    sky = SmallSky(10)
    batches = [sky.night(night).batch for night in NIGHTS[:3]]
    store, merged = filled(tmp_path / "a", [*zip(batches, NIGHTS[:3], strict=True)])
    seen: set[str] = set()
    for batch, one in zip(batches, merged, strict=True):
        names = {name.decode() for name in object_names(batch.alerts).to_pylist()}
        assert (one.new_objects, one.late) == (len(names - seen), 0)
        seen |= names
    assert [key[1:].decode() for key, _ in store.scan("names", b"")] == sorted(name[1:] for name in seen if name[0] == "o")
    alerts = pa.concat_tables([batch.alerts for batch in batches])
    groups = group_objects(store, 0, alerts)
    mjd, first, last = alerts["mjd"].to_numpy(), groups.order[groups.offsets[:-1]], groups.order[groups.offsets[1:] - 1]
    head = groups.heads.head
    assert head["n_alerts"].tolist() == np.diff(groups.offsets).tolist()
    assert head["first_mjd"].tolist() == mjd[first].tolist()
    assert head["first_id"].tolist() == alerts["alert_id"].to_numpy()[first].tolist()
    assert head["ra"].tolist() == alerts["ra"].to_numpy()[first].tolist()
    assert head["dec"].tolist() == alerts["dec"].to_numpy()[first].tolist()
    assert head["last_mjd"].tolist() == mjd[last].tolist()
    assert head["last_night"].tolist() == alerts["night"].to_numpy()[last].tolist()
    store.close()


def test_late_alerts_are_counted_and_replace_nothing(tmp_path: Path) -> None:
    sky = SmallSky(10)
    early, later = sky.night(NIGHTS[0]).batch, sky.night(NIGHTS[1]).batch
    store, _ = filled(tmp_path / "a", [(later, NIGHTS[1])])
    before = {key: read_heads([value]).points["alert_id"].tolist() for key, value in store.scan("objects", b"")}
    late = merge(store, early, NIGHTS[0], 2)
    known = set(object_names(later.alerts).to_pylist())
    assert late.late == sum(name in known for name in object_names(early.alerts).to_pylist()) > 0
    groups = group_objects(store, 0, later.alerts)
    assert set(groups.heads.head["last_night"].tolist()) == {NIGHTS[1]}
    for key, ids in before.items():
        points = read_heads([store.get("objects", key)]).points
        assert points["alert_id"][points["commit"] == 1].tolist() == ids
    store.close()


def test_flags_of_what_was_brought_follow_the_order_of_the_alerts(tmp_path: Path) -> None:
    batch = SmallSky(6, exposures=4).night(NIGHTS[0]).batch
    bare, every = filled(tmp_path / "a", [(batch, NIGHTS[0])])
    assert every[0].brought.all(), "nothing was stored from an earlier night"
    bare.close()
    store, _ = filled(tmp_path / "b", [(batch.take(np.arange(len(batch) // 2)), NIGHTS[0])])
    before = {(name, mjd) for name, mjd in told(batch.take(np.arange(len(batch) // 2)))}
    order = np.random.default_rng(3).permutation(len(batch))
    again = batch.take(order)
    brought = merge(store, again, NIGHTS[1], 2).brought
    assert brought.tolist() == [point not in before for point in told(again)]
    assert 0 < brought.sum() < len(brought)
    store.close()


def told(batch: AlertBatch) -> list[tuple[bytes, float]]:
    """Give the object and time of each point that packets carry."""
    names = object_names(batch.alerts).to_pylist()
    return [(names[i], mjd) for i, mjd in zip(batch.lightcurves.owners().tolist(), batch.lightcurves.mjd.tolist(), strict=True)]


def test_full_chunks_are_closed_and_rewritten_where_a_copy_is_replaced(tmp_path: Path) -> None:
    sky = SmallSky(2, "lsst", exposures=150)
    batch = sky.night(NIGHTS[0]).batch
    last, first = batch.take(np.arange(len(batch) - 6, len(batch))), batch.take(np.arange(len(batch) - 6))
    store, _ = filled(tmp_path / "a", [(last, NIGHTS[0])])
    replaced = dict(store.scan("chunks", b""))
    assert len(replaced) >= 2
    merge(store, first, NIGHTS[0], 2)
    assert all(store.get("chunks", key) != value for key, value in replaced.items())
    groups = group_objects(store, 0, batch.alerts)
    owners = groups.group[batch.lightcurves.owners()]
    everything = stored_points(store, groups, np.full(2, -np.inf), np.full(2, np.inf))
    for g in range(2):
        mine = slice(everything.offsets[g], everything.offsets[g + 1])
        closed, open_ = np.bincount(everything.chunk[mine][everything.chunk[mine] >= 0]), (everything.chunk[mine] < 0).sum()
        assert set(closed.tolist()) == {CHUNK_POINTS}
        assert 1 <= open_ <= CHUNK_POINTS
        ids = everything.points["point_id"][mine].tolist()
        assert sorted(ids) == sorted(set(batch.lightcurves.point_id[owners == g].tolist()))
    store.close()
