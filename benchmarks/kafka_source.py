"""Alerts from a real Kafka: processor time from the topic to the batch, beside the client library alone reading the same messages.

The topic holds simulated alerts with their stamps, each in its own container as ZTF sends them, or in the wire format as LSST does, in
several partitions. What is timed is all threads of this process, the client's own among them, and not the server.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from numpy.typing import NDArray

from benchmarks.result import Figure, Result, table_text
from fink.codecs.containers import container_of
from fink.codecs.writers import wire_prefix
from fink.config import BatchSettings, KafkaInSettings, load_settings
from fink.factory import schema_of_id
from fink.services.kafka_server import KafkaServer
from fink.simulator.survey import simulate_night
from fink.streams.kafka_consumer import KafkaReader, KafkaTopics
from fink.streams.kafka_source import KafkaSource
from fink.streams.messages import MessageReader
from fink.surveys import registry

PARTITIONS = 4
GOAL = {"ztf_us_an_alert_at_most": 150.0, "lsst_us_an_alert_at_most": 300.0, "ztf_ratio_to_client_at_most": 3.0}


def measure(short: bool) -> Result:
    """Measure reading from Kafka; the short form reads fewer alerts, less often."""
    figures: dict[str, Figure] = {}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        server = KafkaServer(Path(folder))
        server.up()
        try:
            for survey, count in (("ztf", 2000 if short else 6000), ("lsst", 1000 if short else 3000)):
                rows.append(_measure(server, survey, count, 3 if short else 7, figures))
        finally:
            server.kill()
    header = ("alerts", "kB an alert", "client alone [us]", "source [us]", "ratio", "alerts a second, by the clock")
    table = table_text("From the topic to the batch, an alert", header, rows)
    return Result.of("kafka_source", figures, GOAL, table)


def _measure(server: KafkaServer, survey: str, count: int, rounds: int, figures: dict[str, Figure]) -> tuple[Any, ...]:
    """Fill a topic, and read it in turns with the client alone and with the source."""
    values = _messages(survey, count)
    topic = f"{survey}_bench"
    _fill(server, topic, values)
    alone, ours, clock = [], [], []
    for _ in range(rounds):
        alone.append(_timed(lambda: _read_with_client(server, topic), count)[0])
        cpu, wall = _timed(lambda: _read_with_source(server, topic), count)
        ours.append(cpu)
        clock.append(wall)
    client, source = float(np.median(alone)), float(np.median(ours))
    figures[f"{survey}_us_an_alert"] = source
    figures[f"{survey}_client_us_an_alert"] = client
    figures[f"{survey}_ratio_to_client"] = float(np.median(np.array(ours) / np.array(alone)))
    size = sum(map(len, values)) / count / 1000
    rate = 1e6 / float(np.median(clock))
    return survey, f"{size:.0f}", f"{client:.0f}", f"{source:.0f}", f"{source / client:.2f}", f"{rate:,.0f}"


class _Memory:
    """Memory that is used again and again, as a run does with that of its batches."""

    def __init__(self) -> None:
        self._array = np.zeros(1, np.uint8)

    def reserve(self, size: int) -> NDArray[np.uint8]:
        if len(self._array) < size:
            self._array = np.zeros(1 << size.bit_length(), np.uint8)
        return self._array


_MEMORY = _Memory()


def _messages(survey: str, count: int) -> list[bytes]:
    packets = simulate_night(survey, count, seed=1).packets
    if survey == "lsst":
        return [wire_prefix(1000) + packets.body(row) for row in range(len(packets))]
    return [container_of(packets.schemas[packets.schema[row]], packets.body(row)) for row in range(len(packets))]


def _fill(server: KafkaServer, topic: str, values: list[bytes]) -> None:
    admin = AdminClient(server.client())
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)], operation_timeout=30)[topic].result(30)
    producer = Producer(server.client() | {"linger.ms": 20, "queue.buffering.max.kbytes": 1 << 20})
    for row, value in enumerate(values):
        producer.produce(topic, value, partition=row % PARTITIONS)
    assert producer.flush(120) == 0


def _timed(read: Callable[[], int], count: int) -> tuple[float, float]:
    """Give processor time and time by the clock of an alert [us]."""
    cpu, wall = time.process_time(), time.perf_counter()
    found = read()
    assert found == count, f"{found} of {count} alerts came"
    return (time.process_time() - cpu) / count * 1e6, (time.perf_counter() - wall) / count * 1e6


def _read_with_client(server: KafkaServer, topic: str) -> int:
    consumer = Consumer(server.client() | {"group.id": "bench", "enable.partition.eof": True, "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    found = ended = 0
    while ended < PARTITIONS:
        for message in consumer.consume(1000, 0.1):
            if message.error() is None:
                found += 1
                message.value()
            else:
                ended += 1
    consumer.close()
    return found


def _read_with_source(server: KafkaServer, topic: str) -> int:
    settings, limits = KafkaInSettings.model_validate({}), BatchSettings.model_validate({})
    address = KafkaTopics(f"kafka://{server.address()}/{topic}")
    with closing(KafkaReader(settings, address.servers)) as reader:
        source = KafkaSource(address, reader, MessageReader(registry(), schema_of_id(load_settings())), settings)
        found = 0
        while (batch := source.next_batch(limits, _MEMORY.reserve)) is not None:
            found += len(batch.packets) if batch.packets else 0
    return found
