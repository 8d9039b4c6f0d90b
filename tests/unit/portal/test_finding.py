"""What a phrase asks is found in the archive."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fink.config import Settings
from fink.portal.finding import Outcome, address_of, columns, find, starts
from fink.portal.phrases import understand
from fink.services.catalogues import Catalogues
from unit.api.conftest import Served


def look(served: Served, text: str, seed: int = 0, settings: Settings | None = None) -> Outcome:
    phrase = understand(text, ("first_detections",), columns())
    return find(served.archive, settings or Settings(), phrase, seed)


def some_alert(served: Served, survey: str = "ztf") -> dict[str, object]:
    name = served.archive.object_names("", survey, 1)[0]
    return dict(served.archive.object_alerts(name, survey).to_pylist()[-1])


def test_one_object_is_gone_to_and_several_are_listed(served: Served) -> None:
    names = served.archive.object_names("ZTF", "ztf", 100)
    assert look(served, names[0]).to == address_of("ztf", names[0])
    begun = next(names[0][:length] for length in range(len(names[0]), 3, -1) if sum(n.startswith(names[0][:length]) for n in names) > 1)
    found = look(served, begun).alerts["object_id"].to_pylist()
    assert sorted(found) == [name for name in names if name.startswith(begun)]


def test_an_alert_leads_to_its_object(served: Served) -> None:
    for survey in ("ztf", "lsst"):
        row = some_alert(served, survey)
        assert look(served, f"candid={row['alert_id']}").to == f"/{survey}/object/{row['object_id']}?alert={row['alert_id']}"


def test_around_a_position_each_object_comes_once_the_nearest_first(served: Served) -> None:
    row = some_alert(served)
    found = look(served, f"{row['ra']} {row['dec']} 2d")
    names = [name for name in found.alerts["object_id"].to_pylist() if name]
    assert row["object_id"] in names
    assert len(names) == len(set(names))
    apart = found.alerts["separation"].to_pylist()
    assert apart == sorted(apart)
    expected = served.archive.cone(float(str(row["ra"])), float(str(row["dec"])), 7200.0)["object_id"].to_pylist()
    assert set(names) == {name for name in expected if name}


def test_a_substream_gives_its_newest_alerts_of_one_survey_or_all(served: Served) -> None:
    everything = served.archive.substream("first_detections")
    assert look(served, "first_detections").alerts.num_rows == min(everything.num_rows, 100)
    few = look(served, "tag=first_detections last=3")
    assert (few.alerts.num_rows, few.most) == (3, True)
    for survey in ("ztf", "lsst"):
        found = look(served, f"tag=first_detections survey={survey} last=1000").alerts
        assert found.num_rows == everything["survey"].to_pylist().count(survey)


def test_nights_times_and_conditions_give_what_sql_gives(served: Served) -> None:
    row = some_alert(served)
    night = str(row["night"])
    found = look(served, f"{night[:4]}-{night[4:6]}-{night[6:]} last=1000").alerts
    assert found.num_rows == served.archive.sql("SELECT * FROM alerts WHERE night = $n", {"n": row["night"]}).num_rows
    assert found["mjd"].to_pylist() == sorted(found["mjd"].to_pylist(), reverse=True)
    bright = look(served, "mag < 18 last=1000").alerts
    assert bright.num_rows == served.archive.sql("SELECT * FROM alerts WHERE mag < 18").num_rows
    rising = look(served, "trend=rising last=1000").alerts
    assert rising.num_rows == served.archive.sql("SELECT * FROM alerts WHERE rising").num_rows


def test_the_newest_alerts_are_looked_for_in_the_newest_nights_first() -> None:
    year = [20250101, 20250601, 20251231]
    newest = 61040.0
    assert starts(year, None) == [newest - 3, newest - 30, None]
    assert starts(year, newest - 10) == [newest - 3, newest - 10]
    assert starts([20251230, 20251231], None) == [None]
    assert starts([], None) == [None]


def test_a_draw_is_the_same_for_the_same_seed(served: Served) -> None:
    first, again, other = (look(served, "random=9", seed).alerts["object_id"].to_pylist() for seed in (1, 1, 2))
    assert first == again != other
    assert len(set(first)) == 9


def test_a_solar_system_object_is_gone_to_by_its_name(served: Served) -> None:
    name = served.archive.designations("", 1)[0]
    assert look(served, f"sso={name}").to.startswith("/sso/")
    assert not look(served, "sso=no such body").to


def test_a_name_that_nobody_knows_finds_nothing(served: Served) -> None:
    found = look(served, "the star of nobody")
    assert (found.to, found.alerts.num_rows, list(found.named)) == ("", 0, [])


@pytest.fixture
def catalogued(served: Served, tmp_path: Path) -> Settings:
    """A list of transients: one at the place of an object of the archive, and one where the archive has nothing."""
    row = some_alert(served)
    transients = {
        "name_prefix": ["SN", "AT"],
        "name": ["2024abc", "2024xyz"],
        "ra": [row["ra"], 10.0],
        "declination": [row["dec"], -89.0],
        "type": ["SN Ia", None],
        "redshift": [0.03, None],
        "internal_names": ["ZTF24abcdefg, ATLAS24abc", ""],
        "discoverydate": ["2024-01-01", "2024-01-02"],
    }
    pq.write_table(pa.table(transients), tmp_path / "tns.parquet")
    Catalogues(tmp_path / "artifacts").add("tns", [str(tmp_path / "tns.parquet")])
    return Settings(artifacts=tmp_path / "artifacts")


@pytest.mark.parametrize("text", ["SN 2024abc", "2024abc", "ATLAS24abc", "ZTF24abcdefg"])
def test_a_catalogued_name_leads_to_the_object_at_its_place(served: Served, catalogued: Settings, text: str) -> None:
    assert look(served, text, settings=catalogued).to == address_of("ztf", str(some_alert(served)["object_id"]))


def test_a_catalogued_place_without_alerts_is_named_and_looked_at(served: Served, catalogued: Settings) -> None:
    found = look(served, "AT 2024xyz", settings=catalogued)
    assert [each["name"] for each in found.named] == ["AT 2024xyz"]
    assert found.centre is not None
    assert (found.centre.ra, found.centre.dec, found.alerts.num_rows) == (10.0, -89.0, 0)


def test_what_was_nearly_written_is_offered(served: Served, catalogued: Settings) -> None:
    found = look(served, "AT 2024xy", settings=catalogued)
    assert [(each["name"], each["exact"]) for each in found.named] == [("AT 2024xyz", False)]
    assert not found.to
