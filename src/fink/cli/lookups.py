"""Commands that ask the archive: ledger, SQL, objects, cones, substreams, nights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fink import factory
from fink.cli.application import ArchiveOption, ConfigOption, FormatOption, OutputOption, app, settings_from
from fink.cli.output import Format, print_json, show_record, show_rows, show_table, stdout
from fink.cli.plans import vocabulary
from fink.errors import NotFoundError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

SurveyOption = Annotated[str | None, typer.Option(help="Only this survey")]


@app.command()
def ledger(archive: ArchiveOption = None, config: ConfigOption = None, format: FormatOption = Format.table) -> None:
    """Account for every item received: archived, quarantined or duplicate, per source, module and substream.

    The exit status is 1 when it does not balance.

    Example: `fink ledger --format json`
    """
    settings = settings_from(archive, config)
    with factory.read_archive(settings) as reader:
        account = reader.ledger() | {"topics": factory.topic_states(reader), "followers": factory.follower_states(reader)}
    account["catalogs"] = factory.catalogues(settings).ages()
    if format is not Format.table:
        print_json(account)
    else:
        _show_ledger(account)
    if not account["balanced"]:
        raise typer.Exit(1)


def _show_ledger(account: Mapping[str, Any]) -> None:
    """Print the totals of the ledger, then its sources, modules, substreams and followers."""
    totals = {name: account[name] for name in ("received", "archived", "quarantined", "duplicate", "late", "balanced")}
    show_record(totals, Format.table, "Ledger")
    stdout.print()
    show_rows(account["sources"], Format.table, "Sources")
    if account["topics"]:
        stdout.print()
        columns = ("topic", "partitions", "to_come", "lost")
        show_rows(account["topics"], Format.table, "Topics, at the last commit of each", columns)
    stdout.print()
    show_rows([{"module": name, **counts} for name, counts in account["modules"].items()], Format.table, "Modules")
    stdout.print()
    show_rows([{"substream": name, "selected": count} for name, count in account["substreams"].items()], Format.table, "Substreams")
    if account["catalogs"]:
        stdout.print()
        show_rows(account["catalogs"], Format.table, "Catalogues installed")
    if account["followers"]:
        stdout.print()
        rows = [follower | {"undeliverable": sum(follower["undeliverable"].values())} for follower in account["followers"]]
        show_rows(rows, Format.table, "Followers")


@app.command()
def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT over the tables alerts and points")],
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    format: FormatOption = Format.table,
    output: OutputOption = None,
) -> None:
    """Ask the archive in SQL (DuckDB); the tables are `alerts` and `points`, `DESCRIBE alerts` lists the columns.

    Example: `fink query "SELECT band, count(*), median(mag) FROM alerts GROUP BY band"`
    """
    with factory.read_archive(settings_from(archive, config)) as reader:
        show_table(reader.sql(sql), format, output, vocabulary())


@app.command("object")
def show_object(
    object_id: Annotated[str, typer.Argument(metavar="ID", help="The survey's name of the object, or a solar-system designation")],
    points: Annotated[
        bool, typer.Option("--points", help="Give the whole light curve, with forced photometry and limits, not the alerts")
    ] = False,
    survey: SurveyOption = None,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    format: FormatOption = Format.table,
    output: OutputOption = None,
) -> None:
    """Show the alerts of an object, or its whole light curve across packets.

    Example: `fink object ZTF18abcdefg --points -o lightcurve.csv`
    """
    with factory.read_archive(settings_from(archive, config)) as reader:
        table = reader.light_curve(object_id, survey) if points else reader.object_alerts(object_id, survey)
        if table.num_rows == 0 and not points:
            table = reader.solar_system(object_id)
    if table.num_rows == 0:
        raise NotFoundError(f"the archive has no object {object_id}; find ids with fink cone, or fink query")
    show_table(_fit_for(format, output, table), format, output, vocabulary())


@app.command()
def cone(
    ra: Annotated[float, typer.Argument(help="Right ascension [deg], ICRS")],
    dec: Annotated[float, typer.Argument(help="Declination [deg], ICRS")],
    radius: Annotated[float, typer.Argument(help="Radius [arcsec]")],
    survey: SurveyOption = None,
    start: Annotated[float | None, typer.Option(help="Only alerts from this MJD on")] = None,
    stop: Annotated[float | None, typer.Option(help="Only alerts up to this MJD")] = None,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    format: FormatOption = Format.table,
    output: OutputOption = None,
) -> None:
    """Find the alerts around a position, nearest first.

    Example: `fink cone 150.1 2.2 60` (for a negative declination: `fink cone -- 150.1 -2.2 60`)
    """
    with factory.read_archive(settings_from(archive, config)) as reader:
        table = reader.cone(ra, dec, radius, survey=survey, start=start, stop=stop)
    show_table(_fit_for(format, output, table), format, output, vocabulary())


@app.command()
def substream(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    start: Annotated[float | None, typer.Option(help="Only alerts from this MJD on")] = None,
    stop: Annotated[float | None, typer.Option(help="Only alerts up to this MJD")] = None,
    limit: Annotated[int, typer.Option(help="Alerts at most, newest first")] = 100,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    format: FormatOption = Format.table,
    output: OutputOption = None,
) -> None:
    """Show the alerts that a substream took, newest first.

    Example: `fink substream fast_risers --limit 10`
    """
    from fink.services.substreams import known_substreams

    with factory.read_archive(settings_from(archive, config)) as reader:
        known = known_substreams(reader)
        if name not in known:
            raise NotFoundError(f"there is no substream {name}{did_you_mean(name, known)}")
        table = reader.substream(name, start=start, stop=stop, limit=limit)
    show_table(_fit_for(format, output, table), format, output, vocabulary())


@app.command()
def night(
    date: Annotated[int, typer.Argument(metavar="YYYYMMDD")],
    survey: SurveyOption = None,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    format: FormatOption = Format.table,
    output: OutputOption = None,
) -> None:
    """Give every alert of a night, with every column.

    Example: `fink night 20181129 -o night.parquet`
    """
    with factory.read_archive(settings_from(archive, config)) as reader:
        table = reader.night(date, survey)
    show_table(_fit_for(format, output, table), format, output, vocabulary())


_CARD = (
    "survey",
    "object_id",
    "sso_name",
    "alert_id",
    "mjd",
    "ra",
    "dec",
    "band",
    "mag",
    "positive",
    "separation",
    "entry",
    "entry_separation",
)


def _fit_for(format: Format, output: object, table: pa.Table) -> pa.Table:
    """Keep for a person the columns that fit on a screen; programs and files get all."""
    if format is not Format.table or output is not None:
        return table
    chosen = [name for name in _CARD if name in table.column_names]
    return table.select(chosen) if len(chosen) > 3 else table
