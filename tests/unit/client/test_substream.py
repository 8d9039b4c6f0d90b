"""A substream is read from a real Kafka, each alert once, also after a break."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import fastavro
import pytest

from fink.client import Substream
from fink.errors import NotFoundError, SchemaError, SourceError
from kafka_fixture import Kafka

RATE = {"type": "record", "name": "rate", "fields": [{"name": "v", "type": "float"}]}
SCHEMA = {
    "type": "record",
    "name": "alert",
    "fields": [
        {"name": "candid", "type": "long"},
        {
            "name": "rates",
            "type": {"type": "array", "items": {"type": "record", "name": "rate", "fields": [{"name": "v", "type": "float"}]}},
        },
        {"name": "mag_rate", "type": ["null", "float"], "default": None},
    ],
}
KEY = json.dumps(SCHEMA).encode()


def alert(number: int) -> dict[str, Any]:
    return {"candid": number, "rates": [{"v": 0.5}] * (number % 3), "mag_rate": None if number % 2 else 1.5}


def fill(kafka: Kafka, topic: str, numbers: range) -> None:
    for partition in range(3):
        values: list[bytes | None] = []
        for number in numbers:
            if number % 3 == partition:
                sink = io.BytesIO()
                fastavro.schemaless_writer(sink, fastavro.parse_schema(SCHEMA), alert(number))
                values.append(sink.getvalue())
        kafka.produce(topic, values, partition, [KEY] * len(values))


def test_alerts_are_given_as_dictionaries_and_as_tables(kafka: Kafka) -> None:
    topic = kafka.topic(partitions=3)
    fill(kafka, topic, range(50))
    with Substream(topic, kafka.bootstrap, wait=3) as substream:
        assert sorted(substream, key=lambda row: row["candid"]) == [alert(number) for number in range(50)]
    with Substream(topic, kafka.bootstrap, wait=3) as substream:
        rows = [row for table in substream.batches(20) for row in table.to_pylist()]
    assert sorted(rows, key=lambda row: row["candid"]) == [alert(number) for number in range(50)]


def test_a_checkpoint_goes_on_where_it_was_saved(kafka: Kafka, tmp_path: Path) -> None:
    topic, file = kafka.topic(partitions=3), tmp_path / "here.json"
    fill(kafka, topic, range(40))
    with Substream(topic, kafka.bootstrap, checkpoint=file, wait=3) as substream:
        first = []
        for row in substream:
            first.append(row["candid"])
            if len(first) == 15:
                break
        substream.save()
    with Substream(topic, kafka.bootstrap, checkpoint=file, wait=3) as substream:
        rest = [row["candid"] for row in substream]
        substream.save()
    assert sorted(first + rest) == list(range(40))
    fill(kafka, topic, range(40, 46))
    with Substream(topic, kafka.bootstrap, checkpoint=file, wait=3) as substream:
        assert sorted(row["candid"] for row in substream) == list(range(40, 46))


def test_what_is_wrong_is_said(kafka: Kafka, tmp_path: Path) -> None:
    topic, file = kafka.topic("fink_risers_ztf"), tmp_path / "here.json"
    with pytest.raises(NotFoundError, match="did you mean fink_risers_ztf"):
        Substream("fink_riser_ztf", kafka.bootstrap)
    file.write_text(json.dumps({"topic": "other", "offsets": {}}))
    with pytest.raises(SourceError, match="is a checkpoint of other"):
        Substream(topic, kafka.bootstrap, checkpoint=file)
    file.write_text("no json")
    with pytest.raises(SourceError, match="not a checkpoint"):
        Substream(topic, kafka.bootstrap, checkpoint=file)
    kafka.produce(topic, [b"value"], keys=[b"no schema"])
    with Substream(topic, kafka.bootstrap, wait=3) as substream, pytest.raises(SchemaError, match="offset 0"):
        next(iter(substream))
    with Substream(topic, kafka.bootstrap) as substream, pytest.raises(SourceError, match="name one"):
        substream.save()
