"""Of which survey a record is."""

from __future__ import annotations

import pytest

from fink.codecs.writers import wire_prefix
from fink.config import load_settings
from fink.errors import PacketError, RegistryError, SchemaError
from fink.factory import schema_of_id
from fink.streams.recognition import Recogniser
from simulated import SURVEYS, nights

LSST = nights("lsst", 1, 3)[0].packets


def recogniser() -> Recogniser:
    return Recogniser(SURVEYS, schema_of_id(load_settings()))


@pytest.mark.parametrize("survey", ["ztf", "lsst"])
def test_a_schema_tells_the_survey(survey: str) -> None:
    schema = nights(survey, 1, 3)[0].packets.schemas[0]
    known = recogniser()
    writer = known.writer(schema)
    assert (list(SURVEYS)[writer.survey], writer.refusal) == (survey, "")
    assert known.writer(schema) is writer
    assert known.schemas == [schema]


def test_a_strange_schema_is_refused_by_its_name() -> None:
    writer = recogniser().writer(b'{"type": "record", "name": "weather", "fields": [{"name": "rain", "type": "double"}]}')
    assert writer.survey == -1
    assert "weather" in writer.refusal
    assert "lsst" in writer.refusal


def test_a_number_in_front_or_the_record_itself_tells_the_schema() -> None:
    known, body = recogniser(), LSST.body(0)
    number = next(number for number in range(1200, 100, -1) if _schema(known, number) == LSST.schemas[0])
    assert known.bare_schema(wire_prefix(number) + body) == (LSST.schemas[0], 5)
    schema, start = known.bare_schema(body)
    assert start == 0
    assert SURVEYS["lsst"].recognises(schema)


def _schema(known: Recogniser, number: int) -> bytes | None:
    try:
        return known.schema_of_id(number)
    except SchemaError:
        return None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"PAR1" + bytes(20), "a Parquet file"),
        (b'{"type": "record", "fields": []}', "an Avro schema"),
        (b'{"name": 1}', "JSON text"),
        (b"<xml/>", "XML text"),
        (b"once upon a time", "text"),
        (bytes(range(1, 30)), "neither an Avro container nor a framed message"),
    ],
)
def test_what_is_no_record_is_named(data: bytes, said: str) -> None:
    with pytest.raises(PacketError, match=said):
        recogniser().bare_schema(data)


def test_a_schema_that_is_nowhere_is_refused_and_a_registry_that_is_silent_is_not() -> None:
    with pytest.raises(SchemaError, match="4242"):
        recogniser().bare_schema(wire_prefix(4242) + LSST.body(0))

    def silent(number: int) -> bytes:
        raise RegistryError("no answer")

    with pytest.raises(RegistryError):
        Recogniser(SURVEYS, silent).bare_schema(wire_prefix(4242) + LSST.body(0))
