"""Routes that give alerts: of an object, around a position, of a substream or class, of a solar-system object."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink import filters
from fink.api.answers import Answer, TableAnswer
from fink.api.arguments import Argument
from fink.api.routes import COLUMNS, OUTPUT, TABLE, Question, Route
from fink.columns import COLUMNS as CORE
from fink.columns import Column
from fink.conditions import parse_condition
from fink.errors import NotFoundError, RequestError, did_you_mean
from fink.services import searches
from fink.services.searches import Interval
from fink.services.substreams import known_substreams
from fink.services.trials import vocabulary
from fink.surveys.public import exposure_start, public_columns, runtime_columns

_RA = Argument("ra", "list", "Right ascension of the centre, or of several, ICRS [deg], or as 10h20m30s", required=True, example=150.0)
_DEC = Argument("dec", "list", "Declination of the centre, or of several, ICRS [deg], or as -10d20m30s", required=True, example=2.2)
_RADIUS = Argument("radius", "number", "Radius [arcsec]", required=True, example=60, least=0, most=18000)
_N = Argument("n", "integer", "Rows at most", default=1000, least=1, most=100_000, example=10)
_START = Argument("startdate", "time", "Only from this time on: ISO, JD or MJD", example="")
_STOP = Argument("stopdate", "time", "Only up to this time: ISO, JD or MJD", example="")
_WINDOW = Argument("window", "number", "Only this many days from startdate on [d]", least=0)


def _object_argument(name: str) -> Argument:
    return Argument(name, "list", "Object, or several with commas between", required=True, example="")


def sources(question: Question) -> Answer:
    """Give the alerts of objects, the newest first."""
    names = question.wanted()
    rows = searches.of_objects(question.archive, question.survey, question["diaObjectId"], _own(names))
    return question.table(rows, names)


def objects_of_lsst(question: Question) -> Answer:
    """Give one row for each object: what its last alert said of it."""
    known = public_columns(question.survey, question.vocabulary.values(), of_objects=True)
    names = question.wanted(known)
    rows = searches.of_objects(question.archive, question.survey, question["diaObjectId"], [*_own(names), "object_id", "mjd", "alert_id"])
    return question.table(searches.last_of_each(rows), names)


def objects_of_ztf(question: Question) -> Answer:
    """Give the alerts of objects whose names begin so, the newest first."""
    known, archive = question.public, question.archive
    object_ids = [name for prefix in question["objectId"] for name in archive.object_names(prefix, question.survey, 100)]
    names = question.wanted(known)
    rows = searches.of_objects(archive, question.survey, object_ids, None if not question["columns"] else _own(names))
    more = {} if question["columns"] or not rows.num_rows else runtime_columns(question.survey, rows)
    if question["withupperlim"]:
        return _with_limits(question, rows, names, object_ids)
    return question.table(rows, names, more)


_TAG = Column("tag", pa.string(), "", "meta.code.class", "Whether the row is a valid measurement or an upper limit")


def _with_limits(question: Question, rows: pa.Table, names: Mapping[str, Column], object_ids: list[str]) -> TableAnswer:
    """Add the upper limits of the objects' light curves, and say of each row what it is."""
    limits = searches.points(question.archive, question.survey, object_ids, ("limit",))
    if limits.num_rows:
        # of a limit the light curve keeps the one-sigma flux error, which its magnitude says five times
        mags = 31.4 - 2.5 * np.log10(5.0 * limits["flux_err"].to_numpy())
        table = limits.select(["object_id", "mjd", "band", "survey"]).append_column("limit_mag", pa.array(mags, pa.float32()))
        table = table.append_column("ztf_jd", pa.array(exposure_start(limits["mjd"].to_numpy())))
        both = pa.concat_tables([rows, table], promote_options="permissive") if rows.num_rows else table
    else:
        both = rows
    tags = pa.array(["valid"] * rows.num_rows + ["upperlim"] * limits.num_rows, pa.string())
    both = both.append_column("tag", tags)
    both = both.sort_by([("mjd", "descending")]) if both.num_rows else both
    return question.table(both, names, {"d:tag": (both["tag"], _TAG)})


def forced(question: Question) -> Answer:
    """Give the forced photometry of objects in order of time."""
    points = searches.forced_photometry(question.archive, question.survey, question["diaObjectId"])
    known = {
        name: column
        for name, column in question.public.items()
        if column.name in ("object_id", "mjd", "band", "flux", "flux_err", "total_flux", "total_flux_err", "detector")
    }
    number = Column("point_id", pa.int64(), "", "meta.id", "Number of the forced source in its survey")
    known |= {"r:diaForcedSourceId": number}
    return question.table(points, question.wanted(known))


def cone(question: Question) -> Answer:
    """Give the last alert of each object around a position, the nearest first; of several positions, one after the other."""
    names = question.wanted(always=("object_id", "ra", "dec", "mjd"))
    time, first_seen = _when(question)
    centres, parts = _centres(question), []
    for place, (ra, dec) in enumerate(centres):
        rows = searches.around(
            question.archive,
            question.survey,
            ra,
            dec,
            question["radius"],
            time=time,
            first_seen=first_seen,
            columns=_own(names),
            limit=question["n"],
        )
        parts.append(rows.append_column("place", pa.array([place] * rows.num_rows, pa.int32())))
    rows = pa.concat_tables(parts, promote_options="permissive")
    more = {"v:separation_degree": (pc.divide(rows["separation"], 3600.0), _SEPARATION)}
    return question.table(rows, names, more | ({"v:position": (rows["place"], _PLACE)} if len(centres) > 1 else {}))


_SEPARATION = Column("separation_degree", pa.float64(), "deg", "pos.angDistance", "Distance to the centre of the search")
_PLACE = Column("place", pa.int32(), "", "meta.id", "Which of the positions that were sent, counted from 0")
MOST_POSITIONS = 1000
"""Positions in one question at most."""


def _when(question: Question) -> tuple[Interval, Interval]:
    """Read startdate, stopdate and window: of the object's first detection and last alert, or of any alert between (``across``)."""
    start, stop = question["startdate"], question["stopdate"]
    if question["window"] is not None:
        if start is None:
            raise RequestError("window needs startdate, from which it counts; give both, or startdate and stopdate")
        stop = start + question["window"]
    if question.values.get("kind") == "across":
        return Interval(start, stop), Interval()
    return Interval(None, stop), Interval(start, None)


def _centres(question: Question) -> list[tuple[float, float]]:
    """Read one or more positions."""
    ras, decs = question["ra"], question["dec"]
    if len(ras) != len(decs) or not 0 < len(ras) <= MOST_POSITIONS:
        raise RequestError(f"{len(ras)} values of ra and {len(decs)} of dec; send as many of one as of the other, at most {MOST_POSITIONS}")
    return [_centre(ra, dec) for ra, dec in zip(ras, decs, strict=True)]


def _centre(ra: str, dec: str) -> tuple[float, float]:
    """Read a position in degrees or sexagesimal."""
    try:
        return float(ra) % 360.0, float(dec)
    except ValueError:
        from astropy.coordinates import Angle

    try:
        hours = any(letter in ra for letter in "h: ")
        return float(Angle(ra, unit="hourangle" if hours else "deg").deg) % 360.0, float(Angle(dec, unit="deg").deg)
    except ValueError as error:
        raise RequestError(f"ra = {ra!r}, dec = {dec!r} is no position; write degrees, or 10h20m30s and -10d20m30s") from error


def substream(question: Question) -> Answer:
    """Give the newest alerts of a substream, or, asked for none, say which there are."""
    known = known_substreams(question.archive)
    if not question["tag"]:
        return {name: {"description": about, "API support": True} for name, about in sorted(known.items())}
    return _of_substream(question, question["tag"], "tag")


def _of_substream(question: Question, name: str, argument: str) -> Answer:
    known = known_substreams(question.archive)
    if name not in known:
        raise RequestError(f"{argument} = {name!r} is no substream{did_you_mean(name, known)}; there are {', '.join(sorted(known))}")
    names = question.wanted()
    interval = Interval(question["startdate"], question["stopdate"])
    rows = searches.of_substream(question.archive, question.survey, name, question["n"], interval, _own(names))
    return question.table(rows, names)


def latests(question: Question) -> Answer:
    """Give the newest alerts of a class that ZTF's users know, or of a substream."""
    return _of_substream(question, question["class"], "class")


def chosen(question: Question) -> Answer:
    """Give the newest alerts for which a condition holds."""
    names = question.wanted()
    types = {column.name: column.type for column in vocabulary().values()}
    condition = parse_condition(question["where"], types, {name: cut.where for name, cut in filters.named_cuts().items()})
    interval = Interval(question["startdate"], question["stopdate"])
    rows = searches.where(question.archive, question.survey, condition, question["n"], interval, _own(names))
    return question.table(rows, names)


def solar_system(question: Question) -> Answer:
    """Give the alerts of solar-system objects in order of time."""
    names = question.wanted(always=("sso_name",))
    designations = [variant for name in question["n_or_d"] for variant in dict.fromkeys((name, name.replace(" ", "")))]
    rows = searches.of_solar_system(question.archive, question.survey, designations, _own(names))
    if not rows.num_rows:
        raise NotFoundError(f"the archive has no alert of {', '.join(question['n_or_d'])}; write the designation as the survey does")
    return question.table(rows, names, {"sso_name": (rows["sso_name"], CORE["sso_name"])})


def _own(names: Mapping[str, Column]) -> list[str]:
    return list(dict.fromkeys(column.name for column in names.values()))


def _routes() -> tuple[Route, ...]:
    with_limits = Argument("withupperlim", "flag", "Whether upper limits are given too, as rows of their own", default=False)
    kind = Argument(
        "kind",
        "choice",
        "within: seen first and last between the dates; across: any alert between",
        default="within",
        choices=("within", "across"),
    )
    where = (_RA, _DEC, _RADIUS, _N, _START, _STOP, _WINDOW)
    about_cone = "The last alert of each object around a position, the nearest first"
    lsst_id, ztf_id = _object_argument("diaObjectId"), _object_argument("objectId")
    name = Argument("n_or_d", "list", "Number, name or designation, or several", required=True, example="")
    of_class = Argument("class", "text", "Name of the class or substream; /classes lists them", required=True, example="first_detections")
    condition = Argument("where", "text", "Condition in the filters' language", required=True, example="mag < 19 AND is_transient")
    tag = Argument("tag", "text", "Name of the substream; without it, the list of all", example="first_detections")
    return (
        Route("/sources", "Every alert of objects, the newest first", (lsst_id, *TABLE), sources, ("lsst",)),
        Route("/objects", "What is known of objects, a row each", (lsst_id, *TABLE), objects_of_lsst, ("lsst",)),
        Route("/objects", "Every alert of objects, the newest first", (ztf_id, with_limits, *TABLE), objects_of_ztf, ("ztf",)),
        Route("/fp", "Forced photometry of objects, in order of time", (lsst_id, *TABLE), forced, ("lsst",)),
        Route("/conesearch", about_cone, (*where, kind, *TABLE), cone, ("lsst",)),
        Route("/conesearch", about_cone, (*where, *TABLE), cone, ("ztf",)),
        Route("/tags", "The newest alerts of a substream", (tag, _N, _START, _STOP, COLUMNS, OUTPUT), substream, bare=True),
        Route("/latests", "The newest alerts of a class", (of_class, _N, _START, _STOP, *TABLE), latests, ("ztf",)),
        Route("/alerts", "The newest alerts for which a condition holds", (condition, _N, _START, _STOP, *TABLE), chosen),
        Route("/sso", "Every alert of solar-system objects, in order of time", (name, *TABLE), solar_system),
    )


ROUTES = _routes()
