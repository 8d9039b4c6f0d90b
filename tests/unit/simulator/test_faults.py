"""Faults are as many as asked for, follow from the seed, and are listed as they were done."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from fink.errors import ConfigError
from fink.simulator.faults import cut, damage, flip_bits, repeat, with_faults
from fink.simulator.survey import SimulatedNight, simulate_night

ITEMS = [np.random.default_rng(k).bytes(50 + k) for k in range(200)]


@cache
def night() -> SimulatedNight:
    return simulate_night("ztf", 20, seed=4, stamps=False)


@pytest.mark.parametrize(("flipped", "cut_off", "repeated"), [(0.1, 0.0, 0.0), (0.05, 0.1, 0.2), (0.5, 0.25, 0.25), (0.0, 0.0, 0.0)])
def test_as_many_are_damaged_as_asked_for(flipped: float, cut_off: float, repeated: float) -> None:
    faulty = with_faults(ITEMS, 5, flipped=flipped, cut_off=cut_off, repeated=repeated)
    found = [faulty.fault.count(what) for what in ("flipped", "cut", "repeated")]
    assert found == [round(share * 200) for share in (flipped, cut_off, repeated)]
    assert len(faulty.items) == 200 + found[2]
    assert np.bincount(faulty.origin, minlength=200).tolist().count(2) == found[2]


def test_what_is_not_listed_is_whole_and_in_order() -> None:
    faulty = with_faults(ITEMS, 5, flipped=0.2, cut_off=0.2, repeated=0.2)
    assert (np.diff(faulty.origin) >= 0).all()
    for item, origin, what in zip(faulty.items, faulty.origin.tolist(), faulty.fault, strict=True):
        whole = ITEMS[origin]
        if what == "flipped":
            changed = np.frombuffer(item, np.uint8) ^ np.frombuffer(whole, np.uint8)
            assert np.unpackbits(changed).sum() == 8
        elif what == "cut":
            assert len(item) < len(whole)
            assert whole.startswith(item)
        else:
            assert item == whole


def test_a_repeated_item_comes_directly_behind_itself() -> None:
    faulty = with_faults(ITEMS, 6, repeated=0.3)
    rows = [row for row, what in enumerate(faulty.fault) if what == "repeated"]
    assert all(faulty.items[row] == faulty.items[row - 1] and faulty.origin[row] == faulty.origin[row - 1] for row in rows)
    assert len(rows) == 60


def test_the_seed_decides_which() -> None:
    first, again, other = (with_faults(ITEMS, seed, flipped=0.3) for seed in (1, 1, 2))
    assert first.items == again.items
    assert first.fault != other.fault


def test_cuts_are_shorter_and_may_leave_nothing() -> None:
    rng = np.random.default_rng(1)
    lengths = np.array([len(cut(bytes(10), rng)) for _ in range(400)])
    assert set(lengths.tolist()) == set(range(10))
    assert cut(b"", rng) == b""


def test_no_more_bits_are_turned_than_there_are() -> None:
    rng = np.random.default_rng(1)
    assert flip_bits(b"\x00\x0f", 99, rng) == b"\xff\xf0"
    assert flip_bits(b"", 3, rng) == b""
    assert flip_bits(b"abc", 0, rng) == b"abc"


@pytest.mark.parametrize(("flipped", "cut_off", "repeated"), [(-0.1, 0.0, 0.0), (0.0, 0.6, 0.6)])
def test_parts_that_make_no_sense_are_refused(flipped: float, cut_off: float, repeated: float) -> None:
    with pytest.raises(ConfigError, match="must not be negative, nor exceed 1"):
        with_faults(ITEMS, 1, flipped=flipped, cut_off=cut_off, repeated=repeated)


def test_repeated_packets_are_the_same_bytes_in_the_order_asked_for() -> None:
    packets = repeat(night().packets, np.array([7, 0, 7]))
    assert [packets.body(row) for row in range(20, 23)] == [night().packets.body(row) for row in (7, 0, 7)]
    assert [packets.body(row) for row in range(20)] == [night().packets.body(row) for row in range(20)]


def test_damage_writes_as_many_files_as_asked_for_and_none_for_none(tmp_path: Path) -> None:
    paths = damage(night(), tmp_path / "a", 3, cut_off=4, repeated=2)
    assert sorted(paths) == sorted((tmp_path / "a").iterdir())
    assert ["_cut_" in path.name for path in paths] == [True] * 4 + [False]
    assert [path.read_bytes() for path in damage(night(), tmp_path / "b", 3, cut_off=4, repeated=2)] == [p.read_bytes() for p in paths]
    assert len(damage(night(), tmp_path / "c", 3, cut_off=3, repeated=0)) == 3
