"""How the public sees columns: their names in a survey, and the few values that its users know in another form than Fink's.

A name follows from the survey's rule (`Survey.public_name`). What is written here is the rest: sentinels, codes and numbers that
scripts have read for years. Nothing else in Fink knows them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fink import surveys
from fink.columns import Column
from fink.sky import tai_to_utc
from fink.surveys.constellations import constellations


@dataclass(frozen=True)
class PublicForm:
    """How the values of a column look outside.

    Parameters
    ----------
    type
        Arrow type of the public values.
    convert
        Makes them of Fink's own.
    """

    type: pa.DataType
    convert: Callable[[pa.ChunkedArray], pa.ChunkedArray]


def _codes(codes: Mapping[str, int]) -> PublicForm:
    names, numbers = pa.array(list(codes)), pa.array(list(codes.values()), pa.int32())
    return PublicForm(pa.int32(), lambda values: pc.take(numbers, pc.index_in(values, names)))


def _letters(yes: str, no: str) -> PublicForm:
    return PublicForm(pa.string(), lambda values: pc.if_else(values, yes, no))


def _or(missing: str) -> PublicForm:
    return PublicForm(pa.string(), lambda values: pc.fill_null(values, missing))


def _gaia_names(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.binary_join_element_wise("Gaia DR3", pc.cast(values, pa.string()), " ")


_FLAG = PublicForm(pa.int32(), lambda values: pc.cast(values, pa.int32()))

FORMS: Mapping[tuple[str, str], PublicForm] = {
    ("ztf", "band"): _codes({"g": 1, "r": 2, "i": 3}),
    ("ztf", "positive"): _letters("t", "f"),
    ("ztf", "sso_name"): PublicForm(pa.string(), lambda values: pc.fill_null(values, "null")),
    ("ztf", "simbad_former_type"): _or("Unknown"),
    ("ztf", "tns_type"): _or(""),
    ("ztf", "gaiadr3_source_id"): PublicForm(pa.string(), lambda values: pc.fill_null(_gaia_names(values), "nan")),
    ("ztf", "gaiadr3_variable"): _FLAG,
    ("ztf", "spicy_number"): PublicForm(pa.int32(), lambda values: pc.fill_null(values, -1)),
    ("ztf", "spicy_class"): _or("Unknown"),
    ("ztf", "gcvs_type"): _or("Unknown"),
    ("ztf", "x3hsp_name"): _or("Unknown"),
    ("ztf", "x4lac_name"): _or("Unknown"),
    ("lsst", "object_id"): PublicForm(pa.int64(), lambda values: pc.cast(values, pa.int64())),
    ("lsst", "gaiadr3_source_id"): PublicForm(pa.string(), _gaia_names),
    ("lsst", "gaiadr3_variable"): _FLAG,
    ("lsst", "legacy_clean"): _FLAG,
}
"""By survey and column."""


OBJECT_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "lsst": ("lsst_object_", "lsst_observation_reason", "lsst_target_name", "object_id", "n_detections", "first_mjd"),
}
"""What begins the names of columns that describe the object and not the alert, where a survey's users ask for these by themselves."""


def public_columns(survey: str, columns: Iterable[Column], *, of_objects: bool = False) -> dict[str, Column]:
    """Give the columns that a survey's users see, by public name; of two that would share one, the first stands.

    Parameters
    ----------
    columns
        Fink's columns; those of other surveys are left out.
    of_objects
        Whether those that describe the object are wanted, and not those of the alert.
    """
    foreign = {column.name for other in surveys.registry().values() for column in other.columns}
    foreign -= {column.name for column in surveys.registry()[survey].columns}
    beginnings = OBJECT_COLUMNS.get(survey, ())
    found: dict[str, Column] = {}
    for column in columns:
        if column.name not in foreign and (not of_objects or column.name.startswith(beginnings)):
            found.setdefault(surveys.registry()[survey].public_name(column.name), column)
    return found


_KNOWN: dict[tuple[str, int], tuple[Mapping[str, Column], dict[str, Column]]] = {}


def public_vocabulary(survey: str, vocabulary: Mapping[str, Column]) -> Mapping[str, Column]:
    """Give the columns of a vocabulary that a survey's users see, by public name; made once, for each question needs it."""
    key = (survey, id(vocabulary))
    kept = _KNOWN.get(key)
    if kept is None or kept[0] is not vocabulary:
        if len(_KNOWN) > 16:
            _KNOWN.clear()
        kept = _KNOWN[key] = (vocabulary, public_columns(survey, vocabulary.values()))
    return kept[1]


def published(table: pa.Table, survey: str, names: Mapping[str, Column]) -> pa.Table:
    """Give a table of one survey's alerts in public form.

    Parameters
    ----------
    names
        The columns wanted, by public name; those that the table lacks are null.
    """
    arrays: dict[str, pa.ChunkedArray] = {}
    there = dict(zip(table.column_names, table.columns, strict=True))
    for name, column in names.items():
        form = FORMS.get((survey, column.name))
        values = there[column.name] if column.name in there else pa.chunked_array([pa.nulls(table.num_rows, column.type)])
        arrays[name] = form.convert(values) if form else values
    return pa.table(arrays)


_AT_QUERY: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "ztf": {
        "v:classification": ("fink_class", "Class of the alert"),
        "v:g-r": ("colour", "Colour between the last two bands"),
        "v:sigma(g-r)": ("colour_err", "One-sigma error of the colour"),
        "v:rate(g-r)": ("colour_rate", "Change of the colour"),
        "v:sigma(rate(g-r))": ("colour_rate_err", "One-sigma error of the colour's change"),
        "v:rate": ("mag_rate", "Change of the magnitude"),
    }
}
"""Older names, by survey, for columns that were once computed when asked for, and the column that answers them now."""


_NEEDED_AT_QUERY = {
    "v:lastdate": ("mjd", "first_mjd"),
    "v:firstdate": ("mjd", "first_mjd"),
    "v:lapse": ("mjd", "first_mjd"),
    "v:constellation": ("ra", "dec"),
    "v:sigma(rate)": ("mag_rate_lower", "mag_rate_upper"),
}


def runtime_columns(survey: str, alerts: pa.Table) -> dict[str, tuple[pa.ChunkedArray, Column]]:
    """Give the columns that a survey's users get beside the archived ones: older names, and dates in words.

    Parameters
    ----------
    alerts
        Alerts of one or more objects, with every column.
    """
    found = {}
    for name, (column, about) in _AT_QUERY.get(survey, {}).items():
        if column in alerts.column_names:
            values = alerts[column]
            found[name] = (values, Column(column, values.type, "", "", about))
    if survey in _AT_QUERY:
        there = set(alerts.column_names)
        found |= _dates(alerts) if {"mjd", "first_mjd"} <= there else {}
        found |= _place(alerts) if {"ra", "dec"} <= there else {}
        found |= _rate_error(alerts) if {"mag_rate_lower", "mag_rate_upper"} <= there else {}
    return found


def runtime_needs(survey: str) -> dict[str, tuple[str, ...]]:
    """Give the names of the columns that `runtime_columns` gives, and the columns that each is made of."""
    if survey not in _AT_QUERY:
        return {}
    made: dict[str, tuple[str, ...]] = {name: (column,) for name, (column, _) in _AT_QUERY[survey].items()}
    return made | dict(_NEEDED_AT_QUERY)


def _place(alerts: pa.Table) -> dict[str, tuple[pa.ChunkedArray, Column]]:
    names = constellations(alerts["ra"].to_numpy(), alerts["dec"].to_numpy())
    about = Column("constellation", pa.string(), "", "meta.id", "Constellation that the alert lies in")
    return {"v:constellation": (pa.chunked_array([names]), about)}


def _rate_error(alerts: pa.Table) -> dict[str, tuple[pa.ChunkedArray, Column]]:
    """Give the one-sigma error of the magnitude's change, of its 5 and 95 % quantiles."""
    width = pc.subtract(alerts["mag_rate_upper"], alerts["mag_rate_lower"])
    about = Column("mag_rate_err", pa.float32(), "mag / d", "stat.error;phot.mag;arith.rate", "One-sigma error of the magnitude's change")
    return {"v:sigma(rate)": (pc.cast(pc.divide(width, 2 * 1.6448536), pa.float32()), about)}


def _dates(alerts: pa.Table) -> dict[str, tuple[pa.ChunkedArray, Column]]:
    """Give first and last date of detection, and the days between."""
    last, first = (tai_to_utc(alerts[name].to_numpy()) for name in ("mjd", "first_mjd"))
    text = Column("last_date", pa.string(), "", "time.epoch", "Date of the alert, UTC")
    lapse = Column("lapse", pa.float64(), "d", "time.interval", "Days between the first detection and this alert")
    return {
        "v:lastdate": (_calendar(last), text),
        "v:firstdate": (_calendar(first), Column("first_date", pa.string(), "", "time.start", "Date of the first detection, UTC")),
        "v:lapse": (pa.chunked_array([pa.array(last - first, from_pandas=True)]), lapse),
    }


def _calendar(mjd: NDArray[np.float64]) -> pa.ChunkedArray:
    """Write times as calendar dates with milliseconds; null where there is none."""
    if not len(mjd):
        return pa.chunked_array([], pa.string())
    known = np.isfinite(mjd)
    moments = np.datetime64("1858-11-17", "ms") + np.round(np.where(known, mjd, 0) * 86_400_000).astype("timedelta64[ms]")
    texts = np.char.replace(np.datetime_as_string(moments, "ms"), "T", " ")
    return pa.chunked_array([pa.array(texts, pa.string(), mask=~known)])


def exposure_start(mjd: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the start of ZTF's 30 s exposures as JD in UTC, from their middle as MJD in TAI; packets have seven decimals."""
    return np.round(tai_to_utc(mjd) + 2400000.5 - 15.0 / 86400.0, 7)
