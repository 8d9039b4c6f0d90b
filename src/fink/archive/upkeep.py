"""What keeps an archive tidy between commits: compaction, retention, removal of what was replaced; and copies of the whole."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fink.archive.compaction import Compactor
from fink.archive.index import FAMILIES, Changes, Store, oldest_held
from fink.archive.lake import Lake, sync_folder
from fink.archive.retention import expired
from fink.archive.segments import FileRecord
from fink.columns import Column
from fink.errors import ArchiveError

COMMITS_BETWEEN = 16
"""Commits after which retention is applied and replaced files are removed."""

_BATCH = 20_000
"""Entries written at a time to a copy."""

AT_ONCE = -1
"""When packets were dropped by retention: readers are told that they are no longer kept, so no lease holds them."""


class Upkeep:
    """Compacts, applies the retention and removes what nobody can ask for any more; the one writer has one.

    Parameters
    ----------
    store, lake
        The parts of the archive.
    readers
        Folder of the readers' leases.
    policy
        Which packets are kept (see `fink.config.RetentionSettings`).
    columns
        Declarations of the columns, for the lake's files.
    """

    def __init__(self, store: Store, lake: Lake, readers: Path, policy: str, columns: Mapping[str, Column]) -> None:
        self._store, self._lake, self._readers, self._policy = store, lake, readers, policy
        self._compactor = Compactor(lake, columns)
        self._passed = 0

    def advance(self, last_commit: int, delivered: int) -> None:
        """Do what is due between two commits, without waiting for anything.

        Parameters
        ----------
        last_commit
            The last commit.
        delivered
            The last one that every follower has delivered.
        """
        self._adopt(self._compactor.advance(), last_commit)
        self._passed += 1
        if self._passed >= COMMITS_BETWEEN:
            self._passed = 0
            self._lake.adopt({}, expired(self._lake.records(), self._policy, delivered=delivered), at=AT_ONCE)
            self.publish()
            self._purge(last_commit, delivered)

    def compact(self, last_commit: int, delivered: int) -> None:
        """Turn everything that was appended into Parquet, now."""
        self._lake.close_segments()
        self.publish()
        while (change := self._compactor.advance(wait=True, everything=True)) is not None:
            self._adopt(change, last_commit)
        self._purge(last_commit, delivered)

    def _adopt(self, change: Any, last_commit: int) -> None:
        if change is not None:
            self._lake.adopt(change.added, change.replaced, at=last_commit)
            self.publish()

    def _purge(self, last_commit: int, delivered: int) -> None:
        held = oldest_held(self._readers)
        self._lake.purge(before=last_commit + 1 if held is None else held, delivered=delivered)
        self.publish()

    def publish(self) -> None:
        """Have the index list what the lake holds now."""
        changes = self._store.changes()
        put_files(changes, self._lake)
        if len(changes):
            self._store.write(changes)
            self._lake.settle()

    def close(self) -> None:
        """Wait for a running compaction, and let it go."""
        self._compactor.close()


def put_files(changes: Changes, lake: Lake) -> None:
    """Write what the index does not list yet of the lake's files."""
    for name, record in lake.unsettled().items():
        if record is None:
            changes.delete("files", name.encode())
        else:
            changes.put("files", name.encode(), record.to_bytes())


def copy_archive(folder: Path, store: Store, files: dict[str, FileRecord], target: Path) -> None:
    """Copy an archive as the store shows it now, into a folder that is not there yet.

    Raises
    ------
    ArchiveError
        If the folder is there, or a listed file is not.
    """
    if target.exists():
        raise ArchiveError(f"{target} is there already; name a folder that is not")
    (target / "segments").mkdir(parents=True)
    gone = {name for name, record in files.items() if not _copy_file(folder / name, target / name, record)}
    copy = Store(target / "index", cache_megabytes=64)
    for family in FAMILIES:
        _copy_family(store, copy, family, gone)
    copy.close()
    shutil.copyfile(folder / "archive.json", target / "archive.json")
    for part in (target / "segments", target):
        sync_folder(part)


def _copy_file(source: Path, target: Path, record: FileRecord) -> bool:
    """Copy the bytes of a file that count; say whether it was there (packets may go by retention meanwhile)."""
    if record.state == "dropped":
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError as error:
        if record.kind in ("packets", "selected"):
            return False
        raise ArchiveError(f"{source} is listed in the archive and not there; restore it from a copy") from error
    with target.open("r+b") as file:
        file.truncate(record.length)
    return True


def _copy_family(store: Store, copy: Store, family: str, gone: set[str]) -> None:
    changes = copy.changes()
    for key, value in store.scan(family, b""):
        if family == "files" and key.decode() in gone:
            continue
        changes.put(family, key, value)
        if len(changes) >= _BATCH:
            copy.write(changes)
            changes = copy.changes()
    if len(changes):
        copy.write(changes)


def sizes(store: Store, files: dict[str, FileRecord]) -> dict[str, Any]:
    """Say what an archive holds: files, rows and bytes by kind in the lake, entries and bytes by family in the index."""
    lake: dict[str, dict[str, int]] = {}
    for record in files.values():
        part = lake.setdefault(f"{record.kind} {record.state}", {"files": 0, "rows": 0, "bytes": 0})
        part["files"] += 1
        part["rows"] += record.rows
        part["bytes"] += record.length
    index = {family: {"entries": store.estimated_entries(family), "bytes": store.bytes_on_disk(family)} for family in FAMILIES}
    return {
        "lake_bytes": sum(part["bytes"] for part in lake.values()),
        "index_bytes": sum(part["bytes"] for part in index.values()),
        "lake": lake,
        "index": index,
    }
