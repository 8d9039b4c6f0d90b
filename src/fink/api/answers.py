"""What the interface sends back: tables in four formats, other values as JSON, errors in one shape (RFC 9457)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa
from starlette.responses import Response

from fink.columns import Column
from fink.errors import ArchiveError, BusyError, CredentialsError, FinkError, ForbiddenError, NotFoundError, QuotaError, RefusedError
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


_WRONG = "The question is asked wrongly"

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


_STATUS: tuple[tuple[type[FinkError], int, str], ...] = (
    (CredentialsError, 401, "A token is needed"),
    (ForbiddenError, 403, "Not allowed"),
    (QuotaError, 429, "More than may be taken"),
    (RefusedError, 409, "Refused"),
    (NotFoundError, 404, "Not found"),
    (BusyError, 503, "Too many questions at once"),
    (ArchiveError, 500, "The archive cannot answer"),
)
"""The HTTP status of each error, the first that fits; any other is a wrong question."""


def problem(error: FinkError, instance: str) -> Response:
    """Say what went wrong, as a problem document (RFC 9457)."""
    status, title = next(((status, title) for kind, status, title in _STATUS if isinstance(error, kind)), (400, _WRONG))
    body = {"type": "about:blank", "title": title, "status": status, "detail": str(error), "instance": instance}
    return Response(orjson.dumps(body), status, _headers(error), media_type="application/problem+json")


def _headers(error: FinkError) -> dict[str, str]:
    if isinstance(error, BusyError):
        return {"Retry-After": "5"}
    if isinstance(error, QuotaError):
        return {"Retry-After": str(max(1, math.ceil(error.after)))}
    return {"WWW-Authenticate": "Bearer"} if isinstance(error, CredentialsError) else {}
