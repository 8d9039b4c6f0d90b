"""Years of a survey as a model: objects over the whole sky, the visits of each field, and which visit sees which object.

Whether a visit sees an object, and what it measures, follows from the numbers of the two alone. So the alerts of an object, or of
a visit, can be made anywhere and in any order, and are the same each time: nothing has to be sorted or kept.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from cdshealpix.nested import healpix_to_lonlat
from numba import njit
from numpy.typing import NDArray

from fink.archive.keys import PIXEL_ORDER, SKY_ORDER
from fink.sky import galactic, utc_to_tai

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

OBJECT_SIGHTINGS = 10.0
"""Alerts of an object, on average; half of the objects are seen once or twice, one in eight most of the time."""

FIELD_ORDER = 4
"""HEALPix order of the fields: 13 square degrees."""

ALERTS_IN_NIGHT = 250_000
"""Alerts of a night, on average; a small archive has fewer, so that its objects have several nights too."""

SOUTH = -28.0
"""Declination below which no field is visited [deg]."""

EVERY = 3
"""Nights from one visit of a field to the next, which has two exposures: g, then r."""

WINDOW = 30.0
"""Days before an alert of which its packet says whether the object was seen."""

FIRST_MJD = 60310.0
"""The first night, 2024-01-01."""

_INSIDE = 2 * (PIXEL_ORDER - FIELD_ORDER)


@dataclass(frozen=True)
class SurveyYears:
    """Objects, in the order of their keys (pixel, then name), and visits, in the order of time.

    Parameters
    ----------
    name
        (n,) number that an object's name is made of.
    ra, dec
        (n,) where its first alert is [deg].
    kind
        (n,) 0: seen once or twice; 1: for a while; 2: most of the time.
    found, chance
        (n,) the visit that discovers it, and the chance that a later one sees it, in units of 2**-32.
    mag
        (n,) its brightness.
    objects
        (f + 1,) first object of each field.
    visit_field, visit_night, visit_band, visit_mjd
        (v,) field (among those that have any visit), night, band and time of each visit.
    before
        (v,) the visit of the same field before, -1 where it is longer ago than `WINDOW`.
    """

    name: Integers
    ra: Floats
    dec: Floats
    kind: NDArray[np.int8]
    found: NDArray[np.int32]
    chance: NDArray[np.uint32]
    mag: NDArray[np.float32]
    objects: Integers
    visit_field: NDArray[np.int32]
    visit_night: NDArray[np.int32]
    visit_band: NDArray[np.int8]
    visit_mjd: Floats
    before: NDArray[np.int32]

    @classmethod
    def of(cls, alerts: int, nights: int | None = None) -> Self:
        """Make about so many alerts, of a tenth as many objects; in so many nights, else as many as fill them."""
        rng = np.random.default_rng(1)
        centres, visits = _visits(nights or min(max(alerts // ALERTS_IN_NIGHT, 60), 3000))
        counts = np.bincount(visits["visit_field"], minlength=len(centres))
        pixel, ra, dec = _positions(max(int(alerts / OBJECT_SIGHTINGS), 20), centres, rng)
        n = len(pixel)
        letters = letters_of(np.arange(n, dtype=np.int64))
        order = np.lexsort((letters, pixel))
        field = np.searchsorted(centres, pixel >> _INSIDE)
        objects = np.concatenate([[0], np.cumsum(np.bincount(field, minlength=len(centres)))])
        kind = np.searchsorted([0.55, 0.88], rng.random(n)).astype(np.int8)
        place, chance = _discoveries(kind, counts[field], rng)
        by_field = np.argsort(visits["visit_field"], kind="stable")
        first = np.concatenate([[0], np.cumsum(counts)])
        found = by_field[first[field] + place].astype(np.int32)
        mag = (20.8 - 3.3 * rng.random(n) ** 2.5).astype(np.float32)
        return cls(letters[order], ra[order], dec[order], kind, found, chance, mag, objects, before=_before(visits), **visits)

    @property
    def n_nights(self) -> int:
        """Number of nights with visits."""
        return int(self.visit_night[-1]) + 1

    def save(self, folder: Path) -> None:
        """Write the arrays into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for each in fields(self):
            np.save(folder / f"{each.name}.npy", getattr(self, each.name))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the arrays where they lie, so that several processes hold them once."""
        return cls(**{each.name: np.load(folder / f"{each.name}.npy", mmap_mode="r") for each in fields(cls)})

    def seen_by_visits(self) -> Integers:
        """Count the objects that each visit sees, (v,)."""
        return np.asarray(seen_by_visits(self.found, self.chance, self.objects, self.visit_field))


def letters_of(numbers: Integers) -> Integers:
    """Give the number that each object's name is made of, distinct for numbers below 26**7; names tell nothing of the place."""
    return numbers * 3_141_592_653 % 26**7


def _visits(n_nights: int) -> tuple[Integers, dict[str, Any]]:
    """Give the fields that are visited (as pixels, in order), and the visits: of each night those fields that are up and due."""
    pixels = np.arange(12 * 4**FIELD_ORDER)
    lon, lat = healpix_to_lonlat(pixels, FIELD_ORDER)
    ra, dec = lon.deg, lat.deg
    nights, seen = [], []
    for number in range(n_nights):
        away = (ra - (number / 365.25 * 360.0 + 100.0) + 180.0) % 360.0 - 180.0
        up = np.flatnonzero((dec > SOUTH) & ((np.abs(away) < 75.0) | (dec > 70.0)) & (pixels % EVERY == number % EVERY))
        # west to east, as the fields rise
        seen.append(up[np.argsort(away[up], kind="stable")])
        nights.append(np.full(2 * len(up), number, np.int32))
    visited = np.unique(np.concatenate(seen))
    field = np.concatenate([np.concatenate([up, up]) for up in seen])
    night = np.concatenate(nights)
    band = np.concatenate([np.repeat(np.array([0, 1], np.int8), len(up)) for up in seen])
    starts = np.searchsorted(night, night)
    counts = np.bincount(night)[night]
    mjd = utc_to_tai(FIRST_MJD + night + 0.12 + 0.38 * (np.arange(len(night)) - starts) / counts)
    return visited, {
        "visit_field": np.searchsorted(visited, field).astype(np.int32),
        "visit_night": night,
        "visit_band": band,
        "visit_mjd": mjd,
    }


def _positions(n: int, fields: Integers, rng: np.random.Generator) -> tuple[Integers, Floats, Floats]:
    """Place objects: half of them evenly, half along the Galaxy and towards its centre; give their pixels, in order, and positions."""
    pixels = ((fields[:, None] << _INSIDE) + np.arange(1 << _INSIDE)).ravel()
    lon, lat = healpix_to_lonlat(pixels, PIXEL_ORDER)
    longitude, latitude = galactic(lon.deg, lat.deg)
    centre = np.hypot((longitude + 180.0) % 360.0 - 180.0, 2.0 * latitude)
    plane = np.exp(-np.abs(latitude) / 8.0) * (1.0 + 3.0 * np.exp(-((centre / 30.0) ** 2)))
    weight = 0.5 / len(pixels) + 0.5 * plane / plane.sum()
    pixel = np.repeat(pixels, rng.multinomial(n, weight / weight.sum()))
    inside = 2 * (SKY_ORDER - PIXEL_ORDER)
    lon, lat = healpix_to_lonlat((pixel << inside) + rng.integers(0, 1 << inside, n), SKY_ORDER)
    return pixel, lon.deg, lat.deg


def _discoveries(kind: NDArray[np.int8], visits: Integers, rng: np.random.Generator) -> tuple[Integers, NDArray[np.uint32]]:
    """Give which visit of its field discovers each object, and the chance of later ones; the mean is `OBJECT_SIGHTINGS`."""
    latest = np.choose(kind, [visits, np.maximum(visits // 2, 1), np.minimum(visits, 5)])
    place = (rng.random(len(kind)) * latest).astype(np.int64)
    chance = np.choose(kind, [1.5 / visits, 12.0 / visits, 0.35])
    later = visits - 1 - place
    low, high = 0.0, 50.0
    for _ in range(40):
        middle = 0.5 * (low + high)
        mean = 1.0 + (np.minimum(chance * middle, 0.95) * later).mean()
        low, high = (middle, high) if mean < OBJECT_SIGHTINGS else (low, middle)
    return place, (np.minimum(chance * low, 0.95) * 2.0**32).astype(np.uint32)


def _before(visits: dict[str, Any]) -> NDArray[np.int32]:
    """Give the visit of the same field before each, -1 where there is none within `WINDOW`."""
    order = np.lexsort((visits["visit_mjd"], visits["visit_field"]))
    field, mjd = visits["visit_field"][order], visits["visit_mjd"][order]
    near = np.concatenate([[False], (field[1:] == field[:-1]) & (mjd[1:] - mjd[:-1] < WINDOW)])
    before = np.full(len(order), -1, np.int32)
    before[order] = np.where(near, np.roll(order, 1), -1)
    return before


@njit(cache=True, nogil=True)
def mixed(a: Any, b: Any) -> Any:
    """Mix two numbers into 64 bits that look random (the finaliser of SplitMix64)."""
    x = np.uint64(a) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(b) * np.uint64(0xC2B2AE3D27D4EB4F)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True, nogil=True)
def _sees(one: int, visit: int, found: Any, chance: Any) -> bool:
    """Whether a visit sees an object."""
    if visit <= found[one]:
        return bool(visit == found[one])
    return bool((mixed(one, visit) >> np.uint64(32)) < np.uint64(chance[one]))


@njit(cache=True, nogil=True)
def mixed_all(a: Any, b: Any) -> Any:
    """Mix numbers pairwise (n,)."""
    out = np.empty(len(a), np.uint64)
    for i in range(len(a)):
        out[i] = mixed(a[i], b[i])
    return out


@njit(cache=True, nogil=True)
def sees_all(objects: Any, visits: Any, found: Any, chance: Any) -> Any:
    """Whether each visit sees the object at the same place (n,); visit -1 sees nothing."""
    out = np.zeros(len(objects), np.bool_)
    for i in range(len(objects)):
        out[i] = visits[i] >= 0 and _sees(objects[i], visits[i], found, chance)
    return out


@njit(cache=True, nogil=True)
def seen_by_visits(found: Any, chance: Any, objects: Any, visit_field: Any) -> Any:
    """Count the objects that each visit sees."""
    counts = np.zeros(len(visit_field), np.int64)
    for visit in range(len(visit_field)):
        field = visit_field[visit]
        for one in range(objects[field], objects[field + 1]):
            counts[visit] += _sees(one, visit, found, chance)
    return counts


@njit(cache=True, nogil=True)
def alerts_of_visits(first: int, last: int, n: int, found: Any, chance: Any, objects: Any, visit_field: Any, past: Any) -> Any:
    """Give the ``n`` alerts of the visits ``first`` to ``last``, in order: object, visit, place in the visit, earlier alerts.

    ``past`` (one for each object) counts the alerts so far, and is brought up to date.
    """
    one_of, visit_of = np.empty(n, np.int64), np.empty(n, np.int64)
    place_of, past_of = np.empty(n, np.int64), np.empty(n, np.int64)
    i = 0
    for visit in range(first, last):
        field, place = visit_field[visit], 0
        for one in range(objects[field], objects[field + 1]):
            if _sees(one, visit, found, chance):
                one_of[i], visit_of[i], place_of[i], past_of[i] = one, visit, place, past[one]
                past[one] += 1
                place += 1
                i += 1
    return one_of, visit_of, place_of, past_of


@njit(cache=True, nogil=True)
def alerts_of_objects(
    first: int, last: int, field: int, found: Any, chance: Any, visits: Any, visits_of: Any, objects: Any, so_far: Any
) -> Any:
    """Give the alerts of the objects ``first`` to ``last``, in order: object, visit, place in the visit, earlier alerts.

    ``visits`` and ``visits_of`` (offsets) are the visits of each field, of which ``field`` is the first object's; ``so_far`` (one for
    each visit) counts the alerts of earlier objects, and is brought up to date.
    """
    one_of, visit_of, place_of, past_of = [0][:0], [0][:0], [0][:0], [0][:0]
    for one in range(first, last):
        while one >= objects[field + 1]:
            field += 1
        past = 0
        for v in range(visits_of[field], visits_of[field + 1]):
            visit = visits[v]
            if _sees(one, visit, found, chance):
                one_of.append(one)
                visit_of.append(visit)
                place_of.append(so_far[visit])
                past_of.append(past)
                so_far[visit] += 1
                past += 1
    return np.array(one_of), np.array(visit_of), np.array(place_of), np.array(past_of)
