"""Schemas of packets that carry none: found in folders, field tables and at a registry, once for each number."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fink.codecs.containers import confluent_id
from fink.codecs.schemas import parse_schema
from fink.codecs.writers import SchemaStore, inlined, wire_prefix
from fink.errors import RegistryError, SchemaError
from schema_registry import Registry, serving
from shared_data import shared_data

SCHEMA = b'{"type":"record","name":"alert","namespace":"lsst.v12_3","fields":[{"name":"diaSourceId","type":"long"}]}'


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serving(Registry({1203: SCHEMA.decode()})) as answering:
        yield answering


@pytest.fixture
def broken_registry() -> Iterator[Registry]:
    with serving(Registry({}, broken=True)) as answering:
        yield answering


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


def test_registry_that_was_silent_is_asked_again(broken_registry: Registry) -> None:
    store = SchemaStore(registry=broken_registry.url)
    with pytest.raises(RegistryError):
        store.find(1203)
    broken_registry.broken, broken_registry.schemas = False, {1203: SCHEMA.decode()}
    assert store.find(1203) == SCHEMA


def test_registry_that_does_not_answer_properly_is_an_error(broken_registry: Registry) -> None:
    with pytest.raises(SchemaError, match=r"schema 5: no answer from http://.*check surveys\.registry"):
        SchemaStore(registry=broken_registry.url).find(5)
    with pytest.raises(SchemaError, match=r"schema 5: no answer from http://127\.0\.0\.1:9"):
        SchemaStore(registry="http://127.0.0.1:9").find(5)


def test_registry_that_asks_who_one_is_gets_user_and_password(registry: Registry) -> None:
    registry.login = "me:secret: text"
    assert SchemaStore(registry=registry.url, login=("me", "secret: text")).find(1203) == SCHEMA
    for login in (None, ("me", "wrong")):
        with pytest.raises(RegistryError, match=r"refuses this user \(401.*REGISTRY_PASSWORD"):
            SchemaStore(registry=registry.url, login=login).find(1203)


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
