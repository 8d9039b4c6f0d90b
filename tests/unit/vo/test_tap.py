"""Arguments of TAP are read as the standard says, and answers come in the form asked for."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
import polars as pl
import pytest
from astropy.io.votable import parse

from fink.archive.embedded import EmbeddedArchive
from fink.config import VoSettings
from fink.errors import RequestError
from fink.vo.tables import Table
from fink.vo.tap import FORMATS, Question, respond

SETTINGS = VoSettings.model_validate({"most_rows": 50, "rows": 20})
QUERY = {"LANG": ["ADQL"], "QUERY": ["SELECT * FROM lsst.alerts ORDER BY alert_id"]}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "LANG"),
        ({"LANG": ["PQL"], "QUERY": ["x"]}, "ADQL or"),
        ({"LANG": ["ADQL"]}, "QUERY is missing"),
        ({**QUERY, "REQUEST": ["getCapabilities"]}, "doQuery"),
        ({**QUERY, "MAXREC": ["-1"]}, "MAXREC"),
        ({**QUERY, "MAXREC": ["1", "2"]}, "given 2 times"),
        ({**QUERY, "MAXREC": ["0" * 5000]}, "no number of rows"),
        ({**QUERY, "UPLOAD": ["t,param:f"]}, "UPLOAD"),
        ({**QUERY, "RESPONSEFORMAT": ["application/fits"]}, "votable/td"),
    ],
)
def test_a_wrong_question_is_told_what_is_allowed(given: Mapping[str, list[str]], told: str) -> None:
    with pytest.raises(RequestError, match=told):
        Question.read(given, SETTINGS)


def test_how_many_rows() -> None:
    assert [Question.read({**QUERY, "MAXREC": [n]}, SETTINGS).rows for n in ("", "0", "30", "1000")] == [20, 0, 30, 50]


@pytest.mark.parametrize("name", [name for form in FORMATS for name in form.names])
def test_every_name_of_a_form_is_known(name: str) -> None:
    assert Question.read({**QUERY, "FORMAT": [name.upper()]}, SETTINGS).form in FORMATS


def body(archive: EmbeddedArchive, tables: Mapping[str, Table], form: str, rows: int = 9) -> bytes:
    question = Question.read({**QUERY, "RESPONSEFORMAT": [form], "MAXREC": [str(rows)]}, SETTINGS)
    return bytes(respond(archive, tables, question, SETTINGS, "http://here").body)


def test_text_and_binary_hold_the_same(archive: EmbeddedArchive, tables: Mapping[str, Table]) -> None:
    text, binary = (
        parse(io.BytesIO(body(archive, tables, form)), verify="exception").get_first_table().to_table()
        for form in ("votable/td", "votable/b2")
    )
    assert text.colnames == list(tables["lsst.alerts"].columns)
    assert len(text) == 9
    for name in text.colnames:
        one, other = text[name], binary[name]
        assert np.array_equal(np.ma.getmaskarray(one), np.ma.getmaskarray(other)), name
        assert [str(value) for value in np.ma.compressed(one)] == [str(value) for value in np.ma.compressed(other)], name


def test_files_of_other_kinds(archive: EmbeddedArchive, tables: Mapping[str, Table]) -> None:
    csv = pl.read_csv(body(archive, tables, "csv"), infer_schema_length=None)
    parquet = pl.read_parquet(body(archive, tables, "parquet"))
    json = pl.read_json(body(archive, tables, "json"))
    assert csv["alert_id"].to_list() == parquet["alert_id"].to_list() == json["alert_id"].to_list()
    assert csv.columns == parquet.columns == list(tables["lsst.alerts"].columns)


def test_a_cut_answer_says_so(archive: EmbeddedArchive, tables: Mapping[str, Table]) -> None:
    found = parse(io.BytesIO(body(archive, tables, "votable", 0)), verify="exception")
    assert [info.value for info in found.resources[0].infos if info.name == "QUERY_STATUS"] == ["OK", "OVERFLOW"]
    assert len(found.get_first_table().array) == 0
