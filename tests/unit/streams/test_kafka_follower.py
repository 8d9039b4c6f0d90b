"""The Kafka follower on a real Kafka: each selected alert once for those who read committed messages, whatever ends in between."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro
import pytest

from fink.commits import FollowerPosition
from fink.config import KafkaOutSettings
from fink.streams.kafka_follower import KafkaFollower, topic_name
from kafka_fixture import Kafka
from recorded_commits import EXPECTED, Recorded, filled

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
    assert {name: stage.alerts(name) for name in EXPECTED} == EXPECTED
    archive.add({"fast": [20]})
    assert follower.finish() == 5
    follower.close()
    assert archive.follower_position(follower.name) == FollowerPosition(5, "sum 5")
    again = stage.follower(archive)
    archive.add({"slow": [30]})
    assert again.finish() == 6
    again.close()
    assert {name: stage.alerts(name) for name in EXPECTED} == {"fast": [*EXPECTED["fast"], 20], "slow": [*EXPECTED["slow"], 30]}
    assert stage.said == []
