"""Ragged light curves: the points of many objects in flat arrays, with offsets that say where each begins.

No Python object exists per object or per point. Points are ordered in time within each light curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

DETECTION, FORCED, LIMIT = 0, 1, 2
"""Kinds of point: a detection, forced photometry at the object's place, an upper limit."""

SAME_TIME = 1e-6
"""Two times that differ by less are one exposure [d]."""

AB_ZERO = 31.4
"""Zero point of AB magnitudes for fluxes in nJy."""


@dataclass(frozen=True)
class Band:
    """A filter of a survey.

    Parameters
    ----------
    name
        The survey's name of the filter: ``g``, ``r``…
    survey
        The survey: passbands of one letter differ between surveys.
    wavelength
        Effective wavelength [Angstrom].
    """

    name: str
    survey: str
    wavelength: float


@dataclass(frozen=True)
class LightCurves:
    """The light curves of ``n`` alerts or objects, ``m`` points in all.

    Parameters
    ----------
    offsets
        (n + 1,) int64; points ``offsets[i]:offsets[i + 1]`` belong to light curve ``i``.
    mjd
        (m,) float64, middle of the exposure, TAI [d].
    band
        (m,) int8, index into `bands`.
    kind
        (m,) int8, one of `DETECTION`, `FORCED`, `LIMIT`.
    flux
        (m,) float32, difference flux, signed [nJy]; NaN for a limit.
    flux_err
        (m,) float32, one-sigma error [nJy]; for a limit a fifth of the five-sigma limiting flux.
    total_flux, total_flux_err
        (m,) float32, flux in the science image and its error [nJy]; NaN where unknown.
    point_id
        (m,) int64, the survey's number of the point; 0 where it has none.
    detector
        (m,) int16, detector or read-out channel; -1 where unknown.
    bands
        The filters that `band` counts.
    """

    offsets: NDArray[np.int64]
    mjd: NDArray[np.float64]
    band: NDArray[np.int8]
    kind: NDArray[np.int8]
    flux: NDArray[np.float32]
    flux_err: NDArray[np.float32]
    total_flux: NDArray[np.float32]
    total_flux_err: NDArray[np.float32]
    point_id: NDArray[np.int64]
    detector: NDArray[np.int16]
    bands: tuple[Band, ...]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def n_points(self) -> int:
        """Number of points in all light curves together."""
        return int(self.offsets[-1])

    @property
    def wavelengths(self) -> NDArray[np.float64]:
        """Effective wavelength of each of `bands` [Angstrom]."""
        return np.array([band.wavelength for band in self.bands], dtype=np.float64)

    @classmethod
    def empty(cls, n: int, bands: tuple[Band, ...]) -> Self:
        """Make ``n`` light curves without points."""
        flat = {name: np.zeros(0, dtype) for name, dtype in POINT_TYPES.items()}
        return cls(offsets=np.zeros(n + 1, np.int64), bands=bands, **flat)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Give the flat arrays by name, without the offsets."""
        return {name: getattr(self, name) for name in POINT_TYPES}

    def _with(self, offsets: NDArray[np.int64], points: NDArray[Any]) -> Self:
        """Give light curves of other offsets, of these points."""
        return type(self)(offsets=offsets, bands=self.bands, **{name: array[points] for name, array in self.arrays().items()})

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Give the light curves of these rows, in this order."""
        offsets, points = gather_points(self.offsets, np.ascontiguousarray(rows, np.int64))
        return self._with(offsets, points)

    def select(self, keep: NDArray[np.bool_]) -> Self:
        """Give the same light curves with only the points where ``keep`` (m,) is true."""
        kept = np.concatenate(([0], np.cumsum(keep, dtype=np.int64)))
        return self._with(kept[self.offsets], keep)

    def owners(self) -> NDArray[np.int64]:
        """Give the row of the light curve that each point belongs to, (m,)."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.offsets))

    def sorted_by_time(self) -> Self:
        """Order the points of each light curve by time, then kind, band and number, so that their order says nothing."""
        order = time_order(self.offsets, self.mjd, self.kind, self.band, self.point_id)
        if order is None:
            return self
        return self._with(self.offsets, order)

    def to_arrow(self) -> pa.Table:
        """Give the points as a flat table; `owners` and `offsets` say whose they are."""
        return pa.table({name: pa.array(array) for name, array in self.arrays().items()})

    @classmethod
    def from_arrow(cls, offsets: NDArray[np.int64], table: pa.Table, bands: tuple[Band, ...]) -> Self:
        """Rebuild light curves from what `to_arrow` gave."""
        flat = {name: table[name].to_numpy().astype(dtype, copy=False) for name, dtype in POINT_TYPES.items()}
        return cls(offsets=offsets, bands=bands, **flat)


POINT_TYPES: dict[str, type[np.generic]] = {
    "mjd": np.float64,
    "band": np.int8,
    "kind": np.int8,
    "flux": np.float32,
    "flux_err": np.float32,
    "total_flux": np.float32,
    "total_flux_err": np.float32,
    "point_id": np.int64,
    "detector": np.int16,
}
"""Name and type of each flat array of `LightCurves`."""

assert set(POINT_TYPES) | {"offsets", "bands"} == {f.name for f in fields(LightCurves)}


@njit(cache=True, nogil=True)
def gather_points(offsets: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the offsets of the light curves of these rows, and which points they take, (n + 1,) and (m,)."""
    out = np.zeros(len(rows) + 1, np.int64)
    for i in range(len(rows)):
        out[i + 1] = out[i] + offsets[rows[i] + 1] - offsets[rows[i]]
    points = np.empty(out[-1], np.int64)
    for i in range(len(rows)):
        first = offsets[rows[i]]
        for j in range(out[i], out[i + 1]):
            points[j] = first + j - out[i]
    return out, points


@njit(cache=True, nogil=True)
def _follows(a: int, b: int, mjd: Any, kind: Any, band: Any, point_id: Any) -> bool:
    """Say whether point ``a`` belongs after point ``b``."""
    if mjd[a] != mjd[b]:
        return bool(mjd[a] > mjd[b])
    if kind[a] != kind[b]:
        return bool(kind[a] > kind[b])
    if band[a] != band[b]:
        return bool(band[a] > band[b])
    return bool(point_id[a] > point_id[b])


@njit(cache=True, nogil=True)
def _merge_runs(order: Any, spare: Any, first: int, last: int, mjd: Any, kind: Any, band: Any, point_id: Any) -> None:
    """Sort ``order[first:last]`` by a bottom-up merge: runs that are in order already cost one comparison a point."""
    width = 1
    while width < last - first:
        for low in range(first, last, 2 * width):
            middle, high = min(low + width, last), min(low + 2 * width, last)
            if middle >= high or not _follows(order[middle - 1], order[middle], mjd, kind, band, point_id):
                continue
            i, j = low, middle
            for k in range(low, high):
                if j >= high or (i < middle and not _follows(order[i], order[j], mjd, kind, band, point_id)):
                    spare[k] = order[i]
                    i += 1
                else:
                    spare[k] = order[j]
                    j += 1
            for k in range(low, high):
                order[k] = spare[k]
        width *= 2


@njit(cache=True, nogil=True)
def _time_order(offsets: Any, mjd: Any, kind: Any, band: Any, point_id: Any) -> tuple[NDArray[np.int64], bool]:
    order = np.arange(len(mjd), dtype=np.int64)
    spare = np.empty(len(mjd), np.int64)
    moved = False
    for i in range(len(offsets) - 1):
        first, last = offsets[i], offsets[i + 1]
        for j in range(first + 1, last):
            if _follows(j - 1, j, mjd, kind, band, point_id):
                moved = True
                _merge_runs(order, spare, first, last, mjd, kind, band, point_id)
                break
    return order, moved


def time_order(offsets: Any, mjd: Any, kind: Any, band: Any, point_id: Any) -> NDArray[np.int64] | None:
    """Give the order that sorts each light curve by time, kind, band and number; None where it is in order already."""
    order, moved = _time_order(offsets, mjd, kind, band, point_id)
    return order if moved else None


def concatenate_rows(parts: Sequence[LightCurves]) -> LightCurves:
    """Put light curves under one another; the parts count the same bands.

    Raises
    ------
    ValueError
        If the parts count different bands, or there is none.
    """
    first = parts[0]
    if any(part.bands != first.bands for part in parts):
        raise ValueError("light curves of different bands cannot be put under one another; align their bands first")
    starts = np.cumsum([0, *(part.n_points for part in parts)])
    offsets = np.concatenate([[0], *(part.offsets[1:] + start for part, start in zip(parts, starts, strict=False))])
    flat = {name: np.concatenate([getattr(part, name) for part in parts]) for name in POINT_TYPES}
    return LightCurves(offsets=offsets.astype(np.int64), bands=first.bands, **flat)


def magnitude(flux: NDArray[Any]) -> NDArray[np.float64]:
    """AB magnitude of the size of a flux [nJy]; NaN where the flux is zero or unknown."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value = AB_ZERO - 2.5 * np.log10(np.abs(flux.astype(np.float64)))
    return np.where(np.isfinite(value), value, np.nan)


@njit(cache=True, nogil=True)
def own_points(offsets: NDArray[np.int64], mjd: NDArray[np.float64], kind: NDArray[np.int8], now: NDArray[np.float64]) -> NDArray[np.int64]:
    """Find each alert's own detection in its light curve, (n,); -1 where there is none at its time.

    Parameters
    ----------
    offsets, mjd, kind
        Of the light curves.
    now
        (n,) time of the alerts, MJD in TAI [d].
    """
    out = np.full(len(now), -1, np.int64)
    for i in range(len(now)):
        for j in range(offsets[i + 1] - 1, offsets[i] - 1, -1):
            if kind[j] == DETECTION and abs(mjd[j] - now[i]) < SAME_TIME:
                out[i] = j
                break
    return out
