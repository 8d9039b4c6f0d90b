"""Classes that ZTF's users ask for, and the newest alerts of each, compared with SQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fink.archive.embedded import EmbeddedArchive
from fink.config import Settings
from in_process import InProcess, answering


@pytest.fixture(scope="module")
def client(served_archive: Path) -> Iterator[InProcess]:
    with answering(Settings(archive=served_archive)) as client:
        yield client


def newest(folder: Path, where: str, columns: str = "alert_id") -> list[dict[str, Any]]:
    """Give the newest alerts of ZTF for which SQL holds."""
    with EmbeddedArchive.reader(folder) as archive:
        text = f"SELECT {columns} FROM alerts WHERE survey = 'ztf' AND {where} ORDER BY mjd DESC, alert_id DESC"
        rows: list[dict[str, Any]] = archive.sql(text).to_pylist()
        return rows


def test_classes_are_listed_by_who_says_so(client: InProcess) -> None:
    listed = client.ask("GET", "/ztf/api/v1/classes").json()
    assert "Solar System MPC" in listed["Fink classifiers"]
    assert "first_detections" in listed["Fink substreams"]
    (simbad,) = (names for family, names in listed.items() if "SIMBAD" in family)
    assert "(SIMBAD) RRLyr" in simbad


def test_the_newest_of_a_class_are_those_that_bear_it(client: InProcess, served_archive: Path) -> None:
    known = newest(served_archive, "fink_class = 'Solar System MPC'")
    assert known
    rows = client.rows("/ztf/api/v1/latests", **{"class": "Solar System MPC", "n": 1000, "columns": "i:candid"})
    assert [row["i:candid"] for row in rows] == [row["alert_id"] for row in known]


@pytest.mark.parametrize("name", ["(TNS) SN Ia", "(SIMBAD) RRLyr", "RRLyr", "Kilonova candidate", "(TNS) it's"])
def test_what_no_alert_is_of_gives_an_empty_list(client: InProcess, name: str) -> None:
    assert client.rows("/ztf/api/v1/latests", **{"class": name}) == []


@pytest.mark.parametrize(("trend", "sign"), [("rising", "<"), ("fading", ">")])
def test_trends_keep_those_of_the_rows_found(client: InProcess, served_archive: Path, trend: str, sign: str) -> None:
    known = {row["alert_id"] for row in newest(served_archive, f"mag_rate {sign} 0")}
    asked = {"class": "remove_unlikely_transients", "n": 1000, "columns": "i:candid"}
    everything, kept = (client.rows("/ztf/api/v1/latests", **more) for more in (asked, {**asked, "trend": trend}))
    assert [row["i:candid"] for row in everything if row["i:candid"] in known] == [row["i:candid"] for row in kept]


def test_colours_are_given_beside_named_columns_where_asked(client: InProcess) -> None:
    asked = {"class": "remove_unlikely_transients", "n": 3, "columns": "i:candid"}
    assert set(client.rows("/ztf/api/v1/latests", **asked)[0]) == {"i:candid"}
    assert "v:g-r" in client.rows("/ztf/api/v1/latests", **asked, color=True)[0]


def test_what_nothing_finds_yet_is_empty_and_says_so(client: InProcess) -> None:
    answer = client.get("/ztf/api/v1/anomaly", {"n": 5})
    assert answer.json() == []
    assert "nothing ranks anomalies yet" in answer.headers["X-Fink-Warning"]
