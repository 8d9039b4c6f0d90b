"""A real Apache Kafka for tests: one node on the loopback address for each test process, started by the first test that asks for it.

A test takes the fixture ``kafka`` and gets a `Kafka` that answers, with topics of its own::

    def test_something(kafka: Kafka) -> None:
        topic = kafka.topic(partitions=4)
        kafka.produce(topic, [b"one", b"two"])
        consumer = Consumer(kafka.client() | {"group.id": "any"})

`Kafka.client` gives the settings of a librdkafka client for a listener: ``plain`` (no password, may do all), ``sasl``, ``tls``,
``sasl_tls`` (users `USERS`, by SCRAM-SHA-256, SCRAM-SHA-512 or PLAIN). `Kafka.kill`, `Kafka.stop` and `Kafka.start` end and start the
server on the same ports with the same data; the next test finds it running whatever this one did. Who has an access list is limited to
it; for the others everything is allowed. Without Java or Maven such tests are skipped.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from fink.services.kafka_server import KafkaServer

USERS = {"alice": "alice-secret", "bob": "bob-secret"}
"""Users of the listeners ``sasl`` and ``sasl_tls``, with their passwords."""

_QUIET = {"log_level": 0}


class Kafka:
    """A running Kafka node, with what tests do to it."""

    def __init__(self, server: KafkaServer) -> None:
        self.server = server
        self._numbers = count(1)

    @property
    def bootstrap(self) -> str:
        """Host and port of the listener ``plain``."""
        return self.server.address()

    def client(self, listener: str = "plain", user: str = "alice", mechanism: str = "SCRAM-SHA-512") -> dict[str, Any]:
        """Give the settings with which a librdkafka client reaches a listener."""
        return self.server.client(listener, user, mechanism) | _QUIET

    def admin(self) -> AdminClient:
        """Give a client that may make and change topics and access lists."""
        return AdminClient(self.client())

    def topic(self, name: str = "", partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
        """Make a topic, by default of a name that no other test has; give its name."""
        name = name or f"test-{next(self._numbers)}"
        admin = self.admin()
        made = admin.create_topics([NewTopic(name, partitions, 1, config=dict(config or {}))], operation_timeout=30)
        made[name].result(30)
        return name

    def forget(self, beginning: str) -> None:
        """Delete the topics whose names begin so: what other tests left."""
        admin = self.admin()
        names = [name for name in admin.list_topics(timeout=30).topics if name.startswith(beginning)]
        if names:
            for deleted in admin.delete_topics(names, operation_timeout=30).values():
                deleted.result(60)

    def unused(self, beginning: str = "test") -> str:
        """Give a name that no topic has."""
        return f"{beginning}-{next(self._numbers)}"

    def produce(
        self, topic: str, values: Sequence[bytes | None], partition: int = 0, keys: Sequence[bytes] | None = None, timestamp: int = 0
    ) -> None:
        """Write messages to a partition and wait until the server has them; ``timestamp`` in ms, 0 for now."""
        producer = Producer(self.client() | {"linger.ms": 5, "message.max.bytes": 50_000_000, "queue.buffering.max.messages": 1_000_000})
        refused: list[str] = []

        def delivered(error: Any, message: Message) -> None:
            if error is not None:
                refused.append(str(error))

        for row, value in enumerate(values):
            while True:
                try:
                    producer.produce(
                        topic, value, keys[row] if keys else None, partition=partition, timestamp=timestamp, on_delivery=delivered
                    )
                    break
                except BufferError:
                    producer.poll(0.1)
        assert producer.flush(60) == 0, "the server did not take the messages in a minute"
        assert not refused, refused[0]

    def watermarks(self, topic: str, partition: int = 0, isolation: str = "read_committed") -> tuple[int, int]:
        """Give the first offset of a partition and the one behind its last (committed) message."""
        consumer = Consumer(self.client() | {"group.id": "watermarks", "isolation.level": isolation})
        try:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
        finally:
            consumer.close()
        return low, high

    def messages(self, topic: str, isolation: str = "read_committed") -> list[Message]:
        """Give all messages of a topic, partition by partition."""
        consumer = Consumer(
            self.client()
            | {"group.id": "messages", "isolation.level": isolation, "enable.auto.commit": False, "enable.partition.eof": True}
        )
        found: list[Message] = []
        try:
            partitions = list(consumer.list_topics(topic, timeout=30).topics[topic].partitions)
            consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
            ended: set[int] = set()
            while len(ended) < len(partitions):
                message = consumer.poll(30)
                assert message is not None, f"no end of {topic} in 30 s"
                if message.error() is None:
                    found.append(message)
                else:
                    assert message.error().name() == "_PARTITION_EOF", message.error()
                    ended.add(message.partition())
        finally:
            consumer.close()
        return sorted(found, key=lambda message: (message.partition(), message.offset()))

    def kill(self) -> None:
        """End the server as a power cut would."""
        self.server.kill()

    def stop(self) -> None:
        """End the server in good order."""
        self.server.down()

    def start(self) -> None:
        """Start the server where it does not run, and wait until it answers."""
        self.server.up()


@pytest.fixture(scope="session")
def kafka_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """One Kafka node for the test process."""
    absent = [name for name in ("java", "keytool", "mvn") if shutil.which(name) is None]
    if absent:
        pytest.skip(f"a real Kafka needs {', '.join(absent)}, which is not here (Debian: apt-get install default-jre-headless maven)")
    server = KafkaServer(Path(tmp_path_factory.mktemp("kafka")), users=USERS, tls=True)
    try:
        server.up()
        yield Kafka(server)
    finally:
        server.kill()


@pytest.fixture
def kafka(kafka_server: Kafka) -> Kafka:
    """A Kafka node that runs, whatever the test before did to it."""
    kafka_server.start()
    return kafka_server
