"""A real Kafka, started and stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from fink.errors import ComponentError
from fink.services.kafka_server import KafkaLayout, KafkaServer
from kafka_fixture import USERS, Kafka


@pytest.mark.parametrize("listener", ["plain", "tls", "sasl", "sasl_tls"])
def test_every_listener_answers_who_may_log_in(kafka: Kafka, listener: str) -> None:
    mechanisms = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512") if "sasl" in listener else ("",)
    for mechanism in mechanisms:
        assert AdminClient(kafka.client(listener, "bob", mechanism)).list_topics(timeout=30).brokers


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_a_wrong_password_is_refused(kafka: Kafka, mechanism: str) -> None:
    settings = kafka.client("sasl", "alice", mechanism) | {"sasl.password": USERS["bob"]}
    with pytest.raises(KafkaException):
        AdminClient(settings).list_topics(timeout=3)


def test_data_and_ports_stay_over_a_kill(kafka: Kafka) -> None:
    topic = kafka.topic(partitions=2)
    kafka.produce(topic, [b"one", b"two"], partition=1)
    before, pid = kafka.server.status(), kafka.server.pid
    kafka.kill()
    down = kafka.server.status()
    assert (down["running"], down["answers"]) == (False, False)
    kafka.start()
    after = kafka.server.status()
    assert kafka.server.pid != pid
    assert after["answers"]
    assert after["listeners"] == before["listeners"]
    assert [message.value() for message in kafka.messages(topic)] == [b"one", b"two"]
    assert kafka.watermarks(topic, 1) == (0, 2)


def test_another_process_finds_the_server_and_starts_no_second_one(kafka: Kafka) -> None:
    same = KafkaServer(kafka.server.folder)
    assert same.running
    same.up()
    assert same.pid == kafka.server.pid
    assert same.status()["listeners"]["plain"] == kafka.bootstrap


def test_only_the_owner_reads_the_passwords(kafka: Kafka) -> None:
    folder = kafka.server.folder
    assert {(folder / name).stat().st_mode & 0o077 for name in ("layout.json", "server.properties")} == {0}
    layout = KafkaLayout.of(folder)
    assert layout is not None
    assert layout.users == USERS


def test_a_folder_without_a_server_says_how_to_start_one(tmp_path: Path) -> None:
    server = KafkaServer(tmp_path)
    assert server.status()["running"] is False
    server.down()
    with pytest.raises(ComponentError, match="fink services up kafka"):
        server.address()
