"""Object pages: all that an archive knows of one object, gathered in a few reads as plain values.

The index gives its alerts and its light curve, the lake every column of one chosen alert, the last one where none is named. Whatever is
missing comes with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fink import filters, surveys
from fink.archive.embedded import EmbeddedArchive
from fink.archive.substreams import UserSubstreams
from fink.codecs.cutouts import HeaderUnit, read_fits
from fink.columns import Column
from fink.errors import NotFoundError, PacketError, did_you_mean
from fink.services.column_tables import column_groups
from fink.services.elsewhere import downloads, links, snippets
from fink.services.finders import directions, finder, stamp_affine
from fink.services.findings import classification, host, matches, packet_neighbours, solar_system
from fink.services.fitted_curves import Measured, fitted_curves
from fink.services.sky_texts import date_text, date_texts, duration_text, position_texts
from fink.tables import STAMPS

Floats = NDArray[np.float64]

MOST_SUGGESTED = 10
MOST_LISTED = 500
"""Alerts that a page lists, the newest ones; the interface for programs gives all."""

_SAME_EPOCH = 1e-5
"""Two times that differ by less are of one exposure [d]."""


def object_page(
    archive: EmbeddedArchive,
    survey: str,
    object_id: str,
    declared: Mapping[str, Column],
    *,
    alert_id: int | None = None,
    artifacts: Path | None = None,
    base: str = "",
) -> dict[str, Any]:
    """Give everything about an object.

    Parameters
    ----------
    declared
        Every column that there is, by name.
    alert_id
        The alert whose columns, stamps and fits are given; the last one where it is None.
    artifacts
        Folder of the installed catalogues, for the finder chart.
    base
        Address of the server, for snippets.

    Raises
    ------
    NotFoundError
        If the archive has no such object of the survey, or the object no such alert.
    """
    rows = archive.object_alerts(object_id, survey)
    if not rows.num_rows:
        raise NotFoundError(_unknown(archive, survey, object_id))
    rows = rows.sort_by([("mjd", "ascending"), ("alert_id", "ascending")])
    dates = date_texts(rows["mjd"].to_numpy())
    alerts = [{**alert, "date": date} for alert, date in zip(rows.to_pylist(), dates, strict=True)]
    place = _chosen(alerts, object_id, alert_id)
    alert = {**alerts[place], **archive.wide(rows.slice(place, 1)).to_pylist()[0]}
    curve = archive.light_curve(object_id, survey)
    ra, dec = float(np.median(rows["ra"].to_numpy())), float(np.median(rows["dec"].to_numpy()))
    return {
        "survey": survey,
        "object_id": object_id,
        "position": position_texts(ra, dec),
        "summary": summary(alerts, curve),
        "alerts": [epoch(alerts[i]) for i in listed(len(alerts), place)],
        "chosen": epoch(alert),
        "light_curve": light_curve(curve, alerts),
        "models": _models(alert, curve, survey),
        "periods": _periods(alert),
        "cutouts": cutouts(archive, survey, alert["alert_id"], ra, dec),
        "classification": classification(alert, alerts),
        **_found_of(archive, alert, declared),
        "finder": finder(archive, survey, object_id, ra, dec, artifacts),
        "downloads": downloads(survey, object_id),
        "snippets": snippets(survey, object_id, base),
        "links": links(survey, object_id, ra, dec, alert),
    }


def _found_of(archive: EmbeddedArchive, alert: Mapping[str, Any], declared: Mapping[str, Column]) -> dict[str, Any]:
    """Give what was found of one alert."""
    return {
        "substreams": _substreams(archive, alert),
        "matches": matches(alert),
        "packet_neighbours": packet_neighbours(alert, declared),
        "host": host(alert),
        "solar_system": solar_system(alert, declared),
        "columns": column_groups(alert, alert["survey"]),
    }


def _unknown(archive: EmbeddedArchive, survey: str, object_id: str) -> str:
    """Say that there is no such object, and which there are that begin so."""
    others = [name for name in surveys.registry() if name != survey and archive.object_names(object_id, name, 1) == [object_id]]
    if others:
        return f"{survey} has no object {object_id}, but {others[0]} has: /{others[0]}/object/{object_id}"
    near = next((names for cut in (len(object_id), 9, 6) if (names := archive.object_names(object_id[:cut], survey, MOST_SUGGESTED))), [])
    hint = did_you_mean(object_id, near) or (f"; there are {', '.join(near)}" if near else "; search for a position or a name instead")
    return f"the archive has no object {object_id} of {survey}{hint}"


def _chosen(alerts: Sequence[Mapping[str, Any]], object_id: str, alert_id: int | None) -> int:
    if alert_id is None:
        return len(alerts) - 1
    place = next((i for i, alert in enumerate(alerts) if alert["alert_id"] == alert_id), None)
    if place is None:
        raise NotFoundError(f"{object_id} has no alert {alert_id}; leave it out for the last one")
    return place


def listed(alerts: int, chosen: int) -> list[int]:
    """Give the places, from the newest, of the alerts that a page lists; the chosen one is among them."""
    newest = list(range(alerts - 1, max(alerts - MOST_LISTED, 0) - 1, -1))
    return newest if chosen >= newest[-1] else [*newest, chosen]


def epoch(alert: Mapping[str, Any]) -> dict[str, Any]:
    """Give what lists show of an alert; its number as text, since it has more digits than a float."""
    kept = (
        "mjd",
        "night",
        "band",
        "flux",
        "flux_err",
        "mag",
        "mag_err",
        "total_flux",
        "positive",
        "real_score",
        "fink_class",
        "is_transient",
    )
    return {"alert_id": str(alert["alert_id"]), "date": alert["date"], **{name: alert.get(name) for name in kept}}


def summary(alerts: Sequence[Mapping[str, Any]], curve: pa.Table) -> dict[str, Any]:
    """Give the counts and times of an object, and its last and brightest alert in each band."""
    detections = curve.filter(pa.compute.equal(curve["kind"], "detection")) if curve.num_rows else curve
    times = detections["mjd"].to_numpy() if detections.num_rows else np.array([alert["mjd"] for alert in alerts])
    first, last = float(times.min()), float(times.max())
    kinds = curve["kind"].to_pylist()
    by_band = []
    for band in sorted({alert["band"] for alert in alerts}, key=band_order):
        members = [alert for alert in alerts if alert["band"] == band]
        bright = min((each for each in members if each.get("mag") is not None), key=lambda each: each["mag"], default=None)
        by_band.append({"band": band, "alerts": len(members), "last": epoch(members[-1]), "brightest": epoch(bright) if bright else None})
    return {
        "alerts": len(alerts),
        "points": {kind: kinds.count(kind) for kind in ("detection", "forced", "limit")},
        "first_mjd": first,
        "last_mjd": last,
        "first": date_text(first),
        "last": date_text(last),
        "span": duration_text(last - first) if last > first else None,
        "bands": by_band,
    }


def band_order(band: str) -> tuple[int, str]:
    """Sort filters from blue to red."""
    return ("ugrizy".find(band.lower()) % 7, band)


def light_curve(curve: pa.Table, alerts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Give the points of a light curve as columns [d, nJy], with the number of the alert of the same exposure where there is one.

    An upper limit has no flux; its five-sigma limit is five times ``flux_err``.
    """
    names = {alert["alert_id"]: str(alert["alert_id"]) for alert in alerts}
    times = np.array([alert["mjd"] for alert in alerts])
    numbers = [names.get(number) for number in curve["point_id"].to_pylist()]
    mjd, kinds, bands = curve["mjd"].to_numpy(), curve["kind"].to_pylist(), curve["band"].to_pylist()
    for i, kind in enumerate(kinds):
        if kind != "limit" and numbers[i] is None:
            near = int(np.searchsorted(times, mjd[i] - _SAME_EPOCH))
            if near < len(alerts) and abs(times[near] - mjd[i]) < _SAME_EPOCH and alerts[near]["band"] == bands[i]:
                numbers[i] = str(alerts[near]["alert_id"])
    fluxes = {name: _rounded(curve[name]) for name in ("flux", "flux_err", "total_flux", "total_flux_err")}
    return {"mjd": np.round(mjd, 6).tolist(), "band": bands, "kind": kinds, **fluxes, "alert": numbers}


def _rounded(values: pa.ChunkedArray) -> list[float | None]:
    """Give fluxes with six digits: their errors have fewer."""
    return [None if value is None or not np.isfinite(value) else float(f"{value:.6g}") for value in values.to_pylist()]


def measured(curve: pa.Table) -> Measured | None:
    """Give what a fitted curve is drawn over; None where there is no detection."""
    kind, flux, error = (
        np.array(curve["kind"].to_pylist()),
        curve["flux"].to_numpy().astype(float),
        curve["flux_err"].to_numpy().astype(float),
    )
    if not (kind == "detection").any():
        return None
    mjd = curve["mjd"].to_numpy()
    kept = np.isfinite(flux) & (error > 0)
    band = np.array(curve["band"].to_pylist())[kept].tolist()
    return Measured(mjd[kept], flux[kept], error[kept], band, float(mjd[kind == "detection"].min()))


def _models(alert: Mapping[str, Any], curve: pa.Table, survey: str) -> list[dict[str, Any]]:
    """Give the curves that were fitted when the alert came, over the points up to now."""
    over = measured(curve)
    return fitted_curves(alert, over, surveys.registry()[survey].bands) if over is not None else []


def _periods(alert: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the periods that are known: of the light curve, and of the catalogue of variable stars."""
    found = []
    if alert.get("period") is not None:
        chance = alert.get("period_log_fap")
        about = "of this light curve" + (f"; noise would have it with a probability of 10^{chance:.0f}" if chance is not None else "")
        found.append({"source": "period", "period": alert["period"], "about": about})
    if alert.get("vsx_period"):
        found.append(
            {"source": "vsx_period", "period": alert["vsx_period"], "about": f"of {alert.get('vsx_name') or 'the star'} in the VSX"}
        )
    return found


def cutouts(archive: EmbeddedArchive, survey: str, alert_id: int, ra: float, dec: float) -> list[dict[str, Any]]:
    """Give where the stamps of an alert are shown, how they lie about a position [deg], and why one is missing."""
    found = []
    for which in STAMPS:
        unit = _stamp(archive.stamp_bytes(survey, alert_id, which))
        stamp: dict[str, Any] = {
            "kind": which,
            "url": cutout_address(survey, alert_id, which),
            "missing": "",
            "shape": None,
            "affine": None,
            "north": None,
            "mirrored": False,
            "east": None,
        }
        if isinstance(unit, str):
            stamp["missing"] = unit
        elif unit.image is not None:
            stamp["shape"] = list(unit.image.shape)
            stamp["affine"] = stamp_affine(survey, unit.cards, unit.image.shape, ra, dec)
            if stamp["affine"] is not None:
                stamp["north"], stamp["east"], stamp["mirrored"] = directions(stamp["affine"])
        found.append(stamp)
    return found


def _stamp(data: bytes | str) -> HeaderUnit | str:
    """Read a stamp's image, or say why there is none."""
    if isinstance(data, str):
        return data
    try:
        return next((unit for unit in read_fits(data) if unit.image is not None), "the stamp holds no image")
    except PacketError as error:
        return error.reason


def cutout_address(survey: str, alert_id: int | str, which: str) -> str:
    """Give the address, on this server, of a stamp as a picture."""
    word = surveys.registry()[survey].public_name("alert_id").rpartition(":")[2]
    return f"/{survey}/api/v1/cutouts?{word}={alert_id}&kind={which.capitalize()}"


def _substreams(archive: EmbeddedArchive, alert: Mapping[str, Any]) -> list[dict[str, str]]:
    """Give the substreams that took an alert."""
    about = {kept.substream.name: kept.substream.about for kept in UserSubstreams(archive.folder).all()}
    about |= {name: declared.about for name, declared in filters.registry().items()}
    return [{"name": name, "about": about[name]} for name in archive.substreams_of(alert["survey"], alert["alert_id"], sorted(about))]
