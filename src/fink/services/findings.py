"""What was found of an alert: its class and why, its catalogued neighbours, its host, its name in the solar system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from fink import catalogs, science
from fink.catalogs.simbad_types import spellings
from fink.columns import Column
from fink.engines.plan import ABSENT, NOT_RUN, RUN
from fink.science.fink_class import AMBIGUOUS, CLAIMS, UNKNOWN
from fink.services.column_tables import STATUS, plain
from fink.services.sky_texts import date_text

Alert = Mapping[str, Any]

MEANINGS: Mapping[str, str] = {
    UNKNOWN: "No catalogue that was asked knows a star or other variable object at this place, and nothing else claims the alert",
    AMBIGUOUS: "More than one independent finding claims the alert",
    CLAIMS[0]: "A known solar-system object was predicted at this place",
    CLAIMS[1]: "It may be a solar-system object that is not known: nothing stands at this place, and it was seen at most twice",
}
"""What Fink's own classes say."""

_FLAGS = (
    "is_transient",
    "is_bright",
    "is_real",
    "is_stationary",
    "is_on_star",
    "is_near_bright_star",
    "is_long_variable",
    "is_hostless",
    "is_known_sso",
    "is_sso_candidate",
    "good_quality",
    "rising",
    "fading",
)
"""Answers of yes or no that say most about an alert."""


def classification(alert: Alert, alerts: Sequence[Alert]) -> dict[str, Any]:
    """Give the class of an alert with what it means, the answers that lie behind it, and how it changed over an object's alerts.

    Parameters
    ----------
    alert
        All columns of the alert.
    alerts
        What the index holds of the object's alerts, in order of time.
    """
    name = alert.get("fink_class")
    return {
        "class": name,
        "meaning": meaning(name) or _why_none(alert),
        "flags": _flags(alert),
        "history": class_history(alerts),
    }


def meaning(name: str | None) -> str:
    """Say what a class means; empty where it is none."""
    if name is None:
        return ""
    if name in MEANINGS:
        return MEANINGS[name]
    known = spellings().get(name)
    if known is None:
        return f"SIMBAD lists an object of the type {name} at this place"
    may_be = "a candidate for" if known.candidate else "an object of"
    family = f", of the family {known.family}" if known.family else ""
    return f"SIMBAD lists {may_be} the type {known.name.removesuffix('_Candidate')} at this place{family}"


def _why_none(alert: Alert) -> str:
    if alert.get("simbad_status") == ABSENT:
        return "No class: the catalogue of SIMBAD is not installed, and nothing else claims the alert"
    return f"No class: {STATUS.get(alert.get('fink_class_status', NOT_RUN), STATUS[NOT_RUN])}"


def _flags(alert: Alert) -> list[dict[str, Any]]:
    declared = {column.name: column for module in science.registry().values() for column in module.outputs}
    return [
        {"name": name, "value": alert.get(name), "about": declared[name].about.removeprefix("Whether ")}
        for name in _FLAGS
        if name in declared
    ]


def class_history(alerts: Sequence[Alert]) -> list[dict[str, Any]]:
    """Give the stretches of time in which an object's alerts had one class, in order of time."""
    found = []
    for name, run in groupby(alerts, key=lambda alert: alert.get("fink_class")):
        members = list(run)
        first, last = members[0]["mjd"], members[-1]["mjd"]
        found.append(
            {
                "class": name,
                "alerts": len(members),
                "first_mjd": first,
                "last_mjd": last,
                "first": date_text(first, seconds=False),
                "last": date_text(last, seconds=False),
            }
        )
    return found


def matches(alert: Alert) -> dict[str, Any]:
    """Give what each catalogue says: those with an object at this place, those without, and those that were not asked, with the reason."""
    found: list[dict[str, Any]] = []
    without, unasked = [], []
    for name, catalogue in catalogs.registry().items():
        said = {"catalogue": name, "about": catalogue.about, "citation": citation_link(catalogue.citation)}
        fields = [_field(c, name, alert) for c in catalogue.columns if c != catalogue.separation and alert.get(c.name) is not None]
        # an entry that was found by the object's name is the object
        apart = (0.0 if fields else None) if catalogue.object_field else alert.get(f"{name}_separation")
        status = alert.get(f"{name}_status")
        if apart is not None:
            found.append({**said, "separation": apart, "columns": fields})
        elif status == RUN:
            without.append(said)
        else:
            unasked.append({**said, "reason": _why_unasked(status, name)})
    found.sort(key=lambda match: match["separation"])
    return {"found": found, "without": without, "unasked": unasked}


def _why_unasked(status: int | None, name: str) -> str:
    if status == ABSENT:
        return f"not installed when the alert came; fink catalogs add {name} installs it"
    return STATUS.get(status, "the plan of that night did not have it") if status is not None else "the plan of that night did not have it"


def _field(column: Column, prefix: str, alert: Alert) -> dict[str, Any]:
    label = column.name.removeprefix(f"{prefix}_").replace("_", " ")
    return {
        "name": column.name,
        "label": label,
        "value": plain(alert[column.name], column.type),
        "unit": column.unit,
        "about": column.about,
    }


def citation_link(citation: str) -> dict[str, str]:
    """Give a citation as a link."""
    address = f"https://doi.org/{citation.removeprefix('doi:')}" if citation.startswith("doi:") else citation
    return {"text": citation, "url": address}


_OF_THE_PACKET = (
    ("Template", ("reference_separation",), "the nearest source of the survey's template"),
    (
        "Deep catalogue",
        ("star_separation", "star_score", "star_g", "star_r", "star_i", "star_z"),
        "the nearest source of the survey's deep catalogue",
    ),
    ("Gaia", ("gaia_separation", "gaia_mag"), "the nearest Gaia source"),
    ("Bright Gaia star", ("gaia_bright_separation", "gaia_bright_mag"), "the nearest star of G < 14"),
)


def packet_neighbours(alert: Alert, declared: Mapping[str, Column]) -> list[dict[str, Any]]:
    """Give the neighbours that the survey itself names in the packet, those that it names."""
    found = []
    for name, columns, about in _OF_THE_PACKET:
        there = [
            {
                "name": each,
                "label": each.replace("_", " "),
                "value": plain(alert[each], declared[each].type),
                "unit": declared[each].unit,
                "about": declared[each].about,
            }
            for each in columns
            if alert.get(each) is not None
        ]
        if there:
            found.append({"name": name, "about": about, "columns": there})
    return found


def host(alert: Alert) -> dict[str, Any]:
    """Give the likeliest host of an alert, or why there is none."""
    module = science.registry()["host"]
    columns = [_field(column, "host", alert) for column in module.outputs if alert.get(column.name) is not None]
    status = alert.get("host_status")
    if alert.get("host_probability") is not None:
        missing = ""
    elif status == RUN:
        missing = "No catalogue of galaxies that was asked has a galaxy near enough to be the host"
    else:
        missing = f"Not looked for: {STATUS.get(status if status is not None else NOT_RUN, STATUS[NOT_RUN])}"
    if status == RUN and not columns:
        missing = "No catalogue of galaxies was installed when the alert came"
    likely = alert.get("host_probability")
    return {"name": alert.get("host_name"), "probability": likely, "columns": columns, "missing": missing}


_SSO = ("sso_name", "sso_separation", "sso_mag", "is_known_sso", "is_sso_candidate", "is_first_appearance")


def solar_system(alert: Alert, declared: Mapping[str, Column]) -> dict[str, Any]:
    """Give what is known of an alert as a body of the solar system, or that nothing is."""
    columns = [
        {
            "name": name,
            "label": name.replace("_", " "),
            "value": plain(alert[name], declared[name].type),
            "unit": declared[name].unit,
            "about": declared[name].about,
        }
        for name in _SSO
        if alert.get(name) is not None and name in declared
    ]
    more = [
        {
            "name": name,
            "label": name.removeprefix("lsst_sso_").replace("_", " "),
            "value": plain(alert[name], declared[name].type),
            "unit": declared[name].unit,
            "about": declared[name].about,
        }
        for name in sorted(alert)
        if name.startswith("lsst_sso_") and alert[name] is not None and name in declared
    ]
    missing = "" if alert.get("sso_name") else "The survey names no known solar-system object at this place"
    return {"name": alert.get("sso_name"), "columns": columns + more, "missing": missing}
