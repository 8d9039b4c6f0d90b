"""Filters, watchlists and areas are kept over HTTP, and a table is matched; a run takes them up as from the command line."""

from __future__ import annotations

import gzip
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from fink.archive.embedded import EmbeddedArchive
from fink.cli.application import run
from fink.config import UserSettings
from fink.services.substreams import Substreams
from fink.simulator.replay import write_night
from fink.simulator.survey import simulate_nights
from unit.api.desks import BASE, Open, opened


@pytest.fixture(scope="module")
def server(served_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """A server whose archive is its own."""
    with opened(
        served_archive, tmp_path_factory.mktemp("users"), serve__anonymous_costly_per_minute="10000", serve__upload_megabytes="3"
    ) as running:
        yield running


@pytest.fixture(scope="module")
def positions(server: Open) -> pa.Table:
    """Ten objects of the archive, and where they are."""
    with EmbeddedArchive.reader(server.folder) as archive:
        sql = (
            "SELECT DISTINCT ON (object_id) object_id AS name, ra, dec FROM alerts WHERE object_id IS NOT NULL ORDER BY object_id LIMIT 10"
        )
        return archive.sql(sql)


def post(server: Open, path: str, headers: dict[str, str], body: dict[str, Any]) -> httpx.Response:
    """Send a JSON body."""
    return server.client.post(f"{BASE}/{path}", json=body, headers=headers)


def test_a_filter_goes_through_its_life(server: Open) -> None:
    ana = server.token("ana")
    made = post(server, "filters", ana, {"name": "life_bright", "where": "mag < 19", "about": "Bright", "surveys": ["ztf"]})
    assert made.status_code == 201, made.text
    record = made.json()
    assert (record["owner"], record["version"], record["state"], record["surveys"]) == ("ana", 1, "on", ["ztf"])
    with EmbeddedArchive.reader(server.folder) as archive:
        known = archive.sql("SELECT count(*) AS n FROM alerts WHERE survey = 'ztf' AND mag < 19")["n"][0].as_py()
        assert record["trial"]["selected"] == known
        assert Substreams(archive, UserSettings()).one("life_bright")["topics"] == record["topics"] == ["fink_life_bright_ztf"]
    edited = server.client.patch(f"{BASE}/filters/life_bright", json={"where": "mag < 18.5", "surveys": []}, headers=ana).json()
    assert (edited["version"], edited["where"], edited["surveys"], edited["holds"]) == (2, "mag < 18.5", None, "Bright")
    assert [entry["where"] for entry in server.client.get(f"{BASE}/filters/life_bright/versions").json()] == ["mag < 19", "mag < 18.5"]
    for state in ("off", "on"):
        assert server.client.post(f"{BASE}/filters/life_bright/{state}", headers=ana).json()["state"] == state
        assert server.client.get(f"{BASE}/filters/life_bright").json()["state"] == state
    assert "life_bright" in [entry["name"] for entry in server.client.get(f"{BASE}/filters", params={"mine": True}, headers=ana).json()]
    assert server.client.get(f"{BASE}/filters", params={"mine": True}, headers=server.token("ben")).json() == []
    assert server.client.delete(f"{BASE}/filters/life_bright", headers=ana).json()["state"] == "removed"
    assert server.client.get(f"{BASE}/filters/life_bright").status_code == 404


def test_others_may_not_change_it_and_an_admin_may(server: Open) -> None:
    ana, ben, root = server.token("ana"), server.token("ben"), server.token("root", "admin")
    assert post(server, "filters", ana, {"name": "anas_own", "where": "mag < 18", "on": False}).json()["state"] == "off"
    for method, path, body in (("PATCH", "", {"where": "mag < 17"}), ("POST", "/on", None), ("DELETE", "", None)):
        url = f"{BASE}/filters/anas_own{path}"
        assert server.client.request(method, url, json=body).status_code == 401
        assert server.client.request(method, url, json=body, headers=server.token("ana", "order")).status_code == 403
        refused = server.client.request(method, url, json=body, headers=ben)
        assert refused.status_code == 403
        assert "belongs to ana" in refused.json()["detail"]
    assert post(server, "filters", ben, {"name": "anas_own", "where": "mag < 17"}).status_code == 409
    assert server.client.post(f"{BASE}/filters/anas_own/on", headers=root).json()["state"] == "on"
    assert server.client.get(f"{BASE}/filters/anas_own").json()["owner"] == "ana"


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"name": "my_typo", "where": "magg < 3"}, 400, "did you mean mag"),
        ({"name": "My Typo", "where": "mag < 3"}, 400, "lower-case"),
        ({"name": "my_none"}, 400, "where: Field required"),
        ({"name": "my_none", "where": "mag < 3", "wehre": "x"}, 400, "wehre"),
        ({"name": "my_none", "where": "mag < 30", "most_per_night": 1}, 409, "1 is its limit"),
        ({"name": "my_none", "where": "mag < 3", "surveys": ["ztff"]}, 404, "did you mean ztf"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(server: Open, body: dict[str, Any], status: int, told: str) -> None:
    answer = post(server, "filters", server.token(), body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert told in answer.json()["detail"]


def test_a_condition_is_tried_without_a_token(server: Open) -> None:
    trial = post(server, "filters/test", {}, {"where": "is_transient", "survey": "lsst", "days": None}).json()
    with EmbeddedArchive.reader(server.folder) as archive:
        known = archive.sql("SELECT count(*) AS n FROM alerts WHERE survey = 'lsst' AND is_transient")["n"][0].as_py()
    assert trial["selected"] == known == sum(night["selected"] for night in trial["nights"])


def encoded(table: pa.Table, form: str) -> bytes:
    """Write a table in a form that catalogues come in."""
    sink = io.BytesIO()
    if form == "parquet":
        pq.write_table(table, sink)
    elif form.startswith("csv"):
        table.to_pandas().to_csv(sink, index=False)
    else:
        Table({name: table[name].to_pylist() for name in table.column_names}).write(sink, format=form)
    return gzip.compress(sink.getvalue()) if form.endswith("gz") else sink.getvalue()


@pytest.mark.parametrize("form", ["csv", "csv.gz", "parquet", "votable", "fits"])
def test_a_watchlist_is_made_of_a_table_of_any_form(server: Open, positions: pa.Table, form: str) -> None:
    name = f"list_{form.replace('.', '_')}"
    asked: dict[str, Any] = {"radius": 2, "name": name, "where": "mag < 25"}
    tried = server.client.post(f"{BASE}/watchlists/test", params={"radius": 2, "where": "mag < 25"}, content=encoded(positions, form))
    made = server.client.post(f"{BASE}/watchlists", params=asked, content=encoded(positions, form), headers=server.token())
    assert made.status_code == 201, made.text
    record = made.json()
    assert (record["kind"], record["entries"]) == ("watchlist", 10)
    assert record["trial"]["selected"] == tried.json()["selected"] > 0
    fewer = server.client.put(
        f"{BASE}/watchlists/{name}", params={"radius": 2}, content=encoded(positions[:1], form), headers=server.token()
    )
    assert (fewer.json()["entries"], fewer.json()["version"], fewer.json()["where"]) == (1, 2, "mag < 25")


def test_an_area_is_made_of_a_moc(server: Open) -> None:
    everything = server.client.post(f"{BASE}/areas/test", content=b"0/0-11").json()
    with EmbeddedArchive.reader(server.folder) as archive:
        assert everything["selected"] == archive.sql("SELECT count(*) AS n FROM alerts")["n"][0].as_py()
    headers = server.token()
    made = server.client.post(f"{BASE}/areas", params={"name": "half_sky", "where": "mag < 19"}, content=b'{"0": [0, 1]}', headers=headers)
    assert (made.status_code, made.json()["kind"]) == (201, "area"), made.text
    assert server.client.put(f"{BASE}/areas/half_sky", content=b"0/2", headers=headers).json()["version"] == 2


@pytest.mark.parametrize(
    ("path", "data", "told"),
    [
        ("watchlists/test", b"", "has no body"),
        ("watchlists/test", b"a,b\n1,2\n", "right ascension"),
        ("watchlists/test", b"PAR1 and nothing else", "the upload cannot be read"),
        ("watchlists/test", b"SIMPLE  = T", "the upload cannot be read"),
        ("watchlists/test", b"\x1f\x8b\x08broken", "not a whole gzip"),
        ("watchlists/test", gzip.compress(b"ra,dec\n" + b"1,2\n" * 5_000_000), "when it is unpacked"),
        ("watchlists/test", b'<VOTABLE><STREAM href="file:///etc/passwd"/></VOTABLE>', "refers to another file"),
        ("watchlists/test", b'<?xml version="1.0"?><!DOCTYPE v [<!ENTITY a "b">]><VOTABLE/>', "refers to another file"),
        ("watchlists/test", b"<?xml version='1.0' encoding='utf-7'?><VOTABLE/>", "not in UTF-8"),
        ("areas/test", b"99/1", "no MOC"),
        ("areas/test", b'{"0": 99999999999999999999}', "no MOC"),
        ("areas/test", b'{"0": "a"}', "no MOC"),
        ("crossmatch", b"ra,dec\n1,2\n", "radius"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else str(value)[:30],
)
def test_what_is_no_table_is_refused(server: Open, path: str, data: bytes, told: str) -> None:
    answer = server.client.post(f"{BASE}/{path}", content=data)
    assert answer.status_code == 400, answer.text
    assert told in answer.json()["detail"]
    assert "/tmp" not in answer.json()["detail"]


def test_a_table_is_matched_at_once_or_as_a_job(server: Open, positions: pa.Table) -> None:
    asked: dict[str, Any] = {"radius": 2, "columns": "mag_err", "output-format": "json"}
    rows = server.client.post(f"{BASE}/crossmatch", params=asked, content=encoded(positions, "csv")).json()
    assert {str(row["upload_name"]) for row in rows if row["object_id"] == str(row["upload_name"])} == set(positions["name"].to_pylist())
    assert all(row["separation"] <= 2 for row in rows)
    assert "mag_err" in rows[0]
    nearest = server.client.post(f"{BASE}/crossmatch", params={**asked, "nearest": True}, content=encoded(positions, "csv")).json()
    assert [row["row"] for row in nearest] == list(range(1, 11))
    assert server.client.post(f"{BASE}/crossmatch", params={**asked, "later": True}, content=encoded(positions, "csv")).status_code == 401
    headers = server.token("matcher")
    far = np.linspace(0, 360, 10_001, endpoint=False)
    many = pa.concat_tables([positions, pa.table({"name": [str(n) for n in range(10_001)], "ra": far, "dec": np.full(10_001, -89.0)})])
    ordered = server.client.post(f"{BASE}/crossmatch", params=asked, content=encoded(many, "parquet"), headers=headers)
    assert ordered.status_code == 202, ordered.text
    job = server.ended("jobs", ordered.json()["name"], headers)
    assert (job["state"], job["rows"]) == ("done", len(rows)), job
    table = pq.read_table(io.BytesIO(server.client.get(f"{BASE}/jobs/{job['name']}/result", headers=headers).content))
    assert table["alert_id"].to_pylist() == [row["alert_id"] for row in rows]
    assert not list((server.folder / "jobs").glob("*.upload*"))


def test_a_run_selects_with_what_was_created_over_http(server: Open, tmp_path: Path) -> None:
    headers = server.token()
    assert post(server, "filters", headers, {"name": "live_all", "where": "mag < 99", "surveys": ["ztf"]}).status_code == 201
    night = simulate_nights("ztf", 3, 40, 3)[-1]
    write_night(night, tmp_path / "packets" / f"ztf_{night.night}")
    assert run(["run", str(tmp_path / "packets"), "--workers", "0", "--archive", str(server.folder), "--format", "json"]) == 0
    with EmbeddedArchive.reader(server.folder) as archive:
        known = archive.sql(f"SELECT count(*) AS n FROM alerts WHERE mag < 99 AND night = {night.night}")["n"][0].as_py()
        assert archive.substream("live_all").num_rows == known > 0
    end, rows = time.monotonic() + 30.0, list[Any]()
    # the server is at most a second behind
    while not rows and time.monotonic() < end:
        rows = server.client.get("/ztf/api/v1/tags", params={"tag": "live_all", "n": 1000, "columns": "i:candid"}).json()
    assert len(rows) == known
