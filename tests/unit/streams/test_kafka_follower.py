"""The Kafka follower on a real Kafka: each selected alert once for those who read committed messages, whatever ends in between."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    ConfigResource,
    NewPartitions,
    ResourcePatternType,
    ResourceType,
)

from fink.commits import FollowerPosition
from fink.config import KafkaOutSettings
from fink.errors import FollowerError
from fink.streams.kafka_follower import KafkaFollower, destination, topic_name
from fink.streams.kafka_link import ProcessLink
from fink.streams.kafka_log import KafkaLog
from fink.streams.kafka_session import Batch, LogError, Session
from kafka_fixture import USERS, Kafka
from recorded_commits import EXPECTED, NEW, OLD, Recorded, filled, packets_of

pytestmark = pytest.mark.timeout(300)


class Stage:
    """A place of its own in the test's Kafka: topics, name and settings that no other test has."""

    def __init__(self, kafka: Kafka) -> None:
        self.kafka, self.name = kafka, kafka.unused("broker")
        self.said: list[str] = []

    def settings(self, **changed: Any) -> KafkaOutSettings:
        values = {"servers": self.kafka.bootstrap, "name": self.name, "positions": f"{self.name}-positions", "partitions": 3}
        return KafkaOutSettings(**{**values, "timeout": 20, "patience": 60, **changed})

    def follower(self, archive: Recorded, **changed: Any) -> KafkaFollower:
        return KafkaFollower(archive, self.settings(**changed), say=self.said.append)

    def archive(self, archive: Recorded) -> Recorded:
        """Give its substreams names of their own."""
        return Renamed(archive, self.name)

    def alerts(self, substream: str, survey: str = "ztf") -> list[int]:
        """Give the alerts that a reader of committed messages finds in a substream's topic."""
        return sorted(alert_of(record) for record in self.records(substream, survey))

    def records(self, substream: str, survey: str = "ztf") -> list[dict[str, Any]]:
        """Read a topic as a user does."""
        return [decoded(message.key(), message.value()) for message in self.kafka.messages(topic_name(self.own(substream), survey))]

    def own(self, substream: str) -> str:
        return f"{self.name}_{substream}"

    def all_alerts(self) -> dict[str, list[int]]:
        return {name: self.alerts(name) for name in EXPECTED}

    def topic_settings(self, topic: str) -> dict[str, str]:
        resource, admin = ConfigResource(ResourceType.TOPIC, topic), self.kafka.admin()
        described = admin.describe_configs([resource], request_timeout=30)[resource].result(30)
        return {name: entry.value for name, entry in described.items()}


def link_of(follower: KafkaFollower) -> ProcessLink:
    assert isinstance(follower._link, ProcessLink)
    return follower._link


def wait_for(follower: KafkaFollower, commit: int, seconds: float = 180) -> None:
    until = time.monotonic() + seconds
    while follower.deliver(0.2) < commit:
        assert time.monotonic() < until, "nothing was delivered"


class Renamed(Recorded):
    """Recorded commits whose substreams bear a prefix, so that their topics are new."""

    def __init__(self, archive: Recorded, prefix: str) -> None:
        super().__init__()
        self._prefix = prefix
        self._parts, self._plans = list(map(self._renamed, archive._parts)), archive._plans

    def _renamed(self, part: Any) -> Any:
        commit, taken = part
        names = {name: f"{self._prefix}_{name}" for name in commit.selected}
        selected = {names[name]: count for name, count in commit.selected.items()}
        return type(commit)(**{**vars(commit), "selected": selected}), {names[name]: rows for name, rows in taken.items()}

    def add(self, rows: dict[str, list[int]], *more: Any, **named: Any) -> None:
        super().add({f"{self._prefix}_{name}": taken for name, taken in rows.items()}, *more, **named)


def decoded(key: bytes, value: bytes) -> dict[str, Any]:
    stream = io.BytesIO(value)
    record = fastavro.schemaless_reader(stream, fastavro.parse_schema(json.loads(key)), None)
    assert stream.read() == b""
    assert isinstance(record, dict)
    return record


def alert_of(record: dict[str, Any]) -> int:
    """Give the number that the recorded alert has, from the text that its columns hold."""
    return int((record.get("kind") or record["misc"]["kind"]).split()[1])


@pytest.fixture
def stage(kafka: Kafka) -> Stage:
    return Stage(kafka)


def test_each_alert_is_delivered_once(stage: Stage) -> None:
    archive = stage.archive(filled())
    follower = stage.follower(archive)
    assert archive.follower_position(follower.name) == FollowerPosition(0, "")
    assert follower.finish() == 4
    assert follower.finish() == 4
    assert stage.all_alerts() == EXPECTED
    archive.add({"fast": [20]})
    assert follower.finish() == 5
    follower.close()
    assert archive.follower_position(follower.name) == FollowerPosition(5, "sum 5")
    again = stage.follower(archive)
    archive.add({"slow": [30]})
    assert again.finish() == 6
    again.close()
    assert stage.all_alerts() == {"fast": [*EXPECTED["fast"], 20], "slow": [*EXPECTED["slow"], 30]}
    assert stage.said == []


@pytest.mark.parametrize("survey", ["ztf", "lsst"])
def test_values_are_the_packets_and_the_archives(stage: Stage, survey: str) -> None:
    original = Recorded()
    original.add({"fast": [0, 3, 4, 9, 10]}, NEW, survey)
    archive = stage.archive(original)
    follower = stage.follower(archive)
    follower.finish()
    follower.close()
    messages = stage.kafka.messages(topic_name(stage.own("fast"), survey))
    found = {alert_of(record): (message, record) for message in messages for record in [decoded(message.key(), message.value())]}
    rows = original.selected(1, "fast")[0].to_pylist()
    assert found.keys() == {row["alert_id"] for row in rows}
    for row in rows:
        message, record = found[row["alert_id"]]
        body = packets_of(survey).body(row["alert_id"])
        assert message.value().startswith(body)
        schema = packets_of(survey).schemas[packets_of(survey).schema[row["alert_id"]]]
        plain = fastavro.schemaless_reader(io.BytesIO(body), fastavro.parse_schema(json.loads(schema)), None)
        assert isinstance(plain, dict)
        assert {name: record[name] for name in plain} == plain
        added = record if survey == "ztf" else record["misc"]
        assert {name: added[name] for name in NEW.columns} == {name: row[name] for name in NEW.columns}


def test_an_object_stays_in_one_partition_in_the_order_of_its_commits(stage: Stage) -> None:
    archive = stage.archive(Recorded())
    for alert in range(1, 50, 2):
        archive.add({"fast": [alert]})
    follower = stage.follower(archive)
    follower.finish()
    follower.close()
    places: dict[str, list[tuple[int, int, int]]] = {}
    for message in stage.kafka.messages(topic_name(stage.own("fast"), "ztf")):
        alert = alert_of(decoded(message.key(), message.value()))
        if alert % 5:
            places.setdefault(f"object {alert % 7}", []).append((message.partition(), message.offset(), alert))
    assert len({partition for found in places.values() for partition, _, _ in found}) > 1
    for found in places.values():
        assert len({partition for partition, _, _ in found}) == 1
        assert [alert for _, _, alert in sorted(found)] == sorted(alert for _, _, alert in found)


def test_topics_are_made_as_the_settings_say_also_where_nothing_was_selected_yet(stage: Stage) -> None:
    archive = stage.archive(Recorded())
    archive.add({"fast": [], "slow": [1]})
    follower = stage.follower(archive, partitions=4, retention_days=2, message_megabytes=3)
    follower.finish()
    follower.close()
    topic = topic_name(stage.own("fast"), "ztf")
    settings = stage.topic_settings(topic)
    expected = {"retention.ms": str(2 * 86_400_000), "max.message.bytes": "3000200", "cleanup.policy": "delete"}
    expected |= {"message.timestamp.type": "LogAppendTime"}
    assert {name: settings[name] for name in expected} == expected
    assert len(stage.kafka.admin().list_topics(topic, timeout=30).topics[topic].partitions) == 4
    assert stage.topic_settings(f"{stage.name}-positions")["cleanup.policy"] == "compact"


def test_after_an_upgrade_old_commits_keep_their_columns(stage: Stage) -> None:
    original = Recorded()
    original.add({"fast": [0, 3]}, OLD)
    original.add({"fast": [30, 31]}, NEW)
    follower = stage.follower(stage.archive(original))
    follower.finish()
    follower.close()
    assert {alert_of(record): "period" in record for record in stage.records("fast")} == {0: False, 3: False, 30: True, 31: True}


def test_the_guides_reader_reads_it(stage: Stage, tmp_path: Path) -> None:
    follower = stage.follower(stage.archive(filled()))
    follower.finish()
    follower.close()
    guide = (Path(__file__).parents[3] / "docs" / "guide" / "kafka-topics.md").read_text()
    (block,) = [block for block in re.findall(r"(?ms)^```py\n(.*?)^```", guide) if "import fastavro" in block]
    topic = topic_name(stage.own("fast"), "ztf")
    script = block.replace("HOST:9092", stage.kafka.bootstrap).replace("fink_fast_risers_ztf", topic).replace("poll(60)", "poll(8)")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == len(EXPECTED["fast"])


class Watching(Recorded):
    """Commits in which one substream is a watchlist, which says of each alert which entry it lies near."""

    def selections(self, number: int) -> Any:
        rows, packets, taken = super().selections(number)
        return rows, packets, {name: mine for name, mine in taken.items() if name != "slow"}

    def selected(self, number: int, substream: str) -> Any:
        rows, packets = super().selected(number, substream)
        return rows.append_column("entry", pa.array([f"entry {i}" for i in range(len(rows))])), packets


@pytest.mark.parametrize(("survey", "place"), [("ztf", ()), ("lsst", ("misc",))])
def test_what_a_watchlist_says_of_an_alert_goes_with_it(survey: str, place: tuple[str, ...]) -> None:
    archive = Watching()
    archive.add({"fast": [3, 4], "slow": [1, 4]}, NEW, survey)
    delivery = KafkaFollower(archive, KafkaOutSettings(servers="none"))._next_delivery()
    found = {}
    for message in delivery.messages:
        record = decoded(delivery.schemas[message.schema], message.value)
        added = record[place[0]] if place else record
        found[message.topic, message.alert] = (added.get("entry"), alert_of(record))
    fast, slow = topic_name("fast", survey), topic_name("slow", survey)
    assert found == {(fast, 3): (None, 3), (fast, 4): (None, 4), (slow, 1): ("entry 0", 1), (slow, 4): ("entry 1", 4)}
    assert delivery.topics == (fast, slow)


# What may end or fail


class Interrupted(KafkaLog):
    """A log whose process is gone when it is to record that everything was sent, or when half of it was."""

    half = False
    recorded = 0

    def append(self, batches: Sequence[Batch]) -> Sequence[int]:
        if self.half:
            super().append(batches[: len(batches) // 2])
            raise LogError("killed in the middle")
        return super().append(batches)

    def record(self, values: Mapping[bytes, bytes]) -> None:
        self.recorded += 1
        if self.recorded > 1:
            raise LogError("killed before the end")
        super().record(values)


@pytest.mark.parametrize("half", [True, False])
def test_what_a_killed_run_sent_is_not_sent_again(stage: Stage, half: bool) -> None:
    archive = stage.archive(filled())
    log, to = Interrupted(destination(stage.settings())), destination(stage.settings())
    log.half = half
    session = Session(log, to)
    assert session.open(archive.id) is None
    delivery = KafkaFollower(archive, stage.settings())._next_delivery()
    with pytest.raises(LogError, match="killed"):
        session.deliver(delivery)
    sent = stage.all_alerts()
    assert sum(map(len, sent.values())) > 0
    assert (sent == EXPECTED) is not half
    archive.add({"fast": [20]})
    follower = stage.follower(archive)
    assert follower.finish() == 5
    expected = {**EXPECTED, "fast": [*EXPECTED["fast"], 20]}
    assert stage.all_alerts() == expected
    # it was not dead after all
    log.recorded, log.half = 0, False
    with pytest.raises(LogError):
        session.deliver(delivery)
    archive.add({"slow": [30]})
    assert follower.finish() == 6
    follower.close()
    log.close()
    assert stage.all_alerts() == {**expected, "slow": [*expected["slow"], 30]}


def test_topics_have_no_gaps_and_no_markers(stage: Stage) -> None:
    archive = stage.archive(filled())
    for alert in range(20, 25):
        follower = stage.follower(archive)
        follower.finish()
        follower.close()
        archive.add({"fast": [alert]})
    topic = topic_name(stage.own("fast"), "ztf")
    messages = stage.kafka.messages(topic)
    for partition in range(3):
        offsets = [message.offset() for message in messages if message.partition() == partition]
        assert offsets == list(range(stage.kafka.watermarks(topic, partition)[1]))


def test_a_topic_that_grows_or_is_made_anew_is_used_as_it_is(stage: Stage) -> None:
    archive = stage.archive(filled())
    follower = stage.follower(archive)
    follower.finish()
    follower.close()
    topic, admin = topic_name(stage.own("fast"), "ztf"), stage.kafka.admin()
    admin.create_partitions([NewPartitions(topic, 9)])[topic].result(30)
    again = stage.follower(archive)
    for alert in range(20, 40):
        archive.add({"fast": [alert]})
        again.finish()
    again.close()
    assert stage.alerts("fast") == [*EXPECTED["fast"], *range(20, 40)]
    assert max(message.partition() for message in stage.kafka.messages(topic)) > 2
    admin.delete_topics([topic])[topic].result(30)
    archive.add({"fast": [40]})
    last = stage.follower(archive)
    last.finish()
    last.close()
    assert stage.alerts("fast") == [40]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_a_session_that_dies_or_hangs_is_replaced(stage: Stage, end: signal.Signals) -> None:
    archive = stage.archive(filled())
    follower = stage.follower(archive, timeout=5)
    follower.finish()
    os.kill(link_of(follower).pid, end)
    archive.add({"fast": [20]})
    began = time.monotonic()
    follower.deliver()
    assert time.monotonic() - began < 1
    wait_for(follower, 5)
    follower.close()
    assert stage.alerts("fast") == [*EXPECTED["fast"], 20]
    assert [text for text in stage.said if ("ended with status" if end == signal.SIGKILL else "no answer") in text]
    assert "sent to Kafka again" in stage.said[-1]


def test_the_stream_goes_on_while_kafka_is_away_and_nothing_is_lost(stage: Stage) -> None:
    archive = stage.archive(filled())
    follower = stage.follower(archive, timeout=5)
    follower.finish()
    stage.kafka.kill()
    for alert in range(20, 30):
        archive.add({"fast": [alert]})
        began = time.monotonic()
        assert follower.deliver(0.3) == 4
        assert time.monotonic() - began < 1
    stage.kafka.start()
    wait_for(follower, 14, 120)
    follower.close()
    assert stage.alerts("fast") == [*EXPECTED["fast"], *range(20, 30)]
    assert any("not sent to Kafka for now" in text for text in stage.said)


def test_a_kafka_that_is_not_there_ends_the_run_with_the_reason(stage: Stage) -> None:
    archive = stage.archive(filled())
    follower = stage.follower(archive, servers="127.0.0.1:1", timeout=5, patience=1)
    began = time.monotonic()
    follower.deliver()
    assert time.monotonic() - began < 2
    time.sleep(6)
    with pytest.raises(FollowerError, match=r"commits 1 to 4 wait: .*127\.0\.0\.1:1"):
        follower.finish()
    follower.close()
    follower = stage.follower(archive)
    assert follower.finish() == 4
    follower.close()
    assert stage.all_alerts() == EXPECTED


def test_a_message_that_is_too_large_is_counted_and_the_others_pass(stage: Stage) -> None:
    archive = stage.archive(filled())
    sizes = {name: [] for name in EXPECTED}  # type: dict[str, list[tuple[int, int]]]
    delivery = KafkaFollower(archive, stage.settings(name="measuring"))._next_delivery()
    for message in delivery.messages:
        name = message.topic.split("_")[-2]
        sizes[name].append((len(message.value) + len(delivery.schemas[message.schema]), message.alert))
    (_, lost), (_, kept) = sorted(sizes["slow"])[-1], sorted(sizes["slow"])[-2]
    assert kept != lost
    # a topic that was made by hand takes less than the settings say
    limit = (sorted(sizes["slow"])[-1][0] + sorted(sizes["slow"])[-2][0]) // 2 + 200
    stage.kafka.topic(topic_name(stage.own("slow"), "ztf"), config={"max.message.bytes": str(limit)})
    follower = stage.follower(archive)
    assert follower.finish() == 4
    follower.close()
    assert stage.alerts("slow") == sorted(set(EXPECTED["slow"]) - {lost})
    assert stage.alerts("fast") == EXPECTED["fast"]
    topic = topic_name(stage.own("slow"), "ztf")
    copy = archive.follower_position(follower.name)
    assert copy == FollowerPosition(4, "sum 4", {topic: 1})
    notes = [m for m in stage.kafka.messages(f"{stage.name}-positions") if b"undeliverable/" in m.key()]
    assert [json.loads(note.value())["alert"] for note in notes] == [lost]
    archive.add({"fast": [20]})
    again = stage.follower(archive)
    again.finish()
    again.close()
    assert archive.follower_position(follower.name) == FollowerPosition(5, "sum 5", {topic: 1})


def test_a_refused_permission_stops_with_its_name(stage: Stage) -> None:
    rules = [
        AclBinding(
            ResourceType.TOPIC, f"fink_{stage.name}", ResourcePatternType.PREFIXED, f"User:{user}", "*", AclOperation.ALL, permission
        )
        for user, permission in (("bob", AclPermissionType.DENY), ("alice", AclPermissionType.ALLOW))
    ]
    admin = stage.kafka.admin()
    for created in admin.create_acls(rules, request_timeout=30).values():
        created.result(30)
    archive = stage.archive(filled())
    server = stage.kafka.client("sasl", "bob")["bootstrap.servers"]
    login = {"servers": server, "protocol": "sasl_plaintext", "username": "bob"}
    with pytest.raises(FollowerError, match=r"TOPIC_AUTHORIZATION_FAILED"):
        stage.follower(archive, **login, password=USERS["bob"]).finish()
    assert archive.follower_position(f"kafka:{stage.name}") == FollowerPosition(0, "")
    with pytest.raises(FollowerError, match=r"_AUTHENTICATION"):
        stage.follower(archive, **login, password="not this", timeout=8).finish()
    follower = stage.follower(archive, **(login | {"username": "alice"}), password=USERS["alice"])
    assert follower.finish() == 4
    follower.close()


def test_it_logs_in_over_an_encrypted_connection(stage: Stage) -> None:
    client = stage.kafka.client("sasl_tls", "alice")
    login = {"servers": client["bootstrap.servers"], "protocol": "sasl_ssl", "username": "alice", "password": USERS["alice"]}
    archive = stage.archive(filled())
    follower = stage.follower(archive, **login, ca=client["ssl.ca.location"])
    assert follower.finish() == 4
    follower.close()
    assert stage.all_alerts() == EXPECTED


# Positions that do not fit


def test_a_position_that_does_not_fit_is_an_error(stage: Stage) -> None:
    archive = stage.archive(filled())
    follower = stage.follower(archive)
    follower.finish()
    follower.close()

    shorter = stage.archive(filled())
    del shorter._parts[-1]
    with pytest.raises(FollowerError, match="at commit 4, ahead of the archive's 3"):
        stage.follower(shorter).finish()

    other = stage.archive(filled())
    commit, taken = other._parts[-1]
    other._parts[-1] = (type(commit)(**{**vars(commit), "checksum": "another"}), taken)
    with pytest.raises(FollowerError, match="another commit 4"):
        stage.follower(other).finish()

    stranger = stage.archive(filled())
    stranger.id = "another archive"
    with pytest.raises(FollowerError, match="to another name"):
        stage.follower(stranger).finish()

    archive.record_follower(follower.name, 5, "sum 5")
    archive.add({"fast": [20]})
    archive.add({"fast": [21]})
    with pytest.raises(FollowerError, match="Kafka has lost messages"):
        stage.follower(archive).finish()


def test_a_lost_position_is_an_error_once_something_was_delivered(stage: Stage) -> None:
    archive = stage.archive(filled())
    follower = stage.follower(archive)
    follower.finish()
    follower.close()
    archive.add({"fast": [20]})
    with pytest.raises(FollowerError, match="says nothing of"):
        stage.follower(archive, positions=f"{stage.name}-elsewhere").finish()


def test_positions_that_would_be_forgotten_are_refused(stage: Stage) -> None:
    topic = stage.kafka.topic(stage.kafka.unused("positions"))
    with pytest.raises(FollowerError, match="policy=delete"):
        stage.follower(stage.archive(filled()), positions=topic).finish()


def test_a_new_name_can_begin_behind_what_was_committed(stage: Stage) -> None:
    archive = stage.archive(filled())
    follower = stage.follower(archive, start="now")
    assert follower.finish() == 4
    follower.close()
    archive.add({"fast": [20]})
    again = stage.follower(archive, start="now")
    assert again.finish() == 5
    again.close()
    assert stage.alerts("fast") == [20]
