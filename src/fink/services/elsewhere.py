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


_BY_PLACE = (
    (
        "SIMBAD",
        "what is published within 10 arcsec",
        "https://simbad.cds.unistra.fr/simbad/sim-coo?Coord={ra}d{signed}d&Radius=10&Radius.unit=arcsec",
    ),
    (
        "NED",
        "galaxies and other extragalactic objects within 30 arcsec",
        "https://ned.ipac.caltech.edu/conesearch?coordinates={ra}d%20{dec}d&radius=0.5&in_csys=Equatorial&in_equinox=J2000",
    ),
    ("Legacy Survey", "deep images", "https://www.legacysurvey.org/viewer?ra={ra}&dec={dec}&layer=ls-dr10&zoom=16&mark={ra},{dec}"),
    ("SDSS", "image and spectra", "https://skyserver.sdss.org/dr18/VisualTools/explore/summary?ra={ra}&dec={dec}"),
    ("VSX", "variable stars", "https://vsx.aavso.org/index.php?view=results.get&coords={ra}%20{signed}&format=d&size=10&unit=3"),
)
"""Services that are asked for a place: name, what they show, address."""

_BY_NAME = {
    "ztf": (
        ("ALeRCE", "this object at another broker", "https://alerce.online/object/{name}"),
        ("Lasair", "this object at another broker", "https://lasair-ztf.lsst.ac.uk/objects/{name}/"),
        ("SNAD viewer", "ZTF's data releases within 1.5 arcsec", "https://ztf.snad.space/search/{ra}%20{dec}/1.5"),
    ),
    "lsst": (
        ("ALeRCE", "this object at another broker", "https://lsst.alerce.online/object/{name}"),
        ("Lasair", "this object at another broker", "https://lasair.lsst.ac.uk/objects/{name}/"),
    ),
}
"""Services that know a survey's names."""

_OTHER = {"ztf": "lsst", "lsst": "ztf"}


def links(survey: str, object_id: str, ra: float, dec: float, alert: Mapping[str, Any]) -> list[dict[str, str]]:
    """Give the pages of other services about an object or its place [deg]."""
    words = {"ra": f"{ra:.6f}", "dec": f"{dec:.6f}", "signed": quote(f"{dec:+.6f}"), "name": quote(object_id)}
    listed = (*_BY_PLACE, *_BY_NAME.get(survey, ()))
    found = [_tns(ra, dec, alert.get("tns_name"))]
    found += [{"name": name, "about": about, "url": address.format(**words)} for name, about, address in listed]
    if survey in _OTHER:
        other = _OTHER[survey]
        query = urlencode({"q": f"{ra:.6f} {dec:+.6f} 2s survey={other}"}, quote_via=quote)
        about = f"{other.upper()}'s alerts within 2 arcsec, on this server"
        found.append({"name": f"Fink, {other.upper()}", "about": about, "url": f"/search?{query}"})
    return found


def _tns(ra: float, dec: float, name: str | None) -> dict[str, str]:
    if name:
        return {"name": "TNS", "about": name, "url": f"https://www.wis-tns.org/object/{quote(name.split()[-1])}"}
    query = urlencode({"ra": f"{ra:.6f}", "decl": f"{dec:.6f}", "radius": "5", "coords_unit": "arcsec"})
    return {"name": "TNS", "about": "reported transients within 5 arcsec", "url": f"https://www.wis-tns.org/search?{query}"}
