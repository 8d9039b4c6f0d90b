"""The application: every route under each survey's base, GET and POST, with its description, its errors and its documentation."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from http import HTTPStatus
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES
from starlette.responses import Response, StreamingResponse

from fink.api import jobs, transfers, users
from fink.api.access import needs
from fink.api.answers import FORMATS, PartsAnswer, headers_of, problem, problem_document, response_of
from fink.api.arguments import read_arguments
from fink.api.bodies import read_body
from fink.api.desk import BASE, Desk
from fink.api.documentation import described, examples
from fink.api.live import Feed, Place
from fink.api.registry import ROUTES
from fink.api.routes import Question, Route
from fink.api.streaming import streamed
from fink.archive.state import State
from fink.columns import Column
from fink.config import Settings
from fink.errors import FinkError, RequestError
from fink.services.access import Access
from fink.services.job_runner import JobRunner
from fink.services.jobs import Jobs
from fink.services.live import LiveArchive

SURVEYS = ("ztf", "lsst")
LARGEST_BODY = 100_000_000
"""Bytes that a request may have."""


class Interface(FastAPI):
    """The web application of the REST interface; its description has examples that the archive can answer."""

    def openapi(self) -> dict[str, Any]:
        """Give the description, which is written when it is first asked for."""
        if self.openapi_schema is None:
            with self.state.desk.archive.reading() as reader:
                self.openapi_schema = described(self, {survey: examples(reader, survey) for survey in SURVEYS})
        return self.openapi_schema


def build_application(archive: LiveArchive, vocabulary: Mapping[str, Column], settings: Settings | None = None) -> FastAPI:
    """Build the web application of the REST interface.

    Each survey's own routes answer under ``/<survey>/api/v1``, and those of the survey of the settings under ``/api/v1`` too.

    Parameters
    ----------
    archive
        Lends readers.
    vocabulary
        Every column that there is, by name.
    settings
        Where the archive is, and what askers may do and take.
    """
    settings = settings or Settings()
    application = Interface(
        title="Fink",
        version=version("fink"),
        description="Alerts of ZTF and Rubin/LSST: by object, place, substream, solar-system name and night.",
        docs_url="/api/docs",
        openapi_url="/api/openapi.json",
        redoc_url=None,
    )
    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
    shown = ["X-Fink-Warning", "X-Fink-Cursor", "Retry-After", "Content-Range", "Accept-Ranges", "ETag"]
    application.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=methods, allow_headers=["*"], expose_headers=shown)
    # what is compressed already is sent as it is, so that a part of it can be asked for
    packed = (*DEFAULT_EXCLUDED_CONTENT_TYPES, "application/vnd.apache.parquet", "application/fits")
    application.add_middleware(GZipMiddleware, minimum_size=2048, compresslevel=1, exclude_content_types=packed)
    access = Access(State(settings.archive), settings.serve)
    desk = Desk(archive, settings, vocabulary, access, Jobs(settings.archive, settings.serve, access))
    application.state.desk = desk
    application.add_exception_handler(FinkError, _on_error)
    application.add_exception_handler(RequestValidationError, _on_invalid)
    application.add_exception_handler(HTTPException, _on_refusal)
    application.add_exception_handler(500, _on_failure)
    # those of no survey first: a survey may have a route of the same name
    for part in (users, jobs, transfers):
        part.mount(application)
    for base, survey in _bases(settings.serve.survey):
        for route in ROUTES:
            if survey in route.surveys:
                _mount(application, route, survey, base, desk)
        _mount_live(application, survey, base, archive, vocabulary)
    return application


def start_jobs(application: FastAPI) -> JobRunner:
    """Begin to carry out what is ordered of an application; whoever ends the server closes what this gives."""
    desk: Desk = application.state.desk
    limits = desk.settings.serve
    runner = JobRunner(desk.jobs, partial(jobs.carry_out, desk.settings), workers=limits.job_workers, seconds=limits.job_seconds)
    runner.start()
    return runner


def _bases(default_survey: str) -> list[tuple[str, str]]:
    return [*((f"/{survey}{BASE}", survey) for survey in SURVEYS), (BASE, default_survey)]


def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, FinkError)
    return problem(error, request.url.path)


def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # where it stands begins with body, query or path, which the asker knows
    told = "; ".join(f"{'.'.join(map(str, each['loc'][1:])) or 'body'}: {each['msg']}" for each in error.errors())
    return problem(RequestError(told), request.url.path)


def _on_refusal(request: Request, error: Exception) -> Response:
    """Say in the one shape what the framework refuses by itself: a path or method that there is not, a body that is not JSON."""
    assert isinstance(error, HTTPException)
    detail = f"{request.method} {request.url.path}: {error.detail}; /api/docs names what there is"
    return problem_document(error.status_code, str(HTTPStatus(error.status_code).phrase), detail, request.url.path, error.headers)


def _on_failure(request: Request, error: Exception) -> Response:
    """Answer what was not foreseen; the server's log has the reason, which is nobody else's to read."""
    told = "the question could not be answered, which is an error of the server; its log says more"
    return problem_document(500, "An error of the server", told, request.url.path)


async def _given(request: Request) -> dict[str, Any]:
    """Read what was sent: the body, then the query string, which wins."""
    body = read_body(await _body(request), request.headers.get("content-type", "")) if request.method == "POST" else {}
    return {**body, **request.query_params}


async def _body(request: Request) -> bytes:
    """Read the body, which does not always say how long it is."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > LARGEST_BODY:
            raise RequestError(f"the request has more than {LARGEST_BODY} bytes; ask in parts")
    return bytes(data)


Given = Annotated[dict[str, Any], Depends(_given)]


def _mount(application: FastAPI, route: Route, survey: str, base: str, desk: Desk) -> None:
    # a plain function: it runs on a thread of its own, so that one slow answer does not hold up the others
    def endpoint(request: Request, given: Given) -> Response:
        if request.method == "GET" and not given and not route.bare:
            return response_of(route.description(base))
        writer = needs("write")(request).owner if route.writes and request.method == "POST" else None
        values, warnings = read_arguments(route.arguments, given, tai=survey == "lsst")
        output = str(values.get("output-format") or "json")
        with ExitStack() as lease:
            reader = lease.enter_context(desk.archive.reading())
            question = Question(reader, survey, desk.vocabulary, values, warnings, desk.settings, writer)
            answer = route.answer(question)
            if isinstance(answer, PartsAnswer):
                headers = headers_of(question.warnings, question.next_cursor)
                # the reader goes back when the last part is made, or here where already the first cannot be
                return streamed(answer.written(output), FORMATS[output][1], headers, lease.pop_all().close)
        return response_of(answer, output, question.warnings, cursor=question.next_cursor)

    vars(endpoint).update(answers=(route, survey))
    for method in ("GET", "POST"):
        application.add_api_route(
            base + route.path,
            endpoint,
            methods=[method],
            summary=route.about,
            tags=[f"{survey} {base}"],
            operation_id=f"{method.lower()} {base}{route.path}",
            response_class=Response,
        )


def _mount_live(application: FastAPI, survey: str, base: str, archive: LiveArchive, vocabulary: Mapping[str, Column]) -> None:
    def live(tag: str, columns: str = "", last_event_id: Annotated[str, Header()] = "") -> Response:
        wanted = [name.strip() for name in columns.split(",") if name.strip()]
        feed = Feed(archive, survey, tag, vocabulary, wanted)
        place = Place.parse(last_event_id) if last_event_id else feed.now()
        feed.check()
        return StreamingResponse(feed.events(place), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    application.add_api_route(
        f"{base}/live",
        live,
        methods=["GET"],
        summary="Alerts of a substream as they are archived, as server-sent events",
        tags=[f"{survey} {base}"],
        operation_id=f"get {base}/live",
        response_class=StreamingResponse,
    )
