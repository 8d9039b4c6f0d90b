"""The index's store: column families of ordered bytes in RocksDB, written in one synced batch, read while it is written.

The keys are made in `fink.archive.keys`; nothing here knows what they mean.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Any, Self

from rocksdict import (
    AccessType,
    BlockBasedOptions,
    Cache,
    Checkpoint,
    DbClosedError,
    DBCompressionType,
    IngestExternalFileOptions,
    Options,
    Rdict,
    SstFileWriter,
    WriteBatch,
    WriteOptions,
)

from fink.errors import ArchiveError, HeldError

FAMILIES: tuple[str, ...] = (
    "alerts",
    "rows",
    "objects",
    "chunks",
    "names",
    "sky",
    "sso",
    "substreams",
    "commits",
    "selections",
    "positions",
    "nights",
    "ledger",
    "quarantine",
    "files",
    "followers",
    "meta",
)
"""Every column family; all exist from the creation of an archive."""

_WIDE = frozenset({"alerts", "rows", "objects", "chunks", "names", "sky"})
_FOUND = frozenset({"rows", "chunks", "sky"})
"""Families of which only what is there is asked for: filters that tell what is not would take memory for nothing."""

_PUBLISHED = "PUBLISHED"
_MEGABYTE = 1 << 20
_TABLE_SIZE = 64 * _MEGABYTE


def _options(cache: Cache, *, wide: bool, found: bool = False, filtered: bool = True) -> Options:
    """Give the options of one family; the wide ones hold an entry per alert or object."""
    blocks = BlockBasedOptions()
    blocks.set_block_cache(cache)
    if filtered:
        blocks.set_bloom_filter(10, False)
    blocks.set_block_size(8192)
    options = Options(raw_mode=True)
    # the last level, nine tenths of the whole, then has none
    options.set_optimize_filters_for_hits(found)
    options.set_block_based_table_factory(blocks)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_bottommost_compression_type(DBCompressionType.zstd())
    options.set_write_buffer_size((32 if wide else 8) * _MEGABYTE)
    options.set_max_write_buffer_number(3)
    options.set_level_compaction_dynamic_level_bytes(True)
    return options


def _database_options(cache: Cache) -> Options:
    options = _options(cache, wide=False)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_max_open_files(-1)
    options.set_max_background_jobs(2)
    options.set_max_total_wal_size(192 * _MEGABYTE)
    options.set_keep_log_file_num(2)
    options.set_max_log_file_size(4 * _MEGABYTE)
    options.set_bytes_per_sync(_MEGABYTE)
    options.set_paranoid_checks(True)
    # families flushed one by one would let a reader see one commit in some of them and the next in others
    options.set_atomic_flush(True)
    return options


class _Refusals:
    """Turns what the store raises, which is of no class of its own, into an error that says what failed and the remedy."""

    def __init__(self, what: str, remedy: str) -> None:
        self._what, self._remedy = what, remedy

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if kind is Exception or kind is DbClosedError:
            raise ArchiveError(f"{self._what}: {error}; {self._remedy}") from error


class Changes:
    """What one commit changes in the index: collected first, then written together."""

    def __init__(self, store: Store) -> None:
        self._batch = WriteBatch(raw_mode=True)
        self._store = store

    def put(self, family: str, key: bytes, value: bytes) -> None:
        """Set one entry."""
        self._batch.put(key, value, self._store.handle(family))

    def put_all(self, family: str, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        """Set many entries of one family."""
        self._batch.set_default_column_family(self._store.handle(family))
        put = self._batch.put
        for key, value in zip(keys, values, strict=True):
            put(key, value)

    def delete(self, family: str, key: bytes) -> None:
        """Remove one entry."""
        self._batch.delete(key, self._store.handle(family))

    def __len__(self) -> int:
        return len(self._batch)

    def take(self) -> WriteBatch:
        """Give the write batch; it can be written once."""
        return self._batch


class TableWriter:
    """Writes the tables of one family beside a store, which `Store.take_in` takes in whole: many times as fast as entry by entry.

    Parameters
    ----------
    folder
        Where the tables are written, on the disk of the index.
    family
        Whose they are.
    part
        What tells them from other tables of the family in the folder.
    """

    def __init__(self, folder: Path, family: str, part: str = "") -> None:
        self._folder, self._name = folder, family + part
        self._options = _options(Cache(_MEGABYTE), wide=True, filtered=family not in _FOUND)
        self._table: SstFileWriter | None = None
        self._paths: list[Path] = []

    def put_all(self, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        """Write entries, whose keys are in order and after all that were written before.

        Raises
        ------
        ArchiveError
            If they are not, or the disk does not take them.
        """
        if not keys:
            return
        with _Refusals(f"the table {self._name} cannot be written", "sort its keys, or free some space"):
            if self._table is None:
                self._paths.append(self._folder / f"{self._name}-{len(self._paths):05d}.sst")
                self._table = SstFileWriter(options=self._options)
                self._table.open(str(self._paths[-1]))
            table = self._table
            for key, value in zip(keys, values, strict=True):
                table[key] = value
            if table.file_size() >= _TABLE_SIZE:
                table.finish()
                self._table = None

    def close(self) -> list[Path]:
        """Finish, and give the tables."""
        if self._table is not None:
            self._table.finish()
            self._table = None
        return self._paths


class Store:
    """Column families of ordered bytes.

    Parameters
    ----------
    folder
        Where the database lies.
    cache_megabytes
        Memory for blocks read [MB].
    view
        None opens it for writing; else the folder of this reader's own files, and `catch_up` follows the writer.
    """

    def __init__(self, folder: Path, *, cache_megabytes: int, view: Path | None = None) -> None:
        self._folder, self._view, self._cache = folder, view, Cache(cache_megabytes * _MEGABYTE)
        self.writable = view is None
        self._synced = WriteOptions()
        self._synced.sync = True
        self._open()

    def _open(self) -> None:
        families = {name: _options(self._cache, wide=name in _WIDE, found=name in _FOUND) for name in FAMILIES}
        access = AccessType.read_write() if self._view is None else AccessType.secondary(str(self._view))
        with _Refusals(f"the index in {self._folder} cannot be opened", "restore it from a copy (fink archive copy makes them)"):
            self._db = Rdict(str(self._folder), _database_options(self._cache), families, access)
        self._families: dict[str, Rdict] = {name: self._db.get_column_family(name) for name in FAMILIES}
        self._handles = {name: self._db.get_column_family_handle(name) for name in FAMILIES}

    def handle(self, family: str) -> Any:
        """Give the handle that a write batch names a family by."""
        return self._handles[family]

    def get(self, family: str, key: bytes) -> bytes | None:
        """Give the value of a key, or None."""
        value: bytes | None = self._families[family].get(key)
        return value

    def get_all(self, family: str, keys: list[bytes]) -> list[bytes | None]:
        """Give the values of many keys in one request, None for those that are not there."""
        if not keys:
            return []
        values: list[bytes | None] = self._families[family].get(keys)
        return values

    def scan(self, family: str, start: bytes, stop: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Give the entries from ``start`` up to but excluding ``stop``, in order of their keys."""
        # the store's own bounds are not taken as raw bytes, so the end is found here
        items: Iterator[tuple[bytes, bytes]] = self._families[family].items(from_key=start)
        return items if stop is None else takewhile(lambda item: item[0] < stop, items)

    def scan_prefix(self, family: str, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Give the entries whose keys begin with ``prefix``, in order."""
        return self.scan(family, prefix, after_prefix(prefix))

    def scan_back(self, family: str, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Give the entries from ``start`` up to but excluding ``stop``, the last first."""
        for key, value in self._families[family].items(backwards=True, from_key=stop):
            if key < start:
                break
            if key < stop:
                yield key, value

    def changes(self) -> Changes:
        """Begin a set of changes."""
        return Changes(self)

    def write(self, changes: Changes) -> None:
        """Write a set of changes whole and synced, or not at all.

        Raises
        ------
        ArchiveError
            If the store cannot write, for example because the disk is full.
        """
        with _Refusals("the index cannot be written", "free some space or repair the disk"):
            self._db.write(changes.take(), self._synced)

    def take_in(self, family: str, tables: Sequence[Path]) -> None:
        """Take whole tables, as `TableWriter` writes them, into a family that holds nothing in their range; the files are moved.

        Raises
        ------
        ArchiveError
            If the store does not take them.
        """
        options = IngestExternalFileOptions()
        options.set_move_files(True)
        if tables:
            with _Refusals(f"the index does not take the tables of {family}", "make them anew, on the disk of the index"):
                self._families[family].ingest_external_file([str(path) for path in tables], options)

    def catch_up(self) -> None:
        """Follow the writer; a view that is not caught up does not change."""
        # a log that the writer has just replaced by a table is seen as that table by the second call
        self._db.try_catch_up_with_primary()
        self._db.try_catch_up_with_primary()

    def reopen(self) -> None:
        """Look at the writer's files anew: a view misses what was in a log that the writer replaced before it was read."""
        self.close()
        self._open()

    def checkpoint(self, folder: Path) -> None:
        """Make a consistent copy of the store in a folder that is not there yet; files are linked where possible."""
        self._db.flush_wal(True)
        Checkpoint(self._db).create_checkpoint(str(folder))

    def estimated_entries(self, family: str) -> int:
        """Give about how many entries a family holds."""
        return int(self._families[family].property_int_value("rocksdb.estimate-num-keys") or 0)

    def bytes_on_disk(self, family: str) -> int:
        """Give the size of a family's tables [bytes]."""
        return int(self._families[family].property_int_value("rocksdb.total-sst-files-size") or 0)

    def wait_until_merged(self) -> None:
        """Wait until the store has merged what was written, as it does beside the writing; readers are fastest then."""
        self._db.flush(True)
        while any(self._merging(family) for family in self._families.values()):
            time.sleep(0.1)

    @staticmethod
    def _merging(family: Rdict) -> bool:
        names = ("rocksdb.compaction-pending", "rocksdb.num-running-compactions", "rocksdb.num-running-flushes")
        return any(family.property_int_value(name) for name in names)

    def close(self) -> None:
        """Let go of the files."""
        families = [*self._families.values()]
        while families:
            _close(families.pop())
        # handles and families hold the database open, and its lock with it
        self._families.clear()
        self._handles.clear()
        _close(self._db)


def _close(part: Rdict) -> None:
    """Close a family or the whole store; one that refused a write refuses this too, and what was committed is in its log."""
    with suppress(ArchiveError), _Refusals("the index cannot be closed", "open it again"):
        part.close()


def after_prefix(prefix: bytes) -> bytes | None:
    """Give the smallest key after all that begin with ``prefix``; None where there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else None


def files_written(folder: Path) -> frozenset[tuple[str, int]]:
    """Give the names and sizes of the files that a store's writer writes: they change with everything that it does."""
    found = set()
    for entry in os.scandir(folder):
        # a file may go while the list is read
        with suppress(FileNotFoundError):
            if not entry.name.startswith(("LOG", "LOCK")):
                found.add((entry.name, entry.stat().st_size))
    return frozenset(found)


class WriterLock:
    """The right to write an archive, which one process holds at a time."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.seek(0)
            holder = self._file.read().decode("ascii", "replace").strip()
            self._file.close()
            raise HeldError(
                f"the archive {path.parent} is held by another run (process {holder or 'unknown'}); "
                "stop that run, or ask it to do this between its commits"
            ) from error
        self._file.truncate(0)
        self._file.write(str(os.getpid()).encode())
        self._file.flush()

    def release(self) -> None:
        """Let another process write."""
        self._file.close()


class Published:
    """The number of the last commit, in a file beside the index: by it a reader knows, at no cost, whether it is behind.

    It is written after the index was and never synced, so that it may lag behind the index and is never ahead of it.
    """

    def __init__(self, folder: Path) -> None:
        self._file = (folder / _PUBLISHED).open("wb", buffering=0)

    def write(self, commit: int) -> None:
        """Say that a commit was written."""
        os.pwrite(self._file.fileno(), b"%020d" % commit, 0)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def read_published(folder: Path) -> int | None:
    """Give the number of the last commit; None where the writer has not said yet."""
    try:
        said = (folder / _PUBLISHED).read_bytes()
    except FileNotFoundError:
        return None
    return int(said) if said.isdigit() else None


class ReaderFolder:
    """A reader's own folder, which tells others by a lock that its process is alive."""

    def __init__(self, readers: Path) -> None:
        readers.mkdir(exist_ok=True)
        remove_stale_readers(readers)
        self.path = readers / f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        # the lock exists before the folder has its name: a sweep must not take a folder that is being made
        making = readers / f".{self.path.name}"
        making.mkdir()
        self._lease = (making / "LEASE").open("wb", buffering=0)
        fcntl.flock(self._lease, fcntl.LOCK_EX)
        self.hold(0)
        making.rename(self.path)

    def hold(self, commit: int) -> None:
        """Say as of which commit this reader answers: files that were still listed then are kept for it."""
        self._lease.seek(0)
        self._lease.write(b"%020d" % commit)

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lease.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def oldest_held(readers: Path) -> int | None:
    """Give the oldest commit that a live reader answers as of; None where nobody reads."""
    remove_stale_readers(readers)
    leases = [folder / "LEASE" for folder in (readers.iterdir() if readers.is_dir() else ())]
    held = [int(lease.read_bytes() or b"0") for lease in leases if lease.exists()]
    return min(held, default=None)


def remove_stale_readers(readers: Path) -> int:
    """Remove the folders of readers whose process is gone; give how many."""
    removed = 0
    for folder in readers.iterdir() if readers.is_dir() else ():
        lease = folder / "LEASE"
        if folder.name.startswith(".") or not lease.exists():
            continue
        with lease.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    return removed
