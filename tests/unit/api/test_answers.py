"""Answers are written in their formats, and errors in one shape with a status of their own."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from fink.api.answers import FileAnswer, TableAnswer, problem, response_of
from fink.errors import ArchiveError, BusyError, ConditionError, FinkError, NotFoundError


@pytest.mark.parametrize(
    ("error", "status"), [(NotFoundError("x"), 404), (BusyError("x"), 503), (ArchiveError("x"), 500), (ConditionError("x"), 400)]
)
def test_errors_are_problem_documents(error: FinkError, status: int) -> None:
    response = problem(error, "/api/v1/x")
    body = json.loads(bytes(response.body))
    assert (response.status_code, body["status"], body["detail"], body["instance"]) == (status, status, "x", "/api/v1/x")
    assert ("retry-after" in response.headers) == (status == 503)


def test_tables_files_texts_and_values_have_their_types() -> None:
    table = TableAnswer(pa.table({"i:candid": [2**62 + 1], "d:rate": [float("nan")]}))
    response = response_of(table, "json", ["there is no column x ☃"])
    assert json.loads(bytes(response.body)) == [{"i:candid": 2**62 + 1, "d:rate": None}]
    assert response.headers["X-Fink-Warning"] == "there is no column x ?"
    assert response_of(table, "csv").headers["content-type"].startswith("application/csv")
    assert response_of("words").headers["content-type"].startswith("text/plain")
    assert json.loads(bytes(response_of({"a": [1]}).body)) == {"a": [1]}
    picture = response_of(FileAnswer(b"123", "image/png", "a.png"))
    assert picture.headers["content-disposition"] == 'attachment; filename="a.png"'
