"""A few hundred questions that nobody would ask: none is answered by an error of the server. ``make fuzz-api`` asks 50,000."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from benchmarks.fuzz_api import fuzz, wrong

from unit.api.desks import opened

QUESTIONS = 300


def test_no_question_is_answered_by_an_error_of_the_server(served_archive: Path, tmp_path: Path) -> None:
    quotas = dict.fromkeys(("serve__costly_per_minute", "serve__anonymous_costly_per_minute", "serve__jobs_at_once"), "1000000")
    with opened(served_archive, tmp_path, **quotas, serve__job_workers="0", users__changes_per_hour="1000000") as server:
        token = server.token("fuzz", "admin")["Authorization"].removeprefix("Bearer ")
        report = fuzz(str(server.client.base_url), token, QUESTIONS)
        assert server.process.poll() is None
    assert report.asked > 0.8 * QUESTIONS
    assert len(report.statuses) > 2
    assert [f"{failure.operation}: {failure.why}: {failure.question}: {failure.answer}" for failure in report.distinct()] == []


@pytest.mark.parametrize(
    ("status", "kind", "content", "told"),
    [
        (500, "text/plain", b"Internal Server Error", "status 500"),
        (400, "application/json", b"{}", "status 400 as application/json"),
        (400, "application/problem+json", b"{}", "another shape"),
        (200, "application/json", b"[NaN]", "JSON that is none"),
        (200, "application/json", b"[1, null]", ""),
        (200, "text/csv", b"a\nNaN\n", ""),
    ],
)
def test_what_should_never_be_answered_is_noticed(status: int, kind: str, content: bytes, told: str) -> None:
    request = httpx.Request("GET", "http://localhost")
    answer = httpx.Response(status, headers={"content-type": kind}, content=content, request=request)
    assert (told in wrong(answer)) if told else wrong(answer) == ""
