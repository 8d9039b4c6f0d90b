"""VOTable (https://www.ivoa.net/documents/VOTable/): tables with units, UCDs and meanings, as XML that every VO tool reads.

Written column by column, since astropy's writer takes seconds for the few hundred columns of an alert.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

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
_BINARY = {"short": ">i2", "int": ">i4", "long": ">i8", "float": ">f4", "double": ">f8"}
_NAMESPACES = {"1.1": "http://www.ivoa.net/xml/VOTable/v1.1", "1.4": "http://www.ivoa.net/xml/VOTable/v1.3"}
_MISSING = {"short": -(2**15), "int": -(2**31), "long": -(2**63)}
"""What stands for a missing whole number in VOTable 1.1, whose cells may not be empty."""
_POWER = re.compile(r"(?<=[a-zA-Z])(-?\d+)")


@dataclass(frozen=True)
class Info:
    """A remark in a document, as how a query ended: name, value, and a text for people."""

    name: str
    value: str
    text: str = ""

    def write(self) -> str:
        """Write it as XML."""
        attributes = f"name={quoteattr(self.name)} value={quoteattr(_clean(self.value))}"
        return f"<INFO {attributes}>{escape(_clean(self.text))}</INFO>" if self.text else f"<INFO {attributes}/>"


@dataclass(frozen=True)
class Dressing:
    """What a document holds beside its table.

    Parameters
    ----------
    version
        Version of VOTable.
    binary
        Whether the rows are written as BINARY2 and not as text.
    about
        What the table is.
    infos
        Remarks before the table, and behind it where they tell how it ended.
    last
        Remarks behind the table.
    heading
        XML between remarks and table, as coordinate systems.
    behind
        XML of further resources behind the results.
    ucds
        UCDs of columns in place of those declared, by name.
    refs
        What columns refer to, by name: the ID of a coordinate system.
    """

    version: Literal["1.1", "1.4"] = "1.4"
    binary: bool = False
    about: str = ""
    infos: Sequence[Info] = ()
    last: Sequence[Info] = ()
    heading: str = ""
    behind: str = ""
    ucds: Mapping[str, str] | None = None
    refs: Mapping[str, str] | None = None


PLAIN = Dressing()


def write_votable(table: pa.Table, columns: Mapping[str, Column], dressing: Dressing = PLAIN) -> bytes:
    """Write a table without nested columns.

    Parameters
    ----------
    columns
        Declarations by the table's names, as far as they are known. A name that is no XML identifier gets one in its ID.
    dressing
        What else the document says.
    """
    frame = pl.DataFrame(pl.from_arrow(table))
    ids = _ids(table.column_names)
    fields = [
        _field(name, ids[name], frame[name], table.schema.field(name).type, columns.get(name), dressing) for name in table.column_names
    ]
    about = f"<DESCRIPTION>{escape(dressing.about)}</DESCRIPTION>\n" if dressing.about else ""
    head = "".join(info.write() + "\n" for info in dressing.infos) + (dressing.heading + "\n" if dressing.heading else "")
    tail = "".join(info.write() + "\n" for info in dressing.last)
    if dressing.version == "1.1":
        frame = frame.with_columns(
            pl.col(name).cast(pl.Int64).fill_null(_MISSING[_TYPES[kind]])
            for name, kind in zip(table.column_names, table.schema.types, strict=True)
            if _TYPES.get(kind) in _MISSING
        )
    data = _binary2(frame) if dressing.binary else _tabledata(frame)
    start = f'{_start(dressing.version)}<RESOURCE type="results">\n{head}<TABLE>\n{about}' + "\n".join(fields) + "\n<DATA>"
    return b"".join([start.encode(), data, f"</DATA>\n</TABLE>\n{tail}</RESOURCE>\n{dressing.behind}</VOTABLE>\n".encode()])


def write_error(infos: Sequence[Info], version: Literal["1.1", "1.4"] = "1.4") -> bytes:
    """Write a document without a table, which says what went wrong."""
    remarks = "\n".join(info.write() for info in infos)
    return f'{_start(version)}<RESOURCE type="results">\n{remarks}\n</RESOURCE>\n</VOTABLE>\n'.encode()


def _start(version: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<VOTABLE version="{version}" xmlns="{_NAMESPACES[version]}">\n'


_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _clean(text: str) -> str:
    """Leave out what XML cannot hold."""
    return _FORBIDDEN.sub(" ", text)


def vo_type(kind: pa.DataType) -> tuple[str, str | None]:
    """Give the VOTable type of an Arrow type, and its array size where it is an array."""
    return (_TYPES[kind], None) if kind in _TYPES else ("char", "*")


def field_id(name: str) -> str:
    """Give the ID of a column's FIELD."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name if name[:1].isalpha() else f"_{name}")


def _ids(names: Sequence[str]) -> dict[str, str]:
    """Give each column an ID of its own."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        base, number = field_id(name), 1
        found[name] = base
        while found[name] in taken:
            number += 1
            found[name] = f"{base}.{number}"
        taken.add(found[name])
    return found


def _field(name: str, identity: str, values: pl.Series, kind: pa.DataType, column: Column | None, dressing: Dressing) -> str:
    text = {"datatype": _TYPES.get(kind, "char")}
    if kind not in _TYPES:
        text = {"datatype": "char" if _is_plain(values) else "unicodeChar", "arraysize": "*"}
    text = {"name": name, "ID": identity, **text}
    if column is not None:
        ucd = (dressing.ucds or {}).get(name, column.ucd)
        # the first versions have the units of CDS, whose powers have no stars
        unit = vo_unit(column.unit)
        unit = unit.replace("**", "").replace("1e-10", "10-10") if dressing.version == "1.1" else unit
        text |= {key: value for key, value in (("unit", unit), ("ucd", ucd)) if value}
    if dressing.refs and name in dressing.refs:
        text["ref"] = dressing.refs[name]
    attributes = " ".join(f"{key}={quoteattr(value)}" for key, value in text.items())
    about = f"<DESCRIPTION>{escape(column.about)}</DESCRIPTION>" if column is not None else ""
    missing = f'<VALUES null="{_MISSING[text["datatype"]]}"/>' if dressing.version == "1.1" and text["datatype"] in _MISSING else ""
    return f"<FIELD {attributes}>{about}{missing}</FIELD>"


def _is_plain(values: pl.Series) -> bool:
    return values.null_count() == len(values) or bool((values.str.len_bytes() == values.str.len_chars()).all())


def vo_unit(unit: str) -> str:
    """Write a unit by the IVOA's rules (VOUnits 1.1): no spaces, powers with two stars, no erg."""
    plain = unit.replace(" ", "").replace("10**-10AU", "1e-10AU").replace("erg.cm**-2.s**-1", "mW.m**-2")
    return plain if "**" in plain else _POWER.sub(r"**\1", plain)


def _tabledata(frame: pl.DataFrame) -> bytes:
    if not len(frame) or not frame.width:
        return b"<TABLEDATA>\n</TABLEDATA>"
    cells = [_cells(name, kind) for name, kind in zip(frame.columns, frame.dtypes, strict=True)]
    lines = frame.select(pl.concat_str([pl.lit("<TR>"), *cells, pl.lit("</TR>")])).to_series()
    return ("<TABLEDATA>\n" + "\n".join(lines.to_list()) + "\n</TABLEDATA>").encode()


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


# BINARY2: in each row the flags of missing values, then the values, big-endian


def _binary2(frame: pl.DataFrame) -> bytes:
    if not len(frame) or not frame.width:
        return b'<BINARY2><STREAM encoding="base64"></STREAM></BINARY2>'
    missing = np.stack([series.is_null().to_numpy() for series in frame], axis=1)
    pieces: list[pa.Array] = []
    run: list[NDArray[np.uint8]] = [np.packbits(missing, axis=1)]
    for series in frame:
        if series.dtype == pl.String:
            lengths, texts = _text_bytes(series)
            pieces += [_rows(np.concatenate([*run, lengths], axis=1)), texts]
            run = []
        else:
            run.append(_number_bytes(series))
    if run:
        pieces.append(_rows(np.concatenate(run, axis=1)))
    rows = pieces[0] if len(pieces) == 1 else pc.binary_join_element_wise(*pieces, pa.scalar(b"", pa.large_binary()))
    data = b"".join(rows.to_pylist())
    return b'<BINARY2><STREAM encoding="base64">\n' + base64.encodebytes(data) + b"</STREAM></BINARY2>"


def _rows(values: NDArray[np.uint8]) -> pa.Array:
    """Make one binary value of each row of bytes (n, width)."""
    flat = np.ascontiguousarray(values)
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(flat.shape[1]), len(flat), [None, pa.py_buffer(flat)]).cast(pa.large_binary())


def _text_bytes(series: pl.Series) -> tuple[NDArray[np.uint8], pa.Array]:
    """Give the lengths of texts [characters] and their bytes; those beyond ASCII have two bytes a character."""
    filled = series.fill_null("")
    if _is_plain(filled):
        texts = filled.to_arrow().cast(pa.large_string()).cast(pa.large_binary())
        lengths = filled.str.len_bytes().to_numpy()
    else:
        encoded: list[Any] = [text.encode("utf-16-be") for text in filled]
        texts, lengths = pa.array(encoded, pa.large_binary()), np.array([len(text) // 2 for text in encoded])
    return lengths.astype(">i4").view(np.uint8).reshape(-1, 4), texts


def _number_bytes(series: pl.Series) -> NDArray[np.uint8]:
    """Give the values of a column as bytes (n, width)."""
    if series.dtype == pl.Boolean:
        letters = np.where(series.fill_null(False).to_numpy(), np.uint8(ord("T")), np.uint8(ord("F")))
        return np.where(series.is_null().to_numpy(), np.uint8(ord("?")), letters)[:, None]
    kind = _BINARY[_TYPES[series.to_arrow().type]]
    filled = series.fill_null(float("nan")) if series.dtype.is_float() else series.fill_null(0)
    return np.ascontiguousarray(filled.to_numpy().astype(kind)).view(np.uint8).reshape(len(series), -1)
