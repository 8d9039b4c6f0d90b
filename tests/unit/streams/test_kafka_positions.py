"""How far each partition is archived, as it is written and read."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fink.streams.kafka_positions import GAPS, Gap, Position, position_key, runs, topic_states


@given(st.sets(st.integers(0, 60)))
def test_ranges_hold_what_they_were_made_of(offsets: set[int]) -> None:
    ranges = runs(sorted(offsets))
    assert {offset for start, stop in ranges for offset in range(start, stop)} == offsets
    assert all(stop < start for (_, stop), (start, _) in itertools.pairwise(ranges))


@given(st.sets(st.integers(0, 40)), st.integers(41, 50))
def test_a_position_wants_what_was_left_and_what_follows(left: set[int], following: int) -> None:
    position = Position(following, runs(sorted(left)), 60, "id")
    assert {offset for offset in range(60) if position.wants(offset)} == left | set(range(following, 60))
    assert position.first == min([*left, following])
    assert position.lag == len(left) + 60 - following
    assert Position.from_bytes(position.to_bytes()) == position


def test_the_state_of_topics_is_summed_over_their_partitions() -> None:
    positions = {position_key("c", "ztf", n): Position(10, (), 10 + n).to_bytes() for n in range(3)}
    gaps = dict([Gap("c", "ztf", 1, 4, 9).entry(), Gap("c", "lsst", 0, 0, 0).entry()])
    assert all(key.startswith(GAPS) for key in gaps)
    ztf, lsst = topic_states(positions, gaps)
    assert (ztf["topic"], ztf["partitions"], ztf["to_come"], ztf["lost"]) == ("ztf", 3, 3, 6)
    assert (lsst["topic"], lsst["partitions"], lsst["lost"]) == ("lsst", 0, 1)
    assert ztf["gaps"] == [{"partition": 1, "first": 4, "last": 9}]


def test_keys_sort_as_partitions_do() -> None:
    assert sorted(position_key("c", "t", n) for n in (10, 9, 100)) == [position_key("c", "t", n) for n in (9, 10, 100)]
    with pytest.raises(ValueError):
        Position.from_bytes(b"no JSON")
