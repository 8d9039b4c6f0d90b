"""The points that fits take: ragged rows of times, bands, values and errors; and how they are chosen from light curves."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fink.lightcurves import DETECTION, FORCED, LIMIT, SAME_TIME, LightCurves


@dataclass(frozen=True)
class Points:
    """The points of ``n`` light curves, in flat arrays of ``m``.

    Parameters
    ----------
    offsets
        (n + 1,) int64; points ``offsets[i]:offsets[i + 1]`` belong to row ``i``.
    time
        (m,) float64, in time order within a row [d].
    band
        (m,) int64, which band, from 0.
    value, error
        (m,) float64, finite, errors positive.
    """

    offsets: NDArray[np.int64]
    time: NDArray[np.float64]
    band: NDArray[np.int64]
    value: NDArray[np.float64]
    error: NDArray[np.float64]

    @classmethod
    def of(cls, offsets: Any, time: Any, band: Any, value: Any, error: Any) -> Self:
        """Take points in arrays of any number type; those go that are not finite or whose error is not positive."""
        flat = [np.require(array, np.float64, ["C", "W"]) for array in (time, value, error)]
        points = cls(np.require(offsets, np.int64, ["C", "W"]), flat[0], np.require(band, np.int64, ["C", "W"]), flat[1], flat[2])
        usable = np.isfinite(flat[0]) & np.isfinite(flat[1]) & np.isfinite(flat[2]) & (flat[2] > 0.0)
        return points if usable.all() else points.select(usable)

    @classmethod
    def of_light_curves(cls, lightcurves: LightCurves, keep: NDArray[np.bool_]) -> Self:
        """Take the difference fluxes where ``keep`` (m,) is true; an upper limit is zero flux with its error."""
        flux = np.where(keep, np.where(lightcurves.kind == LIMIT, np.float32(0.0), lightcurves.flux), np.nan)
        return cls.of(lightcurves.offsets, lightcurves.mjd, lightcurves.band, flux, lightcurves.flux_err)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def select(self, keep: NDArray[np.bool_]) -> Self:
        """Give the same rows with only the points where ``keep`` (m,) is true."""
        kept = np.concatenate(([0], np.cumsum(keep, dtype=np.int64)))[self.offsets]
        return type(self)(kept, self.time[keep], self.band[keep], self.value[keep], self.error[keep])

    def by_band(self, n_bands: int) -> Self:
        """Make a row of each band of each row: row ``i * n_bands + b`` holds the points of band ``b`` of row ``i``, as its band 0."""
        offsets, order = _order_by_band(self.offsets, self.band, n_bands)
        return type(self)(offsets, self.time[order], np.zeros(len(order), np.int64), self.value[order], self.error[order])

    def counts(self, n_bands: int) -> NDArray[np.int64]:
        """Count the points of each row by band, (n, n_bands)."""
        return np.bincount(self.owners() * n_bands + self.band, minlength=len(self) * n_bands).reshape(-1, n_bands)

    def with_spare(self, n_bands: int, n_shared: int) -> Self:
        """Leave empty the rows that have no more points than parameters: so many shared ones, and one for each band with points."""
        counts = self.counts(n_bands)
        enough = counts.sum(axis=1) > n_shared + (counts > 0).sum(axis=1)
        return self.select(np.repeat(enough, np.diff(self.offsets)))

    def owners(self) -> NDArray[np.int64]:
        """Give the row of each point, (m,)."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.offsets))

    def since(self, moment: NDArray[np.float64]) -> Self:
        """Count each row's time from a moment of its own, (n,)."""
        return type(self)(self.offsets, self.time - np.repeat(moment, np.diff(self.offsets)), self.band, self.value, self.error)

    def highest(self) -> NDArray[np.float64]:
        """Give each row's highest value, (n,); -inf for a row without points."""
        return np.asarray(row_maxima(self.offsets, self.value))

    def with_floor(self, floor: float) -> Self:
        """Add to each error, in quadrature, a fraction of the row's highest value: no model describes a light curve better than that."""
        added = floor * np.maximum(self.highest(), 0.0)
        error = np.sqrt(self.error**2 + np.repeat(added, np.diff(self.offsets)) ** 2)
        return type(self)(self.offsets, self.time, self.band, self.value, error)


@njit(cache=True, nogil=True)
def row_maxima(offsets: NDArray[np.int64], value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the highest value of each row, (n,); -inf for a row without points."""
    out = np.full(len(offsets) - 1, -np.inf)
    for i in range(len(out)):
        for j in range(offsets[i], offsets[i + 1]):
            out[i] = max(out[i], value[j])
    return out


@njit(cache=True, nogil=True)
def _order_by_band(offsets: NDArray[np.int64], band: NDArray[np.int64], n_bands: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sort the points of each row by band, keeping their order within one."""
    rows = len(offsets) - 1
    out = np.zeros(rows * n_bands + 1, np.int64)
    order = np.empty(offsets[rows], np.int64)
    for i in range(rows):
        for j in range(offsets[i], offsets[i + 1]):
            out[i * n_bands + band[j] + 1] += 1
    for k in range(rows * n_bands):
        out[k + 1] += out[k]
    place = out[:-1].copy()
    for i in range(rows):
        for j in range(offsets[i], offsets[i + 1]):
            k = i * n_bands + band[j]
            order[place[k]] = j
            place[k] += 1
    return out, order


@njit(cache=True, nogil=True)
def one_of_an_exposure(offsets: Any, mjd: Any, band: Any, kind: Any) -> Any:
    """Choose one measured point of each exposure and band, the first, (m,) bool.

    Detections come first: forced photometry beside one would count the same light twice.
    """
    keep = kind != LIMIT
    for i in range(len(offsets) - 1):
        for j in range(offsets[i], offsets[i + 1]):
            before = j - 1
            while before >= offsets[i] and mjd[j] - mjd[before] < SAME_TIME:
                if keep[before] and band[before] == band[j]:
                    keep[j] = False
                before -= 1
    return keep


@njit(cache=True, nogil=True, error_model="numpy")
def points_of_band(
    first: int, last: int, wanted: int, mjd: Any, band: Any, kind: Any, flux: Any, flux_err: Any, min_snr: float, chosen: Any
) -> int:
    """Choose the measured points of a band in one light curve, one of each time, detections before forced photometry.

    Parameters
    ----------
    first, last
        Where the light curve begins and ends among the points.
    wanted
        The band.
    mjd, band, kind, flux, flux_err
        Of all points (m,); which flux is the caller's choice.
    min_snr
        Least signal-to-noise ratio.
    chosen
        (k,) int64, is filled with the places of the points, in order of time.

    Returns
    -------
    How many there are.
    """
    n = 0
    for j in range(first, last):
        if band[j] != wanted or kind[j] == LIMIT or not (0.0 < flux_err[j] < inf and abs(flux[j]) < inf):
            continue
        if not min_snr <= np.float64(flux[j]) / flux_err[j] < inf:
            continue
        if n > 0 and mjd[j] - mjd[chosen[n - 1]] < SAME_TIME:
            if kind[chosen[n - 1]] == FORCED and kind[j] != FORCED:
                chosen[n - 1] = j
            continue
        chosen[n] = j
        n += 1
    return n


def transient_points(lightcurves: LightCurves, before: float) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Choose the points that may tell of a transient: one of each exposure, from some days before the first detection on.

    Parameters
    ----------
    lightcurves
        ``n`` light curves of ``m`` points.
    before
        How long before the first detection points count [d].

    Returns
    -------
    keep
        (m,) which points: detections, forced photometry and upper limits.
    detections
        (n, bands) how many of them are detections.
    """
    lc = lightcurves
    single = one_of_an_exposure(lc.offsets, lc.mjd, lc.band, lc.kind)
    keep, detections = _from_first_detection(lc.offsets, lc.mjd, lc.band, lc.kind, single, before, len(lc.bands))
    return keep, detections


@njit(cache=True, nogil=True)
def _from_first_detection(offsets: Any, mjd: Any, band: Any, kind: Any, single: Any, before: float, n_bands: int) -> Any:
    keep, detections = np.zeros(len(mjd), np.bool_), np.zeros((len(offsets) - 1, n_bands), np.int64)
    for i in range(len(detections)):
        first = np.inf
        for j in range(offsets[i], offsets[i + 1]):
            if kind[j] == DETECTION:
                first = min(first, mjd[j])
                detections[i, band[j]] += single[j]
        for j in range(offsets[i], offsets[i + 1]):
            keep[j] = (single[j] or kind[j] == LIMIT) and mjd[j] >= first - before
    return keep, detections
