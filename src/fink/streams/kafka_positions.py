"""How far a Kafka source has come in each partition, as the archive keeps it with each commit; and what is still to come."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import orjson

POSITIONS, GAPS = b"kafka/", b"gaps/"
"""Beginnings of the keys under which the archive keeps positions, and what was deleted before it was read."""

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Position:
    """How far one partition is archived.

    Parameters
    ----------
    next
        Every message before this offset is in the archive, but for those in ``left``.
    left
        Ranges of offsets, first and behind the last, that were passed over because their night had not begun.
    end
        Where the partition ended when this was written: what lay between was the lag.
    topic_id
        Identity of the topic, empty where the servers give none: a topic that was deleted and made anew has another.
    """

    next: int
    left: Ranges = ()
    end: int = 0
    topic_id: str = ""

    @property
    def first(self) -> int:
        """Offset at which reading goes on."""
        return self.left[0][0] if self.left else self.next

    @property
    def lag(self) -> int:
        """Messages that were still to come, as far as offsets tell."""
        return max(self.end - self.next, 0) + sum(stop - start for start, stop in self.left)

    def wants(self, offset: int) -> bool:
        """Say whether a message is not archived yet."""
        if offset >= self.next:
            return True
        at = bisect_right(self.left, (offset, 1 << 62)) - 1
        return at >= 0 and offset < self.left[at][1]

    def to_bytes(self) -> bytes:
        """Write it as JSON."""
        return orjson.dumps(asdict(self))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote."""
        record = orjson.loads(data)
        return cls(**(record | {"left": tuple((start, stop) for start, stop in record["left"])}))


def runs(offsets: Iterable[int]) -> Ranges:
    """Join ascending offsets to ranges."""
    found: list[tuple[int, int]] = []
    for offset in offsets:
        if found and found[-1][1] == offset:
            found[-1] = (found[-1][0], offset + 1)
        else:
            found.append((offset, offset + 1))
    return tuple(found)


def position_key(cluster: str, topic: str, partition: int) -> bytes:
    """Give the key of a partition's position."""
    return POSITIONS + f"{cluster}/{topic}/{partition:06d}".encode()


@dataclass(frozen=True)
class Gap:
    """Messages that the cluster deleted before they were read: offsets ``first`` to ``last``, both included."""

    cluster: str
    topic: str
    partition: int
    first: int
    last: int

    def entry(self) -> tuple[bytes, bytes]:
        """Give key and value under which the archive keeps it."""
        return GAPS + f"{self.cluster}/{self.topic}/{self.partition:06d}/{self.first:020d}".encode(), orjson.dumps(asdict(self))


@dataclass
class TopicState:
    """What the archive knows of a topic: partitions begun, messages still to come at the last commit of each, and messages lost.

    ``gaps`` says which were lost: deleted by the cluster before they were read.
    """

    topic: str
    partitions: int = 0
    to_come: int = 0
    lost: int = 0
    gaps: list[dict[str, Any]] = field(default_factory=list)


def topic_states(positions: Mapping[bytes, bytes], gaps: Mapping[bytes, bytes]) -> list[dict[str, Any]]:
    """Give the state of each topic that an archive has read, from what it keeps under `POSITIONS` and `GAPS`."""
    states: dict[str, TopicState] = {}
    for key, value in positions.items():
        topic = key[len(POSITIONS) :].decode().split("/")[1]
        state = states.setdefault(topic, TopicState(topic))
        state.partitions += 1
        state.to_come += Position.from_bytes(value).lag
    for value in gaps.values():
        gap = orjson.loads(value)
        state = states.setdefault(gap["topic"], TopicState(gap["topic"]))
        state.lost += gap["last"] - gap["first"] + 1
        state.gaps.append({name: gap[name] for name in ("partition", "first", "last")})
    return [asdict(state) for state in states.values()]
