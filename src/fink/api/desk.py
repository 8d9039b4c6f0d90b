"""What the routes that write or cost stand on: the archive, the settings, the jobs; and how they read what is sent."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from pydantic import BaseModel, ConfigDict

from fink.columns import Column
from fink.config import Settings
from fink.errors import ConditionError, RequestError
from fink.services.access import Access
from fink.services.jobs import Jobs
from fink.services.live import LiveArchive
from fink.services.uploads import recognized

BASE = "/api/v1"
"""Where these routes are, which are of no survey, or of both."""

UPLOAD: Mapping[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A table (CSV, TSV, Parquet, VOTable, FITS; gzipped or not), recognized by its first bytes; send the file as it is",
        "content": {
            "text/csv": {"schema": {"type": "string"}, "example": "name,ra,dec\nM 31,10.6847,41.2687\nM 33,23.4621,30.6599\n"},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
"""What OpenAPI says of a route that takes a table."""


class Body(BaseModel):
    """What a request says; a name that it may not say is refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class Desk:
    """What these routes stand on.

    Parameters
    ----------
    archive
        Lends readers.
    vocabulary
        Every column that there is, by name.
    """

    archive: LiveArchive
    settings: Settings
    vocabulary: Mapping[str, Column]
    access: Access
    jobs: Jobs


def desk(request: Request) -> Desk:
    """Give what the application stands on."""
    found: Desk = request.app.state.desk
    return found


AtDesk = Annotated[Desk, Depends(desk)]


async def received(request: Request) -> AsyncIterator[Path]:
    """Keep what is sent in a file while the request is answered.

    Raises
    ------
    RequestError
        If it is empty or too large.
    """
    most = int(desk(request).settings.serve.upload_megabytes * 1e6)
    with tempfile.TemporaryDirectory(prefix="fink-upload-") as folder:
        path, size = Path(folder) / "body", 0
        with path.open("wb") as file:
            async for chunk in request.stream():
                size += file.write(chunk)
                if size > most:
                    raise RequestError(f"the upload has more than {most:,} bytes (serve.upload_megabytes); send it in parts, or as Parquet")
        if not size:
            raise RequestError("the request has no body; send the file as the body, as curl --data-binary @FILE does")
        yield path


Received = Annotated[Path, Depends(received)]


@contextmanager
def upload_named(path: Path, settings: Settings) -> Iterator[Path]:
    """Give a file that was sent a name that says its form; errors call it the upload, wherever it lies."""
    named = path
    try:
        named = recognized(path, int(settings.serve.upload_megabytes * 5e6))
        yield named
    except ConditionError as error:
        raise RequestError(str(error).replace(str(named), "the upload")) from error


def add(application: FastAPI, method: str, path: str, endpoint: Any, summary: str, tag: str, **more: Any) -> None:
    """Add a route, named in the documentation by its method and path."""
    application.add_api_route(
        BASE + path, endpoint, methods=[method], summary=summary, tags=[tag], operation_id=f"{method.lower()} {BASE}{path}", **more
    )
