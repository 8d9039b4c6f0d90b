"""From packets to topics with all science: what a user reads is what the survey sent and what the archive holds, column by column."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from fink import factory, surveys
from fink.config import Settings, load_settings
from fink.simulator.replay import write_night
from fink.streams.kafka_follower import topic_name
from fink.surveys.public import FORMS
from kafka_fixture import Kafka
from simulated import nights

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def ran(folder: Path, kafka: Kafka, name: str) -> Settings:
    """Run a night of each survey into an archive and on to topics."""
    kafka.forget("fink_")
    packets = folder / "packets"
    for survey in ("ztf", "lsst"):
        write_night(nights(survey, 1, 150)[0], packets / survey)
    chosen = {"kafka_out.servers": kafka.bootstrap, "kafka_out.name": name, "kafka_out.positions": f"{name}-positions"}
    settings = load_settings(None, {"archive": folder / "archive", "run.workers": 0, "batch.alerts": 60, **chosen})
    with factory.open_archive(settings) as archive:
        factory.run(factory.files_source([packets], settings, archive), archive, settings)
    return settings


def value_at(record: dict[str, Any], path: str) -> Any:
    for part in path.split("."):
        record = record[part]
    return record


def public(survey: str, column: str, values: pa.ChunkedArray) -> list[Any]:
    form = FORMS.get((survey, column))
    return list((form.convert(values) if form else values).to_pylist())


def test_every_field_and_every_column_is_what_it_was(tmp_path: Path, kafka: Kafka) -> None:
    settings = ran(tmp_path, kafka, kafka.unused("out"))
    with factory.read_archive(settings) as archive:
        added = archive.plan(archive.commit(1).plan_id).columns
        taken = archive.ledger()["substreams"]
        table = archive.sql("SELECT * FROM alerts ORDER BY survey, alert_id")
        (state,) = factory.follower_states(archive)
    assert (state["lag"], state["undeliverable"]) == (0, {})
    delivered: Counter[str] = Counter()
    for survey in ("ztf", "lsst"):
        mine = table.filter(pc.equal(table["survey"], survey))
        row_of = {alert: row for row, alert in enumerate(mine["alert_id"].to_pylist())}
        columns = {column: public(survey, column, mine[column]) for column in added}
        places = {column: surveys.registry()[survey].packet_name(column).path for column in added}
        packets = nights(survey, 1, 150)[0].packets
        bodies = {packets.body(row): row for row in range(len(packets))}
        for substream in taken:
            for message in kafka.messages(topic_name(substream, survey)):
                record, original = read(message.key(), message.value(), packets, bodies)
                assert {name: record[name] for name in original} == original
                alert = original["candid"] if survey == "ztf" else original["diaSourceId"]
                row = row_of[alert]
                assert {c: value_at(record, places[c]) for c in added} == {c: columns[c][row] for c in added}
                delivered[substream] += 1
    assert delivered == Counter({name: count for name, count in taken.items() if count})
    assert sum(delivered.values()) > 20


def read(key: bytes, value: bytes, packets: Any, bodies: dict[bytes, int]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a message with its own schema, and with the survey's the packet that it begins with."""
    body = next(body for body in bodies if value.startswith(body))
    writer = fastavro.parse_schema(json.loads(packets.schemas[packets.schema[bodies[body]]]))
    original = fastavro.schemaless_reader(io.BytesIO(body), writer, None)
    record = fastavro.schemaless_reader(io.BytesIO(value), fastavro.parse_schema(json.loads(key)), None)
    assert isinstance(record, dict)
    assert isinstance(original, dict)
    return record, original
