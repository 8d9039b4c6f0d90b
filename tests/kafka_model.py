"""A model of Kafka in memory, with every instant at which something may end, and messages that arrive after their sender's death.

The follower and its sessions are the real ones; only the log below them is the model, and the thread that stands for the child process.
A `World` counts instants: before and after each step of the log and each batch, and before and after whatever the archive writes down.
At a chosen instant the run is killed, or the session, or the server. What was being sent then is lost; or it is under way, and arrives
at a chosen later instant (``late``); or the run is killed and its session lives on, and goes on with what it was doing at a chosen
later instant (``orphan``). Beside that others may write to the topics (``stranger``), and topics may get partitions (``grow``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

from fink.config import KafkaOutSettings
from fink.streams.kafka_follower import KafkaFollower, destination
from fink.streams.kafka_session import Answer, Batch, Destination, Failed, LogError, Place, Request, Session, Shape, answer
from recorded_commits import Recorded

Fault = Literal["run", "session", "server", "late run", "late session", "late server", "orphan", "stranger", "grow"]

SETTINGS = KafkaOutSettings(servers="model", name="model", positions="positions", partitions=2, timeout=5, patience=30)
NAME = SETTINGS.name


class RunKilled(BaseException):
    """The process that commits is gone, and with it everything that it only remembered."""


class SessionKilled(BaseException):
    """The child process is gone."""


@dataclass
class Record:
    """A value in the topic of positions; it is read when its transaction has ended well."""

    key: bytes
    value: bytes
    state: Literal["open", "committed", "aborted"] = "open"


@dataclass
class Kept:
    """One partition: its messages, each with its producer and number, and what the server knows of each producer."""

    messages: list[tuple[int, int, bytes]] = field(default_factory=list)
    taken: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)
    """By producer, the last five batches: first number, the one behind the last, offset."""


@dataclass
class Cluster:
    """What the server keeps, whoever is killed: messages, and who may write.

    Parameters
    ----------
    fences
        Whether an earlier session is refused.
    compares
        Whether a partition compares the numbers of a batch with those that it has; Kafka does.
    """

    records: list[Record] = field(default_factory=list)
    kept: dict[tuple[str, int], Kept] = field(default_factory=dict)
    under_way: list[Batch] = field(default_factory=list)
    partitions: int = 2
    producers: int = 0
    epoch: int = 0
    fences: bool = True
    compares: bool = True

    def end_open(self, state: Literal["committed", "aborted"]) -> None:
        """End the open transaction."""
        for record in self.records:
            if record.state == "open":
                record.state = state

    def partition(self, topic: str, number: int) -> Kept:
        """Give a partition."""
        return self.kept.setdefault((topic, number), Kept())

    def take(self, batch: Batch) -> int:
        """Append a batch if it is the next of its producer, or find it; give the offset behind it."""
        kept = self.partition(batch.topic, batch.partition)
        known, stop = kept.taken.setdefault(batch.producer, []), batch.first + len(batch.messages)
        if self.compares and known:
            for first, last, offset in known:
                if (first, last) == (batch.first, stop):
                    return offset
            if known[-1][1] != batch.first:
                raise LogError("out of order")
        kept.messages += [(batch.producer, batch.first + place, value) for place, (_, value) in enumerate(batch.messages)]
        known.append((batch.first, stop, len(kept.messages)))
        del known[:-5]
        return len(kept.messages)

    def arrive(self) -> None:
        """Let arrive what is under way, each batch by itself; nobody is there to hear what becomes of it."""
        for batch in self.under_way:
            with suppress(LogError):
                self.take(batch)
        self.under_way = []

    def found(self, topic: str) -> dict[int, list[bytes]]:
        """Give what readers find in each partition of a topic, but for what strangers wrote."""
        return {
            number: [value for producer, _, value in kept.messages if producer >= 0]
            for (name, number), kept in sorted(self.kept.items())
            if name == topic
        }


@dataclass
class World:
    """Everything that outlives a run, and the instants at which something happens.

    Parameters
    ----------
    faults
        What happens at which instant, counted from 1 over all runs.
    resume
        The instant of a later run at which an orphaned session goes on, or at which what was under way arrives.
    """

    archive: Recorded
    cluster: Cluster = field(default_factory=Cluster)
    faults: Mapping[int, Fault] = field(default_factory=dict)
    resume: int = 0
    instant: int = 0
    orphan: Orphan | None = None
    link: ModelLink | None = None

    def reach(self, session: ModelLink | None = None, sending: Sequence[Batch] = ()) -> None:
        """Come to an instant, in a session or in the run itself, with what is to be sent next."""
        if session is not None and session.orphaned:
            return
        self.instant += 1
        if self.instant == self.resume:
            self.cluster.arrive()
            if self.orphan is not None:
                self.orphan.go_on()
        fault = self.faults.get(self.instant)
        if fault is not None and fault.startswith("late"):
            self.cluster.under_way += sending
        if fault == "stranger":
            for kept in self.cluster.kept.values():
                kept.messages.append((-1, 0, b"a stranger's"))
        elif fault == "grow":
            self.cluster.partitions = 3
        elif fault is not None:
            self._end(fault, session)

    def _end(self, fault: str, session: ModelLink | None) -> None:
        """Let the run, the session or the server end."""
        if fault.endswith("run") or (fault == "orphan" and session is None):
            raise RunKilled
        if fault == "orphan" and session is not None:
            self.orphan = Orphan(session)
            self.orphan.wait()
        elif fault.endswith("session") and session is not None:
            raise SessionKilled
        elif fault.endswith("session") and self.link is not None:
            self.link.dead = True
        elif fault.endswith("server") and session is not None:
            raise LogError("the server is gone")


class Orphan:
    """A session whose run was killed under it: it waits, and goes on as if nothing had happened."""

    def __init__(self, session: ModelLink) -> None:
        self._session, self._wake = session, threading.Event()

    def wait(self) -> None:
        """Let the run end, and wait."""
        self._session.orphaned = True
        self._session.done.set()
        self._wake.wait()

    def go_on(self) -> None:
        """Go on to the end of what was asked."""
        self._wake.set()
        self._session.thread.join()


class ModelLog:
    """The steps of a session on the model; each has an instant before it and one after it."""

    def __init__(self, world: World, session: ModelLink) -> None:
        self._world, self._cluster, self._session, self._epoch = world, world.cluster, session, 0

    @contextmanager
    def _step(self, *, writes: bool = False) -> Iterator[None]:
        self._world.reach(self._session)
        if writes and self._cluster.fences and self._epoch != self._cluster.epoch:
            raise LogError("fenced")
        yield
        self._world.reach(self._session)

    def fence(self) -> None:
        """Begin a new epoch; what an earlier one left open is aborted."""
        with self._step():
            self._cluster.epoch += 1
            self._cluster.end_open("aborted")
            self._epoch = self._cluster.epoch

    def read(self, *, committed: bool) -> Mapping[bytes, bytes]:
        """Give the last value of each key."""
        with self._step():
            seen = [record for record in self._cluster.records if record.state != "aborted"]
            return {record.key: record.value for record in seen if record.state == "committed" or not committed}

    def record(self, values: Mapping[bytes, bytes]) -> None:
        """Append values in a transaction, and end it well."""
        with self._step(writes=True):
            self._cluster.records += [Record(key, value) for key, value in values.items()]
        with self._step(writes=True):
            self._cluster.end_open("committed")

    def shapes(self, topics: Sequence[str], *, make: bool) -> Mapping[str, Shape]:
        """Every topic is there."""
        with self._step():
            return dict.fromkeys(topics, Shape(self._cluster.partitions, 10_000_000))

    def ends(self, topics: Sequence[str]) -> Mapping[str, tuple[int, ...]]:
        """Give where the partitions end."""
        with self._step():
            numbers = range(self._cluster.partitions)
            return {topic: tuple(len(self._cluster.partition(topic, number).messages) for number in numbers) for topic in topics}

    def new_producer(self) -> int:
        """Count producers."""
        with self._step():
            self._cluster.producers += 1
            return self._cluster.producers

    def sent(self, producer: int, places: Mapping[str, Place]) -> Mapping[str, list[int]]:
        """Look through what came since."""
        with self._step():
            counts = {topic: list(place.sent) for topic, place in places.items()}
            for topic, place in places.items():
                for number, end in enumerate(place.ends):
                    for sender, mine, _ in self._cluster.partition(topic, number).messages[end:]:
                        if sender == producer:
                            counts[topic][number] = max(counts[topic][number], mine + 1)
            return counts

    def append(self, batches: Sequence[Batch]) -> Sequence[int]:
        """Send one batch after the other; those that follow are under way already."""
        ends = []
        for place, batch in enumerate(batches):
            self._world.reach(self._session, batches[place:])
            ends.append(self._cluster.take(batch))
            self._world.reach(self._session, batches[place + 1 :])
        return ends


MakeSession = Callable[[ModelLog, Destination], Session]


class ModelLink:
    """A session in a thread, which stands for its process."""

    def __init__(self, world: World, make: MakeSession) -> None:
        self._world, self.dead, self.orphaned = world, False, False
        self._session = make(ModelLog(world, self), destination(SETTINGS))
        self.done, self.thread = threading.Event(), threading.Thread()
        self._result: Answer | BaseException | None = None
        world.link = self

    def ask(self, request: Request) -> None:
        """Work on a request until it is done, or something ends."""
        self._world.reach()
        self.done, self._result = threading.Event(), None
        self.thread = threading.Thread(target=self._work, args=(request,), daemon=True)
        self.thread.start()
        self.done.wait()
        if self.orphaned:
            raise RunKilled

    def _work(self, request: Request) -> None:
        try:
            self._result = answer(self._session, request)
        except (RunKilled, SessionKilled) as death:
            self._result = death
        finally:
            self.done.set()

    def answer(self, seconds: float) -> Answer | None:
        """Give the answer."""
        self._world.reach()
        if isinstance(self._result, RunKilled):
            raise self._result
        if self.dead or isinstance(self._result, SessionKilled):
            return Failed("the session is gone", "again")
        assert not isinstance(self._result, BaseException)
        return self._result

    def end(self) -> None:
        """Never answer again."""
        self.dead = True


class WatchedArchive:
    """An archive whose writing down is an instant too."""

    def __init__(self, world: World) -> None:
        self._world, self._archive = world, world.archive
        for name in ("last_commit", "commit", "selected", "selections", "plan", "follower_position"):
            setattr(self, name, getattr(self._archive, name))
        self.id = self._archive.id

    def record_follower(self, name: str, commit: int, checksum: str, undeliverable: Mapping[str, int] | None = None) -> None:
        """Note a position."""
        self._world.reach()
        self._archive.record_follower(name, commit, checksum, undeliverable)
        self._world.reach()


def run(world: World, script: Sequence[Mapping[str, list[int]]], make: MakeSession, follow: Callable[..., KafkaFollower]) -> None:
    """Commit what is left of a script, deliver between commits, and finish: one life of a run."""
    follower = follow(WatchedArchive(world), SETTINGS, lambda: ModelLink(world, make), lambda text: None)
    while world.archive.last_commit() < len(script):
        world.reach()
        world.archive.add(dict(script[world.archive.last_commit()]))
        world.reach()
        follower.deliver()
    follower.finish()


def live(world: World, script: Sequence[Mapping[str, list[int]]], make: MakeSession, follow: Callable[..., KafkaFollower]) -> None:
    """Run again until a run comes to its end, as a supervisor does; what an orphan has left to do, it does last of all."""
    while True:
        try:
            run(world, script, make, follow)
        except RunKilled:
            continue
        break
    world.cluster.arrive()
    if world.orphan is not None:
        world.orphan.go_on()
