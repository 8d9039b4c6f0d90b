"""The protocols on the web application: TAP under /tap, cone searches under /scs, DataLink under /datalink."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Annotated, Literal
from urllib.parse import parse_qsl

from fastapi import Depends, FastAPI, Request
from starlette.responses import Response

from fink.archive.embedded import EmbeddedArchive
from fink.columns import Column
from fink.config import Settings
from fink.errors import BusyError, FinkError, NotFoundError, RequestError, did_you_mean
from fink.services.live import LiveArchive
from fink.vo import datalink, vosi
from fink.vo.cone import cone_error, cone_search
from fink.vo.documents import VOTABLE, problem
from fink.vo.tables import SURVEYS, public_tables
from fink.vo.tap import Question, respond

LARGEST_BODY = 1_000_000
"""Bytes that a request may have."""
PATIENCE = 10.0
"""Seconds that a query waits for its turn [s]."""

Arguments = Mapping[str, list[str]]


async def _given(request: Request) -> dict[str, list[str]]:
    """Read the arguments of a request, in the query string or a form; their names are the same in capitals."""
    pairs = list(request.query_params.multi_items())
    if request.method == "POST":
        kind = request.headers.get("content-type", "").partition(";")[0].strip()
        if kind not in ("", "application/x-www-form-urlencoded"):
            raise RequestError(f"a form of the kind {kind} is not read; send application/x-www-form-urlencoded, without files")
        body = bytearray()
        async for part in request.stream():
            # what is too much is read to its end, and not kept: a client that still sends would not hear the answer
            body += part if len(body) <= LARGEST_BODY else b""
        if len(body) > LARGEST_BODY:
            raise RequestError(f"the request has more than {LARGEST_BODY} bytes")
        try:
            pairs += parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=1000)
        except ValueError as error:
            raise RequestError(f"the form cannot be read: {error}") from error
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name.upper(), []).append(value)
    return found


async def _read(request: Request) -> dict[str, list[str]] | FinkError:
    """Read the arguments, or give what is wrong with them, to be told in the protocol's own form."""
    try:
        return await _given(request)
    except FinkError as error:
        return error


Read = Annotated[dict[str, list[str]] | FinkError, Depends(_read)]


class Services:
    """The protocols' answers for one archive.

    Parameters
    ----------
    archive
        Lends readers.
    vocabulary
        Every column that there is, by name.
    settings
        All settings of the server.
    """

    def __init__(self, archive: LiveArchive, vocabulary: Mapping[str, Column], settings: Settings) -> None:
        self._archive, self._settings = archive, settings.vo
        self.tables = public_tables(vocabulary)
        self._turns = BoundedSemaphore(settings.vo.queries)

    @contextmanager
    def _turn(self) -> Iterator[EmbeddedArchive]:
        """Lend a reader to a query, while not too many run."""
        if not self._turns.acquire(timeout=PATIENCE):
            raise BusyError("too many queries run at the moment; ask again in a little while")
        try:
            with self._archive.reading() as reader:
                yield reader
        finally:
            self._turns.release()

    def sync(self, given: Arguments, base: str) -> Response:
        """Answer a query."""
        question = Question.read(given, self._settings)
        with self._turn() as reader:
            return respond(reader, self.tables, question, self._settings, base)

    def cone(self, survey: str, given: Arguments, base: str) -> Response:
        """Answer a cone search; a wrong one too is answered with a document, as old programs expect."""
        try:
            with self._archive.reading() as reader:
                body = cone_search(reader, self.tables[f"{_known(survey)}.objects"], given, self._settings, base)
        except FinkError as error:
            body = cone_error(error)
        return Response(body, media_type=f"{VOTABLE};version=1.1")

    def links(self, survey: str, kind: Literal["alert", "object"], given: Arguments, base: str) -> Response:
        """Say what there is to alerts or objects."""
        with self._archive.reading() as reader:
            body = datalink.links(reader, _known(survey), kind, given.get("ID", []), base)
        return Response(body, media_type=datalink.MEDIA_TYPE)

    def light_curve(self, survey: str, given: Arguments) -> Response:
        """Give the light curve of an object."""
        names = given.get("ID", [])
        if len(names) != 1:
            raise RequestError("ID is given once: the name of an object")
        with self._archive.reading() as reader:
            return Response(datalink.light_curve(reader, _known(survey), names[0]), media_type=VOTABLE)

    def described(self, name: str, given: Arguments) -> Response:
        """Describe all tables, or one."""
        return vosi.tableset(self.tables, name=name, brief="min" in given.get("DETAIL", []))

    def capabilities(self, base: str) -> Response:
        """Say what TAP can do."""
        return vosi.capabilities(base, self._settings)


def _known(survey: str) -> str:
    if survey not in SURVEYS:
        raise NotFoundError(f"there is no survey {survey[:40]}{did_you_mean(survey, SURVEYS)}; there are {' and '.join(SURVEYS)}")
    return survey


def mount(application: FastAPI, live_archive: LiveArchive, vocabulary: Mapping[str, Column], settings: Settings) -> None:
    """Put the protocols on a web application.

    Parameters
    ----------
    live_archive
        Lends readers.
    vocabulary
        Every column that there is, by name.
    settings
        All settings of the server.
    """
    services = Services(live_archive, vocabulary, settings)

    def route(path: str, answer: Callable[[Request, Arguments], Response]) -> None:
        # a plain function: it runs on a thread of its own, so that one slow answer does not hold up the others
        def endpoint(request: Request, given: Read) -> Response:
            if isinstance(given, FinkError):
                return problem(given)
            try:
                return answer(request, given)
            except FinkError as error:
                return problem(error)

        for method in ("GET", "POST"):
            application.add_api_route(path, endpoint, methods=[method], response_class=Response, include_in_schema=False)

    route("/tap/sync", lambda request, given: services.sync(given, _base(request)))
    route("/tap/capabilities", lambda request, _: services.capabilities(_base(request)))
    route("/tap/availability", lambda *_: vosi.availability())
    route("/tap/examples", lambda *_: vosi.examples())
    route("/tap/tables", lambda _, given: services.described("", given))
    route("/tap/tables/{name}", lambda request, given: services.described(request.path_params["name"], given))
    route("/scs/{survey}", lambda request, given: services.cone(request.path_params["survey"], given, _base(request)))
    route("/datalink/{survey}/alert", lambda request, given: services.links(request.path_params["survey"], "alert", given, _base(request)))
    route(
        "/datalink/{survey}/object", lambda request, given: services.links(request.path_params["survey"], "object", given, _base(request))
    )
    route("/datalink/{survey}/lightcurve", lambda request, given: services.light_curve(request.path_params["survey"], given))


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")
