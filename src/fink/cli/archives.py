"""Commands that look after the archive and the quarantine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from fink import factory
from fink.cli.application import ArchiveOption, ConfigOption, FormatOption, archive_app, quarantine_app, settings_from
from fink.cli.output import Format, print_json, show_record, show_rows, stderr, stdout
from fink.errors import NotFoundError

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Identity of the item, or its beginning")]


@archive_app.command()
def verify(archive: ArchiveOption = None, config: ConfigOption = None, format: FormatOption = Format.table) -> None:
    """Check every checksum and every cross-reference of the archive; exit status 1 when something is wrong.

    Example: `fink archive verify`
    """
    with factory.read_archive(settings_from(archive, config)) as reader:
        problems = reader.verify()
        commits = reader.last_commit()
    if format is not Format.table:
        print_json({"commits": commits, "problems": problems, "sound": not problems})
    else:
        show_record({"commits": commits, "sound": not problems}, format)
        for problem in problems:
            stderr.print(problem, style="red", markup=False)
    if problems:
        raise typer.Exit(1)


@archive_app.command()
def compact(archive: ArchiveOption = None, config: ConfigOption = None, format: FormatOption = Format.table) -> None:
    """Turn what recent runs appended into sorted Parquet, now.

    Example: `fink archive compact`
    """
    _show_stats(factory.ask(settings_from(archive, config), "compact", {}), format)


@archive_app.command()
def stats(archive: ArchiveOption = None, config: ConfigOption = None, format: FormatOption = Format.table) -> None:
    """Say what the archive holds and how large it is.

    Example: `fink archive stats`
    """
    with factory.read_archive(settings_from(archive, config)) as reader:
        _show_stats(reader.stats(), format)


def _show_stats(stats: Mapping[str, Any], format: Format) -> None:
    """Print what an archive holds: totals, then the files of the lake and the families of the index."""
    if format is not Format.table:
        print_json(stats)
        return
    show_record({name: value for name, value in stats.items() if name not in ("lake", "index")}, format)
    for part, title in (("lake", "Lake"), ("index", "Index")):
        stdout.print()
        show_rows([{"name": name, **sizes} for name, sizes in stats[part].items()], format, title)


@archive_app.command()
def copy(
    target: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that does not exist yet")],
    archive: ArchiveOption = None,
    config: ConfigOption = None,
) -> None:
    """Copy the archive, as of one commit, also while a run is writing it.

    Example: `fink archive copy backup-2026-11-21`
    """
    with factory.read_archive(settings_from(archive, config)) as reader:
        reader.copy(target)
        stderr.print(f"copied {reader.last_commit()} commits to {target}", markup=False)


@quarantine_app.command("list")
def list_items(archive: ArchiveOption = None, config: ConfigOption = None, format: FormatOption = Format.table) -> None:
    """List the items that could not be read, with their reasons.

    Example: `fink quarantine list`
    """
    with factory.read_archive(settings_from(archive, config)) as reader:
        items = reader.quarantine_items()
    if format is Format.table:
        items = [{**item, "id": item["id"][:12]} for item in items]
    show_rows(items, format, columns=["id", "source", "position", "size", "reason"])


@quarantine_app.command("show")
def show_item(
    identity: IdArgument, archive: ArchiveOption = None, config: ConfigOption = None, format: FormatOption = Format.table
) -> None:
    """Show one item: where it came from, why it is here, and how it begins.

    Example: `fink quarantine show 3fa9c1`
    """
    with factory.read_archive(settings_from(archive, config)) as reader:
        item = _one(reader.quarantine_items(), identity)
        body = reader.quarantine_body(item["id"])
    show_record(item | {"begins": body[:64].hex(" "), "text": body[:64].decode("ascii", "replace").replace("�", ".")}, format)


@quarantine_app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR")],
    identity: Annotated[str | None, typer.Option("--id", help="Only this item")] = None,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
) -> None:
    """Write the bytes of quarantined items into a folder, one file each.

    Example: `fink quarantine export bad-packets`
    """
    folder.mkdir(parents=True, exist_ok=True)
    with factory.read_archive(settings_from(archive, config)) as reader:
        items = reader.quarantine_items()
        chosen = [_one(items, identity)] if identity else items
        for item in chosen:
            (folder / item["id"]).write_bytes(reader.quarantine_body(item["id"]))
    stderr.print(f"{len(chosen)} items written to {folder}", markup=False)


@quarantine_app.command()
def replay(
    identity: Annotated[str | None, typer.Option("--id", help="Only this item")] = None,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Try to read quarantined items again, after an upgrade or with a schema that was missing; what can be read is archived.

    Example: `fink quarantine replay`
    """
    settings = settings_from(archive, config)
    with factory.read_archive(settings) as reader:
        chosen = [_one(reader.quarantine_items(), identity)["id"]] if identity else []
    arguments = {"items": chosen, "surveys": settings.surveys.model_dump(mode="json", exclude={"registry_password"})}
    show_record(factory.ask(settings, "replay", arguments), format)


def _one(items: list[dict[str, str]], identity: str) -> dict[str, str]:
    """Find an item by the beginning of its identity."""
    found = [item for item in items if item["id"].startswith(identity)]
    if len(found) != 1:
        raise NotFoundError(f"{len(found)} quarantined items begin with {identity}; fink quarantine list shows them")
    return found[0]
