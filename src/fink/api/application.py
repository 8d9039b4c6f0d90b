"""The application: every route under each survey's base, GET and POST, with its description, its errors and its documentation."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from json import JSONDecodeError
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES
from starlette.responses import Response, StreamingResponse

from fink.api.answers import problem, response_of
from fink.api.arguments import read_arguments
from fink.api.live import Feed, Place
from fink.api.registry import ROUTES
from fink.api.routes import Question, Route
from fink.archive.state import State
from fink.columns import Column
from fink.config import Settings
from fink.errors import FinkError, RequestError
from fink.services.access import Access
from fink.services.live import LiveArchive

LARGEST_BODY = 100_000_000
"""Bytes that a request may have."""


def build_application(
    archive: LiveArchive, vocabulary: Mapping[str, Column], settings: Settings | None = None, *, default_survey: str = "lsst"
) -> FastAPI:
    """Build the web application of the REST interface.

    Parameters
    ----------
    archive
        Lends readers.
    vocabulary
        Every column that there is, by name.
    settings
        Where the archive is, and what askers may do and take.
    default_survey
        Whose routes answer under ``/api/v1``; each survey's own answer under ``/<survey>/api/v1``.
    """
    application = FastAPI(
        title="Fink",
        version=version("fink"),
        description="Alerts of ZTF and Rubin/LSST: by object, place, substream, solar-system name and night.",
        docs_url="/api/docs",
        openapi_url="/api/openapi.json",
        redoc_url=None,
    )
    application.add_middleware(
        CORSMiddleware, allow_origins=["*"], allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"], allow_headers=["*"]
    )
    # what is compressed already is sent as it is, so that a part of it can be asked for
    packed = (*DEFAULT_EXCLUDED_CONTENT_TYPES, "application/vnd.apache.parquet", "application/fits")
    application.add_middleware(GZipMiddleware, minimum_size=2048, compresslevel=1, exclude_content_types=packed)
    settings = settings or Settings()
    application.state.access = Access(State(settings.archive), settings.serve)
    application.add_exception_handler(FinkError, _on_error)
    application.add_exception_handler(RequestValidationError, _on_invalid)
    for route in ROUTES:
        for survey in route.surveys:
            _mount(application, route, survey, f"/{survey}/api/v1", archive, vocabulary)
            if survey == default_survey:
                _mount(application, route, survey, "/api/v1", archive, vocabulary)
    for survey in ("ztf", "lsst"):
        for base in (f"/{survey}/api/v1", *(("/api/v1",) if survey == default_survey else ())):
            _mount_live(application, survey, base, archive, vocabulary)
    return application


def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, FinkError)
    return problem(error, request.url.path)


def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    told = "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in error.errors())
    return problem(RequestError(told), request.url.path)


async def _given(request: Request) -> dict[str, Any]:
    """Read what was sent: a JSON body, then the query string, which wins."""
    body: Any = {}
    if request.method == "POST":
        if int(request.headers.get("content-length") or 0) > LARGEST_BODY:
            raise RequestError(f"the request has more than {LARGEST_BODY} bytes; ask in parts")
        try:
            body = await request.json() if await request.body() else {}
        except (JSONDecodeError, UnicodeDecodeError) as error:
            raise RequestError(f"the body is not JSON: {error}") from error
        if not isinstance(body, dict):
            raise RequestError("the body is not a JSON object; send the arguments by name")
    return {**body, **request.query_params}


Given = Annotated[dict[str, Any], Depends(_given)]


def _mount(application: FastAPI, route: Route, survey: str, base: str, archive: LiveArchive, vocabulary: Mapping[str, Column]) -> None:
    # a plain function: it runs on a thread of its own, so that one slow answer does not hold up the others
    def endpoint(request: Request, given: Given) -> Response:
        if request.method == "GET" and not given and not route.bare:
            return response_of(route.description(base))
        values, warnings = read_arguments(route.arguments, given, tai=survey == "lsst")
        with archive.reading() as reader:
            question = Question(reader, survey, vocabulary, values, warnings)
            answer = route.answer(question)
        return response_of(answer, str(values.get("output-format") or "json"), question.warnings)

    for method in ("GET", "POST"):
        application.add_api_route(
            base + route.path,
            endpoint,
            methods=[method],
            summary=route.about,
            tags=[f"{survey} {base}"],
            operation_id=f"{method.lower()} {base}{route.path}",
            response_class=Response,
            openapi_extra=_documented(route, method),
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


def _documented(route: Route, method: str) -> dict[str, Any]:
    """Give what OpenAPI says of the arguments: parameters of a GET, properties of the body of a POST."""
    if method == "GET":
        return {
            "parameters": [
                {"name": a.name, "in": "query", "required": a.required, "description": a.about, "schema": a.schema()}
                | ({"example": a.example} if a.example not in (None, "") else {})
                for a in route.arguments
            ]
        }
    properties = {a.name: {**a.schema(), "description": a.about} for a in route.arguments}
    shape = {"type": "object", "properties": properties, "required": [a.name for a in route.arguments if a.required]}
    return {"requestBody": {"content": {"application/json": {"schema": shape}}}}
