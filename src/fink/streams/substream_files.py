"""The files follower: one file per substream and survey, in JSON lines or Avro, each committed alert in it exactly once.

One position file holds the number of the last commit delivered and the length of every output file. It is replaced in one
step after the output is safely on disk; whatever lies behind a recorded length was not delivered and is cut off.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

import numpy as np
import orjson
import polars as pl
import pyarrow as pa

from fink.codecs.containers import ContainerWriter
from fink.codecs.encode import AvroField, append_fields, encode_fields
from fink.codecs.schemas import parse_schema
from fink.commits import Commit
from fink.errors import FollowerError
from fink.streams import Committed
from fink.streams.output_packets import avro_fields, output_schema, with_entries
from fink.tables import Packets

POSITION = ".fink-position.json"
"""Name of the position file in the output folder."""

_ASIDE = ".new"

COMMITS_AT_ONCE = 64
"""Commits that are delivered before the position is written."""


Part = tuple[str, Callable[[BinaryIO, int], None]]
"""A file's name, and what writes its part of a delivery at a length of it."""


class Encoder(Protocol):
    """Turns selected alerts into bytes at the end of files."""

    def parts(self, archive: Committed, commit: Commit, substream: str, added: Mapping[str, str]) -> Iterator[Part]:
        """Give what each file gets of the alerts that a substream took in a commit."""


class JsonLines:
    """One JSON object a line: every column of the alert by its name. The packets are not read."""

    def parts(self, archive: Committed, commit: Commit, substream: str, added: Mapping[str, str]) -> Iterator[Part]:
        """Give one file for all schemas."""
        frame = pl.from_arrow(archive.selection(commit.number, substream))
        assert isinstance(frame, pl.DataFrame)

        def append(file: BinaryIO, length: int) -> None:
            text = io.BytesIO()
            frame.write_ndjson(text)
            file.truncate(length)
            file.seek(length)
            file.write(text.getbuffer())

        yield f"{substream}_{commit.survey}.jsonl", append


class AvroContainers:
    """Avro container files: the original packet's bytes with the added columns appended, one file per schema that comes of it."""

    def parts(self, archive: Committed, commit: Commit, substream: str, added: Mapping[str, str]) -> Iterator[Part]:
        """Give a file for each schema, named by the fingerprint of the extended one, which an upgrade changes."""
        rows, packets = archive.selected(commit.number, substream)
        fields = avro_fields(with_entries(added, rows))
        fingerprints = [parse_schema(output_schema(schema, fields)).fingerprint[:8] for schema in packets.schemas]
        for fingerprint in sorted(set(fingerprints)):
            mine = np.flatnonzero(np.array(fingerprints)[packets.schema] == fingerprint)
            if len(mine):
                yield (
                    f"{substream}_{commit.survey}_{fingerprint}.avro",
                    partial(_append_records, packets.take(mine), fields, rows.take(mine)),
                )


def _append_records(packets: Packets, fields: tuple[AvroField, ...], rows: pa.Table, file: BinaryIO, length: int) -> None:
    """Write alerts of one schema as records of the extended schema."""
    extra, offsets = encode_fields(fields, rows.select([field.name for field in fields]))
    buffer, ends = append_fields(packets.buffer, packets.starts, packets.ends, extra, offsets)
    schema = output_schema(packets.schemas[packets.schema[0]], fields)
    ContainerWriter(file, schema, length=length).append(buffer, ends[:-1], ends[1:])


@dataclass
class _Position:
    archive: str
    form: str
    commit: int = 0
    checksum: str = ""
    lengths: dict[str, int] = field(default_factory=dict)


class SubstreamFiles:
    """Delivers committed substreams into a folder.

    Parameters
    ----------
    archive
        Whose commits are delivered.
    folder
        Where the files go; it is made when it is not there.
    form
        ``jsonl`` or ``avro``.
    max_lag
        Commits that it may lag before the stream waits for it; 0 never holds back.

    Raises
    ------
    FollowerError
        If the folder belongs to another archive or holds another form, its position does not fit the archive, or a file is shorter
        than it was.
    """

    def __init__(self, archive: Committed, folder: Path, form: Literal["jsonl", "avro"] = "jsonl", max_lag: int = 0) -> None:
        self.name, self.max_lag = f"files:{folder.resolve()}", max_lag
        self._archive, self._folder, self._form = archive, folder, form
        self._encoder: Encoder = JsonLines() if form == "jsonl" else AvroContainers()
        folder.mkdir(parents=True, exist_ok=True)
        self._position = self._checked_position()
        for name, length in list(self._position.lengths.items()):
            self._cut_back(name, length)

    def finish(self) -> int:
        """Deliver everything that was committed; give the number of the last commit."""
        return self.deliver()

    def close(self) -> None:
        """Nothing is held open between deliveries."""

    def deliver(self, seconds: float = 0.0) -> int:
        """Deliver every commit that was not delivered yet; give the number of the last one. A disk is not waited for."""
        last = self._archive.last_commit()
        while self._position.commit < last:
            until = min(last, self._position.commit + COMMITS_AT_ONCE)
            self._deliver(until)
        return self._position.commit

    def _deliver(self, until: int) -> None:
        """Deliver some commits; the position changes only when all of it is on disk."""
        reached = replace(self._position, commit=until, lengths=dict(self._position.lengths))
        touched: dict[str, BinaryIO] = {}
        try:
            with ExitStack() as files:
                for number in range(self._position.commit + 1, until + 1):
                    self._append(self._archive.commit(number), reached, touched, files)
                for file in touched.values():
                    file.flush()
                    os.fsync(file.fileno())
            self._save(reached)
        except OSError as error:
            raise FollowerError(
                f"substream files cannot be written in {self._folder}: {error.strerror}; nothing is lost, mend and run again"
            ) from error
        self._position = reached
        self._archive.record_follower(self.name, until, reached.checksum)

    def _append(self, commit: Commit, reached: _Position, touched: dict[str, BinaryIO], files: ExitStack) -> None:
        """Write what the substreams took in a commit behind what was delivered."""
        reached.checksum = commit.checksum
        added = self._archive.plan(commit.plan_id).columns if commit.plan_id else {}
        for substream in sorted(name for name, count in commit.selected.items() if count):
            for name, append in self._encoder.parts(self._archive, commit, substream, added):
                if name not in touched:
                    touched[name] = files.enter_context(self._open(name, reached))
                append(touched[name], reached.lengths[name])
                reached.lengths[name] = touched[name].tell()

    def _open(self, name: str, reached: _Position) -> BinaryIO:
        path = self._folder / name
        if name in reached.lengths and path.exists():
            return path.open("r+b")
        # new, left over from a delivery that was broken off, or taken away by its user: it begins anew
        reached.lengths[name] = 0
        return path.open("w+b")

    def _cut_back(self, name: str, length: int) -> None:
        path = self._folder / name
        if not path.exists():
            del self._position.lengths[name]
            return
        size = path.stat().st_size
        if size < length:
            raise FollowerError(f"{path} has {size} bytes where {length} were delivered; put the file back, or take it away whole")
        if size > length:
            os.truncate(path, length)

    def _checked_position(self) -> _Position:
        """Read the position and prove that it fits the archive."""
        path = self._folder / POSITION
        if not path.exists():
            return self._first_position(path)
        try:
            position = _Position(**orjson.loads(path.read_bytes()))
        except (ValueError, TypeError) as error:
            raise FollowerError(f"{path} is damaged: {error}; put back a copy of the folder, or name a new one") from error
        if position.archive != self._archive.id:
            raise FollowerError(f"{self._folder} holds the substreams of another archive ({position.archive}); name another folder")
        if position.form != self._form:
            raise FollowerError(f"{self._folder} holds substreams as {position.form}, not {self._form}; name another folder")
        if position.commit > self._archive.last_commit():
            raise FollowerError(
                f"{path} is at commit {position.commit}, ahead of the archive's {self._archive.last_commit()}; is the archive a copy?"
            )
        if position.commit and self._archive.commit(position.commit).checksum != position.checksum:
            raise FollowerError(f"{path} delivered another commit {position.commit} than the archive has; name another folder")
        return position

    def _first_position(self, path: Path) -> _Position:
        """Begin a folder, where nothing was ever delivered to it."""
        copy = self._archive.follower_position(self.name)
        if copy is not None and copy.commit > 0:
            raise FollowerError(f"{path} is gone, but commits up to {copy.commit} were delivered there; put it back, or name a new folder")
        if any(other.name != path.with_suffix(_ASIDE).name for other in self._folder.iterdir()):
            raise FollowerError(f"{self._folder} holds files that no follower wrote; name an empty folder for the substreams")
        fresh = _Position(self._archive.id, self._form)
        self._save(fresh)
        # from here on the archive keeps what this follower has not delivered
        self._archive.record_follower(self.name, 0, "")
        return fresh

    def _save(self, position: _Position) -> None:
        """Replace the position file in one step."""
        path = self._folder / POSITION
        aside = path.with_suffix(_ASIDE)
        with aside.open("wb") as file:
            file.write(orjson.dumps(position))
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
