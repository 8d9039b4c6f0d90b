"""Links lead to the light curve and the stamps of alerts and objects, or say why there are none."""

from __future__ import annotations

import io
from typing import Any, Literal

import pytest
from astropy.io.votable import parse

from fink.archive.embedded import EmbeddedArchive
from fink.errors import NotFoundError, RequestError
from fink.vo.datalink import MOST_IDS, light_curve, links


def rows(archive: EmbeddedArchive, kind: Literal["alert", "object"], *ids: object) -> list[dict[str, Any]]:
    document = parse(io.BytesIO(links(archive, "ztf", kind, [str(each) for each in ids], "http://here")), verify="exception")
    assert ("standardID", "ivo://ivoa.net/std/DataLink#links-1.1") in [(info.name, info.value) for info in document.resources[0].infos]
    table = document.get_first_table().to_table()
    assert set(table.colnames) >= {
        "ID",
        "access_url",
        "service_def",
        "error_message",
        "description",
        "semantics",
        "content_type",
        "content_length",
    }
    return [dict(zip(table.colnames, row, strict=True)) for row in table]


@pytest.fixture(scope="module")
def alert(archive: EmbeddedArchive) -> dict[str, Any]:
    found: dict[str, Any] = archive.sql(
        "SELECT object_id, alert_id FROM alerts WHERE survey = 'ztf' AND object_id IS NOT NULL ORDER BY mjd DESC LIMIT 1"
    ).to_pylist()[0]
    return found


def test_an_alert_has_a_light_curve_and_three_stamps(archive: EmbeddedArchive, alert: dict[str, Any]) -> None:
    found = rows(archive, "alert", alert["alert_id"])
    meanings = [row["semantics"] for row in found]
    assert meanings == ["#this", "#auxiliary", *(["#cutout", "#preview-image"] * 3), "#documentation"]
    assert {row["ID"] for row in found} == {str(alert["alert_id"])}
    assert all(row["access_url"].startswith("http://here/") and row["content_type"] for row in found)
    assert all(row["content_length"] > 1000 for row in found if row["semantics"] == "#cutout")


def test_an_object_has_its_light_curve_and_the_stamps_of_its_last_alert(archive: EmbeddedArchive, alert: dict[str, Any]) -> None:
    found = rows(archive, "object", alert["object_id"])
    assert [row["content_qualifier"] for row in found if row["semantics"] == "#auxiliary"] == ["#timeseries"]
    assert sum(row["semantics"] == "#cutout" for row in found) == 3


@pytest.mark.parametrize(
    ("kind", "name"), [("alert", "12"), ("alert", "x"), ("alert", "9" * 19), ("object", "ZTF00nothing"), ("object", "'; --")]
)
def test_what_is_not_there_is_told_row_by_row(
    archive: EmbeddedArchive, alert: dict[str, Any], kind: Literal["alert", "object"], name: str
) -> None:
    found = rows(archive, kind, name, alert[f"{kind}_id"])
    assert found[0]["error_message"].startswith("NotFoundFault")
    assert not found[0]["access_url"]
    assert found[1]["access_url"]


def test_an_alert_without_object_is_found_by_its_number(archive: EmbeddedArchive) -> None:
    number = archive.sql("SELECT alert_id FROM alerts WHERE survey = 'ztf' LIMIT 1")["alert_id"][0].as_py()
    assert "#cutout" in [row["semantics"] for row in rows(archive, "object", number)]


def test_none_and_too_many_are_refused(archive: EmbeddedArchive) -> None:
    for ids in ([], [" "], ["x"] * (MOST_IDS + 1)):
        with pytest.raises(RequestError):
            links(archive, "ztf", "object", ids, "")


def test_a_light_curve_has_every_point_once(archive: EmbeddedArchive, alert: dict[str, Any]) -> None:
    found = parse(io.BytesIO(light_curve(archive, "ztf", alert["object_id"])), verify="exception").get_first_table().to_table()
    expected = archive.light_curve(alert["object_id"], "ztf")
    assert found["mjd"].tolist() == expected["mjd"].to_pylist()
    assert found["flux"].unit == "nJy"
    with pytest.raises(NotFoundError, match="no ztf object"):
        light_curve(archive, "ztf", "nothing")
