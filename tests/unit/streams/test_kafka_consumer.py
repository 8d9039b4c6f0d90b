"""What an address means, and what a cluster says of itself."""

from __future__ import annotations

from contextlib import closing

import pytest

from fink.config import KafkaInSettings
from fink.errors import SourceError
from fink.streams.kafka_consumer import KafkaReader, KafkaTopics
from kafka_fixture import Kafka

THERE = ["ztf_20251120_programid1", "ztf_20251121_programid1", "ztf_20251121_programid2", "lsst-alerts-v10.0", "__consumer_offsets"]


@pytest.mark.parametrize(
    ("topics", "chosen"),
    [
        ("lsst-alerts-v10.0", THERE[3:4]),
        ("lsst-alerts-v10.0,ztf_20251120_programid1", [THERE[3], THERE[0]]),
        ("ztf_*_programid1", THERE[:2]),
        ("ztf_2025112[1-9]_*", THERE[1:3]),
        ("^ztf_\\d{8}_programid[1,2]$", THERE[:3]),
        ("*", sorted(THERE[:4])),
        ("gw_*", []),
    ],
)
def test_an_address_names_topics(topics: str, chosen: list[str]) -> None:
    address = KafkaTopics(f"kafka://one:9092,two:9093/{topics}")
    assert address.servers == "one:9092,two:9093"
    assert address.chosen(THERE) == sorted(chosen)


@pytest.mark.parametrize("address", ["kafka://host:9092", "kafka://host:9092/", "host/topic", "kafka:/host/topic"])
def test_an_address_without_a_topic_is_refused(address: str) -> None:
    with pytest.raises(SourceError, match="write kafka://HOST:PORT/TOPIC"):
        KafkaTopics(address)


def test_a_pattern_that_is_none_is_named() -> None:
    with pytest.raises(SourceError, match=r"\^ztf_\( in kafka://h/\^ztf_\( is no regular expression"):
        KafkaTopics("kafka://h/^ztf_(")


def test_servers_come_from_the_address_else_from_the_settings() -> None:
    settings = KafkaInSettings.model_validate({"servers": "set:9092"})
    with closing(KafkaReader(settings, "said:9092")) as reader:
        assert reader.servers == "said:9092"
    with closing(KafkaReader(settings)) as reader:
        assert reader.servers == "set:9092"
    with pytest.raises(SourceError, match=r"kafka_in\.servers"):
        KafkaReader(KafkaInSettings.model_validate({}))
    named = KafkaInSettings.model_validate({"servers": "set:9092", "clusters": {"lsst": {"servers": "l:9"}, "ztf": {}}})
    with closing(KafkaReader(named, "lsst")) as reader:
        assert reader.servers == "l:9"
    with pytest.raises(SourceError, match=r"kafka_in\.clusters\.ztf\.servers"):
        KafkaReader(named, "ztf")


def test_a_certificate_that_is_not_there_is_named() -> None:
    settings = KafkaInSettings.model_validate({"protocol": "ssl", "ca": "nowhere.pem"})
    with pytest.raises(SourceError, match=r"no file nowhere\.pem.*kafka_in\.ca"):
        KafkaReader(settings, "h:1")


def test_a_cluster_tells_its_topics_and_their_bounds(kafka: Kafka) -> None:
    topic = kafka.topic(partitions=3)
    kafka.produce(topic, [b"a", b"b"], 2)
    with closing(KafkaReader(KafkaInSettings.model_validate({}), kafka.bootstrap)) as reader:
        cluster, there = reader.topics()
        assert cluster == kafka.server.layout.cluster
        assert there[topic] == 3
        assert [reader.bounds((topic, number)) for number in range(3)] == [(0, 0), (0, 0), (0, 2)]
        assert len(reader.topic_ids([topic])[topic]) > 10
        assert not reader.in_trouble
        with pytest.raises(SourceError, match=f"partition 7 of topic {topic}"):
            reader.bounds((topic, 7))


def test_no_message_is_lost_to_who_asks_whether_the_cluster_answers(kafka: Kafka) -> None:
    topic = kafka.topic()
    kafka.produce(topic, [b"%d" % number for number in range(50)])
    with closing(KafkaReader(KafkaInSettings.model_validate({}), kafka.bootstrap)) as reader:
        reader.topics()
        reader.add({(topic, 0): 0})
        found = reader.messages(5, 30)
        kafka.stop()
        assert reader.look() is None
        assert reader.in_trouble
        kafka.start()
        while len([message for message in found if message.error() is None]) < 50:
            found += reader.messages(10, 1)
    assert [message.value() for message in found if message.error() is None] == [b"%d" % number for number in range(50)]
