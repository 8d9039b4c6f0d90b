"""Users' own substreams: data and never code. A condition, places on the sky (a watchlist or an area), or both.

A definition has a version: an edit makes the next one, and every commit names the versions that it selected with. Definitions
are kept in the user state; a run compiles those that are on.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, Self

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from fink.columns import Column
from fink.conditions import Condition, parse_condition
from fink.errors import ConditionError

Kind = Literal["filter", "watchlist", "area"]
"""What a substream was made of: a condition alone, a list of positions, or an area of the sky."""

EVERYTHING = "TRUE"
"""The condition that takes every alert."""

ENTRY_COLUMNS: tuple[Column, ...] = (
    Column("entry", pa.string(), "", "meta.id;src", "Name of the nearest entry of the watchlist that the alert lies within"),
    Column("entry_separation", pa.float32(), "arcsec", "pos.angDistance", "Distance to that entry"),
)
"""What a watchlist says of an alert that it took, beside the alert's own columns."""

_NAME = re.compile(r"[a-z][a-z0-9_]{2,63}\Z")
_RESERVED = ("fink_", "ftransfer_", "fxmatch_")


class Places(Protocol):
    """Somewhere on the sky: a list of positions, or an area."""

    def match(self, ra: NDArray[np.float64], dec: NDArray[np.float64]) -> tuple[NDArray[np.bool_], pa.Table | None]:
        """Say which positions [deg] lie there, (n,), and of which entry, where there are entries: n rows of `ENTRY_COLUMNS`."""


@dataclass(frozen=True)
class UserSubstream:
    """One version of a substream that a user defined.

    Parameters
    ----------
    name, owner, version
        Its name, which is that of its topic and feed; who may change it; 1, 2, 3…
    about
        What it holds, in one sentence.
    where
        A condition in the language of `fink.conditions`.
    surveys
        The surveys it applies to; none means all.
    most_per_night
        Alerts that it may take in a night before it is paused.
    kind, places, entries
        What it was made of; identity of its positions or area, and how many there are; empty and 0 for a condition alone.
    """

    name: str
    owner: str
    version: int
    about: str
    where: str = EVERYTHING
    surveys: tuple[str, ...] = ()
    most_per_night: int = 20_000
    kind: Kind = "filter"
    places: str = ""
    entries: int = 0

    def to_bytes(self) -> bytes:
        """Write the definition as JSON."""
        return orjson.dumps(asdict(self), option=orjson.OPT_SORT_KEYS)

    @classmethod
    def from_bytes(cls, data: bytes | str) -> Self:
        """Read what `to_bytes` wrote."""
        record: dict[str, Any] = orjson.loads(data)
        return cls(**{**record, "surveys": tuple(record["surveys"])})

    @classmethod
    def from_record(cls, record: bytes) -> tuple[Self, str]:
        """Read what `Compiled.record` gave: the definition, and its condition with cuts written out."""
        definition: dict[str, Any] = orjson.loads(record)
        canonical = str(definition.pop("canonical"))
        return cls.from_bytes(orjson.dumps(definition)), canonical

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that its places need."""
        return ("ra", "dec") if self.places else ()


@dataclass(frozen=True)
class Compiled:
    """A user's substream, ready for a batch: with its condition checked and its places opened."""

    substream: UserSubstream
    condition: Condition
    places: Places | None

    @property
    def record(self) -> bytes:
        """What it selects and for whom, in full, cuts written out: what a commit's plan names by `identity`."""
        return orjson.dumps(
            {"canonical": self.condition.canonical(), **orjson.loads(self.substream.to_bytes())}, option=orjson.OPT_SORT_KEYS
        )

    @property
    def identity(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the record."""
        return hashlib.sha256(self.record).hexdigest()[:16]

    @property
    def columns(self) -> frozenset[str]:
        """The columns that it reads."""
        return self.condition.columns | {*self.substream.reads}

    def applies_to(self, survey: str) -> bool:
        """Say whether it looks at the alerts of a survey."""
        return not self.substream.surveys or survey in self.substream.surveys

    def narrowed(self, mask: NDArray[np.bool_], table: pa.Table) -> tuple[NDArray[np.bool_], pa.Table | None]:
        """Keep of the alerts that the condition takes, (n,), those that lie in its places."""
        if self.places is None or not mask.any():
            return mask, None
        rows = np.flatnonzero(mask)
        part = table.select(["ra", "dec"]).take(pa.array(rows))
        inside, entries = self.places.match(part["ra"].to_numpy(), part["dec"].to_numpy())
        narrowed = np.zeros(len(mask), np.bool_)
        narrowed[rows[inside]] = True
        if entries is None:
            return narrowed, None
        index = np.full(len(mask), -1, np.int64)
        index[rows] = np.arange(len(rows))
        return narrowed, entries.take(pa.array(index, mask=index < 0))


def check_name(name: str, taken: Mapping[str, object]) -> None:
    """Refuse a name that no topic can have, or that a built-in substream has.

    Raises
    ------
    ConditionError
        If the name cannot be used.
    """
    if not _NAME.match(name):
        raise ConditionError(f"{name!r} cannot be the name of a substream; use 3 to 64 lower-case letters, digits and _, a letter first")
    if name.startswith(_RESERVED):
        raise ConditionError(f"{name} cannot be the name of a substream: names in {', '.join(_RESERVED)} are Fink's own; choose another")
    if name in taken:
        raise ConditionError(f"{name} is the name of a built-in substream; choose another")


def compile_substream(
    substream: UserSubstream, types: Mapping[str, pa.DataType], cuts: Mapping[str, str], places: Places | None = None
) -> Compiled:
    """Check a user's substream against the columns that exist.

    Raises
    ------
    ConditionError
        If its condition does not parse, names what does not exist, or is too long, deep or costly.
    """
    return Compiled(substream, parse_condition(substream.where, types, cuts), places)
