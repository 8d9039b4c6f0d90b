"""Commands that start and stop the servers that Fink can use: for a trial, for tests; a survey brings its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fink import factory
from fink.cli.application import FormatOption, services_app
from fink.cli.output import Format, show_record, stderr

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The server: kafka")]
FolderOption = Annotated[
    Path | None, typer.Option("--folder", metavar="DIR", help="Folder of its data and log [default: fink-services/NAME]")
]


@services_app.command()
def up(
    name: NameArgument,
    folder: FolderOption = None,
    port: Annotated[int, typer.Option(help="Port on the loopback address; 0 takes a free one", min=0, max=65535)] = 9092,
    user: Annotated[
        list[str] | None, typer.Option("--user", metavar="NAME", help="Also listen to this user, with a password that is made up")
    ] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Also listen with encryption")] = False,
    format: FormatOption = Format.table,
) -> None:
    """Fetch (the first time) and start a real server on the loopback address, and wait until it answers.

    Needs Java 17 and, the first time, Maven. Port, users and encryption are those of the first start of a folder.

    Example: `fink services up kafka`
    """
    server = factory.component(name, folder, port=port, users=dict.fromkeys(user or (), ""), tls=tls)
    stderr.print(f"starting {name}…")
    server.up()
    show_record(server.status(), format)


@services_app.command()
def down(name: NameArgument, folder: FolderOption = None, format: FormatOption = Format.table) -> None:
    """Stop a server that `fink services up` started; its data stay.

    Example: `fink services down kafka`
    """
    server = factory.component(name, folder)
    server.down()
    show_record(server.status(), format)


@services_app.command()
def status(name: NameArgument = "kafka", folder: FolderOption = None, format: FormatOption = Format.table) -> None:
    """Say whether a server runs and answers, and where; exit status 1 when it does not.

    Example: `fink services status kafka`
    """
    found = factory.component(name, folder).status()
    show_record(found, format)
    if not found.get("answers"):
        raise typer.Exit(1)
