"""Files as a source: single packets, containers, folders, a night's tarball; and files as a follower's output."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fink.codecs.containers import container_of, read_containers
from fink.commits import UNKNOWN_NIGHT, Quarantined
from fink.config import BatchSettings
from fink.errors import SourceError
from fink.streams import Allocate, SourceBatch
from fink.streams.inventory import BLOCKS, NO_SCHEMA, PLAIN, Inventory, SchemaOfId, Surveyor
from fink.streams.payloads import PayloadReader, unpack
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
    """A file that takes part in this run."""

    path: Path
    argument: int
    key: bytes
    done: int
    """Items that earlier runs have committed, in the order in which this source gives them."""


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
    ) -> None:
        self.name = "files"
        self.skipped: list[Path] = []
        self._arguments = [str(argument) for argument in arguments]
        self._reader = PayloadReader()
        self._unpacked: tuple[int, NDArray[np.uint8]] = (-1, np.zeros(0, np.uint8))
        files = self._choose(arguments, progress or {}, again=again)
        surveyor = Surveyor(surveys, schema_of_id)
        self._file_of_unit: list[int] = []
        for number, file in enumerate(files):
            surveyor.look_at(file.path)
            added = len(surveyor.inventory.units) - len(self._file_of_unit)
            self._file_of_unit += [number] * added
        self._files = files
        self._inventory = surveyor.finish()
        self._items, self._order_in_file = self._in_order(self._inventory)
        self._at = 0

    @property
    def total(self) -> int:
        """Items still to come."""
        return len(self._items) - self._at

    @property
    def surveys(self) -> tuple[str, ...]:
        """Names of the surveys whose alerts are still to come."""
        present = np.unique(self._items["survey"][self._at :])
        return tuple(self._inventory.surveys[i] for i in present if i >= 0)

    def _choose(self, arguments: Sequence[Path], progress: Mapping[bytes, bytes], *, again: bool) -> list[_File]:
        chosen: dict[Path, _File] = {}
        for number, argument in enumerate(arguments):
            for path in _files_in(argument):
                status = path.stat()
                key = POSITIONS + f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}".encode()
                done, _, total = progress.get(key, b"0/?").partition(b"/")
                if done == total and not again:
                    self.skipped.append(path)
                elif path.resolve() not in chosen:
                    chosen[path.resolve()] = _File(path, number, key, 0 if done == total else int(done))
        return list(chosen.values())

    def _in_order(self, inventory: Inventory) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Sort items by night, survey and file; leave out what earlier runs have committed."""
        items = inventory.items()
        file = np.array(self._file_of_unit, np.int64)[items["unit"]] if len(items) else np.zeros(0, np.int64)
        argument = np.array([f.argument for f in self._files], np.int64)[file] if len(items) else file
        order = np.lexsort((np.arange(len(items)), file, argument, items["survey"], items["night"]))
        items, file = items[order], file[order]
        # a file's items keep this order whatever other files take part, so a count is enough to continue a file
        rank = np.zeros(len(items), np.int64)
        by_file = np.argsort(file, kind="stable")
        sizes = np.bincount(file, minlength=len(self._files))
        first = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64) if len(sizes) else sizes
        rank[by_file] = np.arange(len(items)) - np.repeat(first, sizes)
        self._sizes, self._file = sizes, file
        done = np.array([f.done for f in self._files], np.int64)
        keep = rank >= done[file] if len(items) else np.zeros(0, np.bool_)
        self._file = file[keep]
        return items[keep], rank[keep]

    def next_batch(self, limits: BatchSettings, allocate: Allocate) -> SourceBatch | None:
        """Give the next items of one night, survey and argument; None at the end."""
        if self._at >= len(self._items):
            return None
        rows = np.arange(self._at, self._at + self._batch_size(limits))
        items = self._items[rows]
        argument = self._arguments[self._files[self._file[rows[0]]].argument]
        self._at += len(rows)
        if items["schema"][0] == NO_SCHEMA:
            return SourceBatch(argument, quarantined=tuple(self._quarantined(item) for item in items), progress=self._progress(rows))
        survey = self._inventory.surveys[items["survey"][0]]
        packets = self._read(items, allocate)
        return SourceBatch(argument, survey, int(items["night"][0]), packets, self._places(items), progress=self._progress(rows))

    def _batch_size(self, limits: BatchSettings) -> int:
        """Count the items until the night, survey or argument changes, or the batch is full."""
        window = self._items[self._at : self._at + limits.alerts]
        files = self._file[self._at : self._at + limits.alerts]
        argument = np.array([self._files[file].argument for file in files]) if len(self._arguments) > 1 else np.zeros(len(files))
        same = (window["night"] == window["night"][0]) & (window["survey"] == window["survey"][0]) & (argument == argument[0])
        same &= (window["schema"] == NO_SCHEMA) == (window["schema"][0] == NO_SCHEMA)
        size = int(np.argmin(same)) if not same.all() else len(window)
        weight = np.cumsum(window["end"][:size] - window["start"][:size])
        return max(1, int(np.searchsorted(weight, limits.megabytes * 1e6, side="right")))

    def _progress(self, rows: NDArray[np.int64]) -> dict[bytes, bytes]:
        files, last = np.unique(self._file[rows][::-1], return_index=True)
        ranks = self._order_in_file[rows][::-1][last]
        return {
            self._files[file].key: f"{rank + 1}/{self._sizes[file]}".encode()
            for file, rank in zip(files.tolist(), ranks.tolist(), strict=True)
        }

    def _places(self, items: NDArray[Any]) -> Any:
        units, inventory = items["unit"], self._inventory

        def place(row: int) -> tuple[str, str]:
            unit = inventory.units[units[row]]
            return str(unit.path), _place_in(unit.member, int(items["start"][row]))

        return place

    def _quarantined(self, item: Any) -> Quarantined:
        unit = self._inventory.units[item["unit"]]
        payload = self._payload(int(item["unit"]))
        start, end = int(item["start"]), int(item["end"])
        body = payload[start : min(end, start + MOST_QUARANTINED)].tobytes()
        if item["writer"] != NO_SCHEMA:
            body = container_of(self._inventory.schemas[item["writer"]], body)
        reason = self._inventory.reasons[item["reason"]]
        return Quarantined(str(unit.path), _place_in(unit.member, start), reason, body, "", UNKNOWN_NIGHT)

    def _payload(self, number: int) -> NDArray[np.uint8]:
        """Give the bytes in which a unit's records lie; the last unit's are kept at hand."""
        if self._unpacked[0] != number:
            data = self._reader.read(self._inventory.units[number])
            access = self._inventory.access[number]
            if access != PLAIN:
                data = unpack(data)
            payload = np.frombuffer(data, np.uint8)
            if access == BLOCKS:
                buffer = np.concatenate([payload, np.zeros(PADDING, np.uint8)])
                records, _ = read_containers(buffer, np.zeros(1, np.int64), np.array([len(payload)]))
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
            return
        try:
            descriptor = os.open(unit.path, os.O_RDONLY)
        except OSError as error:
            raise SourceError(f"{unit.path} cannot be read again: {error.strerror}; leave the files alone while they are read") from error
        try:
            got = os.preadv(descriptor, [target.data], origin)
        finally:
            os.close(descriptor)
        if got != len(target):
            raise SourceError(f"{unit.path} is shorter than it was; leave the files alone while they are read")


def _place_in(member: str, start: int) -> str:
    return f"member {member}, byte {start}" if member else f"byte {start}"


def _files_in(argument: Path) -> list[Path]:
    """Give a file, or every file below a folder, in the order of their names; names that begin with a dot are left out."""
    if not argument.exists():
        raise SourceError(f"there is no file or folder {argument}")
    if not argument.is_dir():
        return [argument]
    below = (path for path in argument.rglob("*") if path.is_file())
    return sorted(path for path in below if not any(part.startswith(".") for part in path.relative_to(argument).parts))
