"""Notes are read by everybody, and written with a token."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fink.archive.embedded import EmbeddedArchive
from fink.archive.state import State
from fink.config import Settings
from fink.services.access import Access
from in_process import InProcess, answering


@pytest.fixture
def folder(served_archive: Path, tmp_path: Path) -> Path:
    shutil.copytree(served_archive, tmp_path / "archive", ignore=shutil.ignore_patterns("readers"))
    return tmp_path / "archive"


@pytest.fixture
def client(folder: Path) -> Iterator[InProcess]:
    with answering(Settings(archive=folder)) as client:
        yield client


def test_a_note_is_written_with_a_token_and_read_without(client: InProcess, folder: Path) -> None:
    with EmbeddedArchive.reader(folder) as archive:
        name = archive.object_names("ZTF", "ztf", 1)[0]
    settings = Settings(archive=folder)
    text = Access(State(folder), settings.serve).create("ana", ["write"])[1]
    note = {"objectId": name, "internal_name": "my star", "username": "Ana", "comments": "blue"}
    assert client.post("/ztf/api/v1/metadata", json=note).status_code == 401
    headers = {"Authorization": f"Bearer {text}"}
    answer = client.post("/ztf/api/v1/metadata", json=note, headers=headers)
    assert answer.status_code == 200, answer.text
    for asked in ({"objectId": name}, {"internal_name": "my star"}, {"internal_name_encoded": "mystar"}, {"objectId": "all"}):
        (row,) = client.rows("/ztf/api/v1/metadata", **asked)
        assert (row["key:key"], row["d:internal_name"], row["d:username"], row["d:comments"]) == (name, "my star", "Ana", "blue")
    missing = client.post("/ztf/api/v1/metadata", json={"objectId": name}, headers=headers)
    assert (missing.status_code, "internal_name, username" in missing.text) == (400, True)
    nobody = client.post("/ztf/api/v1/metadata", json={**note, "objectId": "ZTF99nosuch"}, headers=headers)
    assert nobody.status_code == 404
    assert client.get("/ztf/api/v1/metadata", {"username": "Ana"}).status_code == 400
