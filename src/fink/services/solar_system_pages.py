"""Pages of solar-system bodies: their alerts of every survey, how bright they were, and how far from where they were predicted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
import pyarrow as pa

from fink.archive.embedded import EmbeddedArchive
from fink.columns import Column
from fink.errors import NotFoundError
from fink.services.column_tables import column_groups
from fink.services.elsewhere import FORMATS
from fink.services.findings import solar_system
from fink.services.object_pages import cutouts, epoch, light_curve, listed, summary
from fink.services.sky_texts import date_texts, position_texts

MOST_WIDE = 500
"""Alerts whose predictions are given, the newest ones: those are read from the lake."""

LEAST_DISTANCE = 1e-4
"""Distances below this are none [AU]."""

_PREDICTED = ("sso_mag", "sso_separation")
_GEOMETRY = {"phase_angle": "lsst_sso_phase_angle", "helio_range": "lsst_sso_helio_range", "topo_range": "lsst_sso_topo_range"}
_CENTURIES = {"I": 18, "J": 19, "K": 20}
_PROVISIONAL = re.compile(r"([IJK])(\d\d)([A-HJ-Y])([0-9A-Za-z])(\d)([A-HJ-Z])\Z")
_NUMBERED = re.compile(r"([0-9A-Za-z])(\d{4})\Z")


def solar_system_page(
    archive: EmbeddedArchive, name: str, declared: Mapping[str, Column], *, alert_id: int | None = None, base: str = ""
) -> dict[str, Any]:
    """Give everything about a body of the solar system.

    Parameters
    ----------
    name
        Its designation as a survey writes it, with blanks or without.
    declared
        Every column that there is, by name.
    alert_id
        The alert whose columns and stamps are given; the last one where it is None.
    base
        Address of the server, for snippets.

    Raises
    ------
    NotFoundError
        If the archive has no alert of it, or not this one.
    """
    rows = _rows(archive, name)
    dates = date_texts(rows["mjd"].to_numpy())
    alerts = [{**alert, "date": date} for alert, date in zip(rows.to_pylist(), dates, strict=True)]
    place = len(alerts) - 1
    if alert_id is not None:
        place = next((i for i, each in enumerate(alerts) if each["alert_id"] == alert_id), -1)
        if place < 0:
            raise NotFoundError(f"{name} has no alert {alert_id}; leave it out for the last one")
    alert = {**alerts[place], **archive.wide(rows.slice(place, 1)).to_pylist()[0]}
    designation = alerts[-1]["sso_name"]
    survey = alert["survey"]
    return {
        "name": designation,
        "readable": readable_designation(designation),
        "survey": survey,
        "surveys": sorted({each["survey"] for each in alerts}),
        "position": position_texts(alert["ra"], alert["dec"]),
        "summary": summary(alerts, rows.append_column("kind", pa.array(["detection"] * len(alerts)))),
        "alerts": [{**epoch(alerts[i]), "survey": alerts[i]["survey"]} for i in listed(len(alerts), place)],
        "chosen": epoch(alert),
        "light_curve": _as_curve(rows, alerts),
        "models": [],
        "periods": [],
        "predictions": predictions(archive, rows),
        "track": {"ra": np.round(rows["ra"].to_numpy(), 5).tolist(), "dec": np.round(rows["dec"].to_numpy(), 5).tolist()},
        "cutouts": cutouts(archive, survey, alert["alert_id"], alert["ra"], alert["dec"]),
        "solar_system": solar_system(alert, declared),
        "columns": column_groups(alert, survey),
        "downloads": _downloads(designation, sorted({each["survey"] for each in alerts})),
        "snippets": _snippets(designation, survey, base),
        "links": _links(readable_designation(designation)),
    }


def _rows(archive: EmbeddedArchive, name: str) -> pa.Table:
    """Give the alerts of a body in order of time, under whichever of its spellings there are any."""
    for spelled in dict.fromkeys((name, name.replace(" ", ""), name.replace("_", " "), name.replace("_", ""))):
        rows = archive.solar_system(spelled)
        if rows.num_rows:
            return rows.sort_by([("mjd", "ascending"), ("alert_id", "ascending")])
    raise NotFoundError(
        f"the archive has no alert of the solar-system object {name}; write its designation as the survey does, as 2020SJ88 or K20S88J"
    )


def _as_curve(rows: pa.Table, alerts: list[dict[str, Any]]) -> dict[str, Any]:
    """Give the alerts as a light curve: what moves has a point for each alert and no others."""
    missing = pa.nulls(rows.num_rows, pa.float32())
    points = {
        "mjd": rows["mjd"],
        "band": rows["band"],
        "kind": pa.array(["detection"] * rows.num_rows),
        "flux": rows["flux"],
        "flux_err": rows["flux_err"],
        "total_flux": rows["total_flux"] if "total_flux" in rows.column_names else missing,
        "total_flux_err": missing,
        "point_id": rows["alert_id"],
    }
    return light_curve(pa.table(points), alerts)


def predictions(archive: EmbeddedArchive, rows: pa.Table) -> list[dict[str, Any]]:
    """Give, of the newest alerts, how bright and where the body was against its prediction, and its distances where the survey gives them.

    `reduced_mag` is the magnitude at one astronomical unit from Sun and telescope.
    """
    newest = rows.slice(max(rows.num_rows - MOST_WIDE, 0))
    wide = archive.wide(newest, ["mjd", "band", "mag", *_PREDICTED, *_GEOMETRY.values()])
    found = []
    for row in wide.to_pylist():
        phase, helio, topo = (row.get(column) for column in _GEOMETRY.values())
        reduced = None
        # packets of 2026 have distances that are too small by the kilometres in an astronomical unit, and 0 for a magnitude
        if row.get("mag") is not None and (helio or 0.0) > LEAST_DISTANCE and (topo or 0.0) > LEAST_DISTANCE:
            reduced = round(float(row["mag"] - 5.0 * np.log10(helio * topo)), 3)
        expected, apart = row.get("sso_mag") or None, row.get("sso_separation")
        found.append(
            {
                "mjd": round(row["mjd"], 5),
                "band": row["band"],
                "mag": None if row["mag"] is None else round(row["mag"], 3),
                "predicted_mag": None if expected is None else round(expected, 2),
                "separation": None if apart is None else round(apart, 3),
                "phase_angle": phase,
                "reduced_mag": reduced,
            }
        )
    return found


def readable_designation(name: str) -> str:
    """Write a packed designation of the Minor Planet Center in full: K20S88J is 2020 SJ88; other names stay as they are."""
    packed = _PROVISIONAL.match(name)
    if packed:
        century, year, half, tens, ones, letter = packed.groups()
        cycle = _digit(tens) * 10 + int(ones)
        return f"{_CENTURIES[century]}{year} {half}{letter}{cycle or ''}"
    spelled = re.match(r"(\d{4})\s*([A-HJ-Y][A-HJ-Z]\d*)\Z", name)
    if spelled:
        return f"{spelled[1]} {spelled[2]}"
    numbered = _NUMBERED.match(name)
    return str(_digit(numbered[1]) * 10_000 + int(numbered[2])) if numbered else name


def _digit(letter: str) -> int:
    """Read a digit of a packed designation: after 9 come A to Z, then a to z."""
    return int(letter) if letter.isdigit() else ord(letter) - (55 if letter.isupper() else 61)


def _downloads(name: str, surveys: list[str]) -> list[dict[str, str]]:
    return [
        {
            "url": f"/{survey}/api/v1/sso?{urlencode({'n_or_d': name, 'output-format': form})}",
            "label": f"Alerts of {survey.upper()}, every column, as {label}",
        }
        for survey in surveys
        if survey in ("ztf", "lsst")
        for form, label in FORMATS.items()
    ]


def _snippets(name: str, survey: str, base: str) -> list[dict[str, str]]:
    arguments = urlencode({"n_or_d": name, "output-format": "csv"})
    file = re.sub(r"\W+", "_", name)
    quoted = name.replace("'", "''")
    sql = f"SELECT mjd, ra, dec, band, mag, mag_err FROM alerts WHERE sso_name = '{quoted}' ORDER BY mjd"
    return [
        {"name": "curl", "about": "writes a CSV file", "code": f'curl -fsS "{base}/{survey}/api/v1/sso?{arguments}" -o {file}.csv'},
        {"name": "SQL", "about": "where the archive is", "code": f'fink query "{sql}"'},
    ]


def _links(name: str) -> list[dict[str, str]]:
    asked = quote(name, safe="")
    return [
        {
            "name": "Minor Planet Center",
            "about": "orbit and observations",
            "url": f"https://minorplanetcenter.net/db_search/show_object?object_id={asked}",
        },
        {"name": "JPL", "about": "orbit and physical properties", "url": f"https://ssd.jpl.nasa.gov/tools/sbdb_lookup.html#/?sstr={asked}"},
        {"name": "SsODNet", "about": "the card of the IMCCE", "url": f"https://ssp.imcce.fr/webservices/ssodnet/api/ssocard/{asked}"},
    ]
