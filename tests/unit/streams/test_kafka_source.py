"""Alerts from a real Kafka: each once, night by night, from where the archive has come, whatever happens to the cluster."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    NewPartitions,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from fink import factory
from fink.codecs.containers import container_of
from fink.codecs.writers import SchemaStore, wire_prefix
from fink.config import BatchSettings, KafkaInSettings, load_settings
from fink.errors import SourceError
from fink.factory import schema_of_id
from fink.simulator.survey import SimulatedNight
from fink.streams import Source, SourceBatch
from fink.streams.kafka_consumer import KafkaReader, KafkaTopics
from fink.streams.kafka_positions import Position, topic_states
from fink.streams.kafka_source import KafkaSource
from fink.streams.messages import MessageReader
from fink.streams.recognition import SchemaOfId
from kafka_fixture import USERS, Kafka
from schema_registry import Registry, serving
from simulated import SURVEYS, allocate, nights

FIRST, SECOND = nights("ztf", 2, 120)
LSST = nights("lsst", 1, 60)[0]
LIMITS = BatchSettings.model_validate({"alerts": 50, "seconds": 0.1})


def messages_of(night: SimulatedNight) -> list[bytes]:
    if night.survey == "lsst":
        return [wire_prefix(1000) + night.packets.body(row) for row in range(len(night.packets))]
    packets = night.packets
    return [container_of(packets.schemas[packets.schema[row]], packets.body(row)) for row in range(len(packets))]


def bodies_of(*many: SimulatedNight) -> list[bytes]:
    return sorted(night.packets.body(row) for night in many for row in range(len(night.packets)))


def spread(kafka: Kafka, topic: str, values: list[bytes], partitions: int) -> None:
    for number in range(partitions):
        kafka.produce(topic, values[number::partitions], number)


@contextmanager
def source(
    kafka: Kafka,
    topics: str,
    progress: Mapping[bytes, bytes] | None = None,
    *,
    follow: bool = False,
    find: SchemaOfId | None = None,
    servers: str = "",
    **settings: Any,
) -> Iterator[KafkaSource]:
    chosen = KafkaInSettings.model_validate({"timeout": 20, "discover": 0.3} | settings)
    address = KafkaTopics(f"kafka://{servers or kafka.bootstrap}/{topics}")
    reader = KafkaReader(chosen, address.servers)
    messages = MessageReader(SURVEYS, find or schema_of_id(load_settings()))
    with closing(reader):
        yield KafkaSource(address, reader, messages, chosen, progress, follow=follow)


def some(reading: KafkaSource, enough: int, seconds: float = 90) -> list[SourceBatch]:
    """Read a source that never ends until it has given so many items."""
    found: list[SourceBatch] = []
    deadline = time.monotonic() + seconds
    while sum(size(batch) for batch in found) < enough:
        assert time.monotonic() < deadline, f"only {sum(map(size, found))} of {enough} items came in {seconds} s"
        batch = reading.next_batch(LIMITS, allocate)
        assert batch is not None
        found.append(batch)
    return found


def rest(reading: Source) -> list[SourceBatch]:
    found = []
    while (batch := reading.next_batch(LIMITS, allocate)) is not None:
        found += [] if batch.idle else [batch]
    return found


def size(batch: SourceBatch) -> int:
    return (len(batch.packets) if batch.packets else 0) + len(batch.quarantined)


def given(batches: list[SourceBatch]) -> list[bytes]:
    return sorted(batch.packets.body(row) for batch in batches if batch.packets for row in range(len(batch.packets)))


def progress_of(batches: list[SourceBatch]) -> dict[bytes, bytes]:
    return {key: value for batch in batches for key, value in batch.progress.items()}


def test_nights_of_many_partitions_come_in_order_and_once(kafka: Kafka) -> None:
    topic = kafka.topic(partitions=3)
    spread(kafka, topic, [*messages_of(FIRST), *messages_of(SECOND)], 3)
    with source(kafka, topic) as reading:
        assert reading.total == len(FIRST.packets) + len(SECOND.packets)
        batches = rest(reading)
        assert reading.total == 0
    assert given(batches) == bodies_of(FIRST, SECOND)
    order = [batch.night for batch in batches if batch.packets]
    assert order == sorted(order)
    assert set(order) == {FIRST.night, SECOND.night}
    assert all(size(batch) <= LIMITS.alerts for batch in batches)
    topic_name, where = batches[0].places(0)
    assert topic_name == topic
    assert where.startswith("partition ")


@pytest.mark.parametrize("taken", [1, 2, 3, 5])
def test_a_run_that_is_broken_off_goes_on_without_loss_or_repetition(kafka: Kafka, taken: int) -> None:
    topic = kafka.topic(partitions=2)
    spread(kafka, topic, [*messages_of(SECOND)[:60], *messages_of(FIRST)[:60]], 2)
    with source(kafka, topic) as reading:
        before = [batch for _ in range(taken) if (batch := reading.next_batch(LIMITS, allocate)) is not None]
    with source(kafka, topic, progress_of(before)) as reading:
        after = rest(reading)
    assert len(given(before)) + len(given(after)) == 120
    assert len({*given(before), *given(after)}) == 120
    with source(kafka, topic, progress_of([*before, *after])) as reading:
        assert rest(reading) == []


def test_lsst_and_ztf_come_from_one_address(kafka: Kafka) -> None:
    ztf, lsst = kafka.topic(partitions=2), kafka.topic()
    spread(kafka, ztf, messages_of(FIRST), 2)
    kafka.produce(lsst, messages_of(LSST))
    with source(kafka, f"{ztf},{lsst}") as reading:
        batches = rest(reading)
    found = {survey: given([batch for batch in batches if batch.survey == survey]) for survey in ("ztf", "lsst")}
    assert found == {"ztf": bodies_of(FIRST), "lsst": bodies_of(LSST)}


def test_transactions_that_were_broken_off_are_not_read(kafka: Kafka) -> None:
    topic, values = kafka.topic(), messages_of(FIRST)
    producer = Producer(kafka.client() | {"transactional.id": topic})
    producer.init_transactions(30)
    for part, good in ((values[:10], True), (values[10:20], False), (values[20:30], True)):
        producer.begin_transaction()
        for value in part:
            producer.produce(topic, value)
        producer.flush(30)
        (producer.commit_transaction if good else producer.abort_transaction)(30)
    with source(kafka, topic) as reading:
        batches = rest(reading)
        assert reading.total == 0
    assert given(batches) == sorted(FIRST.packets.body(row) for row in (*range(10), *range(20, 30)))
    assert Position.from_bytes(next(iter(progress_of(batches).values()))).next >= 32


@pytest.mark.parametrize(
    ("listener", "mechanism"),
    [("sasl", "PLAIN"), ("sasl", "SCRAM-SHA-256"), ("sasl", "SCRAM-SHA-512"), ("tls", ""), ("sasl_tls", "SCRAM-SHA-512")],
)
def test_users_log_in_and_connections_are_encrypted(kafka: Kafka, listener: str, mechanism: str) -> None:
    topic = kafka.topic()
    kafka.produce(topic, messages_of(FIRST)[:5])
    protocol = {"sasl": "sasl_plaintext", "tls": "ssl", "sasl_tls": "sasl_ssl"}[listener]
    said: dict[str, Any] = {"protocol": protocol, "username": "alice", "password": USERS["alice"]}
    said |= {"mechanism": mechanism} if mechanism else {}
    trust: dict[str, Any] = {"ca": kafka.server.certificate} if "tls" in listener else {}
    with source(kafka, topic, servers=kafka.server.address(listener), **said, **trust) as reading:
        assert len(given(rest(reading))) == 5


def test_clusters_that_want_other_logins_are_read_in_one_run(kafka: Kafka, tmp_path: Path) -> None:
    ztf, lsst = kafka.topic(), kafka.topic()
    kafka.produce(ztf, messages_of(FIRST))
    kafka.produce(lsst, messages_of(LSST))
    login = {"protocol": "sasl_plaintext", "username": "bob", "password": USERS["bob"]}
    file = tmp_path / "fink.toml"
    lines = [f'{name} = "{value}"' for name, value in (login | {"servers": kafka.server.address("sasl")}).items()]
    file.write_text("[kafka_in.clusters.rubin]\n" + "\n".join(lines))
    reading = factory.kafka_source([f"kafka://{kafka.bootstrap}/{ztf}", f"kafka://rubin/{lsst}"], load_settings(file))
    batches = rest(reading)
    assert {batch.source: len(given([b for b in batches if b.source == batch.source])) for batch in batches} == {
        f"kafka://{kafka.bootstrap}/{ztf}": len(FIRST.packets),
        f"kafka://rubin/{lsst}": len(LSST.packets),
    }


def test_what_is_fetched_ahead_is_bounded(kafka: Kafka) -> None:
    topic, process = kafka.topic(), psutil.Process()
    large = np.random.default_rng(1).bytes(900_000)
    kafka.produce(topic, [large] * 150)
    limits = BatchSettings.model_validate({"megabytes": 1, "seconds": 0.1})
    with source(kafka, topic, queue_megabytes=5) as reading:
        first = reading.next_batch(limits, allocate)
        before = process.memory_info().rss
        time.sleep(2)
        ahead = process.memory_info().rss - before
        items = [*(first.quarantined if first else ()), *(item for batch in rest(reading) for item in batch.quarantined)]
    assert ahead < 60e6
    assert len(items) == 150


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_a_wrong_password_is_named_at_once(kafka: Kafka, mechanism: str) -> None:
    said: dict[str, Any] = {"protocol": "sasl_plaintext", "username": "alice", "password": "wrong", "mechanism": mechanism}
    began = time.monotonic()
    with (
        pytest.raises(SourceError, match=r"does not let user alice by .* in: .*FINK_KAFKA_IN__PASSWORD") as raised,
        source(kafka, "any", servers=kafka.server.address("sasl"), **said),
    ):
        pass
    assert "wrong" not in str(raised.value)
    assert time.monotonic() - began < 15


def test_nobody_there_is_said_after_the_time_that_was_set(kafka: Kafka) -> None:
    with (
        pytest.raises(SourceError, match=r"127\.0\.0\.1:9 has not answered for 2 s .*plaintext"),
        source(kafka, "any", servers="127.0.0.1:9", timeout=2),
    ):
        pass


def test_a_topic_that_is_not_there_is_compared_with_those_that_are(kafka: Kafka) -> None:
    topic = kafka.topic(kafka.unused("ztf_nightly_public"))
    with pytest.raises(SourceError, match=f"no topic {topic}x; did you mean {topic}"), source(kafka, f"{topic}x"):
        pass
    with pytest.raises(SourceError, match=r"no topic that nothing_\*_here matches"), source(kafka, "nothing_*_here"):
        pass


@pytest.mark.parametrize("pattern", ["{}_*_programid1", "^{}_\\d{{8}}_programid1$"])
def test_topics_are_chosen_by_pattern(kafka: Kafka, pattern: str) -> None:
    beginning = kafka.unused("survey")
    for name, values in (("20251120_programid1", FIRST), ("20251121_programid1", SECOND), ("20251120_programid2", LSST)):
        kafka.produce(kafka.topic(f"{beginning}_{name}"), messages_of(values))
    with source(kafka, pattern.format(beginning)) as reading:
        assert given(rest(reading)) == bodies_of(FIRST, SECOND)


@pytest.mark.parametrize(
    ("start", "expected"), [("earliest", range(30)), ("latest", ()), ("12", range(12, 30)), ("2026-01-01T00:00:10Z", range(10, 30))]
)
def test_a_partition_that_was_never_read_begins_where_the_settings_say(kafka: Kafka, start: str, expected: range) -> None:
    topic, values = kafka.topic(), messages_of(FIRST)
    began = int(np.datetime64("2026-01-01T00:00:00", "ms").astype(np.int64))
    for second in range(0, 30, 5):
        kafka.produce(topic, values[second : second + 5], timestamp=began + 1000 * second)
    with source(kafka, topic, start=start) as reading:
        batches = rest(reading)
    assert given(batches) == sorted(FIRST.packets.body(row) for row in expected)
    # what comes between this run and the next is not passed over, whatever the settings say
    kafka.produce(topic, values[30:33])
    with source(kafka, topic, progress_of(batches), start="latest") as reading:
        assert len(given(rest(reading))) == 3


def test_a_run_ends_where_the_partitions_ended_when_it_began(kafka: Kafka) -> None:
    topic, values = kafka.topic(partitions=2), messages_of(FIRST)
    spread(kafka, topic, values[:40], 2)
    with source(kafka, topic) as reading:
        spread(kafka, topic, values[40:60], 2)
        batches = rest(reading)
    assert given(batches) == sorted(FIRST.packets.body(row) for row in range(40))
    with source(kafka, topic, progress_of(batches)) as reading:
        assert given(rest(reading)) == sorted(FIRST.packets.body(row) for row in range(40, 60))


def test_new_messages_partitions_and_topics_are_picked_up(kafka: Kafka) -> None:
    beginning, values = kafka.unused("growing"), messages_of(FIRST)
    first = kafka.topic(f"{beginning}_1")
    kafka.produce(first, values[:10])
    with source(kafka, f"{beginning}_*", follow=True, start="latest") as reading:
        assert given(some(reading, 0)) == []
        reading.next_batch(LIMITS, allocate)
        kafka.produce(first, values[10:20])
        batches = some(reading, 10)
        admin = kafka.admin()
        admin.create_partitions([NewPartitions(first, 2)])[first].result(30)
        kafka.produce(first, values[20:30], 1)
        kafka.produce(kafka.topic(f"{beginning}_2"), values[30:40])
        batches += some(reading, 20)
        idle = reading.next_batch(LIMITS, allocate)
        assert idle is not None
        assert idle.idle
        assert reading.total == 0
    assert given(batches) == sorted(FIRST.packets.body(row) for row in range(10, 40))


def test_what_is_no_alert_goes_to_the_quarantine_with_its_place(kafka: Kafka) -> None:
    topic, values = kafka.topic(config={"max.message.bytes": "40000000"}), messages_of(FIRST)
    large = b"x" * 20_000_000
    kafka.produce(topic, [values[0], b"poison", None, b"", values[1][:-9], large, values[2]])
    with source(kafka, topic) as reading:
        batches = rest(reading)
    assert given(batches) == sorted(FIRST.packets.body(row) for row in (0, 2))
    items = [item for batch in batches for item in batch.quarantined]
    assert [item.position for item in items] == [f"partition 0, offset {offset}" for offset in (1, 2, 3, 4, 5)]
    assert {item.source for item in items} == {topic}
    assert [len(item.body) for item in items] == [6, 0, 0, len(values[1]) - 9, 20_000_000]
    assert next(Position.from_bytes(value).next for value in progress_of(batches).values()) == 7


def test_a_cluster_that_is_killed_in_between_is_waited_for(kafka: Kafka, caplog: pytest.LogCaptureFixture) -> None:
    topic, values = kafka.topic(partitions=2), messages_of(FIRST)
    spread(kafka, topic, values[:60], 2)
    with source(kafka, topic, follow=True, outage=120) as reading, caplog.at_level(logging.WARNING, "fink.kafka"):
        batches = some(reading, 60)
        kafka.kill()
        for _ in range(4):
            batch = reading.next_batch(LIMITS, allocate)
            assert batch is not None
            assert batch.idle
        kafka.start()
        spread(kafka, topic, values[60:], 2)
        batches += some(reading, len(values) - 60)
    assert given(batches) == bodies_of(FIRST)
    assert any("does not answer" in record.message for record in caplog.records)
    assert any("answers again" in record.message for record in caplog.records)


def test_a_cluster_that_stays_away_ends_the_run(kafka: Kafka) -> None:
    topic = kafka.topic()
    with source(kafka, topic, follow=True, outage=2) as reading:
        kafka.stop()
        with pytest.raises(SourceError, match=f"{kafka.bootstrap} has not answered for 2 s"):
            some(reading, 1)


def lost(kafka: Kafka, topic: str, before: int) -> None:
    """Delete messages of a partition as retention does."""
    admin = kafka.admin()
    partition = TopicPartition(topic, 0, before)
    admin.delete_records([partition])[partition].result(30)


def test_messages_that_retention_took_are_reported_and_kept_in_mind(kafka: Kafka, caplog: pytest.LogCaptureFixture) -> None:
    topic, values = kafka.topic(), messages_of(FIRST)
    kafka.produce(topic, values[:20])
    with source(kafka, topic) as reading:
        before = progress_of(rest(reading))
    kafka.produce(topic, values[20:60])
    lost(kafka, topic, 50)
    with pytest.raises(SourceError, match=r"30 messages of partition 0 .* from offset 20 on.*kafka_in\.gaps"):  # noqa: SIM117
        with source(kafka, topic, before, gaps="stop"):
            pass
    with source(kafka, topic, before) as reading, caplog.at_level(logging.ERROR, "fink.kafka"):
        batches = rest(reading)
    assert given(batches) == sorted(FIRST.packets.body(row) for row in range(50, 60))
    assert "30 messages of partition 0" in caplog.text
    gaps = {key: value for key, value in progress_of(batches).items() if key.startswith(b"gaps/")}
    (state,) = topic_states(before, gaps)
    assert (state["lost"], state["gaps"]) == (30, [{"partition": 0, "first": 20, "last": 49}])


def test_a_reader_that_retention_overtakes_goes_on_behind_the_gap(kafka: Kafka) -> None:
    topic, values = kafka.topic(), messages_of(FIRST)
    kafka.produce(topic, values[:10])
    with source(kafka, topic, follow=True) as reading:
        batches = some(reading, 10)
        kafka.stop()
        reading.next_batch(LIMITS, allocate)
        kafka.start()
        # while nobody asked, thirty came and twenty-five of them went
        kafka.produce(topic, values[10:40])
        lost(kafka, topic, 35)
        kafka.produce(topic, values[40:45])
        batches += some(reading, 10)
    found = set(given(batches))
    assert {FIRST.packets.body(row) for row in (*range(10), *range(35, 45))} <= found
    assert len(found) == len(given(batches))


def test_a_topic_that_was_made_anew_is_read_from_its_beginning(kafka: Kafka, caplog: pytest.LogCaptureFixture) -> None:
    topic, values = kafka.topic(), messages_of(FIRST)
    kafka.produce(topic, values[:20])
    with source(kafka, topic) as reading:
        before = progress_of(rest(reading))
    admin = kafka.admin()
    admin.delete_topics([topic], operation_timeout=30)[topic].result(30)
    time.sleep(1)
    kafka.topic(topic)
    kafka.produce(topic, values[20:50])
    with source(kafka, topic, before) as reading, caplog.at_level(logging.WARNING, "fink.kafka"):
        assert given(rest(reading)) == sorted(FIRST.packets.body(row) for row in range(20, 50))
    assert "made anew" in caplog.text


def test_a_position_behind_the_end_is_refused_or_read_anew(kafka: Kafka) -> None:
    topic = kafka.topic()
    kafka.produce(topic, messages_of(FIRST)[:5])
    with source(kafka, topic) as reading:
        progress = progress_of(rest(reading))
    ahead = {key: Position(99).to_bytes() for key in progress}
    with pytest.raises(SourceError, match="ends at offset 5 and was read to 99"), source(kafka, topic, ahead, gaps="stop"):
        pass
    with source(kafka, topic, ahead) as reading:
        assert len(given(rest(reading))) == 5


def test_schemas_come_from_the_registry_which_is_waited_for(kafka: Kafka, caplog: pytest.LogCaptureFixture) -> None:
    topic, number = kafka.topic(), 7001
    kafka.produce(topic, [wire_prefix(number) + LSST.packets.body(row) for row in range(10)])
    registry = Registry({number: LSST.packets.schemas[0].decode()})
    port, silent = registry.server_address[1], SchemaStore(registry="http://127.0.0.1:9")
    registry.server_close()
    with source(kafka, topic, find=silent.find, outage=1) as reading, pytest.raises(SourceError, match=r"127\.0\.0\.1:9.*nothing is lost"):
        rest(reading)
    later = SchemaStore(registry=f"http://127.0.0.1:{port}")
    with source(kafka, topic, find=later.find, outage=30) as reading, caplog.at_level(logging.WARNING, "fink.kafka"):
        for _ in range(5):
            batch = reading.next_batch(LIMITS, allocate)
            assert batch is not None
            assert batch.idle
        with serving(Registry({number: LSST.packets.schemas[0].decode()}, port=port)) as registry:
            batches = rest(reading)
        assert registry.asked == [f"/schemas/ids/{number}"]
    assert given(batches) == sorted(LSST.packets.body(row) for row in range(10))
    assert "waiting" in caplog.text


def test_clocks_that_are_wrong_change_nothing(kafka: Kafka) -> None:
    topic, values = kafka.topic(config={"message.timestamp.after.max.ms": str(1 << 60)}), messages_of(FIRST)
    day = 86_400_000
    now = int(time.time() * 1000)
    for row, value in enumerate(values[:12]):
        kafka.produce(topic, [value], timestamp=now + (row % 3 - 1) * 1000 * day)
    with source(kafka, topic) as reading:
        batches = rest(reading)
    assert given(batches) == sorted(FIRST.packets.body(row) for row in range(12))
    assert {batch.night for batch in batches if batch.packets} == {FIRST.night}


def test_a_batch_holds_no_more_than_its_megabytes(kafka: Kafka) -> None:
    topic, values = kafka.topic(), messages_of(FIRST)
    kafka.produce(topic, values)
    most = 10 * len(values[0]) / 1e6
    limits = BatchSettings.model_validate({"megabytes": most, "seconds": 0.1})
    with source(kafka, topic) as reading:
        batches = []
        while (batch := reading.next_batch(limits, allocate)) is not None:
            batches.append(batch)
    assert given(batches) == bodies_of(FIRST)
    assert max(size(batch) for batch in batches) <= 16


def test_credentials_that_expire_end_the_run(kafka: Kafka) -> None:
    topic, admin = kafka.topic(), kafka.admin()
    kafka.produce(topic, messages_of(FIRST)[:5])
    mechanism = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)

    def give(password: str) -> None:
        change = UserScramCredentialUpsertion("carol", mechanism, password.encode())
        admin.alter_user_scram_credentials([change])["carol"].result(30)

    give("today")
    said: dict[str, Any] = {"protocol": "sasl_plaintext", "username": "carol", "password": "today"}
    with source(kafka, topic, servers=kafka.server.address("sasl"), follow=True, **said | {"timeout": 3}) as reading:
        assert len(given(some(reading, 5))) == 5
        give("tomorrow")
        kafka.server.restart()
        with pytest.raises(SourceError, match=r"does not let user carol by SCRAM-SHA-512 in: .*FINK_KAFKA_IN__PASSWORD"):
            some(reading, 1, seconds=150)


def test_a_topic_that_may_not_be_read_is_named(kafka: Kafka) -> None:
    topic, admin = kafka.topic(), kafka.admin()
    kafka.produce(topic, messages_of(FIRST)[:5])
    rule = (ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:alice", "*", AclOperation.DESCRIBE, AclPermissionType.ALLOW)
    for future in admin.create_acls([AclBinding(*rule)]).values():
        future.result(30)
    said: dict[str, Any] = {"protocol": "sasl_plaintext", "username": "alice", "password": USERS["alice"]}
    with (
        pytest.raises(SourceError, match=f"does not let user alice read partition 0 of topic {topic}"),
        source(kafka, topic, servers=kafka.server.address("sasl"), **said) as reading,
    ):
        rest(reading)
    hidden = said | {"username": "bob", "password": USERS["bob"]}
    with pytest.raises(SourceError, match=f"no topic {topic}"), source(kafka, topic, servers=kafka.server.address("sasl"), **hidden):
        pass
