"""The Table Access Protocol 1.1, synchronous (https://www.ivoa.net/documents/TAP/): arguments in, a table in the form asked for out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from starlette.responses import Response

from fink.archive.embedded import EmbeddedArchive
from fink.codecs.votable import Info
from fink.config import VoSettings
from fink.errors import RequestError
from fink.services.exports import export
from fink.vo.documents import VOTABLE, document, services_of
from fink.vo.execution import Answer, answer
from fink.vo.tables import Table

LANGUAGES = ("ADQL", "ADQL-2.0", "ADQL-2.1")


@dataclass(frozen=True)
class Format:
    """A form of answers.

    Parameters
    ----------
    form
        How it is written.
    media_type
        What it is announced as.
    names
        What it may be asked for as, in lower case; the first is its short name.
    identity
        Its identifier in TAPRegExt, where it has one.
    """

    form: Literal["binary2", "tabledata", "csv", "parquet", "json"]
    media_type: str
    names: tuple[str, ...]
    identity: str = ""


_OUTPUT = "ivo://ivoa.net/std/TAPRegExt#output-votable"
FORMATS = (
    Format("binary2", f"{VOTABLE};serialization=BINARY2", ("votable/b2", f"{VOTABLE};serialization=binary2"), f"{_OUTPUT}-binary2"),
    Format("tabledata", f"{VOTABLE};serialization=TABLEDATA", ("votable/td", f"{VOTABLE};serialization=tabledata"), f"{_OUTPUT}-td"),
    Format("binary2", VOTABLE, ("votable", VOTABLE, "text/xml", "application/xml")),
    Format("csv", "text/csv;header=present", ("csv", "text/csv", "text/csv;header=present")),
    Format("parquet", "application/vnd.apache.parquet", ("parquet", "application/vnd.apache.parquet")),
    Format("json", "application/json", ("json", "application/json")),
)
"""Every form."""
_DEFAULT = FORMATS[2]


@dataclass(frozen=True)
class Question:
    """What a request asks: the query, the form of its answer, and its rows at most."""

    query: str
    form: Format
    rows: int

    @classmethod
    def read(cls, given: Mapping[str, Sequence[str]], settings: VoSettings) -> Question:
        """Read the arguments of a request.

        Parameters
        ----------
        given
            Their values by name in capitals.

        Raises
        ------
        RequestError
            If one is missing, or has a value that it cannot have.
        """

        def one(name: str) -> str:
            values = [value.strip() for value in given.get(name, ()) if value.strip()]
            if len(set(values)) > 1:
                raise RequestError(f"{name} is given {len(values)} times; give it once")
            return values[0] if values else ""

        if (one("REQUEST") or "doQuery").lower() != "doquery":
            raise RequestError(f"REQUEST = {one('REQUEST')[:80]!r} is not known; leave it out, or write doQuery")
        if one("LANG").upper() not in LANGUAGES:
            raise RequestError(f"LANG = {one('LANG')[:80]!r} is not known; it is {' or '.join(LANGUAGES)}")
        if "UPLOAD" in given:
            raise RequestError("UPLOAD is not possible here; fink crossmatch matches a table of yours with the archive")
        query, rows = one("QUERY"), one("MAXREC")
        if not query:
            raise RequestError("QUERY is missing; send a SELECT, as SELECT TOP 5 * FROM lsst.objects")
        if rows and not (rows.isascii() and rows.isdigit() and len(rows) < 19):
            raise RequestError(f"MAXREC = {rows[:80]!r} is no number of rows")
        return cls(query, _format(one("RESPONSEFORMAT") or one("FORMAT")), min(int(rows or settings.rows), settings.most_rows))


def _format(asked: str) -> Format:
    name = asked.lower().replace(" ", "")
    if not name:
        return _DEFAULT
    found = next((each for each in FORMATS if name in each.names), None)
    if found is None:
        raise RequestError(f"RESPONSEFORMAT = {asked[:80]!r} is not known; it is one of {', '.join(each.names[0] for each in FORMATS)}")
    return found


def respond(archive: EmbeddedArchive, tables: Mapping[str, Table], question: Question, settings: VoSettings, base: str) -> Response:
    """Answer a question.

    Raises
    ------
    QueryError
        As `fink.vo.execution.answer`.
    """
    found = answer(archive, tables, question.query, question.rows, settings)
    form = question.form.form
    if form == "binary2" or form == "tabledata":
        return Response(_votable(found, question, base), media_type=question.form.media_type)
    body = export(found.table, form, found.meanings, pandas=form == "parquet")
    headers = {"X-Fink-Overflow": "true"} if found.overflow else {}
    return Response(body, media_type=question.form.media_type, headers=headers)


def _votable(found: Answer, question: Question, base: str) -> bytes:
    services = services_of(((output.name, output.column, output.table) for output in found.outputs), base)
    return document(
        found.table,
        found.meanings,
        about="Answer to an ADQL query",
        overflow=found.overflow,
        binary=question.form.form == "binary2",
        infos=[Info("QUERY", question.query), Info("server_software", "Fink")],
        behind=services if found.table.num_rows else "",
    )
