"""Jobs: questions whose answers are large, asked now and fetched later, as Parquet.

A job is written down in the user state before anything is done, so that it outlives the server: whoever carries jobs out next
(`fink.services.job_runner`) begins it anew. Its result is a file of the archive's folder, kept for some days.
"""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from fink.archive.state import State
from fink.codecs.parquet import described
from fink.columns import Column
from fink.config import ServeSettings
from fink.errors import BusyError, NotFoundError, QuotaError, RefusedError, RequestError
from fink.services.access import Access, Asker
from fink.services.exports import pandas_metadata

FOLDER = "jobs"
"""Folder below the archive's where results and what was sent for jobs are kept."""

Standing = Literal["ordered", "running", "done", "failed", "cancelled", "expired"]

ATTEMPTS = 3
"""How often a job is begun, where the process that carries it out or the server dies, before it is given up."""

_REMEMBERED = 30 * 86400.0
"""How long a job is listed after its result is gone [s]."""


@dataclass(frozen=True)
class Job:
    """A job that was ordered.

    Parameters
    ----------
    kind
        What is done, by the name under which the runner knows it.
    request
        What was asked for.
    owner, who
        Whose it is, and on whose quota.
    upload
        Name of the file that was sent for it, in the folder of the jobs.
    rows, total
        Rows that are done, and all of them as far as it is known.
    size
        Bytes of the result.
    days
        Days that the result is kept [d].
    """

    name: str
    kind: str
    request: Mapping[str, Any]
    owner: str
    who: str
    ordered: float
    expires: float
    days: float = 3.0
    state: Standing = "ordered"
    upload: str = ""
    rows: int = 0
    total: int | None = None
    size: int = 0
    attempts: int = 0
    started: float | None = None
    ended: float | None = None
    message: str = ""
    more: Mapping[str, Any] | None = None

    def summary(self) -> dict[str, Any]:
        """Give it as it is shown."""
        hidden = {"owner", "who", "upload", "attempts", "days", "more"}
        shown = {name: value for name, value in asdict(self).items() if name not in hidden}
        moments = {name: _moment(getattr(self, name)) for name in ("ordered", "started", "ended", "expires")}
        progress = 1.0 if self.state == "done" else min(self.rows / self.total, 1.0) if self.total else 0.0
        return {**shown, **moments, "progress": round(progress, 4), **(self.more or {})}


class Jobs:
    """The jobs of one archive.

    Parameters
    ----------
    archive
        The archive's folder.
    limits
        How much askers may order, and how long results are kept.
    access
        What askers have taken.
    """

    def __init__(self, archive: Path, limits: ServeSettings, access: Access) -> None:
        self.folder = archive / FOLDER
        self._state, self._limits, self._access = State(archive), limits, access

    def order(
        self,
        asker: Asker,
        kind: str,
        request: Mapping[str, Any],
        *,
        name: str = "",
        upload: Path | None = None,
        days: float | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> Job:
        """Write a job down.

        Parameters
        ----------
        name
            How it is called; made up where not said.
        upload
            A file that was sent for it, which is taken over.
        days
            Days that the result is kept, at most what the settings say [d].

        Raises
        ------
        QuotaError
            If the asker has too many jobs, or took too many rows today.
        BusyError
            If the results of all jobs take too much room.
        """
        self._access.rows_left(asker)
        self._check_number(asker)
        self._check_room()
        now = time.time()
        name = name or f"job_{time.strftime('%Y-%m-%d', time.gmtime(now))}_{secrets.token_hex(8)}"
        kept = min(days or self._limits.job_days, self._limits.job_days)
        job = Job(name, kind, request, asker.owner, asker.who, now, now + kept * 86400, kept, more=more)
        self.folder.mkdir(exist_ok=True)
        if upload is not None:
            job = replace(job, upload=name + ".upload" + "".join(upload.suffixes))
            shutil.move(upload, self.folder / job.upload)
        with self._state.connection() as connection:
            connection.execute(
                "INSERT INTO jobs (name, owner, who, state, ordered, expires, job) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (name, job.owner, job.who, job.state, job.ordered, job.expires, _written(job)),
            )
        return job

    def listed(self, asker: Asker, kinds: Sequence[str] = ()) -> list[Job]:
        """Give the jobs of an asker, the newest first; all jobs to an admin."""
        return [job for job in self._all() if asker.owns(job.owner, job.who) and (not kinds or job.kind in kinds)]

    def get(self, name: str, asker: Asker | None = None) -> Job:
        """Give one job.

        Parameters
        ----------
        asker
            Who asks; of others' jobs nothing is told, not even that they are there.

        Raises
        ------
        NotFoundError
            If there is none of this name.
        """
        found = [job for job in self._all("WHERE name = ?", name) if asker is None or asker.owns(job.owner, job.who)]
        if not found:
            raise NotFoundError(f"there is no job {name}, or it is not yours; list yours to see their names")
        return found[0]

    def cancel(self, name: str, asker: Asker) -> Job:
        """Stop a job, wherever it is carried out; take the result away of one that is done."""
        job = self.get(name, asker)
        if job.state in ("ordered", "running", "done", "failed"):
            self._note(replace(job, state="cancelled", ended=time.time(), size=0), unless=())
            self.clear(job)
        return self.get(name)

    def result(self, name: str, asker: Asker) -> Path:
        """Give the file of a job's result.

        Raises
        ------
        NotFoundError
            If there is no such job, or its result is not, or no longer, there.
        """
        job = self.get(name, asker)
        path = self._path(job)
        if job.state == "done" and path.is_file():
            return path
        told = {"failed": f": {job.message}", "ordered": "; ask again in a while", "running": "; ask again in a while"}
        raise NotFoundError(f"the job {name} is {job.state} and has no result{told.get(job.state, '')}")

    def take(self) -> Job | None:
        """Take the next job, to carry it out: the oldest of the asker with the fewest jobs under way; None where there is none."""
        with self._state.connection() as connection:
            rows = connection.execute("SELECT job, state FROM jobs WHERE state IN ('ordered', 'running') ORDER BY ordered").fetchall()
            jobs = [_read(*row) for row in rows]
            waiting = [job for job in jobs if job.state == "ordered"]
            if not waiting:
                return None
            busy = [job.who for job in jobs if job.state == "running"]
            job = min(waiting, key=lambda job: (busy.count(job.who), job.ordered))
            job = replace(job, state="running", started=time.time(), attempts=job.attempts + 1, rows=0, total=None)
            connection.execute("UPDATE jobs SET state = ?, job = ? WHERE name = ?", (job.state, _written(job), job.name))
        return job

    def begin_again(self, job: Job, why: str) -> None:
        """Put a job back whose process ended before it was done, or give it up where that happened too often."""
        if job.attempts < ATTEMPTS:
            self._note(replace(job, state="ordered", started=None))
        else:
            self._note(replace(job, state="failed", ended=time.time(), message=f"given up after {job.attempts} attempts: {why}"))

    def running(self) -> list[Job]:
        """Give the jobs that are, or were, being carried out."""
        return self._all("WHERE state = ?", "running")

    def progress(self, job: Job, rows: int, total: int | None = None, more: Mapping[str, Any] | None = None) -> Job:
        """Note how far a job is."""
        return self._note(replace(job, rows=rows, total=total, more={**(job.more or {}), **(more or {})} or None))

    def finish(self, job: Job, state: Literal["done", "failed"], message: str = "") -> Job:
        """Note that a job is over, and what it took."""
        size = self._path(job).stat().st_size if state == "done" and self._path(job).is_file() else 0
        now = time.time()
        done = self._note(replace(job, state=state, ended=now, expires=now + job.days * 86400, size=size, message=message))
        if done.state != state:
            self.clear(job)
        elif state == "done":
            self._access.count_rows(job.who, job.rows)
        if job.upload:
            (self.folder / job.upload).unlink(missing_ok=True)
        return done

    def write(self, job: Job, parts: Iterable[pa.Table], meanings: Mapping[str, Column], total: int | None = None) -> Job:
        """Write a job's result, part by part.

        Raises
        ------
        RefusedError
            If it has more rows than the asker may have today, or is too large to be kept.
        """
        most = self._access.rows_left(Asker(job.who, job.owner))
        partial = self._path(job).with_suffix(".part")
        writer: pq.ParquetWriter | None = None
        for part in parts:
            if writer is None:
                schema = described(part.schema, meanings)
                schema = schema.with_metadata({**(schema.metadata or {}), b"pandas": pandas_metadata(schema)})
                writer = pq.ParquetWriter(partial, schema, compression="zstd")
            if job.rows + part.num_rows > most:
                raise RefusedError(f"the answer has more than the {most:,} rows that may still be had today; narrow it, or go on tomorrow")
            writer.write_table(part.cast(writer.schema))
            self._check_room()
            job = self.progress(job, job.rows + part.num_rows, total)
        if writer is None:
            raise RequestError("the answer has no columns; ask for some")
        writer.close()
        partial.replace(self._path(job))
        return job

    def expire(self, now: float | None = None) -> list[str]:
        """Take away the results whose time is over, and forget jobs that are long past; give the names of the former."""
        now = time.time() if now is None else now
        late = [job for job in self._all("WHERE expires < ?", now) if job.state in ("done", "failed", "cancelled")]
        for job in late:
            self.clear(job)
            self._note(replace(job, state="expired"), unless=())
        with self._state.connection() as connection:
            connection.execute("DELETE FROM jobs WHERE state = 'expired' AND expires < ?", (now - _REMEMBERED,))
        return [job.name for job in late]

    def changed(self) -> bool:
        """Say whether anybody wrote since this was last asked."""
        return self._state.changed()

    def _check_number(self, asker: Asker) -> None:
        most = self._limits.jobs_at_once if asker.owner else self._limits.anonymous_jobs_at_once
        mine = [job for job in self._all() if job.who == asker.who and job.state in ("ordered", "running")]
        if len(mine) >= most:
            setting = "serve.jobs_at_once" if asker.owner else "serve.anonymous_jobs_at_once"
            raise QuotaError(f"{len(mine)} jobs wait or run, and {most} is the limit ({setting}); wait for one, or cancel one", 60.0)

    def _check_room(self) -> None:
        most = self._limits.job_gigabytes
        taken = sum(path.stat().st_size for path in self.folder.iterdir()) / 1e9 if self.folder.is_dir() else 0.0
        if taken > most:
            raise BusyError(f"the results of all jobs take {taken:.1f} GB, and {most:g} GB is the limit (serve.job_gigabytes); try later")

    def _path(self, job: Job) -> Path:
        return self.folder / f"{job.name}.parquet"

    def clear(self, job: Job) -> None:
        """Take away what a job wrote, and what was sent for it."""
        for path in (self._path(job), self._path(job).with_suffix(".part"), *([self.folder / job.upload] if job.upload else [])):
            path.unlink(missing_ok=True)

    def _note(self, job: Job, unless: Sequence[Standing] = ("cancelled", "expired")) -> Job:
        """Write down how a job stands, unless somebody else has ended it meanwhile; give how it stands then."""
        with self._state.connection() as connection:
            found = connection.execute("SELECT state FROM jobs WHERE name = ?", (job.name,)).fetchone()
            if found is None or found[0] in unless:
                return replace(job, state=found[0] if found else "expired")
            update = "UPDATE jobs SET state = ?, expires = ?, job = ? WHERE name = ?"
            connection.execute(update, (job.state, job.expires, _written(job), job.name))
        return job

    def _all(self, where: str = "", *values: Any) -> list[Job]:
        if not self._state.exists:
            return []
        with self._state.connection() as connection:
            rows = connection.execute(f"SELECT job, state FROM jobs {where} ORDER BY ordered DESC", values).fetchall()
        return [_read(*row) for row in rows]


def parts_of(table: pa.Table, rows: int = 65_536) -> Iterator[pa.Table]:
    """Give a table in parts; one part at least, so that an empty answer has its columns too."""
    for first in range(0, max(table.num_rows, 1), rows):
        yield table.slice(first, rows)


def _written(job: Job) -> str:
    return orjson.dumps(asdict(job)).decode()


def _read(text: str, state: Standing) -> Job:
    return Job(**{**orjson.loads(text), "state": state})


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
