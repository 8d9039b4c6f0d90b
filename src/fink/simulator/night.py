"""What all packets of a survey need to know of the points: which went before an alert, and how often its object was seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fink.codecs.encode import Encodable, Ranges, Values
from fink.simulator.kinds import Floats
from fink.simulator.population import KINDS, Population, Sky


@dataclass(frozen=True)
class Points:
    """The points of a population with what is derived of them once, whatever the alert that mentions them.

    Parameters
    ----------
    sky, population
        Where and of what.
    owner
        (m,) int64, the object of each point.
    mjd
        (m,) middle of the exposure, TAI [d].
    band
        (m,) int64, number of the filter.
    detected
        (m,) which are detections.
    count, first_mjd
        (m,) detections of the object up to this point, and the date of the first of them; NaN where there is none.
    draws
        (3, m) float32 numbers from 0 to 1, from which the small measurements of a point are made.
    """

    sky: Sky
    population: Population
    owner: NDArray[np.int64]
    mjd: Floats
    band: NDArray[np.int64]
    detected: NDArray[np.bool_]
    count: NDArray[np.int64]
    first_mjd: Floats
    draws: NDArray[np.float32]

    def before(self, alerts: NDArray[np.int64], keep: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give, for each alert, the points of its object before it and within the packet's window, where ``keep`` (m,) is true.

        Returns
        -------
        offsets, points
            (n + 1,) and (k,) int64.
        """
        span = 1e6
        key = self.owner * span + self.mjd
        first = np.searchsorted(key, key[alerts] - self.sky.telescope.window)
        first = np.maximum(first, self.population.offsets[self.owner[alerts]])
        kept = np.concatenate(([0], np.cumsum(keep)))
        points = np.flatnonzero(keep)
        low, high = kept[first], kept[alerts]
        offsets = np.concatenate(([0], np.cumsum(high - low))).astype(np.int64)
        return offsets, points[np.arange(offsets[-1]) - np.repeat(offsets[:-1] - low, high - low)]


def derive(sky: Sky, population: Population, seed: int) -> Points:
    """Derive what packets need of the points."""
    owner, detected = population.owners(), population.detected
    mjd = sky.visits.mjd[population.visit]
    seen = np.cumsum(detected)
    start = population.offsets[:-1]
    before = np.concatenate(([0], seen))[start]
    first = np.full(len(population), np.nan)
    which = np.flatnonzero(detected)
    # the last writer wins: from the latest detection to the first
    first[owner[which[::-1]]] = mjd[which[::-1]]
    first = np.where(population.earlier > 0, population.earlier_mjd, first)[owner]
    return Points(
        sky,
        population,
        owner,
        mjd,
        sky.visits.band[population.visit].astype(np.int64),
        detected,
        seen - before[owner] + population.earlier[owner],
        np.where(first <= mjd, first, np.nan),
        np.random.default_rng([seed, 3]).random((3, len(mjd)), np.float32),
    )


def of_kind(population: Population, template: str) -> NDArray[np.bool_]:
    """Say which objects have this in the template: ``star``, ``galaxy`` or ``none``, (n,)."""
    return np.array([kind.template == template for kind in KINDS])[population.kind]


def is_real(population: Population) -> NDArray[np.bool_]:
    """Say which objects are astronomical, (n,)."""
    return np.array([kind.name != "artefact" for kind in KINDS])[population.kind]


class Form(Protocol):
    """The form of a survey's packets: how points become records."""

    background: float
    """Sky in the stamps, in their unit."""

    def alert_ids(self, alerts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Number of each alert, (n,)."""

    def object_ids(self, alerts: NDArray[np.int64]) -> pa.Array:
        """Name of each alert's object, (n,), null for a known body where the survey gives it none."""

    def unit(self, alerts: NDArray[np.int64]) -> Floats:
        """What turns nJy into the unit of the stamps, (n,)."""

    def records(self, alerts: NDArray[np.int64], *, history: bool, limit: NDArray[np.int64] | None = None) -> Encodable:
        """Make the records of these alerts, without the stamps; ``limit`` (n,) bounds the earlier points of each."""

    def with_stamps(self, alerts: NDArray[np.int64], stamps: Mapping[str, Ranges]) -> dict[str, Values]:
        """Give the fields that hold these stamps."""
