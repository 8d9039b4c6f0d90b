"""An object's page holds what the archive holds of it, and says what is missing."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest

from fink.archive.embedded import EmbeddedArchive
from fink.archive.rows import declared_columns
from fink.errors import NotFoundError
from fink.services.object_pages import MOST_LISTED, band_order, cutout_address, listed, object_page

DECLARED = declared_columns()


@pytest.fixture
def busiest(archive: EmbeddedArchive) -> str:
    table = archive.sql(
        "SELECT object_id FROM alerts WHERE object_id IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, max(n_detections) DESC, 1 LIMIT 1"
    )
    return str(table["object_id"][0].as_py())


def page(archive: EmbeddedArchive, name: str, **more: Any) -> dict[str, Any]:
    return object_page(archive, "ztf", name, DECLARED, **more)


def test_alerts_and_points_are_those_of_the_archive(archive: EmbeddedArchive, busiest: str) -> None:
    found = page(archive, busiest)
    alerts = archive.sql("SELECT alert_id FROM alerts WHERE object_id = $name ORDER BY mjd DESC, alert_id DESC", {"name": busiest})
    assert [each["alert_id"] for each in found["alerts"]] == [str(number) for number in alerts["alert_id"].to_pylist()]
    assert found["chosen"]["alert_id"] == found["alerts"][0]["alert_id"]
    curve = archive.light_curve(busiest, "ztf")
    assert len(found["light_curve"]["mjd"]) == curve.num_rows
    assert sum(found["summary"]["points"].values()) == curve.num_rows
    points = zip(found["light_curve"]["kind"], found["light_curve"]["alert"], strict=True)
    numbered = {number for kind, number in points if kind == "detection" and number}
    assert numbered == {each["alert_id"] for each in found["alerts"]}, "a click on each alert's point finds it"
    by_number = {each["alert_id"]: each["mjd"] for each in found["alerts"]}
    for mjd, number in zip(found["light_curve"]["mjd"], found["light_curve"]["alert"], strict=True):
        assert number is None or by_number[number] == pytest.approx(mjd, abs=1e-5), "forced photometry of the same exposure, too"


def test_it_is_json_that_reads_back_exactly(archive: EmbeddedArchive, busiest: str) -> None:
    found = page(archive, busiest)
    assert orjson.loads(orjson.dumps(found)) == found


def test_another_alert_can_be_chosen(archive: EmbeddedArchive, busiest: str) -> None:
    first = page(archive, busiest)["alerts"][-1]["alert_id"]
    found = page(archive, busiest, alert_id=int(first))
    values = {each["name"]: each["value"] for group in found["columns"] for each in group["columns"]}
    assert values["alert_id"] == first
    assert first in found["cutouts"][0]["url"]
    with pytest.raises(NotFoundError, match="has no alert 12"):
        page(archive, busiest, alert_id=12)


def test_substreams_are_those_that_took_the_alert(archive: EmbeddedArchive) -> None:
    name, taken = next(
        (name, rows)
        for name in ("first_detections", "uniform_sample", "fast_risers")
        if (rows := archive.substream(name, limit=5)).num_rows
    )
    row = taken.select(["object_id", "alert_id"]).to_pylist()[0]
    assert name in [each["name"] for each in page(archive, row["object_id"], alert_id=row["alert_id"])["substreams"]]
    others = archive.sql("SELECT object_id, alert_id FROM alerts WHERE object_id IS NOT NULL").to_pylist()
    ids = set(archive.substream(name)["alert_id"].to_pylist())
    spared = next(each for each in others if each["alert_id"] not in ids)
    assert name not in [each["name"] for each in page(archive, spared["object_id"], alert_id=spared["alert_id"])["substreams"]]


def test_a_missing_stamp_has_a_reason(archive: EmbeddedArchive, busiest: str) -> None:
    for stamp in page(archive, busiest)["cutouts"]:
        assert bool(stamp["missing"]) != bool(stamp["shape"])


def test_an_unknown_name_is_answered_with_near_ones(archive: EmbeddedArchive, busiest: str) -> None:
    with pytest.raises(NotFoundError, match=re.escape(busiest)):
        page(archive, busiest[:-1])
    with pytest.raises(NotFoundError, match="/ztf/object/"):
        object_page(archive, "lsst", busiest, DECLARED)
    with pytest.raises(NotFoundError, match="search for a position"):
        page(archive, "no such thing")


def test_a_page_lists_the_newest_alerts_and_the_chosen_one() -> None:
    assert listed(3, 0) == [2, 1, 0]
    assert listed(MOST_LISTED + 10, 3) == [*range(MOST_LISTED + 9, 9, -1), 3]
    assert listed(MOST_LISTED + 10, 10) == list(range(MOST_LISTED + 9, 9, -1))


def test_filters_are_sorted_from_blue_to_red() -> None:
    assert sorted("yzirgu", key=band_order) == list("ugrizy")
    assert cutout_address("lsst", 5, "science") == "/lsst/api/v1/cutouts?diaSourceId=5&kind=Science"
