"""Exactly once into Kafka, step by step: each message has a number in its partition, and the server takes only the next one.

Everything that decides whether an alert is lost or sent twice is here, apart from any client: `Session` drives a `Log`, which is Kafka
(`fink.streams.kafka_log`) or, in the tests, a model of it that is killed at every step. Why it holds at each of them:
``docs/decisions/exactly-once-kafka.md``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Literal, NamedTuple, Protocol, Self

from fink.errors import FinkError

Trouble = Literal["again", "refused"]
"""What to do about it: begin a new session, or tell the operator."""

FRAME = 200
"""Bytes that a record batch of one message needs beyond its key and its value, at most."""

BATCH_BYTES = 1_000_000
"""Messages that are compressed together [bytes]; the schemas in their keys are alike."""


class LogError(FinkError):
    """The log did not take something; ``trouble`` says whether a new session may help."""

    def __init__(self, text: str, trouble: Trouble = "again") -> None:
        super().__init__(text)
        self.trouble: Trouble = trouble


@dataclass(frozen=True)
class Destination:
    """Where substreams are sent, and how.

    Parameters
    ----------
    client
        Settings of the client: servers and how to log in.
    name
        Of this broker among those that send to the same cluster; its position goes by it.
    positions
        Topic of the positions.
    topic_settings
        Those of new topics.
    timeout
        Seconds that any one step may take.
    """

    client: Mapping[str, str]
    name: str
    positions: str
    partitions: int
    replicas: int
    topic_settings: Mapping[str, str]
    compression: str
    most_bytes: int
    timeout: float


@dataclass(frozen=True)
class Place:
    """How far one topic has come, as of a position.

    Parameters
    ----------
    topic_id
        Identity of the topic, empty where the servers give none: a topic that was deleted and made anew has another.
    most_bytes
        Largest batch that is sent to it [bytes].
    sent
        (p,) how many messages of this name each partition has got.
    ends
        (p,) offset before which none of the messages lies that came after those.
    """

    topic_id: str
    most_bytes: int
    sent: tuple[int, ...]
    ends: tuple[int, ...]


@dataclass(frozen=True)
class Position:
    """How far a broker has come, as the log itself keeps it.

    Parameters
    ----------
    archive
        Identity of the archive whose commits were delivered.
    commit, checksum
        The last one of them.
    undeliverable
        By topic, how many alerts were too large for it.
    producer
        The number under which the server counts this name's messages.
    places
        How far each topic has come with that commit.
    """

    archive: str
    commit: int = 0
    checksum: str = ""
    undeliverable: Mapping[str, int] = field(default_factory=dict)
    producer: int = -1
    places: Mapping[str, Place] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Write it as JSON."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote."""
        record = json.loads(data)
        places = {
            topic: Place(place["topic_id"], place["most_bytes"], tuple(place["sent"]), tuple(place["ends"]))
            for topic, place in record.get("places", {}).items()
        }
        return cls(**(record | {"places": places}))


class Message(NamedTuple):
    """One alert for one topic."""

    topic: str
    spread: int
    """Stable hash of its object: the partition is its remainder."""
    schema: int
    """Which of the delivery's schemas is its key."""
    value: bytes
    alert: int


@dataclass(frozen=True)
class Delivery:
    """What some commits send, in their order, and the position that is reached with it.

    Parameters
    ----------
    start
        Where the first delivery under a new name begins.
    position
        The last of the commits; the session adds what only it knows.
    topics
        Every topic of a substream that was evaluated: they are made even where nothing was selected yet.
    last
        The archive's last commit: nothing that an earlier session sent lies beyond it.
    """

    start: Position
    position: Position
    topics: tuple[str, ...]
    schemas: tuple[bytes, ...]
    messages: Sequence[Message]
    last: int


class Shape(NamedTuple):
    """Partitions of a topic, the largest batch that it takes [bytes], and its identity."""

    partitions: int
    most_bytes: int
    topic_id: str = ""


class Batch(NamedTuple):
    """Messages that one partition takes together or not at all."""

    topic: str
    partition: int
    producer: int
    first: int
    """Number of the first of them among all that this producer sent to the partition, from 0."""
    messages: list[tuple[bytes, bytes]]
    """Keys and values."""


class Log(Protocol):
    """What a session needs of Kafka. Each step raises `LogError` when it fails, also after a bounded time."""

    def fence(self) -> None:
        """Take over this name: whatever an earlier session still records is refused from now on."""

    def read(self, *, committed: bool) -> Mapping[bytes, bytes]:
        """Give the last value of each key of the topic of positions, up to its end as of now; made where it is not there."""

    def record(self, values: Mapping[bytes, bytes]) -> None:
        """Put values into the topic of positions, all or none; refused once another session has taken over."""

    def shapes(self, topics: Sequence[str], *, make: bool) -> Mapping[str, Shape]:
        """Give the shapes of topics; those that are not there are made, or else left out."""

    def ends(self, topics: Sequence[str]) -> Mapping[str, tuple[int, ...]]:
        """Give the offset behind the last message of each partition."""

    def new_producer(self) -> int:
        """Give a number under which nobody has sent yet."""

    def sent(self, producer: int, places: Mapping[str, Place]) -> Mapping[str, list[int]]:
        """Give how many messages of a producer each partition has by now."""

    def append(self, batches: Sequence[Batch]) -> Sequence[int]:
        """Send batches and wait until they are safe; give the offset behind each.

        A partition takes a batch if its first message is the next one of its producer, or has it already; any other it refuses,
        whenever it arrives.
        """


class Session:
    """One session's life: it takes over, reads how far the topics are, and delivers from there. After any trouble a new one begins.

    Parameters
    ----------
    log
        Kafka.
    destination
        The name and the topic of positions.
    """

    def __init__(self, log: Log, destination: Destination) -> None:
        self._log, self._destination = log, destination
        self._position: Position | None = None
        self._there: dict[str, list[int]] = {}
        self._shapes: Mapping[str, Shape] = {}
        self._settled = False

    def open(self, archive: str) -> Position | None:
        """Take over and give how far this name has come, None where it never delivered.

        Raises
        ------
        LogError
            If another archive delivers under this name; it is asked before anything of it is taken over.
        """
        before = self._own(self._log.read(committed=False))
        if before is not None and before.archive != archive:
            raise LogError(
                f"the archive {before.archive} sends its substreams under the name {self._destination.name!r}, and this one is {archive}; "
                "set kafka_out.name to another name",
                "refused",
            )
        self._log.fence()
        # only what is read after the fence is final: nobody else can move it any more
        self._position = self._own(self._log.read(committed=True))
        if self._position is not None:
            self._position = self._look_around(self._position)
        return self._position

    def _own(self, values: Mapping[bytes, bytes]) -> Position | None:
        value = values.get(self._destination.name.encode())
        return None if value is None else Position.from_bytes(value)

    def _look_around(self, position: Position) -> Position:
        """See what the topics of a position have got beyond it; forget those that are gone, or are others of the same name."""
        self._shapes = self._log.shapes(sorted(position.places), make=False)
        places = {topic: place for topic, place in position.places.items() if topic in self._shapes}
        places = {topic: place for topic, place in places.items() if place.topic_id == self._shapes[topic].topic_id}
        self._there = {topic: list(counts) for topic, counts in self._log.sent(position.producer, places).items()}
        return replace(position, places=places)

    def deliver(self, delivery: Delivery) -> Position:
        """Send what the topics have not got yet, then record the position that is reached, and give it."""
        position = self._placed(delivery)
        load = _Load(position, self._there)
        for message in delivery.messages:
            load.add(message, delivery.schemas[message.schema], delivery.position.commit)
        behind = self._log.append(load.batches)
        reached = load.reached(delivery.position, behind)
        notes = {f"{self._destination.name}/undeliverable/{key}".encode(): note for key, note in load.notes.items()}
        self._record(reached, notes)
        self._there = {topic: list(map(max, self._there[topic], place.sent)) for topic, place in reached.places.items()}
        self._settled = delivery.position.commit == delivery.last
        return reached

    def _record(self, position: Position, notes: Mapping[bytes, bytes]) -> None:
        self._log.record({**notes, self._destination.name.encode(): position.to_bytes()})
        self._position = position

    def _placed(self, delivery: Delivery) -> Position:
        """Give the position with a place for each topic, recorded before anything is sent that depends on it."""
        position = self._position or delivery.start
        places = self._reshaped(position)
        new = [topic for topic in delivery.topics if topic not in places]
        if new:
            shapes, ends = self._log.shapes(new, make=True), self._log.ends(new)
            for topic in new:
                shape = shapes[topic]
                places[topic] = Place(shape.topic_id, shape.most_bytes, (0,) * shape.partitions, ends[topic])
        if places == position.places:
            return position
        producer = self._log.new_producer() if position.producer < 0 else position.producer
        position = replace(position, producer=producer, places=places)
        self._record(position, {})
        self._there = {topic: _longer(self._there.get(topic, []), len(place.sent)) for topic, place in places.items()}
        return position

    def _reshaped(self, position: Position) -> dict[str, Place]:
        """Give the places as they are, or as the topics have become, where no message can be under way that was numbered before."""
        places = dict(position.places)
        if not self._settled:
            return places
        for topic, shape in self._shapes.items():
            place = places.get(topic)
            if place is None or (shape.partitions <= len(place.sent) and shape.most_bytes == place.most_bytes):
                continue
            ends = (*place.ends, *self._log.ends([topic])[topic][len(place.ends) :])
            places[topic] = Place(place.topic_id, shape.most_bytes, tuple(_longer(place.sent, len(ends))), ends)
        return places


def _longer(counts: Sequence[int], length: int) -> list[int]:
    return [*counts, *[0] * (length - len(counts))]


class _Load:
    """What a delivery has to send, batch by batch: each message gets its number, and those that are there are left out."""

    def __init__(self, position: Position, there: Mapping[str, Sequence[int]]) -> None:
        self.batches: list[Batch] = []
        self.notes: dict[str, bytes] = {}
        self._position, self._there = position, there
        self._sent = {topic: list(place.sent) for topic, place in position.places.items()}
        self._counts = dict(position.undeliverable)
        self._open: dict[tuple[str, int], tuple[Batch, int]] = {}

    def add(self, message: Message, key: bytes, commit: int) -> None:
        """Put a message into the last batch of its partition, or note that it is too large."""
        topic, size = message.topic, len(key) + len(message.value)
        place, counts = self._position.places[topic], self._sent[topic]
        if size + FRAME > place.most_bytes:
            self._counts[topic] = self._counts.get(topic, 0) + 1
            note = {"topic": topic, "alert": message.alert, "bytes": size, "most_bytes": place.most_bytes, "up_to_commit": commit}
            self.notes[f"{topic}/{message.alert}"] = json.dumps(note).encode()
            return
        partition = message.spread % len(counts)
        number = counts[partition]
        counts[partition] += 1
        if number < self._there[topic][partition]:
            return
        batch, filled = self._open.get((topic, partition), (None, 0))
        if batch is None or filled + size + FRAME > min(BATCH_BYTES, place.most_bytes):
            batch, filled = Batch(topic, partition, self._position.producer, number, []), 0
            self.batches.append(batch)
        batch.messages.append((key, message.value))
        self._open[topic, partition] = batch, filled + size + FRAME

    def reached(self, position: Position, behind: Sequence[int]) -> Position:
        """Give the position that is reached when everything is there."""
        ends = {topic: list(place.ends) for topic, place in self._position.places.items()}
        for batch, end in zip(self.batches, behind, strict=True):
            ends[batch.topic][batch.partition] = end
        places = {
            topic: replace(place, sent=tuple(self._sent[topic]), ends=tuple(ends[topic])) for topic, place in self._position.places.items()
        }
        return replace(position, undeliverable=self._counts, producer=self._position.producer, places=places)


@dataclass(frozen=True)
class Open:
    """Ask a session to take over for an archive."""

    archive: str


Request = Open | Delivery


@dataclass(frozen=True)
class Reached:
    """A session opened or delivered: this is its position now."""

    position: Position | None


@dataclass(frozen=True)
class Failed:
    """A session came to its end."""

    text: str
    trouble: Trouble


Answer = Reached | Failed


def answer(session: Session, request: Request) -> Answer:
    """Do what is asked of a session."""
    try:
        return Reached(session.open(request.archive) if isinstance(request, Open) else session.deliver(request))
    except LogError as error:
        return Failed(str(error), error.trouble)


class Link(Protocol):
    """A session that runs elsewhere, so that it can be given up whatever it does."""

    def ask(self, request: Request) -> None:
        """Send it a request; it works on one at a time."""

    def answer(self, seconds: float) -> Answer | None:
        """Wait for its answer; None when none came yet."""

    def end(self) -> None:
        """End it, at once and for good."""


Connect = Callable[[], Link]
