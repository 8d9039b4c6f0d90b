"""Jobs are carried out in processes of their own, which are stopped, and begun anew, as they should be."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fink.archive.state import State
from fink.config import ServeSettings
from fink.services.access import Access, Asker
from fink.services.job_runner import JobRunner
from fink.services.jobs import ATTEMPTS, Job, Jobs

ANA = Asker("token:1", "ana", frozenset({"order"}))


def jobs_in(folder: Path) -> Jobs:
    """Open the jobs of a folder, as each process does for itself."""
    limits = ServeSettings()
    return Jobs(folder, limits, Access(State(folder), limits))


def carry_out(folder: Path, name: str) -> None:
    """Do what the kind of a job says at its first attempt, and at a later one answer with the process and its niceness."""
    jobs = jobs_in(folder)
    job = jobs.get(name)
    (folder / f"{name}.{job.attempts}").write_text(str(os.getpid()))
    while job.kind == "wait" and job.attempts == 1:
        (jobs.folder / f"{name}.part").write_bytes(b"half of it")
        time.sleep(0.01)
    if job.kind == "die":
        os._exit(3)
    answer = pa.table({"process": [os.getpid()], "nice": [os.nice(0)]})
    jobs.finish(jobs.write(job, [answer], {}), "done")


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return jobs_in(tmp_path)


@contextmanager
def running(folder: Path, workers: int = 1, seconds: float = 3600.0) -> Iterator[JobRunner]:
    """Run the jobs of a folder, as a server does."""
    runner = JobRunner(jobs_in(folder), partial(carry_out, folder), workers=workers, seconds=seconds)
    runner.start()
    try:
        yield runner
    finally:
        runner.close()


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for something to hold."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to hold"
        time.sleep(0.02)


def ended(jobs: Jobs, name: str) -> Job:
    """Wait for a job to be over."""
    until(lambda: jobs.get(name).state in ("done", "failed", "cancelled"))
    return jobs.get(name)


def process_of(folder: Path, name: str, attempt: int = 1) -> int:
    """Wait for a job to be under way, and give its process."""
    path = folder / f"{name}.{attempt}"
    until(lambda: path.is_file() and path.read_text() != "")
    return int(path.read_text())


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_job_is_carried_out_by_another_politer_process(jobs: Jobs, tmp_path: Path) -> None:
    with running(tmp_path):
        name = jobs.order(ANA, "answer", {}).name
        done = ended(jobs, name)
        (row,) = pq.read_table(jobs.result(name, ANA)).to_pylist()
    assert (done.state, done.rows, done.attempts) == ("done", 1, 1)
    assert row["process"] == process_of(tmp_path, name) != os.getpid()
    assert row["nice"] == min(os.nice(0) + 10, 19)
    assert not alive(row["process"])


def test_without_workers_jobs_are_left_to_another_server(jobs: Jobs, tmp_path: Path) -> None:
    name = jobs.order(ANA, "answer", {}).name
    with running(tmp_path, workers=0):
        time.sleep(0.6)
    assert (jobs.get(name).state, jobs.get(name).attempts) == ("ordered", 0)


def test_a_cancelled_job_is_stopped_and_makes_room_for_the_next(jobs: Jobs, tmp_path: Path) -> None:
    first, second = (jobs.order(ANA, "wait", {}).name for _ in range(2))
    with running(tmp_path, workers=1):
        process = process_of(tmp_path, first)
        assert jobs.get(second).state == "ordered"
        until(lambda: (jobs.folder / f"{first}.part").is_file())
        jobs.cancel(first, ANA)
        until(lambda: jobs.get(second).state == "running")
        assert not alive(process)
        assert not list(jobs.folder.glob(f"{first}*"))
    assert jobs.get(first).state == "cancelled"


def test_a_job_that_takes_too_long_fails(jobs: Jobs, tmp_path: Path) -> None:
    name = jobs.order(ANA, "wait", {}).name
    with running(tmp_path, seconds=0.1):
        failed = ended(jobs, name)
    assert failed.state == "failed"
    assert failed.message == "it took longer than 0.1 s (serve.job_seconds); narrow it"
    assert jobs.take() is None


def test_a_job_whose_process_dies_is_begun_again(jobs: Jobs, tmp_path: Path) -> None:
    name = jobs.order(ANA, "die", {}).name
    with running(tmp_path):
        process = process_of(tmp_path, name)
        until(lambda: jobs.get(name).attempts == 2)
        assert not alive(process)


def test_a_job_whose_process_always_dies_is_given_up(jobs: Jobs, tmp_path: Path) -> None:
    name = jobs.order(ANA, "die", {}).name
    for _ in range(ATTEMPTS - 1):
        job = jobs.take()
        assert job is not None
        jobs.begin_again(job, "earlier")
    with running(tmp_path):
        failed = ended(jobs, name)
    assert (failed.state, failed.attempts) == ("failed", ATTEMPTS)
    assert failed.message.startswith(f"given up after {ATTEMPTS} attempts: the process ended with 3;")


def test_what_a_dead_server_left_is_begun_anew(jobs: Jobs, tmp_path: Path) -> None:
    name = jobs.order(ANA, "answer", {}).name
    assert jobs.take() is not None
    with running(tmp_path):
        done = ended(jobs, name)
    assert (done.state, done.attempts) == ("done", 2)


def test_of_two_runners_one_carries_out_and_the_other_takes_over(jobs: Jobs, tmp_path: Path) -> None:
    name = jobs.order(ANA, "wait", {}).name
    with running(tmp_path) as first:
        process = process_of(tmp_path, name)
        with running(tmp_path):
            waiting = jobs.order(ANA, "die", {}).name
            time.sleep(0.6)
            assert (jobs.get(name).state, jobs.get(name).attempts, jobs.get(waiting).attempts) == ("running", 1, 0)
            jobs.cancel(waiting, ANA)
            first.close()
            assert not alive(process)
            assert (ended(jobs, name).state, jobs.get(name).attempts) == ("done", 2)


def test_closing_stops_the_jobs_under_way_and_leaves_them_ordered(jobs: Jobs, tmp_path: Path) -> None:
    names = [jobs.order(ANA, "wait", {}).name for _ in range(2)]
    with running(tmp_path, workers=2):
        processes = [process_of(tmp_path, name) for name in names]
        assert [job.state for job in jobs.listed(ANA)] == ["running", "running"]
    assert not any(alive(process) for process in processes)
    assert [(job.state, job.attempts, job.started) for job in jobs.listed(ANA)] == [("ordered", 1, None)] * 2


def test_a_job_that_ended_just_before_the_server_stays_ended(jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(tmp_path):
        name = jobs.order(ANA, "answer", {}).name
        process_of(tmp_path, name)
        # nobody looks any more at what ends from here on
        monkeypatch.setattr(JobRunner, "_look", lambda self: None)
        ended(jobs, name)
    assert (jobs.get(name).state, jobs.get(name).attempts) == ("done", 1)
    assert jobs.result(name, ANA).is_file()
