"""What files hold: every record with its survey and night, and every item that cannot be read, found before a run begins.

Knowing the nights beforehand is what lets a source give them in order, however the files are named and sorted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fink.codecs.containers import MAGIC, MOST_BYTES, TRUNCATED, Broken, KnownHeaders, Records, read_containers, read_header
from fink.commits import UNKNOWN_NIGHT
from fink.errors import PacketError, SchemaError, SourceError
from fink.streams.payloads import Unit, units_of, unpack
from fink.streams.recognition import Recogniser, SchemaOfId
from fink.surveys import Survey
from fink.tables import PADDING, Packets

CHUNK = 1 << 24
"""Bytes of files that are looked at together."""

KEPT = 1 << 28
"""Bytes of packed units that are kept in memory from the first look to the reading."""

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
    headers: dict[int, bytes] = field(default_factory=dict)
    """For pieces of packed containers the header of their file."""
    kept: dict[int, bytes] = field(default_factory=dict)
    """Unpacked bytes of the first `KEPT` bytes of packed units: nights are read in order, and unpacking starts at the front."""

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
        self._recogniser = Recogniser(surveys, schema_of_id)
        self.inventory = Inventory(schemas=self._recogniser.schemas, surveys=tuple(surveys))
        self._known = KnownHeaders()
        self._waiting: list[tuple[int, bytes]] = []
        self._waiting_bytes = 0
        self._kept = 0
        self._buffer = _Buffer()

    def look_at(self, path: Path) -> None:
        """Enter what a file holds."""
        try:
            for unit, data in units_of(path, CHUNK):
                if data is None:
                    self._look_at_large(unit)
                else:
                    self.look_at_bytes(unit, data)
        except PacketError as error:
            self._refuse(Unit(path, "", 0, path.stat().st_size), error.reason)

    def look_at_bytes(self, unit: Unit, data: bytes) -> None:
        """Enter what the bytes of a unit hold; small ones are collected and looked at many at a time."""
        number = self.inventory.add_unit(unit)
        try:
            unpacked = unpack(data)
        except PacketError as error:
            self.inventory.add_broken(number, 0, len(data), error.reason)
            return
        if unpacked is not data:
            self.inventory.access[number] = UNPACKED
        if (unpacked is not data or unit.packing) and self._kept + len(unpacked) <= KEPT:
            self.inventory.kept[number] = unpacked
            self._kept += len(unpacked)
        self._waiting.append((number, unpacked))
        self._waiting_bytes += len(unpacked)
        if self._waiting_bytes >= CHUNK or len(self._waiting) >= 8192:
            self._flush()

    def _refuse(self, unit: Unit, reason: str) -> None:
        """Enter a unit that cannot be read as one item."""
        self.inventory.add_broken(self.inventory.add_unit(unit), 0, unit.size, reason)

    def finish(self) -> Inventory:
        """Give the inventory when everything has been looked at."""
        self._flush()
        return self.inventory

    def _flush(self) -> None:
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        self._look_at_containers([item for item in waiting if item[1].startswith(MAGIC)])
        self._look_at_bare([item for item in waiting if not item[1].startswith(MAGIC)])

    def _look_at_containers(self, containers: Sequence[tuple[int, bytes]]) -> None:
        if not containers:
            return
        units = np.array([number for number, _ in containers], np.int64)
        buffer, starts, ends = self._buffer.joined([data for _, data in containers])
        records, broken = read_containers(buffer, starts, ends, self._known)
        alone: set[int] = set()
        for part in records:
            if part.buffer is buffer:
                self._enter(part, units, starts)
            elif len(containers) == 1:
                self.inventory.access[units[0]] = BLOCKS
                self._enter(part, units, np.zeros(1, np.int64))
            else:
                # offsets in unpacked blocks only mean something for a file by itself
                alone |= set(np.unique(part.file).tolist())
        for item in (item for item in broken if item.file not in alone):
            first = int(starts[item.file])
            self.inventory.add_broken(int(units[item.file]), item.start - first, item.end - first, item.reason)
        for file in sorted(alone):
            self._look_at_containers([containers[file]])

    def _look_at_bare(self, items: Sequence[tuple[int, bytes]]) -> None:
        """Enter records without a header: in Confluent's framing, else packets of a schema that surveys know by heart."""
        groups: dict[tuple[bytes, int], list[tuple[int, bytes]]] = {}
        for number, data in items:
            try:
                groups.setdefault(self._recogniser.bare_schema(data), []).append((number, data))
            except (SchemaError, PacketError) as error:
                self.inventory.add_broken(number, 0, len(data), str(error))
        for (schema, start), members in groups.items():
            buffer, starts, ends = self._buffer.joined([data for _, data in members])
            units = np.array([number for number, _ in members], np.int64)
            self._enter_packets(schema, buffer, starts + start, ends, units, starts)

    def _look_at_large(self, whole: Unit) -> None:
        """Enter a file larger than memory should hold, piece by piece: each piece is a unit of its own."""
        with open(whole.path, "rb", buffering=0) as file:
            try:
                header = read_header(file.read(1 << 22))
            except (PacketError, SchemaError) as error:
                self._refuse(whole, str(error))
                return
            file.seek(0)
            piece = _Piece(whole, file.read(header.header_length), header.codec != "null")
            at, size = header.header_length, CHUNK
            while at < whole.size:
                buffer = self._buffer.reserve(len(piece.header) + size)
                file.seek(at)
                read = file.readinto(buffer[len(piece.header) : len(piece.header) + size].data)
                stop = self._look_at_piece(piece, buffer, at, read, size)
                # a block larger than the piece needs a larger piece; otherwise the next one begins where this one was cut
                at, size = (stop, CHUNK) if stop > at else (at, 2 * size)

    def _look_at_piece(self, piece: _Piece, buffer: NDArray[np.uint8], at: int, read: int, size: int) -> int:
        """Enter the piece of a large container that was read behind its header's place; give where the next one begins."""
        end_of_file, skipped = piece.whole.size, len(piece.header)
        if at + read < min(at + size, end_of_file):
            raise SourceError(f"{piece.whole.path} is shorter than it was; leave files alone while they are read, and run again")
        buffer[:skipped] = np.frombuffer(piece.header, np.uint8)
        end = skipped + read
        records, broken = read_containers(buffer, np.zeros(1, np.int64), np.array([end]), self._known)
        stop = at + read
        cut = next((item for item in broken if item.end == end), None)
        if cut is not None and _more_would_mend(cut) and stop < end_of_file and size <= MOST_BYTES:
            stop = at + cut.start - skipped
            broken.remove(cut)
        elif cut is not None:
            # nothing behind a break can be told apart: the rest of the file is one item
            stop = end_of_file
        if stop > at:
            number = self.inventory.add_unit(Unit(piece.whole.path, "", at, min(stop - at, read)), BLOCKS if piece.packed else PLAIN)
            if piece.packed:
                self.inventory.headers[number] = piece.header
            for part in records:
                self._enter(part, np.array([number]), np.array([0 if piece.packed else skipped]))
            for item in broken:
                until = end_of_file - at if item is cut else item.end - skipped
                self.inventory.add_broken(number, item.start - skipped, until, item.reason)
        return stop

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
        writer = self._recogniser.writer(schema)
        rows = np.zeros(len(starts), ITEM)
        rows["unit"], rows["start"], rows["end"], rows["writer"] = units, starts - origins, ends - origins, writer.number
        if writer.refusal:
            self._refuse_rows(rows, slice(None), writer.refusal)
        else:
            packets = Packets(buffer, starts, ends, np.zeros(len(starts), np.int32), (schema,))
            nights, refusals = self._recogniser.surveys[writer.survey].nights(packets)
            rows["night"], rows["schema"], rows["survey"], rows["reason"] = nights, writer.number, writer.survey, -1
            for unreadable in refusals:
                self._refuse_rows(rows, unreadable.row, unreadable.reason)
        self.inventory.parts.append(rows)

    def _refuse_rows(self, rows: NDArray[Any], which: slice | int, reason: str) -> None:
        """Turn records into items that cannot be read."""
        self.inventory.reasons.append(reason)
        rows["schema"][which], rows["survey"][which], rows["night"][which] = NO_SCHEMA, -1, UNKNOWN_NIGHT
        rows["reason"][which] = len(self.inventory.reasons) - 1


@dataclass(frozen=True)
class _Piece:
    """What all pieces of a large container share: the file, its header, and whether its blocks are packed."""

    whole: Unit
    header: bytes
    packed: bool


def _more_would_mend(item: Broken) -> bool:
    """Say whether a break at the end of a piece may come from the cut alone, which may fall into a number or a sync marker."""
    return item.reason == TRUNCATED or item.end - item.start < 32


class _Buffer:
    """Memory in which files are looked at, used again and again."""

    def __init__(self) -> None:
        self._array = np.zeros(0, np.uint8)

    def reserve(self, size: int) -> NDArray[np.uint8]:
        """Give memory of at least so many bytes and the padding; what it held before may be gone."""
        if len(self._array) < size + PADDING:
            self._array = np.zeros(size + PADDING, np.uint8)
        return self._array

    def joined(self, bodies: Sequence[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
        """Put bodies behind one another; give the memory and where each begins and ends."""
        ends = np.cumsum([len(body) for body in bodies], dtype=np.int64)
        starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
        buffer = self.reserve(int(ends[-1]))
        view = buffer.data
        for body, start, end in zip(bodies, starts.tolist(), ends.tolist(), strict=True):
            view[start:end] = body
        return buffer, starts, ends
