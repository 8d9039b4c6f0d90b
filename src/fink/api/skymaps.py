"""The route of sky maps: the objects in the region where an event most likely was."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from fink.api.answers import Answer
from fink.api.arguments import Argument
from fink.api.routes import TABLE, Question, Route
from fink.columns import Column
from fink.errors import RequestError
from fink.services import outside, searches
from fink.services.skymaps import Skymap, area, as_bytes, read_skymap
from fink.sky import MJD_OF_JD, tai_to_utc

MOST_ALERTS = 500_000
"""Alerts of a region that are looked through at most."""


_EXAMPLE = (
    "H4sIAAAAAAACA+3XwWqDMBjA8T3Kd/PYKTvs0kOdaRewUTSD7hhn2gk1lpjC+krdS07bbQxmZkXYpd8PvCj8SUiEJKXLOCQAU+jAYQIvlVpXuq"
    "zBVDCnPIXaCJULnUMnn/KYriy9+6YntBYHyIURYA47CT3YbEVTsPRum57al5nUUK2/ykUpVV1Uqu7skRUnLLDOd7BTDCGEEEIIXY32OJnSiE3B"
    "8SnjMz8kzo/PE8gKJfQBjMi2EuSbOR9Orb1/PT97w8/Pp55r6d01va1UG/Pa9r5L4PaMz+vuuZ6l59l78UP0xPhF94WNrvY72AktSmmk7p7v4q"
    "+e+7tX96wHn1MSBuklvfOWWRdym9urnD/H5LQeTpxEfvvKGbOf+TxKluce+Xw1qtds5naEbe+RzMJ2b4/qNT9bQMC6HoNFSUASyhbN+BhJOQlG"
    "zhfvgwghhFC/6fH4PuS5QQghhBBC6Ip9AI3CZs/AIQAA"
)
"""A small sky map, packed and in base64: the same probability everywhere."""


def skymap(question: Question) -> Answer:
    """Give the last alert of each object within a credible region, the newest first."""
    read = _read(question)
    ranges = read.region(question["credible_level"])
    question.warnings.append(f"the region has {area(ranges):.1f} square degrees")
    start, stop = _window(question, read)
    rows = question.archive.region(ranges, question.survey, start, stop, MOST_ALERTS)
    if rows.num_rows == MOST_ALERTS:
        question.warnings.append(f"over {MOST_ALERTS} alerts lie there, some are left out; ask for a smaller credible_level or fewer days")
    rows = searches.last_of_each(rows)
    rows = rows.sort_by([("mjd", "descending"), ("alert_id", "descending")]) if rows.num_rows else rows
    if rows.num_rows > question["n"]:
        question.warnings.append(f"{rows.num_rows} objects lie there, n = {question['n']} are given")
    names = question.wanted(always=("object_id", "ra", "dec", "mjd"))
    return question.listed(rows.slice(0, question["n"]), names, lambda table: _event(question.survey, table, read.mjd))


def _read(question: Question) -> Skymap:
    sent = next((question.values[name] for name in ("file", "bayestar") if question.values[name]), None)
    if sent is not None:
        return read_skymap(as_bytes(sent))
    if question["event_name"]:
        return read_skymap(outside.fetch_skymap(question["event_name"], question.settings.network))
    raise RequestError("file, bayestar and event_name are missing; send the sky map as a file, or its bytes in base64 as bayestar")


def _window(question: Question, read: Skymap) -> tuple[float | None, float | None]:
    """Give the times between which alerts are wanted, around that of the event."""
    before, after = question["n_day_before"], question["n_day_after"]
    if read.mjd is None:
        if before is not None or after is not None:
            question.warnings.append("the sky map says no time, so n_day_before and n_day_after have no effect")
        return None, None
    return None if before is None else read.mjd - before, None if after is None else read.mjd + after


def _event(survey: str, alerts: pa.Table, mjd: float | None) -> dict[str, tuple[pa.ChunkedArray, Column]]:
    """Give the time of the event beside each alert."""
    ztf = survey == "ztf"
    value = None if mjd is None else float(tai_to_utc(np.array([mjd]))[0]) + MJD_OF_JD if ztf else mjd
    times = pa.chunked_array([pa.array([value] * alerts.num_rows, pa.float64())])
    about = "Time of the event, JD in UTC" if ztf else "Time of the event, MJD in TAI"
    return {"v:jdstartgw" if ztf else "v:startgwMjdTai": (times, Column("event_time", pa.float64(), "d", "time.epoch", about))}


def _routes() -> tuple[Route, ...]:
    file = Argument("file", "bytes", "The sky map, HEALPix in FITS, packed with gzip or not: in a form, or as the whole body of a POST")
    bayestar = Argument("bayestar", "bytes", "The same as text: base64, or as Python writes bytes", example=_EXAMPLE)
    event = Argument("event_name", "text", "Name of an event in GraceDB, where this server may ask there", example="")
    level = Argument("credible_level", "number", "Probability that the region holds", required=True, least=0, most=1, example=0.9)
    most = Argument("n", "integer", "Objects at most", default=10_000, least=1, most=100_000)
    before, after = ("n_day_before", "Days before the event from which alerts are given [d]"), ("n_day_after", "Days after it [d]")
    about = "The last alert of each object in the credible region of a sky map"
    ztf = (Argument(before[0], "number", before[1], default=1.0, least=0), Argument(after[0], "number", after[1], default=6.0, least=0))
    lsst = (Argument(before[0], "number", before[1], least=0), Argument(after[0], "number", after[1], least=0))
    return tuple(
        Route("/skymap", about, (file, bayestar, event, level, *days, most, *TABLE), skymap, (survey,))
        for survey, days in (("ztf", ztf), ("lsst", lsst))
    )


ROUTES = _routes()
