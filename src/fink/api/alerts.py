"""Routes that give alerts: of an object, around a position, of a substream, or for which a condition holds."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink import filters
from fink.api.answers import Answer, TableAnswer
from fink.api.arguments import Argument
from fink.api.routes import COLUMNS, CURSOR, OUTPUT, TABLE, Question, Route
from fink.api.stamps import KIND_OF_STAMPS, WITH_STAMPS, stamps_beside
from fink.columns import Column
from fink.conditions import parse_condition
from fink.errors import RequestError, did_you_mean
from fink.services import searches
from fink.services.positions import read_angle
from fink.services.searches import FIRST_ASCENDING, NEEDED, Interval
from fink.services.substreams import known_substreams
from fink.services.trials import vocabulary
from fink.surveys.public import exposure_start, public_columns

_RA = Argument("ra", "list", "Right ascension of the centre, or of several, ICRS [deg], or as 10h20m30s", required=True, example=150.0)
_DEC = Argument("dec", "list", "Declination of the centre, or of several, ICRS [deg], or as -10d20m30s", required=True, example=2.2)
_RADIUS = Argument("radius", "number", "Radius [arcsec]", required=True, example=60, least=0, most=18000)
_N = Argument("n", "integer", "Rows at most", default=1000, least=1, most=100_000, example=10)
_ALL = Argument("n", "integer", "Rows at most, and a cursor for the rest; all where not said", least=1, most=1_000_000)
_START = Argument("startdate", "time", "Only from this time on: ISO, JD or MJD", example="")
_STOP = Argument("stopdate", "time", "Only up to this time: ISO, JD or MJD", example="")
_WINDOW = Argument("window", "number", "Only this many days from startdate on [d]", least=0)
DATES = (_START, _STOP)
MOST_OBJECTS = 10_000
"""Objects in one question at most."""


def _object_argument(name: str) -> Argument:
    return Argument(name, "list", "Object, or several with commas between", required=True, example="")


def _asked_objects(question: Question, name: str) -> list[str]:
    """Give the objects asked for, each once."""
    objects = list(dict.fromkeys(question[name]))
    if len(objects) > MOST_OBJECTS:
        raise RequestError(f"{name} has {len(objects)} objects; send at most {MOST_OBJECTS} at once, or order a job")
    return objects


def sources(question: Question) -> Answer:
    """Give the alerts of objects, the newest first."""
    one = question["midpointMjdTai"]
    rows = searches.of_objects(question.archive, question.survey, _asked_objects(question, "diaObjectId"), NEEDED)
    if one is not None and rows.num_rows:
        rows = rows.filter(pc.less(pc.abs(pc.subtract(rows["mjd"], one)), _SAME_MOMENT))
    page = question.page()
    return question.listed(question.cut(page.cut(rows), page), question.wanted())


_SAME_MOMENT = 1e-6
"""Times of one source may differ so much after they were written as text [d]."""


def objects_of_lsst(question: Question) -> Answer:
    """Give one row for each object: what its last alert said of it."""
    known = public_columns(question.survey, question.vocabulary.values(), of_objects=True)
    rows = searches.of_objects(question.archive, question.survey, _asked_objects(question, "diaObjectId"), NEEDED)
    return question.listed(searches.last_of_each(rows), question.wanted(known))


def objects_of_ztf(question: Question) -> Answer:
    """Give the alerts of objects whose names begin so, the newest first."""
    archive, asked = question.archive, _asked_objects(question, "objectId")
    object_ids = [name for prefix in asked for name in archive.object_names(prefix, question.survey, 100)]
    names, rows = question.wanted(), searches.of_objects(archive, question.survey, object_ids, NEEDED)
    if question["withupperlim"]:
        return _with_limits(question, rows, names, object_ids)
    page = question.page()
    rows = question.cut(page.cut(rows), page)
    return question.listed(rows, names, partial(stamps_beside, question))


_TAG = Column("tag", pa.string(), "", "meta.code.class", "Whether the row is a valid measurement or an upper limit")


def _with_limits(question: Question, found: pa.Table, names: Mapping[str, Column], object_ids: list[str]) -> TableAnswer:
    """Add the upper limits of the objects' light curves, and say of each row what it is."""
    rows = searches.widened(question.archive, found, list(dict.fromkeys([*(column.name for column in names.values()), *NEEDED])))
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


_FORCED = ("object_id", "mjd", "band", "flux", "flux_err", "total_flux", "total_flux_err", "detector")
_FORCED_ID = Column("point_id", pa.int64(), "", "meta.id", "Number of the forced source in its survey")


def forced(question: Question) -> Answer:
    """Give the forced photometry of objects in order of time."""
    points = searches.forced_photometry(question.archive, question.survey, _asked_objects(question, "diaObjectId"))
    known = {name: column for name, column in question.public.items() if column.name in _FORCED}
    return question.table(points, question.wanted(known | {"r:diaForcedSourceId": _FORCED_ID}))


def cone(question: Question) -> Answer:
    """Give the last alert of each object around a position, the nearest first; of several positions, one after the other."""
    names = question.wanted(always=("object_id", "ra", "dec", "mjd"))
    centres = _centres(question)
    if len(centres) == 1:
        page = question.page(FIRST_ASCENDING)
        rows = question.cut(_around(question, centres[0], question["n"] + 1, page), page, "separation")
        return question.listed(rows, names, _apart, keep=("separation",))
    if question["cursor"]:
        raise RequestError("a cursor goes with one position; send the positions that are still wanted")
    parts = []
    for place, centre in enumerate(centres):
        rows = _around(question, centre, question["n"])
        parts.append(rows.append_column("place", pa.array([place] * rows.num_rows, pa.int32())))
    rows = pa.concat_tables(parts, promote_options="permissive")
    return question.listed(rows, names, _apart, keep=("separation", "place"))


def _around(question: Question, centre: tuple[float, float], limit: int, page: searches.Page | None = None) -> pa.Table:
    time, first_seen = _when(question)
    return searches.around(
        question.archive,
        question.survey,
        *centre,
        question["radius"],
        time=time,
        first_seen=first_seen,
        columns=NEEDED,
        limit=limit,
        page=page,
    )


_SEPARATION = Column("separation_degree", pa.float64(), "deg", "pos.angDistance", "Distance to the centre of the search")
_PLACE = Column("place", pa.int32(), "", "meta.id", "Which of the positions that were sent, counted from 0")
MOST_POSITIONS = 1000
"""Positions in one question at most."""


def _apart(alerts: pa.Table) -> dict[str, tuple[pa.ChunkedArray, Column]]:
    """Give the separations, and which position each is from where there are several."""
    found = {"v:separation_degree": (pc.divide(alerts["separation"], 3600.0), _SEPARATION)}
    return found | ({"v:position": (alerts["place"], _PLACE)} if "place" in alerts.column_names else {})


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
    a, d = read_angle(ra, hours=True), read_angle(dec, hours=False)
    if a is None or d is None or not abs(d) <= 90.0:
        raise RequestError(f"ra = {ra!r}, dec = {dec!r} is no position; write degrees, or 10h20m30s and -10d20m30s")
    return a % 360.0, d


def substream(question: Question) -> Answer:
    """Give the newest alerts of a substream, or, asked for none, say which there are."""
    known = known_substreams(question.archive)
    if not question["tag"]:
        return {name: {"description": about, "API support": True} for name, about in sorted(known.items())}
    if question["tag"] not in known:
        near = did_you_mean(question["tag"], known)
        raise RequestError(f"tag = {question['tag']!r} is no substream{near}; there are {', '.join(sorted(known))}")
    return question.listed(newest_of_substream(question, question["tag"]), question.wanted())


def newest_of_substream(question: Question, name: str) -> pa.Table:
    """Give a page of the newest alerts of a substream."""
    page, interval = question.page(), Interval(question["startdate"], question["stopdate"])
    rows = searches.of_substream(question.archive, question.survey, name, question["n"] + 1, interval, NEEDED, page)
    return question.cut(rows, page)


def chosen(question: Question) -> Answer:
    """Give the newest alerts for which a condition holds."""
    return question.listed(newest_where(question, question["where"]), question.wanted())


def newest_where(question: Question, text: str) -> pa.Table:
    """Give a page of the newest alerts for which a condition holds."""
    types = {column.name: column.type for column in vocabulary().values()}
    condition = parse_condition(text, types, {name: cut.where for name, cut in filters.named_cuts().items()})
    page, interval = question.page(), Interval(question["startdate"], question["stopdate"])
    rows = searches.where(question.archive, question.survey, condition, question["n"] + 1, interval, NEEDED, page)
    return question.cut(rows, page)


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
    moment = Argument("midpointMjdTai", "number", "Only the source of this moment [MJD, TAI]")
    condition = Argument("where", "text", "Condition in the filters' language", required=True, example="mag < 19 AND is_transient")
    tag = Argument("tag", "text", "Name of the substream; without it, the list of all", example="first_detections")
    newest = (_N, _START, _STOP, CURSOR)
    of_ztf = (ztf_id, with_limits, WITH_STAMPS, KIND_OF_STAMPS, _ALL, CURSOR, *TABLE)
    return (
        Route("/sources", "Every alert of objects, the newest first", (lsst_id, moment, _ALL, CURSOR, *TABLE), sources, ("lsst",)),
        Route("/objects", "What is known of objects, a row each", (lsst_id, *TABLE), objects_of_lsst, ("lsst",)),
        Route("/objects", "Every alert of objects, the newest first", of_ztf, objects_of_ztf, ("ztf",)),
        Route("/fp", "Forced photometry of objects, in order of time", (lsst_id, *TABLE), forced, ("lsst",)),
        Route("/conesearch", about_cone, (*where, kind, CURSOR, *TABLE), cone, ("lsst",)),
        Route("/conesearch", about_cone, (*where, CURSOR, *TABLE), cone, ("ztf",)),
        Route("/tags", "The newest alerts of a substream", (tag, *newest, COLUMNS, OUTPUT), substream, bare=True),
        Route("/alerts", "The newest alerts for which a condition holds", (condition, *newest, *TABLE), chosen),
    )


ROUTES = _routes()
