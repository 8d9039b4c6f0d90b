"""The packets that Fink sends: the survey's own bytes with the added columns behind them, and the schema that reads both.

An Avro record is its fields' encodings in order, so nothing of the original is encoded again. The schema that comes of it is the
original one with every named type spelled out under a name of its own, which leaves the bytes as they are, and the added fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fink.codecs.encode import AvroField, AvroGroup, AvroType, append_fields, encode_fields, extend_schema
from fink.codecs.schemas import parse_schema
from fink.filters.users import ENTRY_COLUMNS
from fink.surveys import Survey
from fink.surveys.public import FORMS
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


def output_packets(
    rows: pa.Table, packets: Packets, added: Added, survey: Survey, versions: Mapping[str, str] = MappingProxyType({})
) -> OutputPackets:
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
    versions
        What the packets say of who made them: fields behind all others, with the same text in each.
    """
    fields = (*public_fields(added, survey), *(AvroField(name, "string") for name in versions))
    columns = {survey.packet_name(column).path: _public_values(rows[column], survey.name, column) for column in added}
    columns |= {name: pa.chunked_array([pa.repeat(pa.scalar(text), len(packets))]) for name, text in versions.items()}
    extra, offsets = encode_fields(fields, columns)
    buffer, ends = append_fields(packets.buffer, packets.starts, packets.ends, extra, offsets)
    schemas = tuple(output_schema(schema, fields) for schema in packets.schemas)
    return OutputPackets(schemas, packets.schema, buffer, ends)


def with_entries(added: Added, rows: pa.Table) -> Added:
    """Give the added columns with what a watchlist says of the alerts that it took, where these rows are a watchlist's."""
    return {**added, **{column.name: str(column.type) for column in ENTRY_COLUMNS if column.name in rows.column_names}}


def public_fields(added: Added, survey: Survey) -> tuple[AvroField | AvroGroup, ...]:
    """Give the Avro fields of columns in their public places and forms; a group stands where its first field does."""
    groups: dict[str, list[AvroField]] = {}
    for column, kind in added.items():
        place, form = survey.packet_name(column), FORMS.get((survey.name, column))
        field = AvroField(place.field, _AVRO[str(form.type) if form else kind])
        # a field outside any group is a group of one
        groups.setdefault(place.group or f"={place.field}", []).append(field)
    return tuple(members[0] if name.startswith("=") else AvroGroup(name, tuple(members)) for name, members in groups.items())


def _public_values(values: pa.ChunkedArray, survey: str, column: str) -> pa.ChunkedArray:
    form = FORMS.get((survey, column))
    return form.convert(values) if form else values


@lru_cache(maxsize=256)
def output_schema(schema: bytes, fields: tuple[AvroField | AvroGroup, ...]) -> bytes:
    """Give the schema of packets of a writer's schema with the added fields, as minified JSON."""
    original = parse_schema(schema)
    there = {item["name"] for item in original.fields()}
    return extend_schema(original, _apart(fields, there), ROOT).encode()


def _apart(fields: Sequence[AvroField | AvroGroup], there: set[str]) -> list[AvroField | AvroGroup]:
    """Rename the added fields that a packet has already: one that another broker wrote, or an earlier Fink."""
    return [replace(item, name=TAKEN + item.name) if item.name in there else item for item in fields]
