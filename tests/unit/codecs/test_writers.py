"""Schemas of packets that carry none: found in folders, field tables and at a registry, once for each number."""

from __future__ import annotations

import json
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fink.codecs.containers import confluent_id
from fink.codecs.schemas import parse_schema
from fink.codecs.writers import SchemaStore, inlined, wire_prefix
from fink.errors import SchemaError
from shared_data import shared_data

SCHEMA = b'{"type":"record","name":"alert","namespace":"lsst.v12_3","fields":[{"name":"diaSourceId","type":"long"}]}'


class Registry(ThreadingHTTPServer):
    """A schema registry with the routes that clients read."""

    def __init__(self, schemas: dict[int, str], broken: bool = False) -> None:
        self.asked: list[str] = []
        self.schemas = schemas
        self.broken = broken
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        number = self.path.rpartition("/")[2]
        known = self.path.startswith("/schemas/ids/") and int(number) in self.server.schemas
        answer: dict[str, Any] = {"error_code": 40403, "message": f"Schema {number} not found"}
        if known:
            answer = {"schema": self.server.schemas[int(number)]}
        body = b"<html>" if self.server.broken else json.dumps(answer).encode()
        self.send_response(200 if known or self.server.broken else 404)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


def serve(registry: Registry) -> Iterator[Registry]:
    thread = threading.Thread(target=registry.serve_forever, daemon=True)
    thread.start()
    yield registry
    registry.shutdown()
    registry.server_close()
    thread.join()


@pytest.fixture
def registry() -> Iterator[Registry]:
    yield from serve(Registry({1203: SCHEMA.decode()}))


@pytest.fixture
def broken_registry() -> Iterator[Registry]:
    yield from serve(Registry({}, broken=True))


def test_wire_format_says_the_number() -> None:
    assert wire_prefix(900) == b"\x00\x00\x00\x03\x84"
    assert confluent_id(wire_prefix(900) + b"body") == 900


def test_registry_is_asked_once_and_kept_on_disk(registry: Registry, tmp_path: Path) -> None:
    store = SchemaStore(registry=registry.url, cache=tmp_path)
    assert store.find(1203) == SCHEMA
    assert store.find(1203) == SCHEMA
    assert registry.asked == ["/schemas/ids/1203"]
    again = SchemaStore(registry="http://127.0.0.1:9", cache=tmp_path)
    assert again.find(1203) == SCHEMA


def test_number_that_nobody_knows_is_refused_with_the_remedy(registry: Registry) -> None:
    store = SchemaStore(registry=registry.url)
    for _ in range(3):
        with pytest.raises(SchemaError, match=r"number 77: .*does not know it; put 77\.avsc .*surveys\.schemas"):
            store.find(77)
    assert registry.asked == ["/schemas/ids/77"]
    with pytest.raises(SchemaError, match="no schema registry is set"):
        SchemaStore().find(77)


def test_registry_that_does_not_answer_properly_is_an_error(broken_registry: Registry) -> None:
    with pytest.raises(SchemaError, match=r"schema 5: no answer from http://.*check surveys\.registry"):
        SchemaStore(registry=broken_registry.url).find(5)
    with pytest.raises(SchemaError, match=r"schema 5: no answer from http://127\.0\.0\.1:9"):
        SchemaStore(registry="http://127.0.0.1:9").find(5)


def test_folder_comes_before_tables_and_tables_before_the_registry(registry: Registry, tmp_path: Path) -> None:
    table = SCHEMA.replace(b"v12_3", b"table")
    store = SchemaStore(tables=lambda number: table if number == 1203 else None, registry=registry.url)
    assert store.find(1203) == table
    assert registry.asked == []
    (tmp_path / "schema_1203.avsc").write_bytes(SCHEMA.replace(b"v12_3", b"folder"))
    store = SchemaStore(tables=lambda _: table, folder=tmp_path, registry=registry.url)
    assert b"folder" in store.find(1203)
    assert store.find(1204) == table


def test_tables_may_refuse_a_number() -> None:
    def refuse(number: int) -> bytes | None:
        raise SchemaError(f"schema {number} is too old")

    store = SchemaStore(tables=refuse)
    for _ in range(2):
        with pytest.raises(SchemaError, match="601 is too old"):
            store.find(601)


def test_file_that_is_no_schema_is_refused(tmp_path: Path) -> None:
    (tmp_path / "12.avsc").write_text("{")
    with pytest.raises(SchemaError, match=r"12\.avsc is not JSON"):
        SchemaStore(folder=tmp_path).find(12)


def test_survey_layout_with_split_types(tmp_path: Path) -> None:
    with tarfile.open(shared_data("rubin", "lsst_alert_packet_schemas_v3-v11_with_fakeAlerts.tar.xz")) as archive:
        archive.extractall(tmp_path, filter="data")
    root = next(tmp_path.rglob("lsst.v11_1.alert.avsc"))
    store = SchemaStore(folder=root.parents[2])
    schema = parse_schema(store.find(1101))
    assert schema.fullname == "lsst.v11_1.alert"
    assert "lsst.v11_1.diaForcedSource" in schema.types
    assert store.find(1101) == inlined(root)
    with pytest.raises(SchemaError, match="number 1102"):
        store.find(1102)
    flat = SchemaStore(folder=root.parent)
    assert flat.find(1101) == inlined(root)
