"""Routes of ZTF's users that ask by class: which there are, the newest alerts of one, and the most anomalous."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from fink import filters
from fink.api.alerts import DATES, newest_of_substream, newest_where
from fink.api.answers import Answer
from fink.api.arguments import Argument
from fink.api.routes import CURSOR, TABLE, Question, Route
from fink.api.solar_system import nothing_yet
from fink.catalogs.simbad_types import spellings
from fink.columns import Column
from fink.errors import RequestError, did_you_mean
from fink.science.fink_class import AMBIGUOUS, CLAIMS, UNKNOWN
from fink.services import searches
from fink.services.catalogues import Catalogues
from fink.services.substreams import known_substreams

CLASSIFIERS = (
    "Early SN Ia candidate",
    "SN candidate",
    "Kilonova candidate",
    "Microlensing candidate",
    *CLAIMS,
    "Tracklet",
    AMBIGUOUS,
    UNKNOWN,
)
"""The classes that Fink itself gives, as ZTF's users know them."""

_TNS, _SIMBAD = "(TNS) ", "(SIMBAD) "
_COLOURS = ("v:g-r", "v:sigma(g-r)", "v:rate(g-r)", "v:sigma(rate(g-r))")


def classes(question: Question) -> Answer:
    """Give what `latests` can be asked for."""
    return {
        "Fink classifiers": list(CLASSIFIERS),
        "Fink substreams": sorted(filters.registry()),
        "Cross-match with TNS": [_TNS + name for name in _tns_types(question)],
        "Cross-match with SIMBAD (see https://simbad.cds.unistra.fr/guide/otypes.htx)": [_SIMBAD + name for name in _simbad_types()],
    }


def _tns_types(question: Question) -> list[str]:
    """Give the types of the installed list of transients."""
    return sorted(Catalogues(question.settings.artifacts).words("tns", "tns_type"))


def _simbad_types() -> list[str]:
    return sorted({one.former_name for one in spellings().values()})


def latests(question: Question) -> Answer:
    """Give the newest alerts of a class that ZTF's users know, or of a substream."""
    name, known = question["class"], known_substreams(question.archive)
    rows = newest_of_substream(question, name) if name in known else newest_where(question, _condition(question, name))
    runtime = _COLOURS if question["color"] else ()
    return question.listed(_with_trend(question, rows), question.wanted(), runtime=runtime)


def _condition(question: Question, name: str) -> str:
    """Give the condition that selects a class."""
    if name.startswith(_TNS):
        return f"tns_type = {_quoted(name.removeprefix(_TNS))}"
    bare = name.removeprefix(_SIMBAD)
    if name in CLASSIFIERS:
        return f"fink_class = {_quoted(name)}"
    one = spellings().get(bare)
    if one is None:
        choices = [*CLASSIFIERS, *filters.registry(), *_simbad_types()]
        raise RequestError(f"class = {name!r} is no class and no substream{did_you_mean(bare, choices)}; /classes lists them")
    return f"simbad_former_type = {_quoted(one.former_name)}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _with_trend(question: Question, rows: pa.Table) -> pa.Table:
    """Keep the alerts that rise or fade, of those that were found."""
    trend = question["trend"]
    if trend is None or not rows.num_rows:
        return rows
    if trend not in ("rising", "fading"):
        question.warnings.append(f"the answer is empty: trend = {trend} is of states of blazars, which nothing finds yet")
        return rows.slice(0, 0)
    rates = searches.widened(question.archive, rows, ["mag_rate"])
    if "mag_rate" not in rates.column_names:
        return rows.slice(0, 0)
    return rows.filter(pc.fill_null(pc.less(rates["mag_rate"], 0) if trend == "rising" else pc.greater(rates["mag_rate"], 0), False))


def anomalies(question: Question) -> Answer:
    """Give the most anomalous alerts of each night; there are none until something ranks them."""
    score = Column("anomaly_score", pa.float64(), "", "stat.value", "Score of the isolation forest; the lower, the more anomalous")
    return nothing_yet(question, {**question.public, "d:anomaly_score": score}, "nothing ranks anomalies yet")


def _routes() -> tuple[Route, ...]:
    of_class = Argument("class", "text", "Name of the class or substream; /classes lists them", required=True, example="first_detections")
    n = Argument("n", "integer", "Rows at most", default=10, least=1, most=100_000, example=10)
    trends = ("rising", "fading", "low_state", "new_low_state")
    trend = Argument("trend", "choice", "Only those that get brighter, or fainter, of the rows found", choices=trends)
    colour = Argument("color", "flag", "Whether colours are given also where other columns are named", default=False)
    nights = (Argument("start_date", "time", "From this time on"), Argument("stop_date", "time", "Up to this time"))
    return (
        Route("/classes", "What latests can be asked for", (), classes, ("ztf",), bare=True),
        Route("/latests", "The newest alerts of a class", (of_class, n, *DATES, trend, colour, CURSOR, *TABLE), latests, ("ztf",)),
        Route("/anomaly", "The most anomalous alerts of each night", (n, *nights, *TABLE), anomalies, ("ztf",)),
    )


ROUTES = _routes()
