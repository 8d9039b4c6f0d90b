"""What Kafka messages hold."""

from __future__ import annotations

import io

import fastavro
import numpy as np
import orjson
import pytest

from fink.codecs.containers import container_of, write_container
from fink.codecs.writers import wire_prefix
from fink.config import load_settings
from fink.errors import RegistryError
from fink.factory import schema_of_id
from fink.simulator.survey import SimulatedNight
from fink.streams.messages import UNREADABLE, MessageReader
from simulated import SURVEYS, allocate, nights

ZTF, NEXT = nights("ztf", 2, 40)
LSST = nights("lsst", 1, 20)[0]
NAMES = list(SURVEYS)
WIRE = {"lsst": 900}


def reader() -> MessageReader:
    return MessageReader(SURVEYS, schema_of_id(load_settings()))


def contained(night: SimulatedNight, row: int) -> bytes:
    return container_of(night.packets.schemas[night.packets.schema[row]], night.packets.body(row))


def test_messages_of_two_surveys_are_found_where_they_lie() -> None:
    values = [contained(ZTF, 0), wire_prefix(900) + LSST.packets.body(0), contained(ZTF, 1), wire_prefix(900) + LSST.packets.body(1)]
    found = reader().read(values, allocate)
    assert found.message.tolist() == [0, 1, 2, 3]
    bodies = [found.buffer[a:b].tobytes() for a, b in zip(found.starts, found.ends, strict=True)]
    assert bodies == [ZTF.packets.body(0), LSST.packets.body(0), ZTF.packets.body(1), LSST.packets.body(1)]
    assert [NAMES[i] for i in found.survey] == ["ztf", "lsst"] * 2
    assert found.night.tolist() == [ZTF.night, LSST.night] * 2
    assert found.unreadable == ()


def test_packets_carry_the_schemas_that_they_were_written_with() -> None:
    messages = reader()
    found = messages.read([contained(ZTF, row) for row in range(5)], allocate)
    packets = messages.packets(found, np.array([1, 3]))
    assert [packets.body(row) for row in range(2)] == [ZTF.packets.body(1), ZTF.packets.body(3)]
    assert [packets.schemas[i] for i in packets.schema] == [ZTF.packets.schemas[ZTF.packets.schema[row]] for row in (1, 3)]
    batch, rows, refusals = SURVEYS["ztf"].decode(packets)
    assert (rows.tolist(), refusals) == ([0, 1], ())
    assert batch.alerts["alert_id"].to_pylist() == ZTF.truth["alert_id"].to_numpy()[[1, 3]].tolist()


@pytest.mark.parametrize("codec", ["deflate", "zstandard"])
def test_packed_containers_are_unpacked_behind_the_others(codec: str) -> None:
    file = io.BytesIO()
    p = ZTF.packets
    write_container(file, p.schemas[p.schema[0]], p.buffer, p.starts[:3], p.ends[:3], codec)
    values = [contained(ZTF, 3), file.getvalue(), contained(ZTF, 4)]
    found = reader().read(values, allocate)
    bodies = [found.buffer[a:b].tobytes() for a, b in zip(found.starts, found.ends, strict=True)]
    assert bodies == [p.body(3), p.body(0), p.body(1), p.body(2), p.body(4)]
    assert found.message.tolist() == [0, 1, 1, 1, 2]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b"hello", "text, and no record"),
        (wire_prefix(4242) + bytes(90), "no schema has the number 4242"),
        (contained(ZTF, 5)[:-40], "ends in the middle of a block"),
        (contained(ZTF, 5)[:60], "header"),
    ],
)
def test_what_is_no_alert_is_an_item_with_a_reason_and_the_others_stand(value: bytes | None, said: str) -> None:
    found = reader().read([contained(ZTF, 6), value, contained(ZTF, 7)], allocate)
    assert found.message.tolist() == [0, 2]
    assert found.survey[1] == UNREADABLE
    (item,) = found.unreadable
    assert item.message == 1
    assert said in item.reason
    assert item.body == (value or b"")


def test_an_alert_without_a_time_keeps_its_schema_in_the_quarantine() -> None:
    schema = orjson.loads(ZTF.packets.schemas[0])
    record = fastavro.schemaless_reader(io.BytesIO(ZTF.packets.body(0)), schema)
    record["candidate"]["jd"] = float("nan")
    file = io.BytesIO()
    fastavro.schemaless_writer(file, schema, record)
    found = reader().read([container_of(ZTF.packets.schemas[0], file.getvalue())], allocate)
    (item,) = found.unreadable
    assert "time" in item.reason
    again = fastavro.reader(io.BytesIO(item.body))
    assert next(again)["candid"] == record["candid"]


def test_a_message_of_two_nights_is_refused_whole() -> None:
    p, q = ZTF.packets, NEXT.packets
    assert p.schemas[p.schema[0]] == q.schemas[q.schema[0]]
    file = io.BytesIO()
    buffer = np.frombuffer(p.body(0) + q.body(0), np.uint8)
    stops = np.array([len(p.body(0)), len(p.body(0)) + len(q.body(0))])
    write_container(file, p.schemas[p.schema[0]], buffer, np.array([0, stops[0]]), stops)
    found = reader().read([contained(ZTF, 1), file.getvalue()], allocate)
    assert found.message.tolist() == [0]
    assert [item.message for item in found.unreadable] == [1, 1]
    assert all("several nights" in item.reason for item in found.unreadable)


def test_a_schema_of_nobody_is_refused() -> None:
    schema = b'{"type": "record", "name": "weather", "fields": [{"name": "rain", "type": "double"}]}'
    found = reader().read([container_of(schema, bytes(8))], allocate)
    assert "weather" in found.unreadable[0].reason
    assert len(found.message) == 0


def test_a_silent_registry_is_the_callers_affair() -> None:
    def silent(number: int) -> bytes:
        raise RegistryError("no answer")

    with pytest.raises(RegistryError):
        MessageReader(SURVEYS, silent).read([wire_prefix(1300) + LSST.packets.body(0)], allocate)
