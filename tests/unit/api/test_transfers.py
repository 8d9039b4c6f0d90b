"""Transfers are estimated, ordered, followed, fetched as Parquet or read from Kafka, and cancelled."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from fink.archive.embedded import EmbeddedArchive
from kafka_fixture import Kafka
from unit.api.desks import BASE, Open, opened


@pytest.fixture(scope="module")
def server(served_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """A server whose archive is its own."""
    with opened(served_archive, tmp_path_factory.mktemp("transfers"), serve__anonymous_costly_per_minute="10000") as running:
        yield running


def known(server: Open, sql: str) -> list[dict[str, Any]]:
    """Ask the archive itself."""
    with EmbeddedArchive.reader(server.folder) as archive:
        found: list[dict[str, Any]] = archive.sql(sql).to_pylist()
        return found


def fetched(server: Open, body: dict[str, Any], headers: dict[str, str]) -> tuple[dict[str, Any], Any]:
    """Order a transfer, wait for it, and fetch it."""
    ordered = server.client.post(f"{BASE}/transfers", json=body, headers=headers)
    assert ordered.status_code == 202, ordered.text
    transfer = server.ended("transfers", ordered.json()["name"], headers)
    assert transfer["state"] == "done", transfer
    answer = server.client.get(f"{BASE}/transfers/{transfer['name']}/result", headers=headers)
    assert answer.status_code == 200
    return transfer, pq.read_table(io.BytesIO(answer.content))


def test_a_transfer_brings_what_was_estimated(server: Open) -> None:
    body = {"survey": "ztf", "where": "mag < 20.5", "columns": ["i:magpsf", "d:is_transient"]}
    rows = known(server, "SELECT alert_id, mag FROM alerts WHERE survey = 'ztf' AND mag < 20.5 ORDER BY night, mjd, alert_id")
    estimate = server.client.post(f"{BASE}/transfers/estimate", json=body).json()
    assert (estimate["alerts"], estimate["exact"]) == (len(rows), True)
    assert 0 < estimate["parquet_bytes"] < estimate["packet_bytes"]
    transfer, table = fetched(server, body, server.token())
    assert (transfer["rows"], transfer["total"]) == (len(rows), len(rows))
    assert table["i:candid"].to_pylist() == [row["alert_id"] for row in rows]
    assert table["i:magpsf"].to_pylist() == pytest.approx([row["mag"] for row in rows])
    assert {"i:objectId", "i:jd", "d:is_transient"} <= set(table.column_names)
    assert table.schema.field("i:magpsf").metadata[b"unit"] == b"mag"


def test_every_way_to_begin_a_selection_brings_its_alerts(server: Open) -> None:
    headers = server.token("ways")
    name = known(server, "SELECT object_id, ra, dec FROM alerts WHERE survey = 'lsst' AND object_id IS NOT NULL LIMIT 1")[0]
    of_object = known(server, f"SELECT alert_id FROM alerts WHERE object_id = '{name['object_id']}'")
    for body in ({"objects": [name["object_id"]]}, {"positions": [[name["ra"], name["dec"]]], "radius": 1}):
        _, table = fetched(server, {"survey": "lsst", **body}, headers)
        assert {row["alert_id"] for row in of_object} <= set(table["r:diaSourceId"].to_pylist())
    _, all_columns = fetched(server, {"survey": "lsst", "substream": "remove_unlikely_transients", "limit": 3}, headers)
    assert all_columns.num_rows == 3
    assert set(server.client.get("/lsst/api/v1/schema").json()["LSST original fields (r:)"]) <= set(all_columns.column_names)
    _, nothing = fetched(server, {"survey": "ztf", "start": 19990101, "stop": 19990102}, headers)
    assert nothing.num_rows == 0
    assert nothing.num_columns > 50
    _, limited = fetched(server, {"survey": "ztf", "limit": 70, "columns": ["i:magpsf"]}, headers)
    assert limited.num_rows == 70


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"survey": "ztff"}, "did you mean ztf"),
        ({"survey": "ztf", "where": "magg < 3"}, "did you mean mag"),
        ({"survey": "ztf", "columns": ["i:magpsff"]}, "did you mean i:magpsf"),
        ({"survey": "ztf", "start": 20260102, "stop": 20260101}, "is after the last"),
        ({"survey": "ztf", "objects": ["a"], "substream": "b"}, "three ways"),
        ({"survey": "ztf", "positions": [[400, 2]]}, "positions"),
        ({"survey": "ztf", "positions": [["a", 2]]}, "positions"),
        ({"survey": "ztf", "to": "kafka"}, "kafka_out.servers"),
        ({"survey": "ztf", "to": "moon"}, "to"),
        ({}, "survey"),
    ],
)
def test_what_cannot_be_selected_is_refused(server: Open, body: dict[str, Any], told: str) -> None:
    answer = server.client.post(f"{BASE}/transfers", json=body, headers=server.token("wrong"))
    assert answer.status_code == 400, answer.text
    assert told in answer.json()["detail"]


def test_transfers_are_listed_cancelled_and_their_owners(server: Open) -> None:
    ana, ben = server.token("lister"), server.token("ben")
    assert server.client.post(f"{BASE}/transfers", json={"survey": "ztf"}).status_code == 401
    name = server.client.post(f"{BASE}/transfers", json={"survey": "ztf"}, headers=ana).json()["name"]
    assert [entry["name"] for entry in server.client.get(f"{BASE}/transfers", headers=ana).json()] == [name]
    assert server.client.get(f"{BASE}/transfers", headers=ben).json() == []
    assert server.client.delete(f"{BASE}/transfers/{name}", headers=ben).status_code == 404
    assert server.client.delete(f"{BASE}/transfers/{name}", headers=ana).json()["state"] == "cancelled"
    assert server.client.get(f"{BASE}/transfers/{name}/result", headers=ana).status_code == 404


def test_a_transfer_goes_to_kafka(served_archive: Path, tmp_path: Path, kafka: Kafka) -> None:
    with opened(served_archive, tmp_path, kafka_out__servers=kafka.bootstrap) as server:
        headers = server.token()
        body = {"survey": "ztf", "columns": ["i:magpsf"], "limit": 20, "to": "kafka"}
        ordered = server.client.post(f"{BASE}/transfers", json=body, headers=headers).json()
        transfer = server.ended("transfers", ordered["name"], headers)
        assert (transfer["state"], transfer["rows"]) == ("done", 20), transfer
        assert transfer["topics"] == [ordered["name"]]
        assert len(kafka.messages(ordered["name"])) == 20
        answer = server.client.get(f"{BASE}/transfers/{ordered['name']}/result", headers=headers)
        assert (answer.status_code, "goes to Kafka" in answer.json()["detail"]) == (400, True)
