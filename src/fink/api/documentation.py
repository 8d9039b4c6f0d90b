"""The interface's description of itself (OpenAPI): with examples that the archive at hand can answer, scopes, and the shape of errors."""

from __future__ import annotations

import base64
import gzip
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from fink.api.access import SECURITY
from fink.api.routes import Route, public_word
from fink.archive.embedded import EmbeddedArchive

_PROBLEM = {
    "type": "object",
    "description": "What went wrong (RFC 9457)",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "The thing, its value, and what is allowed"},
        "instance": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail", "instance"],
}
_WRONG = {
    "400": "The question is asked wrongly",
    "404": "There is no such thing",
    "409": "It is refused as things stand",
    "500": "The archive cannot answer",
    "503": "Too many questions at once; ask again after Retry-After",
}
_OF_SCOPES = {"401": "A token is needed, or is not valid", "403": "The token does not allow it"}
_OF_COSTLY = {"429": "More than may be taken; ask again after Retry-After"}


def examples(archive: EmbeddedArchive, survey: str) -> dict[str, Any]:
    """Give values of arguments that this archive can answer: an object, an alert, a solar-system object, a place, a sky map."""
    found: dict[str, Any] = {"bayestar": _sky_map()}
    for name in archive.object_names("", survey, 1):
        alert = archive.object_alerts(name, survey).slice(0, 1).to_pylist()[0]
        found |= {public_word(survey, "object_id"): name, public_word(survey, "alert_id"): alert["alert_id"]}
        found |= {"ra": alert["ra"], "dec": alert["dec"]}
    for name in archive.designations("", 50):
        if survey in archive.solar_system(name)["survey"].to_pylist():
            return found | {"n_or_d": name}
    return found


def _sky_map() -> str:
    """Give a small sky map, as likely here as there, as base64."""
    from astropy.io import fits

    table = fits.BinTableHDU.from_columns([fits.Column("PROB", "D", array=np.full(12, 1 / 12))])
    table.header.update({"NSIDE": 1, "ORDERING": "NESTED"})
    sink = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(sink)
    return base64.b64encode(gzip.compress(sink.getvalue(), mtime=0)).decode()


def documented(route: Route, method: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """Give what OpenAPI says of a route's arguments: parameters of a GET, properties of the body of a POST.

    Parameters
    ----------
    known
        Values of arguments that the archive can answer.
    """
    shown = {a.name: known.get(a.name, a.example) for a in route.arguments}
    shown = {name: value for name, value in shown.items() if value not in (None, "")}
    if method == "GET":
        parameters = [
            {"name": a.name, "in": "query", "required": a.required, "description": a.about, "schema": a.schema()}
            | ({"example": shown[a.name]} if a.name in shown else {})
            for a in route.arguments
        ]
        return {"parameters": parameters}
    properties = {a.name: {**a.schema(), "description": a.about} for a in route.arguments}
    shape = {"type": "object", "properties": properties, "required": [a.name for a in route.arguments if a.required]}
    return {"requestBody": {"content": {"application/json": {"schema": shape, "example": shown}}}}


def described(application: FastAPI, known: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Write the description of an application.

    Parameters
    ----------
    known
        For each survey values of arguments that its archive can answer.
    """
    about = application.description
    document = get_openapi(title=application.title, version=application.version, description=about, routes=application.routes)
    components = document.setdefault("components", {})
    components["securitySchemes"] = SECURITY
    components.setdefault("schemas", {})["Problem"] = _PROBLEM
    for route in application.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            for method in route.methods or ():
                operation = document["paths"][route.path_format][method.lower()]
                of_route, survey = getattr(route.endpoint, "answers", (None, ""))
                if of_route is not None:
                    operation |= documented(of_route, method, known[survey])
                _complete(operation, route)
                _with_examples(operation, components["schemas"])
    _with_links(document["paths"])
    _without_their_errors(components["schemas"])
    return document


def _complete(operation: dict[str, Any], route: APIRoute) -> None:
    """Add to an operation what it may refuse, and what token it needs."""
    scopes, costly = _needed(route.dependant)
    told = dict(_WRONG)
    if scopes:
        told |= _OF_SCOPES
        operation["security"] = [{"token": []}] if scopes - {"read"} else [{"token": []}, {}]
        operation["description"] = " ".join([operation.get("description", ""), *_words(scopes - {"read"})]).strip()
    if costly:
        told |= _OF_COSTLY
    responses = operation["responses"]
    responses.pop("422", None)
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    operation["responses"] = responses | {status: {"description": about, "content": content} for status, about in told.items()}


def _words(scopes: set[str]) -> list[str]:
    return [f"Needs a token with the scope {scope}." for scope in sorted(scopes)]


def _needed(dependant: Dependant) -> tuple[set[str], bool]:
    """Find the scopes that a route's dependencies ask for."""
    calls = [each.call for each in dependant.dependencies]
    scopes = {str(getattr(call, "scope", "")) for call in calls} - {""}
    return scopes, any(getattr(call, "costly", False) for call in calls)


def _with_examples(operation: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    """Give each parameter, and the body, an example where their declarations have some."""
    for parameter in operation.get("parameters", []):
        shown = parameter["schema"].get("examples")
        if shown and "example" not in parameter:
            parameter["example"] = shown[0]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    of = schemas.get(body.get("schema", {}).get("$ref", "").rpartition("/")[2], {})
    if of and "example" not in body:
        body["example"] = {name: each["examples"][0] for name, each in of["properties"].items() if "examples" in each}


def _with_links(paths: Mapping[str, Any]) -> None:
    """Say of what is made under which names it is found later."""
    for path, methods in paths.items():
        for status, response in methods.get("post", {}).get("responses", {}).items():
            later = [each for below, known in paths.items() if below.startswith(path + "/{name}") for each in known.values()]
            if status in ("201", "202") and later:
                names = {"name": "$response.body#/name"}
                response["links"] = {each["summary"]: {"operationId": each["operationId"], "parameters": names} for each in later}


def _without_their_errors(schemas: dict[str, Any]) -> None:
    """Leave out the shape of errors that FastAPI would have by itself."""
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
