"""A commit: what one batch did. The archive applies commits whole or not at all; whatever leaves is re-sent from them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

if TYPE_CHECKING:
    # kept out of the small process that sends to Kafka
    from fink.lightcurves import LightCurves
    from fink.tables import Cutouts, Packets

UNKNOWN_NIGHT = 0
"""The bucket of what cannot be read far enough to know its night."""


@dataclass(frozen=True)
class Quarantined:
    """An item that is no readable alert of a known survey, kept with its reason.

    Parameters
    ----------
    source, position
        Where it came from: the name of the file (or topic), and the place in it, in words.
    reason
        Why it cannot be archived.
    body
        Its bytes; those of a record in a container with the container's header, so that they can be read again.
    survey, night
        As far as known: empty and `UNKNOWN_NIGHT` where not.
    """

    source: str
    position: str
    reason: str
    body: bytes
    survey: str = ""
    night: int = UNKNOWN_NIGHT

    @property
    def identity(self) -> str:
        """SHA-256 of the bytes: what makes two quarantined items the same."""
        return hashlib.sha256(self.body).hexdigest()


@dataclass(frozen=True)
class Counts:
    """How many items one batch, source or night received, and what became of each."""

    received: int = 0
    archived: int = 0
    quarantined: int = 0
    duplicate: int = 0
    late: int = 0

    @property
    def balanced(self) -> bool:
        """Whether each item received is archived, quarantined or a duplicate (late ones are archived)."""
        return self.received == self.archived + self.quarantined + self.duplicate

    def __add__(self, other: Self) -> Self:
        return type(self)(**{name: value + getattr(other, name) for name, value in asdict(self).items()})


@dataclass(frozen=True)
class ModuleCounts:
    """On how many alerts a module ran, gave nothing, or failed, and for how long [s]."""

    run: int = 0
    null: int = 0
    failed: int = 0
    seconds: float = 0.0

    def __add__(self, other: Self) -> Self:
        return type(self)(**{name: value + getattr(other, name) for name, value in asdict(self).items()})


@dataclass(frozen=True)
class Outcome:
    """What the engine made of one batch, ready to be applied; all alerts are of one survey and one night.

    Parameters
    ----------
    survey, night
        Of every alert in it; empty and `UNKNOWN_NIGHT` where the batch holds only quarantined items.
    source
        Name of the source, for the ledger.
    alerts
        ``n`` rows with every column of the plan.
    points
        The points that the packets carried (not those from the archive), ``n`` light curves.
    packets, cutouts
        The ``n`` records, and where their stamps lie.
    selections
        For each substream the rows that it took, (n,) bool.
    quarantined
        Items that could not be read.
    progress
        What the source wants to find again after a restart: keys and values, written with the commit.
    modules
        What each module did.
    plan_id
        Identity of the plan (see `PlanRecord`) that made the columns.
    released
        Identities of quarantined items that can be read now: they leave the quarantine, and what they hold is in ``alerts``.
    entries
        For each substream that says why it took an alert: ``n`` rows of what it says, as the nearest entry of a watchlist.
    """

    survey: str
    night: int
    source: str
    alerts: pa.Table
    points: LightCurves
    packets: Packets
    cutouts: Cutouts
    selections: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    quarantined: tuple[Quarantined, ...] = ()
    progress: Mapping[bytes, bytes] = field(default_factory=dict)
    modules: Mapping[str, ModuleCounts] = field(default_factory=dict)
    plan_id: str = ""
    released: tuple[str, ...] = ()
    entries: Mapping[str, pa.Table] = field(default_factory=dict)

    @property
    def received(self) -> int:
        """Items in the batch: alerts and unreadable ones."""
        return int(self.alerts.num_rows) + len(self.quarantined)


@dataclass(frozen=True)
class SegmentSpan:
    """Where a commit's part of a segment file lies: bytes ``start`` to ``end`` of ``name``."""

    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Commit:
    """The record of an applied batch, as the index keeps it under its number.

    Parameters
    ----------
    number
        1, 2, 3… without gaps.
    survey, night, source, plan_id
        Of the batch.
    counts
        What was received, archived, quarantined and found to be a duplicate.
    modules
        What each module did.
    selected
        How many alerts each substream took.
    segments
        What it wrote, by kind: ``rows``, ``points``, ``packets``, ``selected``.
    checksum
        SHA-256 over the archived rows, selections and packets' identities, chained to the commit before.
    """

    number: int
    survey: str
    night: int
    source: str
    plan_id: str
    counts: Counts
    modules: Mapping[str, ModuleCounts]
    selected: Mapping[str, int]
    segments: Mapping[str, SegmentSpan]
    checksum: str

    def to_bytes(self) -> bytes:
        """Write the record as JSON."""
        return orjson.dumps(asdict(self))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote."""
        record: dict[str, Any] = orjson.loads(data)
        record["counts"] = Counts(**record["counts"])
        record["modules"] = {name: ModuleCounts(**value) for name, value in record["modules"].items()}
        record["segments"] = {kind: SegmentSpan(**value) for kind, value in record["segments"].items()}
        return cls(**record)


@dataclass(frozen=True)
class FollowerPosition:
    """The last commit that a follower delivered, and that commit's checksum.

    Parameters
    ----------
    undeliverable
        How many alerts it could not deliver and never will, by what they were for.
    """

    commit: int
    checksum: str
    undeliverable: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class PlanRecord:
    """What a plan was made of, so that followers encode with it after an upgrade too, and a replay can repeat it.

    Parameters
    ----------
    columns
        For each added column its name and Arrow type, in the order of the output packet.
    modules
        Version of each module.
    filters
        Condition of each substream.
    artifacts
        Version of each map, catalogue and model that modules read.
    users
        Identity of the version of each user's substream that was on (see `fink.filters.users`).
    fink
        Version of Fink itself; empty in records of before it was kept.
    """

    columns: Mapping[str, str]
    modules: Mapping[str, str]
    filters: Mapping[str, str] = field(default_factory=dict)
    artifacts: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict)
    fink: str = ""

    def to_bytes(self) -> bytes:
        """Write the record as JSON, keys sorted, so that equal plans have equal bytes; columns keep their order."""
        record = {"columns": list(self.columns.items()), "modules": self.modules, "filters": self.filters, "artifacts": self.artifacts}
        # left out where there are none, so that such plans keep the identity that they had before users had substreams
        record |= {"users": self.users} if self.users else {}
        record |= {"fink": self.fink} if self.fink else {}
        return orjson.dumps(record, option=orjson.OPT_SORT_KEYS)

    @property
    def identity(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the record."""
        return hashlib.sha256(self.to_bytes()).hexdigest()[:16]

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote."""
        record = orjson.loads(data)
        return cls(
            dict(record["columns"]),
            record["modules"],
            record["filters"],
            record.get("artifacts", {}),
            record.get("users", {}),
            record.get("fink", ""),
        )

    @property
    def versions(self) -> dict[str, str]:
        """What packets say of who made them: Fink's version, and one that changes with any module, map, catalogue or model."""
        if not self.fink:
            return {}
        science = orjson.dumps([self.modules, self.artifacts], option=orjson.OPT_SORT_KEYS)
        digest = hashlib.sha256(science).hexdigest()[:8]
        return {"fink_broker_version": self.fink, "fink_science_version": f"{self.fink}+{digest}"}

    @property
    def standing(self) -> Self:
        """The same without the users' substreams: what is the same for every commit of a run."""
        return replace(self, users={})
