"""A model of Kafka's transactions in memory, with every instant at which something may end.

The follower and its sessions are the real ones; only the log below them is the model, and the thread that stands for the child process.
A `World` counts instants: before and after each step of the log, and before and after whatever the archive writes down. At a chosen
instant the run is killed, or the session, or the server; or the run is killed and its session lives on for a while, and goes on with
what it was doing at a chosen later instant of the next run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from fink.config import KafkaOutSettings
from fink.streams.kafka_follower import KafkaFollower, destination
from fink.streams.kafka_session import Answer, Destination, Failed, LogError, Request, Session, Shape, answer
from recorded_commits import Recorded

Fault = Literal["run", "session", "server", "orphan"]

SETTINGS = KafkaOutSettings(servers="model", name="model", positions="positions", partitions=2, timeout=5, patience=30)
NAME = SETTINGS.name


class RunKilled(BaseException):
    """The process that commits is gone, and with it everything that it only remembered."""


class SessionKilled(BaseException):
    """The child process is gone."""


@dataclass
class Record:
    """A message in the log; who reads committed messages sees it when its transaction has ended well."""

    topic: str
    partition: int
    key: bytes
    value: bytes
    state: Literal["open", "committed", "aborted"] = "open"


@dataclass
class Cluster:
    """What the server keeps, whoever is killed: messages, and who may write."""

    records: list[Record] = field(default_factory=list)
    epoch: int = 0
    fences: bool = True

    def end_open(self, state: Literal["committed", "aborted"]) -> None:
        """End the open transaction."""
        for record in self.records:
            if record.state == "open":
                record.state = state

    def committed(self, topic: str) -> list[Record]:
        """Give what readers of committed messages see of a topic."""
        return [record for record in self.records if record.topic == topic and record.state == "committed"]


@dataclass
class World:
    """Everything that outlives a run, and the instants at which something happens.

    Parameters
    ----------
    faults
        What happens at which instant, counted from 1 over all runs.
    resume
        The instant of a later run at which an orphaned session goes on.
    """

    archive: Recorded
    cluster: Cluster = field(default_factory=Cluster)
    faults: Mapping[int, Fault] = field(default_factory=dict)
    resume: int = 0
    instant: int = 0
    orphan: Orphan | None = None
    link: ModelLink | None = None

    def reach(self, session: ModelLink | None = None) -> None:
        """Come to an instant, in a session or in the run itself."""
        if session is not None and session.orphaned:
            return
        self.instant += 1
        if self.instant == self.resume and self.orphan is not None:
            self.orphan.go_on()
        fault = self.faults.get(self.instant)
        if fault == "run" or (fault == "orphan" and session is None):
            raise RunKilled
        if fault == "orphan" and session is not None:
            self.orphan = Orphan(session)
            self.orphan.wait()
        elif fault == "session" and session is not None:
            raise SessionKilled
        elif fault == "session" and self.link is not None:
            self.link.dead = True
        elif fault == "server" and session is not None:
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
            seen = [record for record in self._cluster.records if record.topic == SETTINGS.positions and record.state != "aborted"]
            return {record.key: record.value for record in seen if record.state == "committed" or not committed}

    def shapes(self, topics: Sequence[str]) -> Mapping[str, Shape]:
        """Every topic is there."""
        with self._step():
            return dict.fromkeys(topics, Shape(2, 10_000_000))

    def begin(self) -> None:
        """Begin a transaction, of which the server learns with its first message."""
        with self._step(writes=True):
            pass

    def send(self, topic: str, partition: int, key: bytes, value: bytes) -> None:
        """Append a message."""
        with self._step(writes=True):
            self._cluster.records.append(Record(topic, partition, key, value))

    def commit(self) -> None:
        """End the transaction well."""
        with self._step(writes=True):
            self._cluster.end_open("committed")


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
    if world.orphan is not None:
        world.orphan.go_on()
