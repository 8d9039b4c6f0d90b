"""Distributions of catalogues, read a part at a time: HATS, Parquet, FITS, VOTable, CSV and tables of the CDS."""

from __future__ import annotations

import csv
import gzip
import io
import re
import urllib.request
import warnings
import zipfile
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice, takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits, votable
from astropy.table import Table

from fink.errors import CatalogueError

ROWS_AT_ONCE = 200_000
QUIET = "SET enable_progress_bar = false"
"""What DuckDB is told first: it would draw its progress on standard output."""

TIMEOUT = 60.0
"""Seconds that a server may take to answer."""

_HATS_PROPERTIES = ("hats.properties", "properties")
_PARTITION = re.compile(r"Norder=\d+/(Dir=\d+/)?Npix=\d+(\.parquet|/.*\.parquet)?\Z")
_STAMP = re.compile(rb'^"?\d{4}-\d\d-\d\d \d\d:\d\d:\d\d')
"""First line of the daily files of the Transient Name Server: when the list was made."""


def parts(source: str) -> list[str]:
    """Give the files or addresses that a source stands for: one, all of a folder, or the partitions of a HATS catalogue.

    Raises
    ------
    CatalogueError
        If there is nothing of this name, or nothing in it.
    """
    if is_address(source):
        return [source] if _suffix(source) else _remote_partitions(source.rstrip("/"))
    path = Path(source)
    if not path.exists():
        raise CatalogueError(f"there is no {source}; name a file, a folder or an address")
    if path.is_file():
        return [source]
    if any((path / name).exists() for name in _HATS_PROPERTIES):
        found = [one for one in sorted(path.rglob("*.parquet")) if _PARTITION.search(one.relative_to(path).as_posix())]
    else:
        found = sorted(one for one in path.iterdir() if one.is_file() and _suffix(one.name))
    if not found:
        raise CatalogueError(f"{source} holds no file that can be read; there should be one of {', '.join(_READERS)}")
    return [str(one) for one in found]


def is_address(source: str) -> bool:
    """Whether a source is fetched over the network."""
    return source.startswith(("http://", "https://"))


def _remote_partitions(address: str) -> list[str]:
    """List the partitions of a HATS catalogue on a server from its ``partition_info.csv``."""
    with _opened(f"{address}/partition_info.csv") as answer:
        rows = list(csv.DictReader(answer.read().decode().splitlines(), skipinitialspace=True))
    pixels = [(int(row["Norder"]), int(row["Npix"])) for row in rows]
    found = [f"{address}/dataset/Norder={order}/Dir={pixel // 10000 * 10000}/Npix={pixel}.parquet" for order, pixel in pixels]
    if not found:
        raise CatalogueError(f"{address} lists no partitions; is it a HATS catalogue?")
    return found


@contextmanager
def _opened(address: str, **headers: str) -> Iterator[Any]:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=TIMEOUT) as answer:
            yield answer
    except OSError as error:
        raise CatalogueError(f"{address} cannot be read: {error}") from error


class RemoteFile(io.RawIOBase):
    """A file on a web server of which only the ranges that are asked for are fetched."""

    def __init__(self, address: str) -> None:
        self._address, self._at = address, 0
        request = urllib.request.Request(address, method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                self._size = int(answer.headers["Content-Length"])
        except (OSError, TypeError) as error:
            raise CatalogueError(f"{address} cannot be read: {error}") from error

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It can be read anywhere."""
        return True

    def tell(self) -> int:
        """Give the place of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = start + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Fetch the next bytes."""
        end = self._size if size is None or size < 0 else min(self._at + size, self._size)
        if end <= self._at:
            return b""
        with _opened(self._address, Range=f"bytes={self._at}-{end - 1}") as answer:
            if answer.status != 206:
                raise CatalogueError(f"{self._address} is on a server that gives no parts of files; download it first")
            data: bytes = answer.read()
        self._at += len(data)
        return data


@contextmanager
def open_part(part: str, names: Collection[str]) -> Iterator[pa.RecordBatchReader]:
    """Open one file, to be read a part at a time; of formats that allow it only the columns that are named, in any case.

    Raises
    ------
    CatalogueError
        If it cannot be read.
    """
    suffix = _suffix(part)
    if not suffix:
        raise CatalogueError(f"{part} is of no known kind; it should end in one of {', '.join(_READERS)}")
    wanted = {name.lower() for name in names}
    try:
        with ExitStack() as stack:
            yield _READERS[suffix](part, wanted, stack)
    except (pa.ArrowException, duckdb.Error, OSError, ValueError) as error:
        raise CatalogueError(f"{part} cannot be read: {error}") from error


def _suffix(name: str) -> str:
    lower = name.lower().split("?")[0]
    return max((suffix for suffix in _READERS if lower.endswith(suffix)), key=len, default="")


def _parquet(part: str, wanted: Collection[str], stack: ExitStack) -> pa.RecordBatchReader:
    file = pq.ParquetFile(RemoteFile(part) if is_address(part) else part)
    stack.callback(file.close)
    chosen = [field.name for field in file.schema_arrow if field.name.lower() in wanted]
    schema = pa.schema([file.schema_arrow.field(name) for name in chosen])
    return pa.RecordBatchReader.from_batches(schema, file.iter_batches(ROWS_AT_ONCE, columns=chosen))


def _csv(part: str, wanted: Collection[str], stack: ExitStack) -> pa.RecordBatchReader:
    """Read text as text: the declaration's types decide what it becomes."""
    path = _unzipped(part, stack) if part.lower().endswith(".zip") else part
    skip, separator = _layout(path)
    connection = stack.enter_context(duckdb.connect())
    connection.execute(QUIET)
    table = connection.read_csv(path, all_varchar=True, header=True, skiprows=skip, sep=separator, strict_mode=False)
    chosen = [name for name in table.columns if name.strip().lower() in wanted]
    picked = ", ".join(f'"{_quoted(name)}" AS "{_quoted(name.strip())}"' for name in chosen)
    return table.project(picked).to_arrow_reader(ROWS_AT_ONCE)


def _unzipped(part: str, stack: ExitStack) -> str:
    """Unpack the only file of a zip archive beside others that are temporary."""
    folder = stack.enter_context(TemporaryDirectory())
    with zipfile.ZipFile(part) as archive:
        names = [name for name in archive.namelist() if _suffix(name)]
        if len(names) != 1:
            raise CatalogueError(f"{part} holds {len(names)} tables; unpack it and name one")
        return archive.extract(names[0], folder)


def _layout(path: str) -> tuple[int, str]:
    """Give the number of lines before the line of names, and what separates columns."""
    opened: Any = gzip.open if path.lower().endswith(".gz") else open
    with opened(path, "rb") as file:
        before = list(takewhile(lambda line: not line.strip() or line.startswith(b"#") or _STAMP.match(line), file))
    with opened(path, "rb") as file:
        line = next(islice(file, len(before), None), b"")
    return len(before), max(",;\t|", key=lambda mark: line.count(mark.encode()))


def _quoted(name: str) -> str:
    return name.replace('"', '""')


def _fits(part: str, wanted: Collection[str], stack: ExitStack) -> pa.RecordBatchReader:
    """Read the first table of a FITS file."""
    units = stack.enter_context(fits.open(part, memmap=True))
    table = next((unit for unit in units if isinstance(unit, fits.BinTableHDU | fits.TableHDU)), None)
    if table is None:
        raise CatalogueError(f"{part} holds no table")
    chosen = [column.name for column in table.columns if column.name.lower() in wanted and _is_scalar(table.data.dtype[column.name])]
    schema = pa.schema([(name, arrow_of(table.data[:1], name).type) for name in chosen])

    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(0, len(table.data), ROWS_AT_ONCE):
            rows = table.data[start : start + ROWS_AT_ONCE]
            yield pa.record_batch([arrow_of(rows, name) for name in chosen], schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _is_scalar(kind: Any) -> bool:
    return kind.subdtype is None


def arrow_of(rows: Any, name: str) -> pa.Array:
    """Give a column of a FITS or VOTable table as Arrow: text without blanks around it, masked values null."""
    values = rows[name]
    mask = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else None
    array = np.ma.getdata(values)
    if array.dtype.kind in "SUO":
        text = [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in array.tolist()]
        return pa.array([value.strip() for value in text], pa.string(), mask=mask)
    return pa.array(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="))), mask=mask)


def _table(read: Callable[[str], Any]) -> Callable[[str, Collection[str], ExitStack], pa.RecordBatchReader]:
    """Make a reader of a format that can only be read whole."""

    def reader(part: str, wanted: Collection[str], stack: ExitStack) -> pa.RecordBatchReader:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of units and versions, which decide nothing here
            whole = read(part)
        chosen = [name for name in whole.dtype.names if name.lower() in wanted and _is_scalar(whole.dtype[name])]
        return pa.table({name: arrow_of(whole, name) for name in chosen}).to_reader(ROWS_AT_ONCE)

    return reader


def _read_votable(part: str) -> Any:
    return votable.parse_single_table(part).array


def _read_cds(part: str) -> Any:
    """Read a table of fixed columns as the CDS keeps them, described by the ReadMe beside it."""
    description = Path(part).with_name("ReadMe")
    if not description.exists():
        raise CatalogueError(f"{part} needs the ReadMe of its catalogue beside it, which says what its columns are")
    with TemporaryDirectory() as folder:
        # the description knows the table by its name, which is that without .gz
        path = Path(folder) / Path(part).name.removesuffix(".gz")
        path.write_bytes(gzip.decompress(Path(part).read_bytes()) if part.endswith(".gz") else Path(part).read_bytes())
        return Table.read(str(path), format="ascii.cds", readme=str(description)).as_array()


_READERS: dict[str, Callable[[str, Collection[str], ExitStack], pa.RecordBatchReader]] = {
    **dict.fromkeys((".parquet", ".pq"), _parquet),
    **{suffix + packed: _csv for suffix in (".csv", ".tsv") for packed in ("", ".gz", ".zip", ".zst")},
    **{suffix + packed: _fits for suffix in (".fits", ".fit") for packed in ("", ".gz")},
    **{suffix + packed: _table(_read_votable) for suffix in (".vot", ".xml", ".votable") for packed in ("", ".gz")},
    **{suffix: _table(_read_cds) for suffix in (".dat", ".dat.gz")},
}
