"""Light-curve tables as they are on people's disks: one row for each point, checked, and turned into alerts.

A table has the columns ``object_id``, ``mjd`` [d], ``band``, ``flux`` and ``flux_err`` [nJy], and may have ``survey`` and ``kind``
(detection, forced, limit) for each point. A row becomes the alert of its object; columns of the vocabulary that the table has
(``ra``, ``dec``, ``real_score``…) are those of the alert.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fink import surveys
from fink.columns import COLUMNS, CORE, Column, merge_columns
from fink.errors import SourceError, did_you_mean
from fink.lightcurves import DETECTION, FORCED, LIMIT, POINT_TYPES, Band, LightCurves, magnitude
from fink.sky import calendar_date, tai_to_utc
from fink.tables import PADDING, AlertBatch, Cutouts, Packets

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]
Each = Literal["object", "epoch"]

ENDINGS = (".parquet", ".csv", ".arrow", ".feather")
"""How files of light curves end."""

KINDS = {"detection": DETECTION, "forced": FORCED, "limit": LIMIT}
NEEDED = ("object_id", "mjd", "band", "flux", "flux_err")
OF_POINTS = (*NEEDED, "survey", "kind", "total_flux", "total_flux_err")
"""Columns that each point has a value of its own in."""

DERIVED = frozenset({*NEEDED, "alert_id", "survey", "schema_version", "night", "mag", "mag_err", "snr", "positive"}) | {
    "n_detections",
    "first_mjd",
    "age",
}
"""Columns of an alert that follow from the points of any table."""

DETECTION_SNR = 5.0
"""Where a table does not say what a point is, it is a detection from this signal-to-noise ratio on."""

LATEST_MJD = 1_000_000.0
"""A later time is no MJD [d]."""

POINTS_AT_ONCE = 1_000_000
MAG_PER_RELATIVE_FLUX = 2.5 / np.log(10.0)


def vocabulary() -> dict[str, Column]:
    """Give every column that an alert of a table may have: the core's, and those of surveys."""
    return merge_columns(CORE, *(survey.columns for survey in surveys.registry().values()))


def read_tables(paths: Sequence[Path]) -> pa.Table:
    """Read files of light curves and put them under one another.

    Raises
    ------
    SourceError
        If a file cannot be read, or has other columns than the first.
    """
    parts = [_read(path) for path in paths]
    for path, part in zip(paths, parts, strict=True):
        if set(part.column_names) != set(parts[0].column_names):
            differ = ", ".join(sorted(set(part.column_names) ^ set(parts[0].column_names)))
            raise SourceError(f"{path} and {paths[0]} have different columns ({differ}); give tables of the same columns together")
    return pa.concat_tables(parts, promote_options="permissive")


def _read(path: Path) -> pa.Table:
    from pyarrow import csv, feather, parquet

    try:
        if path.suffix == ".csv":
            return csv.read_csv(path)
        return parquet.read_table(path) if path.suffix == ".parquet" else feather.read_table(path)
    except FileNotFoundError as error:
        raise SourceError(f"there is no file {path}; name one that exists") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"{path} cannot be read as {path.suffix[1:]}: {error}; its ending must say what it is") from error


@dataclass(frozen=True)
class LightCurveTable:
    """A table whose every value has been checked.

    Parameters
    ----------
    table
        The table as it was given.
    curves
        The light curve of each object, in the order in which objects appear; the number of a point is its row, from 1.
    """

    table: pa.Table
    curves: LightCurves

    @classmethod
    def of(cls, table: pa.Table, survey: str) -> LightCurveTable:
        """Check a table.

        Parameters
        ----------
        survey
            The survey of all points, where the table has no column ``survey``.

        Raises
        ------
        SourceError
            If it lacks a column, or holds a value that cannot be used; the message names column, row, value and remedy.
        """
        lacking = [name for name in NEEDED if name not in table.column_names]
        if lacking:
            near = did_you_mean(lacking[0], table.column_names).removeprefix("; did you mean ").rstrip("?")
            hint = f"; rename {near}?" if near else ""
            raise SourceError(f"the table has no column {', '.join(lacking)}; light curves need {', '.join(NEEDED)} [nJy]{hint}")
        mjd, flux, flux_err = (_numbers(table, name) for name in ("mjd", "flux", "flux_err"))
        kind = _kinds(table, flux, flux_err)
        _refuse(~np.isfinite(mjd), table, "mjd", "it must be a time in days; leave such rows out")
        _refuse(mjd > LATEST_MJD, table, "mjd", "that looks like a Julian date; subtract 2400000.5")
        _refuse(
            (kind != LIMIT) & ~np.isfinite(flux), table, "flux", "it must be a number of nJy; leave such rows out, or call their kind limit"
        )
        _refuse(~((flux_err > 0.0) & (flux_err < np.inf)), table, "flux_err", "it must be a positive number of nJy; leave such rows out")
        owner, _ = _coded(table, "object_id")
        bands, band = _bands(table, survey)
        flat: dict[str, NDArray[Any]] = {
            "mjd": mjd,
            "band": band,
            "kind": kind,
            "flux": np.where(kind == LIMIT, np.nan, flux),
            "flux_err": flux_err,
        }
        flat |= {name: _numbers(table, name) for name in ("total_flux", "total_flux_err") if name in table.column_names}
        flat |= {"point_id": np.arange(1, len(mjd) + 1)}
        return cls(table, _ordered(owner, bands, flat))

    def alerts(self, each: Each, most: int) -> Iterator[tuple[Numbers, AlertBatch]]:
        """Make alerts, in batches: the rows of the table that they are, (n,), and the batch.

        Parameters
        ----------
        each
            ``object``: one alert for each object, its latest detection (its latest point where there is none), which sees the whole
            light curve. ``epoch``: one for each detection, which sees the points up to itself.
        most
            Alerts in a batch.
        """
        if each == "object":
            own, first, last = self._latest(), self.curves.offsets[:-1], self.curves.offsets[1:]
        else:
            own = np.flatnonzero(self.curves.kind == DETECTION)
            own = own[np.argsort(self.curves.point_id[own])]
            first, last = self.curves.offsets[self.curves.owners()[own]], own + 1
        start = 0
        ends = np.cumsum(last - first)
        while start < len(own):
            seen = ends[start - 1] if start else 0
            stop = min(start + most, max(start + 1, int(np.searchsorted(ends, seen + POINTS_AT_ONCE))))
            part = slice(start, stop)
            yield self.curves.point_id[own[part]] - 1, self._batch(own[part], first[part], last[part])
            start = stop

    def _latest(self) -> Numbers:
        """Give the place of each object's latest detection, or of its latest point where it has none."""
        if not len(self.curves):
            return np.zeros(0, np.int64)
        seen = np.where(self.curves.kind == DETECTION, np.arange(self.curves.n_points), -1)
        latest = np.maximum.reduceat(seen, self.curves.offsets[:-1])
        return np.where(latest < 0, self.curves.offsets[1:] - 1, latest)

    def _batch(self, own: Numbers, first: Numbers, last: Numbers) -> AlertBatch:
        """Make alerts of the points at ``own``, each with the points from ``first`` to before ``last``."""
        curves, n = self.curves, len(own)
        offsets = np.concatenate([[0], np.cumsum(last - first)]).astype(np.int64)
        taken = np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], last - first)
        part = replace(curves, offsets=offsets, **{name: array[taken] for name, array in curves.arrays().items()})
        names = pa.array([band.survey for band in curves.bands], pa.string()).take(pa.array(curves.band[own]))
        alerts = pa.table({column.name: values for column, values in self._columns(own, part, names)})
        return AlertBatch(names[0].as_py(), alerts, part, _no_packets(n), Cutouts.none(n))

    def _columns(self, own: Numbers, part: LightCurves, survey: pa.Array) -> Iterator[tuple[Column, pa.Array]]:
        """Give the columns of alerts: what the table says, and else what follows from the points."""
        rows = self.curves.point_id[own] - 1
        derived: dict[str, Any] = self._derived(own, part) | {"survey": survey}
        for name, column in vocabulary().items():
            if name in self.table.column_names and (name == "object_id" or name not in OF_POINTS):
                yield column, _typed(column, self.table[name].take(pa.array(rows)))
            elif name in derived:
                yield column, _packed(column, derived[name])
            elif name in COLUMNS:
                yield column, pa.nulls(len(own), column.type)

    def _derived(self, own: Numbers, part: LightCurves) -> dict[str, Any]:
        """Give what follows from the points, (n,) each."""
        curves = self.curves
        seen = part.kind == DETECTION
        first = np.minimum.reduceat(np.where(seen, part.mjd, np.inf), part.offsets[:-1])
        mjd, flux, flux_err = curves.mjd[own], curves.flux[own].astype(np.float64), curves.flux_err[own].astype(np.float64)
        with np.errstate(divide="ignore", over="ignore"):
            mag_err = MAG_PER_RELATIVE_FLUX * flux_err / np.abs(flux)
        return {
            "alert_id": curves.point_id[own] - 1,
            "schema_version": pa.repeat("", len(own)),
            "night": calendar_date(tai_to_utc(mjd)),
            "mjd": mjd,
            "band": pa.array([band.name for band in curves.bands], pa.string()).take(pa.array(curves.band[own])),
            "flux": flux,
            "flux_err": flux_err,
            "mag": magnitude(flux),
            "mag_err": mag_err,
            "snr": flux / flux_err,
            "positive": flux > 0.0,
            "total_flux": curves.total_flux[own],
            "total_flux_err": curves.total_flux_err[own],
            "n_detections": np.add.reduceat(seen.astype(np.int64), part.offsets[:-1]),
            "first_mjd": first,
            "age": mjd - first,
        }


def _ordered(owner: Numbers, bands: tuple[Band, ...], flat: Mapping[str, NDArray[Any]]) -> LightCurves:
    """Make light curves of points, (m,) each, that belong to objects numbered from 0; what is not given is unknown."""
    unknown = {"total_flux": np.nan, "total_flux_err": np.nan, "detector": -1}
    order = np.argsort(owner, kind="stable")
    with np.errstate(over="ignore"):
        arrays = {
            name: flat[name][order].astype(dtype) if name in flat else np.full(len(owner), unknown[name], dtype)
            for name, dtype in POINT_TYPES.items()
        }
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owner))]).astype(np.int64) if len(owner) else np.zeros(1, np.int64)
    return LightCurves(offsets=offsets, bands=bands, **arrays).sorted_by_time()


def _packed(column: Column, values: Any) -> pa.Array:
    """Give values of the declared type; what is not finite is null."""
    if isinstance(values, pa.Array):
        return values
    with np.errstate(over="ignore"):
        typed = values.astype(column.type.to_pandas_dtype())
    return pa.array(typed, column.type, mask=~np.isfinite(typed))


def _typed(column: Column, values: pa.ChunkedArray) -> pa.Array:
    """Give a column of the table the declared type; what is not finite is null.

    Raises
    ------
    SourceError
        If it is of another kind.
    """
    whole = _plain(values)
    try:
        if pa.types.is_floating(column.type):
            return _packed(column, np.asarray(whole.cast(pa.float64()).fill_null(np.nan)))
        return whole.cast(column.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SourceError(f"column {column.name} is {whole.type}, and Fink's is {column.type}: {error}; convert or rename it") from error


def _plain(values: pa.ChunkedArray) -> pa.Array:
    """Give a column as one array, categories written out."""
    whole = values.combine_chunks()
    return whole.cast(whole.type.value_type) if pa.types.is_dictionary(whole.type) else whole


def _numbers(table: pa.Table, name: str) -> Floats:
    """Give a column of numbers, NaN for null."""
    kind = table.schema.field(name).type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        example = f", as {table[name][0].as_py()!r} in row 0" if table.num_rows else ""
        raise SourceError(f"column {name} is {kind}{example}; it must hold numbers")
    values = table[name].cast(pa.float64())
    return np.asarray((values.fill_null(np.nan) if values.null_count else values).to_numpy())


def _coded(table: pa.Table, name: str) -> tuple[Numbers, list[Any]]:
    """Give the values of a column, each once and in the order of appearance, and the place of each row's among them, (m,)."""
    values = table[name]
    if values.null_count:
        _refuse(values.is_null().to_numpy(), table, name, "every row must have one; leave such rows out")
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)  # categories that no row has are none
    coded = values.dictionary_encode().combine_chunks()
    coded = coded.chunk(0) if isinstance(coded, pa.ChunkedArray) else coded
    return coded.indices.to_numpy().astype(np.int64), coded.dictionary.to_pylist()


def _refuse(bad: NDArray[np.bool_], table: pa.Table, name: str, remedy: str) -> None:
    """Refuse the rows that are bad, if there are any."""
    if bad.any():
        row, more = int(np.argmax(bad)), int(bad.sum()) - 1
        others = f", and {more} more rows are like it" if more else ""
        raise SourceError(f"{name} is {table[name][row].as_py()} in row {row}{others}: {remedy}")


def _kinds(table: pa.Table, flux: Floats, flux_err: Floats) -> NDArray[np.int8]:
    """Give the kind of each point, (m,): what the table says, or else by how far the flux stands out of its error."""
    if "kind" not in table.column_names:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(np.abs(flux) >= DETECTION_SNR * flux_err, DETECTION, FORCED).astype(np.int8)
    codes, names = _coded(table, "kind")
    known = np.array([KINDS.get(name, -1) for name in names], np.int8)
    kind = known[codes] if len(names) else np.zeros(0, np.int8)
    _refuse(kind < 0, table, "kind", f"write one of {', '.join(KINDS)}")
    return kind


def _bands(table: pa.Table, survey: str) -> tuple[tuple[Band, ...], Numbers]:
    """Give the bands of the surveys that the table has, and which of them each point is of, (m,)."""
    known = surveys.registry()
    if "survey" in table.column_names:
        codes, names = _coded(table, "survey")
        strange = np.array([name not in known for name in names], np.bool_)
        _refuse(strange[codes] if len(names) else strange, table, "survey", f"write one of {', '.join(sorted(known))}")
    elif survey in known:
        codes, names = np.zeros(table.num_rows, np.int64), [survey]
    else:
        raise SourceError(f"there is no survey {survey}{did_you_mean(survey, known)}; there are {', '.join(sorted(known))}")
    bands = tuple(band for name in sorted(names) for band in known[name].bands)
    letters, letter_names = _coded(table, "band")
    places = {(band.survey, band.name): i for i, band in enumerate(bands)}
    lookup = np.array([[places.get((name, letter), -1) for letter in letter_names] for name in names], np.int64)
    band = lookup[codes, letters] if table.num_rows else np.zeros(0, np.int64)
    have = "; ".join(f"{name} has {', '.join(b.name for b in known[name].bands)}" for name in sorted(names))
    _refuse(band < 0, table, "band", f"{have}; rename it, name the survey, or leave such rows out")
    return bands, band


def _no_packets(n: int) -> Packets:
    """Make the packets of alerts that came in none."""
    zeros = np.zeros(n, np.int64)
    return Packets(np.zeros(PADDING, np.uint8), zeros, zeros, np.zeros(n, np.int32), (b'"null"',))
