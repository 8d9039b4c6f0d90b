"""What leads out of the portal: the same object at other services, and snippets that fetch it to one's own machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from fink import surveys

_ROUTES = {"ztf": "objects", "lsst": "sources"}
"""Route that gives all alerts of an object, by survey."""

FORMATS = {"csv": "CSV", "json": "JSON", "parquet": "Parquet", "votable": "VOTable"}

_SHOWN = ("mjd", "band", "flux", "flux_err", "fink_class")


def downloads(survey: str, object_id: str) -> list[dict[str, str]]:
    """Give where an object's alerts are had in each format, on this server; nothing where the survey has no interface of its own."""
    if survey not in _ROUTES:
        return []
    found = [_download(survey, _ROUTES[survey], object_id, form, f"Alerts, every column, as {name}") for form, name in FORMATS.items()]
    if survey == "lsst":
        found += [_download(survey, "fp", object_id, "csv", "Forced photometry as CSV")]
    return [*found, {"url": f"/{survey}/object/{quote(object_id)}?format=json", "label": "All that this page shows, as JSON"}]


def _download(survey: str, route: str, object_id: str, form: str, label: str) -> dict[str, str]:
    arguments = urlencode({_word(survey, "object_id"): object_id, "output-format": form})
    return {"url": f"/{survey}/api/v1/{route}?{arguments}", "label": label}


def _word(survey: str, column: str) -> str:
    return surveys.registry()[survey].public_name(column).rpartition(":")[2]


def snippets(survey: str, object_id: str, base: str) -> list[dict[str, str]]:
    """Give code that fetches an object's alerts, to be run as it is: for Python, curl and SQL.

    Parameters
    ----------
    base
        Address of the server.
    """
    shown = "mjd, band, flux, flux_err, mag, mag_err, fink_class"
    sql = f"SELECT {shown} FROM alerts WHERE survey = '{survey}' AND object_id = '{object_id}' ORDER BY mjd"
    found = [{"name": "SQL", "about": "where the archive is", "code": f'fink query "{sql}"'}]
    if survey in _ROUTES:
        word, address = _word(survey, "object_id"), f"{base}/{survey}/api/v1/{_ROUTES[survey]}"
        shown = ", ".join(f'"{surveys.registry()[survey].public_name(name)}"' for name in _SHOWN)
        found = [
            {
                "name": "Python",
                "about": "needs pandas, pyarrow and requests",
                "code": _PYTHON.format(address=address, word=word, name=object_id, shown=shown),
            },
            {"name": "curl", "about": "writes a CSV file", "code": _CURL.format(address=address, word=word, name=object_id)},
            *found,
        ]
    return found


_PYTHON = """import io

import pandas as pd
import requests

answer = requests.get(
    "{address}",
    params={{"{word}": "{name}", "output-format": "parquet"}},
    timeout=60,
)
answer.raise_for_status()
alerts = pd.read_parquet(io.BytesIO(answer.content))
print(alerts[[{shown}]])"""
_CURL = """curl -fsS "{address}?{word}={name}&output-format=csv" -o {name}.csv"""


def links(survey: str, object_id: str, ra: float, dec: float, alert: Mapping[str, Any]) -> list[dict[str, str]]:
    """Give the pages of other services about an object or its place [deg]."""
    place = f"{ra:.6f},{dec:.6f}"
    found = [
        _link(
            "SIMBAD",
            "what is published within 10 arcsec",
            "https://simbad.cds.unistra.fr/simbad/sim-coo",
            Coord=f"{ra:.6f}d{dec:+.6f}d",
            Radius="10",
            **{"Radius.unit": "arcsec"},
        ),
        _tns(ra, dec, alert.get("tns_name")),
        _link(
            "NED",
            "galaxies and other extragalactic objects within 30 arcsec",
            "https://ned.ipac.caltech.edu/conesearch",
            coordinates=f"{ra:.6f}d {dec:.6f}d",
            radius="0.5",
            in_csys="Equatorial",
            in_equinox="J2000",
        ),
        _link(
            "Legacy Survey",
            "deep images",
            "https://www.legacysurvey.org/viewer",
            ra=f"{ra:.6f}",
            dec=f"{dec:.6f}",
            layer="ls-dr10",
            zoom="16",
            mark=place,
        ),
        _link("SDSS", "image and spectra", "https://skyserver.sdss.org/dr18/VisualTools/explore/summary", ra=f"{ra:.6f}", dec=f"{dec:.6f}"),
        _link(
            "VSX",
            "variable stars",
            "https://vsx.aavso.org/index.php",
            view="results.get",
            coords=f"{ra:.6f} {dec:+.6f}",
            format="d",
            size="10",
            unit="3",
        ),
    ]
    if survey == "ztf":
        found += [
            {"name": "ALeRCE", "about": "this object at another broker", "url": f"https://alerce.online/object/{quote(object_id)}"},
            {
                "name": "Lasair",
                "about": "this object at another broker",
                "url": f"https://lasair-ztf.lsst.ac.uk/objects/{quote(object_id)}/",
            },
            {
                "name": "SNAD viewer",
                "about": "ZTF's data releases within 1.5 arcsec",
                "url": f"https://ztf.snad.space/search/{quote(f'{ra:.6f} {dec:.6f}')}/1.5",
            },
        ]
    if survey == "lsst":
        found += [
            {"name": "ALeRCE", "about": "this object at another broker", "url": f"https://lsst.alerce.online/object/{quote(object_id)}"},
            {"name": "Lasair", "about": "this object at another broker", "url": f"https://lasair.lsst.ac.uk/objects/{quote(object_id)}/"},
        ]
    other = {"ztf": "LSST", "lsst": "ZTF"}.get(survey)
    if other:
        asked = f"{ra:.6f} {dec:+.6f} 2s survey={other.lower()}"
        found.append(_link(f"Fink, {other}", f"{other}'s alerts within 2 arcsec, on this server", "/search", q=asked))
    return found


def _link(name: str, about: str, address: str, **arguments: str) -> dict[str, str]:
    return {"name": name, "about": about, "url": f"{address}?{urlencode(arguments, quote_via=quote)}"}


def _tns(ra: float, dec: float, name: str | None) -> dict[str, str]:
    if name:
        return {"name": "TNS", "about": name, "url": f"https://www.wis-tns.org/object/{quote(name.split()[-1])}"}
    return _link(
        "TNS",
        "reported transients within 5 arcsec",
        "https://www.wis-tns.org/search",
        ra=f"{ra:.6f}",
        decl=f"{dec:.6f}",
        radius="5",
        coords_unit="arcsec",
    )
