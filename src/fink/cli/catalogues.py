"""Commands about catalogues: what is known at each place of the sky, kept on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fink import factory
from fink.cli.application import ConfigOption, FormatOption, OutputOption, SetOption, catalogs_app, settings_from
from fink.cli.output import Format, print_json, show_record, show_rows, show_table, stderr, stdout

if TYPE_CHECKING:
    from fink.services.catalogues import Catalogues

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the catalogue; fink catalogs list gives them")]
NamesArgument = Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="Names of catalogues; none means all installed ones")]


def _catalogues(config: Path | None, set: list[str] | None) -> Catalogues:
    return factory.catalogues(settings_from(None, config, set))


def _progress(text: str) -> None:
    if stderr.is_terminal:
        stderr.print(f"  {text}", end="\r", soft_wrap=True)


@catalogs_app.command("list")
def list_catalogues(config: ConfigOption = None, set: SetOption = None, format: FormatOption = Format.table) -> None:
    """List the catalogues: what each is, and of those that are installed how many sources they hold and how old they are.

    Example: `fink catalogs list`
    """
    rows = [row | {"about": row["about"].partition(":")[0]} for row in _catalogues(config, set).all()]
    show_rows(rows, format, columns=["name", "about", "radius", "rows", "age_days", "version"])


@catalogs_app.command("add")
def add_catalogue(
    name: NameArgument,
    sources: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SOURCE...]", help="Files, folders or addresses; without any it is fetched from its public distribution"),
    ] = None,
    config: ConfigOption = None,
    set: SetOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Install a catalogue, or replace it: a run that goes on takes the new one up with its next batch.

    HATS, Parquet, FITS, VOTable, CSV and tables of the CDS are read; a catalogue larger than memory is sorted on disk.

    Example: `fink catalogs add gcvs`
    """
    record = _catalogues(config, set).add(name, sources or (), _progress)
    said = {"name": record.name, "version": record.version, "rows": record.rows, "left_out": record.skipped}
    show_record(said | {"columns": list(record.types), "missing": list(record.missing)}, format)


@catalogs_app.command("update")
def update_catalogues(
    names: NamesArgument = None,
    older_than: Annotated[float, typer.Option(metavar="DAYS", help="Leave younger ones alone")] = 0.0,
    config: ConfigOption = None,
    set: SetOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Install again, from where they came, catalogues that are too old; exit status 1 when one could not be.

    Example: `fink catalogs update tns --older-than 0.9`
    """
    done = _catalogues(config, set).update(names or (), older_than, _progress)
    show_rows(done, format)
    if any(row["result"].startswith("failed") for row in done):
        raise typer.Exit(1)


@catalogs_app.command("info")
def show_catalogue(name: NameArgument, config: ConfigOption = None, set: SetOption = None, format: FormatOption = Format.table) -> None:
    """Show one catalogue: columns, radius, citation, licence, and of an installed one where it came from and when.

    Example: `fink catalogs info gaiadr3`
    """
    said = _catalogues(config, set).info(name)
    if format is not Format.table:
        print_json(said)
        return
    columns = said.pop("columns")
    said.pop("checksums", None)
    show_record(said, format)
    stdout.print()
    show_rows(columns, format)


@catalogs_app.command("verify")
def verify_catalogues(
    names: NamesArgument = None, config: ConfigOption = None, set: SetOption = None, format: FormatOption = Format.table
) -> None:
    """Check the files of installed catalogues; exit status 1 when something is wrong.

    Example: `fink catalogs verify`
    """
    found = _catalogues(config, set).verify(names or ())
    show_rows(found, format)
    if not all(row["sound"] for row in found):
        raise typer.Exit(1)


@catalogs_app.command("match")
def match_catalogues(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, Parquet, VOTable or FITS table with positions in degrees")],
    names: Annotated[str | None, typer.Option("--catalogs", metavar="A,B", help="Only these catalogues")] = None,
    radius: Annotated[float | None, typer.Option(help="Largest separation [arcsec], in place of each catalogue's own")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every source within the radius, not only the best")] = False,
    ra: Annotated[str, typer.Option("--ra", metavar="COLUMN", help="Column of the right ascension, where its name does not say")] = "",
    dec: Annotated[str, typer.Option("--dec", metavar="COLUMN", help="Column of the declination")] = "",
    mjd: Annotated[str, typer.Option("--mjd", metavar="COLUMN", help="Column of the time to which stars are moved")] = "",
    config: ConfigOption = None,
    set: SetOption = None,
    format: FormatOption = Format.table,
    output: OutputOption = None,
) -> None:
    """Match a table of positions with the installed catalogues.

    Example: `fink catalogs match my-sources.csv --catalogs simbad,vsx`
    """
    import numpy as np

    from fink.services.uploads import ColumnNames, positions_of, read_table

    table = read_table(file)
    right, declination = positions_of(table, ColumnNames(ra, dec))
    times = np.asarray(table[mjd].to_numpy(), np.float64) if mjd else None
    chosen = [name.strip() for name in names.split(",") if name.strip()] if names else []
    found = _catalogues(config, set).match(chosen, right, declination, times, radius=radius, every=every)
    show_table(found, format, output, {})
    if format is Format.table and output is None:
        stderr.print(f"{len(found):,} matches of {table.num_rows:,} positions")
