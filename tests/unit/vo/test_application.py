"""The protocols' addresses: arguments in any case, by GET and by form; errors in the protocol's own form; queries wait for their turn."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from astropy.io.votable import parse
from fastapi import FastAPI

from fink.archive.embedded import EmbeddedArchive
from fink.archive.rows import declared_columns
from fink.config import Settings, load_settings
from fink.services.live import LiveArchive
from fink.vo import application as vo


@contextmanager
def serving(folder: Path, settings: Settings) -> Iterator[httpx.Client]:
    """Answer for an archive on a free port, on a thread of this process."""
    live = LiveArchive(lambda: EmbeddedArchive.reader(folder))
    application = FastAPI()
    vo.mount(application, live, declared_columns(), settings)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        server = uvicorn.Server(uvicorn.Config(application, log_level="warning", lifespan="off", timeout_graceful_shutdown=3))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        with httpx.Client(base_url=f"http://127.0.0.1:{bound.getsockname()[1]}", timeout=60) as client:
            yield client
        server.should_exit = True
        thread.join()
    live.close()


@pytest.fixture(scope="module")
def client(served_archive: Path) -> Iterator[httpx.Client]:
    with serving(served_archive, load_settings()) as found:
        yield found


QUERY = "SELECT TOP 2 object_id, ra FROM ztf.objects ORDER BY object_id"


def test_arguments_by_get_and_by_form_in_any_case(client: httpx.Client) -> None:
    one = client.get("/tap/sync", params={"LANG": "ADQL", "QUERY": QUERY, "RESPONSEFORMAT": "csv"})
    other = client.post("/tap/sync", data={"lang": "ADQL", "Query": QUERY, "responseformat": "csv"})
    assert one.status_code == other.status_code == 200
    assert one.text == other.text
    assert one.text.splitlines()[0] == "object_id,ra"


@pytest.mark.parametrize(
    ("path", "arguments", "status", "told"),
    [
        ("/tap/sync", {"LANG": "ADQL", "QUERY": "SELECT x FROM ztf.alerts"}, 400, "no column x"),
        ("/tap/sync", {}, 400, "LANG"),
        ("/tap/tables/nothing", {}, 404, "no table nothing"),
        ("/datalink/ztf/object", {}, 400, "ID is missing"),
        ("/datalink/sdss/object", {"ID": "x"}, 404, "no survey sdss"),
        ("/datalink/ztf/lightcurve", {"ID": "nothing"}, 404, "no ztf object"),
        ("/datalink/ztf/lightcurve", {}, 400, "given once"),
    ],
)
def test_errors_are_votables(client: httpx.Client, path: str, arguments: dict[str, str], status: int, told: str) -> None:
    answer = client.get(path, params=arguments)
    assert answer.status_code == status
    info = parse(io.BytesIO(answer.content), verify="exception").resources[0].infos[0]
    assert (info.name, info.value) == ("QUERY_STATUS", "ERROR")
    assert told in info.content


def test_a_wrong_cone_search_is_answered_with_a_document(client: httpx.Client) -> None:
    for path, told in (("/scs/ztf?RA=1&DEC=2", "SR is missing"), ("/scs/sdss?RA=1&DEC=2&SR=1", "no survey")):
        answer = client.get(path)
        assert answer.status_code == 200
        info = parse(io.BytesIO(answer.content), verify="exception").resources[0].infos[0]
        assert info.name == "Error"
        assert told in info.value


def test_files_are_not_taken(client: httpx.Client) -> None:
    answer = client.post("/tap/sync", content=b"--x", headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 400
    assert "multipart" in answer.text
    large = client.post(
        "/tap/sync", content=b"a=" + b"x" * (vo.LARGEST_BODY + 1), headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert large.status_code == 400


def test_the_service_describes_itself(client: httpx.Client) -> None:
    for path in ("capabilities", "availability", "tables", "tables/ztf.alerts", "examples"):
        assert client.get(f"/tap/{path}").status_code == 200
    assert "<column" not in client.get("/tap/tables", params={"detail": "min"}).text


def test_no_more_queries_at_once_than_may_be(served_archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vo, "PATIENCE", 0.05)
    settings = Settings.model_validate({"vo": {"queries": 1, "seconds": 3}})
    heavy = "SELECT COUNT(*) FROM ztf.points AS a, ztf.points AS b, ztf.points AS c WHERE a.flux * b.flux < c.flux"
    statuses = []
    with serving(served_archive, settings) as client:

        def ask() -> None:
            # it may find the place taken by one of the quick ones
            while (status := client.get("/tap/sync", params={"LANG": "ADQL", "QUERY": heavy}).status_code) == 503:
                continue
            statuses.append(status)

        asked = threading.Thread(target=ask)
        asked.start()
        busy = None
        while asked.is_alive() and (busy is None or busy.status_code != 503):
            busy = client.get("/tap/sync", params={"LANG": "ADQL", "QUERY": QUERY})
        asked.join()
        assert busy is not None
        assert (busy.status_code, busy.headers.get("retry-after")) == (503, "5")
        assert client.get("/tap/sync", params={"LANG": "ADQL", "QUERY": QUERY}).status_code == 200
    assert statuses == [400]
