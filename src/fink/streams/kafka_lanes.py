"""Partitions side by side: what has arrived of each and was not given yet, and whose turn it is.

Alerts are given night by night, also where many partitions are read at different rates: a night begins when every partition has shown
that it holds no more of an earlier one. A partition that is ahead waits meanwhile, and what has arrived of it is remembered.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from fink.streams.kafka_consumer import Partition
from fink.streams.kafka_positions import Position, runs

SILENCE = 15.0
"""Seconds for which a partition that gives nothing holds back the next night; its alerts are late if they come after that [s]."""


@dataclass(eq=False, slots=True)
class Arrived:
    """A message that was not given yet; survey and night are known once it was looked at."""

    lane: Lane
    offset: int
    value: bytes | None
    survey: int = -1
    night: int = 0


@dataclass(eq=False)
class Lane:
    """One partition.

    Parameters
    ----------
    partition
        Topic and number.
    begun
        The position with which it began.
    stop
        Offset at which this run ends; None goes on for ever.
    topic_id
        Identity of the topic.

    Attributes
    ----------
    arrived
        Messages that were not given yet, by offset.
    received
        Offset behind the last message that has arrived.
    at_end
        Whether it had nothing more when it was last heard of.
    survey
        Number of the survey whose alerts it held last; -1 before the first.
    """

    partition: Partition
    begun: Position
    stop: int | None = None
    topic_id: str = ""
    arrived: deque[Arrived] = field(default_factory=deque)
    received: int = 0
    at_end: bool = False
    survey: int = -1
    heard: float = field(default_factory=time.monotonic)
    paused: bool = False

    def __post_init__(self) -> None:
        self.received = self.begun.first

    @property
    def finished(self) -> bool:
        """Whether this run takes nothing more of it."""
        return self.stop is not None and (self.at_end or self.received >= self.stop)

    def may_hold(self, survey: int) -> bool:
        """Say whether it may hold more of an earlier night of a survey than others show: one that was long silent is not waited for."""
        unknown = not self.arrived and not self.at_end and not self.finished and self.survey in (-1, survey)
        return unknown and time.monotonic() - self.heard < SILENCE

    def take(self, offset: int, value: bytes | None) -> Arrived | None:
        """Enter a message; None where it is archived already, came before, or lies behind the end of this run."""
        self.heard, self.at_end = time.monotonic(), False
        if offset < self.received:
            return None
        self.received = offset + 1
        if self.stop is not None and offset >= self.stop:
            # it belongs to the next run
            self.received = self.stop
            return None
        if not self.begun.wants(offset):
            return None
        self.arrived.append(Arrived(self, offset, value))
        return self.arrived[-1]

    def end(self, offset: int) -> None:
        """Note that it holds nothing from this offset on."""
        self.heard, self.at_end = time.monotonic(), True
        self.received = max(self.received, offset if self.stop is None else min(offset, self.stop))

    def position(self, end: int) -> Position:
        """Give how far it is, when all that was given is archived."""
        waiting = runs(message.offset for message in self.arrived)
        owed = tuple((max(start, self.received), stop) for start, stop in self.begun.left if stop > self.received)
        following = max(self.begun.next, self.received)
        return Position(following, (*waiting, *owed), max(end, following), self.topic_id)


class Lanes:
    """All partitions of a source."""

    def __init__(self) -> None:
        self._by_partition: dict[Partition, Lane] = {}
        self._nights: dict[int, int] = {}

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._by_partition.values())

    def __len__(self) -> int:
        return len(self._by_partition)

    def __contains__(self, partition: Partition) -> bool:
        return partition in self._by_partition

    def get(self, partition: Partition) -> Lane | None:
        """Give a partition; None where it is not read any more."""
        return self._by_partition.get(partition)

    def add(self, lane: Lane) -> None:
        """Enter a partition, or begin it anew."""
        self._by_partition[lane.partition] = lane

    def drop(self, partition: Partition) -> None:
        """Forget a partition."""
        del self._by_partition[partition]

    def turn(self) -> tuple[int, int] | None:
        """Say of which night and survey alerts are given next, of what was looked at; None while that cannot be told."""
        waiting = {(message.night, message.survey) for lane in self for message in lane.arrived if message.survey >= 0}
        for night, survey in sorted(waiting):
            if night <= self._nights.get(survey, 0) or not any(lane.may_hold(survey) for lane in self):
                self._nights[survey] = max(night, self._nights.get(survey, 0))
                return night, survey
        return None

    def ahead(self, lane: Lane) -> bool:
        """Say whether a partition shows a night that has not begun."""
        return any(message.night > self._nights.get(message.survey, 0) for message in lane.arrived)

    def waiting(self, turn: tuple[int, int]) -> list[Arrived]:
        """Give the messages of a night and survey that were not given yet."""
        return [message for lane in self for message in lane.arrived if (message.night, message.survey) == turn]

    def give(self, messages: list[Arrived]) -> list[Lane]:
        """Take messages out; give the partitions that they came from."""
        gone = set(map(id, messages))
        lanes = list({message.lane.partition: message.lane for message in messages}.values())
        for lane in lanes:
            lane.arrived = deque(message for message in lane.arrived if id(message) not in gone)
        return lanes
