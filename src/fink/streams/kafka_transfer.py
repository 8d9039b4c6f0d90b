"""Topics that hold one selection of alerts, to be fetched once by its user: a topic of alerts, and one of its schema.

Clients count what is left to read by subtracting offsets, so a partition begins at offset 0 and has no gaps: no transactions, no
compaction, nothing deleted while it lives. What comes at which offset follows from the selection alone. So a transfer that was broken
off asks the cluster how far each partition is, and goes on behind that: nothing is missing and nothing twice.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from fink.config import KafkaOutSettings
from fink.errors import FollowerError

PARTITIONS = 10
"""Partitions of a topic: clients assume so many."""

SCHEMA_COPIES = 1000
"""Messages of the schema's topic: each run of a client reads one, and never the same again."""

_MILLISECONDS_PER_DAY = 86_400_000


class TransferTopic:
    """The topic of a selection, and that of its schema.

    Parameters
    ----------
    name
        Name of the topic; the schema's is ``<name>_schema``.
    settings
        Where the cluster is, how messages are compressed, and how long a step may take.
    days
        Days that the cluster keeps the topics at least [d].
    """

    def __init__(self, name: str, settings: KafkaOutSettings, days: float) -> None:
        self.name, self._settings, self._days = name, settings, days
        self._refused: KafkaError | None = None
        self._producer: Any = None
        self._written = [0] * PARTITIONS
        self._count = 0

    def open(self, schema: bytes) -> int:
        """Make the topics where they are not there, and give how many messages the topic of alerts has already.

        The schema is there, whole, before the first alert: a client that sees alerts to be read asks for it.

        Raises
        ------
        FollowerError
            If the cluster does not answer in time, or refuses.
        """
        with_schema = f"{self.name}_schema"
        _make(self._settings, (self.name, with_schema), self._days)
        self._producer = Producer(
            self._settings.client()
            | {
                "enable.idempotence": True,
                "compression.type": self._settings.compression,
                "message.max.bytes": int(self._settings.message_megabytes * 1e6),
                "message.timeout.ms": int(self._settings.timeout * 1000),
                "linger.ms": 20,
                "batch.size": 1_000_000,
                "queue.buffering.max.kbytes": 256_000,
                "log_level": 0,
            }
        )
        there = ends_of(self._settings, with_schema)
        for number in range(SCHEMA_COPIES):
            if number // PARTITIONS >= there[number % PARTITIONS]:
                self._send(with_schema, number % PARTITIONS, schema, b"")
        self._flush()
        self._written = ends_of(self._settings, self.name)
        return sum(self._written)

    def send(self, value: bytes) -> None:
        """Send the next message of the selection; one that the topic has already is left out."""
        place, partition = divmod(self._count, PARTITIONS)
        if place >= self._written[partition]:
            self._send(self.name, partition, self.name.encode(), value)
        self._count += 1

    def close(self) -> None:
        """Wait until the cluster has everything.

        Raises
        ------
        FollowerError
            If it did not take something.
        """
        if self._producer is not None:
            self._flush()

    def _send(self, topic: str, partition: int, key: bytes, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, partition=partition, on_delivery=self._delivered)
            except BufferError:
                self._producer.poll(0.2)
                self._check()
            except KafkaException as error:
                # too large for the client itself
                self._refused = error.args[0]
                self._check()
            else:
                self._producer.poll(0)
                break

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        self._refused = self._refused or error

    def _flush(self) -> None:
        left = self._producer.flush(self._settings.timeout)
        self._check()
        if left:
            raise FollowerError(f"Kafka at {self._settings.servers} took no more of {self.name} in {self._settings.timeout:g} s; resume it")

    def _check(self) -> None:
        if self._refused is not None:
            raise FollowerError(f"Kafka at {self._settings.servers} refused a message of {self.name}: {self._refused.str()}")


def _make(settings: KafkaOutSettings, topics: tuple[str, ...], days: float) -> None:
    """Make topics that keep everything for so many days."""
    config = {
        "cleanup.policy": "delete",
        "retention.ms": str(math.ceil(days * _MILLISECONDS_PER_DAY)),
        "retention.bytes": "-1",
        "max.message.bytes": str(int(settings.message_megabytes * 1e6)),
    }
    wanted = [NewTopic(topic, PARTITIONS, settings.replicas, config=config) for topic in topics]

    def ask() -> None:
        admin = AdminClient(settings.client() | {"log_level": 0})
        made = admin.create_topics(wanted, operation_timeout=settings.timeout)
        for result in made.values():
            try:
                result.result(settings.timeout)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise

    _bounded(settings, f"the topic {topics[0]} cannot be made", ask)


def ends_of(settings: KafkaOutSettings, topic: str) -> list[int]:
    """Give how many messages each partition of a topic has.

    Raises
    ------
    FollowerError
        If the cluster does not answer in time, or has lost the beginning of one.
    """
    ends = [0] * PARTITIONS

    def ask() -> None:
        consumer = Consumer(settings.client() | {"group.id": "fink-transfer", "log_level": 0})
        try:
            for partition in range(PARTITIONS):
                low, ends[partition] = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=settings.timeout)
                if low:
                    raise FollowerError(f"Kafka has deleted the first {low} messages of {topic}; order the transfer again")
        finally:
            consumer.close()

    _bounded(settings, f"the topic {topic} cannot be read", ask)
    return ends


def remove(settings: KafkaOutSettings, name: str) -> None:
    """Remove the topics of a transfer; those that are not there are gone already.

    Raises
    ------
    FollowerError
        If the cluster does not answer in time, or refuses.
    """

    def ask() -> None:
        admin = AdminClient(settings.client() | {"log_level": 0})
        gone = admin.delete_topics([name, f"{name}_schema"], operation_timeout=settings.timeout)
        for result in gone.values():
            try:
                result.result(settings.timeout)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise

    _bounded(settings, f"the topic {name} cannot be removed", ask)


_SETTLING = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._UNKNOWN_TOPIC,
    }
)
"""Errors of a topic that was just made."""


def _bounded(settings: KafkaOutSettings, what: str, ask: Callable[[], None]) -> None:
    """Do something with the cluster, again while a topic that was just made settles."""
    until = time.monotonic() + settings.timeout
    while True:
        try:
            ask()
            return
        except TimeoutError as error:
            raise FollowerError(f"Kafka at {settings.servers}: {what}: no answer in {settings.timeout:g} s") from error
        except KafkaException as error:
            problem = error.args[0]
            if time.monotonic() > until or not (problem.retriable() or problem.code() in _SETTLING):
                raise FollowerError(f"Kafka at {settings.servers}: {what}: {problem.str()}") from error
        time.sleep(0.2)
