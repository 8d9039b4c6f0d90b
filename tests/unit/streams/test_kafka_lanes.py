"""Partitions side by side: night by night, each message once, wherever a run is broken off."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fink.streams import kafka_lanes
from fink.streams.kafka_lanes import Lane, Lanes
from fink.streams.kafka_positions import Position

Log = dict[tuple[str, int], list[tuple[int, int]]]
"""For each partition its messages: survey and night, by offset."""


def deliver(log: Log, archived: dict[tuple[str, int], Position], draw: random.Random, batches: int) -> list[tuple[int, int, str, int]]:
    """Read a log in random portions as a source does, and give what so many batches held: night, survey, topic and offset."""
    lanes = Lanes()
    for partition, messages in log.items():
        lanes.add(Lane(partition, archived.get(partition, Position(0)), len(messages)))
    given_now = []
    while batches and not all(lane.finished and not lane.arrived for lane in lanes):
        lane = draw.choice(list(lanes))
        if not lanes.ahead(lane) or not lane.arrived:
            for _ in range(draw.randint(1, 4)):
                if lane.received < len(log[lane.partition]):
                    message = lane.take(lane.received, b"")
                    if message is not None:
                        message.survey, message.night = log[lane.partition][message.offset]
                        lane.survey = message.survey
        turn = lanes.turn()
        if turn is None:
            continue
        chosen = lanes.waiting(turn)[: draw.randint(1, 5)]
        for lane in lanes.give(chosen):
            archived[lane.partition] = lane.position(len(log[lane.partition]))
        given_now += [(*turn, message.lane.partition[0], message.offset * 100 + message.lane.partition[1]) for message in chosen]
        batches -= 1
    return given_now


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 2)),
        st.lists(st.tuples(st.integers(0, 1), st.integers(1, 4)), max_size=12),
        min_size=1,
    ),
    st.integers(0, 1 << 30),
    st.lists(st.integers(1, 6), max_size=4),
)
def test_every_message_is_given_once_however_often_a_run_is_broken_off(log: Log, seed: int, crashes: list[int]) -> None:
    draw, archived = random.Random(seed), dict[tuple[str, int], Position]()
    found = [item for batches in [*crashes, 10**6] for item in deliver(log, archived, draw, batches)]
    everything = [(n, s, topic, offset * 100 + part) for (topic, part), items in log.items() for offset, (s, n) in enumerate(items)]
    assert sorted(found) == sorted(everything)
    assert all(position.next == len(log[partition]) and not position.left for partition, position in archived.items())


@given(
    st.dictionaries(st.tuples(st.just("a"), st.integers(0, 4)), st.lists(st.integers(1, 5), max_size=12).map(sorted), min_size=1),
    st.integers(0, 1 << 30),
)
def test_nights_are_in_order_where_each_partition_has_them_in_order(nights: dict[tuple[str, int], list[int]], seed: int) -> None:
    log = {partition: [(0, night) for night in found] for partition, found in nights.items()}
    order = [night for night, _, _, _ in deliver(log, {}, random.Random(seed), 10**6)]
    assert order == sorted(order)


def lane_with(nights: list[int], stop: int | None = None, number: int = 0) -> Lane:
    lane = Lane(("t", number), Position(0), stop)
    for night in nights:
        message = lane.take(lane.received, b"")
        assert message is not None
        message.survey, message.night = 0, night
    return lane


def test_a_night_waits_for_a_partition_that_may_hold_an_earlier_one(monkeypatch: pytest.MonkeyPatch) -> None:
    lanes, other = Lanes(), Lane(("t", 1), Position(0))
    lanes.add(lane_with([20251121]))
    lanes.add(other)
    assert lanes.turn() is None
    other.end(0)
    assert lanes.turn() == (20251121, 0)
    later = Lanes()
    later.add(lane_with([20251121]))
    later.add(Lane(("t", 1), Position(0)))
    monkeypatch.setattr(kafka_lanes, "SILENCE", -1.0)
    assert later.turn() == (20251121, 0)


def test_what_comes_late_does_not_wait() -> None:
    lanes, lane = Lanes(), lane_with([20251121])
    lanes.add(lane)
    assert lanes.turn() == (20251121, 0)
    lanes.give(lanes.waiting((20251121, 0)))
    late = lane.take(lane.received, b"")
    assert late is not None
    late.survey, late.night = 0, 20251120
    lanes.add(Lane(("t", 1), Position(0)))
    assert lanes.turn() == (20251120, 0)


def test_a_partition_of_another_survey_holds_nothing_back() -> None:
    lanes, other = Lanes(), Lane(("other", 0), Position(0), survey=1)
    lanes.add(lane_with([20251121]))
    lanes.add(other)
    assert lanes.turn() == (20251121, 0)


def test_messages_behind_the_end_of_a_run_and_repeated_ones_are_left() -> None:
    lane = lane_with([1, 1], stop=3)
    assert lane.take(0, b"again") is None
    assert not lane.finished
    assert lane.take(5, b"later") is None
    assert lane.finished
    assert lane.position(9).next == 3
    ended = Lane(("t", 0), Position(7), stop=12)
    ended.end(10)
    assert ended.finished
    assert ended.position(12).next == 10
