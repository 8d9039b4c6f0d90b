"""Commands that send a past selection of alerts to a Kafka topic of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fink import factory
from fink.cli.application import ArchiveOption, ConfigOption, FormatOption, SetOption, settings_from, transfer_app
from fink.cli.output import Format, show_record, show_rows, stderr

if TYPE_CHECKING:
    from fink.config import Settings
    from fink.services.transfers import Job, Selection

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the transfer, which is its topic's")]


def _names(text: str) -> tuple[str, ...]:
    """Read a,b, or a file with a name in each line."""
    path = Path(text)
    parts = path.read_text().split("\n") if text and path.is_file() else text.split(",")
    return tuple(part.strip() for part in parts if part.strip())


@transfer_app.command()
def start(
    survey: Annotated[str, typer.Option(help="Survey whose alerts are wanted")],
    first: Annotated[int, typer.Option("--start", metavar="YYYYMMDD", help="First night")] = 0,
    last: Annotated[int, typer.Option("--stop", metavar="YYYYMMDD", help="Last night")] = 99999999,
    substream: Annotated[str, typer.Option(help="Only what this substream took")] = "",
    where: Annotated[str, typer.Option(help="Only alerts for which this condition holds")] = "",
    objects: Annotated[str, typer.Option(metavar="A,B|FILE", help="Only alerts of these objects")] = "",
    positions: Annotated[Path | None, typer.Option(metavar="FILE", help="Only alerts around these positions (a table)")] = None,
    radius: Annotated[float, typer.Option(help="How near to a position [arcsec]")] = 2.0,
    columns: Annotated[str, typer.Option(metavar="A,B", help="Columns to send, by public name [default: whole packets]")] = "",
    limit: Annotated[int, typer.Option(help="Alerts at most; 0 for all", min=0)] = 0,
    days: Annotated[float, typer.Option(help="Days that the topic is kept", min=0.01)] = 7.0,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    set: SetOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Order a transfer and carry it out; when it is broken off, `fink transfer resume` goes on.

    Example: `fink transfer start --survey ztf --start 20251121 --where "is_transient AND mag < 19"`
    """
    from fink.services.transfers import Selection
    from fink.services.uploads import ColumnNames, positions_of, read_table

    settings = settings_from(archive, config, set)
    places = positions_of(read_table(positions), ColumnNames()) if positions is not None else ((), ())
    pairs = tuple((float(ra), float(dec)) for ra, dec in zip(*places, strict=True))
    wanted = Selection(survey, first, last, substream, where, _names(objects), pairs, radius, _names(columns), limit)
    _order(settings, wanted, days, format)


def _order(settings: Settings, wanted: Selection, days: float, format: Format) -> None:
    transfers = factory.transfers(settings)
    transfers.expire()
    with factory.read_archive(settings) as reader:
        job = transfers.order(wanted, reader, days)
        stderr.print(f"transfer {job.name}")
        done = transfers.carry_out(job.name, reader, _progress)
    show_record(done.summary(), format)


def _progress(job: Job) -> None:
    if stderr.is_terminal:
        stderr.print(f"{job.sent:,} of {job.total:,} alerts", end="\r")


@transfer_app.command()
def resume(
    name: NameArgument,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    set: SetOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Go on with a transfer that was broken off: nothing is sent twice.

    Example: `fink transfer resume ftransfer_ztf_2026-11-21_0a1b2c3d`
    """
    settings = settings_from(archive, config, set)
    with factory.read_archive(settings) as reader:
        show_record(factory.transfers(settings).carry_out(name, reader, _progress).summary(), format)


@transfer_app.command("list")
def list_transfers(
    archive: ArchiveOption = None, config: ConfigOption = None, set: SetOption = None, format: FormatOption = Format.table
) -> None:
    """List the transfers, the newest first; the topics of those whose time is over are taken away.

    Example: `fink transfer list`
    """
    transfers = factory.transfers(settings_from(archive, config, set))
    transfers.expire()
    shown = ("name", "state", "sent", "total", "expires")
    show_rows([job.summary() for job in transfers.jobs()], format, "Transfers", shown)


@transfer_app.command()
def show(
    name: NameArgument,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    set: SetOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Show one transfer.

    Example: `fink transfer show ftransfer_ztf_2026-11-21_0a1b2c3d`
    """
    show_record(factory.transfers(settings_from(archive, config, set)).get(name).summary(), format)


@transfer_app.command()
def cancel(
    name: NameArgument,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    set: SetOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Stop a transfer, wherever it is carried out, and take its topics away.

    Example: `fink transfer cancel ftransfer_ztf_2026-11-21_0a1b2c3d`
    """
    show_record(factory.transfers(settings_from(archive, config, set)).cancel(name).summary(), format)
