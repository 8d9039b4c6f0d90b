"""Asking the archive: tables to a person, documents to a program, files where asked."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io.votable import parse_single_table

from command_line import Fink
from fink import factory
from fink.archive.embedded import EmbeddedArchive
from fink.config import load_settings
from simulated import nights

TRUTH = pa.concat_tables([night.truth for night in nights("ztf", 2, 150)])
TOTAL = TRUTH.num_rows


@pytest.fixture
def busiest(archive: Path) -> dict[str, Any]:
    """The object with most alerts."""
    with factory.read_archive(load_settings(None, {"archive": archive})) as reader:
        sql = "SELECT object_id, count(*) AS n FROM alerts WHERE object_id IS NOT NULL"
        return dict(reader.sql(sql + " GROUP BY object_id ORDER BY n DESC, object_id LIMIT 1").to_pylist()[0])


def test_the_ledger_has_the_shape_that_scripts_rely_on(archive: Path, fink: Fink) -> None:
    said = fink("ledger", "--archive", archive, "--format", "json")
    account = said.document
    assert said.status == 0
    assert (account["received"], account["archived"], account["quarantined"], account["duplicate"]) == (TOTAL + 1, TOTAL, 1, 0)
    assert account["balanced"] is True
    assert sum(source["received"] for source in account["sources"]) == TOTAL + 1
    assert {source["night"] for source in account["sources"]} == {None, 20251120, 20251121}
    assert all({"run", "null", "failed"} <= set(counts) for counts in account["modules"].values())
    assert account["modules"]["light_curve_features"]["run"] == TOTAL
    assert all(0 <= count <= TOTAL for count in account["substreams"].values())
    assert account["substreams"]["sso_ztf_candidates"] > 0


def test_a_person_reads_the_same_ledger(archive: Path, fink: Fink) -> None:
    said = fink("ledger", "--archive", archive)
    assert said.status == 0
    assert f"received {TOTAL + 1}" in said.words
    assert "balanced yes" in said.words
    assert "light_curve_features" in said.words


def test_the_ledger_tells_of_what_could_not_be_delivered(archive: Path, fink: Fink, monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"follower": "kafka:fink", "commit": 7, "lag": 2, "undeliverable": {"fink_a_ztf": 3, "fink_b_ztf": 1}}
    monkeypatch.setattr("fink.factory.follower_states", lambda archive: [state])
    assert "kafka:fink 7 2 4" in fink("ledger", "--archive", archive).words
    assert fink("ledger", "--archive", archive, "--format", "json").document["followers"] == [state]


@pytest.mark.parametrize("form", ["table", "json"])
def test_a_ledger_that_does_not_balance_fails(archive: Path, fink: Fink, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    real = EmbeddedArchive.ledger
    monkeypatch.setattr(EmbeddedArchive, "ledger", lambda self: real(self) | {"balanced": False})
    said = fink("ledger", "--archive", archive, "--format", form)
    assert said.status == 1
    assert "light_curve_features" in said.out


def test_sql_is_answered_in_every_form(archive: Path, fink: Fink) -> None:
    sql = "SELECT night, count(*) AS n FROM alerts GROUP BY night ORDER BY night"
    expected = [{"night": night.night, "n": len(night.packets)} for night in nights("ztf", 2, 150)]
    assert fink("query", sql, "--archive", archive, "--format", "json").document == expected
    csv = fink("query", sql, "--archive", archive, "--format", "csv").out
    assert csv.splitlines() == ["night,n", *(f"{row['night']},{row['n']}" for row in expected)]
    assert f"{expected[0]['night']} {expected[0]['n']}" in fink("query", sql, "--archive", archive).words


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT nigth FROM alerts", "did you mean night?"),
        ("SELECT * FROM alert", "did you mean alerts?"),
        ("SELEC 1", ""),
        ("DROP TABLE alerts", ""),
    ],
)
def test_sql_that_cannot_be_answered_is_misuse(sql: str, said: str, archive: Path, fink: Fink) -> None:
    answer = fink("query", sql, "--archive", archive)
    assert answer.status == 2
    assert answer.err.startswith("fink: ")
    assert said in answer.words


def read(path: Path) -> pl.DataFrame:
    """Read a file in its own form."""
    if path.suffix == ".parquet":
        return pl.DataFrame(pl.from_arrow(pq.read_table(path)))
    if path.suffix == ".csv":
        return pl.read_csv(path)
    if path.suffix == ".json":
        return pl.DataFrame(json.loads(path.read_bytes()), infer_schema_length=None)
    table = parse_single_table(io.BytesIO(path.read_bytes())).to_table()
    return pl.DataFrame({name: table[name].tolist() for name in table.colnames})


@pytest.mark.filterwarnings("ignore:The unit:astropy.units.UnitsWarning")
@pytest.mark.parametrize("suffix", ["csv", "json", "parquet", "vot"])
def test_a_night_is_written_in_the_form_that_the_file_names(suffix: str, archive: Path, fink: Fink, tmp_path: Path) -> None:
    (first, _) = nights("ztf", 2, 150)
    path = tmp_path / f"night.{suffix}"
    said = fink("night", first.night, "--archive", archive, "-o", path)
    assert said.status == 0
    assert said.out == ""
    assert f"{len(first.packets)} rows written" in said.words
    frame = read(path)
    assert sorted(frame["alert_id"].to_list()) == sorted(first.truth["alert_id"].to_pylist())
    assert "light_curve_features_status" in frame.columns


def test_a_votable_carries_units(archive: Path, fink: Fink, tmp_path: Path) -> None:
    fink("query", "SELECT alert_id, ra, flux FROM alerts LIMIT 5", "--archive", archive, "-o", tmp_path / "some.vot")
    table = parse_single_table(io.BytesIO((tmp_path / "some.vot").read_bytes()))
    assert [str(field.unit) for field in table.fields[1:]] == ["deg", "nJy"]


def test_a_file_of_unknown_form_is_misuse(archive: Path, fink: Fink, tmp_path: Path) -> None:
    said = fink("night", 20251120, "--archive", archive, "-o", tmp_path / "night.xyz")
    assert said.status in (1, 2)
    assert "xyz" in said.words
    assert not (tmp_path / "night.xyz").exists()


def test_an_object_has_its_alerts_and_its_light_curve(archive: Path, fink: Fink, busiest: dict[str, Any]) -> None:
    alerts = fink("object", busiest["object_id"], "--archive", archive, "--format", "json").document
    assert len(alerts) == busiest["n"] > 1
    assert {row["object_id"] for row in alerts} == {busiest["object_id"]}
    points = fink("object", busiest["object_id"], "--points", "--archive", archive, "--format", "json").document
    assert len(points) > len(alerts)
    assert [p["mjd"] for p in points] == sorted(p["mjd"] for p in points)
    assert busiest["object_id"] in fink("object", busiest["object_id"], "--archive", archive).words


def test_a_moving_object_is_found_by_its_designation(archive: Path, fink: Fink) -> None:
    sql = "SELECT sso_name AS name, count(*) AS n FROM alerts WHERE sso_name IS NOT NULL GROUP BY ALL ORDER BY n DESC, name LIMIT 1"
    (most,) = fink("query", sql, "--archive", archive, "--format", "json").document
    alerts = fink("object", most["name"], "--archive", archive, "--format", "json").document
    assert len(alerts) == most["n"] > 0


@pytest.mark.parametrize("options", [(), ("--points",), ("--survey", "lsst")])
def test_an_object_that_is_not_there_is_a_failure(options: tuple[str, ...], archive: Path, fink: Fink) -> None:
    said = fink("object", "ZTF99nothing", *options, "--archive", archive)
    assert said.status == 1
    assert "no object ZTF99nothing" in said.words


def test_a_cone_gives_what_is_near_nearest_first(archive: Path, fink: Fink) -> None:
    rows = fink("query", "SELECT alert_id, ra, dec FROM alerts", "--archive", archive, "--format", "json").document
    ra, dec = np.radians([[row["ra"] for row in rows], [row["dec"] for row in rows]])
    directions = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    near = directions.T @ directions > np.cos(np.radians(5.0))
    centre = int(np.argmax(near.sum(axis=0)))
    place = ("--archive", archive, "--format", "json", "--", rows[centre]["ra"], rows[centre]["dec"], 18000)
    found = fink("cone", *place).document
    assert {row["alert_id"] for row in found} == {rows[i]["alert_id"] for i in np.flatnonzero(near[centre])}
    distances = [row["separation"] for row in found]
    assert distances == sorted(distances)
    assert distances[0] < 1e-3 < distances[-1]
    assert fink("cone", "--stop", 1.0, *place).document == []


def test_a_cone_outside_of_the_sky_is_refused(archive: Path, fink: Fink) -> None:
    said = fink("cone", "--archive", archive, "--", 10, -91, 5)
    assert said.status in (1, 2)
    assert "-91" in said.words


def test_a_substream_gives_what_it_took(archive: Path, fink: Fink) -> None:
    taken = fink("ledger", "--archive", archive, "--format", "json").document["substreams"]["sso_ztf_candidates"]
    rows = fink("substream", "sso_ztf_candidates", "--archive", archive, "--format", "json").document
    assert len(rows) == taken > 2
    assert [row["mjd"] for row in rows] == sorted((row["mjd"] for row in rows), reverse=True)
    two = fink("substream", "sso_ztf_candidates", "--limit", 2, "--archive", archive, "--format", "json").document
    assert [row["alert_id"] for row in two] == [row["alert_id"] for row in rows[:2]]


def test_a_mistyped_substream_is_offered_the_nearest(archive: Path, fink: Fink) -> None:
    said = fink("substream", "fast_riser", "--archive", archive)
    assert said.status == 1
    assert "did you mean fast_risers?" in said.words


def test_a_night_without_alerts_is_empty(archive: Path, fink: Fink) -> None:
    said = fink("night", 20200101, "--archive", archive, "--format", "json")
    assert (said.status, said.document) == (0, [])


def test_a_person_sees_few_columns_and_few_rows_and_is_told_of_the_rest(archive: Path, fink: Fink) -> None:
    first = nights("ztf", 2, 150)[0]
    said = fink("night", first.night, "--archive", archive)
    assert f"… {len(first.packets) - 50} more rows" in said.words
    assert "light_curve_features_status" not in said.words
