"""The archive of one machine: commits applied whole or not at all, and the questions it answers, from index and lake."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import orjson

from fink.archive.applying import LAST, Applier, Step
from fink.archive.history import history
from fink.archive.index import Published, ReaderFolder, Store, WriterLock, files_written, read_published, remove_stale_readers
from fink.archive.lake import Lake, sync_folder
from fink.archive.numbering import Numbering
from fink.archive.queries import Queries
from fink.archive.rows import declared_columns
from fink.archive.state import State
from fink.archive.upkeep import Upkeep, copy_archive, sizes
from fink.archive.verify import verify_archive
from fink.columns import Column
from fink.commits import Commit, FollowerPosition, Outcome, PlanRecord
from fink.config import RetentionSettings
from fink.errors import ArchiveError, NotFoundError
from fink.lightcurves import LightCurves
from fink.tables import AlertBatch

FORMAT = 1
"""Version of the archive's form on disk."""

PLACES = "places"
"""Folder in the archive's of users' positions and areas."""

_DEFINITION = b"substream\0"

READER_CACHE = 128
"""Memory for the block cache of a reader [MB]."""


class EmbeddedArchive(Queries):
    """The archive in one folder: one process writes it, any number read it meanwhile.

    Use `create`, `open` or `reader`, and `close` it, or use it in a ``with`` statement.
    """

    def __init__(self, folder: Path, store: Store, lake: Lake, identity: str) -> None:
        super().__init__(store, lake, Numbering(store))
        self.folder, self.id = folder, identity
        self._applier: Applier | None = None
        self._upkeep: Upkeep | None = None
        self._lock: WriterLock | None = None
        self._reader: ReaderFolder | None = None
        self._published: Published | None = None
        self._unreached: int | None = None
        self._seen: frozenset[tuple[str, int]] = frozenset()
        self._load()

    @classmethod
    def create(cls, folder: Path, settings: RetentionSettings | None = None, **options: Any) -> Self:
        """Make an empty archive and open it for writing.

        Raises
        ------
        ArchiveError
            If one is there already.
        """
        if (folder / "archive.json").exists():
            raise ArchiveError(f"there is an archive in {folder} already; open it, or name another folder")
        folder.mkdir(parents=True, exist_ok=True)
        record = orjson.dumps({"id": uuid.uuid4().hex, "format": FORMAT})
        aside = folder / ".archive.json"
        with aside.open("wb") as file:
            file.write(record)
            file.flush()
            os.fsync(file.fileno())
        aside.rename(folder / "archive.json")
        sync_folder(folder)
        return cls.open(folder, settings, **options)

    @classmethod
    def open(
        cls,
        folder: Path,
        settings: RetentionSettings | None = None,
        *,
        columns: Mapping[str, Column] | None = None,
        step: Step = lambda _: None,
    ) -> Self:
        """Open an archive for writing, and bring it back to its last commit.

        Parameters
        ----------
        columns
            Declarations of the columns: the index holds those that are `indexed`, and units and meanings go into the lake's
            files. None takes those of the vocabulary, the surveys and the modules.
        step
            Called with a name between the steps of a commit; crash tests end the process there.

        Raises
        ------
        ArchiveError
            If there is none, another run holds it, or its parts contradict one another.
        """
        declared = declared_columns() if columns is None else columns
        settings = settings or RetentionSettings.model_validate({})
        identity = _identity(folder)
        lock = WriterLock(folder / "LOCK")
        try:
            store = Store(folder / "index", cache_megabytes=settings.cache_megabytes)
        except ArchiveError:
            lock.release()
            raise
        archive = cls(folder, store, Lake(folder, writable=True, compact_rows=settings.compact_rows), identity)
        archive._lock = lock
        remove_stale_readers(folder / "readers")
        archive._lake.recover(archive.files())
        archive._upkeep = Upkeep(store, archive._lake, folder / "readers", settings.packets, declared)
        archive._upkeep.publish()
        archive._published = Published(folder)
        archive._published.write(archive._last[0])
        keep = "all" if settings.packets.startswith("last:") else settings.packets
        archive._applier = Applier(
            store,
            archive._lake,
            archive._numbering,
            keep_packets=keep,
            indexed=frozenset(name for name, column in declared.items() if column.indexed),
            step=step,
        )
        return archive

    @classmethod
    def reader(cls, folder: Path, *, cache_megabytes: int = READER_CACHE) -> Self:
        """Open an archive for reading beside its writer; `refresh` follows it.

        Raises
        ------
        ArchiveError
            If there is none.
        """
        identity = _identity(folder)
        if not (folder / "index" / "CURRENT").exists():
            raise ArchiveError(f"the archive {folder} has never been written; start fink run first")
        own = ReaderFolder(folder / "readers")
        seen = files_written(folder / "index")
        try:
            store = Store(folder / "index", cache_megabytes=cache_megabytes, view=own.path / "index")
        except ArchiveError:
            own.close()
            raise
        archive = cls(folder, store, Lake(folder, writable=False), identity)
        archive._reader, archive._seen = own, seen
        own.hold(archive._last[0])
        return archive

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of every file, and of the right to write."""
        if self._upkeep is not None:
            self._upkeep.close()
        self._lake.close()
        self._store.close()
        if self._reader is not None:
            self._reader.close()
        if self._published is not None:
            self._published.close()
        if self._lock is not None:
            self._lock.release()

    def refresh(self) -> int:
        """Follow the writer, and give the number of the last commit that is answered from now on."""
        if self._reader is not None:
            before, published, written = self._last, read_published(self.folder), files_written(self.folder / "index")
            self._store.catch_up()
            self._load()
            # where the writer does not say its last commit, it may have been one if it did something and nothing came of it
            missed = self._last == before and written != self._seen if published is None else self._last[0] < published != self._unreached
            if missed:
                self._store.reopen()
                self._seen, self._unreached = written, published
                self._load()
            self._numbering.forget()
            self._reader.hold(self._last[0])
        return self._last[0]

    def _load(self) -> None:
        number, checksum = orjson.loads(self._store.get("meta", LAST) or b'[0, ""]')
        self._last: tuple[int, str] = (number, checksum)

    # Writing

    def apply(self, outcome: Outcome) -> Commit:
        """Archive what is new of a batch, whole or not at all.

        Raises
        ------
        ArchiveError
            If the disk does not take it; the archive then holds what it held before, and the batch can be applied again.
        """
        applier = self._writer()
        try:
            commit = applier.apply(outcome, self._last)
        except (OSError, ArchiveError) as error:
            self._undo()
            raise ArchiveError(
                f"commit {self._last[0] + 1} could not be written to {self.folder}: {error}; "
                "free some space or repair the disk, then run again: it goes on where it was"
            ) from error
        self._last = (commit.number, commit.checksum)
        if self._published is not None:
            self._published.write(commit.number)
        return commit

    def _undo(self) -> None:
        """Return to the last commit; where the index itself refused, only opening it again tells which that is."""
        if self._applier is not None and self._applier.in_doubt:
            return
        self._numbering.forget()
        self._lake.roll_back()

    def _opened_for_writing(self) -> Applier:
        if self._applier is None:
            raise ArchiveError(f"the archive {self.folder} is open for reading; only fink run writes to it")
        return self._applier

    def _writer(self) -> Applier:
        applier = self._opened_for_writing()
        if applier.in_doubt:
            raise ArchiveError(f"the archive {self.folder} does not know whether its last commit was written; close it and open it again")
        return applier

    def register_plan(self, record: PlanRecord) -> str:
        """Keep what a plan was made of, and give its identity."""
        self._writer()
        key = b"plan\0" + record.identity.encode()
        if self._store.get("meta", key) is None:
            changes = self._store.changes()
            changes.put("meta", key, record.to_bytes())
            self._store.write(changes)
        return record.identity

    def register_substreams(self, definitions: Mapping[str, bytes]) -> None:
        """Keep what users' substreams select, by identity: a commit's plan names them, whatever becomes of the user state."""
        self._writer()
        changes = self._store.changes()
        for identity, definition in definitions.items():
            if self._store.get("meta", _DEFINITION + identity.encode()) is None:
                changes.put("meta", _DEFINITION + identity.encode(), definition)
        if len(changes):
            self._store.write(changes)

    def record_follower(self, name: str, commit: int, checksum: str, undeliverable: Mapping[str, int] | None = None) -> None:
        """Note how far a follower has delivered; also beside a commit that is being written."""
        self._opened_for_writing()
        changes = self._store.changes()
        changes.put("followers", name.encode(), orjson.dumps(asdict(FollowerPosition(commit, checksum, dict(undeliverable or {})))))
        self._store.write(changes)

    def forget_follower(self, name: str) -> None:
        """Forget a follower that will not come again: what it has not delivered is not kept for it any longer."""
        self._opened_for_writing()
        changes = self._store.changes()
        changes.delete("followers", name.encode())
        self._store.write(changes)

    def maintain(self) -> None:
        """Do between commits what keeps the archive tidy: compaction (beside the stream), retention, removal of replaced files."""
        self._writer()
        if self._upkeep is not None:
            self._upkeep.advance(self._last[0], self._delivered())

    def compact(self) -> None:
        """Turn everything that was appended into Parquet, now, and wait until the index has merged what was written."""
        self._writer()
        if self._upkeep is not None:
            self._upkeep.compact(self._last[0], self._delivered())
        self._store.wait_until_merged()

    def _delivered(self) -> int:
        """Give the last commit that every follower has delivered."""
        return min((position.commit for position in self.followers().values()), default=self._last[0])

    # Reading what the engine and followers need

    def history(self, batch: AlertBatch, night: int, window: float, *, as_of: int | None = None) -> LightCurves:
        """Give each alert's light curve with its object's older points (see `fink.archive.history.history`)."""
        return history(self._store, self._numbering, batch, night, window, as_of=as_of)

    def position(self, prefix: bytes) -> dict[bytes, bytes]:
        """Give how far a source had come: what its batches' progress said, by key."""
        return dict(self._store.scan_prefix("positions", prefix))

    def plan(self, plan_id: str) -> PlanRecord:
        """Give what a plan was made of.

        Raises
        ------
        NotFoundError
            If no such plan was registered.
        """
        record = self._store.get("meta", b"plan\0" + plan_id.encode())
        if record is None:
            raise NotFoundError(f"the archive {self.folder} knows no plan {plan_id}")
        return PlanRecord.from_bytes(record)

    def substream_definition(self, identity: str) -> bytes:
        """Give what a user's substream selected, which a plan names by this identity.

        Raises
        ------
        NotFoundError
            If no plan named it.
        """
        definition = self._store.get("meta", _DEFINITION + identity.encode())
        if definition is None:
            raise NotFoundError(f"the archive {self.folder} knows no user's substream of the identity {identity}")
        return definition

    def follower_position(self, name: str) -> FollowerPosition | None:
        """Give how far a follower has delivered, as it last said; None where it never did."""
        record = self._store.get("followers", name.encode())
        return None if record is None else FollowerPosition(**orjson.loads(record))

    def stats(self) -> dict[str, Any]:
        """Say what the archive holds and how large it is."""
        counts = {name: value for name, value in self.statistics().items() if name != "nights"}
        return {"id": self.id, "folder": str(self.folder), **counts, **sizes(self._store, self.files())}

    def verify(self) -> list[str]:
        """Check every checksum and cross-reference; give what is wrong, in words."""
        return verify_archive(self, self._store, self._lake)

    def copy(self, target: Path) -> None:
        """Copy the archive, as of its last commit, and the user state into a folder that is not there yet, also while a run writes it.

        Raises
        ------
        ArchiveError
            If the folder is there already, or a file is missing.
        """
        copy_archive(self.folder, self._store, self.files(), target)
        State(self.folder).copy(target)
        if (self.folder / PLACES).exists():
            shutil.copytree(self.folder / PLACES, target / PLACES)

    def followers(self) -> dict[str, FollowerPosition]:
        """Give every follower that ever delivered, and how far."""
        return {key.decode(): FollowerPosition(**orjson.loads(value)) for key, value in self._store.scan("followers", b"")}


def _identity(folder: Path) -> str:
    """Read the identity of the archive in a folder."""
    path = folder / "archive.json"
    try:
        record = orjson.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ArchiveError(f"there is no archive in {folder}; create one with fink run, or name another folder") from error
    except orjson.JSONDecodeError as error:
        raise ArchiveError(f"{path} is not JSON: {error}; restore it from a copy") from error
    if record.get("format") != FORMAT:
        raise ArchiveError(f"{path} has the format {record.get('format')!r}; this version of Fink reads format {FORMAT}")
    return str(record["id"])
