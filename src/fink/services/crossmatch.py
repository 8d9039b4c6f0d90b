"""Cross-match of a user's table with the archive, both ways: the alerts of each row, and the nearest row of each alert.

The rows are sorted once, and the archive's alerts stream past them in columns, so the time is that of reading two columns of the
lake. A few rows against a large archive are asked for one by one from the index instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fink.archive.embedded import EmbeddedArchive
from fink.catalogs.match import SkyIndex
from fink.errors import NotFoundError, QueryError, RequestError, did_you_mean

Each = Literal["row", "alert"]
"""Whose matches are given: every alert of each row, or the nearest row of each alert."""

COLUMNS = ("survey", "object_id", "alert_id", "mjd", "ra", "dec", "band", "mag")
"""What is told of an alert, unless more is asked for."""

MOST_ROWS = 1_000_000
MOST_PAIRS = 10_000_000
LARGEST_RADIUS = 3600.0
"""Largest radius [arcsec]."""

_FEW_ROWS, _MANY_ALERTS = 500, 5_000_000
"""Up to so many rows are asked for one by one in an archive of at least so many alerts."""


@dataclass(frozen=True)
class Upload:
    """``n`` rows that a user brought, and where they are.

    Parameters
    ----------
    table
        The rows as they came.
    ra, dec
        (n,) positions, ICRS [deg]; a row without one matches nothing.
    radius
        (n,) or one, largest separation [arcsec].
    """

    table: pa.Table
    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    radius: NDArray[np.float64] | float


def crossmatch(
    archive: EmbeddedArchive,
    upload: Upload,
    *,
    each: Each = "row",
    nearest: bool = False,
    survey: str | None = None,
    start: float | None = None,
    stop: float | None = None,
    columns: Sequence[str] = (),
) -> pa.Table:
    """Match rows with the alerts of the archive.

    Parameters
    ----------
    each
        ``row`` gives every alert of each row; ``alert`` gives each alert once, with its nearest row.
    nearest
        Only the nearest alert of each row.
    survey, start, stop
        Only this survey, only these times, both included [MJD].
    columns
        Columns of the alerts beside `COLUMNS`.

    Returns
    -------
    ``row`` (1 is the first), ``separation`` [arcsec], the columns of the alerts, and those of the upload, named ``upload_…``;
    by row, then separation, or by alert in the order of the archive.

    Raises
    ------
    RequestError
        If there are too many rows, or the radius is none.
    NotFoundError
        If there is no such column.
    QueryError
        If more than `MOST_PAIRS` pairs match.
    """
    _check(upload)
    usable = np.flatnonzero(np.isfinite(upload.ra) & (np.abs(upload.dec) <= 90.0))
    wanted = _wanted(archive, columns)
    if not len(usable):
        parts: Iterator[pa.Table] = iter(())
    elif len(usable) <= _FEW_ROWS and not columns and each == "row" and archive.statistics()["alerts"] >= _MANY_ALERTS:
        parts = _by_cones(archive, upload, usable, survey, start, stop)
    else:
        where = _where(upload, usable, survey, start, stop)
        parts = _streamed(archive, upload, usable, f"SELECT {', '.join(wanted)} FROM alerts WHERE {where}", nearest=each == "alert")
    pairs = _collected(parts)
    if pairs is None:
        schema = archive.sql(f"SELECT {', '.join(wanted)} FROM alerts LIMIT 0")
        pairs = schema.append_column("row", pa.array([], pa.int64())).append_column("separation", pa.array([], pa.float64()))
    if each == "row":
        pairs = pairs.take(pc.sort_indices(pairs, [("row", "ascending"), ("separation", "ascending"), ("alert_id", "ascending")]))
        pairs = _first_of_each(pairs) if nearest else pairs
    return _joined(pairs, upload.table)


def _check(upload: Upload) -> None:
    if len(upload.ra) > MOST_ROWS:
        raise RequestError(f"{len(upload.ra):,} rows are too many; send {MOST_ROWS:,} at a time")
    radius = np.asarray(upload.radius, np.float64)
    if not ((radius >= 0.0) & (radius <= LARGEST_RADIUS)).all():
        raise RequestError(f"a radius is not from 0 to {LARGEST_RADIUS:g} arcsec; give one that is")


def _wanted(archive: EmbeddedArchive, columns: Sequence[str]) -> list[str]:
    known = archive.sql("DESCRIBE alerts")["column_name"].to_pylist()
    for name in columns:
        if name not in known:
            raise NotFoundError(f"alerts have no column {name}{did_you_mean(name, known)}")
    return [f'"{name}"' for name in dict.fromkeys((*COLUMNS, *columns))]


def _where(upload: Upload, usable: NDArray[np.int64], survey: str | None, start: float | None, stop: float | None) -> str:
    """Write what limits the alerts: survey, time, and the declinations of the rows, by which files are left unread."""
    margin = float(np.max(upload.radius)) / 3600.0 + 1e-6
    dec = upload.dec[usable]
    parts = [f"dec BETWEEN {float(dec.min()) - margin!r} AND {float(dec.max()) + margin!r}"]
    parts += [f"survey = '{survey.replace(chr(39), chr(39) * 2)}'"] if survey is not None else []
    parts += [f"mjd >= {float(start)!r}"] if start is not None else []
    parts += [f"mjd <= {float(stop)!r}"] if stop is not None else []
    return " AND ".join(parts)


def _streamed(archive: EmbeddedArchive, upload: Upload, usable: NDArray[np.int64], query: str, *, nearest: bool) -> Iterator[pa.Table]:
    """Let the alerts pass by the rows, part by part."""
    own = np.ndim(upload.radius) > 0
    radius = np.asarray(upload.radius, np.float64)
    index = SkyIndex.build(upload.ra[usable], upload.dec[usable], radius=radius[usable] if own else None)
    for part in archive.parts(query):
        ra, dec = part["ra"].to_numpy(), part["dec"].to_numpy()
        found = index.match(ra, dec, radius=None if own else float(radius), nearest=nearest)
        if len(found):
            pairs = part.take(pa.array(found.position))
            pairs = pairs.append_column("row", pa.array(usable[found.source] + 1))
            yield pairs.append_column("separation", pa.array(found.separation))


def _by_cones(
    archive: EmbeddedArchive, upload: Upload, usable: NDArray[np.int64], survey: str | None, start: float | None, stop: float | None
) -> Iterator[pa.Table]:
    """Ask the index for the alerts around each row."""
    radii = np.broadcast_to(np.asarray(upload.radius, np.float64), upload.ra.shape)
    for row in usable.tolist():
        found = archive.cone(upload.ra[row], upload.dec[row], float(radii[row]), survey, start, stop)
        if found.num_rows:
            separation = found["separation"]
            pairs = found.select(list(COLUMNS)).append_column("row", pa.array(np.full(found.num_rows, row + 1)))
            yield pairs.append_column("separation", separation)


def _collected(parts: Iterator[pa.Table]) -> pa.Table | None:
    found: list[pa.Table] = []
    count = 0
    for part in parts:
        found, count = [*found, part], count + part.num_rows
        if count > MOST_PAIRS:
            raise QueryError(f"more than {MOST_PAIRS:,} pairs match; take a smaller radius, fewer rows, or a shorter time")
    return pa.concat_tables(found, promote_options="permissive").combine_chunks() if found else None


def _first_of_each(pairs: pa.Table) -> pa.Table:
    rows = pairs["row"].to_numpy()
    return pairs.take(pa.array(np.flatnonzero(np.diff(rows, prepend=-1) != 0)))


def _joined(pairs: pa.Table, table: pa.Table) -> pa.Table:
    """Put the row and the separation first, and the upload's own columns last."""
    rows = pairs["row"].combine_chunks()
    separation = pairs["separation"]
    alerts = pairs.drop_columns(["row", "separation"])
    own = table.take(pc.subtract(rows, 1))
    joined = pa.table({"row": rows, "separation": separation})
    for prefix, part in (("", alerts), ("upload_", own)):
        for name in part.column_names:
            joined = joined.append_column(prefix + name, part[name])
    return joined
