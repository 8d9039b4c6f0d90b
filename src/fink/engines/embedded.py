"""The embedded engine: one process reads the source and commits, workers compute, nothing else is needed."""

from __future__ import annotations

import gc
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fink import surveys
from fink.archive.embedded import EmbeddedArchive
from fink.archive.requests import Request, Requests
from fink.archive.state import State
from fink.codecs.containers import container_of
from fink.commits import Commit, Counts, ModuleCounts, Outcome, Quarantined
from fink.config import BatchSettings, RunSettings, UserSettings
from fink.engines.compute import Computed
from fink.engines.plan import Plan
from fink.engines.users import UserFilters
from fink.engines.workers import LocalWorker, PlanRequest, ProcessWorker, SharedBuffer, Task, Worker, WorkerFailure, rescue
from fink.errors import ConfigError, FinkError, FollowerError, SourceError, did_you_mean
from fink.lightcurves import LightCurves
from fink.streams import Follower, Source, SourceBatch
from fink.surveys import Refusal
from fink.tables import PADDING, Cutouts, Packets

Handler = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Carries out a request with these arguments and gives the answer."""

DELIVERY_INTERVAL = 0.5
"""Seconds between deliveries to followers while a run is going on, unless one lags more than it may; its end always delivers."""

HURRIED = 0.1
"""Seconds for which a source may gather a batch while others are computed, which are committed before the next one is asked for [s]."""


@dataclass
class RunSummary:
    """What a run did."""

    counts: Counts = field(default_factory=Counts)
    modules: dict[str, ModuleCounts] = field(default_factory=dict)
    selected: dict[str, int] = field(default_factory=dict)
    commits: int = 0
    seconds: float = 0.0
    stopped: bool = False
    """Whether it was asked to stop before the source's end."""
    began: float = field(default_factory=time.monotonic)
    marks: tuple[float, int, float] = (0.0, 0, 0.0)
    """Time of the first commit, what it received, and time of the last one."""

    @property
    def rate(self) -> float:
        """Items a second between the first commit and the last, so that the start of the workers is left out."""
        first, before, last = self.marks
        if self.commits < 2:
            return self.counts.received / max(last - self.began, 1e-9)
        return (self.counts.received - before) / max(last - first, 1e-9)

    def add(self, commit: Commit) -> None:
        """Count a commit."""
        now = time.monotonic()
        self.marks = (now, commit.counts.received, now) if self.commits == 0 else (*self.marks[:2], now)
        self.commits += 1
        self.counts = self.counts + commit.counts
        for name, counts in commit.modules.items():
            self.modules[name] = self.modules.get(name, ModuleCounts()) + counts
        for name, number in commit.selected.items():
            self.selected[name] = self.selected.get(name, 0) + number


@dataclass
class _Slot:
    """A worker with its buffers and the tasks that it was given, oldest first."""

    worker: Worker
    tasks: deque[Task] = field(default_factory=deque)


@dataclass(frozen=True)
class _Flight:
    """A batch that is being computed."""

    batch: SourceBatch
    task: Task | None
    slot: _Slot | None
    buffer: SharedBuffer | None
    plan_id: str

    def ready(self) -> bool:
        """Say whether it can be committed without waiting."""
        return self.slot is None or self.slot.worker.ready()


class _Buffers:
    """Shared memory for the batches in flight, used again and again."""

    def __init__(self) -> None:
        self._free: list[SharedBuffer] = []
        self._all: list[SharedBuffer] = []
        self._last: SharedBuffer | None = None

    def allocate(self, size: int) -> NDArray[np.uint8]:
        """Give memory of at least so many bytes for the batch that `take` hands over."""
        if self._last is None:
            if not self._free:
                self._free.append(SharedBuffer())
                self._all.append(self._free[-1])
            self._last = self._free.pop()
        return self._last.reserve(size)

    def take(self) -> SharedBuffer | None:
        """Hand over the buffer that the last batch was written into."""
        buffer, self._last = self._last, None
        return buffer

    def free(self, buffer: SharedBuffer | None) -> None:
        """Take a buffer back when its batch is committed."""
        if buffer is not None:
            self._free.append(buffer)

    def close(self) -> None:
        """Give all memory back."""
        for buffer in self._all:
            buffer.close()


class EmbeddedEngine:
    """Runs a plan over a source into an archive.

    Parameters
    ----------
    archive
        Where commits go.
    plan, request
        The plan, and how workers rebuild it.
    settings, limits
        Workers and when batches close.
    followers
        Deliver what was committed.
    on_commit
        Told of each commit, for progress.
    handlers
        What is done between commits for those who ask it of the run (`fink.archive.requests`), by the kind of request.
    users
        What users' own substreams may cost and take.
    """

    def __init__(
        self,
        archive: EmbeddedArchive,
        plan: Plan,
        request: PlanRequest,
        settings: RunSettings,
        limits: BatchSettings,
        followers: Sequence[Follower] = (),
        on_commit: Callable[[Commit, RunSummary], None] = lambda commit, summary: None,
        handlers: Mapping[str, Handler] | None = None,
        users: UserSettings | None = None,
    ) -> None:
        self._archive, self._plan, self._settings, self._limits = archive, plan, settings, limits
        self._hurried = limits.model_copy(update={"seconds": min(limits.seconds, HURRIED)})
        self._followers, self._on_commit, self._request = followers, on_commit, request
        self._plan_id, self._versions = archive.register_plan(plan.record), plan.record.artifacts
        self._stop = threading.Event()
        self._summary = RunSummary()
        self._buffers = _Buffers()
        self._state, self._requests, self._handlers = State(archive.folder), Requests(archive.folder), handlers or {}
        self._users = UserFilters(archive, plan, users or UserSettings.model_validate({}))
        self._delivered_at, self._delivered = 0.0, dict[str, int]()
        self._delivering = ThreadPoolExecutor(1, "delivery")
        self._delivery: Future[dict[str, int]] | None = None

    def stop(self) -> None:
        """Ask the run to end after the batches that are in flight."""
        self._stop.set()

    def run(self, source: Source) -> RunSummary:
        """Work through a source until its end, or until asked to stop (also by SIGTERM or Ctrl-C).

        Raises
        ------
        FinkError
            Whatever stops the run: what was committed until then stays.
        """
        began = time.monotonic()
        # what is there now stays: looking through it for garbage again and again would be in vain
        gc.freeze()
        slots = self._start_workers()
        with _stop_on_signals(self.stop):
            try:
                self._follow_state()
                self._loop(source, slots)
                self._deliver(at_end=True)
            finally:
                gc.unfreeze()
                self._delivering.shutdown()
                self._state.close()
                for slot in slots:
                    slot.worker.close()
                self._buffers.close()
        self._summary.stopped = self._stop.is_set()
        self._summary.seconds = time.monotonic() - began
        return self._summary

    def _start_workers(self) -> list[_Slot]:
        """Start worker processes; without any, compute here, where nothing protects the run from an alert that kills or hangs it."""
        if self._settings.workers == 0:
            return [_Slot(LocalWorker(self._request, self._archive))]
        return [_Slot(ProcessWorker(self._request, self._settings.timeout)) for _ in range(self._settings.workers)]

    def _loop(self, source: Source, slots: list[_Slot]) -> None:
        flights: deque[_Flight] = deque()
        night = (0, "")
        after = self._archive.last_commit()
        while not self._stop.is_set():
            try:
                # what is being computed is committed as soon as it is ready, and not only when the next batch is full
                batch = source.next_batch(self._hurried if flights else self._limits, self._buffers.allocate)
            except SourceError:
                # what was read before it is good
                self._drain(flights, 0)
                self._deliver(at_end=True)
                raise
            if batch is None:
                break
            if batch.idle:
                self._drain(flights, 0)
                self._between_commits()
                continue
            if (batch.night, batch.survey) != night:
                self._drain(flights, 0)
                night, after = (batch.night, batch.survey), self._archive.last_commit()
            flights.append(self._launch(batch, slots, after))
            self._drain(flights, 2 * len(slots) - 1)
        self._drain(flights, 0)

    def _launch(self, batch: SourceBatch, slots: list[_Slot], after: int) -> _Flight:
        buffer = self._buffers.take()
        plan_id, versions = self._follow_artifacts()
        if batch.packets is None:
            return _Flight(batch, None, None, buffer, plan_id)
        slot = min(slots, key=lambda s: len(s.tasks))
        task = Task(batch.survey, batch.night, batch.packets, buffer.path if buffer else "", after, versions)
        slot.tasks.append(task)
        slot.worker.submit(task)
        return _Flight(batch, task, slot, buffer, plan_id)

    def _follow_artifacts(self) -> tuple[str, Mapping[str, str]]:
        """Take up catalogues that were replaced: batches from here on are matched with the new ones, and their plan names these."""
        versions = self._plan.versions(self._request.artifacts)
        if versions != self._versions:
            self._versions = versions
            self._plan_id = self._archive.register_plan(replace(self._plan.record, artifacts=versions))
        return self._plan_id, versions

    def _drain(self, flights: deque[_Flight], keep: int) -> None:
        """Commit the oldest batches until no more than ``keep`` are in flight, and of these none that is ready."""
        while len(flights) > keep or (flights and flights[0].ready()):
            flight = flights.popleft()
            computed = self._result(flight) if flight.task and flight.slot else None
            self._commit(outcome_of(flight.batch, computed, self._plan, flight.plan_id))
            self._buffers.free(flight.buffer)

    def _result(self, flight: _Flight) -> Computed:
        assert flight.task is not None
        assert flight.slot is not None
        slot = flight.slot
        slot.tasks.popleft()
        try:
            return slot.worker.result(flight.task)
        except WorkerFailure as failure:
            computed = rescue(slot.worker, flight.task, failure)
            for waiting in slot.tasks:
                slot.worker.submit(waiting)
            return computed

    def _commit(self, outcome: Outcome) -> None:
        commit = self._archive.apply(self._users.select(outcome))
        self._summary.add(commit)
        self._users.committed(commit)
        self._between_commits()
        self._on_commit(commit, self._summary)

    def _between_commits(self) -> None:
        """Do what has its place between two commits: upkeep, delivery, and what others asked of the run, or changed beside it."""
        self._archive.maintain()
        self._deliver(at_end=False)
        self._follow_state()

    def _follow_state(self) -> None:
        if not self._state.changed():
            return
        self._users.follow()
        for request in self._requests.waiting():
            try:
                self._requests.answer(request.number, self._carry_out(request))
            except FinkError as error:
                self._requests.refuse(request.number, error)

    def _carry_out(self, request: Request) -> Mapping[str, Any]:
        if request.kind not in self._handlers:
            raise ConfigError(f"a run does not know the request {request.kind}{did_you_mean(request.kind, self._handlers)}")
        return self._handlers[request.kind](request.arguments)

    def _deliver(self, *, at_end: bool) -> None:
        """Let followers deliver beside the commits; one that lags more than it may, and the end of the run, are waited for."""
        held = any(0 < follower.max_lag < self._lag(follower) for follower in self._followers)
        late = time.monotonic() - self._delivered_at >= DELIVERY_INTERVAL
        if self._delivery is not None and (at_end or held or self._delivery.done()):
            self._take_delivery(self._delivery)
        if self._followers and self._delivery is None and (at_end or held or late):
            self._delivery = self._delivering.submit(self._let_deliver, at_end=at_end)
            if at_end or held:
                self._take_delivery(self._delivery)

    def _take_delivery(self, delivery: Future[dict[str, int]]) -> None:
        """Wait for a delivery, and note how far followers have come."""
        self._delivery, self._delivered_at = None, time.monotonic()
        for name, last in delivery.result().items():
            self._delivered[name] = last
            if last > self._archive.last_commit():
                raise FollowerError(f"follower {name} claims commit {last}, which the archive does not have")

    def _let_deliver(self, *, at_end: bool) -> dict[str, int]:
        return {follower.name: follower.finish() if at_end else self._held_back(follower) for follower in self._followers}

    def _lag(self, follower: Follower) -> int:
        """Give how many commits a follower has not delivered yet."""
        return self._archive.last_commit() - self._delivered.get(follower.name, 0)

    def _held_back(self, follower: Follower) -> int:
        """Let a follower deliver; the stream waits for one that lags more than it may."""
        last = follower.deliver()
        while 0 < follower.max_lag < self._archive.last_commit() - last and not self._stop.is_set():
            last = follower.deliver(1.0)
        return last


def outcome_of(batch: SourceBatch, computed: Computed | None, plan: Plan, plan_id: str) -> Outcome:
    """Join what the source gave and what the worker made of it; packets that cannot be read go to the quarantine."""
    if computed is None or batch.packets is None:
        return _only_quarantine(batch, plan_id)
    refused = tuple(_quarantine(batch, batch.packets, refusal) for refusal in computed.refusals)
    selections = plan.select(computed.alerts, batch.survey) if computed.alerts.num_rows else {}
    return Outcome(
        survey=batch.survey,
        night=batch.night,
        source=batch.source,
        alerts=computed.alerts,
        points=computed.points,
        packets=batch.packets.take(computed.rows),
        cutouts=computed.cutouts,
        selections=selections,
        quarantined=(*batch.quarantined, *refused),
        progress=batch.progress,
        modules=computed.modules,
        plan_id=plan_id,
    )


def _quarantine(batch: SourceBatch, packets: Packets, refusal: Refusal) -> Quarantined:
    source, position = batch.places(refusal.row)
    body = container_of(packets.schemas[packets.schema[refusal.row]], packets.body(refusal.row))
    return Quarantined(source, position, refusal.reason, body, batch.survey, batch.night)


def _only_quarantine(batch: SourceBatch, plan_id: str) -> Outcome:
    nothing = Packets(np.zeros(PADDING, np.uint8), *(np.zeros(0, np.int64),) * 2, np.zeros(0, np.int32), ())
    bands = surveys.registry()[batch.survey].bands if batch.survey else ()
    points = LightCurves.empty(0, bands)
    outcome = Outcome(batch.survey, batch.night, batch.source, pa.table({}), points, nothing, Cutouts.none(0))
    return replace(outcome, quarantined=batch.quarantined, progress=batch.progress, plan_id=plan_id)


class _stop_on_signals:
    """Turn SIGTERM and SIGINT into a clean stop while the context lasts; outside the main thread nothing changes."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._stop()
        # whoever asks twice does not want to wait for the batches in flight
        signal.signal(number, self._before[number])

    def __exit__(self, *error: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
