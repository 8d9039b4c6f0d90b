"""VOTable 1.4 (https://www.ivoa.net/documents/VOTable/): tables with units, UCDs and meanings, as XML that every VO tool reads.

Written column by column, since astropy's writer takes seconds for the few hundred columns of an alert.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

import polars as pl
import pyarrow as pa

from fink.columns import Column

_TYPES = {
    pa.bool_(): "boolean",
    pa.int8(): "short",  # VOTable has no signed byte
    pa.int16(): "short",
    pa.int32(): "int",
    pa.int64(): "long",
    pa.float32(): "float",
    pa.float64(): "double",
}
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">\n<RESOURCE type="results">\n<TABLE>\n'
)
_TAIL = "</TABLEDATA></DATA>\n</TABLE>\n</RESOURCE>\n</VOTABLE>\n"
_POWER = re.compile(r"(?<=[a-zA-Z])(-?\d+)")


def write_votable(table: pa.Table, columns: Mapping[str, Column]) -> bytes:
    """Write a table without nested columns.

    Parameters
    ----------
    columns
        Declarations by the table's names, as far as they are known. A name that is no XML identifier gets one in its ID.
    """
    frame = pl.DataFrame(pl.from_arrow(table))
    fields = [_field(name, frame[name], table.schema.field(name).type, columns.get(name)) for name in table.column_names]
    rows = ""
    if len(frame) and frame.width:
        cells = [_cells(name, kind) for name, kind in zip(frame.columns, frame.dtypes, strict=True)]
        lines = frame.select(pl.concat_str([pl.lit("<TR>"), *cells, pl.lit("</TR>")])).to_series()
        rows = "\n".join(lines.to_list()) + "\n"
    return (_HEAD + "\n".join(fields) + "\n<DATA><TABLEDATA>\n" + rows + _TAIL).encode()


def _field(name: str, values: pl.Series, kind: pa.DataType, column: Column | None) -> str:
    text = {"datatype": _TYPES.get(kind, "char")}
    if kind not in _TYPES:
        plain = values.null_count() == len(values) or bool((values.str.len_bytes() == values.str.len_chars()).all())
        text = {"datatype": "char" if plain else "unicodeChar", "arraysize": "*"}
    text = {"name": name, "ID": re.sub(r"[^A-Za-z0-9_.-]", "_", name if name[:1].isalpha() else f"_{name}"), **text}
    if column is not None:
        text |= {key: value for key, value in (("unit", vo_unit(column.unit)), ("ucd", column.ucd)) if value}
    attributes = " ".join(f"{key}={quoteattr(value)}" for key, value in text.items())
    about = f"<DESCRIPTION>{escape(column.about)}</DESCRIPTION>" if column is not None else ""
    return f"<FIELD {attributes}>{about}</FIELD>"


def vo_unit(unit: str) -> str:
    """Write a unit by the IVOA's rules (VOUnits 1.1): no spaces, powers with two stars."""
    plain = unit.replace(" ", "").replace("10**-10AU", "1e-10AU")
    return plain if "**" in plain else _POWER.sub(r"**\1", plain)


def _cells(name: str, kind: pl.DataType) -> pl.Expr:
    """Write the values of a column as table cells; an empty one says that there is none."""
    value = pl.col(name)
    if kind == pl.Boolean:
        text = pl.when(value).then(pl.lit("T")).otherwise(pl.lit("F"))
        text = pl.when(value.is_null()).then(pl.lit("")).otherwise(text)
    elif kind == pl.String:
        text = value.str.replace_all("&", "&amp;", literal=True).str.replace_all("<", "&lt;", literal=True)
        text = text.str.replace_all(">", "&gt;", literal=True)
    elif kind.is_float():
        text = value.cast(pl.String)
        odd = pl.when(value.is_nan()).then(pl.lit("NaN")).when(value > 0).then(pl.lit("+Inf")).otherwise(pl.lit("-Inf"))
        text = pl.when(value.is_finite()).then(text).otherwise(pl.when(value.is_null()).then(pl.lit("")).otherwise(odd))
    else:
        text = value.cast(pl.String)
    return pl.concat_str([pl.lit("<TD>"), text.fill_null(""), pl.lit("</TD>")])
