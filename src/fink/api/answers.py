"""What the interface sends back: tables in four formats, other values as JSON, errors in one shape (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa
from starlette.responses import Response

from fink.columns import Column
from fink.errors import ArchiveError, BusyError, FinkError, NotFoundError
from fink.services.exports import Form, export

FORMATS: Mapping[str, tuple[Form, str]] = {
    "json": ("json", "application/json"),
    "csv": ("csv", "application/csv"),
    "votable": ("votable", "text/xml"),
    "parquet": ("parquet", "application/vnd.apache.parquet"),
}
"""By name: Fink's own form, and the content type."""


@dataclass(frozen=True)
class TableAnswer:
    """A table under public names, with what its columns mean."""

    table: pa.Table
    meanings: Mapping[str, Column] = field(default_factory=dict)


@dataclass(frozen=True)
class FileAnswer:
    """Bytes of a kind of their own: a picture, a FITS file."""

    content: bytes
    media_type: str
    name: str


Answer = TableAnswer | FileAnswer | Mapping[str, Any] | Sequence[Any] | str


def response_of(answer: Answer, output: str = "json", warnings: Sequence[str] = ()) -> Response:
    """Write an answer; warnings travel in a header."""
    headers = {"X-Fink-Warning": "; ".join(warnings).encode("ascii", "replace").decode()} if warnings else {}
    match answer:
        case TableAnswer():
            form, media_type = FORMATS[output]
            body = export(answer.table, form, answer.meanings, pandas=form == "parquet")
            return Response(body, media_type=media_type, headers=headers)
        case FileAnswer():
            headers["Content-Disposition"] = f'attachment; filename="{answer.name}"'
            return Response(answer.content, media_type=answer.media_type, headers=headers)
        case str():
            return Response(answer, media_type="text/plain; charset=utf-8", headers=headers)
        case _:
            return Response(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json", headers=headers)


def problem(error: FinkError, instance: str) -> Response:
    """Say what went wrong, as a problem document."""
    status, title = _status(error)
    body = {"type": "about:blank", "title": title, "status": status, "detail": str(error), "instance": instance}
    headers = {"Retry-After": "5"} if status == 503 else {}
    return Response(orjson.dumps(body), status, headers, media_type="application/problem+json")


def _status(error: FinkError) -> tuple[int, str]:
    """Give the HTTP status of an error: a wrong question unless it is one of ours."""
    if isinstance(error, NotFoundError):
        return 404, "Not found"
    if isinstance(error, BusyError):
        return 503, "Too many questions at once"
    if isinstance(error, ArchiveError):
        return 500, "The archive cannot answer"
    return 400, "The question is asked wrongly"
