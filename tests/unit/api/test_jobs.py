"""Jobs are ordered, carried out beside the server, fetched in parts, cancelled, and begun anew after a server's death."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from fink.archive.embedded import EmbeddedArchive
from unit.api.desks import BASE, Open, opened, started

SLOW = "SELECT count(*) AS n FROM range(100000) AS a, range(1000000) AS b WHERE (a.range * b.range) % 7 = 3"
"""A question that keeps a core busy for minutes."""


@pytest.fixture(scope="module")
def server(served_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """A server whose archive is its own."""
    with opened(served_archive, tmp_path_factory.mktemp("jobs"), serve__jobs_at_once="3") as running:
        yield running


def table_of(server: Open, kind: str, name: str, headers: dict[str, str]) -> Any:
    """Fetch a result."""
    answer = server.client.get(f"{BASE}/{kind}/{name}/result", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    return pq.read_table(io.BytesIO(answer.content))


def test_the_answer_of_a_job_is_that_of_the_route(server: Open) -> None:
    headers = server.token()
    arguments: dict[str, Any] = {"where": "mag < 21", "n": 500_000, "columns": "i:candid,i:magpsf,d:is_transient"}
    ordered = server.client.post(f"{BASE}/jobs", json={"path": "/ztf/api/v1/alerts", "arguments": arguments}, headers=headers)
    assert ordered.status_code == 202
    assert ordered.json()["state"] == "ordered"
    job = server.ended("jobs", ordered.json()["name"], headers)
    rows = server.client.get("/ztf/api/v1/alerts", params={**arguments, "n": 100_000}).json()
    assert (job["state"], job["rows"], job["progress"]) == ("done", len(rows), 1.0)
    assert rows
    table = table_of(server, "jobs", job["name"], headers)
    assert table.to_pylist() == [pytest.approx(row) for row in rows]
    assert table.schema.field("i:magpsf").metadata[b"unit"] == b"mag"
    assert [entry["name"] for entry in server.client.get(f"{BASE}/jobs", headers=headers).json()] == [job["name"]]


def test_sql_is_answered_in_parts_also_where_nothing_is_found(server: Open) -> None:
    headers = server.token("sql")
    for condition in ("TRUE", "FALSE"):
        sql = f"SELECT survey, alert_id, mag FROM alerts WHERE {condition} ORDER BY alert_id"
        ordered = server.client.post(f"{BASE}/jobs", json={"sql": sql}, headers=headers)
        job = server.ended("jobs", ordered.json()["name"], headers)
        with EmbeddedArchive.reader(server.folder) as archive:
            assert table_of(server, "jobs", job["name"], headers).to_pylist() == archive.sql(sql).to_pylist()
    frame = pd.read_parquet(io.BytesIO(server.client.get(f"{BASE}/jobs/{job['name']}/result", headers=headers).content))
    assert str(frame["alert_id"].dtype) == "Int64"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"sql": "SELECT magg FROM alerts"}, "did you mean mag"),
        ({"sql": "COPY alerts TO 'x.csv'"}, "syntax error"),
        ({"sql": "SELECT 1; SELECT 2"}, "2 statements"),
        ({"sql": "SELECT * FROM read_csv('/etc/passwd')"}, "disabled"),
        ({"path": "/ztf/api/v1/alertz", "arguments": {}}, "did you mean /ztf/api/v1/alerts"),
        ({"path": "/ztf/api/v1/alerts", "arguments": {"where": "mag < 1", "n": 2_000_000}}, "from 1 to 1e+06"),
        ({"path": "/ztf/api/v1/alerts", "sql": "SELECT 1"}, "either path and arguments, or sql"),
        ({}, "either path and arguments, or sql"),
        ({"sql": "SELECT 1", "days": -1}, "days"),
        ({"sql": "SELECT 1", "day": 1}, "day"),
    ],
)
def test_what_cannot_be_answered_is_refused_when_it_is_ordered(server: Open, body: dict[str, Any], told: str) -> None:
    answer = server.client.post(f"{BASE}/jobs", json=body, headers=server.token("wrong"))
    assert answer.status_code == 400, answer.text
    assert told in answer.json()["detail"]


def test_a_question_that_fails_later_says_why(server: Open) -> None:
    headers = server.token("late")
    ordered = server.client.post(f"{BASE}/jobs", json={"path": "/ztf/api/v1/ledger"}, headers=headers)
    job = server.ended("jobs", ordered.json()["name"], headers)
    assert job["state"] == "failed"
    assert "gives no table" in job["message"]
    answer = server.client.get(f"{BASE}/jobs/{job['name']}/result", headers=headers)
    assert answer.status_code == 404
    assert "gives no table" in answer.json()["detail"]


def test_a_download_goes_on_where_it_was_broken_off(server: Open) -> None:
    headers = server.token("range")
    ordered = server.client.post(f"{BASE}/jobs", json={"sql": "SELECT * FROM alerts"}, headers=headers)
    name = server.ended("jobs", ordered.json()["name"], headers)["name"]
    path = f"{BASE}/jobs/{name}/result"
    whole = server.client.get(path, headers=headers)
    assert "content-encoding" not in whole.headers
    assert whole.headers["accept-ranges"] == "bytes"
    size = int(server.client.head(path, headers=headers).headers["content-length"])
    assert size == len(whole.content) > 10_000
    start = size // 3
    rest = server.client.get(path, headers={**headers, "Range": f"bytes={start}-", "If-Range": whole.headers["etag"]})
    assert rest.status_code == 206
    assert rest.headers["content-range"] == f"bytes {start}-{size - 1}/{size}"
    assert whole.content[:start] + rest.content == whole.content
    assert server.client.get(path, headers={**headers, "Range": f"bytes={size}-"}).status_code == 416


def test_jobs_are_their_owners(server: Open) -> None:
    ana, ben, root = server.token("private"), server.token("ben"), server.token("root", "admin")
    name = server.client.post(f"{BASE}/jobs", json={"sql": "SELECT 1 AS one"}, headers=ana).json()["name"]
    server.ended("jobs", name, ana)
    for method, path in (("GET", ""), ("GET", "/result"), ("DELETE", "")):
        assert server.client.request(method, f"{BASE}/jobs/{name}{path}", headers=ben).status_code == 404
        assert server.client.request(method, f"{BASE}/jobs/{name}{path}").status_code == 404
    assert server.client.get(f"{BASE}/jobs", headers=ben).json() == []
    assert server.client.get(f"{BASE}/jobs/{name}", headers=root).status_code == 200
    assert server.client.delete(f"{BASE}/jobs/{name}", headers=ana).json()["state"] == "cancelled"
    assert server.client.get(f"{BASE}/jobs/{name}/result", headers=ana).status_code == 404
    assert not list((server.folder / "jobs").glob(f"{name}*"))


def test_without_a_token_or_its_scope_or_beyond_a_quota_nothing_is_ordered(server: Open) -> None:
    body = {"sql": SLOW}
    answer = server.client.post(f"{BASE}/jobs", json=body)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert server.client.post(f"{BASE}/jobs", json=body, headers=server.token("ana", "write")).status_code == 403
    assert server.client.post(f"{BASE}/jobs", json=body, headers={"Authorization": "Bearer nonsense"}).status_code == 401
    assert server.client.post(f"{BASE}/jobs", json=body, headers={"Authorization": "Basic eDp5"}).status_code == 401
    headers = server.token("many")
    names = [server.client.post(f"{BASE}/jobs", json=body, headers=headers).json()["name"] for _ in range(3)]
    refused = server.client.post(f"{BASE}/jobs", json=body, headers=headers)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    assert "serve.jobs_at_once" in refused.json()["detail"]
    for name in names:
        server.client.delete(f"{BASE}/jobs/{name}", headers=headers)


def test_a_job_that_is_cancelled_stops_at_once(server: Open) -> None:
    headers = server.token("impatient")
    name = server.client.post(f"{BASE}/jobs", json={"sql": SLOW}, headers=headers).json()["name"]
    _until(lambda: server.client.get(f"{BASE}/jobs/{name}", headers=headers).json()["state"] == "running")
    assert server.client.delete(f"{BASE}/jobs/{name}", headers=headers).json()["state"] == "cancelled"
    after = server.client.post(f"{BASE}/jobs", json={"sql": "SELECT 1 AS one"}, headers=headers).json()["name"]
    assert server.ended("jobs", after, headers, 60)["state"] == "done"


def test_a_job_outlives_a_server_that_is_killed(served_archive: Path, tmp_path: Path) -> None:
    with opened(served_archive, tmp_path) as first:
        headers = first.token()
        slow = first.client.post(f"{BASE}/jobs", json={"sql": SLOW}, headers=headers).json()["name"]
        name = first.client.post(f"{BASE}/jobs", json={"sql": "SELECT 1 AS one"}, headers=headers).json()["name"]
        _until(lambda: first.client.get(f"{BASE}/jobs/{slow}", headers=headers).json()["state"] == "running")
        children = _children(first.process.pid)
        first.process.send_signal(signal.SIGKILL)
        first.process.wait(30)
    _until(lambda: not any(_alive(child) for child in children))
    with started(tmp_path / "archive") as second:
        _until(lambda: second.client.get(f"{BASE}/jobs/{slow}", headers=headers).json()["state"] == "running")
        assert second.client.delete(f"{BASE}/jobs/{slow}", headers=headers).status_code == 200
        assert second.ended("jobs", name, headers)["state"] == "done"
        assert table_of(second, "jobs", name, headers).to_pylist() == [{"one": 1}]


def test_a_job_that_takes_too_long_or_too_many_rows_fails(served_archive: Path, tmp_path: Path) -> None:
    with opened(served_archive, tmp_path, serve__job_seconds="20", serve__rows_per_day="50") as server:
        headers = server.token()
        many = server.client.post(f"{BASE}/jobs", json={"sql": "SELECT * FROM range(51)"}, headers=headers).json()["name"]
        long = server.client.post(f"{BASE}/jobs", json={"sql": SLOW}, headers=headers).json()["name"]
        assert "more than the 50 rows" in server.ended("jobs", many, headers)["message"]
        assert "serve.job_seconds" in server.ended("jobs", long, headers)["message"]
        some = server.client.post(f"{BASE}/jobs", json={"sql": "SELECT * FROM range(50)"}, headers=headers).json()["name"]
        assert server.ended("jobs", some, headers)["state"] == "done"
        refused = server.client.post(f"{BASE}/jobs", json={"sql": "SELECT 1"}, headers=headers)
        assert (refused.status_code, "rows of a day" in refused.json()["detail"]) == (429, True)


def test_anonymous_askers_may_order_where_the_server_lets_them(served_archive: Path, tmp_path: Path) -> None:
    variables = {"serve__anonymous": json.dumps(["read", "order"]), "serve__anonymous_jobs_at_once": "1"}
    with opened(served_archive, tmp_path, **variables) as server:
        slow = server.client.post(f"{BASE}/jobs", json={"sql": SLOW})
        assert slow.status_code == 202
        assert server.client.post(f"{BASE}/jobs", json={"sql": SLOW}).status_code == 429
        assert server.client.delete(f"{BASE}/jobs/{slow.json()['name']}").status_code == 200
        name = server.client.post(f"{BASE}/jobs", json={"sql": "SELECT 1 AS one"}).json()["name"]
        assert server.ended("jobs", name, {})["state"] == "done"
        assert server.client.post(f"{BASE}/filters", json={"name": "my_one", "where": "mag < 1"}).status_code == 401


def _until(holds: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def _children(process: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True, check=False).stdout
    return [int(word) for word in listed.split()]


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
