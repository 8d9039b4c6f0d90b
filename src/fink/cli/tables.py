"""Commands that give tables without an archive: decode, enrich."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fink import factory
from fink.cli.application import ConfigOption, FormatOption, SetOption, app, settings_from
from fink.cli.output import Format, print_json, show_record, stderr
from fink.errors import ConfigError

if TYPE_CHECKING:
    from fink.config import Settings
    from fink.engines.plan import Plan
    from fink.services.enrichment import Unreadable
    from fink.streams import Source
    from fink.surveys import Survey

TABLES = (".parquet", ".csv", ".arrow", ".feather")
"""How files of light curves end; all others are packets."""

KAFKA = "kafka://"

SourcesArgument = Annotated[
    list[str], typer.Argument(metavar="SOURCE...", help="Packets, containers, folders, a night's tarballs; or kafka://HOST:PORT/TOPICS")
]
TablesArgument = Annotated[
    list[str], typer.Argument(metavar="SOURCE...", help=f"Packets as for decode, or light-curve tables: {', '.join(TABLES)}")
]
FileOption = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Parquet file to write")]


class Each(StrEnum):
    """What becomes a row of an enriched light-curve table."""

    object = "object"
    epoch = "epoch"


@app.command()
def decode(
    sources: SourcesArgument,
    output: FileOption,
    config: ConfigOption = None,
    set: SetOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Decode packets to the alert columns and light curves, in Parquet; no science, no archive.

    Topics are read to where they end now, from where `kafka_in.start` says.

    Example: `fink decode ztf_public_20181129.tar.gz -o night.parquet`
    """
    _packets(sources, settings_from(None, config, set), None, output, format)


@app.command()
def enrich(
    sources: TablesArgument,
    output: FileOption,
    modules: Annotated[str | None, typer.Option(help="Science modules to run, as a,b; all without it")] = None,
    survey: Annotated[str, typer.Option(help="Survey of the bands of a light-curve table that has no column survey")] = "lsst",
    each: Annotated[Each, typer.Option(help="Row for each object of a light-curve table, its latest, or for each detection")] = Each.object,
    config: ConfigOption = None,
    set: SetOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Run the science modules on packets or on light-curve tables and write every column in Parquet; no archive needed.

    A table has the columns object_id, mjd, band, flux, flux_err (nJy), and may have survey, kind, ra, dec and others.

    Examples: `fink enrich packets/ -o enriched.parquet --modules magnitude_rate,data_quality`,
    `fink enrich lightcurves.csv -o enriched.parquet --survey ztf`
    """
    chosen = tuple(name.strip() for name in modules.split(",")) if modules else None
    settings = settings_from(None, config, set, run__modules=chosen)
    tables = [Path(source) for source in sources if Path(source).suffix in TABLES and not source.startswith(KAFKA)]
    if not tables:
        _packets(sources, settings, factory.build_plan(settings), output, format)
        return
    if len(tables) < len(sources):
        raise ConfigError(f"{tables[0]} is a light-curve table and others are packets; enrich them into two files")
    from fink.services.enrichment import by_reason

    began = time.monotonic()
    done = factory.enrich_files(tables, output, settings, named=chosen or (), survey=survey, each=each.value)
    record: dict[str, Any] = {"rows": done.rows, "objects": done.objects, "points": done.points}
    record |= {"seconds": round(time.monotonic() - began, 3), "file": str(output)}
    if format is not Format.table:
        print_json(record | {"not_run": done.reasons})
        return
    show_record(record, format)
    for said in by_reason(done.reasons) if not chosen else ():
        stderr.print(f"not run: {said}", markup=False, soft_wrap=True)


def _opened(sources: list[str], settings: Settings) -> tuple[Source, list[Survey]]:
    """Open packets, with the surveys that they are of; what lies in topics is known when it is read, so there it may be any."""
    from fink import surveys

    addresses = [source for source in sources if source.startswith(KAFKA)]
    if addresses:
        if len(addresses) < len(sources):
            raise ConfigError(f"{addresses[0]} is in Kafka and other sources are files; write them into two files")
        return factory.kafka_source(addresses, settings), list(surveys.registry().values())
    files = factory.files_source([Path(source) for source in sources], settings)
    return files, [surveys.registry()[name] for name in files.surveys]


def _packets(sources: list[str], settings: Settings, plan: Plan | None, output: Path, format: Format) -> None:
    from fink.services.enrichment import write_tables

    source, present = _opened(sources, settings)
    unreadable: list[Unreadable] = []
    began = time.monotonic()
    written = write_tables(source, present, plan, settings.batch, output, unreadable.append)
    record = {"alerts": written, "unreadable": len(unreadable), "surveys": [survey.name for survey in present]}
    record |= {"seconds": round(time.monotonic() - began, 3), "file": str(output)}
    if format is not Format.table:
        items = [{"source": u.source, "position": u.position, "reason": u.reason} for u in unreadable]
        print_json(record | {"unreadable_items": items})
        return
    show_record(record, format)
    for item in unreadable[:20]:
        stderr.print(f"unreadable: {item.source}, {item.position}: {item.reason}", markup=False)
    if len(unreadable) > 20:
        stderr.print(f"… {len(unreadable) - 20} more; --format json lists all")
