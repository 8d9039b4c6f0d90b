"""Links and snippets name the object and its place, in the words of its survey."""

from __future__ import annotations

import ast
import shlex
from urllib.parse import parse_qs, urlsplit

import pytest

from fink.services.elsewhere import downloads, links, snippets


def test_a_known_transient_leads_to_its_page_and_others_to_a_search() -> None:
    known = {link["name"]: link["url"] for link in links("ztf", "ZTF20aaelulu", 185.7, 15.8, {"tns_name": "SN 2020oi"})}
    assert known["TNS"] == "https://www.wis-tns.org/object/2020oi"
    assert known["Lasair"].endswith("/ZTF20aaelulu/")
    other = {link["name"]: link["url"] for link in links("lsst", "170028513894596704", 151.1, -2.3, {})}
    assert parse_qs(urlsplit(other["TNS"]).query)["decl"] == ["-2.300000"]
    assert parse_qs(urlsplit(other["Fink, ZTF"]).query)["q"] == ["151.100000 -2.300000 2s survey=ztf"]


@pytest.mark.parametrize("survey", ["ztf", "lsst"])
def test_snippets_are_programs(survey: str) -> None:
    found = {each["name"]: each["code"] for each in snippets(survey, "123456789", "http://localhost:8000")}
    ast.parse(found["Python"])
    assert shlex.split(found["curl"])[2].startswith(f"http://localhost:8000/{survey}/api/v1/")
    assert "object_id = '123456789'" in shlex.split(found["SQL"])[2]


def test_a_survey_without_an_interface_still_has_sql() -> None:
    assert [each["name"] for each in snippets("elasticc", "1", "")] == ["SQL"]
    assert downloads("elasticc", "1") == []
    assert any("fp?" in each["url"] for each in downloads("lsst", "1"))
