"""Commands about followers: who delivers what is committed, and how far each has come."""

from __future__ import annotations

from typing import Annotated

import typer

from fink import factory
from fink.cli.application import ArchiveOption, ConfigOption, FormatOption, SetOption, followers_app, settings_from
from fink.cli.output import Format, print_json, show_record, show_rows


@followers_app.command("list")
def list_followers(
    archive: ArchiveOption = None, config: ConfigOption = None, assignments: SetOption = None, format: FormatOption = Format.table
) -> None:
    """List every follower that ever delivered from the archive: how far it is, and whether the settings still ask for it.

    Example: `fink followers list`
    """
    settings = settings_from(archive, config, assignments)
    with factory.read_archive(settings) as reader:
        states = factory.follower_states(reader)
    configured = factory.configured_followers(settings)
    rows = [state | {"configured": state["follower"] in configured} for state in states]
    if format is not Format.table:
        print_json(rows)
    else:
        show_rows([row | {"undeliverable": sum(row["undeliverable"].values())} for row in rows], format, "Followers")


@followers_app.command()
def forget(
    follower: Annotated[str, typer.Argument(metavar="FOLLOWER", help="Its name, as fink followers list shows it")],
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Forget a follower that is not configured any more, so that nothing is kept for it; what it delivered stays.

    Example: `fink followers forget files:/data/old-substreams`
    """
    settings = settings_from(archive, config, assignments)
    forgotten = dict(factory.ask(settings, "forget", {"follower": follower}))
    forgotten["undeliverable"] = sum(forgotten["undeliverable"].values())
    show_record(forgotten, format)
