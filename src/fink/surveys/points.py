"""Points from several arrays of a packet into one light curve for each alert."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fink.lightcurves import LIMIT, POINT_TYPES, Band, LightCurves, time_order

Array = NDArray[Any]


def points(
    offsets: Array, bands: tuple[Band, ...], *, mjd: Array, band: Array, kind: int | Array, flux: Array, flux_err: Array, **known: Array
) -> LightCurves:
    """Make light curves from flat arrays; what is not given is unknown.

    Parameters
    ----------
    known
        Any of ``total_flux``, ``total_flux_err``, ``point_id``, ``detector``, (m,) each.
    """
    m = len(mjd)
    unknown = {
        "total_flux": np.full(m, np.nan, np.float32),
        "total_flux_err": np.full(m, np.nan, np.float32),
        "point_id": np.zeros(m, np.int64),
        "detector": np.full(m, -1, np.int16),
    }
    given = (
        {"mjd": mjd, "band": band, "kind": np.broadcast_to(np.asarray(kind, np.int8), m), "flux": flux, "flux_err": flux_err}
        | unknown
        | known
    )
    with np.errstate(over="ignore"):
        flat = {name: np.ascontiguousarray(given[name], dtype) for name, dtype in POINT_TYPES.items()}
    return LightCurves(offsets=np.ascontiguousarray(offsets, np.int64), bands=bands, **flat)


def merge_points(parts: Sequence[LightCurves]) -> LightCurves:
    """Join light curves of the same ``n`` alerts into one for each, in time order, each point once.

    A point without time, band or flux is left out (a limit: without limiting flux). Of two copies of a point (the same number, or the
    same kind, time, band and detector) that of the earlier part stands, and within a part the earlier one.
    """
    flat: dict[str, Array] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in POINT_TYPES}
    measured = np.isfinite(np.where(flat["kind"] == LIMIT, flat["flux_err"], flat["flux"]))
    keep = measured & np.isfinite(flat["mjd"]) & (flat["band"] >= 0)
    bases = np.cumsum([0, *(part.n_points for part in parts)])[:-1]
    starts = np.stack([part.offsets + base for part, base in zip(parts, bases, strict=True)])
    offsets, order = interleave(starts, keep)
    mjd, kind, band, number = (flat[name][order] for name in ("mjd", "kind", "band", "point_id"))
    sort = time_order(offsets, mjd, kind, band, number)
    order = order if sort is None else order[sort]
    joined = replace(parts[0], offsets=offsets, **{name: array[order] for name, array in flat.items()})
    once = first_copies(offsets, joined.mjd, joined.kind, joined.band, joined.point_id, joined.detector)
    return joined if once.all() else joined.select(once)


@njit(cache=True, nogil=True)
def interleave(starts: Array, keep: Array) -> tuple[Array, Array]:
    """Give offsets, (n + 1,), and the points of each alert, part by part, that are kept.

    Parameters
    ----------
    starts
        (parts, n + 1) int64, where the points of each alert begin in each part, counted through all parts.
    keep
        (m,) bool.
    """
    n = starts.shape[1] - 1
    offsets = np.zeros(n + 1, np.int64)
    order = np.empty(len(keep), np.int64)
    at = np.int64(0)
    for i in range(n):
        for part in range(starts.shape[0]):
            for j in range(starts[part, i], starts[part, i + 1]):
                if keep[j]:
                    order[at] = j
                    at += 1
        offsets[i + 1] = at
    return offsets, order[:at]


@njit(cache=True, nogil=True)
def first_copies(offsets: Array, mjd: Array, kind: Array, band: Array, point_id: Array, detector: Array) -> Array:
    """Say of points in time order which are no copy of an earlier one, (m,)."""
    once = np.ones(len(mjd), np.bool_)
    for i in range(len(offsets) - 1):
        for j in range(offsets[i] + 1, offsets[i + 1]):
            k = j - 1
            while k >= offsets[i] and mjd[k] == mjd[j] and kind[k] == kind[j] and band[k] == band[j] and point_id[k] == point_id[j]:
                if point_id[j] != 0 or detector[k] == detector[j]:
                    once[j] = False
                    break
                k -= 1
    return once
