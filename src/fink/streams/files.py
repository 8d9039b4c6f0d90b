"""Files as a source: single packets, containers, folders, a night's tarball."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fink.codecs.containers import container_of, read_containers
from fink.commits import UNKNOWN_NIGHT, Quarantined
from fink.config import BatchSettings
from fink.errors import SourceError
from fink.streams import Allocate, SourceBatch
from fink.streams.inventory import BLOCKS, NO_SCHEMA, PLAIN, Inventory, Surveyor
from fink.streams.payloads import FileState, PayloadReader, unpack
from fink.streams.recognition import SchemaOfId
from fink.surveys import Survey
from fink.tables import PADDING, Packets

POSITIONS = b"files/"
"""Beginning of the keys under which files are remembered in the archive."""

FAR_APART = 1 << 16
"""Bytes between two records of a file from which on they are read apart."""

MOST_QUARANTINED = 1 << 26
"""Bytes of one unreadable item that the quarantine keeps at most; the rest stays in its file."""


@dataclass(frozen=True)
class _File:
    """A file that takes part in this run.

    ``before`` is what earlier runs left under its key: items committed, items in all, and (while it is unfinished) a checksum of the
    order in which they are given, all split by ``/``.
    """

    path: Path
    argument: int
    state: FileState
    key: bytes
    before: tuple[bytes, ...]


class FilesSource:
    """Alerts from files, in the order of their nights.

    A file is known by its path, size and time of change: one that was read to its end is skipped, one that changed since is
    read anew, one that a stopped run left half-read is continued.

    Parameters
    ----------
    arguments
        Files and folders.
    surveys
        The surveys whose packets are known.
    schema_of_id
        Finds the schema of a packet that names only its number.
    progress
        What earlier runs left in the archive under `POSITIONS`.
    again
        Read finished files once more; their alerts are duplicates then.
    settled
        Leave out, for now, files that changed in the last so many seconds [s].

    Raises
    ------
    SourceError
        If a file or folder does not exist or cannot be read.
    """

    def __init__(
        self,
        arguments: Sequence[Path],
        surveys: Mapping[str, Survey],
        schema_of_id: SchemaOfId,
        progress: Mapping[bytes, bytes] | None = None,
        *,
        again: bool = False,
        settled: float = 0.0,
    ) -> None:
        self.name = "files"
        self._arguments = [str(argument) for argument in arguments]
        self._files, self.skipped = _choose(arguments, progress or {}, again=again, changed_before=time.time() - settled)
        self._reader = PayloadReader({file.path: file.state for file in self._files})
        self._unpacked: tuple[int, NDArray[np.uint8]] = (-1, np.zeros(0, np.uint8))
        surveyor = Surveyor(surveys, schema_of_id)
        file_of_unit: list[int] = []
        for number, file in enumerate(self._files):
            surveyor.look_at(file.path)
            file_of_unit += [number] * (len(surveyor.inventory.units) - len(file_of_unit))
        self._inventory = surveyor.finish()
        self._order = _Order(self._inventory, np.array(file_of_unit, np.int64), self._files)
        self._at = 0

    @property
    def total(self) -> int:
        """Items still to come."""
        return len(self._order.todo) - self._at

    @property
    def surveys(self) -> tuple[str, ...]:
        """Names of the surveys whose alerts are still to come."""
        present = np.unique(self._order.items["survey"][self._order.todo[self._at :]])
        return tuple(self._inventory.surveys[i] for i in present if i >= 0)

    def next_batch(self, limits: BatchSettings, allocate: Allocate) -> SourceBatch | None:
        """Give the next items of one night, survey and argument; None at the end."""
        if self._at >= len(self._order.todo):
            self._reader.close()
            return None
        rows = self._order.batch(self._at, limits)
        items = self._order.items[rows]
        argument = self._arguments[self._order.argument[rows[0]]]
        if items["schema"][0] == NO_SCHEMA:
            batch = SourceBatch(argument, quarantined=tuple(self._quarantined(item) for item in items))
        else:
            survey = self._inventory.surveys[items["survey"][0]]
            batch = SourceBatch(argument, survey, int(items["night"][0]), self._read(items, allocate), self._places(items))
        self._at += len(rows)
        return replace(batch, progress=self._order.progress(rows))

    def _places(self, items: NDArray[Any]) -> Callable[[int], tuple[str, str]]:
        units, inventory = items["unit"], self._inventory

        def place(row: int) -> tuple[str, str]:
            unit = inventory.units[units[row]]
            return str(unit.path), unit.place(int(items["start"][row]))

        return place

    def _quarantined(self, item: Any) -> Quarantined:
        unit, start = self._inventory.units[item["unit"]], int(item["start"])
        body = self._body(int(item["unit"]), start, min(int(item["end"]), start + MOST_QUARANTINED), record=item["writer"] != NO_SCHEMA)
        if item["writer"] != NO_SCHEMA:
            body = container_of(self._inventory.schemas[item["writer"]], body)
        return Quarantined(str(unit.path), unit.place(start), self._inventory.reasons[item["reason"]], body, "", UNKNOWN_NIGHT)

    def _body(self, number: int, start: int, end: int, *, record: bool) -> bytes:
        """Give the bytes of a record, or of a broken part, whose places count in the file's own bytes."""
        unit, access = self._inventory.units[number], self._inventory.access[number]
        in_file = access == PLAIN or number in self._inventory.headers
        if not unit.packing and in_file and (access == PLAIN or not record):
            target = np.empty(end - start, np.uint8)
            self._reader.read_into(unit, start, target)
            return target.tobytes()
        return self._payload(number)[start:end].tobytes() if record else self._raw(number)[start:end]

    def _raw(self, number: int) -> bytes:
        """Give the bytes of a unit, unpacked from gzip, xz or bzip2."""
        if number in self._inventory.kept:
            return self._inventory.kept[number]
        data = self._reader.read(self._inventory.units[number])
        return data if self._inventory.access[number] == PLAIN else unpack(data)

    def _payload(self, number: int) -> NDArray[np.uint8]:
        """Give the bytes in which a unit's records lie; the last unit's are kept at hand."""
        if self._unpacked[0] != number:
            payload = np.frombuffer(self._raw(number), np.uint8)
            if self._inventory.access[number] == BLOCKS:
                header = np.frombuffer(self._inventory.headers.get(number, b""), np.uint8)
                size = len(header) + len(payload)
                buffer = np.concatenate([header, payload, np.zeros(PADDING, np.uint8)])
                records, _ = read_containers(buffer, np.zeros(1, np.int64), np.array([size]))
                payload = records[0].buffer
            self._unpacked = (number, payload)
        return self._unpacked[1]

    def _read(self, items: NDArray[Any], allocate: Allocate) -> Packets:
        """Copy the records of a batch into one buffer, each run of one unit in one piece where its records lie together."""
        far = items["start"][1:] - items["end"][:-1] > FAR_APART
        cuts = np.flatnonzero((np.diff(items["unit"]) != 0) | far) + 1
        runs = list(zip([0, *cuts.tolist()], [*cuts.tolist(), len(items)], strict=True))
        first = items["start"][[a for a, _ in runs]]
        length = items["end"][[b - 1 for _, b in runs]] - first
        base = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
        buffer = allocate(int(base[-1]) + PADDING)
        for (a, _), origin, size, at in zip(runs, first.tolist(), length.tolist(), base.tolist(), strict=False):
            self._copy(int(items["unit"][a]), origin, buffer[at : at + size])
        shift = np.repeat(base[:-1] - first, [b - a for a, b in runs])
        used = np.unique(items["schema"])
        schemas = tuple(self._inventory.schemas[i] for i in used)
        return Packets(
            buffer, items["start"] + shift, items["end"] + shift, np.searchsorted(used, items["schema"]).astype(np.int32), schemas
        )

    def _copy(self, number: int, origin: int, target: NDArray[np.uint8]) -> None:
        unit = self._inventory.units[number]
        if unit.packing or self._inventory.access[number] != PLAIN:
            target[:] = self._payload(number)[origin : origin + len(target)]
        else:
            self._reader.read_into(unit, origin, target)


class _Order:
    """The items of some files in the order in which they are given, and what is left to do of them.

    A file's items keep this order whatever other files take part, so a count is enough to continue a file; a checksum over them tells
    when a newer Fink would order them otherwise, and the file is then read anew.

    Attributes
    ----------
    items, file, argument
        (n,) every item, the number of its file, and of the argument that named that.
    todo
        (m,) rows of the items that no earlier run has committed.
    """

    def __init__(self, inventory: Inventory, file_of_unit: NDArray[np.int64], files: Sequence[_File]) -> None:
        items = inventory.items()
        file = file_of_unit[items["unit"]]
        argument = np.array([f.argument for f in files], np.int64)[file]
        order = np.lexsort((np.arange(len(items)), file, argument, items["survey"], items["night"]))
        self.items, self.file, self.argument = items[order], file[order], argument[order]
        self._files, self._surveys = files, np.array(["", *inventory.surveys], "S32")
        self._sizes = np.bincount(self.file, minlength=len(files))
        self._first = np.cumsum(self._sizes) - self._sizes
        self._by_file = np.argsort(self.file, kind="stable")
        self._rank = np.zeros(len(items), np.int64)
        self._rank[self._by_file] = np.arange(len(items)) - np.repeat(self._first, self._sizes)
        self._checksums: dict[int, bytes] = {}
        done = np.array([self._done(number) for number in range(len(files))], np.int64)
        self.todo = np.flatnonzero(self._rank >= done[self.file])

    def _done(self, number: int) -> int:
        """Count the items that earlier runs have committed."""
        match self._files[number].before:
            case (done, total, checksum) if int(total) == self._sizes[number] and checksum == self._checksum(number):
                return int(done)
        return 0

    def _checksum(self, number: int) -> bytes:
        if number not in self._checksums:
            items = self.items[self._by_file[self._first[number] : self._first[number] + self._sizes[number]]]
            places = np.stack([items["start"], items["end"], items["night"]]).tobytes()
            self._checksums[number] = b"%08x" % zlib.crc32(self._surveys[items["survey"] + 1].tobytes(), zlib.crc32(places))
        return self._checksums[number]

    def batch(self, at: int, limits: BatchSettings) -> NDArray[np.int64]:
        """Give the rows from ``at`` on until the night, survey or argument changes, or the batch is full."""
        rows = self.todo[at : at + limits.alerts]
        items, argument = self.items[rows], self.argument[rows]
        same = (items["night"] == items["night"][0]) & (items["survey"] == items["survey"][0]) & (argument == argument[0])
        same &= (items["schema"] == NO_SCHEMA) == (items["schema"][0] == NO_SCHEMA)
        size = len(rows) if same.all() else int(np.argmin(same))
        weight = np.cumsum(items["end"][:size] - items["start"][:size])
        return rows[: max(1, int(np.searchsorted(weight, limits.megabytes * 1e6, side="right")))]

    def progress(self, rows: NDArray[np.int64]) -> dict[bytes, bytes]:
        """Say how far each file is once these rows are committed."""
        files, last = np.unique(self.file[rows][::-1], return_index=True)
        done = self._rank[rows][::-1][last] + 1
        return {self._files[f].key: self._position(f, d) for f, d in zip(files.tolist(), done.tolist(), strict=True)}

    def _position(self, number: int, done: int) -> bytes:
        total = int(self._sizes[number])
        return b"%d/%d" % (done, total) if done == total else b"%d/%d/%s" % (done, total, self._checksum(number))


def _choose(
    arguments: Sequence[Path], progress: Mapping[bytes, bytes], *, again: bool, changed_before: float
) -> tuple[list[_File], list[Path]]:
    """Give the files to read, each once, and those that earlier runs have finished; one that changed just now may still grow."""
    chosen: dict[str, _File] = {}
    skipped = {}
    for number, argument in enumerate(arguments):
        for path, real, status in _files_in(argument):
            state = FileState(status.st_size, status.st_mtime_ns)
            key = POSITIONS + f"{real}|{state.size}|{state.changed}".encode(errors="surrogateescape")
            before = tuple(progress.get(key, b"").split(b"/"))
            if len(before) == 2 and not again:
                skipped[real] = Path(path)
            elif real not in chosen and status.st_mtime <= changed_before:
                chosen[real] = _File(Path(path), number, state, key, before)
    return list(chosen.values()), list(skipped.values())


def _files_in(argument: Path) -> Iterator[tuple[str, str, os.stat_result]]:
    """Give a file, or every file below a folder, with its real path and state, in the order of names."""
    try:
        status = argument.stat()
    except OSError as error:
        raise SourceError(f"there is no file or folder {argument}: {error.strerror}") from error
    if argument.is_dir():
        yield from _files_below(str(argument), set())
    elif argument.is_file():
        yield str(argument), os.path.realpath(argument), status
    else:
        raise SourceError(f"{argument} is neither a file nor a folder")


def _files_below(folder: str, seen: set[str]) -> Iterator[tuple[str, str, os.stat_result]]:
    """Give the files below a folder; names that begin with a dot and links that lead nowhere or in circles are left out."""
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    try:
        with os.scandir(folder) as found:
            entries = sorted((entry for entry in found if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        raise SourceError(f"the folder {folder} cannot be read: {error.strerror}") from error
    for entry in entries:
        if entry.is_dir():
            yield from _files_below(entry.path, seen)
        elif entry.is_file():
            yield entry.path, os.path.realpath(entry.path) if entry.is_symlink() else f"{real}/{entry.name}", entry.stat()
