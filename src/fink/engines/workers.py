"""Worker processes that compute batches, and what to do when one dies or hangs."""

from __future__ import annotations

import contextlib
import gc
import mmap
import multiprocessing
import os
import queue
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fink import surveys
from fink.archive.embedded import EmbeddedArchive
from fink.commits import ModuleCounts
from fink.config import SurveySettings
from fink.engines.compute import Computed, compute
from fink.engines.plan import Plan, build_plan
from fink.errors import FinkError
from fink.lightcurves import LightCurves, concatenate_rows
from fink.surveys import Refusal
from fink.tables import PADDING, Cutouts, Packets

_TIME_TO_START = 120.0
_TIME_ENOUGH = 30.0
"""Seconds that no batch is refused, however small, unless the run's own limit is smaller."""


_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
"""Workers are as many as there are cores: pools of threads in each would only wait for one another."""


class SharedBuffer:
    """Memory that two processes see; it is gone with the last process that holds it, however that one ends."""

    def __init__(self) -> None:
        if hasattr(os, "memfd_create"):
            self._fd = os.memfd_create("fink-batch")
            self.path = f"/proc/{os.getpid()}/fd/{self._fd}"
        else:
            self._fd, self.path = tempfile.mkstemp(prefix="fink-batch-")
        self.array = np.zeros(0, np.uint8)

    def reserve(self, size: int) -> NDArray[np.uint8]:
        """Give the memory, at least so many bytes of it; what was written before may be gone."""
        if len(self.array) < size:
            # powers of two, so that a slowly growing batch seldom needs more
            os.ftruncate(self._fd, max(1 << 20, 1 << (size - 1).bit_length()))
            self.array = map_buffer(self.path)
        return self.array

    def close(self) -> None:
        """Give everything back."""
        os.close(self._fd)
        self.array = np.zeros(0, np.uint8)
        if not self.path.startswith("/proc/"):
            os.unlink(self.path)


def map_buffer(path: str) -> NDArray[np.uint8]:
    """See the memory of a `SharedBuffer`, in this or another process."""
    with open(path, "r+b") as file:
        return np.frombuffer(mmap.mmap(file.fileno(), 0), np.uint8)


@dataclass(frozen=True)
class Task:
    """What a worker is asked to compute: packets of one survey and night that lie in shared memory."""

    survey: str
    night: int
    packets: Packets
    buffer: str
    """Path of the `SharedBuffer`, empty where they lie in this process's own memory."""
    after: int
    """The archive must be read as of this commit at least: the last one of an earlier night."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of the plan's artifacts, which are opened anew where they are others than those of the task before."""
    share: float = 1.0
    """Part of a whole batch that this is: a part is given less time."""


@dataclass(frozen=True)
class PlanRequest:
    """How a worker rebuilds the plan of its run: by the names of modules and substreams."""

    modules: Sequence[str]
    substreams: Sequence[str]
    archive: Path | None
    settings: SurveySettings = field(default_factory=SurveySettings)
    artifacts: Path | None = None

    def build(self) -> Plan:
        """Build the plan, in a process whose surveys are as the run wants them."""
        surveys.configure(self.settings)
        return build_plan(self.modules, self.substreams, artifacts=self.artifacts)


class WorkerFailure(FinkError):
    """A worker died or hung over a batch; the message says which."""


class Worker(Protocol):
    """Something that computes tasks, one at a time, in order."""

    def submit(self, task: Task) -> None:
        """Start on a task."""

    def ready(self) -> bool:
        """Say whether the oldest task's result is there, or will come no sooner for waiting."""

    def result(self, task: Task) -> Computed:
        """Wait for the oldest task's result; raises `WorkerFailure` when it does not come."""

    def close(self) -> None:
        """Stop working."""


class LocalWorker:
    """Computes in the process that commits: for small inputs, tests and debugging."""

    def __init__(self, request: PlanRequest, archive: EmbeddedArchive | None) -> None:
        self._plan, self._archive, self._folder = request.build(), archive, request.artifacts

    def submit(self, task: Task) -> None:
        """Do nothing yet: the work is done when its result is asked for."""

    def ready(self) -> bool:
        """Say yes: it is computed when it is asked for."""
        return True

    def result(self, task: Task) -> Computed:
        """Compute the task."""
        self._plan = self._plan.with_versions(self._folder, task.versions)
        return compute(task.survey, task.night, task.packets, self._plan, self._archive)

    def close(self) -> None:
        """Nothing is left to stop."""


class ProcessWorker:
    """Computes in a process of its own, which is replaced when it dies or hangs."""

    def __init__(self, request: PlanRequest, timeout: float) -> None:
        self._request, self._timeout = request, timeout
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, self._request), daemon=True)
        with _environment(_ONE_THREAD):
            self._process.start()
        self._ready = False
        theirs.close()

    def submit(self, task: Task) -> None:
        """Send a task; a worker that is already gone is noticed when its result is asked for."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._pipe.send(replace(task, packets=replace(task.packets, buffer=np.zeros(0, np.uint8))))

    def ready(self) -> bool:
        """Say whether the process has answered, or is gone; it has not while it starts."""
        try:
            return self._ready and self._pipe.poll(0)
        except OSError:
            return True

    def result(self, task: Task) -> Computed:
        """Wait for the oldest task's result.

        Raises
        ------
        WorkerFailure
            If the worker died, or gave no answer in time; a new one stands ready then.
        FinkError
            If a process cannot even start, or whatever the computation itself refused.
        """
        if not self._ready:
            self._wait_for_start()
        try:
            answer = self._answer(max(self._timeout * task.share, min(self._timeout, _TIME_ENOUGH)))
        except WorkerFailure:
            self._restart()
            raise
        return unpack(answer)

    def _wait_for_start(self) -> None:
        try:
            self._answer(max(self._timeout, _TIME_TO_START))
        except WorkerFailure as failure:
            raise FinkError(f"a worker {failure} before it had any alert; look at its messages above, or run with 0 workers") from failure
        self._ready = True

    def _answer(self, timeout: float) -> Any:
        """Wait for what the worker says next."""
        try:
            if not self._pipe.poll(timeout):
                raise WorkerFailure(f"took longer than {timeout:g} s")
            answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            self._process.join()
            raise WorkerFailure(f"ended its process (exit status {self._process.exitcode})") from error
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _restart(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()
        self._start()

    def close(self) -> None:
        """Stop the process."""
        with contextlib.suppress(OSError):
            self._pipe.send(None)
        self._process.join(5)
        self._process.kill()
        self._process.join()
        self._process.close()
        self._pipe.close()


@contextlib.contextmanager
def _environment(added: Mapping[str, str]) -> Iterator[None]:
    """Start processes with variables of the environment that the user did not set; libraries read them when they are loaded."""
    names = [name for name in added if name not in os.environ]
    os.environ.update({name: added[name] for name in names})
    try:
        yield
    finally:
        for name in names:
            del os.environ[name]


def serve(pipe: Connection, request: PlanRequest) -> None:
    """Work on tasks until told to stop, or until the committing process is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pa.set_cpu_count(1)
    tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
    # tasks are taken in while a result is being sent: otherwise both sides could wait for each other to read
    threading.Thread(target=_take_in, args=(pipe, tasks), daemon=True).start()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        try:
            plan = request.build()
            archive = EmbeddedArchive.reader(request.archive) if request.archive else None
        except FinkError as error:
            pipe.send(error)
            return
        pipe.send("ready")
        # what is there now stays: looking through it for garbage again and again would be in vain
        gc.freeze()
        with archive or contextlib.nullcontext():
            _work(pipe, tasks, plan, archive, request.artifacts)
        gc.unfreeze()


def _take_in(pipe: Connection, tasks: queue.SimpleQueue[Task | None]) -> None:
    with contextlib.suppress(EOFError, OSError):
        while (task := pipe.recv()) is not None:
            tasks.put(task)
    tasks.put(None)


def _work(
    pipe: Connection, tasks: queue.SimpleQueue[Task | None], plan: Plan, archive: EmbeddedArchive | None, artifacts: Path | None
) -> None:
    seen = 0
    buffers: dict[str, NDArray[np.uint8]] = {}
    while (task := tasks.get()) is not None:
        if archive is not None and task.after > seen:
            archive.refresh()
            seen = task.after
        if len(buffers.get(task.buffer, ())) < int(task.packets.ends.max()) + PADDING:
            buffers[task.buffer] = map_buffer(task.buffer)
        packets = replace(task.packets, buffer=buffers[task.buffer])
        try:
            plan = plan.with_versions(artifacts, task.versions)
            pipe.send(pack(compute(task.survey, task.night, packets, plan, archive)))
        except FinkError as error:
            pipe.send(error)


def pack(computed: Computed) -> dict[str, Any]:
    """Turn a result into what travels cheaply between processes: Arrow bytes and plain arrays."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, computed.alerts.schema) as writer:
        writer.write_table(computed.alerts)
    points = computed.points
    return {
        "alerts": sink.getvalue().to_pybytes(),
        "points": (points.offsets, points.arrays(), points.bands),
        "cutouts": (computed.cutouts.start, computed.cutouts.length),
        "rows": computed.rows,
        "refusals": computed.refusals,
        "modules": computed.modules,
    }


def unpack(parts: dict[str, Any]) -> Computed:
    """Rebuild what `pack` took apart."""
    offsets, arrays, bands = parts["points"]
    return Computed(
        alerts=pa.ipc.open_stream(parts["alerts"]).read_all(),
        points=LightCurves(offsets=offsets, bands=bands, **arrays),
        cutouts=Cutouts(*parts["cutouts"]),
        rows=parts["rows"],
        refusals=parts["refusals"],
        modules=parts["modules"],
    )


def rescue(worker: Worker, task: Task, failure: WorkerFailure) -> Computed:
    """Compute a batch that killed or hung its worker: halve it until the alerts that do it stand alone, and refuse those.

    Parameters
    ----------
    worker
        A fresh worker; it is replaced by itself whenever it fails again.
    """
    n = len(task.packets)
    if n == 1:
        return _refused(task, str(failure))
    halves = [np.arange(n // 2), np.arange(n // 2, n)]
    parts = []
    for rows in halves:
        half = replace(task, packets=task.packets.take(rows), share=task.share / 2)
        try:
            worker.submit(half)
            part = worker.result(half)
        except WorkerFailure as again:
            part = rescue(worker, half, again)
        moved = tuple(Refusal(int(rows[refusal.row]), refusal.reason) for refusal in part.refusals)
        parts.append(replace(part, rows=rows[part.rows], refusals=moved))
    return _joined(parts)


def _refused(task: Task, reason: str) -> Computed:
    """Say that the single packet of a task cannot be computed."""
    survey = surveys.registry()[task.survey]
    nothing = LightCurves.empty(0, survey.bands)
    return Computed(pa.table({}), nothing, Cutouts.none(0), np.zeros(0, np.int64), (Refusal(0, f"computing the alert {reason}"),), {})


def _joined(parts: Sequence[Computed]) -> Computed:
    modules: dict[str, ModuleCounts] = {}
    for part in parts:
        for name, counts in part.modules.items():
            modules[name] = modules.get(name, ModuleCounts()) + counts
    full = [part for part in parts if part.alerts.num_rows] or list(parts[:1])
    return Computed(
        alerts=pa.concat_tables([part.alerts for part in full]).combine_chunks(),
        points=concatenate_rows([part.points for part in full]),
        cutouts=Cutouts(np.concatenate([p.cutouts.start for p in full]), np.concatenate([p.cutouts.length for p in full])),
        rows=np.concatenate([part.rows for part in full]),
        refusals=tuple(refusal for part in parts for refusal in part.refusals),
        modules=modules,
    )
