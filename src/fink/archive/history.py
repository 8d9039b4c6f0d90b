"""An object's older points, joined with what its packets carry."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fink.archive.index import Store
from fink.archive.numbering import Numbering
from fink.archive.objects import DESIGNATED, Groups, StoredPoints, group_objects, stored_points
from fink.archive.points import identities, identities_of, merged_points, unpack_points
from fink.lightcurves import POINT_TYPES, LightCurves
from fink.tables import AlertBatch


def history(store: Store, numbering: Numbering, batch: AlertBatch, night: int, window: float, *, as_of: int | None = None) -> LightCurves:
    """Give each alert's light curve: its packet's points, and the stored ones that are older than what packets carry.

    Stored points count that earlier nights brought and that are older than ``window`` days before the alert; of a moving
    object, all that earlier nights brought. The packet's own value wins.

    Parameters
    ----------
    night
        Of all alerts in the batch.
    window
        Days that a packet carries.
    as_of
        Only points that commits up to this one brought; None takes all.
    """
    survey = numbering.known_survey(batch.survey)
    if survey is None or not len(batch):
        return batch.lightcurves
    groups = group_objects(store, survey, batch.alerts)
    if not groups.heads.known.any():
        return batch.lightcurves
    cut = _cut(groups, batch.alerts["mjd"].to_numpy(), window)
    latest = np.full(len(groups.keys), -np.inf)
    np.maximum.at(latest, groups.group, cut)
    stored = stored_points(store, groups, np.full(len(latest), -np.inf), latest)
    keep = (stored.points["night"] < night) & (stored.points["commit"] <= (sys.maxsize if as_of is None else as_of))
    stored = _select(stored, keep & (stored.points["mjd"] < latest[np.repeat(np.arange(len(latest)), np.diff(stored.offsets))]))
    if not len(stored.points):
        return batch.lightcurves
    return _merge(batch.lightcurves, stored, groups, cut, numbering.band_indices(batch.survey, [b.name for b in batch.lightcurves.bands]))


def _cut(groups: Groups, mjd: NDArray[np.float64], window: float) -> NDArray[np.float64]:
    """Give the time before which stored points are joined to each alert."""
    moving = np.array([name[:1] == DESIGNATED for name in groups.names])
    return np.where(moving[groups.group], np.inf, mjd - window)


def _select(stored: StoredPoints, keep: NDArray[np.bool_]) -> StoredPoints:
    kept = np.concatenate([[0], np.cumsum(keep)]).astype(np.int64)
    return StoredPoints(stored.points[keep], kept[stored.offsets], stored.chunk[keep])


def _merge(curves: LightCurves, stored: StoredPoints, groups: Groups, cut: NDArray[np.float64], bands: NDArray[np.int8]) -> LightCurves:
    older = unpack_points(stored.points, stored.offsets, curves, bands)
    own = identities(curves.point_id, curves.mjd, curves.kind, curves.band, curves.detector)
    # stored bands are compared by the batch's numbers, so that both sides mean the same
    past = identities(older.point_id, older.mjd, older.kind, older.band, older.detector)
    a, b = np.concatenate([own[0], past[0]]), np.concatenate([own[1], past[1]])
    who = np.ascontiguousarray(stored.points["alert_mjd"]), np.ascontiguousarray(stored.points["alert_id"])
    offsets, points = merged_points(a, b, curves.offsets, groups.group, stored.offsets, older.mjd, *who, cut)
    flat = {name: np.concatenate([getattr(curves, name), getattr(older, name)])[points] for name in POINT_TYPES}
    return replace(curves, offsets=offsets, **flat).sorted_by_time()


def distinct_points(stored: StoredPoints) -> StoredPoints:
    """Keep one copy of each stored point: that of the earliest alert."""
    u = len(stored.offsets) - 1
    a, b = identities_of(stored.points)
    who = np.ascontiguousarray(stored.points["alert_mjd"]), np.ascontiguousarray(stored.points["alert_id"])
    empty, everything = np.zeros(u + 1, np.int64), np.full(u, np.inf)
    mjd = np.ascontiguousarray(stored.points["mjd"])
    offsets, points = merged_points(a, b, empty, np.arange(u), stored.offsets, mjd, *who, everything)
    return StoredPoints(stored.points[points], offsets, stored.chunk[points])
