"""Commands about tokens: who may keep filters, order transfers and jobs over HTTP."""

from __future__ import annotations

import getpass
import time
from typing import TYPE_CHECKING, Annotated

import typer

from fink import factory
from fink.cli.application import ArchiveOption, ConfigOption, FormatOption, SetOption, settings_from, token_app
from fink.cli.output import Format, show_record, show_rows, stderr

if TYPE_CHECKING:
    from pathlib import Path

    from fink.services.access import Access


def _access(archive: Path | None, config: Path | None, set: list[str] | None) -> Access:
    return factory.access(settings_from(archive, config, set))


@token_app.command()
def create(
    owner: Annotated[str | None, typer.Argument(metavar="OWNER", help="Whose it is [default: the name you are logged in with]")] = None,
    scopes: Annotated[str, typer.Option(metavar="A,B", help="write (filters, watchlists, notes), order (jobs, transfers), admin (all)")] = (
        "write,order"
    ),
    days: Annotated[float, typer.Option(help="Days that it is valid; 0 for ever", min=0)] = 365.0,
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    set: SetOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Make a token, which is shown this once; a server that runs takes it at once.

    Example: `fink token create ana --scopes write,order --days 30`
    """
    names = [name.strip() for name in scopes.split(",") if name.strip()]
    token, text = _access(archive, config, set).create(owner or getpass.getuser(), names, days)
    show_record({"token": text, **token.summary()}, format)
    if format is Format.table:
        stderr.print("Keep it: it is not shown again. Send it as Authorization: Bearer TOKEN")


@token_app.command("list")
def list_tokens(
    archive: ArchiveOption = None, config: ConfigOption = None, set: SetOption = None, format: FormatOption = Format.table
) -> None:
    """List the tokens, the newest first; a token itself is not kept, and cannot be shown.

    Example: `fink token list`
    """
    show_rows([token.summary() for token in _access(archive, config, set).tokens()], format, "Tokens")


@token_app.command()
def revoke(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the token, as fink token list shows it")],
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    set: SetOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Take a token's rights away, for good and at once.

    Example: `fink token revoke 0a1b2c3d`
    """
    token = _access(archive, config, set).revoke(name)
    revoked = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(token.revoked))
    show_record(token.summary() | {"revoked": revoked}, format)
