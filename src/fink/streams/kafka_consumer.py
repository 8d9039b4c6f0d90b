"""A Kafka cluster as a reader sees it: topics, partitions and where they begin and end, messages, and whether it answers at all.

Partitions are assigned, never subscribed to: no consumer group decides who reads what, and no offset is kept on the cluster. What a
client says beside its calls (a server is gone, a password is wrong) is remembered here, so that who waits can say why.
"""

from __future__ import annotations

import fnmatch
import logging
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from fink.config import KafkaInSettings
from fink.errors import SourceError, did_you_mean

LOGGER = logging.getLogger("fink.kafka")

Partition = tuple[str, int]
"""A topic and the number of one of its partitions."""

SCHEME = "kafka://"
_WILD = re.compile(r"[*?\[\]]")
_LOGIN = frozenset({KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED, KafkaError.UNSUPPORTED_SASL_MECHANISM})
_AWAY = frozenset({KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._RESOLVE, KafkaError._SSL, KafkaError._TIMED_OUT})
_LONGEST_MESSAGE = 1 << 30


class KafkaTopics:
    """The topics that an address names: ``kafka://HOST:PORT/TOPIC,PATTERN``.

    A pattern holds ``*``, ``?`` or ``[…]`` as file names do, or is a regular expression that begins with ``^``.

    Parameters
    ----------
    address
        As a person writes it. In the place of hosts may stand the name of a cluster in the settings, or nothing: then the
        setting kafka_in.servers gives them.

    Raises
    ------
    SourceError
        If it names no topic, or is no address.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.servers, slash, names = address.removeprefix(SCHEME).partition("/")
        self.names = [names] if names.startswith("^") else [name for name in names.split(",") if name]
        if not address.startswith(SCHEME) or not slash or not self.names:
            raise SourceError(f"{address} names no topic; write kafka://HOST:PORT/TOPIC, several topics with commas, or a pattern as ztf_*")
        self._patterns = {name: _pattern(address, name) for name in self.names if name.startswith("^") or _WILD.search(name)}

    def chosen(self, there: Iterable[str]) -> list[str]:
        """Give the topics that are meant, of those that there are.

        Raises
        ------
        SourceError
            If a topic that is named in full is not there.
        """
        known = [name for name in there if not name.startswith("__")]
        for name in self.names:
            if name not in self._patterns and name not in known:
                some = ", ".join(sorted(known)[:20]) or "none that may be read"
                raise SourceError(f"{self.servers} has no topic {name}{did_you_mean(name, known)}; it has {some}")
        return sorted(name for name in known if name in self.names or any(p.match(name) for p in self._patterns.values()))


def _pattern(address: str, name: str) -> re.Pattern[str]:
    try:
        return re.compile(name if name.startswith("^") else fnmatch.translate(name))
    except re.error as error:
        raise SourceError(f"{name} in {address} is no regular expression: {error}") from error


class KafkaReader:
    """Reads partitions of a cluster.

    Parameters
    ----------
    settings
        How the cluster is reached.
    servers
        Its servers, or the name of a cluster in the settings, where the address has one.
    """

    def __init__(self, settings: KafkaInSettings, servers: str = "") -> None:
        named = servers in settings.clusters
        self._section = f"kafka_in.clusters.{servers}" if named else "kafka_in"
        self._settings = settings = settings.cluster(servers)
        self.servers = settings.servers if named or not servers else servers
        if not self.servers:
            raise SourceError(f"no Kafka server is named; write kafka://HOST:PORT/TOPIC, or set {self._section}.servers")
        for name in ("ca", "certificate", "key"):
            path = getattr(settings, name)
            if path is not None and not path.is_file():
                raise SourceError(f"there is no file {path}, which the setting {self._section}.{name} names")
        common = settings.client() | {"bootstrap.servers": self.servers, "log_level": 0, "error_cb": self._note}
        reading = {
            "group.id": settings.group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "queued.max.messages.kbytes": int(settings.queue_megabytes * 1000),
            "fetch.wait.max.ms": 100,
            "receive.message.max.bytes": _LONGEST_MESSAGE,
            "max.poll.interval.ms": 86_400_000,
            "topic.metadata.refresh.interval.ms": 60_000,
            "reconnect.backoff.max.ms": 2000,
        }
        self._common = common
        self._consumer = self._made(Consumer, common | reading)
        self._kept: list[Any] = []
        self._trouble: KafkaError | None = None
        self._trouble_since = 0.0
        self._warned = False

    def _made(self, kind: Any, settings: Mapping[str, Any]) -> Any:
        try:
            return kind(dict(settings))
        except KafkaException as error:
            raise SourceError(
                f"Kafka at {self.servers} cannot be used so: {error.args[0].str()}; look at the settings {self._section}"
            ) from error

    @property
    def user(self) -> str:
        """Who reads, in words."""
        return f"user {self._settings.username}" if "sasl" in self._settings.protocol else "this client"

    # Whether it answers

    def _note(self, error: KafkaError) -> None:
        """Remember what the client says beside its calls; who is refused now counts more than who is away."""
        if error.code() not in _LOGIN | _AWAY:
            LOGGER.warning("Kafka at %s: %s", self.servers, error.str())
            return
        if self._trouble is None:
            self._trouble_since = time.monotonic()
        if self._trouble is None or self._trouble.code() not in _LOGIN:
            self._trouble = error

    def _hear(self) -> None:
        """Have the client say what it has to say; messages that it hands over with that are kept for who asks for them."""
        for _ in range(20):
            message = self._consumer.poll(0)
            if message is not None:
                self._kept.append(message)

    def _answered(self) -> None:
        if self._warned:
            LOGGER.warning("Kafka at %s answers again after %.0f s", self.servers, time.monotonic() - self._trouble_since)
        self._trouble, self._warned = None, False

    @property
    def in_trouble(self) -> bool:
        """Whether the cluster was last heard to be away, or to refuse."""
        return self._trouble is not None

    def check(self) -> None:
        """Ask a cluster that is in trouble whether it answers again; wait for it as long as the settings allow.

        Raises
        ------
        SourceError
            If it has not answered for longer, or does not let this user in.
        """
        if self._trouble is None:
            return
        try:
            self._consumer.list_topics(timeout=1.0)
            self._answered()
        except KafkaException:
            self._hear()
            refused = self._trouble.code() in _LOGIN
            bound = self._settings.timeout if refused else self._settings.outage
            if bound and time.monotonic() - self._trouble_since > bound:
                raise SourceError(self._complaint(bound)) from None
            if not self._warned:
                LOGGER.warning("Kafka at %s does not answer (%s); waiting", self.servers, self._trouble.str())
                self._warned = True

    def _complaint(self, seconds: float) -> str:
        """Say what is wrong with the cluster, and what to do about it."""
        error = self._trouble
        if error is not None and error.code() in _LOGIN:
            who = f"{self.user} by {self._settings.mechanism}" if "sasl" in self._settings.protocol else self.user
            variable = f"FINK_{self._section}.PASSWORD".replace(".", "__").upper()
            remedy = f"set {self._section}.username, {self._section}.mechanism and the environment variable {variable}"
            return f"Kafka at {self.servers} does not let {who} in: {error.str()}; {remedy}"
        why = f" ({error.str()})" if error is not None else ""
        return (
            f"Kafka at {self.servers} has not answered for {seconds:.0f} s{why}; is it running, is this its address, "
            f"and does it speak {self._settings.protocol} ({self._section}.protocol)?"
        )

    # What is there

    def look(self) -> tuple[str, dict[str, int]] | None:
        """Give the cluster's identity, and the number of partitions of each topic that may be read; None where it does not answer."""
        try:
            found = self._consumer.list_topics(timeout=2.0)
        except KafkaException as error:
            self._hear()
            if self._trouble is None:
                self._trouble, self._trouble_since = error.args[0], time.monotonic()
            return None
        self._answered()
        readable = {name: len(topic.partitions) for name, topic in found.topics.items() if topic.error is None and topic.partitions}
        return found.cluster_id or self.servers, readable

    def topics(self) -> tuple[str, dict[str, int]]:
        """Do as `look` does, and wait for the answer as long as the settings allow.

        Raises
        ------
        SourceError
            If none comes, or the cluster does not let this user in.
        """
        deadline = time.monotonic() + self._settings.timeout
        while (found := self.look()) is None:
            refused = self._trouble is not None and self._trouble.code() in _LOGIN
            if refused or time.monotonic() > deadline:
                raise SourceError(self._complaint(self._settings.timeout))
        return found

    def topic_ids(self, topics: Sequence[str]) -> dict[str, str]:
        """Give the identity of each topic, empty where the servers give none."""
        if not topics:
            return {}
        admin = self._made(AdminClient, self._common)
        described = admin.describe_topics(TopicCollection(list(topics)), request_timeout=self._settings.timeout)
        found = {}
        for name, future in described.items():
            try:
                found[name] = str(future.result(self._settings.timeout).topic_id)
            except KafkaException as error:
                LOGGER.info("topic %s has no identity: %s", name, error)
                found[name] = ""
        return found

    def bounds(self, partition: Partition) -> tuple[int, int]:
        """Give the first offset of a partition, and the one behind its last message.

        Raises
        ------
        SourceError
            If nobody answers for it.
        """
        deadline = time.monotonic() + self._settings.timeout
        while True:
            try:
                low, high = self._consumer.get_watermark_offsets(TopicPartition(*partition), timeout=5.0)
                return int(low), int(high)
            except KafkaException as error:
                self._hear()
                if time.monotonic() > deadline or not error.args[0].retriable():
                    raise SourceError(f"{self.servers} does not tell where {place(partition)} ends: {error.args[0].str()}") from error

    def seen_end(self, partition: Partition) -> int:
        """Give the end of a partition as the last fetch saw it; 0 before the first."""
        return max(int(self._consumer.get_watermark_offsets(TopicPartition(*partition), cached=True)[1]), 0)

    def at_time(self, partition: Partition, milliseconds: int) -> int:
        """Give the offset of the first message of that time or later; the end where there is none.

        Raises
        ------
        SourceError
            If nobody answers for it.
        """
        try:
            asked = TopicPartition(*partition, milliseconds)
            offset = int(self._consumer.offsets_for_times([asked], timeout=self._settings.timeout)[0].offset)
        except KafkaException as error:
            raise SourceError(f"{self.servers} does not tell what {place(partition)} held then: {error.args[0].str()}") from error
        return offset if offset >= 0 else self.bounds(partition)[1]

    # Reading

    def add(self, offsets: Mapping[Partition, int]) -> None:
        """Begin to read partitions, or begin anew elsewhere."""
        again = [TopicPartition(*p) for p in offsets if p in self._assigned()]
        if again:
            self._consumer.incremental_unassign(again)
        self._consumer.incremental_assign([TopicPartition(*p, offset) for p, offset in offsets.items()])

    def _assigned(self) -> set[Partition]:
        return {(p.topic, p.partition) for p in self._consumer.assignment()}

    def drop(self, partitions: Iterable[Partition]) -> None:
        """Stop reading partitions."""
        gone = [TopicPartition(*p) for p in partitions]
        if gone:
            self._consumer.incremental_unassign(gone)

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Hold partitions where they are."""
        held = [TopicPartition(*p) for p in partitions]
        if held:
            self._consumer.pause(held)

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Go on with partitions that were held."""
        held = [TopicPartition(*p) for p in partitions]
        if held:
            self._consumer.resume(held)

    def messages(self, most: int, seconds: float) -> list[Any]:
        """Give up to so many messages, waiting for them at most so long; errors and ends of partitions are among them."""
        kept, self._kept = self._kept, []
        found: list[Any] = kept + self._consumer.consume(most, 0.0 if kept else seconds)
        if self._trouble is not None and any(message.error() is None for message in found):
            self._answered()
        return found

    def close(self) -> None:
        """Let go of the cluster."""
        self._consumer.close()


def place(partition: Partition) -> str:
    """Name a partition for a person."""
    return f"partition {partition[1]} of topic {partition[0]}"
