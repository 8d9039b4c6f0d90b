"""The command that matches a user's table with the archive."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fink import factory
from fink.cli.application import ArchiveOption, ConfigOption, FormatOption, OutputOption, app, settings_from
from fink.cli.output import Format, show_table, stderr


class Each(StrEnum):
    """Whose matches are given."""

    row = "row"
    alert = "alert"


@app.command("crossmatch")
def cross_match(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, Parquet, VOTable or FITS table with positions in degrees")],
    radius: Annotated[
        float | None, typer.Option(help="Largest separation [arcsec]; without it each row's own, from --radius-column")
    ] = None,
    each: Annotated[Each, typer.Option(help="row: every alert of each row; alert: each alert once, with its nearest row")] = Each.row,
    nearest: Annotated[bool, typer.Option("--nearest", help="Only the nearest alert of each row")] = False,
    columns: Annotated[str | None, typer.Option(help="More columns of the alerts, as a,b")] = None,
    survey: Annotated[str | None, typer.Option(help="Only this survey")] = None,
    start: Annotated[float | None, typer.Option(help="Only alerts from this MJD on")] = None,
    stop: Annotated[float | None, typer.Option(help="Only alerts up to this MJD")] = None,
    ra: Annotated[str, typer.Option("--ra", metavar="COLUMN", help="Column of the right ascension, where its name does not say")] = "",
    dec: Annotated[str, typer.Option("--dec", metavar="COLUMN", help="Column of the declination")] = "",
    radius_column: Annotated[str, typer.Option("--radius-column", metavar="COLUMN", help="Column of each row's radius [arcsec]")] = "",
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    format: FormatOption = Format.table,
    output: OutputOption = None,
) -> None:
    """Match a table of yours, up to a million rows, with every alert of the archive, both ways.

    Example: `fink crossmatch my-sources.csv --radius 2 -o matches.parquet`
    """
    from fink.services.crossmatch import Upload, crossmatch
    from fink.services.trials import vocabulary
    from fink.services.uploads import ColumnNames, positions_of, radii_of, read_table

    began = time.monotonic()
    table = read_table(file)
    names = ColumnNames(ra, dec, radius=radius_column)
    upload = Upload(table, *positions_of(table, names), radii_of(table, names, radius))
    more = [name.strip() for name in columns.split(",") if name.strip()] if columns else []
    with factory.read_archive(settings_from(archive, config)) as reader:
        found = crossmatch(reader, upload, each=each.value, nearest=nearest, survey=survey, start=start, stop=stop, columns=more)
    show_table(found, format, output, vocabulary())
    matched = len(found["row"].unique())
    stderr.print(f"{matched:,} of {table.num_rows:,} rows have alerts, {found.num_rows:,} pairs, in {time.monotonic() - began:.1f} s")
