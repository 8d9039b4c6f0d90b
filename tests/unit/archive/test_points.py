"""Stored points: what makes two of them one, who brings them, and which copy stands, against plain dictionaries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fink.archive.points import (
    NEW,
    NOTHING,
    POINT,
    brought_points,
    gather_bytes,
    identities,
    identities_of,
    merged_points,
    pack_points,
    unpack_points,
)
from fink.lightcurves import POINT_TYPES
from unit.archive.outcomes import NIGHTS, SmallSky

NIGHT = 20200102


def test_points_are_unpacked_as_they_were_packed() -> None:
    batch = SmallSky(6, "lsst").night(NIGHTS[1]).batch
    curves, ids, mjd = batch.lightcurves, batch.alerts["alert_id"].to_numpy(), batch.alerts["mjd"].to_numpy()
    bands = np.array([7, 3, 9], np.int8)
    packed = pack_points(curves, bands, mjd, ids, NIGHTS[1], 5)
    owners = curves.owners()
    assert set(packed["band"].tolist()) == {3, 7, 9}
    assert (packed["alert_id"] == ids[owners]).all()
    assert (packed["alert_mjd"] == mjd[owners]).all()
    assert set(packed["night"].tolist()) == {NIGHTS[1]}
    assert set(packed["commit"].tolist()) == {5}
    back = np.full(10, -1, np.int8)
    back[bands] = np.arange(3)
    again = unpack_points(packed, curves.offsets, curves, back)
    for name, values in curves.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], values)
        assert again.arrays()[name].dtype == POINT_TYPES[name]


def one_point(**values: Any) -> tuple[int, int]:
    point = np.zeros(1, POINT)
    for name, value in {"mjd": 58849.2, "band": 1, "kind": 0, "detector": 3, **values}.items():
        point[name] = value
    a, b = identities_of(point)
    return int(a[0]), int(b[0])


@pytest.mark.parametrize(
    "other", [{"mjd": np.nextafter(58849.2, 0)}, {"band": 2}, {"band": -1}, {"kind": 1}, {"detector": -1}, {"detector": 4}]
)
def test_a_point_without_number_is_known_by_time_band_kind_and_detector(other: dict[str, Any]) -> None:
    assert one_point(**other) != one_point()
    assert one_point(flux=3.0, alert_id=9, night=1, commit=2) == one_point()
    assert one_point(point_id=4, **other) == one_point(point_id=4)


def test_numbers_and_times_are_never_taken_for_one_another() -> None:
    bits = int(np.array([58849.2]).view(np.int64)[0])
    assert one_point(point_id=bits) != one_point()
    assert one_point(point_id=bits)[0] == one_point()[0]
    # every kind, band and detector that there can be
    tags = [(kind, band, detector) for kind in (0, 1, 2) for band in (-128, -1, 0, 127) for detector in (-(2**15), -1, 0, 2**15 - 1)]
    kind, band, detector = np.array(tags, np.int64).T
    _, b = identities(np.zeros(len(tags)), np.zeros(len(tags)), kind.astype(np.int8), band.astype(np.int8), detector.astype(np.int16))
    assert len(set(b.tolist())) == len(tags)
    assert -1 not in b


def test_pieces_are_put_behind_one_another() -> None:
    buffer = np.frombuffer(b"0123456789", np.uint8)
    assert gather_bytes(buffer, np.array([8, 0, 3]), np.array([2, 0, 4])).tobytes() == b"893456"


class Case:
    """Some packets, each of a few objects, and stored points; identities are small integers that often recur."""

    def __init__(self, seed: int, objects: int = 4, alerts: int = 12, many: int = 6) -> None:
        rng = np.random.default_rng(seed)
        per_object = np.bincount(rng.integers(0, objects, alerts), minlength=objects)
        self.alert_groups = np.concatenate([[0], np.cumsum(per_object)])
        self.group = np.repeat(np.arange(objects), per_object)
        self.mjd = rng.integers(0, 3, alerts) / 8.0
        self.ids = rng.permutation(alerts).astype(np.int64)
        order = np.lexsort((self.ids, self.mjd, self.group))
        self.mjd, self.ids = self.mjd[order], self.ids[order]
        sizes = rng.integers(0, many, alerts)
        self.offsets = np.concatenate([[0], np.cumsum(sizes)])
        stored_sizes = rng.integers(0, many, objects)
        self.stored_groups = np.concatenate([[0], np.cumsum(stored_sizes)])
        self.m, self.s = int(self.offsets[-1]), int(self.stored_groups[-1])
        self.a = rng.integers(0, many, self.m + self.s)
        self.b = rng.integers(0, 2, self.m + self.s)
        self.stored_mjd = rng.integers(0, 3, self.s) / 8.0
        self.stored_alert = rng.integers(-20, 20, self.s)
        self.stored_night = NIGHT + rng.integers(-1, 2, self.s)
        self.time = self.a / 4.0
        self.late = rng.random(objects) < 0.3

    def identity(self, j: int) -> tuple[int, int]:
        return int(self.a[j]), int(self.b[j])

    def points(self, i: int) -> range:
        return range(self.offsets[i], self.offsets[i + 1])

    def stored(self, g: int) -> range:
        return range(self.stored_groups[g], self.stored_groups[g + 1])


def expected_brought(case: Case) -> tuple[list[bool], list[int]]:
    """Say the rules in plain words: what was stored from an earlier night is not brought, nor what a packet says again."""
    brought, action = [], []
    for i, g in enumerate(case.group.tolist()):
        seen: set[tuple[int, int]] = set()
        for j in case.points(i):
            me = case.identity(j)
            copies = [s for s in case.stored(g) if case.identity(case.m + s) == me]
            before = [k for k in range(case.offsets[case.alert_groups[g]], j) if case.identity(k) == me]
            standing = min(copies, key=lambda s: (case.stored_night[s], s), default=None)
            brought.append(me not in seen and (standing is None or case.stored_night[standing] >= NIGHT))
            what = NOTHING
            if standing is None:
                what = NOTHING if before else NEW
            elif case.stored_night[standing] == NIGHT and not case.late[g]:
                mine = case.mjd[i], case.ids[i]
                # alerts come in order, so only an object's first alert with the point can be the earliest
                if not before and mine < (case.stored_mjd[standing], case.stored_alert[standing]):
                    what = standing
            action.append(what)
            seen.add(me)
    return brought, action


@pytest.mark.parametrize("seed", range(60))
def test_what_alerts_bring_and_which_copy_is_replaced(seed: int) -> None:
    case = Case(seed)
    brought, action = brought_points(
        case.a,
        case.b,
        case.offsets,
        case.alert_groups,
        case.stored_groups,
        case.mjd,
        case.ids,
        case.stored_mjd.copy(),
        case.stored_alert.copy(),
        case.stored_night,
        NIGHT,
        case.late,
    )
    assert (brought.tolist(), action.tolist()) == expected_brought(case)


def test_the_cases_hold_every_outcome() -> None:
    actions = np.concatenate([expected_brought(Case(seed))[1] for seed in range(60)])
    assert min((actions == NEW).sum(), (actions == NOTHING).sum(), (actions >= 0).sum()) > 20


def test_a_point_that_a_packet_says_twice_is_brought_once_whoever_said_it_before() -> None:
    # one object, no stored points: the first alert says the point, the second says it twice
    no_floats, none = np.zeros(0), np.zeros(0, np.int64)
    brought, action = brought_points(
        np.array([7, 7, 7]),
        np.array([0, 0, 0]),
        np.array([0, 1, 3]),
        np.array([0, 2]),
        np.array([0, 0]),
        np.array([1.0, 2.0]),
        np.array([1, 2]),
        no_floats,
        none,
        none,
        NIGHT,
        np.array([False]),
    )
    assert brought.tolist() == [True, True, False]
    assert action.tolist() == [NEW, NOTHING, NOTHING]


def merge(case: Case, cut: NDArray[np.float64]) -> list[list[int]]:
    offsets, points = merged_points(
        case.a,
        case.b,
        case.offsets,
        case.group,
        case.stored_groups,
        case.time[case.m :],
        case.stored_mjd,
        case.stored_alert,
        cut,
    )
    return [points[offsets[i] : offsets[i + 1]].tolist() for i in range(len(case.group))]


@pytest.mark.parametrize("seed", range(40))
def test_packets_are_joined_with_the_older_points_of_their_object(seed: int) -> None:
    case = Case(seed, many=9)
    cut = np.random.default_rng(seed).choice([0.0, 0.6, 1.1, np.inf], len(case.group))
    for i, joined in enumerate(merge(case, cut)):
        own = list(case.points(i))
        assert joined[: len(own)] == own
        said = {case.identity(j) for j in own}
        best: dict[tuple[int, int], int] = {}
        for s in case.stored(case.group[i]):
            me = case.identity(case.m + s)
            if case.time[case.m + s] < cut[i] and me not in said:
                best[me] = min(best.get(me, s), s, key=lambda k: (case.stored_mjd[k], case.stored_alert[k], k))
        assert sorted(joined[len(own) :]) == sorted(case.m + s for s in best.values())


def taken_copies(case: Case) -> list[list[int]]:
    """Give who brought the stored copies that each packet is joined with."""
    joined = merge(case, np.full(len(case.group), np.inf))
    return [sorted(int(case.stored_alert[j - case.m]) for j in points if j >= case.m) for points in joined]


def test_the_copy_that_stands_does_not_depend_on_the_order_of_the_store() -> None:
    taken, given = 0, 0
    for seed in range(10):
        case, rng = Case(seed, objects=1, alerts=2, many=20), np.random.default_rng(seed)
        # who brought a copy tells it from the others
        case.stored_alert = rng.permutation(case.s)
        before = taken_copies(case)
        order, stored = rng.permutation(case.s), slice(case.m, case.m + case.s)
        for values in (case.a, case.b, case.time):
            values[stored] = values[stored][order]
        case.stored_mjd, case.stored_alert = case.stored_mjd[order], case.stored_alert[order]
        assert taken_copies(case) == before
        taken, given = taken + sum(len(copies) for copies in before), given + 2 * case.s
    assert 20 < taken < given
