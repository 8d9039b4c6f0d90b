"""Of which survey a record is: told by its writer's schema, which stands before it, has a number in front of it, or is known by heart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from fink.codecs.containers import confluent_id
from fink.codecs.schemas import parse_schema
from fink.errors import PacketError, RegistryError, SchemaError
from fink.surveys import Survey
from fink.tables import Packets

SchemaOfId = Callable[[int], bytes]
"""Gives the writer's schema of a number; raises `SchemaError` where there is none."""

MOST_NUMBERS = 1 << 20
"""Numbers of schemas are smaller; a zero byte before a larger one is no framing."""


@dataclass(frozen=True)
class Writer:
    """A writer's schema: its number among those that were met, that of its survey, and why its records are refused if they are."""

    number: int
    survey: int
    refusal: str


class Recogniser:
    """Tells writers' schemas apart; each is looked at once.

    Parameters
    ----------
    surveys
        The surveys whose packets are known.
    schema_of_id
        Finds the schema of a packet that names only its number.

    Attributes
    ----------
    schemas
        The writers' schemas that were met, as `Writer.number` counts them.
    """

    def __init__(self, surveys: Mapping[str, Survey], schema_of_id: SchemaOfId) -> None:
        self.surveys = list(surveys.values())
        self.schema_of_id = schema_of_id
        self.schemas: list[bytes] = []
        self._known: dict[bytes, Writer] = {}

    def writer(self, schema: bytes) -> Writer:
        """Give the writer of a schema."""
        if schema not in self._known:
            self.schemas.append(schema)
            self._known[schema] = Writer(len(self.schemas) - 1, *self._find_survey(schema))
        return self._known[schema]

    def _find_survey(self, schema: bytes) -> tuple[int, str]:
        for number, survey in enumerate(self.surveys):
            try:
                if survey.recognises(schema):
                    return number, ""
            except SchemaError as error:
                return -1, str(error)
        names = ", ".join(survey.name for survey in self.surveys)
        return -1, f"the record's schema {parse_schema(schema).fullname} is not of a known survey ({names})"

    def bare_schema(self, data: bytes) -> tuple[bytes, int]:
        """Find the schema of a record without a header, and where the record begins.

        Raises
        ------
        PacketError
            If it is no record of a known survey.
        SchemaError
            If it names a schema that is nowhere.
        """
        if not data:
            raise PacketError("it is empty")
        if data[0] == 0 and len(data) > 5:
            number = confluent_id(data)
            try:
                return self.schema_of_id(number), 5
            except RegistryError:
                raise
            except SchemaError:
                if 0 < number < MOST_NUMBERS:
                    raise
        packets = Packets.from_bodies([data], b"")
        for survey in self.surveys:
            for schema in survey.writer_schemas():
                tried = Packets(packets.buffer, packets.starts, packets.ends, np.zeros(1, np.int32), (schema,))
                if not survey.nights(tried)[1]:
                    return schema, 0
        raise PacketError(f"{_kind_of(data)}, and no record of a known survey")


_KINDS = {b"PAR1": "a Parquet file", b"\x89HDF": "an HDF5 file", b"SIMPLE  =": "a FITS file", b"<": "XML text"}


def _kind_of(data: bytes) -> str:
    """Say what bytes are that are no alerts, as far as their beginning tells."""
    for beginning, kind in _KINDS.items():
        if data.startswith(beginning):
            return kind
    beginning = data[:2000]
    if not all(byte >= 32 or byte in b"\t\n\r" for byte in beginning):
        return "neither an Avro container nor a framed message"
    if beginning.lstrip()[:1] in (b"{", b"["):
        return "an Avro schema" if b'"fields"' in data or b'"type"' in beginning else "JSON text"
    return "text"
