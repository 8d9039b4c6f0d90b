"""The command that answers others: the portal and the REST interface beside the stream."""

from __future__ import annotations

from typing import Annotated

import typer

from fink import factory
from fink.cli.application import ArchiveOption, ConfigOption, SetOption, app, settings_from
from fink.cli.output import stderr


@app.command()
def serve(
    archive: ArchiveOption = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on [default: 8000]")] = None,
    config: ConfigOption = None,
    set: SetOption = None,
) -> None:
    """Show the archive in a browser, and answer programs over HTTP, beside a run that may be writing it, until stopped (Ctrl-C).

    The portal is at `/`. The interface for programs describes itself under `/api/docs`.

    Example: `fink serve --archive fink-demo/archive`
    """
    settings = settings_from(archive, config, set, serve__host=host, serve__port=port)
    from fink.portal.server import listen

    live = factory.live_archive(settings)
    try:
        listen(live, settings, lambda url: stderr.print(f"Fink is at {url}/ and for programs at {url}/api/docs; stop it with Ctrl-C"))
    finally:
        live.close()
