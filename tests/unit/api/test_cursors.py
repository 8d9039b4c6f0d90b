"""Pages together are the list, also while the stream writes; a cursor serves its own question only."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fink.archive.embedded import EmbeddedArchive
from fink.cli.application import run
from fink.config import Settings
from fink.simulator.replay import write_night
from fink.simulator.survey import simulate_nights
from in_process import InProcess, answering

NIGHTS = simulate_nights("ztf", 3, 40, 5)


def _archive(night: int, folder: Path) -> None:
    write_night(NIGHTS[night], folder / "packets" / str(night))
    arguments = ["run", str(folder / "packets"), "--workers", "0", "--archive", str(folder / "archive"), "--format", "json"]
    assert run(arguments) == 0


@pytest.fixture(scope="module")
def two_nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    for night in (0, 1):
        _archive(night, folder)
    return folder


@pytest.fixture
def folder(two_nights: Path, tmp_path: Path) -> Path:
    shutil.copytree(two_nights, tmp_path / "copy", ignore=shutil.ignore_patterns("readers"))
    return tmp_path / "copy"


@pytest.fixture
def client(folder: Path) -> Iterator[InProcess]:
    with answering(Settings(archive=folder / "archive")) as client:
        yield client


def pages(client: InProcess, path: str, between: Any = lambda: None, **arguments: Any) -> list[list[dict[str, Any]]]:
    """Ask for page after page."""
    found, cursor = [], ""
    while True:
        answer = client.get(f"/ztf/api/v1{path}", params={**arguments, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        found.append(answer.json())
        cursor = answer.headers.get("X-Fink-Cursor", "")
        if not cursor:
            return found
        between()
        between = lambda: None  # noqa: E731


def _place(folder: Path) -> dict[str, Any]:
    with EmbeddedArchive.reader(folder / "archive") as archive:
        row = archive.sql("SELECT ra, dec FROM alerts ORDER BY alert_id LIMIT 1").to_pylist()[0]
    return {"ra": row["ra"], "dec": row["dec"], "radius": 18000}


@pytest.mark.parametrize("path", ["/tags", "/alerts", "/conesearch", "/objects", "/latests"])
def test_pages_together_are_the_list_also_while_the_stream_writes(client: InProcess, folder: Path, path: str) -> None:
    asked: dict[str, Any] = {
        "/tags": {"tag": "remove_unlikely_transients"},
        "/latests": {"class": "remove_unlikely_transients"},
        "/alerts": {"where": "mag > 0"},
        "/conesearch": _place(folder),
        "/objects": {"objectId": "ZTF"},
    }[path] | {"columns": "i:candid"}
    whole = pages(client, path, **asked, n=1000)
    assert len(whole) == 1
    n = max(1, len(whole[0]) // 4)
    few = pages(client, path, lambda: _archive(2, folder), **asked, n=n)
    assert len(few) > 2
    assert all(len(page) == n for page in few[:-1])
    assert [row["i:candid"] for page in few for row in page] == [row["i:candid"] for row in whole[0]]


def test_a_cursor_serves_its_own_question_only(client: InProcess) -> None:
    asked = {"where": "mag > 0", "n": 3}
    cursor = client.get("/ztf/api/v1/alerts", params=asked).headers["X-Fink-Cursor"]
    assert client.get("/ztf/api/v1/alerts", params={**asked, "n": 5, "cursor": cursor}).status_code == 200
    for wrong in ({**asked, "where": "mag > 1", "cursor": cursor}, {**asked, "cursor": "nonsense"}, {**asked, "cursor": cursor[:-3]}):
        answer = client.get("/ztf/api/v1/alerts", params=wrong)
        assert answer.status_code == 400, answer.text
        assert "cursor" in answer.json()["detail"]


@pytest.mark.parametrize("output", ["json", "csv", "votable", "parquet"])
def test_long_answers_are_those_at_once(client: InProcess, output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"where": "mag > 0", "n": 1000, "columns": "i:candid,i:magpsf,d:finkclass,v:lastdate", "output-format": output}
    at_once = client.get("/ztf/api/v1/alerts", params=asked)
    monkeypatch.setattr("fink.api.routes.rows_at_once", lambda columns: 7)
    monkeypatch.setattr("fink.api.routes.CELLS_READ", 1)
    in_parts = client.get("/ztf/api/v1/alerts", params=asked)
    assert "content-length" in at_once.headers
    assert "content-length" not in in_parts.headers
    if output in ("json", "csv"):
        assert in_parts.content == at_once.content
    else:
        assert len(in_parts.content) > 1000
