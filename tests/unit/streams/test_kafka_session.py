"""Exactly once at every instant: the real follower over a model of Kafka, killed at each one, and at each pair of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from fink.streams import kafka_follower
from fink.streams.kafka_follower import KafkaFollower, topic_name
from fink.streams.kafka_session import Delivery, Message, Position, Session
from kafka_model import NAME, SETTINGS, Cluster, Fault, World, live
from recorded_commits import OLD, Recorded, packets_of

SCRIPT: list[dict[str, list[int]]] = [{"fast": [0, 3], "slow": [1]}, {"fast": [4]}]
EXPECTED = {"fast": [0, 3, 4], "slow": [1]}
FAULTS: tuple[Fault, ...] = ("run", "session", "server")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn each alert into its message once, and begin new sessions without a pause."""
    made: dict[Any, list[Message]] = {}
    real = kafka_follower.messages_of

    def remembered(survey: str, rows: pa.Table, packets: Any, added: Any, taken: Any, schemas: dict[bytes, int]) -> list[Message]:
        key = (tuple(taken), tuple(rows["alert_id"].to_pylist()))
        if key not in made:
            made[key] = real(survey, rows, packets, added, taken, schemas)
        schemas.setdefault(b"{}", 0)
        return [message._replace(schema=0) for message in made[key]]

    monkeypatch.setattr(kafka_follower, "messages_of", remembered)
    monkeypatch.setattr(kafka_follower, "FIRST_PAUSE", 0.0)


class Quick(Recorded):
    """Commits whose selections are taken from what was made before."""

    made: ClassVar[dict[tuple[int, ...], Any]] = {}

    def add(self, rows: dict[str, list[int]], plan: Any = OLD, survey: str = "ztf") -> None:
        key = (len(self._parts), *(alert for taken in rows.values() for alert in taken))
        if key not in self.made:
            super().add(rows, plan, survey)
            self.made[key] = self._parts[-1]
            return
        self._plans[plan.identity] = plan
        self._parts.append(self.made[key])


def delivered(cluster: Cluster) -> dict[str, list[int]]:
    """Give the alerts that readers of committed messages find, in order, by their bodies."""
    bodies = {bytes(packets_of("ztf").body(row)): row for row in range(60)}
    found: dict[str, list[int]] = {}
    for substream in EXPECTED:
        records = cluster.committed(topic_name(substream, "ztf"))
        found[substream] = [next(row for body, row in bodies.items() if record.value.startswith(body)) for record in records]
    return found


def outcome(world: World, make: Any = Session, follow: Any = KafkaFollower) -> str:
    """Live through a world; say what is wrong with what was delivered, nothing where it is exactly what was selected."""
    live(world, SCRIPT, make, follow)
    found = delivered(world.cluster)
    if {name: sorted(alerts) for name, alerts in found.items()} != EXPECTED:
        return f"{found} with {world.faults}, orphan at {world.resume}"
    (position,) = [record.value for record in world.cluster.committed(SETTINGS.positions) if record.key == NAME.encode()][-1:]
    assert Position.from_bytes(position).commit == len(SCRIPT)
    copy = world.archive.follower_position(f"kafka:{NAME}")
    assert copy is not None
    assert copy.commit == len(SCRIPT)
    assert not [record for record in world.cluster.records if record.state == "open"]
    return ""


def length(make: Any = Session) -> int:
    """Give the number of instants in an undisturbed life."""
    world = World(Quick())
    assert outcome(world, make) == ""
    return world.instant


def one_fault(make: Any = Session) -> Iterator[World]:
    for instant, fault in product(range(1, length(make) + 1), FAULTS):
        yield World(Quick(), faults={instant: fault})


def orphans(make: Any = Session) -> Iterator[World]:
    """Every instant at which a session loses its run, with every later instant at which it goes on."""
    instants = length(make)
    for instant in range(1, instants + 1):
        for later in range(instant + 1, instant + instants + 2):
            yield World(Quick(), faults={instant: "orphan"}, resume=later)


def test_an_undisturbed_life_delivers_each_alert_once() -> None:
    assert length() > 25


def test_one_end_at_any_instant_loses_and_repeats_nothing() -> None:
    assert [wrong for world in one_fault() if (wrong := outcome(world))] == []


def test_two_ends_at_any_instants_lose_and_repeat_nothing() -> None:
    wrong, tried = [], 0
    for first, fault in product(range(1, length() + 1), FAULTS):
        # the second one anywhere in what follows the first, which takes at most one more life
        probe = World(Quick(), faults={first: fault})
        outcome(probe)
        for second, again in product(range(first + 1, probe.instant + 1), FAULTS):
            tried += 1
            wrong.append(outcome(World(Quick(), faults={first: fault, second: again})))
    assert tried > 5000
    assert [text for text in wrong if text] == []


def test_a_session_that_outlives_its_run_loses_and_repeats_nothing() -> None:
    worlds = list(orphans())
    assert len(worlds) > 500
    assert [wrong for world in worlds if (wrong := outcome(world))] == []


# What the model is for: it finds what is wrong with a design that is.


class ReadsFirst(Session):
    """Believes a position that it read before it took over."""

    def open(self, archive: str) -> Position | None:
        found = self._own(self._log.read(committed=True))
        self._log.fence()
        self._position = found
        return found


class PositionApart(Session):
    """Commits the messages, and then the position."""

    def deliver(self, delivery: Delivery) -> Position:
        shapes = self._log.shapes(delivery.topics)
        self._log.begin()
        for message in delivery.messages:
            self._log.send(message.topic, message.spread % shapes[message.topic].partitions, b"{}", message.value)
        self._log.commit()
        return super().deliver(replace(delivery, messages=[]))


class NeverFences(Session):
    """Does not take over."""

    def open(self, archive: str) -> Position | None:
        self._position = self._own(self._log.read(committed=True))
        return self._position


class BelievesItself(KafkaFollower):
    """Believes the archive's copy, and not what Kafka says."""

    def _fitting(self, found: Position | None) -> Position:
        return self._copy()


def unfenced(worlds: Iterator[World]) -> Iterator[World]:
    for world in worlds:
        yield replace(world, cluster=Cluster(fences=False))


def test_the_model_finds_a_position_that_is_read_too_early() -> None:
    assert any(outcome(world, ReadsFirst) for world in orphans(ReadsFirst))


def test_the_model_finds_a_position_in_a_transaction_of_its_own() -> None:
    assert any(outcome(world, PositionApart) for world in one_fault(PositionApart))


def test_the_model_finds_a_session_that_does_not_take_over() -> None:
    assert any(outcome(world, NeverFences) for world in unfenced(orphans()))


def test_the_model_finds_a_follower_that_believes_its_own_copy() -> None:
    assert any(outcome(world, follow=BelievesItself) for world in one_fault())


def test_another_archive_is_refused_before_anything_is_taken_over() -> None:
    world = World(Quick())
    outcome(world)
    epoch = world.cluster.epoch
    other = World(Quick(), world.cluster)
    other.archive.id = "another archive"
    with pytest.raises(Exception, match="to another name"):
        outcome(other)
    assert world.cluster.epoch == epoch
