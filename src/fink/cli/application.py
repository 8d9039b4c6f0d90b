"""The command-line application: its name space, the options that every command takes, and how errors end it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from fink.cli.output import Format, stderr, stdout
from fink.errors import ConditionError, ConfigError, FinkError, PlanError, QueryError, did_you_mean

# Commands import what they need when they run, so that help and completion answer at once.
if TYPE_CHECKING:
    from fink.config import Settings

_MISUSE = (ConditionError, ConfigError, PlanError, QueryError)


class ForgivingGroup(TyperGroup):
    """A group of commands that offers the nearest name when one is mistyped."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        """Find a command by its name."""
        name = args[0] if args else ""
        if name and not name.startswith("-") and self.get_command(ctx, name) is None:
            known = self.list_commands(ctx)
            ctx.fail(f"there is no command {name}{did_you_mean(name, known)}; there are {', '.join(known)}")
        return super().resolve_command(ctx, args)


def group(about: str) -> typer.Typer:
    """Make a group of commands."""
    return typer.Typer(cls=ForgivingGroup, help=about, no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False)


app = group("**Fink**, an astronomical alert broker: every alert in, the interesting few out, nothing lost.")


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        stdout.print(f"fink {version('fink')}")
        raise typer.Exit()


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Say which version this is")] = False,
) -> None:
    """Take the options that stand before a command."""


archive_app = group("Look after the archive.")
area_app = group("Areas of the sky of your own, as substreams; switched, listed and removed with fink filter.")
catalogs_app = group("Catalogues: what is known at each place of the sky, matched with every alert.")
config_app = group("Look at the settings and check them.")
followers_app = group("Followers: who delivers what is committed, and how far each has come.")
filter_app = group("Filters: the conditions that define substreams, built-in ones and your own.")
module_app = group("Science modules: what is measured on each alert.")
quarantine_app = group("Items that could not be read: list, show, export or replay them.")
token_app = group("Tokens: who may keep filters, and order transfers and jobs, over HTTP.")
transfer_app = group("Send a past selection of alerts to a Kafka topic of its own.")
services_app = group("Real servers on the loopback address, for a trial: start, stop, look.")
watchlist_app = group("Watchlists of your own positions, as substreams; switched, listed and removed with fink filter.")
for name, part in {
    "archive": archive_app,
    "area": area_app,
    "catalogs": catalogs_app,
    "config": config_app,
    "filter": filter_app,
    "followers": followers_app,
    "module": module_app,
    "quarantine": quarantine_app,
    "services": services_app,
    "token": token_app,
    "transfer": transfer_app,
    "watchlist": watchlist_app,
}.items():
    app.add_typer(part, name=name)

ArchiveOption = Annotated[
    Path | None, typer.Option("--archive", metavar="DIR", help="Folder of the archive [default: fink-archive, or FINK_ARCHIVE]")
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Settings file [default: fink.toml where there is one]")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting by its dotted name, as run.workers=2; may be repeated")
]
FormatOption = Annotated[Format, typer.Option("--format", "-f", help="How to print")]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file: .csv, .json, .parquet, .vot")
]


def settings_from(archive: Path | None, config: Path | None, assignments: list[str] | None = None, **overrides: Any) -> Settings:
    """Read the settings that a command runs with; what the command line says wins."""
    from fink.config import load_settings

    said: dict[str, Any] = {name.replace("__", "."): value for name, value in overrides.items() if value is not None}
    for assignment in assignments or []:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set {assignment} has no value; write NAME=VALUE, as run.workers=2")
        said[name] = value
    if archive is not None:
        said["archive"] = archive
    return load_settings(config, said)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; the exit status is 0 done, 1 failed, 2 misused."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and give its exit status."""
    command = typer.main.get_command(app)
    try:
        command.main(arguments, prog_name="fink")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except FinkError as error:
        stderr.print(f"[bold red]fink:[/] {_plain(error)}", soft_wrap=True)
        return 2 if isinstance(error, _MISUSE) else 1
    except KeyboardInterrupt:
        stderr.print("fink: stopped")
        return 130
    return 0


def _plain(error: Exception) -> str:
    return str(error).replace("[", r"\[")
