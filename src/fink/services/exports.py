"""Tables in the forms that people and programs read: JSON, CSV, Parquet and VOTable with units and UCDs."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from fink.codecs.parquet import described
from fink.columns import Column
from fink.errors import FinkError

Form = Literal["json", "csv", "parquet", "votable"]
FORMS: tuple[Form, ...] = ("json", "csv", "parquet", "votable")

_EMPTY = {pa.float32(): np.nan, pa.float64(): np.nan, pa.bool_(): False, pa.string(): ""}


def export(table: pa.Table, form: Form, vocabulary: Mapping[str, Column]) -> bytes:
    """Write a table.

    Parameters
    ----------
    table
        What to write.
    form
        One of `FORMS`. JSON is a list of objects, with null for what is missing.
    vocabulary
        Meanings, units and UCDs of the columns, as far as they are known.

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
        pq.write_table(table.cast(described(table.schema, vocabulary)), sink, compression="zstd")
        return sink.getvalue()
    if form == "votable":
        return _votable(_flat(table), vocabulary)
    raise FinkError(f"there is no form {form!r}; choose one of {', '.join(FORMS)}")


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


def _votable(table: pa.Table, vocabulary: Mapping[str, Column]) -> bytes:
    from astropy.io.votable import from_table, writeto
    from astropy.table import MaskedColumn, Table

    columns = []
    for name in table.column_names:
        values = table[name].combine_chunks()
        values = values.cast(pa.int16()) if values.type == pa.int8() else values  # VOTable has no signed byte
        null = values.is_null().to_numpy(zero_copy_only=False)
        filled = values.fill_null(_EMPTY.get(values.type, 0)) if values.null_count else values
        data = np.array(filled.to_pylist(), dtype=str) if pa.types.is_string(values.type) else filled.to_numpy(zero_copy_only=False)
        columns.append(MaskedColumn(data, name=name, mask=null, unit=vocabulary[name].unit or None if name in vocabulary else None))
    votable = from_table(Table(columns))
    for field in votable.get_first_table().fields:
        if field.name in vocabulary:
            field.ucd, field.description = vocabulary[field.name].ucd, vocabulary[field.name].about
    sink = io.BytesIO()
    writeto(votable, sink, tabledata_format="tabledata")
    return sink.getvalue()
