"""The lake: every alert's full row, the points it brought and its packet, first in segments, later in sorted Parquet.

What the lake holds is what the index lists (`FileRecord`): files are written and synced first, published by the index's
next write, and only then counted on. Nobody ever looks into the folders to find out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fink.archive.segments import ALIGNMENT, FileRecord, Kind, SegmentWriter, blocks, check_block, map_file, packets_at, read_block
from fink.codecs.parquet import opened
from fink.commits import SegmentSpan
from fink.errors import ArchiveError, NotFoundError
from fink.tables import Packets

BYTES_IN_SEGMENT = 256 << 20
"""A segment of any kind is full at this size."""

COMMITS_IN_SEGMENT = 1000
"""A segment of rows or points is full after this many commits: of a slow stream each is small, and reads less well than Parquet."""

POINTS_PER_ROW = 10
"""A segment of points may hold so many times the rows of a segment of alerts."""

WRITING_AT_ONCE = 4
"""Files that are written and synced at a time: a commit's parts go to so many, and the disk takes them together."""

_SUFFIX = {"rows": ".arrow", "points": ".arrow", "packets": ".bin", "selected": ".bin", "quarantine": ".bin"}


class Lake:
    """The files of an archive that hold its alerts whole.

    The one writer appends a commit's parts, calls `sync`, has the index write `unsettled` in the same batch as the commit,
    then calls `settle`; where anything fails in between, `roll_back` returns to what the index lists.

    Parameters
    ----------
    folder
        Folder of the archive.
    writable
        Whether this is the one writer; readers never change a file.
    compact_rows
        Alerts after which a segment is closed, and thereby due for compaction.
    """

    def __init__(self, folder: Path, *, writable: bool, compact_rows: int = 200_000) -> None:
        self.folder = folder
        self._limits = {"rows": compact_rows, "points": POINTS_PER_ROW * compact_rows}
        self._writable = writable
        self._records: dict[str, FileRecord] = {}
        self._settled: dict[str, FileRecord | None] = {}
        self._open: dict[tuple[Kind, str, int], str] = {}
        self._writers: dict[str, SegmentWriter] = {}
        self._unsynced: set[str] = set()
        self._maps: dict[str, pa.Buffer] = {}
        self._threads = ThreadPoolExecutor(WRITING_AT_ONCE, "lake")
        if writable:
            for part in ("segments", "lake"):
                (folder / part).mkdir(parents=True, exist_ok=True)

    # What is published, and what is about to be

    def recover(self, recorded: Mapping[str, FileRecord]) -> None:
        """Take up what the index lists: cut segments back to their recorded lengths, and remove files that it does not list.

        Raises
        ------
        ArchiveError
            If a listed file is not there, or shorter than recorded.
        """
        self._forget_files()
        self._settled.clear()
        self._records = dict(recorded)
        for name, record in recorded.items():
            self._recover_file(name, record)
        for path in self._files():
            if str(path.relative_to(self.folder)) not in self._records:
                path.unlink()
        for folder in {path.parent for path in self._files()} | {self.folder / "segments", self.folder / "lake"}:
            sync_folder(folder)
        self._open = {(r.kind, r.survey, r.night): name for name, r in self._records.items() if r.state == "open"}

    def _recover_file(self, name: str, record: FileRecord) -> None:
        path = self.folder / name
        size = path.stat().st_size if path.exists() else None
        if size is None and record.state == "dropped":
            self._change(name, None)
        elif size is None:
            raise ArchiveError(f"{path} is listed in the archive and not there; restore it from a copy")
        elif size < record.length:
            raise ArchiveError(f"{path} has {size} bytes and {record.length} were committed; restore it from a copy")
        elif size > record.length:
            os.truncate(path, record.length)

    def _files(self) -> list[Path]:
        found = [path for part in ("segments", "lake") for path in (self.folder / part).rglob("*")]
        return sorted(path for path in found if path.is_file())

    def records(self) -> dict[str, FileRecord]:
        """Give every file that the lake holds, by name: what the index lists once `unsettled` is written."""
        return dict(self._records)

    def unsettled(self) -> dict[str, FileRecord | None]:
        """Give the records that the index does not hold yet; None where it should forget the file."""
        return {name: self._records.get(name) for name in self._settled}

    def settle(self) -> None:
        """Say that the index holds `unsettled`: it is published, and `roll_back` will not undo it."""
        self._settled.clear()

    def roll_back(self) -> None:
        """Return to what the index holds: a commit could not be written whole."""
        for name, record in self._settled.items():
            if record is None:
                self._forget_writer(name)
                self._records.pop(name, None)
                self._maps.pop(name, None)
                (self.folder / name).unlink(missing_ok=True)
                continue
            if name in self._writers:
                self._writers[name].cut(record)
            elif record.state == "open":
                os.truncate(self.folder / name, record.length)
            self._records[name] = record
        self._settled.clear()
        self._open = {(r.kind, r.survey, r.night): name for name, r in self._records.items() if r.state == "open"}

    def _change(self, name: str, record: FileRecord | None) -> None:
        self._settled.setdefault(name, self._records.get(name))
        if record is None:
            self._records.pop(name, None)
        else:
            self._records[name] = record

    # Appending

    def append_rows(self, survey: str, night: int, table: pa.Table, *, commit: int) -> SegmentSpan:
        """Append a commit's alerts: every column of the plan and `commit`.

        Raises
        ------
        ArchiveError
            If the disk does not take them.
        """
        return self._append_table("rows", survey, night, table, commit)

    def append_points(self, survey: str, night: int, table: pa.Table, *, commit: int) -> SegmentSpan:
        """Append the points that a commit's alerts brought: `alert_id`, `object_id`, `commit`, and the point's columns.

        Raises
        ------
        ArchiveError
            If the disk does not take them.
        """
        return self._append_table("points", survey, night, table, commit)

    def append_packets(
        self, kind: Kind, survey: str, night: int, packets: Packets, *, commit: int
    ) -> tuple[SegmentSpan, NDArray[np.int64], NDArray[np.int64]]:
        """Append packets (``packets``, or ``selected``): the span, and where each body lies in the file and its length (n,).

        Raises
        ------
        ArchiveError
            If the disk does not take them.
        """
        writer = self._writer(kind, survey, night, commit)
        start, end, offsets = writer.append_packets(packets, commit=commit)
        self._appended(writer)
        return SegmentSpan(writer.name, start, end), offsets, packets.ends - packets.starts

    def append_quarantine(self, bodies: Sequence[bytes], *, commit: int) -> list[SegmentSpan]:
        """Append the bytes of quarantined items, and give where each lies (`read_bytes` reads it).

        Raises
        ------
        ArchiveError
            If the disk does not take them.
        """
        writer = self._writer("quarantine", "", 0, commit)
        start, _ = writer.append(b"".join(bodies), rows=len(bodies), commit=commit)
        self._appended(writer)
        ends = start + ALIGNMENT + np.cumsum([len(body) for body in bodies], dtype=np.int64)
        return [SegmentSpan(writer.name, end - len(body), end) for body, end in zip(bodies, ends.tolist(), strict=True)]

    def _append_table(self, kind: Kind, survey: str, night: int, table: pa.Table, commit: int) -> SegmentSpan:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table.combine_chunks())
        writer = self._writer(kind, survey, night, commit)
        start, end = writer.append(sink.getvalue(), rows=table.num_rows, commit=commit)
        self._appended(writer)
        return SegmentSpan(writer.name, start, end)

    def _appended(self, writer: SegmentWriter) -> None:
        self._change(writer.name, writer.record)
        self._unsynced.add(writer.name)

    def _writer(self, kind: Kind, survey: str, night: int, commit: int) -> SegmentWriter:
        """Give the segment to append to; a full one is closed first, and so are those of earlier nights."""
        if not self._writable:
            raise ArchiveError(f"the archive {self.folder} is open for reading; only `fink run` writes to it")
        key = (kind, survey, night)
        name = self._open.get(key)
        if name is not None and self._full(self._records[name], commit):
            self._close_segment(name)
            name = None
        if name is None:
            self.close_segments(lambda r: r.kind == kind and r.survey == survey and r.night < night)
            name = self._open[key] = segment_name(kind, survey, night, commit)
            self._records.setdefault(name, FileRecord(kind, survey, night, 0, 0, "open", 0, 0))
            self._settled.setdefault(name, None)
        if name not in self._writers:
            self._writers[name] = SegmentWriter(self.folder, name, self._records[name], self._threads)
        return self._writers[name]

    def _full(self, record: FileRecord, commit: int) -> bool:
        """Say whether a segment is full; never for the commit that began it, whose number is in its name."""
        full = record.length >= BYTES_IN_SEGMENT
        if record.kind in self._limits:
            full |= record.rows >= self._limits[record.kind] or commit - record.first_commit >= COMMITS_IN_SEGMENT
        return full and record.first_commit != commit

    def close_segments(self, which: Callable[[FileRecord], bool] = lambda _: True) -> None:
        """Close open segments, all or those that ``which`` picks: nothing is appended to them any more."""
        for name in [name for name in self._open.values() if which(self._records[name])]:
            self._close_segment(name)

    def _close_segment(self, name: str) -> None:
        record = self._records[name]
        del self._open[(record.kind, record.survey, record.night)]
        if name in self._unsynced:
            self._writers[name].sync()
            self._unsynced.discard(name)
            sync_folder(self.folder / "segments")
        self._forget_writer(name)
        self._change(name, replace(record, state="closed"))

    def _forget_writer(self, name: str) -> None:
        self._unsynced.discard(name)
        writer = self._writers.pop(name, None)
        if writer is not None:
            writer.close()

    def sync(self) -> None:
        """Have the disk keep everything appended since the last call, before the index lists it.

        Raises
        ------
        ArchiveError
            If it does not.
        """
        new = any(self._settled.get(name, True) is None for name in self._unsynced)
        syncs = [self._threads.submit(self._writers[name].sync) for name in self._unsynced]
        if new:
            syncs.append(self._threads.submit(sync_folder, self.folder / "segments"))
        wait(syncs)
        for sync in syncs:
            sync.result()
        self._unsynced.clear()

    def close(self) -> None:
        """Let go of every file."""
        self._forget_files()
        self._threads.shutdown()

    def _forget_files(self) -> None:
        for name in list(self._writers):
            self._forget_writer(name)
        self._maps.clear()

    # Changing which files there are

    def adopt(self, added: Mapping[str, FileRecord], replaced: Iterable[str], *, at: int) -> None:
        """Take files in and drop those that they replace (or that are no longer kept), to be published with `unsettled`.

        Parameters
        ----------
        at
            A number that grows with what the archive publishes, such as its last commit; `purge` compares with it.
        """
        for name, record in added.items():
            self._change(name, record)
        for name in replaced:
            self._forget_writer(name)
            record = self._records[name]
            self._open = {key: value for key, value in self._open.items() if value != name}
            self._change(name, replace(record, state="dropped", dropped_at=at))

    def purge(self, *, before: int, delivered: int) -> list[str]:
        """Remove dropped files that nobody can ask for any more, and give their names; the index forgets them with `unsettled`.

        Parameters
        ----------
        before
            Files dropped at an earlier number go: the oldest number that a reader still holds a lease on.
        delivered
            The last commit that every follower has delivered; segments with later ones stay.
        """
        done = []
        for name, record in self._records.items():
            if record.state == "dropped" and record.dropped_at < before and record.last_commit <= delivered and name not in self._settled:
                done.append(name)
        for name in done:
            (self.folder / name).unlink(missing_ok=True)
            self._maps.pop(name, None)
            self._change(name, None)
        return done

    # Reading

    def read_rows(self, span: SegmentSpan) -> pa.Table:
        """Read the alerts of one commit from their segment, without copying them.

        Raises
        ------
        NotFoundError
            If the segment has been replaced by Parquet and removed.
        ArchiveError
            If it is damaged.
        """
        return self._read_table(span)

    def read_points(self, span: SegmentSpan) -> pa.Table:
        """Read the points of one commit from their segment; raises like `read_rows`."""
        return self._read_table(span)

    def _read_table(self, span: SegmentSpan) -> pa.Table:
        buffer = self._buffer(span)
        block = read_block(memoryview(buffer)[: span.end], span.start, span.name)
        return pa.ipc.open_stream(buffer.slice(block.start, block.end - block.start)).read_all()

    def read_packet(self, segment: str, offset: int, length: int) -> tuple[bytes, bytes]:
        """Read one packet and the schema that it was written with; raises like `read_rows`."""
        packets = self.read_packets(segment, np.array([offset], np.int64), np.array([length], np.int64))
        return packets.body(0), packets.schemas[0]

    def read_packets(self, segment: str, offsets: NDArray[np.int64], lengths: NDArray[np.int64]) -> Packets:
        """Read packets of one segment, in the order asked; raises like `read_rows`."""
        if not len(offsets):
            return Packets.from_bodies((), b"")
        last = int((offsets + lengths).max())
        return packets_at(memoryview(self._buffer(SegmentSpan(segment, 0, last))), offsets, lengths, segment)

    def read_bytes(self, span: SegmentSpan) -> bytes:
        """Read bytes as they lie, such as a quarantined item or a stamp inside a packet; raises like `read_rows`."""
        return bytes(memoryview(self._buffer(span))[span.start : span.end])

    def _buffer(self, span: SegmentSpan) -> pa.Buffer:
        """Give the file of a span, mapped; mapped anew where it has grown since."""
        buffer = self._maps.get(span.name)
        if buffer is None or buffer.size < span.end:
            path = self.folder / span.name
            if not path.exists():
                raise NotFoundError(f"{span.name} is no longer kept; its alerts are in the lake, its packets are gone by retention")
            buffer = self._maps[span.name] = map_file(path)
        if buffer.size < span.end:
            raise ArchiveError(f"{span.name} has {buffer.size} bytes and {span.end} were committed; restore it from a copy")
        return buffer

    def tables(self, name: str, record: FileRecord, *, commits: Container[int] | None = None, check: bool = False) -> list[pa.Table]:
        """Read all that is recorded of a segment of rows or points, or some commits' part; ``check`` compares checksums too."""
        buffer = self._buffer(SegmentSpan(name, 0, record.length))
        data = memoryview(buffer)[: record.length]
        tables = []
        for block in blocks(data, name):
            if commits is None or block.commit in commits:
                if check:
                    check_block(data, block, name)
                tables.append(pa.ipc.open_stream(buffer.slice(block.start, block.end - block.start)).read_all())
        return tables

    def verify(self, records: Mapping[str, FileRecord]) -> list[str]:
        """Compare files with their checksums and recorded lengths; give what is wrong, in words."""
        problems = []
        for name, record in records.items():
            if record.state == "dropped":
                continue
            try:
                self._verify_file(name, record)
            except (ArchiveError, NotFoundError) as error:
                problems.append(str(error))
        return problems

    def _verify_file(self, name: str, record: FileRecord) -> None:
        if record.state == "parquet":
            with opened(self.folder / name, check=True) as file:
                rows = sum(batch.num_rows for batch in file.iter_batches())
            self._check_rows(name, rows, record)
            return
        data: Any = memoryview(self._buffer(SegmentSpan(name, 0, record.length)))[: record.length]
        rows = 0
        for block in blocks(data, name):
            check_block(data, block, name)
            rows += block.rows
        self._check_rows(name, rows, record)

    @staticmethod
    def _check_rows(name: str, rows: int, record: FileRecord) -> None:
        if rows != record.rows:
            raise ArchiveError(f"{name} holds {rows} rows and {record.rows} were committed; restore it from a copy")


def segment_name(kind: Kind, survey: str, night: int, commit: int) -> str:
    """Name a segment after the first commit in it: a name is never used twice, so a pointer never leads to other bytes."""
    parts = [kind, survey, str(night)] if survey else [kind]
    return f"segments/{'-'.join(parts)}-{commit:09d}{_SUFFIX[kind]}"


def sync_folder(folder: Path) -> None:
    """Have the disk keep which files a folder holds.

    Raises
    ------
    ArchiveError
        If it does not.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        raise ArchiveError(f"cannot sync {folder}: {error.strerror}; free some space or repair the disk") from error
    finally:
        os.close(handle)
