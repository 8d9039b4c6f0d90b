"""What files hold: every record with its survey and night, and every item that cannot be read, found before a run begins.

Knowing the nights beforehand is what lets a source give them in order, however the files are named and sorted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fink.codecs.containers import MAGIC, TRUNCATED, Broken, KnownHeaders, Records, confluent_id, read_containers, read_header
from fink.commits import UNKNOWN_NIGHT
from fink.errors import PacketError, SchemaError
from fink.streams.payloads import Unit, packing_of, units_of, unpack
from fink.surveys import Survey
from fink.tables import PADDING, Packets

CHUNK = 1 << 26
"""Bytes of files that are looked at together."""

PLAIN, UNPACKED, BLOCKS = 0, 1, 2
"""How a unit's records are reached: in its bytes, in its bytes when unpacked, in its container blocks when unpacked."""

NO_SCHEMA = -1
ITEM = np.dtype(
    [
        ("unit", "i4"),
        ("start", "i8"),
        ("end", "i8"),
        ("schema", "i4"),
        ("writer", "i4"),
        ("survey", "i1"),
        ("night", "i4"),
        ("reason", "i4"),
    ]
)
"""One record, or (with `NO_SCHEMA`) one item that cannot be read; ``start`` and ``end`` count within its unit.

``writer`` is the schema that it was written in, also of a record that cannot be read.
"""

SchemaOfId = Callable[[int], bytes]


@dataclass
class Inventory:
    """Everything that some files hold.

    Parameters
    ----------
    units
        Files and members of tarballs.
    access
        For each unit one of `PLAIN`, `UNPACKED`, `BLOCKS`.
    schemas
        The writers' schemas that were met.
    surveys
        Names of the surveys, as `items` counts them.
    reasons
        Why items cannot be read.
    """

    units: list[Unit] = field(default_factory=list)
    access: list[int] = field(default_factory=list)
    schemas: list[bytes] = field(default_factory=list)
    surveys: tuple[str, ...] = ()
    reasons: list[str] = field(default_factory=list)
    parts: list[NDArray[Any]] = field(default_factory=list)

    def items(self) -> NDArray[Any]:
        """Give all records and unreadable items, in the order in which they lie in the files."""
        found = np.concatenate(self.parts) if self.parts else np.zeros(0, ITEM)
        return found[np.lexsort((found["start"], found["unit"]))]

    def add_unit(self, unit: Unit, access: int = PLAIN) -> int:
        """Enter a file or member; give its number."""
        self.units.append(unit)
        self.access.append(access)
        return len(self.units) - 1

    def add_broken(self, unit: int, start: int, end: int, reason: str) -> None:
        """Enter an item that cannot be read."""
        self.reasons.append(reason)
        row = (unit, start, end, NO_SCHEMA, NO_SCHEMA, -1, UNKNOWN_NIGHT, len(self.reasons) - 1)
        self.parts.append(np.array([row], ITEM))


class Surveyor:
    """Looks through files and fills an inventory.

    Parameters
    ----------
    surveys
        The surveys whose packets are known.
    schema_of_id
        Finds the schema of a packet that names only its number.
    """

    def __init__(self, surveys: Mapping[str, Survey], schema_of_id: SchemaOfId) -> None:
        self.inventory = Inventory(surveys=tuple(surveys))
        self._surveys = list(surveys.values())
        self._schema_of_id = schema_of_id
        self._known = KnownHeaders()
        self._recognised: dict[bytes, tuple[int, int, str]] = {}
        self._waiting: list[tuple[int, bytes]] = []
        self._waiting_bytes = 0

    def look_at(self, path: Path) -> None:
        """Enter what a file holds."""
        try:
            for unit, data in units_of(path):
                number = self.inventory.add_unit(unit)
                if data is None and unit.size > CHUNK and _begins_with(unit.path, MAGIC):
                    self._look_at_large(number, unit)
                else:
                    self._wait(number, unit.path.read_bytes() if data is None else data)
        except PacketError as error:
            number = self.inventory.add_unit(Unit(path, "", 0, path.stat().st_size))
            self.inventory.add_broken(number, 0, path.stat().st_size, error.reason)

    def finish(self) -> Inventory:
        """Give the inventory when everything has been looked at."""
        self._flush()
        return self.inventory

    def _wait(self, number: int, data: bytes) -> None:
        """Collect small files, so that they are read many at a time."""
        try:
            if packing_of(data):
                data = unpack(data)
                self.inventory.access[number] = UNPACKED
        except PacketError as error:
            self.inventory.add_broken(number, 0, len(data), error.reason)
            return
        self._waiting.append((number, data))
        self._waiting_bytes += len(data)
        if self._waiting_bytes >= CHUNK or len(self._waiting) >= 8192:
            self._flush()

    def _flush(self) -> None:
        containers = [(number, data) for number, data in self._waiting if data.startswith(MAGIC)]
        for number, data in self._waiting:
            if not data.startswith(MAGIC):
                self._look_at_bare(number, data)
        self._waiting, self._waiting_bytes = [], 0
        if containers:
            self._look_at_containers(containers)

    def _look_at_containers(self, containers: Sequence[tuple[int, bytes]]) -> None:
        units = np.array([number for number, _ in containers], np.int64)
        buffer, starts, ends = _joined([data for _, data in containers])
        records, broken = read_containers(buffer, starts, ends, self._known)
        packed = {int(file) for part in records if part.buffer is not buffer for file in np.unique(part.file)}
        if packed and len(containers) > 1:
            # offsets in unpacked blocks only mean something for a file by itself
            for i in sorted(packed):
                self._look_at_containers([containers[i]])
            self._look_at_containers([c for i, c in enumerate(containers) if i not in packed]) if len(packed) < len(containers) else None
            return
        if packed:
            self.inventory.access[units[0]] = BLOCKS
        for part in records:
            self._enter(part, units, starts if part.buffer is buffer else np.zeros_like(starts))
        for item in broken:
            first = int(starts[item.file])
            self.inventory.add_broken(int(units[item.file]), item.start - first, item.end - first, item.reason)

    def _look_at_bare(self, number: int, data: bytes) -> None:
        """Enter a record without a header: Confluent's framing, else a packet of a schema that surveys know by heart."""
        if not data:
            self.inventory.add_broken(number, 0, 0, "the file is empty")
            return
        try:
            schema, start = self._bare_schema(data)
        except (SchemaError, PacketError) as error:
            self.inventory.add_broken(number, 0, len(data), str(error))
            return
        buffer, starts, ends = _joined([data])
        self._enter_packets(schema, buffer, starts + start, ends, np.array([number]), np.zeros(1, np.int64))

    def _bare_schema(self, data: bytes) -> tuple[bytes, int]:
        if data[0] == 0 and len(data) > 5:
            number = confluent_id(data)
            try:
                return self._schema_of_id(number), 5
            except SchemaError:
                if 0 < number < 1 << 20:
                    raise
        buffer, starts, ends = _joined([data])
        for survey in self._surveys:
            for schema in survey.writer_schemas():
                packets = Packets(buffer, starts, ends, np.zeros(1, np.int32), (schema,))
                if not survey.nights(packets)[1]:
                    return schema, 0
        raise PacketError("not an Avro container, not a framed message, and no record of a known survey")

    def _look_at_large(self, number: int, unit: Unit) -> None:
        """Enter a container file larger than memory should hold, piece by piece; each piece is given the file's header."""
        with open(unit.path, "rb") as file:
            try:
                header = read_header(file.read(1 << 22))
            except (PacketError, SchemaError) as error:
                self.inventory.add_broken(number, 0, unit.size, str(error))
                return
            if header.codec != "null":
                self._look_at_containers([(number, unit.path.read_bytes())])
                return
            file.seek(0)
            beginning = file.read(header.header_length)
            at, size = header.header_length, CHUNK
            while at < unit.size:
                file.seek(at)
                records, stop = self._piece(number, beginning, at, file.read(size), at + size >= unit.size)
                for part in records:
                    self._enter(part, np.array([number]), np.array([len(beginning) - at]))
                # a block larger than the piece needs a larger piece; otherwise the next one begins where this one broke
                at, size = (stop, CHUNK) if stop > at else (at, 2 * size)

    def _piece(self, number: int, beginning: bytes, at: int, data: bytes, last: bool) -> tuple[list[Records], int]:
        """Read one piece of a large container; give its records and where the next piece begins."""
        buffer, starts, ends = _joined([beginning + data])
        records, broken = read_containers(buffer, starts, ends, self._known)
        stop = at + len(data)
        for item in broken:
            place = item.start - len(beginning) + at
            cut_here = item.end == len(beginning) + len(data) and not last
            if cut_here and (item.reason == TRUNCATED or len(beginning) + len(data) - item.start < 32):
                stop = place
            elif cut_here and item.end - item.start < len(data):
                stop = self._break_off(number, place, item)
            else:
                self._break_off(number, place, item)
        return records, stop

    def _break_off(self, number: int, place: int, item: Broken) -> int:
        """Enter the remainder of a large container behind a break; give its end."""
        end = self.inventory.units[number].size
        self.inventory.add_broken(number, place, end, item.reason)
        return end

    def _enter(self, part: Records, units: NDArray[np.int64], origins: NDArray[np.int64]) -> None:
        files = part.file
        self._enter_packets(part.schema.text, part.buffer, part.starts, part.ends, units[files], origins[files])

    def _enter_packets(
        self,
        schema: bytes,
        buffer: NDArray[np.uint8],
        starts: NDArray[np.int64],
        ends: NDArray[np.int64],
        units: NDArray[np.int64],
        origins: NDArray[np.int64],
    ) -> None:
        """Enter records of one schema with their nights; those that cannot be read become items with a reason."""
        if len(starts) == 0:
            return
        schema_number, survey_number, refusal = self._recognise(schema)
        rows = np.zeros(len(starts), ITEM)
        rows["unit"], rows["start"], rows["end"] = units, starts - origins, ends - origins
        rows["schema"], rows["writer"], rows["survey"], rows["reason"] = schema_number, schema_number, survey_number, -1
        refused: Iterator[tuple[int, str]] = iter((i, refusal) for i in range(len(rows)))
        if not refusal:
            packets = Packets(buffer, starts, ends, np.zeros(len(starts), np.int32), (schema,))
            rows["night"], refusals = self._surveys[survey_number].nights(packets)
            refused = iter((r.row, r.reason) for r in refusals)
        for row, reason in refused:
            self.inventory.reasons.append(reason)
            rows["schema"][row], rows["survey"][row], rows["night"][row] = NO_SCHEMA, -1, UNKNOWN_NIGHT
            rows["reason"][row] = len(self.inventory.reasons) - 1
        self.inventory.parts.append(rows)

    def _recognise(self, schema: bytes) -> tuple[int, int, str]:
        """Find the survey of a writer's schema: number of the schema, of the survey, and why it is refused if it is."""
        if schema not in self._recognised:
            self.inventory.schemas.append(schema)
            self._recognised[schema] = (len(self.inventory.schemas) - 1, *self._find_survey(schema))
        return self._recognised[schema]

    def _find_survey(self, schema: bytes) -> tuple[int, str]:
        for number, survey in enumerate(self._surveys):
            try:
                if survey.recognises(schema):
                    return number, ""
            except SchemaError as error:
                return -1, str(error)
        names = ", ".join(survey.name for survey in self._surveys)
        return -1, f"the record's schema is not one of a known survey ({names})"


def _begins_with(path: Path, magic: bytes) -> bool:
    with open(path, "rb") as file:
        return file.read(len(magic)) == magic


def _joined(bodies: Sequence[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    ends = np.cumsum([len(body) for body in bodies], dtype=np.int64)
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    return np.frombuffer(b"".join([*bodies, bytes(PADDING)]), np.uint8), starts, ends
