"""Which sources lie at these places of the sky: the nearest, or all, exactly, whatever else is asked for.

Sources are kept in the order of their HEALPix number, with a table that says where each pixel's sources begin; both may be mapped
from a file. A circle touches at most four pixels of a suitable size (`fink.catalogs.covering`), whose sources are compared one by one.
Sources that must be looked for farther away (with a large radius of their own, or fast) are kept apart, in tiers, so that the
many others are found in small circles.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fink.catalogs.kernel import DEEPEST, search
from fink.errors import CatalogueError
from fink.sky import healpix

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_YEARS_AHEAD = 20.0
"""Years of proper motion that decide in which tier a source is kept; answers do not depend on it."""

_PER_PIXEL, _FINEST_TABLE = 8, 13
"""Sources in a pixel of the table, on average, and its finest order."""


@dataclass(frozen=True)
class Matches:
    """Pairs of a position that was asked for and a source; ``m`` of them, ordered by position, then nearest first.

    Parameters
    ----------
    position, source
        (m,) row among the positions, row among the sources.
    separation
        (m,) angle between them [arcsec], with the source where it is at the time asked for.
    fraction
        (m,) separation over the largest that would still match in this direction, from 0 to 1.
    """

    position: Ints
    source: Ints
    separation: Floats
    fraction: Floats

    def __len__(self) -> int:
        return len(self.position)


@dataclass(frozen=True)
class Tier:
    """Sources that are looked for equally far away.

    Parameters
    ----------
    order
        HEALPix order of its table.
    start
        Where its part of the table of offsets begins.
    reach
        Largest radius of its sources [arcsec]; 0 where they have none of their own.
    motion
        Largest proper motion of its sources [mas / yr].
    """

    order: int
    start: int
    reach: float
    motion: float


@dataclass(frozen=True)
class SkyIndex:
    """Sources that can be matched; made by `SkyIndex.build` in memory, or mapped from the files of a catalogue.

    Parameters
    ----------
    positions
        (n, 2) right ascension and declination, ICRS [deg], by tier and HEALPix number.
    offsets
        For each pixel of each tier's table the row of its first source, with one more entry at the end of each table.
    tiers
        In order.
    motion
        (n, 2) proper motion in right ascension (times cos dec) and declination [mas / yr]; (0, 2) where none is known.
    shape
        (n, 3) semi-major axis [arcsec], axis ratio, and position angle [deg, north through east] of the ellipse inside which
        a position matches the source; (0, 3) where all sources are matched within a radius that is asked for.
    epoch
        Julian year of the positions.
    rows
        (n,) rows as they were given, where the order is another; None where it is not.
    elliptical
        Whether the best match is that with the smallest fraction, as for galaxies, rather than the smallest separation.
    """

    positions: Floats
    offsets: Ints
    tiers: tuple[Tier, ...]
    motion: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    shape: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 3), np.float32))
    epoch: float = 2000.0
    rows: Ints | None = None
    elliptical: bool = False

    def __len__(self) -> int:
        return len(self.positions)

    @classmethod
    def build(
        cls,
        ra: ArrayLike,
        dec: ArrayLike,
        *,
        radius: ArrayLike | None = None,
        axis_ratio: ArrayLike | None = None,
        position_angle: ArrayLike | None = None,
        pm_ra: ArrayLike | None = None,
        pm_dec: ArrayLike | None = None,
        epoch: float = 2000.0,
    ) -> Self:
        """Sort sources in memory: a million in about a third of a second.

        Parameters
        ----------
        ra, dec
            (n,) positions, ICRS [deg].
        radius
            (n,) or one, each source's own radius, or semi-major axis [arcsec]; without it a radius is given to `match`.
        axis_ratio, position_angle
            (n,) of ellipses [-, deg from north through east].
        pm_ra, pm_dec
            (n,) proper motion, in right ascension times cos dec [mas / yr]; NaN is none.
        epoch
            Julian year of the positions.

        Raises
        ------
        CatalogueError
            If a position is not on the sky, or a radius is negative or no number.
        """
        if radius is None and (axis_ratio is not None or position_angle is not None):
            raise CatalogueError("an ellipse needs its semi-major axis; give it as radius")
        positions = np.column_stack([np.asarray(ra, np.float64), np.asarray(dec, np.float64)])
        n = len(positions)
        motion = _columns(n, (pm_ra, pm_dec), (0.0, 0.0))
        shape = (
            _columns(n, (radius, axis_ratio, position_angle), (np.nan, 1.0, 0.0)) if radius is not None else np.zeros((0, 3), np.float32)
        )
        cells = healpix(DEEPEST, positions[:, 0], positions[:, 1])
        check_sources(cells, shape)
        tier = tier_numbers(n, shape, motion)
        order = np.lexsort((cells, tier))
        tiers, offsets = build_tables(cells[order], tier[order], *(part[order] if len(part) else part for part in (shape, motion)))
        motion, shape = (part[order] if len(part) else part for part in (motion, shape))
        return cls(positions[order], offsets, tiers, motion, shape, epoch, order, axis_ratio is not None)

    def match(
        self, ra: ArrayLike, dec: ArrayLike, *, radius: ArrayLike | None = None, mjd: ArrayLike | None = None, nearest: bool = True
    ) -> Matches:
        """Find the nearest source of each position, or all sources near each.

        Parameters
        ----------
        ra, dec
            (n,) positions, ICRS [deg]; one that is not finite matches nothing.
        radius
            (n,) or one, largest separation [arcsec]; needed where sources have no radius of their own, not allowed where they have.
        mjd
            (n,) or one, time to which sources are moved; without it they are where the catalogue has them.
        nearest
            Give the best source of each position only; of equally good ones the one whose place on the sky comes first.

        Raises
        ------
        CatalogueError
            If a radius is missing or given twice.
        """
        ra, dec = (np.atleast_1d(np.ascontiguousarray(x, np.float64)) for x in (ra, dec))
        if (radius is None) != (len(self.shape) > 0) and len(self):
            remedy = "give none" if len(self.shape) else "give one"
            raise CatalogueError(f"the sources of this index have {'' if len(self.shape) else 'no '}radii of their own; {remedy} to match")
        radii = np.ascontiguousarray(np.broadcast_to(np.asarray(0.0 if radius is None else radius, np.float64), ra.shape))
        years = np.zeros(len(ra))
        if mjd is not None and len(self.motion):
            julian_year = 2000.0 + (np.asarray(mjd, np.float64) - 51544.5) / 365.25
            years = np.ascontiguousarray(np.broadcast_to(julian_year - self.epoch, ra.shape))
        return self._ordered(self._search(ra, dec, radii, years, nearest), nearest)

    def _search(self, ra: Floats, dec: Floats, radii: Floats, years: Floats, nearest: bool) -> Matches:
        tiers = (
            np.array([tier.order for tier in self.tiers], np.int64),
            np.array([tier.start for tier in self.tiers], np.int64),
            np.array([tier.reach for tier in self.tiers], np.float64),
            np.array([tier.motion for tier in self.tiers], np.float64),
        )
        room = len(ra) if nearest else 2 * len(ra) + 16
        while True:
            pairs, measures = np.empty((room, 2), np.int64), np.empty((room, 2))
            by = nearest, self.elliptical
            found = search(ra, dec, radii, years, self.positions, self.motion, self.shape, self.offsets, *tiers, *by, pairs, measures)
            if found <= room:
                return Matches(pairs[:found, 0], pairs[:found, 1], measures[:found, 0], measures[:found, 1])
            room = found

    def _ordered(self, found: Matches, nearest: bool) -> Matches:
        """Put the pairs of each position in order of their nearness, and give the rows as they were given."""
        if not nearest:
            rank = found.fraction if self.elliptical else found.separation
            order = np.lexsort((found.source, rank, found.position))
            found = Matches(found.position[order], found.source[order], found.separation[order], found.fraction[order])
        if self.rows is None:
            return found
        return Matches(found.position, self.rows[found.source], found.separation, found.fraction)


def _columns(n: int, given: tuple[ArrayLike | None, ...], default: tuple[float, ...]) -> NDArray[np.float32]:
    """Join columns that may be missing, (n, k); (0, k) where all are. A single value stands for all rows, NaN for the default."""
    if all(values is None for values in given):
        return np.zeros((0, len(given)), np.float32)
    filled = [np.broadcast_to(np.asarray(fill if v is None else v, np.float32), (n,)) for v, fill in zip(given, default, strict=True)]
    return np.column_stack([np.where(np.isnan(v), np.float32(fill), v) for v, fill in zip(filled, default, strict=True)])


def check_sources(cells: Ints, shape: NDArray[np.float32]) -> None:
    """Refuse sources that have no place on the sky, or a shape that is none.

    Raises
    ------
    CatalogueError
        With the row of the first that is refused.
    """
    wrong = np.flatnonzero(cells < 0)
    if len(wrong):
        raise CatalogueError(f"source {wrong[0]} has no position on the sky; leave out such rows ({len(wrong)} of {len(cells)})")
    wrong = np.flatnonzero(~((shape[:, 0] >= 0) & (shape[:, 1] > 0) & (shape[:, 1] <= 1))) if len(shape) else wrong
    if len(wrong):
        size, ratio, _ = shape[wrong[0]].tolist()
        raise CatalogueError(
            f"source {wrong[0]} has the radius {size} and the axis ratio {ratio}; give a radius >= 0 and a ratio from 0 to 1"
        )


def tier_numbers(n: int, shape: NDArray[np.float32], motion: NDArray[np.float32]) -> NDArray[np.int8]:
    """Say for each source how far away it must be looked for: tier ``k`` holds those to be found within 4 ** (k + 1) arcsec, (n,)."""
    reach = np.zeros(n)
    if len(shape):
        reach += shape[:, 0]
    if len(motion):
        reach += np.hypot(motion[:, 0], motion[:, 1]) * (_YEARS_AHEAD * 1e-3)
    tier: NDArray[np.int8] = np.ceil(np.log(np.maximum(reach, 4.0) / 4.0) / np.log(4.0)).astype(np.int8)
    return tier


def table_order(n: int) -> int:
    """Give the HEALPix order at which ``n`` sources spread over the sky are about eight in a pixel."""
    return int(np.clip(np.round(np.log(max(n, 1) / (12 * _PER_PIXEL)) / np.log(4.0)), 0, _FINEST_TABLE))


def build_tables(
    cells: Ints, tier: NDArray[np.int8], shape: NDArray[np.float32], motion: NDArray[np.float32]
) -> tuple[tuple[Tier, ...], Ints]:
    """Say where the sources of each pixel begin.

    Parameters
    ----------
    cells, tier, shape, motion
        (n,) HEALPix numbers of order 29 and tiers of the sources, in order, with their shapes and proper motions.
    """
    tiers, tables, start = [], [], 0
    for number in np.unique(tier):
        first, last = np.searchsorted(tier, [number, number + 1])
        order = table_order(last - first)
        edges = np.arange((12 << (2 * order)) + 1, dtype=np.int64) << (2 * (DEEPEST - order))
        tables.append(first + np.searchsorted(cells[first:last], edges))
        reach = float(shape[first:last, 0].max()) if len(shape) else 0.0
        fastest = float(np.hypot(motion[first:last, 0], motion[first:last, 1]).max()) if len(motion) else 0.0
        tiers.append(Tier(order, start, reach, fastest))
        start += len(edges)
    return tuple(tiers), np.concatenate(tables) if tables else np.zeros(0, np.int64)
