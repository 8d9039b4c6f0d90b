"""Tables that users bring: positions from CSV, Parquet, VOTable or FITS files, and areas of the sky (MOC) as FITS, JSON or text."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fink.errors import ConditionError, NotFoundError, did_you_mean
from fink.filters.places import DEEPEST, Area, PositionList

_RA = ("ra", "raj2000", "_raj2000", "ra_icrs", "ra_deg", "radeg", "alpha", "right_ascension", "meanra", "ramean")
_DEC = ("dec", "dej2000", "decj2000", "_dej2000", "de_icrs", "dec_icrs", "dec_deg", "decdeg", "dedeg", "delta", "declination", "decl")
_NAME = ("name", "id", "source_id", "object_id", "objectid", "main_id", "designation", "source", "object", "identifier")
_RADIUS = ("radius", "radius_arcsec", "r_arcsec")

MOST_ROWS = 5_000_000
"""Rows of a table that are read at most."""

_ENCODING = re.compile(rb"""\s*<\?xml[^>]*?encoding\s*=\s*["']([^"']+)""")
_OUTSIDE = re.compile(rb"<\s*(?:[\w.-]+:)?STREAM\b[^>]*\bhref", re.IGNORECASE)
_RANGE = re.compile(r"(?:(\d+)/)?(?:(\d+)(?:-(\d+))?)?\Z")


@dataclass(frozen=True)
class ColumnNames:
    """What the columns of an upload are called; an empty name is guessed from those that catalogues use."""

    ra: str = ""
    dec: str = ""
    name: str = ""
    radius: str = ""


def read_table(path: Path) -> pa.Table:
    """Read a table; the end of the file's name says its form: .csv, .parquet, .vot, .xml, .fits (gzipped too).

    Raises
    ------
    NotFoundError
        If there is no such file.
    ConditionError
        If it cannot be read.
    """
    if not path.is_file():
        raise NotFoundError(f"there is no file {path}; give one that exists")
    table = _plain(_read(path))
    twice = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if twice:
        raise ConditionError(f"{path} has more than one column {', '.join(twice)}; give each a name of its own")
    return table


def _plain(table: pa.Table) -> pa.Table:
    """Give a table in numbers, truth values and text, which every form of an answer can hold; what is none of these is left out."""
    columns = [(name, _plain_column(column)) for name, column in zip(table.column_names, table.columns, strict=True)]
    kept = [(name, column) for name, column in columns if column is not None]
    return pa.table([column for _, column in kept], names=[name for name, _ in kept])


def _plain_column(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    types = pa.types
    if types.is_nested(kind) or types.is_duration(kind) or types.is_interval(kind):
        return None
    if types.is_decimal(kind) or types.is_float16(kind):
        return column.cast(pa.float64())
    if types.is_floating(kind) or types.is_boolean(kind) or (types.is_integer(kind) and kind != pa.uint64()):
        return column.cast(kind)
    try:
        # numbers of more than 63 bits, dates, and bytes that are text
        return column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None


def _read(path: Path) -> pa.Table:
    endings = [ending for ending in path.suffixes if ending != ".gz"]
    form = endings[-1].lower() if endings else ""
    try:
        if form in (".csv", ".txt", ".tsv"):
            return pc_csv.read_csv(path, parse_options=pc_csv.ParseOptions(delimiter="\t" if form == ".tsv" else ","))
        if form in (".parquet", ".pq"):
            return pq.read_table(_of_bearable_length(path))
        if form in (".vot", ".votable", ".xml", ".fits", ".fit"):
            return _with_astropy(path, "fits" if form.startswith(".fit") else "votable")
    except (pa.ArrowException, OSError, ValueError, LookupError, TypeError, OverflowError) as error:
        raise ConditionError(f"{path} cannot be read: {error}; check that it is what its name says") from error
    raise ConditionError(f"{path} does not say its form; end its name in .csv, .tsv, .parquet, .vot or .fits")


def _with_astropy(path: Path, form: str) -> pa.Table:
    from astropy.table import Table

    if form == "votable":
        _check_votable(path)
    table = Table.read(path, format=form)
    columns = {}
    for name in table.colnames:
        values = table[name]
        if values.ndim > 1:
            continue  # an array in each row is no column here
        mask = np.ma.getmaskarray(np.ma.asarray(values))
        data = np.asarray(np.ma.getdata(values))
        if data.dtype.kind == "O":
            data = data.astype(str)
        data = data.astype(data.dtype.newbyteorder("="))
        columns[name] = pa.array(np.char.decode(data, "utf-8") if data.dtype.kind == "S" else data, mask=mask)
    return pa.table(columns)


def _of_bearable_length(path: Path) -> Path:
    """Refuse a Parquet file whose few bytes say that they stand for very many rows."""
    rows = pq.read_metadata(path).num_rows
    if rows > MOST_ROWS:
        raise ValueError(f"it has {rows:,} rows, and {MOST_ROWS:,} are the most that are read")
    return path


def _check_votable(path: Path) -> None:
    """Refuse a VOTable that has its reader fetch something from elsewhere, or that is written so that one could not see it."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        data = file.read()
    encoding = _ENCODING.match(data)
    if b"\0" in data or (encoding is not None and encoding[1].lower() not in (b"utf-8", b"us-ascii", b"ascii", b"iso-8859-1")):
        raise ValueError("it is not in UTF-8")
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data or _OUTSIDE.search(data):
        raise ValueError("it refers to another file (a document type, or a STREAM with href); write the rows into the table itself")


def recognized(path: Path, most_bytes: int) -> Path:
    """Give a file that was sent without a name one that says its form, by its first bytes; what is gzipped is unpacked.

    Parameters
    ----------
    most_bytes
        Bytes that it may have when it is unpacked.

    Raises
    ------
    ConditionError
        If it is larger, or damaged.
    """
    with path.open("rb") as file:
        head = file.read(1024)
    if head.startswith(b"\x1f\x8b"):
        path = _unpacked(path, most_bytes)
        with path.open("rb") as file:
            head = file.read(1024)
    return path.rename(path.with_name("upload" + _ending(head)))


def _unpacked(path: Path, most_bytes: int) -> Path:
    unpacked, size = path.with_name(path.name + "-unpacked"), 0
    try:
        with gzip.open(path) as packed, unpacked.open("wb") as plain:
            while chunk := packed.read(1 << 20):
                size += plain.write(chunk)
                if size > most_bytes:
                    raise ConditionError(f"the upload has more than {most_bytes:,} bytes when it is unpacked; send it in parts")
    except (OSError, EOFError, zlib.error) as error:
        raise ConditionError(f"the upload is not a whole gzip file: {error}") from error
    return unpacked


def _ending(head: bytes) -> str:
    if head.startswith(b"PAR1"):
        return ".parquet"
    if head.startswith(b"SIMPLE  ="):
        return ".fits"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"<?xml", b"<VOTABLE")):
        return ".vot"
    first = head.split(b"\n", 1)[0]
    return ".tsv" if b"\t" in first and b"," not in first else ".csv"


def positions_of(table: pa.Table, names: ColumnNames) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give right ascension and declination of each row [deg].

    Raises
    ------
    ConditionError
        If the columns are not there, or hold no degrees.
    """
    ra = _numbers(table, named(table, names.ra, _RA, "right ascension", "--ra"))
    return ra, _numbers(table, named(table, names.dec, _DEC, "declination", "--dec"))


def named(table: pa.Table, wanted: str, known: Sequence[str], what: str, option: str) -> str:
    """Find a column by the name that was given, else by those that catalogues use.

    Raises
    ------
    ConditionError
        If there is none.
    """
    if wanted:
        if wanted not in table.column_names:
            raise ConditionError(f"the file has no column {wanted}{did_you_mean(wanted, table.column_names)}")
        return wanted
    lower: dict[str, str] = {name.lower(): name for name in reversed(table.column_names)}
    for name in known:
        if name in lower:
            return lower[name]
    raise ConditionError(f"no column looks like the {what}; name it with {option}: {', '.join(table.column_names)}")


def _numbers(table: pa.Table, name: str) -> NDArray[np.float64]:
    column = table[name]
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or pa.types.is_decimal(column.type)):
        raise ConditionError(
            f"the column {name} is {column.type} and not a number; give numbers: degrees (12.5), not hours or sexagesimal text"
        )
    values: NDArray[np.float64] = column.cast(pa.float64()).to_numpy()
    return np.ascontiguousarray(values)


def radii_of(table: pa.Table, names: ColumnNames, radius: float | None) -> NDArray[np.float64] | float:
    """Give the radius of every row [arcsec], or each row's own; a row that has none gets the one for all.

    Raises
    ------
    ConditionError
        If neither is there.
    """
    if radius is not None and not names.radius:
        return radius
    radii = _numbers(table, named(table, names.radius, _RADIUS, "radius", "--radius (one for all) or --radius-column"))
    return np.where(np.isnan(radii), np.nan if radius is None else radius, radii)


def position_list(table: pa.Table, names: ColumnNames, radius: float | None) -> PositionList:
    """Make a watchlist of a table.

    Parameters
    ----------
    radius
        Radius of every position [arcsec]; None takes each row's own, from the column of radii.

    Raises
    ------
    ConditionError
        If a column is missing, or a row has no position or no radius.
    """
    ra, dec = positions_of(table, names)
    if not len(ra):
        raise ConditionError("the file has no row; a watchlist has at least one position")
    radii = np.broadcast_to(radii_of(table, names, radius), ra.shape)
    lower = {name.lower() for name in table.column_names}
    has_names = bool(names.name) or any(name in lower for name in _NAME)
    entries = table[named(table, names.name, _NAME, "name", "--name")] if has_names else pa.array(np.arange(1, len(ra) + 1))
    texts = entries.cast(pa.string()).fill_null("")
    return PositionList.build(ra, dec, radii, texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts)


def read_area(path: Path) -> Area:
    """Read an area from a MOC file (Multi-Order Coverage map, IVOA): FITS, JSON or text.

    Raises
    ------
    NotFoundError
        If there is no such file.
    ConditionError
        If it is no MOC of the sky.
    """
    if not path.is_file():
        raise NotFoundError(f"there is no file {path}; give one that exists")
    data = path.read_bytes()
    try:
        if data.startswith((b"SIMPLE  =", b"\x1f\x8b")):
            return _area_of(_fits_ranges(path))
        text = data.decode().strip()
        return _area_of(_json_ranges(text) if text.startswith("{") else _text_ranges(text))
    except (OSError, ValueError, LookupError, TypeError, OverflowError) as error:
        raise ConditionError(f"{path} is no MOC of the sky: {error}; give one in FITS, JSON or text") from error


def _area_of(ranges: NDArray[np.int64]) -> Area:
    """Join ranges of order 29 that touch or overlap."""
    ranges = ranges[np.argsort(ranges[:, 0], kind="stable")]
    if not len(ranges):
        raise ValueError("it is empty")
    if ranges[0, 0] < 0 or (ranges[:, 1] <= ranges[:, 0]).any() or ranges[:, 1].max() > 12 << (2 * DEEPEST):
        raise ValueError("it has pixels that are not on the sky")
    reached = np.maximum.accumulate(ranges[:, 1])
    begins = np.concatenate([[True], ranges[1:, 0] > reached[:-1]])
    ends = np.concatenate([np.flatnonzero(begins)[1:] - 1, [len(ranges) - 1]])
    return Area(np.ascontiguousarray(np.column_stack([ranges[begins, 0], reached[ends]])))


def _pixels(order: int, first: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give pixels of one order, from the first to the last included, as ranges of order 29."""
    if not 0 <= order <= DEEPEST:
        raise ValueError(f"order {order} is not from 0 to {DEEPEST}")
    if len(first) and (first.min() < 0 or last.max() >= 12 << (2 * order)):
        raise ValueError(f"order {order} has no pixel {int(last.max())}")
    shift = 2 * (DEEPEST - order)
    return np.column_stack([first << shift, (last + 1) << shift])


def _fits_ranges(path: Path) -> NDArray[np.int64]:
    from astropy.io import fits

    with fits.open(path) as hdus:
        header, table = hdus[1].header, hdus[1].data
        if header.get("MOCDIM", "SPACE") != "SPACE" or header.get("COORDSYS", "C") != "C":
            raise ValueError("it is not of the sky in equatorial coordinates")
        values = np.asarray(table.field(0)).astype(np.int64).ravel()
        if header.get("ORDERING", "NUNIQ") == "RANGE":
            return values.reshape(-1, 2)
        if header.get("ORDERING", "NUNIQ") != "NUNIQ":
            raise ValueError(f"its ordering {header['ORDERING']} is neither NUNIQ nor RANGE")
    if (values < 4).any():
        raise ValueError(f"it holds {values.min()}, which is no pixel in NUNIQ form")
    orders = (np.floor(np.log2(values.astype(np.float64))).astype(np.int64) - 2) // 2
    # log2 of a number just below a power of two may be rounded up to it
    orders -= (values < (4 << (2 * orders))).astype(np.int64)
    parts = [np.zeros((0, 2), np.int64)]
    for order in np.unique(orders).tolist():
        pixels = values[orders == order] - (4 << (2 * order))
        parts.append(_pixels(order, pixels, pixels))
    return np.concatenate(parts)


def _json_ranges(text: str) -> NDArray[np.int64]:
    parts = [np.zeros((0, 2), np.int64)]
    for order, pixels in orjson.loads(text).items():
        numbers = np.asarray(pixels, np.int64).ravel()
        parts.append(_pixels(int(order), numbers, numbers))
    return np.concatenate(parts)


def _text_ranges(text: str) -> NDArray[np.int64]:
    """Read ``3/1-4 7 8 4/20``: an order and a slash, then pixels of that order, single or as ranges."""
    order, parts = -1, [np.zeros((0, 2), np.int64)]
    for word in re.split(r"[,\s]+", text.strip()):
        read = _RANGE.match(word)
        if read is None or not word:
            raise ValueError(f"{word!r} is neither an order, a pixel nor a range of pixels")
        order = int(read[1]) if read[1] else order
        if order < 0:
            raise ValueError("it does not begin with an order, as 5/")
        if read[2]:
            first, last = np.array([int(read[2])]), np.array([int(read[3] or read[2])])
            parts.append(_pixels(order, first, last))
    return np.concatenate(parts)
