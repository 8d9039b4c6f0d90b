"""The packets that Fink sends: the survey's own bytes with the added columns behind them, and the schema that reads both.

An Avro record is its fields' encodings in order, so nothing of the original is encoded again. The schema that comes of it is the
original one with every named type spelled out under a name of its own, which leaves the bytes as they are, and the added fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fink.codecs.encode import AvroField, AvroGroup, AvroType, append_fields, encode_fields, extend_schema
from fink.codecs.schemas import parse_schema
from fink.surveys import Survey
from fink.surveys.names import PublicName
from fink.tables import Packets

ROOT = "alert"
"""Name of the record that is sent."""

TAKEN = "fink_"
"""What the name of an added field begins with where the packet has a field of that name itself."""

_AVRO: dict[str, AvroType] = {
    "float": "float",
    "double": "double",
    "int8": "int",
    "int16": "int",
    "int32": "int",
    "int64": "long",
    "bool": "boolean",
    "string": "string",
}

Added = Mapping[str, str]
"""Added columns and their Arrow types, in the order of the packet."""


@dataclass(frozen=True, eq=False)
class OutputPackets:
    """``n`` packets as they are sent.

    Attributes
    ----------
    schemas
        The schemas as minified JSON.
    schema
        (n,) which of them each was written with.
    buffer, offsets
        Packet ``i`` is ``buffer[offsets[i]:offsets[i + 1]]``, without any frame.
    """

    schemas: tuple[bytes, ...]
    schema: NDArray[np.int32]
    buffer: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    def body(self, row: int) -> bytes:
        """Give the bytes of one packet."""
        return self.buffer[self.offsets[row] : self.offsets[row + 1]].tobytes()


def avro_fields(added: Added) -> tuple[AvroField, ...]:
    """Give the Avro fields of columns, under their own names."""
    return tuple(AvroField(name, _AVRO[kind]) for name, kind in added.items())


def output_packets(rows: pa.Table, packets: Packets, added: Added, survey: Survey) -> OutputPackets:
    """Make what is sent of alerts: their packets with the added columns behind them, under their public names.

    Parameters
    ----------
    rows
        ``n`` alerts with every column of ``added``.
    packets
        Their packets.
    added
        The columns that the plan of their commit added.
    survey
        Whose users the names are for.
    """
    places = {column: survey.packet_name(column) for column in added}
    fields = public_fields(added, places)
    columns = {places[column].path: _values(rows[column], places[column].missing) for column in added}
    extra, offsets = encode_fields(fields, columns)
    buffer, ends = append_fields(packets.buffer, packets.starts, packets.ends, extra, offsets)
    schemas = tuple(output_schema(schema, fields) for schema in packets.schemas)
    return OutputPackets(schemas, packets.schema, buffer, ends)


def public_fields(added: Added, places: Mapping[str, PublicName]) -> tuple[AvroField | AvroGroup, ...]:
    """Give the Avro fields of columns in their public places; a group stands where its first field does."""
    groups: dict[str, list[AvroField]] = {}
    for column, kind in added.items():
        place = places[column]
        # a field outside any group is a group of one
        groups.setdefault(place.group or f"={place.field}", []).append(AvroField(place.field, _AVRO[kind]))
    return tuple(members[0] if name.startswith("=") else AvroGroup(name, tuple(members)) for name, members in groups.items())


def _values(values: pa.ChunkedArray, missing: str | float | bool | None) -> pa.Array:
    array = values.combine_chunks()
    return array if missing is None else pc.fill_null(array, missing)


@lru_cache(maxsize=256)
def output_schema(schema: bytes, fields: tuple[AvroField | AvroGroup, ...]) -> bytes:
    """Give the schema of packets of a writer's schema with the added fields, as minified JSON."""
    original = parse_schema(schema)
    there = {item["name"] for item in original.fields()}
    return extend_schema(original, _apart(fields, there), ROOT).encode()


def _apart(fields: Sequence[AvroField | AvroGroup], there: set[str]) -> list[AvroField | AvroGroup]:
    """Rename the added fields that a packet has already: one that another broker wrote, or an earlier Fink."""
    return [replace(item, name=TAKEN + item.name) if item.name in there else item for item in fields]
