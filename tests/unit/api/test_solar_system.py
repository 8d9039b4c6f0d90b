"""Solar-system objects over HTTP: their alerts, all light curves at once, and what is not there yet."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fink.archive.embedded import EmbeddedArchive
from fink.config import Settings
from in_process import InProcess, answering


@pytest.fixture(scope="module")
def client(served_archive: Path) -> Iterator[InProcess]:
    with answering(Settings(archive=served_archive)) as client:
        yield client


@pytest.fixture(scope="module")
def known(served_archive: Path) -> list[dict[str, Any]]:
    """Give the alerts of ZTF's solar-system objects."""
    with EmbeddedArchive.reader(served_archive) as archive:
        text = "SELECT * FROM alerts WHERE survey = 'ztf' AND sso_name IS NOT NULL ORDER BY mjd, alert_id"
        rows: list[dict[str, Any]] = archive.sql(text).to_pylist()
        return rows


def test_alerts_come_in_order_of_time_with_their_stamps(client: InProcess, known: list[dict[str, Any]]) -> None:
    name = known[0]["sso_name"]
    mine = [row for row in known if row["sso_name"] == name]
    rows = client.rows("/ztf/api/v1/sso", n_or_d=name, columns="i:candid", withcutouts=True, **{"cutout-kind": "Science"})
    assert [row["i:candid"] for row in rows] == [row["alert_id"] for row in mine]
    assert {row["sso_name"] for row in rows} == {name}
    assert all(len(row["b:cutoutScience_stampData"]) == 63 for row in rows)
    assert "b:cutoutTemplate_stampData" not in rows[0]


def test_several_objects_are_asked_at_once(client: InProcess, known: list[dict[str, Any]]) -> None:
    names = sorted({row["sso_name"] for row in known})
    rows = client.rows("/ztf/api/v1/sso", n_or_d=",".join(names), columns="i:candid")
    assert {row["i:candid"] for row in rows} == {row["alert_id"] for row in known}


@pytest.mark.parametrize("argument", ["withEphem", "withResiduals"])
def test_ephemerides_are_refused_and_not_made_up(client: InProcess, argument: str) -> None:
    answer = client.get("/ztf/api/v1/sso", {"n_or_d": "8467", argument: "true"})
    assert answer.status_code == 400
    assert "no ephemerides" in answer.json()["detail"]


def test_all_light_curves_are_a_row_an_object(client: InProcess, known: list[dict[str, Any]]) -> None:
    answer = client.ask("GET", "/ztf/api/v1/ssobulk")
    table = pq.read_table(io.BytesIO(answer.content))
    assert table.schema.field("cmagpsf").type == pa.list_(pa.float32())
    for row in table.to_pylist():
        mine = [alert for alert in known if alert["sso_name"] == row["ssnamenr"]]
        assert row["cjd"] == [alert["ztf_jd"] for alert in mine]
        assert row["cra"] == [alert["ra"] for alert in mine]
        assert row["cfid"] == [{"g": 1, "r": 2, "i": 3}[alert["band"]] for alert in mine]
    assert table.num_rows == len({row["sso_name"] for row in known})


@pytest.mark.parametrize("flavor", ["SOCCA", "SHG1G2", "HG1G2", "HG"])
def test_parameters_have_the_columns_of_their_model(client: InProcess, flavor: str) -> None:
    described = client.ask("GET", "/ztf/api/v1/ssoft", params={"flavor": flavor, "schema": True}).json()
    answer = client.get("/ztf/api/v1/ssoft", {"flavor": flavor})
    table = pq.read_table(io.BytesIO(answer.content))
    assert set(described) == set(table.column_names)
    assert ("G_1" in described) == (flavor == "HG")
    assert ("period" in described) == (flavor == "SOCCA")
    assert {name: str(table.schema.field(name).type) for name in described} == {name: each["type"] for name, each in described.items()}
