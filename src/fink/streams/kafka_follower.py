"""The Kafka follower: a topic per substream and survey, each committed alert in it exactly once.

The commits are turned into messages here; a session in a process of its own (`fink.streams.kafka_link`) sends them. Whatever goes wrong
there, the process is killed and another one begins, which believes nothing but the position that Kafka itself keeps. So Kafka may be
slow, away or restarted while the stream goes on.
"""

from __future__ import annotations

import logging
import math
import re
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fink import surveys
from fink.commits import Commit, PlanRecord
from fink.config import KafkaOutSettings
from fink.errors import FollowerError, NotFoundError
from fink.streams import Committed
from fink.streams.kafka_link import ProcessLink
from fink.streams.kafka_session import Answer, Connect, Delivery, Destination, Failed, Link, Message, Open, Position, Request
from fink.streams.output_packets import Added, output_packets, with_entries
from fink.tables import Packets

LOGGER = logging.getLogger("fink.kafka")

COMMITS_AT_ONCE = 64
"""Commits in one delivery at most."""

BYTES_AT_ONCE = 32_000_000
"""Bytes of messages after which a delivery takes no further commit."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
"""Seconds before a new session after the first failure, doubled each time, and at most."""

TOPIC_SETTINGS = {"compression.type": "producer", "message.timestamp.type": "LogAppendTime"}
"""Settings of every new topic. The server's clock counts: with a producer's that is wrong messages are refused, or deleted at once."""

_MILLISECONDS_PER_DAY = 86_400_000


def topic_name(substream: str, survey: str) -> str:
    """Give the name of a substream's topic."""
    return f"fink_{re.sub('[^a-zA-Z0-9._-]', '-', substream)}_{survey}"


def destination(settings: KafkaOutSettings) -> Destination:
    """Say what a session needs to know of the settings."""
    retention = math.ceil(settings.retention_days * _MILLISECONDS_PER_DAY)
    return Destination(
        client=settings.client(),
        name=settings.name,
        positions=settings.positions,
        partitions=settings.partitions,
        replicas=settings.replicas,
        topic_settings={"cleanup.policy": "delete", "retention.ms": str(retention), **TOPIC_SETTINGS},
        compression=settings.compression,
        most_bytes=int(settings.message_megabytes * 1e6),
        timeout=settings.timeout,
    )


@dataclass
class _Task:
    """What a session is working on, and until when it may."""

    request: Request
    deadline: float


class KafkaFollower:
    """Delivers committed substreams to Kafka topics.

    Parameters
    ----------
    archive
        Whose commits are delivered.
    settings
        Where, and how.
    connect
        Begins a session; by default in a process of its own.
    say
        Told once of each trouble that does not stop the run.
    """

    def __init__(
        self,
        archive: Committed,
        settings: KafkaOutSettings,
        connect: Connect | None = None,
        say: Callable[[str], None] = LOGGER.warning,
    ) -> None:
        self.name, self.max_lag = f"kafka:{settings.name}", settings.max_lag
        self._archive, self._settings, self._say = archive, settings, say
        self._connect: Connect = connect or (lambda: ProcessLink(destination(settings)))
        self._link: Link | None = None
        self._task: _Task | None = None
        self._position = self._copy()
        self._failures, self._try_at, self._trouble = 0, 0.0, ""
        self._most_commits = COMMITS_AT_ONCE

    def _copy(self) -> Position:
        """Give the archive's copy of the position; made where there is none, so that the archive keeps what is to be delivered."""
        copy = self._archive.follower_position(self.name)
        if copy is None:
            last = self._archive.last_commit() if self._settings.start == "now" else 0
            # without a checksum: it begins there, and has not delivered anything
            self._archive.record_follower(self.name, last, "")
            return Position(self._archive.id, last)
        return Position(self._archive.id, copy.commit, copy.checksum, copy.undeliverable)

    def deliver(self, seconds: float = 0.0) -> int:
        """Go on delivering, waiting at most so long for Kafka; give the number of the last commit that is known to be delivered.

        Raises
        ------
        FollowerError
            If the position does not fit the archive, or Kafka refuses for good.
        """
        until = time.monotonic() + seconds
        while self._advance(max(0.0, until - time.monotonic())):
            pass
        return self._position.commit

    def finish(self) -> int:
        """Deliver everything, and give the number of the last commit.

        Raises
        ------
        FollowerError
            If nothing was delivered for as long as the settings' patience.
        """
        patient = time.monotonic() + self._settings.patience
        while (reached := self._position.commit) < self._archive.last_commit():
            if self.deliver(0.5) > reached:
                patient = time.monotonic() + self._settings.patience
            elif time.monotonic() > patient:
                raise FollowerError(
                    f"substreams are not sent to Kafka: commits {reached + 1} to {self._archive.last_commit()} wait"
                    f"{': ' + self._trouble if self._trouble else ''}; nothing is lost, run again when it is there"
                )
        return self._position.commit

    def close(self) -> None:
        """End the session; what was not confirmed is sent again by the next one."""
        if self._link is not None:
            self._link.end()
        self._link, self._task = None, None

    def _advance(self, seconds: float) -> bool:
        """Do one step; say whether there may be more to do within the time."""
        if self._task is not None:
            assert self._link is not None
            answer = self._link.answer(min(seconds, max(0.0, self._task.deadline - time.monotonic())))
            if answer is not None:
                self._take(answer)
                return True
            if time.monotonic() >= self._task.deadline:
                self._fail(f"no answer in {self._settings.timeout:g} s")
                return True
            return seconds > 0
        if self._link is None:
            return self._begin_session(seconds)
        if self._position.commit < self._archive.last_commit():
            self._ask(self._next_delivery())
            return True
        return False

    def _begin_session(self, seconds: float) -> bool:
        pause = self._try_at - time.monotonic()
        if pause > 0:
            time.sleep(min(pause, seconds))
            return seconds >= pause
        self._link = self._connect()
        self._ask(Open(self._archive.id))
        return True

    def _ask(self, request: Request) -> None:
        assert self._link is not None
        self._link.ask(request)
        # several steps, each bounded by the time-out in the session; beyond that it hangs
        self._task = _Task(request, time.monotonic() + 2 * self._settings.timeout)

    def _take(self, answer: Answer) -> None:
        """Believe what a session says of its position, and note it in the archive."""
        assert self._task is not None
        request, self._task = self._task.request, None
        if isinstance(answer, Failed):
            if answer.trouble == "refused":
                self.close()
                raise FollowerError(f"substreams cannot be sent to Kafka: {answer.text}")
            self._fail(answer.text)
            return
        self._position = self._fitting(answer.position) if isinstance(request, Open) else (answer.position or self._position)
        if isinstance(request, Delivery):
            self._recover()
        self._archive.record_follower(self.name, self._position.commit, self._position.checksum, self._position.undeliverable)

    def _recover(self) -> None:
        """Note that a delivery went through."""
        if self._trouble:
            self._say("substreams are sent to Kafka again")
        self._trouble, self._failures, self._most_commits = "", 0, min(COMMITS_AT_ONCE, 2 * self._most_commits)

    def _fitting(self, found: Position | None) -> Position:
        """Prove that the position in Kafka fits the archive."""
        copy, topic = self._copy(), self._settings.positions
        if found is None:
            if copy.checksum:
                raise self._stop(
                    f"the topic {topic} says nothing of {self._settings.name!r}, but commits up to {copy.commit} were delivered; "
                    "bring the topic back, or set kafka_out.name to a new name, which begins anew"
                )
            return copy
        if found.commit > self._archive.last_commit():
            last = self._archive.last_commit()
            raise self._stop(f"the topic {topic} is at commit {found.commit}, ahead of the archive's {last}; is the archive a copy?")
        if copy.checksum and found.commit < copy.commit:
            raise self._stop(
                f"the topic {topic} is at commit {found.commit}, but commits up to {copy.commit} were delivered: Kafka has lost messages; "
                "set kafka_out.name to a new name, which begins anew"
            )
        if found.commit and self._archive.commit(found.commit).checksum != found.checksum:
            raise self._stop(f"the topic {topic} has delivered another commit {found.commit} than the archive has; is the archive a copy?")
        return found

    def _stop(self, text: str) -> FollowerError:
        self.close()
        return FollowerError(text)

    def _fail(self, text: str) -> None:
        """Give the session up; the next one begins after a pause, with smaller deliveries."""
        if not self._trouble:
            self._say(f"substreams are not sent to Kafka for now: {text}")
        self.close()
        self._trouble = text
        self._try_at = time.monotonic() + min(LONGEST_PAUSE, FIRST_PAUSE * 2**self._failures)
        self._failures, self._most_commits = min(self._failures + 1, 10), max(1, self._most_commits // 2)

    # Messages

    def _next_delivery(self) -> Delivery:
        """Turn the next commits into messages."""
        schemas: dict[bytes, int] = {}
        messages: list[Message] = []
        topics: set[str] = set()
        number, size = self._position.commit, 0
        start = Position(self._archive.id, number, self._archive.commit(number).checksum if number else "")
        newest = self._archive.last_commit()
        last = min(newest, number + self._most_commits)
        while number < last and size < BYTES_AT_ONCE:
            number += 1
            commit = self._archive.commit(number)
            topics |= {topic_name(substream, commit.survey) for substream in commit.selected}
            new = self._messages(commit, schemas)
            size += sum(len(message.value) for message in new)
            messages += new
        reached = Position(self._archive.id, number, self._archive.commit(number).checksum)
        return Delivery(start, reached, tuple(sorted(topics)), tuple(schemas), messages, newest)

    def _messages(self, commit: Commit, schemas: dict[bytes, int]) -> list[Message]:
        """Give what the substreams took in a commit, in the order of its rows."""
        if not any(commit.selected.values()):
            return []
        number, record = commit.number, self._archive.plan(commit.plan_id) if commit.plan_id else PlanRecord({}, {})
        added, versions = record.columns, record.versions
        try:
            rows, packets, taken = self._archive.selections(number)
            messages = messages_of(commit.survey, rows, packets, added, taken, schemas, versions)
            for substream in sorted(name for name, count in commit.selected.items() if count and name not in taken):
                rows, packets = self._archive.selected(number, substream)
                mine = {substream: np.arange(len(packets))}
                messages += messages_of(commit.survey, rows, packets, with_entries(added, rows), mine, schemas, versions)
        except NotFoundError as error:
            advice = "set kafka_out.start to now, under a new kafka_out.name"
            raise FollowerError(f"commit {number} cannot be sent to Kafka any more: {error}; {advice}") from error
        return messages


def messages_of(
    survey: str,
    rows: pa.Table,
    packets: Packets,
    added: Added,
    taken: Mapping[str, NDArray[np.int64]],
    schemas: dict[bytes, int],
    versions: Mapping[str, str],
) -> list[Message]:
    """Give the messages of alerts, substream by substream.

    Parameters
    ----------
    rows, packets
        The alerts, each once.
    taken
        For each substream the rows that it took.
    schemas
        The schemas so far and their numbers; new ones are added.
    versions
        What the packets say of who made them.
    """
    sent = output_packets(rows, packets, added, surveys.registry()[survey], versions)
    keys = [schemas.setdefault(schema, len(schemas)) for schema in sent.schemas]
    alerts = rows["alert_id"].to_pylist()
    objects = rows["object_id"].to_pylist() if "object_id" in rows.column_names else [None] * len(alerts)
    spread = [zlib.crc32(str(alert if name is None else name).encode()) for alert, name in zip(alerts, objects, strict=True)]
    parts = [(spread[row], keys[schema], sent.body(row), alerts[row]) for row, schema in enumerate(sent.schema.tolist())]
    return [Message(topic_name(name, survey), *parts[row]) for name in sorted(taken) for row in taken[name].tolist()]
