"""What commands print: a table to a person, one JSON document to a program, files where asked."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import pyarrow as pa

    from fink.columns import Column
    from fink.services.exports import Form

stdout = Console(highlight=False, soft_wrap=False)
stderr = Console(stderr=True, highlight=False)
MOST_ROWS = 50
"""Rows that a person is shown; the rest is counted."""


class Format(StrEnum):
    """How a result is written."""

    table = "table"
    json = "json"
    csv = "csv"
    parquet = "parquet"
    votable = "votable"


_FORMS: dict[Format, Form] = {Format.json: "json", Format.csv: "csv", Format.parquet: "parquet", Format.votable: "votable"}


def show_record(record: Mapping[str, Any], format: Format, title: str = "") -> None:
    """Print one record: two columns to a person, one JSON document otherwise."""
    if format is not Format.table:
        print_json(record)
        return
    _head(title)
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in record.items():
        table.add_row(name, Text(text_of(value)))
    stdout.print(table)


def show_rows(rows: Sequence[Mapping[str, Any]], format: Format, title: str = "", columns: Sequence[str] | None = None) -> None:
    """Print records of one kind, one a line."""
    if format is not Format.table:
        print_json(list(rows))
        return
    names = list(columns or (rows[0] if rows else ()))
    if not rows:
        stdout.print(f"{title}: none" if title else "none")
        return
    _head(title)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        numeric = all(isinstance(row.get(name), int | float | None) and not isinstance(row.get(name), bool) for row in rows)
        table.add_column(name.replace("_", " "), justify="right" if numeric else "left", overflow="fold", no_wrap=name.endswith("_id"))
    for row in rows:
        table.add_row(*(Text(text_of(row.get(name))) for name in names))
    stdout.print(table)


def _head(title: str) -> None:
    """Print a title on a line of its own, however narrow what follows is."""
    if title:
        stdout.print(f"[italic]{title}[/]")


def show_table(table: pa.Table, format: Format, output: Path | None, vocabulary: Mapping[str, Column]) -> None:
    """Print or write a table of alerts."""
    from fink.services.exports import export, form_of

    if output is not None:
        form = _FORMS.get(format) or form_of(output)
        output.write_bytes(export(table, form, vocabulary))
        stderr.print(f"{table.num_rows} rows written to {output}", markup=False)
        return
    if format is not Format.table:
        sys.stdout.buffer.write(export(table, _FORMS[format], vocabulary))
        sys.stdout.buffer.write(b"\n" if format is Format.json else b"")
        return
    show_rows(table.slice(0, MOST_ROWS).to_pylist(), format, columns=table.column_names)
    if table.num_rows > MOST_ROWS:
        stdout.print(f"… {table.num_rows - MOST_ROWS} more rows; write all with -o FILE, or --format csv")


def text_of(value: Any) -> str:
    """Write a value for a person."""
    if value is None or (isinstance(value, Mapping | list | tuple) and not value):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.6g}" if abs(value) < 1e4 else f"{value:.6f}".rstrip("0").rstrip(".")
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {text_of(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(text_of, value))
    return str(value)


def print_json(document: Any) -> None:
    """Print one JSON document."""
    import orjson

    sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY, default=str) + b"\n")
