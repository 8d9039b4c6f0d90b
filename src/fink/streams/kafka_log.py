"""The log of `fink.streams.kafka_session` as Apache Kafka has it, every call bounded in time.

Positions are written in transactions, which a later session of the same name fences off. Messages are not: the markers at the end of
transactions make clients of users forget messages (``docs/decisions/exactly-once-kafka.md``).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec, ResourceType

from fink.streams.kafka_session import FRAME, Batch, Destination, LogError, Place, Shape, Trouble
from fink.streams.kafka_wire import Server, number_of, record_batch

REQUEST_BYTES = 4_000_000
"""Bytes of batches after which a request takes no further one."""

LONGEST_IDLE = 60.0
"""Seconds after which a connection is made anew before it is used: servers close those that say nothing for ten minutes [s]."""

TIME_TO_APPEAR = 10.0
"""Seconds until a cluster must show a topic that it has made."""

_REFUSED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.MSG_SIZE_TOO_LARGE,
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

# only closed segments are compacted, and each session reads what is there
_POSITIONS = {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime", "segment.bytes": str(16 << 20)}
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
        self._servers: dict[int, Server] = {}
        self._leaders: dict[tuple[str, int], int] = {}
        self._addresses: dict[int, tuple[str, int]] = {}
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
        """Take over this name: its transactions are ended, and an earlier producer of it is refused."""
        settings = {
            "transactional.id": f"fink-out-{self._to.name}",
            "transaction.timeout.ms": int(self._to.timeout * 1000),
            "message.timeout.ms": int(self._to.timeout * 1000),
            "message.max.bytes": 10_000_000,
            "compression.type": "zstd",
            "linger.ms": 0,
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
        """Give the offset behind the last message, committed or not."""
        return self._ends([TopicPartition(self._to.positions, 0)])[self._to.positions, 0]

    def _values(self, end: int, *, committed: bool) -> dict[bytes, bytes]:
        """Read to an offset; of committed messages that takes until every transaction before it has ended."""
        found: dict[bytes, bytes] = {}
        for message in self._messages({(self._to.positions, 0): (OFFSET_BEGINNING, end)}, committed=committed):
            found[message.key()] = message.value()
        return found

    def _messages(self, wanted: Mapping[tuple[str, int], tuple[int, int]], *, committed: bool) -> Iterator[Message]:
        """Read partitions from an offset on to another one."""
        consumer = Consumer(
            self._common
            | {
                "group.id": f"fink-out-{self._to.name}",
                "isolation.level": "read_committed" if committed else "read_uncommitted",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )
        left = {place: end for place, (_, end) in wanted.items() if end > 0}
        deadline = time.monotonic() + self._to.timeout
        try:
            consumer.assign([TopicPartition(*place, wanted[place][0]) for place in left])
            while left:
                message = consumer.poll(0.5)
                if time.monotonic() > deadline:
                    raise LogError(f"the topic {min(left)[0]} could not be read to its end in {self._to.timeout:g} s")
                if message is None:
                    continue
                error = message.error()
                if error is None:
                    yield message
                elif error.code() != KafkaError._PARTITION_EOF:
                    if error.retriable():
                        continue
                    raise KafkaException(error)
                # the end of what may be read lies behind the markers of transactions, which are no messages
                place, reached = (message.topic(), message.partition()), message.offset() + (error is None)
                if reached >= left.get(place, reached + 1):
                    del left[place]
        finally:
            consumer.close()

    def _ends(self, partitions: Sequence[TopicPartition]) -> dict[tuple[str, int], int]:
        """Give the offset behind the last message of each partition; one that was just made may need a moment to have one."""
        deadline, found = time.monotonic() + self._to.timeout, dict[tuple[str, int], int]()
        while partitions:
            latest = self._admin.list_offsets(
                {partition: OffsetSpec.latest() for partition in partitions},
                isolation_level=IsolationLevel.READ_UNCOMMITTED,
                request_timeout=self._to.timeout,
            )
            settling = []
            for partition, future in latest.items():
                try:
                    found[partition.topic, partition.partition] = int(future.result(self._to.timeout).offset)
                except KafkaException as error:
                    if error.args[0].code() not in _SETTLING or time.monotonic() > deadline:
                        raise
                    settling.append(partition)
            partitions = settling
            if partitions:
                time.sleep(0.1)
        return found

    def record(self, values: Mapping[bytes, bytes]) -> None:
        """Put values into the topic of positions in one transaction."""
        with self._step(f"the position is not recorded in {self._to.positions}"):
            self._producer.begin_transaction()
            for key, value in values.items():
                self._producer.produce(self._to.positions, value, key, 0, self._delivered)
            self._producer.commit_transaction(self._to.timeout)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None and error.code() in _REFUSED:
            self._refusal = error
        elif error is not None:
            self._last_error = error

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

    def shapes(self, topics: Sequence[str], *, make: bool) -> Mapping[str, Shape]:
        """Give the shapes of topics; those that are not there are made, or else left out."""
        with self._step("topics cannot be made or described"):
            known = self._known(topics)
            if make:
                settings = {**self._to.topic_settings, "max.message.bytes": str(self._to.most_bytes + FRAME)}
                self._make({name: (self._to.partitions, settings) for name in topics if name not in known})
                known |= {name: self._to.partitions for name in topics if name not in known}
            if not known:
                return {}
            limits, ids = self._settings(list(known)), self._ids(list(known))
            most = {name: min(self._to.most_bytes, int(limits[name]["max.message.bytes"])) for name in known}
            return {name: Shape(partitions, most[name], ids[name]) for name, partitions in known.items()}

    def _ids(self, topics: Sequence[str]) -> dict[str, str]:
        """Give the identities of topics."""
        described = self._admin.describe_topics(TopicCollection(list(topics)), request_timeout=self._to.timeout)
        return {name: str(future.result(self._to.timeout).topic_id) for name, future in described.items()}

    def ends(self, topics: Sequence[str]) -> Mapping[str, tuple[int, ...]]:
        """Give the offset behind the last message of each partition."""
        with self._step("the ends of topics cannot be found"):
            partitions = self._known(topics)
            found = self._ends([TopicPartition(name, number) for name, count in partitions.items() for number in range(count)])
            return {name: tuple(found[name, number] for number in range(count)) for name, count in partitions.items()}

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

    # Messages

    def new_producer(self) -> int:
        """Ask the cluster for a producer's number."""
        deadline = time.monotonic() + self._to.timeout
        with self._step("no producer's number was given"):
            self._find_leaders()
            while True:
                try:
                    return self._server(min(self._addresses)).new_producer()
                except KafkaException as error:
                    # a server that has just begun
                    if error.args[0].code() != KafkaError.COORDINATOR_LOAD_IN_PROGRESS or time.monotonic() > deadline:
                        raise
                time.sleep(0.1)

    def sent(self, producer: int, places: Mapping[str, Place]) -> Mapping[str, list[int]]:
        """Give how many messages of a producer each partition has: those of the position, and what is found behind them."""
        with self._step("what the topics have got cannot be read"):
            counts = {topic: list(place.sent) for topic, place in places.items()}
            starts = {(topic, number): end for topic, place in places.items() for number, end in enumerate(place.ends)}
            ends = self._ends([TopicPartition(*place) for place in starts]) if starts else {}
            beyond = {place: (start, ends[place]) for place, start in starts.items() if ends[place] > start}
            for message in self._messages(beyond, committed=False):
                number, mine = number_of(message.headers(), producer), counts[message.topic()]
                if number is not None:
                    mine[message.partition()] = max(mine[message.partition()], number + 1)
            return counts

    def append(self, batches: Sequence[Batch]) -> Sequence[int]:
        """Send batches to the servers that lead their partitions, and wait until all copies have them."""
        found: dict[int, int] = {}
        with self._step("messages are not taken"):
            shares: dict[int, list[int]] = {}
            for place, batch in enumerate(batches):
                shares.setdefault(self._leader(batch), []).append(place)
            for leader, share in shares.items():
                bases = self._server(leader).produce(_requests((batches[place] for place in share), self._to.compression))
                found |= {place: base + len(batches[place].messages) for place, base in zip(share, bases, strict=True)}
        return [found[place] for place in range(len(batches))]

    def _leader(self, batch: Batch) -> int:
        if (batch.topic, batch.partition) not in self._leaders:
            self._find_leaders()
        leader = self._leaders.get((batch.topic, batch.partition), -1)
        if leader not in self._addresses:
            raise LogError(f"{batch.topic} [{batch.partition}] has no server that leads it")
        return leader

    def _find_leaders(self) -> None:
        cluster = self._admin.list_topics(timeout=self._to.timeout)
        self._addresses = {number: (server.host, server.port) for number, server in cluster.brokers.items()}
        self._leaders = {
            (name, number): partition.leader for name, topic in cluster.topics.items() for number, partition in topic.partitions.items()
        }

    def close(self) -> None:
        """End the connections."""
        for server in self._servers.values():
            server.close()
        self._servers.clear()

    def _server(self, number: int) -> Server:
        if number in self._servers and self._servers[number].idle > LONGEST_IDLE:
            self._servers.pop(number).close()
        if number not in self._servers:
            self._servers[number] = Server(self._addresses[number], self._to.client, self._to.timeout)
        return self._servers[number]


def _requests(batches: Iterable[Batch], compression: str) -> Iterator[list[tuple[Batch, bytes]]]:
    """Pack batches into requests, of which each takes one of a partition at most, while the server works on those before."""
    request: list[tuple[Batch, bytes]] = []
    partitions: set[tuple[str, int]] = set()
    size = 0
    for batch in batches:
        written, partition = record_batch(batch, compression), (batch.topic, batch.partition)
        if request and (size + len(written) > REQUEST_BYTES or partition in partitions):
            yield request
            request, partitions, size = [], set(), 0
        request.append((batch, written))
        partitions.add(partition)
        size += len(written)
    if request:
        yield request
