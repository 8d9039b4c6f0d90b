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
from numpy.typing import NDArray

from fink.archive.embedded import EmbeddedArchive
from fink.sky import healpix

ORDER = 5
"""HEALPix order of the counts by place: pixels of 1.8 degrees."""

AGAIN = 60.0
"""Seconds after which a night that has grown is counted again [s]."""

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

        At least one night is counted each time, so that asking again comes to an end.

        Parameters
        ----------
        nights
            ``survey``, ``night`` and ``archived`` of each, as the archive's statistics say.
        """
        due = [night for night in reversed(nights) if self._due(night)]
        began = self._clock()
        for left, night in enumerate(due):
            if left and self._clock() - began > seconds:
                return len(due) - left
            counted = _Counted(night["archived"], self._clock(), tally_of(archive, night["survey"], night["night"]))
            with self._lock:
                self._known[(night["survey"], night["night"])] = counted
        return 0

    def _due(self, night: Mapping[str, Any]) -> bool:
        known = self._known.get((night["survey"], night["night"]))
        return known is None or (known.alerts != night["archived"] and self._clock() - known.when > AGAIN)

    def total(self, nights: Sequence[Mapping[str, Any]]) -> Tally:
        """Add up what has been counted of some nights."""
        known = [self._known.get((night["survey"], night["night"])) for night in nights]
        return sum((counted.tally for counted in known if counted is not None), Tally())


def tally_of(archive: EmbeddedArchive, survey: str, night: int) -> Tally:
    """Count the alerts of a survey's night by class and by place."""
    classes, sky = Counter[str](), Tally().sky
    for part in archive.alert_columns([CLASS, "ra", "dec"], [survey], (night, night)):
        pixels = healpix(ORDER, *(np.ascontiguousarray(part[name].to_numpy()) for name in ("ra", "dec")))
        sky += np.bincount(pixels[pixels >= 0], minlength=len(sky))
        named = part[CLASS].fill_null("") if CLASS in part.column_names else pa.array([""] * part.num_rows)
        classes.update({each["values"]: each["counts"] for each in named.value_counts().to_pylist()})
    return Tally(dict(classes), sky)
