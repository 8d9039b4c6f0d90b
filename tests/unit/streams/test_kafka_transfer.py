"""A transfer's topics are made once, filled densely, and say what was lost."""

from __future__ import annotations

import pytest

from fink.config import KafkaOutSettings
from fink.errors import FollowerError
from fink.streams.kafka_transfer import PARTITIONS, SCHEMA_COPIES, TransferTopic, ends_of, remove
from kafka_fixture import Kafka


def settings_of(kafka: Kafka) -> KafkaOutSettings:
    return KafkaOutSettings.model_validate({"servers": kafka.bootstrap, "timeout": 20})


def test_a_topic_that_is_opened_again_takes_only_what_it_lacks(kafka: Kafka) -> None:
    settings, name = settings_of(kafka), kafka.unused("ftransfer_ztf")
    values = [str(number).encode() for number in range(57)]
    for until in (0, 13, 14, 57):
        topic = TransferTopic(name, settings, 1)
        topic.open(b"schema")
        for value in values[:until]:
            topic.send(value)
        topic.close()
        assert sum(ends_of(settings, name)) == until
    for partition in range(PARTITIONS):
        mine = [m.value() for m in kafka.messages(name) if m.partition() == partition]
        assert mine == values[partition::PARTITIONS]
    schemas = kafka.messages(f"{name}_schema")
    assert [message.key() for message in schemas] == [b"schema"] * SCHEMA_COPIES
    remove(settings, name)
    remove(settings, name)
    assert name not in kafka.admin().list_topics(timeout=30).topics


def test_a_cluster_that_is_away_or_too_small_a_limit_is_told(kafka: Kafka) -> None:
    settings = settings_of(kafka)
    away = settings.model_copy(update={"servers": "127.0.0.1:1", "timeout": 5})
    with pytest.raises(FollowerError, match=r"127\.0\.0\.1:1"):
        TransferTopic("ftransfer_ztf_away", away, 1).open(b"schema")
    small = TransferTopic(kafka.unused("ftransfer_ztf"), settings.model_copy(update={"message_megabytes": 0.01}), 1)
    small.open(b"schema")
    with pytest.raises(FollowerError, match="refused a message"):
        small.send(bytes(20_000))
