"""Public distributions are fetched over the network as their declaration says, and are gone afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from file_server import FileServer, serving
from fink.catalogs import Catalogue, Download, Field
from fink.catalogs.fetching import addresses, fetched
from fink.errors import CatalogueError

NAME = Field("name", "Name", pa.string(), "", "meta.id", "Name of the star")
STARS = Catalogue((NAME,), radius=2.0, citation="https://example.org/stars", licence="free", name="stars")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    with serving(tmp_path / "served") as running:
        yield running


def test_an_address_stands_for_each_of_its_pieces() -> None:
    assert addresses(Download("https://x/{piece}.csv?key={KEY}", ".csv", ("n", "s"))) == [f"https://x/{p}.csv?key={{KEY}}" for p in "ns"]
    assert addresses(Download("https://x/all.csv", ".csv")) == ["https://x/all.csv"]


def test_files_are_fetched_piece_by_piece_and_gone_afterwards(server: FileServer, tmp_path: Path) -> None:
    pieces = {"n": b"Name\na\n" * 400_000, "s": b"Name\nb\n"}
    for name, data in pieces.items():
        (server.folder / f"{name}.csv").write_bytes(data)
    told: list[str] = []
    public = replace(STARS, download=Download(f"{server.address}/{{piece}}.csv", ".csv", tuple(pieces)))
    with fetched(public, tmp_path / "new" / "folder", told.append) as files:
        assert [Path(file).read_bytes() for file in files] == list(pieces.values())
        assert [Path(file).name for file in files] == ["stars-0.csv", "stars-1.csv"]
    assert told == [f"{server.address}/{name}.csv" for name in pieces]
    assert list((tmp_path / "new" / "folder").iterdir()) == []


def test_keys_come_from_the_environment(server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (server.folder / "stars.csv").write_text("Name\na\n")
    address = f"{server.address}/stars.csv?key={{BOT_KEY}}"
    public = replace(STARS, download=Download(address, ".csv", (), {"User-Agent": 'bot{"id":{BOT_ID}}'}, {"api_key": "{BOT_KEY}"}))
    told: list[str] = []
    monkeypatch.delenv("FINK_BOT_ID", raising=False)
    with pytest.raises(CatalogueError, match="FINK_BOT_ID"), fetched(public, tmp_path):
        pass
    assert server.asked == []
    monkeypatch.setenv("FINK_BOT_ID", "7")
    monkeypatch.setenv("FINK_BOT_KEY", "secret/1")
    with fetched(public, tmp_path, told.append):
        pass
    (asked,) = server.asked
    assert (asked.what, asked.agent, asked.form) == ("POST /stars.csv?key=secret/1", 'bot{"id":7}', b"api_key=secret%2F1")
    assert told == [address], "what is shown has no secret"


def test_of_a_hats_catalogue_nothing_is_fetched_yet(server: FileServer, tmp_path: Path) -> None:
    with fetched(replace(STARS, download=Download(f"{server.address}/hats", "")), tmp_path) as files:
        assert files == [f"{server.address}/hats"]
    assert server.asked == []


def test_what_cannot_be_fetched_is_said_and_nothing_is_left(server: FileServer, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    absent = replace(STARS, download=Download(f"{server.address}/no.csv", ".csv"))
    with pytest.raises(CatalogueError, match=r"no\.csv cannot be fetched: .*404"), fetched(absent, folder):
        pass
    with pytest.raises(CatalogueError, match="fink catalogs add stars FILE"), fetched(STARS, folder):
        pass
    assert list(folder.iterdir()) == []
