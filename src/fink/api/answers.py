"""What the interface sends back: tables in four formats, other values as JSON, errors in one shape (RFC 9457)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa
from starlette.responses import Response

from fink.columns import Column
from fink.errors import ArchiveError, BusyError, CredentialsError, FinkError, ForbiddenError, NotFoundError, QuotaError, RefusedError
from fink.services.exports import Form, export, export_parts

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
class PartsAnswer:
    """A long table under public names that is made a part at a time, while the archive's reader is kept.

    Parameters
    ----------
    parts
        Makes its parts, all of `schema`, anew each time that it is called.
    rows
        How many there are together.
    """

    parts: Callable[[], Iterator[pa.Table]]
    schema: pa.Schema
    rows: int
    meanings: Mapping[str, Column] = field(default_factory=dict)

    def whole(self) -> TableAnswer:
        """Give it as one table, for what needs it so."""
        return TableAnswer(pa.concat_tables([self.schema.empty_table(), *self.parts()]), self.meanings)

    def written(self, output: str) -> Iterator[bytes]:
        """Give it in one of `FORMATS`, a part at a time."""
        form = FORMATS[output][0]
        return export_parts(self.parts(), self.schema, form, self.meanings, pandas=form == "parquet")


@dataclass(frozen=True)
class FileAnswer:
    """Bytes of a kind of their own: a picture, a FITS file."""

    content: bytes
    media_type: str
    name: str


_WRONG = "The question is asked wrongly"

Answer = TableAnswer | PartsAnswer | FileAnswer | Mapping[str, Any] | Sequence[Any] | str


def headers_of(warnings: Sequence[str], cursor: str | None = None) -> dict[str, str]:
    """Give the headers of an answer: what the asker should know, and where the next page begins."""
    headers = {"X-Fink-Warning": _in_a_header("; ".join(warnings))} if warnings else {}
    return headers | ({"X-Fink-Cursor": cursor} if cursor else {})


def _in_a_header(text: str) -> str:
    """Make a text fit for a header: printable ASCII, and not too long for those on the way."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text)[:4000].strip()


def response_of(
    answer: Answer, output: str = "json", warnings: Sequence[str] = (), status: int = 200, cursor: str | None = None
) -> Response:
    """Write an answer; warnings travel in a header."""
    headers = headers_of(warnings, cursor)
    match answer:
        case PartsAnswer():
            return response_of(answer.whole(), output, warnings, status, cursor)
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
            return Response(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY), status, media_type="application/json", headers=headers)


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
    return problem_document(status, title, str(error), instance, _headers(error))


def problem_document(status: int, title: str, detail: str, instance: str, headers: Mapping[str, str] | None = None) -> Response:
    """Write a problem document."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, "instance": instance}
    return Response(orjson.dumps(body), status, headers, media_type="application/problem+json")


def _headers(error: FinkError) -> dict[str, str]:
    if isinstance(error, BusyError):
        return {"Retry-After": "5"}
    if isinstance(error, QuotaError):
        return {"Retry-After": str(max(1, math.ceil(error.after)))}
    return {"WWW-Authenticate": "Bearer"} if isinstance(error, CredentialsError) else {}
