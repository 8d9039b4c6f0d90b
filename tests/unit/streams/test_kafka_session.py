"""Exactly once at every instant: the real follower over a model of Kafka, killed at each one, and at each pair of them.

It takes a minute and more: some 30,000 lives of a broker, since one interleaving that was left out is the one that happens.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from itertools import chain, product
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from fink.errors import FinkError
from fink.streams import kafka_follower, kafka_session
from fink.streams.kafka_follower import KafkaFollower, topic_name
from fink.streams.kafka_session import Delivery, Message, Position, Session
from kafka_model import NAME, Cluster, Fault, World, live
from recorded_commits import OLD, Recorded, packets_of

SCRIPT: list[dict[str, list[int]]] = [{"fast": [0, 3, 4], "slow": [1]}, {"fast": [6]}]
EXPECTED = {"fast": [0, 3, 4, 6], "slow": [1]}
FAULTS: tuple[Fault, ...] = ("run", "session", "server")
BESIDE: tuple[Fault, ...] = ("late run", "late session", "late server", "stranger")
LATE: tuple[Fault, ...] = ("late run", "late session", "late server")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn each alert into its message once, and begin new sessions without a pause."""
    made: dict[Any, list[Message]] = {}
    real = kafka_follower.messages_of

    def remembered(
        survey: str, rows: pa.Table, packets: Any, added: Any, taken: Any, schemas: dict[bytes, int], *more: Any
    ) -> list[Message]:
        key = (tuple(taken), tuple(rows["alert_id"].to_pylist()))
        if key not in made:
            made[key] = real(survey, rows, packets, added, taken, schemas, *more)
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


def delivered(cluster: Cluster) -> dict[str, dict[int, list[int]]]:
    """Give the alerts that readers find in each partition of a topic, in order, by their bodies."""
    bodies = {bytes(packets_of("ztf").body(row)): row for row in range(60)}
    return {
        substream: {
            number: [next(row for body, row in bodies.items() if value.startswith(body)) for value in values]
            for number, values in cluster.found(topic_name(substream, "ztf")).items()
        }
        for substream in EXPECTED
    }


def outcome(world: World, make: Any = Session, follow: Any = KafkaFollower) -> str:
    """Live through a world; say what is wrong with what was delivered, nothing where it is exactly what was selected."""
    story = f"{world.faults}, resumed at {world.resume}"
    try:
        live(world, SCRIPT, make, follow)
    except FinkError as error:
        return f"{error} with {story}"
    found = delivered(world.cluster)
    if {name: sorted(chain.from_iterable(alerts.values())) for name, alerts in found.items()} != EXPECTED:
        return f"{found} with {story}"
    if "grow" not in world.faults.values() and found != undisturbed():
        return f"{found} is in another order, with {story}"
    (position,) = [record.value for record in world.cluster.records if record.key == NAME.encode() and record.state == "committed"][-1:]
    copy = world.archive.follower_position(f"kafka:{NAME}")
    assert copy is not None
    assert copy.commit == Position.from_bytes(position).commit == len(SCRIPT)
    assert not [record for record in world.cluster.records if record.state == "open"]
    return ""


@cache
def undisturbed() -> dict[str, dict[int, list[int]]]:
    """Give what every partition gets where nothing happens."""
    world = World(Quick())
    live(world, SCRIPT, Session, KafkaFollower)
    return delivered(world.cluster)


def length(make: Any = Session, follow: Any = KafkaFollower) -> int:
    """Give the number of instants in an undisturbed life."""
    world = World(Quick())
    assert outcome(world, make, follow) == ""
    return world.instant


def one_fault(make: Any = Session, faults: tuple[Fault, ...] = FAULTS) -> Iterator[World]:
    for instant, fault in product(range(1, length(make) + 1), faults):
        yield World(Quick(), faults={instant: fault})


def later(faults: tuple[Fault, ...], make: Any = Session) -> Iterator[World]:
    """Every instant at which something ends and leaves something behind, with every later instant at which that goes on."""
    instants = length(make)
    for instant, fault in product(range(1, instants + 1), faults):
        for resume in range(instant + 1, instant + instants + 2):
            yield World(Quick(), faults={instant: fault}, resume=resume)


def goes_wrong(worlds: Iterable[World], make: Any = Session, follow: Any = KafkaFollower) -> bool:
    """Say whether anything is wrong in any of some worlds."""
    return any(outcome(world, make, follow) for world in worlds)


def wrong(worlds: Iterable[World], make: Any = Session, follow: Any = KafkaFollower) -> tuple[int, list[str]]:
    """Live through worlds; give how many there are, and what is wrong in any of them."""
    found = [outcome(world, make, follow) for world in worlds]
    return len(found), [text for text in found if text]


@pytest.fixture(autouse=True)
def batch_bytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send each message in a batch of its own, or what goes to a partition in one."""
    monkeypatch.setattr(kafka_session, "BATCH_BYTES", getattr(request, "param", 1))


both_ways = pytest.mark.parametrize("batch_bytes", [1, 1_000_000], indirect=True)


def test_an_undisturbed_life_delivers_each_alert_once() -> None:
    assert length() > 25


@both_ways
def test_one_end_at_any_instant_loses_and_repeats_nothing() -> None:
    assert wrong(one_fault())[1] == []


def test_two_ends_at_any_instants_lose_and_repeat_nothing() -> None:
    tried, found = 0, list[str]()
    for first, fault in product(range(1, length() + 1), FAULTS):
        # the second one anywhere in what follows the first, which takes at most one more life
        probe = World(Quick(), faults={first: fault})
        outcome(probe)
        seconds = product(range(first + 1, probe.instant + 1), FAULTS)
        more, bad = wrong(World(Quick(), faults={first: fault, second: again}) for second, again in seconds)
        tried, found = tried + more, found + bad
    assert tried > 5000
    assert found == []


@both_ways
def test_what_a_dead_session_had_under_way_arrives_at_any_time_and_repeats_nothing() -> None:
    tried, found = wrong(later(LATE))
    assert tried > 5000
    assert found == []


def test_what_two_dead_sessions_had_under_way_repeats_nothing() -> None:
    rng, instants = random.Random(1), length()
    worlds = []
    for _ in range(3000):
        first, second, resume = sorted(rng.sample(range(1, 3 * instants), 3))
        faults: dict[int, Fault] = {first: rng.choice(LATE), second: rng.choice(BESIDE)}
        worlds.append(World(Quick(), faults=faults, resume=rng.choice((resume, second + 1))))
    assert wrong(worlds)[1] == []


@both_ways
def test_a_session_that_outlives_its_run_loses_and_repeats_nothing() -> None:
    tried, found = wrong(later(("orphan",)))
    assert tried > 500
    assert found == []


def test_others_write_to_the_topics_and_topics_grow_at_any_instant() -> None:
    instants = range(1, length() + 1)
    happenings: tuple[Fault, ...] = ("stranger", "grow")
    ends: tuple[Fault, ...] = ("run", "late run")
    all_worlds = list(product(instants, happenings, instants, ends, (5, 20)))
    chosen = random.Random(2).sample(all_worlds, 3000)
    worlds = (World(Quick(), faults={first: happens, second: fault}, resume=second + gap) for first, happens, second, fault, gap in chosen)
    assert wrong(worlds)[1] == []


# What the model is for: it finds what is wrong with a design that is.


class ReadsFirst(Session):
    """Believes a position that it read before it took over."""

    def open(self, archive: str) -> Position | None:
        found = self._own(self._log.read(committed=True))
        self._log.fence()
        self._position = found and self._look_around(found)
        return self._position


class PositionFirst(Session):
    """Records the position, and then sends the messages."""

    def deliver(self, delivery: Delivery) -> Position:
        reached = super().deliver(replace(delivery, messages=[]))
        super().deliver(delivery)
        return reached


class LooksNowhere(Session):
    """Believes that the topics have what the position says, and no more."""

    def _look_around(self, position: Position) -> Position:
        found = super()._look_around(position)
        self._there = {topic: list(place.sent) for topic, place in found.places.items()}
        return found


class CountsAnew(Session):
    """Sends under a new producer's number in each session, as librdkafka does."""

    def _look_around(self, position: Position) -> Position:
        return replace(super()._look_around(position), producer=self._log.new_producer())


class GrowsAtOnce(Session):
    """Takes new partitions while messages may be under way that were numbered before."""

    def _placed(self, delivery: Delivery) -> Position:
        self._settled = True
        return super()._placed(delivery)


class NeverFences(Session):
    """Does not take over."""

    def open(self, archive: str) -> Position | None:
        found = self._own(self._log.read(committed=True))
        self._position = found and self._look_around(found)
        return self._position


class BelievesItself(KafkaFollower):
    """Believes the archive's copy, and not what Kafka says."""

    def _fitting(self, found: Position | None) -> Position:
        return self._copy()


def comparing_nothing(worlds: Iterator[World]) -> Iterator[World]:
    for world in worlds:
        yield replace(world, cluster=Cluster(compares=False))


def unfenced(worlds: Iterator[World]) -> Iterator[World]:
    for world in worlds:
        yield replace(world, cluster=Cluster(fences=False))


def test_the_model_finds_messages_that_arrive_late_where_the_server_does_not_compare() -> None:
    assert goes_wrong(comparing_nothing(later(LATE)))
    assert goes_wrong(later(LATE), CountsAnew)


def test_the_model_finds_a_position_that_is_recorded_first() -> None:
    assert goes_wrong(one_fault(), PositionFirst)


def test_the_model_finds_a_session_that_does_not_look() -> None:
    assert goes_wrong(comparing_nothing(one_fault()), LooksNowhere)


def test_the_model_finds_partitions_that_are_taken_too_early() -> None:
    instants = range(1, length() + 1)
    faults: Iterator[dict[int, Fault]] = ({first: "run", second: "grow"} for first, second in product(instants, instants) if first < second)
    assert goes_wrong((World(Quick(), faults=each) for each in faults), GrowsAtOnce)


def test_the_model_finds_a_follower_that_believes_its_own_copy() -> None:
    assert goes_wrong(one_fault(), follow=BelievesItself)


def test_another_archive_is_refused_before_anything_is_taken_over() -> None:
    world = World(Quick())
    outcome(world)
    epoch = world.cluster.epoch
    other = World(Quick(), world.cluster)
    other.archive.id = "another archive"
    with pytest.raises(FinkError, match="to another name"):
        live(other, SCRIPT, Session, KafkaFollower)
    assert world.cluster.epoch == epoch
