"""Tables without an archive: decode, and enrich packets and light-curve tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from pyarrow import csv, feather

from command_line import Fink
from fink import science
from fink.cli import tables
from fink.codecs.containers import container_of
from fink.services.lightcurve_tables import ENDINGS
from kafka_fixture import Kafka
from lightcurve_tables import supernovae
from simulated import nights

NIGHTS = nights("ztf", 2, 150)
TOTAL = sum(len(night.packets) for night in NIGHTS)
IDS = sorted(np.concatenate([night.truth["alert_id"].to_numpy() for night in NIGHTS]).tolist())


@pytest.fixture
def curves(tmp_path: Path) -> Path:
    """The same light curves in every form."""
    table = supernovae(7, 20)
    csv.write_csv(table, tmp_path / "curves.csv")
    pq.write_table(table, tmp_path / "curves.parquet")
    for ending in (".arrow", ".feather"):
        feather.write_feather(table, tmp_path / f"curves{ending}")
    return tmp_path


def test_decoded_alerts_carry_their_light_curves_and_no_science(packets: Path, fink: Fink, tmp_path: Path) -> None:
    document = fink("decode", packets, "-o", "night.parquet", "--format", "json").document
    assert (document["alerts"], document["unreadable"], document["surveys"]) == (TOTAL, 1, ["ztf"])
    assert document["unreadable_items"][0]["source"].endswith("junk.avro")
    table = pq.read_table(tmp_path / "night.parquet")
    assert sorted(table["alert_id"].to_pylist()) == IDS
    added = {column.name for module in science.registry().values() for column in module.outputs}
    assert not added & set(table.column_names)
    assert not (tmp_path / "fink-archive").exists()


def test_a_person_is_told_what_was_unreadable(packets: Path, fink: Fink) -> None:
    said = fink("decode", packets, "-o", "night.parquet")
    assert said.status == 0
    assert f"alerts {TOTAL}" in said.words
    assert "junk.avro" in said.err.replace("\n", "")


def test_enriched_alerts_have_the_columns_of_the_chosen_modules(packets: Path, fink: Fink, tmp_path: Path) -> None:
    document = fink("enrich", packets, "-o", "rich.parquet", "--modules", "magnitude_rate, data_quality", "--format", "json").document
    assert document["alerts"] == TOTAL
    names = set(pq.read_schema(tmp_path / "rich.parquet").names)
    wanted = {column.name for name in ("magnitude_rate", "data_quality") for column in science.registry()[name].outputs}
    assert wanted <= names
    assert not {column.name for column in science.registry()["period"].outputs} & names
    wrong = fink("enrich", packets, "-o", "rich.parquet", "--modules", "colr")
    assert wrong.status == 2
    assert "did you mean colour?" in wrong.words


@pytest.mark.parametrize("ending", tables.TABLES)
def test_light_curves_become_a_row_for_each_object(ending: str, curves: Path, fink: Fink) -> None:
    document = fink("enrich", f"curves{ending}", "-o", "rich.parquet", "--modules", "colour,rainbow", "--format", "json").document
    assert {name: document[name] for name in ("rows", "objects", "points", "file")} == {
        "rows": 7,
        "objects": 7,
        "points": 140,
        "file": "rich.parquet",
    }
    found = pq.read_table(curves / "rich.parquet")
    assert found["object_id"].to_pylist() == [f"sn{i:05d}" for i in range(7)]
    assert found["rainbow_peak_mjd"].null_count < 7


def test_light_curves_can_become_a_row_for_each_detection(curves: Path, fink: Fink) -> None:
    document = fink("enrich", "curves.csv", "-o", "rich.parquet", "--each", "epoch", "--modules", "colour", "--format", "json").document
    table = pq.read_table(curves / "curves.parquet")
    assert document["rows"] == (np.abs(table["flux"].to_numpy()) >= 5.0 * table["flux_err"].to_numpy()).sum() > 7


def test_a_person_is_told_which_modules_did_not_run(curves: Path, fink: Fink) -> None:
    said = fink("enrich", "curves.csv", "curves.parquet", "-o", "rich.parquet")
    assert said.status == 0
    assert "points 280" in said.words
    assert "sky_position" in said.err.partition("(it needs ra or dec, which the table lacks)")[0].splitlines()[-1]
    assert "not run" not in fink("enrich", "curves.csv", "-o", "rich.parquet", "--modules", "rainbow").words
    document = fink("enrich", "curves.csv", "-o", "rich.parquet", "--format", "json").document
    assert document["not_run"]["stamp_shape"].startswith("it needs stamps")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("curves.csv", "packets"), 2, "enrich them into two files"),
        (("nowhere.csv",), 1, "there is no file nowhere.csv"),
        (("curves.csv", "--survey", "ztf"), 1, "band is z in row"),
        (("curves.csv", "--modules", "hostless"), 2, "science module hostless cannot run on this table"),
        (("curves.csv", "--each", "night"), 2, "'object', 'epoch'"),
    ],
)
def test_light_curves_that_cannot_be_enriched_say_why(arguments: tuple[str, ...], status: int, said: str, curves: Path, fink: Fink) -> None:
    answer = fink("enrich", *arguments, "-o", "rich.parquet")
    assert answer.status == status
    assert said in answer.words
    assert not (curves / "rich.parquet").exists()


def test_every_ending_of_a_table_is_known_to_the_command() -> None:
    assert tables.TABLES == ENDINGS


def test_topics_are_decoded_and_enriched(kafka: Kafka, fink: Fink, tmp_path: Path) -> None:
    night = nights("ztf", 2, 150)[0].packets
    topic = kafka.topic(partitions=2)
    for row in range(30):
        kafka.produce(topic, [container_of(night.schemas[night.schema[row]], night.body(row))], partition=row % 2)
    kafka.produce(topic, [b"no packet"])
    source = f"kafka://{kafka.bootstrap}/{topic}"
    said = fink("decode", source, "-o", tmp_path / "decoded.parquet", "--format", "json").document
    assert (said["alerts"], said["unreadable"]) == (30, 1)
    said = fink("enrich", source, "-o", tmp_path / "enriched.parquet", "--modules", "magnitude_rate", "--format", "json").document
    assert said["alerts"] == 30
    decoded, enriched = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("decoded", "enriched"))
    assert sorted(decoded["alert_id"].to_pylist()) == sorted(enriched["alert_id"].to_pylist())
    assert "mag_rate" in enriched.column_names
    refused = fink("decode", source, tmp_path, "-o", tmp_path / "both.parquet")
    assert refused.status == 2
    assert "write them into two files" in refused.words
