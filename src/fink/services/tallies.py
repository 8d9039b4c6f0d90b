"""Counts of whole nights by class and by place, from the lake: each night is counted once, and again when it has grown."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fink.archive.embedded import EmbeddedArchive
from fink.archive.sql import query
from fink.services.trials import ROWS
from fink.sky import healpix

ORDER = 5
"""HEALPix order of the counts by place: pixels of 1.8 degrees."""

AGAIN = 60.0
"""Seconds after which a night that has grown is counted again [s]."""

TOGETHER = 500_000
"""Alerts that are counted in one step."""

CLASS = "fink_class"


@dataclass(frozen=True)
class Tally:
    """What one survey's night holds.

    Parameters
    ----------
    classes
        Alerts by class; under the empty name those that have none.
    sky
        Alerts in each HEALPix pixel of order `ORDER`, nested scheme.
    """

    classes: Mapping[str, int] = field(default_factory=dict)
    sky: NDArray[np.int64] = field(default_factory=lambda: np.zeros(12 << 2 * ORDER, np.int64))

    def __add__(self, other: Tally) -> Tally:
        return Tally(dict(Counter(self.classes) + Counter(other.classes)), self.sky + other.sky)


@dataclass(frozen=True)
class _Counted:
    alerts: int
    when: float
    tally: Tally


class Tallies:
    """Tallies of an archive's nights, kept in memory.

    Parameters
    ----------
    clock
        Gives the time [s].
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[tuple[str, int], _Counted] = {}
        self._lock = Lock()

    def count(self, archive: EmbeddedArchive, nights: Sequence[Mapping[str, Any]], seconds: float) -> int:
        """Count what is due of some nights, the newest first, for so long at most [s]; give how many are still due.

        At least one step is made each time, so that asking again comes to an end.

        Parameters
        ----------
        nights
            ``survey``, ``night`` and ``archived`` of each, as the archive's statistics say.
        """
        due = [night for night in reversed(nights) if self._due(night)]
        began = self._clock()
        while due:
            step, due = _step(due)
            counted = tallies_of(archive, [(night["survey"], night["night"]) for night in step])
            when = self._clock()
            with self._lock:
                for night in step:
                    key = (night["survey"], night["night"])
                    self._known[key] = _Counted(night["archived"], when, counted.get(key, Tally()))
            if when - began > seconds:
                break
        return len(due)

    def _due(self, night: Mapping[str, Any]) -> bool:
        known = self._known.get((night["survey"], night["night"]))
        return known is None or (known.alerts != night["archived"] and self._clock() - known.when > AGAIN)

    def total(self, nights: Sequence[Mapping[str, Any]]) -> Tally:
        """Add up what has been counted of some nights."""
        known = [self._known.get((night["survey"], night["night"])) for night in nights]
        return sum((counted.tally for counted in known if counted is not None), Tally())


def _step(due: list[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Part the nights into those that are counted together and the rest: one at least, and no more alerts than `TOGETHER`."""
    alerts = 0
    for number, night in enumerate(due):
        alerts += night["archived"]
        if number and alerts > TOGETHER:
            return due[:number], due[number:]
    return due, []


def tallies_of(archive: EmbeddedArchive, nights: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Tally]:
    """Count the alerts of some surveys' nights by class and by place."""
    dates, wanted = [night for _, night in nights], ", ".join(f"('{survey}', {int(night)})" for survey, night in nights)
    with archive.connection(ROWS, {survey for survey, _ in nights}, (min(dates), max(dates))) as connection:
        described = query(connection, "DESCRIBE alerts")["column_name"].to_pylist()
        named = f"coalesce({CLASS}, '')" if CLASS in described else "''"
        table = query(connection, f"SELECT survey, night, {named} AS class, ra, dec FROM alerts WHERE (survey, night) IN ({wanted})")
    pixels = pa.array(healpix(ORDER, *(np.ascontiguousarray(table[name].to_numpy()) for name in ("ra", "dec"))))
    keyed = table.select(["survey", "night", "class"]).append_column("pixel", pixels)
    classes = keyed.group_by(["survey", "night", "class"]).aggregate([([], "count_all")]).to_pylist()
    places = keyed.group_by(["survey", "night", "pixel"]).aggregate([([], "count_all")])
    found: dict[tuple[str, int], Tally] = {}
    for night in nights:
        mine = {row["class"]: row["count_all"] for row in classes if (row["survey"], row["night"]) == night}
        here = places.filter(pc.and_(pc.equal(places["survey"], night[0]), pc.equal(places["night"], night[1])))
        found[night] = Tally(mine, np.bincount(here["pixel"].to_numpy(), here["count_all"].to_numpy(), 12 << 2 * ORDER).astype(np.int64))
    return found
