"""Carries jobs out beside a server: each in a process of its own, which can be stopped, and whose death harms nobody.

Of several servers of one archive one carries the jobs out: the one that holds a lock, which the system takes from it when it dies,
however it dies. Whoever gets the lock next begins anew what was under way.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import IO

from fink.services.jobs import Job, Jobs

_LOCK = "RUNNER"
_INTERVAL = 0.25
"""Seconds between two looks at what was ordered or cancelled [s]."""
_TIDY = 600.0
"""Seconds between two looks for results whose time is over [s]."""
_POLITE = 10
"""How much the processor prefers the answers of the server to jobs."""


class JobRunner:
    """Carries out the jobs of an archive, in the background.

    Parameters
    ----------
    jobs
        What was ordered.
    work
        Carries out the job of a name, and writes down how it ended; called in a process of its own, so that it must be picklable.
    workers
        Jobs at the same time.
    seconds
        Time that a job may take [s].
    """

    def __init__(self, jobs: Jobs, work: Callable[[str], None], *, workers: int = 1, seconds: float = 3600.0) -> None:
        self._jobs, self._work, self._workers, self._seconds = jobs, work, workers, seconds
        self._running: dict[str, tuple[Job, BaseProcess]] = {}
        self._lock: IO[str] | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin."""
        if self._workers:
            self._thread.start()

    def close(self) -> None:
        """Stop what is under way, which the next runner begins anew."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        tidied = -_TIDY
        while not self._ending.wait(_INTERVAL):
            if self._lock is None and not self._take_over():
                continue
            if self._jobs.changed() or self._running:
                self._look()
            if time.monotonic() - tidied > _TIDY:
                self._jobs.expire()
                tidied = time.monotonic()
        for name, (_, process) in self._running.items():
            _stop(process)
            job = self._jobs.get(name)
            # it may have ended since it was looked at last
            if job.state == "running":
                self._jobs.begin_again(job, "the server ended")
        if self._lock is not None:
            self._lock.close()

    def _take_over(self) -> bool:
        """Take the lock, and put back what its last holder left; False where another server holds it."""
        if not self._jobs.folder.is_dir():
            return False
        lock = (self._jobs.folder / _LOCK).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._lock = lock
        for job in self._jobs.running():
            self._jobs.begin_again(job, "the server ended")
        return True

    def _look(self) -> None:
        """Settle what ended, stop what was cancelled or takes too long, and begin what waits."""
        for name, (job, process) in list(self._running.items()):
            state = self._jobs.get(name).state
            late = job.started is not None and time.time() - job.started > self._seconds
            if state == "running" and process.is_alive() and not late:
                continue
            del self._running[name]
            _stop(process)
            self._settle(self._jobs.get(name), process.exitcode, late=late)
        while len(self._running) < self._workers and (next_job := self._jobs.take()) is not None:
            process = multiprocessing.get_context("spawn").Process(target=_in_process, args=(self._work, next_job.name), daemon=True)
            process.start()
            self._running[next_job.name] = next_job, process

    def _settle(self, job: Job, exitcode: int | None, *, late: bool) -> None:
        if job.state == "cancelled":
            # what it wrote between the wish and its end
            self._jobs.clear(job)
        elif job.state == "running" and late:
            self._jobs.finish(job, "failed", f"it took longer than {self._seconds:g} s (serve.job_seconds); narrow it")
        elif job.state == "running":
            self._jobs.begin_again(job, f"the process ended with {exitcode}; it may need more memory than there is")


def _stop(process: BaseProcess) -> None:
    if process.is_alive():
        process.kill()
    process.join()


def _in_process(work: Callable[[str], None], name: str) -> None:
    """Carry out a job, and end with the server."""
    # Ctrl-C is meant for the server, which stops its jobs
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_POLITE)
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    work(name)


def _end_with_the_server() -> None:
    server = multiprocessing.parent_process()
    if server is not None:
        server.join()
        os._exit(1)
