"""The interface's description: every example in it is asked of a server, in its order, and answered."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from unit.api.desks import Open, opened

_UNDER_WAY = ("/jobs", "/transfers")


@pytest.fixture(scope="module")
def server(served_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """A server whose archive is its own."""
    folder = tmp_path_factory.mktemp("documentation")
    quotas = {"serve__costly_per_minute": "10000", "serve__anonymous_costly_per_minute": "10000"}
    with opened(served_archive, folder, **quotas) as running:
        yield running


@pytest.fixture(scope="module")
def document(server: Open) -> dict[str, Any]:
    """The description."""
    found: dict[str, Any] = server.client.get("/api/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Give path, method and what is said of each operation, in their order, those last that end something."""
    found = [(path, method, each) for path, methods in document["paths"].items() for method, each in methods.items()]
    return sorted(found, key=lambda one: one[1] == "delete")


def test_every_example_is_answered(server: Open, document: dict[str, Any]) -> None:
    headers = server.token("ana", "admin")
    names: dict[str, str] = {}
    wrong: list[str] = []
    for path, method, operation in operations(document):
        if path.endswith("/live"):
            continue
        given = [parameter for parameter in operation.get("parameters", []) if "example" in parameter]
        url = re.sub(r"/api/v1/(\w+)/\{name\}", lambda found: f"/api/v1/{found[1]}/{names[found[1]]}", path)
        query = {parameter["name"]: parameter["example"] for parameter in given if parameter["in"] == "query"}
        missing = [
            p["name"] for p in operation.get("parameters", []) if p.get("required") and p["in"] == "query" and p["name"] not in query
        ]
        assert not missing, f"{method} {path} has no example of {missing}"
        if url.endswith("/result"):
            server.ended(url.split("/")[3], url.split("/")[4], headers)
        media, body = _body(operation)
        sent = {**headers, **({"Content-Type": media} if media else {})}
        answer = server.client.request(method.upper(), url, params=query, content=body, headers=sent)
        if not (answer.status_code < 300 and str(answer.status_code) in operation["responses"]):
            wrong.append(f"{method} {url} {query} {body!r}: {answer.status_code} {answer.text[:300]}")
        if answer.status_code in (201, 202):
            names[path.rpartition("/")[2]] = answer.json()["name"]
    assert wrong == []


def _body(operation: dict[str, Any]) -> tuple[str, bytes | None]:
    """Give the type and bytes of the first body that there is an example of."""
    content = operation.get("requestBody", {}).get("content", {})
    for media, declared in content.items():
        if "example" in declared:
            example = declared["example"]
            return media, example.encode() if isinstance(example, str) else json.dumps(example).encode()
    assert not operation.get("requestBody", {}).get("required"), operation["operationId"]
    return "", None


def test_it_says_what_a_token_is_needed_for_and_how_errors_look(document: dict[str, Any]) -> None:
    create = document["paths"]["/api/v1/filters"]["post"]
    assert create["security"] == [{"token": []}]
    assert "scope write" in create["description"]
    assert {"400", "401", "403", "409", "429"} <= set(create["responses"])
    assert document["paths"]["/api/v1/filters"]["get"]["security"] == [{"token": []}, {}]
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for path, method, operation in operations(document):
        assert "422" not in operation["responses"], (path, method)
        assert "application/problem+json" in operation["responses"]["400"]["content"], (path, method)


def test_no_two_operations_have_one_name(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))


def test_every_route_that_needs_a_token_is_on_its_page(document: dict[str, Any]) -> None:
    path = Path(__file__).resolve().parents[3] / "docs" / "generate.py"
    spec = importlib.util.spec_from_file_location("generate", path)
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    page = generate.orders_list()
    for path_, method, operation in operations(document):
        if "security" in operation:
            assert f"`{method.upper()} {path_}`" in page
    assert "| write |" in page
    assert "| order |" in page
