"""The steps of a session on a real Kafka: taking over, reading to the end, topics and their limits, transactions."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import replace

import pytest

from fink.config import KafkaOutSettings
from fink.streams.kafka_follower import destination
from fink.streams.kafka_log import KafkaLog
from fink.streams.kafka_session import FRAME, Destination, LogError
from kafka_fixture import Kafka

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def to(kafka: Kafka) -> Destination:
    """A name and a topic of positions that no other test has."""
    name = kafka.unused("log")
    return destination(KafkaOutSettings(servers=kafka.bootstrap, name=name, positions=f"{name}-positions", partitions=2, timeout=20))


def opened(to: Destination) -> KafkaLog:
    log = KafkaLog(to)
    log.read(committed=False)
    log.fence()
    return log


def put(log: KafkaLog, to: Destination, key: bytes, value: bytes) -> None:
    log.begin()
    log.send(to.positions, 0, key, value)
    log.commit()


def test_the_last_committed_value_of_each_key_is_read(to: Destination) -> None:
    log = opened(to)
    assert log.read(committed=True) == {}
    for value in (b"1", b"2"):
        put(log, to, b"a", value)
    put(log, to, b"b", b"3")
    assert log.read(committed=True) == {b"a": b"2", b"b": b"3"}
    log.begin()
    log.send(to.positions, 0, b"a", b"4")
    assert log._producer.flush(20) == 0
    assert log.read(committed=False) == {b"a": b"4", b"b": b"3"}
    # who takes over finds it aborted
    assert opened(to).read(committed=True) == {b"a": b"2", b"b": b"3"}


def test_reading_waits_for_the_transactions_of_others_that_lie_before(to: Destination) -> None:
    log, other = opened(to), opened(replace(to, name=to.name + "-other"))
    other.begin()
    other.send(to.positions, 0, b"other", b"1")
    assert other._producer.flush(20) == 0
    put(log, to, b"mine", b"2")

    def later() -> None:
        time.sleep(2)
        other.commit()

    ending = threading.Thread(target=later)
    ending.start()
    began = time.monotonic()
    assert log.read(committed=True) == {b"other": b"1", b"mine": b"2"}
    assert time.monotonic() - began > 1
    ending.join()


def test_a_log_that_was_taken_over_can_do_nothing_more(to: Destination) -> None:
    old = opened(to)
    put(old, to, b"a", b"1")
    new = opened(to)
    with pytest.raises(LogError):
        put(old, to, b"a", b"2")
    put(new, to, b"a", b"3")
    assert new.read(committed=True) == {b"a": b"3"}


def test_topics_are_made_once_and_those_that_are_there_are_respected(to: Destination, kafka: Kafka) -> None:
    small = kafka.topic(kafka.unused("small"), partitions=5, config={"max.message.bytes": "5000"})
    new = kafka.unused("new")
    shapes = KafkaLog(to).shapes([small, new])
    assert shapes[small] == (5, 5000)
    assert shapes[new] == (2, to.most_bytes)
    assert KafkaLog(to).shapes([new])[new] == (2, to.most_bytes)


@pytest.mark.parametrize("limit", [3000, 50_000])
def test_a_message_that_just_fits_is_taken_however_badly_it_packs(to: Destination, kafka: Kafka, limit: int) -> None:
    topic = kafka.topic(kafka.unused("exact"), config={"max.message.bytes": str(limit)})
    log, noise = opened(to), random.Random(1).randbytes(limit)
    log.begin()
    log.send(topic, 0, noise[:100], noise[: limit - 100 - FRAME])
    log.commit()
    assert [len(message.value()) for message in kafka.messages(topic)] == [limit - 100 - FRAME]


def test_a_server_that_takes_less_than_it_said_aborts_the_transaction(to: Destination, kafka: Kafka) -> None:
    topic = kafka.topic(kafka.unused("less"), config={"max.message.bytes": "3000"})
    log = opened(to)
    log.begin()
    log.send(topic, 0, b"key", random.Random(1).randbytes(60_000))
    with pytest.raises(LogError, match="MSG_SIZE_TOO_LARGE"):
        log.commit()
    assert kafka.messages(topic) == []
