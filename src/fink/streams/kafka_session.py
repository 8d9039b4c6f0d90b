"""Exactly once into Kafka, step by step: what was delivered and how far it goes are one transaction.

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
        Of this broker among those that send to the same cluster; its transactions and its position go by it.
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
    """

    archive: str
    commit: int = 0
    checksum: str = ""
    undeliverable: Mapping[str, int] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Write it as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote."""
        return cls(**json.loads(data))


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
    position
        The last of the commits; what was undeliverable is added by the session.
    topics
        Every topic of a substream that was evaluated: they are made even where nothing was selected yet.
    """

    position: Position
    topics: tuple[str, ...]
    schemas: tuple[bytes, ...]
    messages: Sequence[Message]


class Shape(NamedTuple):
    """Partitions of a topic, and the largest batch that it takes [bytes]."""

    partitions: int
    most_bytes: int


class Log(Protocol):
    """What a session needs of Kafka. Each step raises `LogError` when it fails, also after a bounded time."""

    def fence(self) -> None:
        """Take over the transactions of this name: those of an earlier session are ended, and it can begin none any more."""

    def read(self, *, committed: bool) -> Mapping[bytes, bytes]:
        """Give the last value of each key of the topic of positions, up to its end as of now; made where it is not there."""

    def shapes(self, topics: Sequence[str]) -> Mapping[str, Shape]:
        """Give the shapes of topics; those that are not there are made."""

    def begin(self) -> None:
        """Begin a transaction."""

    def send(self, topic: str, partition: int, key: bytes, value: bytes) -> None:
        """Put a message into the transaction; whether it was taken is known when it is committed."""

    def commit(self) -> None:
        """End the transaction: all of it can be read by those who read committed messages, or nothing."""


class Session:
    """One producer's life: it takes over, reads how far it came, and delivers from there. After any trouble a new one begins.

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
        # only what is read after the fence is final: nobody else can commit under this name any more
        self._position = self._own(self._log.read(committed=True))
        return self._position

    def _own(self, values: Mapping[bytes, bytes]) -> Position | None:
        value = values.get(self._destination.name.encode())
        return None if value is None else Position.from_bytes(value)

    def deliver(self, delivery: Delivery) -> Position:
        """Send messages and position in one transaction, and give the position that is reached."""
        shapes = self._log.shapes(delivery.topics)
        counts = dict(self._position.undeliverable) if self._position else {}
        self._log.begin()
        for message in delivery.messages:
            key = delivery.schemas[message.schema]
            shape = shapes[message.topic]
            if len(key) + len(message.value) + FRAME > shape.most_bytes:
                counts[message.topic] = counts.get(message.topic, 0) + 1
                self._note_undeliverable(message, len(key) + len(message.value), shape.most_bytes, delivery.position.commit)
            else:
                self._log.send(message.topic, message.spread % shape.partitions, key, message.value)
        reached = replace(delivery.position, undeliverable=counts)
        self._log.send(self._destination.positions, 0, self._destination.name.encode(), reached.to_bytes())
        self._log.commit()
        self._position = reached
        return reached

    def _note_undeliverable(self, message: Message, size: int, most: int, commit: int) -> None:
        """Say which alert was too large, in the same transaction: exactly once, like what is delivered."""
        key = f"{self._destination.name}/undeliverable/{message.topic}/{message.alert}".encode()
        value = {"topic": message.topic, "alert": message.alert, "bytes": size, "most_bytes": most, "up_to_commit": commit}
        self._log.send(self._destination.positions, 0, key, json.dumps(value).encode())


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
