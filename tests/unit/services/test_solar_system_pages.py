"""A body's page holds its alerts; packed designations are read as the Minor Planet Center writes them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from fink.archive.embedded import EmbeddedArchive
from fink.archive.rows import declared_columns
from fink.errors import NotFoundError
from fink.services.solar_system_pages import predictions, readable_designation, solar_system_page


@pytest.mark.parametrize(
    ("packed", "name"),
    [
        # examples of https://www.minorplanetcenter.net/iau/info/PackedDes.html
        ("J95X00A", "1995 XA"),
        ("J95X01L", "1995 XL1"),
        ("J95F13B", "1995 FB13"),
        ("J98SA8Q", "1998 SQ108"),
        ("J98SG2S", "1998 SS162"),
        ("K07Tf8A", "2007 TA418"),
        ("03202", "3202"),
        ("50000", "50000"),
        ("A0345", "100345"),
        ("a0017", "360017"),
        ("K3289", "203289"),
        ("2020SJ88", "2020 SJ88"),
        ("Ceres", "Ceres"),
    ],
)
def test_designations_are_unpacked(packed: str, name: str) -> None:
    assert readable_designation(packed) == name


@pytest.fixture
def body(archive: EmbeddedArchive) -> str:
    table = archive.sql("SELECT sso_name FROM alerts WHERE sso_name IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1")
    return str(table["sso_name"][0].as_py())


def page(archive: EmbeddedArchive, name: str, **more: Any) -> dict[str, Any]:
    return solar_system_page(archive, name, declared_columns(), **more)


def test_alerts_are_those_of_the_archive(archive: EmbeddedArchive, body: str) -> None:
    found = page(archive, body)
    rows = archive.sql("SELECT alert_id FROM alerts WHERE sso_name = $name ORDER BY mjd DESC, alert_id DESC", {"name": body})
    assert [each["alert_id"] for each in found["alerts"]] == [str(number) for number in rows["alert_id"].to_pylist()]
    assert len(found["light_curve"]["mjd"]) == len(found["predictions"]) == rows.num_rows
    assert orjson.loads(orjson.dumps(found)) == found


def test_predictions_are_those_of_the_packets(archive: EmbeddedArchive, body: str) -> None:
    expected = archive.sql("SELECT sso_mag FROM alerts WHERE sso_name = $name ORDER BY mjd, alert_id", {"name": body})
    found = [each["predicted_mag"] for each in predictions(archive, archive.solar_system(body))]
    assert found == pytest.approx(expected["sso_mag"].to_pylist(), abs=0.01)


def test_unknown_bodies_and_alerts_are_said_to_be_so(archive: EmbeddedArchive, body: str) -> None:
    with pytest.raises(NotFoundError, match="no alert of the solar-system object Vulcan"):
        page(archive, "Vulcan")
    with pytest.raises(NotFoundError, match="has no alert 12"):
        page(archive, body, alert_id=12)
