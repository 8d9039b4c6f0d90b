"""Alerts from Kafka topics: every message once, night by night, from where the archive says that it has come."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from confluent_kafka import KafkaError
from numpy.typing import NDArray

from fink.commits import UNKNOWN_NIGHT, Quarantined
from fink.config import BatchSettings, KafkaInSettings
from fink.errors import RegistryError, SourceError
from fink.streams import Allocate, SourceBatch
from fink.streams.kafka_consumer import KafkaReader, KafkaTopics, Partition, place
from fink.streams.kafka_lanes import Arrived, Lane, Lanes
from fink.streams.kafka_positions import Gap, Position, position_key
from fink.streams.messages import UNREADABLE, Contents, MessageReader

LOGGER = logging.getLogger("fink.kafka")

_OVERTAKEN = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE})
_FORBIDDEN = frozenset({KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED})
_GONE = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION})
_MOST_AT_ONCE = 1000
_FULL = 0.9
"""Part of the megabytes of a batch from which on it counts as full: sizes are only known when messages have arrived."""


class KafkaSource:
    """Alerts from the topics of a Kafka cluster.

    Parameters
    ----------
    topics
        The topics that are meant.
    reader
        The cluster.
    messages
        Finds the alerts in messages.
    settings
        Where to begin, and what to do in trouble.
    progress
        What earlier runs left in the archive under `fink.streams.kafka_positions.POSITIONS`.
    follow
        Whether to go on for ever, with new partitions and topics, or to end where the partitions ended when the run began.

    Raises
    ------
    SourceError
        If the cluster does not answer or let this user in, or has no such topic.
    """

    def __init__(
        self,
        topics: KafkaTopics,
        reader: KafkaReader,
        messages: MessageReader,
        settings: KafkaInSettings,
        progress: Mapping[bytes, bytes] | None = None,
        *,
        follow: bool = False,
    ) -> None:
        self.name = topics.address
        self._topics, self._reader, self._messages, self._settings, self._follow = topics, reader, messages, settings, follow
        self._archived = progress or {}
        self._lanes = Lanes()
        self._fresh: list[Arrived] = []
        self._owed: dict[bytes, bytes] = {}
        self._cluster, there = reader.topics()
        chosen = topics.chosen(there)
        if not chosen and not follow:
            raise SourceError(
                f"{reader.servers} has no topic that {', '.join(topics.names)} matches; it has {', '.join(sorted(there)[:20])}"
            )
        self._begin({name: there[name] for name in chosen}, settings.start)
        self._looked_at = self._heard = self._listened = time.monotonic()
        self._mean_size = 1e5
        self._registry_since = self._registry_next = 0.0

    @property
    def total(self) -> int:
        """Messages still to come, as far as offsets tell: of a run that goes on, its lag."""
        return sum(len(lane.arrived) + max(self._end(lane) - lane.received, 0) for lane in self._lanes)

    def _end(self, lane: Lane) -> int:
        return self._reader.seen_end(lane.partition) if lane.stop is None else lane.stop

    def close(self) -> None:
        """Let go of the cluster."""
        self._reader.close()

    # Where partitions begin

    def _begin(self, topics: Mapping[str, int], start: str) -> None:
        """Begin to read every partition of topics that is not read yet."""
        new = [(name, number) for name, count in sorted(topics.items()) for number in range(count) if (name, number) not in self._lanes]
        ids = self._reader.topic_ids(sorted({name for name, _ in new}))
        for partition in new:
            low, high = self._reader.bounds(partition)
            begun = self._first_position(partition, ids[partition[0]], low, high, start)
            self._lanes.add(Lane(partition, begun, None if self._follow else high, ids[partition[0]]))
        self._reader.add({lane.partition: lane.received for lane in self._lanes if lane.partition in set(new)})

    def _first_position(self, partition: Partition, topic_id: str, low: int, high: int, start: str) -> Position:
        """Say where a partition begins, by what the archive knows of it, and else by the settings."""
        key = position_key(self._cluster, *partition)
        known = self._archived.get(key)
        if known is None:
            begun = Position(self._start(partition, low, high, start), (), high, topic_id)
            if start == "latest":
                # what comes between now and the first commit must not be passed over by the next run
                self._owed[key] = begun.to_bytes()
            return begun
        position = Position.from_bytes(known)
        if position.topic_id and topic_id and position.topic_id != topic_id:
            LOGGER.warning("topic %s was deleted and made anew since it was read; reading it from its beginning", partition[0])
            return Position(low, (), high, topic_id)
        return self._within(partition, position, low, high)

    def _start(self, partition: Partition, low: int, high: int, start: str) -> int:
        if start in ("earliest", "latest"):
            return low if start == "earliest" else high
        if start.isdecimal():
            return min(max(int(start), low), high)
        moment = datetime.fromisoformat(start)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return self._reader.at_time(partition, int(moment.timestamp() * 1000))

    def _within(self, partition: Partition, position: Position, low: int, high: int) -> Position:
        """Compare a position with what the cluster still has, or has at all.

        Raises
        ------
        SourceError
            If something is missing and the settings want the run to stop then.
        """
        if position.next > high:
            low, high = self._settled_bounds(partition, position.next)
        if position.next > high:
            text = f"{place(partition)} ends at offset {high} and was read to {position.next}: the cluster lost messages, or is another one"
            if self._settings.gaps == "stop":
                raise SourceError(f"{text}; set kafka_in.gaps to continue to read it from its beginning")
            LOGGER.error("%s; reading it from its beginning", text)
            return Position(low, (), high, position.topic_id)
        wanted = (*position.left, (position.next, high))
        lost = [(first, min(stop, low)) for first, stop in wanted if first < min(stop, low)]
        for first, stop in lost:
            self._note_gap(partition, first, stop)
        left = tuple((max(first, low), stop) for first, stop in position.left if stop > low)
        return Position(max(position.next, low), left, high, position.topic_id)

    def _settled_bounds(self, partition: Partition, expected: int) -> tuple[int, int]:
        """Ask again where a partition ends: a server that has just begun may not know yet how far it is."""
        for _ in range(10):
            low, high = self._reader.bounds(partition)
            if high >= expected:
                break
            time.sleep(0.3)
        return low, high

    def _note_gap(self, partition: Partition, first: int, stop: int) -> None:
        """Say that messages were deleted before they were read, and have the archive keep it."""
        text = f"{stop - first} messages of {place(partition)}, from offset {first} on, were deleted before they were read"
        if self._settings.gaps == "stop":
            raise SourceError(f"{text}; set kafka_in.gaps to continue to go on without them")
        LOGGER.error("%s; the ledger keeps that", text)
        key, value = Gap(self._cluster, *partition, first, stop - 1).entry()
        self._owed[key] = value

    def _overtaken(self, lane: Lane) -> None:
        """Go on where the cluster begins now, when it deleted what was to be read next."""
        low, high = self._reader.bounds(lane.partition)
        before = lane.position(high)
        if lane.arrived:
            before = Position(lane.received, tuple(r for r in before.left if r[0] >= lane.received), high, lane.topic_id)
        begun = self._within(lane.partition, before, low, high)
        lane.begun, lane.received, lane.at_end = begun, begun.first, False
        self._reader.add({lane.partition: lane.received})

    def _discover(self) -> None:
        """Look for new partitions and topics, and drop topics that are there no more."""
        if not self._follow or self._reader.in_trouble or time.monotonic() - self._looked_at < self._settings.discover:
            return
        self._looked_at = time.monotonic()
        found = self._reader.look()
        if found is None:
            return
        there = found[1]
        chosen = {name: there[name] for name in self._topics.chosen(there)}
        gone = [lane.partition for lane in self._lanes if lane.partition[0] not in chosen]
        for partition in gone:
            LOGGER.warning("topic %s is there no more; what was not read of it is lost", partition[0])
            self._lanes.drop(partition)
        self._reader.drop(gone)
        # what comes into being while it is followed is read from its beginning
        self._begin(chosen, "earliest")

    # Receiving

    def next_batch(self, limits: BatchSettings, allocate: Allocate) -> SourceBatch | None:
        """Give the next alerts of one night and survey; an idle batch when there are none for now, None at the end.

        Raises
        ------
        SourceError
            If the cluster or the schema registry has been away for longer than the settings allow, or forbids to read.
        """
        if self._owed:
            owed, self._owed = self._owed, {}
            return SourceBatch(self.name, progress=owed)
        self._wait_for_cluster()
        self._discover()
        self._receive(limits)
        self._listened = time.monotonic()
        contents = self._look(limits, allocate)
        batch = self._give(contents, limits, allocate)
        self._hold_and_go_on()
        if batch is not None:
            return batch
        if not self._follow and not self._fresh and all(lane.finished and not lane.arrived for lane in self._lanes):
            self.close()
            return None
        self._complain_of_silence()
        return SourceBatch(self.name)

    def _wait_for_cluster(self) -> None:
        """See whether a cluster that was away is there again; no partition was silent while it was away, or while nobody listened."""
        if self._reader.in_trouble:
            self._reader.check()
        deaf = time.monotonic() - self._listened
        for lane in self._lanes:
            lane.heard += deaf
        self._heard += deaf

    def _receive(self, limits: BatchSettings) -> None:
        """Take what arrives, until a batch is full or has waited long enough."""
        deadline = time.monotonic() + limits.seconds
        most, room = limits.alerts - len(self._fresh), limits.megabytes * 1e6 * _FULL
        room -= sum(len(message.value or b"") for message in self._fresh)
        at_hand = self._lanes.turn() is not None or bool(self._fresh)
        while most > 0 and room > 0 and not (self._lanes and all(lane.finished for lane in self._lanes)):
            wait = 0.0 if at_hand else max(deadline - time.monotonic(), 0.0)
            count = max(1, min(most, _MOST_AT_ONCE, int(room / self._mean_size)))
            found = self._reader.messages(count, wait)
            size = self._enter(found)
            most, room = most - len(found), room - size
            if len(found) < count and (at_hand or time.monotonic() >= deadline):
                break

    def _enter(self, found: Sequence[Any]) -> int:
        """Enter what has arrived; give its size [byte]."""
        size = before = 0
        before = len(self._fresh)
        for message in found:
            lane = self._lanes.get((message.topic(), message.partition()))
            if lane is None:
                continue
            if message.error() is not None:
                self._meet(message, lane)
                continue
            arrived = lane.take(message.offset(), message.value())
            if arrived is not None:
                self._fresh.append(arrived)
                size += len(arrived.value or b"")
        if found:
            self._heard = time.monotonic()
        if len(self._fresh) > before:
            self._mean_size = 0.5 * self._mean_size + 0.5 * max(size / (len(self._fresh) - before), 100.0)
        return size

    def _meet(self, message: Any, lane: Lane) -> None:
        """Deal with what a partition says instead of a message."""
        error = message.error()
        if error.code() == KafkaError._PARTITION_EOF:
            lane.end(message.offset())
        elif error.code() in _OVERTAKEN:
            self._overtaken(lane)
        elif error.code() in _FORBIDDEN:
            spot = f"{place(lane.partition)}: {error.str()}"
            raise SourceError(f"{self._reader.servers} does not let {self._reader.user} read {spot}; ask for the right to")
        elif error.code() in _GONE:
            # the next look at the topics decides
            self._looked_at = 0.0
        else:
            LOGGER.warning("%s: %s", place(lane.partition), error.str())

    def _complain_of_silence(self) -> None:
        """End a run that waits in vain for partitions which nobody serves."""
        outage = self._settings.outage
        if not self._follow and not self._fresh and outage and time.monotonic() - self._heard > outage:
            silent = [lane for lane in self._lanes if not lane.finished]
            raise SourceError(
                f"{self._reader.servers} has given nothing of {place(silent[0].partition)} for {outage:.0f} s; has it a leader?"
            )

    # Giving

    def _look(self, limits: BatchSettings, allocate: Allocate) -> Contents | None:
        """Find out what the messages are that have just arrived; None where there are none, or the schema registry is away.

        Raises
        ------
        SourceError
            If the registry has been away for longer than the settings allow.
        """
        if not self._fresh or time.monotonic() < self._registry_next:
            time.sleep(min(limits.seconds, 0.1) if self._fresh else 0.0)
            return None
        try:
            contents = self._messages.read([message.value for message in self._fresh], allocate)
        except RegistryError as error:
            self._wait_for_registry(error)
            return None
        self._registry_since = 0.0
        for message, survey, night in zip(self._fresh, contents.survey.tolist(), contents.night.tolist(), strict=True):
            message.survey, message.night = survey, night
            if survey != UNREADABLE:
                message.lane.survey = survey
        return contents

    def _wait_for_registry(self, error: RegistryError) -> None:
        now = time.monotonic()
        if not self._registry_since:
            LOGGER.warning("%s; waiting", error)
            self._registry_since = now
        away = now - self._registry_since
        if self._settings.outage and away > self._settings.outage:
            raise SourceError(f"{error} for {away:.0f} s; nothing is lost: the next run goes on here") from error
        self._registry_next = now + min(10.0, max(0.2, away))

    def _give(self, contents: Contents | None, limits: BatchSettings, allocate: Allocate) -> SourceBatch | None:
        """Give what belongs together of what has arrived, and with it whatever cannot be read."""
        looked = self._fresh if contents is not None else []
        fresh, self._fresh = (self._fresh, []) if contents is not None else ([], self._fresh)
        broken = [number for number, message in enumerate(looked) if message.survey == UNREADABLE]
        turn = self._lanes.turn()
        chosen = self._chosen(turn, limits) if turn is not None else []
        if not chosen and not broken:
            return None
        place_of = {id(message): number for number, message in enumerate(fresh)}
        numbers = [place_of.get(id(message), -1) for message in chosen]
        if contents is None or -1 in numbers:
            # some came earlier and waited for their night: all are laid out anew, and what cannot be read is kept from before
            refused = self._quarantined(contents, fresh, broken) if contents is not None else ()
            contents = self._messages.read([message.value for message in chosen], allocate)
            refused += self._quarantined(contents, chosen, range(len(chosen)))
            return self._batch(contents, chosen, np.arange(len(chosen)), turn, refused, [fresh[n] for n in broken])
        mine = np.sort(np.array(numbers, np.int64))
        refused = self._quarantined(contents, fresh, [*numbers, *broken])
        return self._batch(contents, fresh, mine, turn, refused, [fresh[n] for n in broken])

    def _chosen(self, turn: tuple[int, int], limits: BatchSettings) -> list[Arrived]:
        """Choose of the messages of a night and survey as many as a batch takes."""
        waiting = self._lanes.waiting(turn)[: limits.alerts]
        sizes = np.cumsum([len(message.value or b"") for message in waiting])
        return waiting[: max(1, int(np.searchsorted(sizes, limits.megabytes * 1.5e6, side="right")))]

    def _batch(
        self,
        contents: Contents,
        messages: Sequence[Arrived],
        mine: NDArray[np.int64],
        turn: tuple[int, int] | None,
        refused: tuple[Quarantined, ...],
        broken: list[Arrived],
    ) -> SourceBatch:
        """Make the batch of some of the messages that were looked at, and of those that cannot be read."""
        given = [messages[number] for number in mine.tolist()]
        lanes = self._lanes.give([*given, *broken])
        for message in (*given, *broken):
            # from here on its bytes are in the buffer, or with what cannot be read
            message.value = None
        progress = {position_key(self._cluster, *lane.partition): lane.position(self._end(lane)).to_bytes() for lane in lanes}
        rows = np.flatnonzero(np.isin(contents.message, mine))
        if turn is None or not len(rows):
            return SourceBatch(self.name, quarantined=refused, progress=progress)
        origin = contents.message[rows]

        def where(row: int) -> tuple[str, str]:
            return _where(messages[int(origin[row])])

        packets = self._messages.packets(contents, rows)
        return SourceBatch(self.name, self._messages.names[turn[1]], turn[0], packets, where, refused, progress)

    def _quarantined(self, contents: Contents, messages: Sequence[Arrived], numbers: Sequence[int]) -> tuple[Quarantined, ...]:
        """Give what cannot be read of some messages."""
        wanted = set(numbers)
        items = [(*_where(messages[item.message]), item) for item in contents.unreadable if item.message in wanted]
        return tuple(Quarantined(topic, spot, item.reason, item.body, "", UNKNOWN_NIGHT) for topic, spot, item in items)

    def _hold_and_go_on(self) -> None:
        """Hold partitions whose night has not begun, or whose run has ended, and go on with the others."""
        for lane in self._lanes:
            # one that has nothing more needs no holding
            waits = lane.finished or (not lane.at_end and self._lanes.ahead(lane))
            if waits != lane.paused:
                (self._reader.pause if waits else self._reader.resume)([lane.partition])
                lane.paused, lane.heard = waits, time.monotonic()


def _where(message: Arrived) -> tuple[str, str]:
    """Name the place of a message: its topic, and partition and offset in it."""
    topic, number = message.lane.partition
    return topic, f"partition {number}, offset {message.offset}"
