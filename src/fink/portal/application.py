"""The pages on the web application: answered, shown, remembered until the next commit, and sent with what keeps a browser safe."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from json import JSONDecodeError
from threading import Lock
from typing import Any

import orjson
from fastapi import FastAPI, Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import RedirectResponse, Response

from fink import surveys
from fink.api.access import needs
from fink.api.answers import problem
from fink.api.arguments import read_arguments
from fink.columns import Column
from fink.config import Settings
from fink.errors import FinkError, NotFoundError, RequestError, did_you_mean
from fink.portal import filters, objects, schema, search, statistics, status, substreams
from fink.portal.assets import Assets
from fink.portal.pages import Moved, Page, Visit
from fink.services.live import LiveArchive

PAGES: tuple[Page, ...] = (
    *search.PAGES,
    *objects.PAGES,
    *substreams.PAGES,
    *filters.PAGES,
    *statistics.PAGES,
    *schema.PAGES,
    *status.PAGES,
    *search.NAMES,
)
"""Every page; where the paths of two fit an address, the first one answers."""
DRAWINGS: Mapping[str, Callable[..., Any]] = {
    **search.DRAWINGS,
    **objects.DRAWINGS,
    **substreams.DRAWINGS,
    **filters.DRAWINGS,
    **statistics.DRAWINGS,
    **status.DRAWINGS,
}
"""What templates draw or write values with, by name."""

_SPEND = needs("read", costly=True)
"""Counts a costly visit as the interface for programs counts the same question."""

REMEMBERED = 200
"""Answers that are kept until the next commit."""

_POLICY = {
    "default-src": "'self'",
    "img-src": "'self' data: blob:",
    # charts set sizes and colours on their own elements
    "style-src": "'self' 'unsafe-inline'",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "strict-origin-when-cross-origin"}


@dataclass(frozen=True)
class Shown:
    """An answer as it is sent, before compression."""

    body: bytes
    media_type: str
    tag: str


class Portal:
    """The pages of one archive.

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
        self._archive, self._vocabulary, self._settings = archive, vocabulary, settings
        self.assets = Assets()
        self._templates = self._environment()
        self._kept: OrderedDict[tuple[str, bool], tuple[int, Shown]] = OrderedDict()
        self._lock = Lock()

    def _environment(self) -> Environment:
        found = Environment(
            loader=PackageLoader("fink.portal"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        found.filters.update(DRAWINGS)
        navigation = sorted((page for page in PAGES if page.place), key=lambda page: page.place)
        found.globals.update(static=self.assets.address, navigation=navigation, version=version("fink"))
        return found

    def answer(self, page: Page, request: Request, body: Mapping[str, Any]) -> Response:
        """Answer a visit with the page, or with its twin in JSON; an error is a page, or a problem document, too."""
        as_json = not page.template or wants_json(request)
        try:
            found = self._found(page, request, body, as_json)
        except FinkError as error:
            return self.refusal(error, request, as_json)
        if isinstance(found, Moved):
            # who asked for the twin is led to the twin
            twin = f"{'&' if '?' in found.to else '?'}format=json" if request.query_params.get("format") == "json" else ""
            return RedirectResponse(found.to + twin, 302, {"Cache-Control": "no-cache"})
        headers = {**_headers(page.outside), "ETag": found.tag, "Cache-Control": "no-cache", "Vary": "Accept"}
        if found.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(found.body, media_type=found.media_type, headers=headers)

    def refusal(self, error: FinkError, request: Request, as_json: bool) -> Response:
        """Say what went wrong."""
        said = problem(error, request.url.path)
        if not as_json:
            context = {"error": orjson.loads(bytes(said.body)), "page": None}
            said = Response(self._templates.get_template("error.html").render(context), said.status_code, media_type="text/html")
        said.headers.update({**_headers({}), "Cache-Control": "no-store"})
        return said

    def _found(self, page: Page, request: Request, body: Mapping[str, Any], as_json: bool) -> Shown | Moved:
        key = (str(request.url), as_json)
        with self._archive.reading() as reader:
            commit = reader.last_commit()
            kept = self._remembered(key, commit) if page.lasting and page.method == "GET" else None
            if kept is not None:
                return kept
            given = {**body, **request.query_params}
            values, _ = read_arguments(page.arguments, given)
            if page.costly_with and values[page.costly_with]:
                _SPEND(request)
            path = {name: str(value) for name, value in request.path_params.items()}
            _check_survey(path)
            base = str(request.base_url).rstrip("/")
            visit = Visit(reader, self._archive, self._vocabulary, self._settings, path, values, dict(request.query_params), base)
            answer = page.answer(visit)
        if isinstance(answer, Moved):
            return answer
        shown = self._shown(page, answer, as_json)
        if page.lasting and page.method == "GET" and not answer.get("unfinished"):
            self._remember(key, commit, shown)
        return shown

    def _shown(self, page: Page, answer: Mapping[str, Any], as_json: bool) -> Shown:
        if as_json:
            body, media_type = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS), "application/json"
        else:
            text = self._templates.get_template(page.template).render({**answer, "page": page})
            body, media_type = text.encode(), "text/html"
        return Shown(body, media_type, f'W/"{hashlib.sha256(body).hexdigest()[:20]}"')

    def _remembered(self, key: tuple[str, bool], commit: int) -> Shown | None:
        with self._lock:
            at, shown = self._kept.get(key, (-1, None))
            return shown if at == commit else None

    def _remember(self, key: tuple[str, bool], commit: int, shown: Shown) -> None:
        with self._lock:
            self._kept[key] = (commit, shown)
            self._kept.move_to_end(key)
            while len(self._kept) > REMEMBERED:
                self._kept.popitem(last=False)


def mount(application: FastAPI, archive: LiveArchive, vocabulary: Mapping[str, Column], settings: Settings) -> None:
    """Add the portal to the web application; it comes last, since its paths take what no other takes.

    Parameters
    ----------
    archive
        Lends readers.
    vocabulary
        Every column that there is, by name.
    settings
        All settings of the server.
    """
    portal = Portal(archive, vocabulary, settings)

    def missing(request: Request, error: Exception) -> Response:
        known = [page.path for page in PAGES]
        said = NotFoundError(f"there is no page {request.url.path}{did_you_mean(request.url.path, known)}; the search is at /")
        return portal.refusal(said, request, wants_json(request) or "/api/" in request.url.path)

    def asset(request: Request, release: str, name: str) -> Response:
        try:
            return portal.assets.answer(request, release, name)
        except NotFoundError as error:
            return portal.refusal(error, request, True)

    application.add_api_route("/static/{release}/{name:path}", asset, methods=["GET"], include_in_schema=False)
    for page in PAGES:
        _mount(application, portal, page)
    application.add_exception_handler(404, missing)


def _mount(application: FastAPI, portal: Portal, page: Page) -> None:
    async def body_of(request: Request) -> dict[str, Any]:
        if request.method != "POST":
            return {}
        try:
            sent = await request.json() if await request.body() else {}
        except (JSONDecodeError, UnicodeDecodeError) as error:
            raise RequestError(f"the body is not JSON: {error}") from error
        if not isinstance(sent, dict):
            raise RequestError("the body is not a JSON object; send the values by name")
        return sent

    # a plain function: it runs on a thread of its own, so that one slow page does not hold up the others
    def endpoint(request: Request, body: dict[str, Any]) -> Response:
        return portal.answer(page, request, body)

    async def asked(request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        return await run_in_threadpool(endpoint, request, await body_of(request))

    application.add_route(page.path, asked, methods=[page.method], include_in_schema=False)


def wants_json(request: Request) -> bool:
    """Say whether the asker is a program that reads JSON, and not a person."""
    asked = request.query_params.get("format")
    accepts = request.headers.get("accept", "")
    return asked == "json" or (asked is None and "application/json" in accepts and "text/html" not in accepts)


def _check_survey(path: Mapping[str, str]) -> None:
    known = surveys.registry()
    if "survey" in path and path["survey"] not in known:
        raise NotFoundError(f"there is no survey {path['survey']}{did_you_mean(path['survey'], known)}; there are {', '.join(known)}")


def _headers(outside: Mapping[str, str]) -> dict[str, str]:
    usual = {name: _POLICY.get(name, _POLICY["default-src"]) for name in outside}
    policy = {**_POLICY, **{name: more if usual[name] == "'none'" else f"{usual[name]} {more}" for name, more in outside.items()}}
    return {**_HEADERS, "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items())}
