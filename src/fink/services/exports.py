"""Tables in the forms that people and programs read: JSON, CSV, Parquet and VOTable with units and UCDs."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from fink.codecs.parquet import described
from fink.codecs.votable import write_votable
from fink.columns import Column
from fink.errors import FinkError

Form = Literal["json", "csv", "parquet", "votable"]
FORMS: tuple[Form, ...] = ("json", "csv", "parquet", "votable")

_ROWS, _END_OF_ROWS = b"<TABLEDATA>", b"</TABLEDATA>"
_PANDAS = {pa.int8(): "Int8", pa.int16(): "Int16", pa.int32(): "Int32", pa.int64(): "Int64", pa.bool_(): "boolean"}


def export(table: pa.Table, form: Form, vocabulary: Mapping[str, Column], *, pandas: bool = False) -> bytes:
    """Write a table.

    Parameters
    ----------
    table
        What to write.
    form
        One of `FORMS`. JSON is a list of objects, with null for what is missing.
    vocabulary
        Meanings, units and UCDs of the columns, as far as they are known.
    pandas
        Whether Parquet tells pandas to read whole numbers with its nullable types, so that a missing one does not make floats.

    Raises
    ------
    FinkError
        If the form is unknown.
    """
    if form == "json":
        return _frame(table).write_json().encode()
    if form == "csv":
        return _frame(_flat(table)).write_csv().encode()
    if form == "parquet":
        sink = io.BytesIO()
        pq.write_table(table.cast(_described(table.schema, vocabulary, pandas)), sink, compression="zstd")
        return sink.getvalue()
    if form == "votable":
        return write_votable(_flat(table), vocabulary)
    raise FinkError(f"there is no form {form!r}; choose one of {', '.join(FORMS)}")


def export_parts(
    parts: Iterable[pa.Table], schema: pa.Schema, form: Form, vocabulary: Mapping[str, Column], *, pandas: bool = False
) -> Iterator[bytes]:
    """Write a table that comes in parts, a part at a time, so that it need not be held whole; together the same as `export` gives.

    Parameters
    ----------
    parts
        Tables of the one schema, in order.
    """
    match form:
        case "json":
            yield from _json_parts(parts)
        case "csv":
            yield _frame(_flat(schema.empty_table())).write_csv().encode()
            for part in parts:
                yield _frame(_flat(part)).write_csv(include_header=False).encode()
        case "votable":
            yield from _votable_parts(parts, schema, vocabulary)
        case _:
            yield from _parquet_parts(parts, _described(schema, vocabulary, pandas))


def _json_parts(parts: Iterable[pa.Table]) -> Iterator[bytes]:
    separator = b"["
    for part in parts:
        if part.num_rows:
            yield separator + _frame(part).write_json().encode()[1:-1]
            separator = b","
    yield b"[]" if separator == b"[" else b"]"


def _parquet_parts(parts: Iterable[pa.Table], schema: pa.Schema) -> Iterator[bytes]:
    sink = _Passing()
    with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, compression="zstd") as writer:
        for part in parts:
            writer.write_table(part.cast(schema))
            yield sink.take()
    yield sink.take()


def _votable_parts(parts: Iterable[pa.Table], schema: pa.Schema, vocabulary: Mapping[str, Column]) -> Iterator[bytes]:
    """Write one document around the rows of all parts."""
    flat = _flat(schema.empty_table()).schema
    # what text is still to come is not known, so that it is declared as any text
    accents = {field.name: pa.array(["é"] if field.type == pa.string() else [None], field.type) for field in flat}
    head, _, rest = write_votable(pa.table(accents, schema=flat), vocabulary).partition(_ROWS)
    yield head + _ROWS + b"\n"
    for part in parts:
        if part.num_rows:
            yield write_votable(part.select(flat.names), vocabulary).partition(_ROWS)[2].partition(_END_OF_ROWS)[0].lstrip(b"\n")
    yield _END_OF_ROWS + rest.partition(_END_OF_ROWS)[2]


class _Passing(io.RawIOBase):
    """A file that is passed on as it is written: it knows how far it is, and keeps nothing that was taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._length = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        self._length += len(self._parts[-1])
        return len(self._parts[-1])

    def tell(self) -> int:
        return self._length

    def take(self) -> bytes:
        """Give what was written since this was last called."""
        taken, self._parts = b"".join(self._parts), []
        return taken


def _described(schema: pa.Schema, vocabulary: Mapping[str, Column], pandas: bool) -> pa.Schema:
    schema = described(schema, vocabulary)
    return schema.with_metadata({**(schema.metadata or {}), b"pandas": pandas_metadata(schema)}) if pandas else schema


def pandas_metadata(schema: pa.Schema) -> bytes:
    """Say in pandas' own words (the metadata of its Parquet files) which types to read into."""
    columns = [
        {"name": field.name, "field_name": field.name, "pandas_type": str(field.type), "numpy_type": _PANDAS[field.type], "metadata": None}
        for field in schema
        if field.type in _PANDAS
    ]
    return orjson.dumps({"index_columns": [], "column_indexes": [], "columns": columns, "pandas_version": "2.0.0"})


def form_of(path: Path) -> Form:
    """Tell the form from a file's name.

    Raises
    ------
    FinkError
        If the name's ending says none.
    """
    endings: dict[str, Form] = {".json": "json", ".csv": "csv", ".parquet": "parquet", ".vot": "votable", ".xml": "votable"}
    if path.suffix not in endings:
        raise FinkError(f"{path} does not say its form; end it in {', '.join(endings)}, or give --format")
    return endings[path.suffix]


def _frame(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _flat(table: pa.Table) -> pa.Table:
    """Leave out nested columns, which CSV and VOTable tables cannot hold."""
    flat = [name for name, kind in zip(table.column_names, table.schema.types, strict=True) if not pa.types.is_nested(kind)]
    return table.select(flat)
