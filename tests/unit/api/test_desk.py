"""What is sent is kept while it is read and no longer, recognized by its bytes, and refused with a reason that names no folder."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Iterator
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from pydantic import ValidationError

from fink.api.desk import BASE, UPLOAD, AtDesk, Body, Desk, Received, add, desk, received, upload_named
from fink.config import ServeSettings, Settings
from fink.errors import ConditionError, NotFoundError, RequestError
from fink.services.uploads import ColumnNames, positions_of, read_table
from in_process import InProcess, answering

MOST = 1000
"""Bytes that may be sent to the application of these tests."""


class Wanted(Body):
    """A request of these tests."""

    radius: float
    name: str = "anything"


def where_kept(body: Received) -> dict[str, Any]:
    """Say where a body lies and what it holds."""
    return {"path": str(body), "hex": body.read_bytes().hex()}


def fails(body: Received) -> None:
    """Refuse a body, and say where it lies."""
    raise NotFoundError(f"{body} {body.exists()}")


def rows(body: Received, desk: AtDesk) -> dict[str, int]:
    """Count the rows of a table."""
    with upload_named(body, desk.settings) as path:
        return {"rows": read_table(path).num_rows}


def wanted(body: Wanted) -> dict[str, Any]:
    """Give back what was asked for."""
    return body.model_dump()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(archive=tmp_path / "archive", serve=ServeSettings(upload_megabytes=MOST / 1e6))


@pytest.fixture
def client(settings: Settings) -> Iterator[InProcess]:
    with answering(settings) as client:
        for endpoint in (where_kept, fails, rows, wanted):
            add(client.application, "POST", f"/{endpoint.__name__}", endpoint, "A probe", "probes")
        yield client


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    """Where a body is kept, without a name that says its form."""
    return tmp_path / "body"


async def in_pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    """Send a body that does not say how long it is."""
    for piece in pieces:
        yield piece


def test_the_desk_is_that_of_the_application_and_stays_as_it_is(client: InProcess, settings: Settings) -> None:
    found = desk(Request({"type": "http", "headers": [], "app": client.application}))
    assert isinstance(found, Desk)
    assert found is client.application.state.desk
    assert found.settings is settings
    assert {"ra", "dec", "mag"} <= set(found.vocabulary)
    assert found.jobs.folder.parent == settings.archive
    with pytest.raises(FrozenInstanceError):
        found.settings = Settings()


@pytest.mark.parametrize(
    ("given", "told"),
    [({"radius": 1, "nmae": "x"}, "nmae"), ({"radius": float("nan")}, "radius"), ({"radius": float("inf")}, "radius"), ({}, "radius")],
)
def test_a_body_may_not_say_what_is_not_known_or_no_number(client: InProcess, given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Wanted.model_validate(given)
    if given.get("radius", 1) == 1:
        answer = client.post(f"{BASE}/wanted", json=given)
        assert (answer.status_code, told in answer.json()["detail"]) == (400, True)
    assert client.post(f"{BASE}/wanted", json={"radius": 2}).json() == {"radius": 2.0, "name": "anything"}


@pytest.mark.parametrize("pieces", [(b"ra,dec\n1,2\n",), (b"\x00\xff", b"", b"\r\n" * 20), (b"x" * (MOST - 1), b"y")])
def test_what_is_sent_is_kept_whole_until_the_answer_is_given(client: InProcess, pieces: tuple[bytes, ...]) -> None:
    answer = client.post(f"{BASE}/where_kept", content=in_pieces(*pieces))
    assert answer.status_code == 200, answer.text
    kept = answer.json()
    assert bytes.fromhex(kept["hex"]) == b"".join(pieces)
    assert Path(kept["path"]).parent.name.startswith("fink-upload-")
    assert not Path(kept["path"]).parent.exists()


def test_what_is_sent_is_gone_also_where_the_answer_fails(client: InProcess) -> None:
    answer = client.post(f"{BASE}/fails", content=b"ra,dec\n")
    assert answer.status_code == 404
    path, was_there = answer.json()["detail"].split()
    assert was_there == "True"
    assert not Path(path).parent.exists()


@pytest.mark.parametrize(
    ("pieces", "told"),
    [
        ((), "the request has no body; send the file as the body"),
        ((b"", b""), "the request has no body"),
        ((b"x" * (MOST + 1),), "more than 1,000 bytes (serve.upload_megabytes)"),
        ((b"x" * MOST, b"y"), "more than 1,000 bytes (serve.upload_megabytes)"),
    ],
    ids=["nothing", "empty", "large", "large in pieces"],
)
def test_what_is_empty_or_too_large_is_refused(client: InProcess, pieces: tuple[bytes, ...], told: str) -> None:
    answer = client.post(f"{BASE}/where_kept", content=in_pieces(*pieces))
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert told in answer.json()["detail"]


async def _kept(application: FastAPI, messages: list[dict[str, Any]]) -> list[Path]:
    """Receive a body as the framework hands it over."""
    waiting = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(waiting)

    request = Request({"type": "http", "headers": [], "app": application}, receive)
    return [path async for path in received(request)]


def test_a_body_is_read_no_further_than_it_may_be_long(client: InProcess) -> None:
    piece = {"type": "http.request", "body": b"x" * 600, "more_body": True}
    # a third piece would end the iterator, which is an error of its own
    with pytest.raises(RequestError, match="send it in parts, or as Parquet"):
        asyncio.run(_kept(client.application, [piece, piece]))
    (path,) = asyncio.run(_kept(client.application, [piece, {**piece, "body": b"y", "more_body": False}]))
    assert not path.exists()


@pytest.mark.parametrize(
    ("data", "ending"),
    [
        (b"ra,dec\n1,2\n", ".csv"),
        (b"ra\tdec\n1\t2\n", ".tsv"),
        (b"PAR1....", ".parquet"),
        (b"SIMPLE  =                    T", ".fits"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><VOTABLE/>", ".vot"),
    ],
)
def test_a_table_is_recognized_by_its_first_bytes_packed_or_not(sent: Path, settings: Settings, data: bytes, ending: str) -> None:
    for written in (data, gzip.compress(data)):
        sent.write_bytes(written)
        with upload_named(sent, settings) as path:
            assert (path.suffix, path.read_bytes()) == (ending, data)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (gzip.compress(b"ra,dec\n1,2\n")[:-9], "the upload is not a whole gzip file"),
        (gzip.compress(b"x" * (5 * MOST + 1)), "the upload has more than 5,000 bytes when it is unpacked"),
    ],
    ids=["damaged", "large"],
)
def test_a_packed_file_that_is_damaged_or_too_large_is_refused(sent: Path, settings: Settings, data: bytes, told: str) -> None:
    sent.write_bytes(data)
    with pytest.raises(RequestError, match=told) as refused, upload_named(sent, settings):
        pytest.fail("it was named")
    assert str(sent.parent) not in str(refused.value)


def test_what_is_wrong_with_a_table_is_said_of_the_upload(sent: Path, settings: Settings) -> None:
    sent.write_bytes(b"ra,ra\n1,2\n")
    with pytest.raises(RequestError) as refused, upload_named(sent, settings) as path:
        read_table(path)
    assert str(refused.value) == "the upload has more than one column ra; give each a name of its own"
    assert isinstance(refused.value.__cause__, ConditionError)


def test_other_errors_stay_what_they_are(sent: Path, settings: Settings) -> None:
    sent.write_bytes(b"ra,dec\n1,2\n")
    with pytest.raises(NotFoundError, match="no such night"), upload_named(sent, settings):
        raise NotFoundError("no such night")


def test_over_http_a_table_is_read_and_what_is_none_refused(client: InProcess) -> None:
    table = b"ra,dec\n" + b"1,2\n" * 30
    assert (
        client.post(f"{BASE}/rows", content=table).json()
        == client.post(f"{BASE}/rows", content=gzip.compress(table)).json()
        == {"rows": 30}
    )
    answer = client.post(f"{BASE}/rows", content=b"PAR1 and nothing else")
    assert (answer.status_code, answer.json()["instance"]) == (400, f"{BASE}/rows")
    assert "the upload cannot be read" in answer.json()["detail"]
    assert "fink-upload" not in answer.json()["detail"]


def test_the_example_of_an_upload_is_one(sent: Path, settings: Settings) -> None:
    sent.write_text(UPLOAD["requestBody"]["content"]["text/csv"]["example"])
    with upload_named(sent, settings) as path:
        ra, dec = positions_of(read_table(path), ColumnNames())
    # the Andromeda and the Triangulum galaxy
    assert (ra.tolist(), dec.tolist()) == ([10.6847, 23.4621], [41.2687, 30.6599])


def test_a_route_is_named_by_its_method_and_path_and_answers_that_method_only() -> None:
    application = FastAPI()
    add(application, "PUT", "/probes/{name}", lambda name: {"name": name}, "Keep a probe", "probes", status_code=201, openapi_extra=UPLOAD)
    described = application.openapi()["paths"]["/api/v1/probes/{name}"]
    assert list(described) == ["put"]
    route = described["put"]
    assert (route["operationId"], route["summary"], route["tags"]) == ("put /api/v1/probes/{name}", "Keep a probe", ["probes"])
    assert route["requestBody"]["required"] is True
    assert set(route["requestBody"]["content"]) == {"text/csv", "application/octet-stream"}
    client = InProcess(application)
    answer = client.ask("PUT", "/api/v1/probes/m31")
    assert (answer.status_code, answer.json()) == (201, {"name": "m31"})
    assert [client.ask(method, "/api/v1/probes/m31").status_code for method in ("GET", "POST", "DELETE")] == [405] * 3
