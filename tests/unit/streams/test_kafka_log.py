"""The steps of a session on a real Kafka: taking over, reading to the end, topics and their limits, messages and their numbers."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from fink.config import KafkaOutSettings
from fink.streams import kafka_log
from fink.streams.kafka_follower import destination
from fink.streams.kafka_log import KafkaLog
from fink.streams.kafka_session import FRAME, Batch, Destination, LogError, Place
from kafka_fixture import Kafka

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def to(kafka: Kafka) -> Destination:
    """A name and a topic of positions that no other test has."""
    name = kafka.unused("log")
    return destination(KafkaOutSettings(servers=kafka.bootstrap, name=name, positions=f"{name}-positions", partitions=2, timeout=20))


LOGS: list[KafkaLog] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close what a test opened."""
    yield
    while LOGS:
        LOGS.pop().close()


def opened(to: Destination) -> KafkaLog:
    log = KafkaLog(to)
    LOGS.append(log)
    log.read(committed=False)
    log.fence()
    return log


def begun(log: KafkaLog, to: Destination, key: bytes, value: bytes) -> None:
    """Leave a session where it was killed in the middle of a transaction."""
    log._producer.begin_transaction()
    log._producer.produce(to.positions, value, key, 0)
    assert log._producer.flush(20) == 0


def test_the_last_committed_value_of_each_key_is_read(to: Destination) -> None:
    log = opened(to)
    assert log.read(committed=True) == {}
    for value in (b"1", b"2"):
        log.record({b"a": value})
    log.record({b"b": b"3", b"c": b"4"})
    assert log.read(committed=True) == {b"a": b"2", b"b": b"3", b"c": b"4"}
    begun(log, to, b"a", b"4")
    assert log.read(committed=False)[b"a"] == b"4"
    # who takes over finds it aborted
    assert opened(to).read(committed=True)[b"a"] == b"2"


def test_reading_waits_for_the_transactions_of_others_that_lie_before(to: Destination) -> None:
    log, other = opened(to), opened(replace(to, name=to.name + "-other"))
    begun(other, to, b"other", b"1")
    log.record({b"mine": b"2"})

    def later() -> None:
        time.sleep(2)
        other._producer.commit_transaction(20)

    ending = threading.Thread(target=later)
    ending.start()
    began = time.monotonic()
    assert log.read(committed=True) == {b"other": b"1", b"mine": b"2"}
    assert time.monotonic() - began > 1
    ending.join()


def test_a_log_that_was_taken_over_records_nothing_more(to: Destination) -> None:
    old = opened(to)
    old.record({b"a": b"1"})
    new = opened(to)
    with pytest.raises(LogError):
        old.record({b"a": b"2"})
    new.record({b"a": b"3"})
    assert new.read(committed=True) == {b"a": b"3"}


def test_topics_are_made_once_and_those_that_are_there_are_respected(to: Destination, kafka: Kafka) -> None:
    small = kafka.topic(kafka.unused("small"), partitions=5, config={"max.message.bytes": "5000"})
    new = kafka.unused("new")
    log = KafkaLog(to)
    assert log.shapes([small, new], make=False)[small][:2] == (5, 5000)
    assert new not in log.shapes([small, new], make=False)
    shapes = log.shapes([small, new], make=True)
    assert shapes[small][:2] == (5, 5000)
    assert shapes[new][:2] == (2, to.most_bytes)
    assert KafkaLog(to).shapes([new], make=True) == {new: shapes[new]}
    assert log.ends([new, small]) == {new: (0, 0), small: (0,) * 5}
    kafka.produce(small, [b"x", b"y"], partition=3)
    assert log.ends([small]) == {small: (0, 0, 0, 2, 0)}


def test_a_topic_that_was_made_anew_is_another(to: Destination, kafka: Kafka) -> None:
    topic = kafka.topic(kafka.unused("anew"))
    log = KafkaLog(to)
    before = log.shapes([topic], make=False)[topic]
    admin = kafka.admin()
    admin.delete_topics([topic])[topic].result(30)
    until = time.monotonic() + 30
    while log.shapes([topic], make=False):
        assert time.monotonic() < until
    after = log.shapes([topic], make=True)[topic]
    assert before.topic_id != after.topic_id
    assert min(len(before.topic_id), len(after.topic_id)) > 0


# Messages


def messages(first: int, count: int) -> list[tuple[bytes, bytes]]:
    return [(b"schema", f"alert {number} ".encode() * 50) for number in range(first, first + count)]


def values(kafka: Kafka, topic: str) -> list[int]:
    return [int(message.value().split()[1]) for message in kafka.messages(topic)]


def test_a_partition_takes_the_next_messages_and_no_others(to: Destination, kafka: Kafka) -> None:
    topic = kafka.topic(kafka.unused("next"))
    log = opened(to)
    producer = log.new_producer()
    assert log.append([Batch(topic, 0, producer, 0, messages(0, 3)), Batch(topic, 0, producer, 3, messages(3, 1))]) == [3, 4]
    # what another process of the same name sends again, or had under way, or sends too early
    other = opened(to)
    assert other.append([Batch(topic, 0, producer, 0, messages(0, 3))]) == [3]
    for first, count in ((0, 2), (2, 3), (5, 1), (3, 2)):
        with pytest.raises(LogError, match="OUT_OF_ORDER"):
            other.append([Batch(topic, 0, producer, first, messages(first, count))])
    assert other.append([Batch(topic, 0, producer, 4, messages(4, 2))]) == [6]
    with pytest.raises(LogError, match="OUT_OF_ORDER"):
        log.append([Batch(topic, 0, producer, 4, messages(4, 1))])
    assert values(kafka, topic) == list(range(6))
    assert kafka.watermarks(topic) == (0, 6)


def test_a_connection_that_was_idle_is_made_anew(to: Destination, kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = kafka.topic(kafka.unused("idle"))
    log = opened(to)
    producer = log.new_producer()
    for server in log._servers.values():
        # as if the server had closed it long ago
        server._socket.shutdown(socket.SHUT_RDWR)
    monkeypatch.setattr(kafka_log, "LONGEST_IDLE", 0.0)
    assert log.append([Batch(topic, 0, producer, 0, messages(0, 2))]) == [2]


def test_sequences_outlive_the_server(to: Destination, kafka: Kafka) -> None:
    topic = kafka.topic(kafka.unused("outlived"))
    log = opened(to)
    producer = log.new_producer()
    log.append([Batch(topic, 0, producer, 0, messages(0, 3))])
    kafka.kill()
    kafka.start()
    again = opened(to)
    assert again.new_producer() != producer
    with pytest.raises(LogError, match="OUT_OF_ORDER"):
        again.append([Batch(topic, 0, producer, 2, messages(2, 2))])
    assert again.append([Batch(topic, 0, producer, 3, messages(3, 2))]) == [5]
    assert values(kafka, topic) == list(range(5))


def test_what_a_producer_sent_is_found_among_what_others_sent(to: Destination, kafka: Kafka) -> None:
    topic = kafka.topic(kafka.unused("found"), partitions=3)
    log = opened(to)
    producer, other = log.new_producer(), log.new_producer()
    log.append([Batch(topic, 0, producer, 0, messages(0, 2)), Batch(topic, 1, producer, 0, messages(0, 1))])
    kafka.produce(topic, [b"a stranger's"], partition=0)
    log.append([Batch(topic, 0, other, 0, messages(0, 4)), Batch(topic, 0, producer, 2, messages(2, 3))])
    log.append([Batch(topic, 0, other, 4, messages(4, 2))])
    place = Place("", 10**6, (0, 0, 0), (0, 0, 0))
    assert log.sent(producer, {topic: place}) == {topic: [5, 1, 0]}
    assert log.sent(producer, {topic: replace(place, sent=(2, 1, 0), ends=(2, 1, 0))}) == {topic: [5, 1, 0]}
    assert log.sent(producer, {topic: replace(place, sent=(5, 1, 0), ends=(10, 1, 0))}) == {topic: [5, 1, 0]}
    assert log.sent(other, {topic: place}) == {topic: [6, 0, 0]}
    assert log.sent(producer, {}) == {}


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_compression_is_read_by_clients(to: Destination, kafka: Kafka, compression: str) -> None:
    topic = kafka.topic(kafka.unused("packed"), config={"compression.type": "producer", "max.message.bytes": "5000000"})
    log = opened(replace(to, compression=compression))
    sent = [(b"key" * 9000, random.Random(number).randbytes(300) * 100) for number in range(20)]
    # the second block of an lz4 frame begins in one that does not pack
    sent.append((b"key", random.Random(99).randbytes(150_000)))
    log.append([Batch(topic, 0, log.new_producer(), 0, sent)])
    assert [(message.key(), message.value()) for message in kafka.messages(topic)] == sent


def test_large_deliveries_go_in_several_requests(to: Destination, kafka: Kafka) -> None:
    topic = kafka.topic(kafka.unused("large"), partitions=4)
    log, noise = opened(to), random.Random(3).randbytes(700_000)
    producer = log.new_producer()
    batches = [Batch(topic, number % 4, producer, number // 4, [(b"key", b"%d " % number + noise)]) for number in range(40)]
    assert log.append(batches) == [number // 4 + 1 for number in range(40)]
    found = [(message.partition(), int(message.value().split(b" ", 1)[0])) for message in kafka.messages(topic)]
    assert found == [(partition, number) for partition in range(4) for number in range(partition, 40, 4)]


@pytest.mark.parametrize("limit", [3000, 50_000])
def test_a_message_that_just_fits_is_taken_however_badly_it_packs(to: Destination, kafka: Kafka, limit: int) -> None:
    topic = kafka.topic(kafka.unused("exact"), config={"max.message.bytes": str(limit)})
    log, noise = opened(to), random.Random(1).randbytes(limit)
    log.append([Batch(topic, 0, log.new_producer(), 0, [(noise[:100], noise[: limit - 100 - FRAME])])])
    assert [len(message.value()) for message in kafka.messages(topic)] == [limit - 100 - FRAME]


def test_a_server_that_takes_less_than_it_said_refuses(to: Destination, kafka: Kafka) -> None:
    topic = kafka.topic(kafka.unused("less"), config={"max.message.bytes": "3000"})
    log = opened(to)
    with pytest.raises(LogError, match="MSG_SIZE_TOO_LARGE") as refused:
        log.append([Batch(topic, 0, log.new_producer(), 0, [(b"key", random.Random(1).randbytes(60_000))])])
    assert refused.value.trouble == "refused"
    assert kafka.messages(topic) == []


@pytest.mark.parametrize(
    ("listener", "mechanism"), [("sasl", "SCRAM-SHA-256"), ("sasl", "PLAIN"), ("sasl_tls", "SCRAM-SHA-512"), ("tls", "")]
)
def test_it_logs_in_and_encrypts(to: Destination, kafka: Kafka, listener: str, mechanism: str) -> None:
    topic = kafka.topic(kafka.unused("login"))
    client = {
        name: str(value) for name, value in kafka.client(listener, mechanism=mechanism or "SCRAM-SHA-512").items() if name != "log_level"
    }
    log = opened(replace(to, client=client))
    assert log.append([Batch(topic, 0, log.new_producer(), 0, messages(0, 2))]) == [2]
    if mechanism:
        forgetful = KafkaLog(replace(to, client=client))
        # librdkafka is in already
        forgetful._to = replace(to, client={**client, "sasl.password": "not this"})
        with pytest.raises(LogError, match="AUTHENTICATION") as refused:
            forgetful.new_producer()
        assert refused.value.trouble == "refused"
    assert values(kafka, topic) == [0, 1]
