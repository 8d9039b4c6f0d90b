"""Tables in the forms that people and programs read: JSON, CSV, Parquet and VOTable with units and UCDs."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

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
        schema = described(table.schema, vocabulary)
        schema = schema.with_metadata({**(schema.metadata or {}), b"pandas": pandas_metadata(schema)}) if pandas else schema
        pq.write_table(table.cast(schema), sink, compression="zstd")
        return sink.getvalue()
    if form == "votable":
        return write_votable(_flat(table), vocabulary)
    raise FinkError(f"there is no form {form!r}; choose one of {', '.join(FORMS)}")


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
