"""The log of `fink.streams.kafka_session` as Apache Kafka has it: one transactional producer, and every call bounded in time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, IsolationLevel, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec, ResourceType

from fink.streams.kafka_session import FRAME, Destination, LogError, Shape, Trouble

BATCH_BYTES = 1_000_000
"""Messages that are compressed together [bytes]; the schemas in their keys are alike."""

TIME_TO_APPEAR = 10.0
"""Seconds until a cluster must show a topic that it has made."""

_REFUSED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
        KafkaError.ILLEGAL_SASL_STATE,
        KafkaError.INVALID_TRANSACTION_TIMEOUT,
        KafkaError.INVALID_REPLICATION_FACTOR,
        KafkaError.POLICY_VIOLATION,
        KafkaError.INVALID_CONFIG,
        KafkaError._AUTHENTICATION,
        KafkaError._INVALID_ARG,
    }
)
"""Errors that the same attempt would meet again; an operator has to do something."""

_SETTLING = frozenset(
    {
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
)
"""Errors of a topic that was just made, or whose server has just begun."""

_POSITIONS = {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"}
_TAKEN = KafkaError.TOPIC_ALREADY_EXISTS


class KafkaLog:
    """A Kafka cluster, for one session.

    Parameters
    ----------
    destination
        Where it is, and how new topics are made.
    """

    def __init__(self, destination: Destination) -> None:
        self._to = destination
        self._common: dict[str, Any] = {**destination.client, "error_cb": self._note, "log_level": 0}
        self._admin = AdminClient(self._common)
        self._producer: Any = None
        self._shapes: dict[str, Shape] = {}
        self._last_error: KafkaError | None = None
        self._refusal: KafkaError | None = None

    def _note(self, error: KafkaError) -> None:
        """Remember what the client says beside its calls: why a call that only ran out of time did so."""
        self._last_error = error
        if error.code() == KafkaError._AUTHENTICATION:
            self._refusal = error

    @contextmanager
    def _step(self, what: str) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            raise self._failure(what, error.args[0]) from error

    def _failure(self, what: str, error: KafkaError) -> LogError:
        # what the client has to say beside its calls waits until somebody asks
        self._admin.poll(0)
        if self._producer is not None:
            # a producer that was fenced refuses this too
            with suppress(KafkaException):
                self._producer.poll(0)
        cause = self._refusal if self._refusal is not None else error
        trouble: Trouble = "refused" if cause.code() in _REFUSED else "again"
        beside = f" ({self._last_error.str()})" if self._last_error is not None and trouble == "again" else ""
        return LogError(f"Kafka at {self._to.client['bootstrap.servers']}: {what}: {cause.name()}: {cause.str()}{beside}", trouble)

    # Taking over

    def fence(self) -> None:
        """Take over the transactions of this name."""
        settings = {
            "transactional.id": f"fink-out-{self._to.name}",
            "transaction.timeout.ms": int(self._to.timeout * 1000),
            "message.timeout.ms": int(self._to.timeout * 1000),
            "message.max.bytes": max(self._to.most_bytes, BATCH_BYTES),
            "batch.size": min(BATCH_BYTES, self._to.most_bytes),
            "compression.type": self._to.compression,
            "linger.ms": 5,
            "queue.buffering.max.kbytes": 1 << 20,
            "queue.buffering.max.messages": 1_000_000,
        }
        with self._step(f"transactions of {settings['transactional.id']} cannot be taken over"):
            self._producer = Producer(self._common | settings)
            self._producer.init_transactions(self._to.timeout)

    def read(self, *, committed: bool) -> Mapping[bytes, bytes]:
        """Give the last value of each key of the topic of positions, up to its end as of now."""
        with self._step(f"the positions in {self._to.positions} cannot be read"):
            self._make_positions()
            return self._values(self._end_of_positions(), committed=committed)

    def _end_of_positions(self) -> int:
        """Give the offset behind the last message, committed or not; a topic that was just made may need a moment to have one."""
        partition, deadline = TopicPartition(self._to.positions, 0), time.monotonic() + self._to.timeout
        while True:
            latest = self._admin.list_offsets(
                {partition: OffsetSpec.latest()}, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=self._to.timeout
            )
            try:
                return int(latest[partition].result(self._to.timeout).offset)
            except KafkaException as error:
                if error.args[0].code() not in _SETTLING or time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def _values(self, end: int, *, committed: bool) -> dict[bytes, bytes]:
        """Read to an offset; of committed messages that takes until every transaction before it has ended."""
        consumer = Consumer(
            self._common
            | {
                "group.id": f"fink-out-{self._to.name}",
                "isolation.level": "read_committed" if committed else "read_uncommitted",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )
        found: dict[bytes, bytes] = {}
        deadline = time.monotonic() + self._to.timeout
        try:
            consumer.assign([TopicPartition(self._to.positions, 0, OFFSET_BEGINNING)])
            reached = 0
            while reached < end:
                message = consumer.poll(0.5)
                if time.monotonic() > deadline:
                    raise LogError(f"the topic {self._to.positions} could not be read to its end in {self._to.timeout:g} s")
                if message is None:
                    continue
                error = message.error()
                if error is None:
                    found[message.key()] = message.value()
                    reached = message.offset() + 1
                elif error.code() == KafkaError._PARTITION_EOF:
                    # the end of what may be read; it lies behind the markers of transactions, which are no messages
                    reached = message.offset()
                elif not error.retriable():
                    raise KafkaException(error)
        finally:
            consumer.close()
        return found

    def _make_positions(self) -> None:
        if self._to.positions in self._known([self._to.positions]):
            policy = self._settings([self._to.positions])[self._to.positions]["cleanup.policy"]
            if policy != "compact":
                raise LogError(
                    f"the topic {self._to.positions} has cleanup.policy={policy}, under which positions are lost; set it to compact",
                    "refused",
                )
        else:
            self._make({self._to.positions: (1, _POSITIONS)})

    # Topics

    def shapes(self, topics: Sequence[str]) -> Mapping[str, Shape]:
        """Give the shapes of topics; those that are not there are made."""
        missing = [name for name in topics if name not in self._shapes]
        if missing:
            with self._step("topics cannot be made or described"):
                known = self._known(missing)
                settings = {**self._to.topic_settings, "max.message.bytes": str(self._to.most_bytes + FRAME)}
                self._make({name: (self._to.partitions, settings) for name in missing if name not in known})
                known |= {name: self._to.partitions for name in missing if name not in known}
                limits = self._settings(missing)
                for name in missing:
                    most = min(self._to.most_bytes, int(limits[name]["max.message.bytes"]))
                    self._shapes[name] = Shape(known[name], most)
        return self._shapes

    def _known(self, topics: Sequence[str]) -> dict[str, int]:
        """Give the number of partitions of the topics that there are."""
        metadata = self._admin.list_topics(timeout=self._to.timeout).topics
        return {name: len(metadata[name].partitions) for name in topics if name in metadata and metadata[name].error is None}

    def _make(self, topics: Mapping[str, tuple[int, Mapping[str, str]]]) -> None:
        """Make topics, and wait until the cluster shows them."""
        if not topics:
            return
        new = [NewTopic(name, partitions, self._to.replicas, config=dict(config)) for name, (partitions, config) in topics.items()]
        made = self._admin.create_topics(new, operation_timeout=self._to.timeout, request_timeout=self._to.timeout)
        for future in made.values():
            try:
                future.result(self._to.timeout)
            except KafkaException as error:
                if error.args[0].code() != _TAKEN:
                    raise
        deadline = time.monotonic() + min(TIME_TO_APPEAR, self._to.timeout)
        while hidden := topics.keys() - self._known(list(topics)):
            if time.monotonic() > deadline:
                raise self._why_hidden(min(hidden))
            time.sleep(0.05)

    def _why_hidden(self, topic: str) -> Exception:
        """Say why a topic that was made is not shown: most often its description is not permitted."""
        error = self._admin.list_topics(topic, timeout=self._to.timeout).topics[topic].error
        return KafkaException(error) if error is not None else LogError(f"the cluster does not show the new topic {topic}")

    def _settings(self, topics: Sequence[str]) -> dict[str, dict[str, str]]:
        """Give the settings that topics have."""
        resources = {ConfigResource(ResourceType.TOPIC, name): name for name in topics}
        asked = self._admin.describe_configs(list(resources), request_timeout=self._to.timeout)
        return {
            resources[resource]: {name: entry.value for name, entry in future.result(self._to.timeout).items()}
            for resource, future in asked.items()
        }

    # Transactions

    def begin(self) -> None:
        """Begin a transaction."""
        with self._step("a transaction cannot begin"):
            self._producer.begin_transaction()

    def send(self, topic: str, partition: int, key: bytes, value: bytes) -> None:
        """Put a message into the transaction."""
        deadline = time.monotonic() + self._to.timeout
        with self._step(f"a message for {topic} is refused"):
            while True:
                try:
                    self._producer.produce(topic, value, key, partition, self._delivered)
                    return
                except BufferError as error:
                    if time.monotonic() > deadline:
                        raise LogError(f"{topic} took no message in {self._to.timeout:g} s") from error
                    self._producer.poll(0.1)

    def _delivered(self, error: KafkaError | None, message: Any) -> None:
        if error is not None and error.code() in _REFUSED:
            self._refusal = error
        elif error is not None:
            self._last_error = error

    def commit(self) -> None:
        """End the transaction."""
        with self._step("the transaction is not committed"):
            self._producer.commit_transaction(self._to.timeout)
