"""Cards: alerts as lists show them, each with its object's light curve and its stamp, gathered for a whole page at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from fink.archive.embedded import EmbeddedArchive
from fink.codecs.cutouts import read_fits
from fink.errors import PacketError
from fink.services import charts
from fink.services.sky_texts import date_text

CURVE_DAYS = 120.0
"""Days before the alert that a small light curve shows [d]."""
MOST_POINTS = 120


@dataclass(frozen=True)
class Card:
    """One alert, with what is shown of its object.

    Parameters
    ----------
    row
        Its columns, as far as the index holds them; null is None.
    curve
        By band, the days before the alert, difference flux [nJy], error [nJy] and whether it is a detection, of each point.
    stamp
        The science stamp as the address of a picture; None where there is none.
    """

    row: Mapping[str, Any]
    curve: Mapping[str, list[tuple[float, float, float, bool]]]
    stamp: str | None


def gather(archive: EmbeddedArchive, alerts: pa.Table, *, stamps: bool = True) -> list[Card]:
    """Make the cards of alerts, in their order.

    Parameters
    ----------
    alerts
        With the columns of the index.
    stamps
        Whether pictures are wanted.
    """
    rows = plain_rows(alerts)
    curves: dict[tuple[str, str], pa.Table] = {}
    for row in rows:
        name = row.get("object_id") or row.get("sso_name")
        if name and (row["survey"], name) not in curves:
            curves[row["survey"], name] = archive.light_curve(name, row["survey"])
    found = []
    for row in rows:
        curve = curves.get((row["survey"], row.get("object_id") or row.get("sso_name") or ""))
        found.append(Card(row, _curve(curve, row["mjd"]), stamp(archive, row) if stamps else None))
    return found


def plain_rows(alerts: pa.Table) -> list[dict[str, Any]]:
    """Give the alerts as plain values, with their `date` in UTC; what is not a number is None."""
    rows = alerts.to_pylist() if alerts.num_columns else []
    for row in rows:
        for name, value in row.items():
            if isinstance(value, float) and not math.isfinite(value):
                row[name] = None
        row["date"] = date_text(row["mjd"])
    return rows


def _curve(points: pa.Table | None, at: float) -> dict[str, list[tuple[float, float, float, bool]]]:
    """Give the points up to an alert by band; of very many, the newest."""
    if points is None or not points.num_rows:
        return {}
    flux, error, mjd = (points[name].to_numpy().astype(np.float64) for name in ("flux", "flux_err", "mjd"))
    kept = np.flatnonzero(np.isfinite(flux) & np.isfinite(error) & (mjd <= at + 1e-6) & (mjd > at - CURVE_DAYS))[-MOST_POINTS:]
    taken = points.select(["band", "kind"]).take(pa.array(kept))
    found: dict[str, list[tuple[float, float, float, bool]]] = {}
    values = zip(taken["band"].to_pylist(), taken["kind"].to_pylist(), kept.tolist(), strict=True)
    for band, kind, k in values:
        found.setdefault(band, []).append((round(float(mjd[k] - at), 4), float(flux[k]), float(error[k]), kind == "detection"))
    return found


def stamp(archive: EmbeddedArchive, row: Mapping[str, Any], which: str = "science") -> str | None:
    """Give a stamp of an alert as the address of a picture that lies in the page itself; None where none is kept or readable."""
    data = archive.stamp_bytes(row["survey"], row["alert_id"], which)
    if isinstance(data, str):
        return None
    try:
        image = next((unit.image for unit in read_fits(data) if unit.image is not None), None)
    except PacketError:
        return None
    return None if image is None else charts.stamp_png(image)


def peak(curve: Mapping[str, Sequence[tuple[float, float, float, bool]]]) -> float | None:
    """Give the brightest difference flux among the detections [nJy]; None where there is none."""
    return max((flux for points in curve.values() for _, flux, _, detected in points if detected), default=None)
