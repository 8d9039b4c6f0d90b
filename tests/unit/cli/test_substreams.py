"""Users' filters, watchlists, areas and uploads on the command line."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from command_line import Fink


def test_a_filter_from_its_creation_to_its_end(own: Path, fink: Fink) -> None:
    where = ("--archive", own, "--owner", "ana")
    made = fink("filter", "create", "my_bright", "mag < 19", "--most", "500", "--survey", "ztf", *where, "--format", "json").document
    assert (made["version"], made["state"], made["most_per_night"], made["surveys"]) == (1, "on", 500, ["ztf"])
    assert made["topics"] == ["fink_my_bright_ztf"]
    tried = fink("filter", "test", "my_bright", "--archive", own, "--format", "json").document
    assert made["last_month"] == tried["selected"] > 0
    said = fink("filter", "edit", "my_bright", "mag < 18", "--about", "the bright ones", *where)
    assert "a run selects with version 2 from its next commit on" in said.words
    assert [row["where"] for row in fink("filter", "versions", "my_bright", "--archive", own, "--format", "json").document] == [
        "mag < 19",
        "mag < 18",
    ]
    assert "my_bright 2 ana filter on mag < 18 0" in fink("filter", "list", "--archive", own).words
    assert "the bright ones" in fink("filter", "show", "my_bright", "--archive", own).words
    assert fink("substream", "my_bright", "--archive", own, "--format", "json").document == []
    shown = fink("filter", "show", "my_bright", "--archive", own, "--format", "json").document
    assert (shown["version"], shown["owner"], shown["columns"]) == (2, "ana", ["mag"])
    for word, state in (("off", "off"), ("on", "on")):
        assert fink("filter", word, "my_bright", *where, "--format", "json").document["state"] == state
        (listed,) = (r for r in fink("filter", "list", "--archive", own, "--format", "json").document if r["owner"] == "ana")
        assert listed["state"] == state
    assert fink("filter", "remove", "my_bright", *where).status == 0
    assert "my_bright" not in fink("filter", "list", "--archive", own).words


def test_what_is_refused_is_told_with_the_remedy(own: Path, fink: Fink) -> None:
    answer = fink("filter", "create", "mine", "magg < 19", "--archive", own)
    assert (answer.status, "did you mean mag" in answer.words) == (2, True)
    answer = fink("filter", "create", "mine", "mag < 30", "--most", "3", "--archive", own)
    assert (answer.status, "3 is its limit; narrow it" in answer.words) == (1, True)
    answer = fink("filter", "create", "mine", "mag < 19", "--set", "users.microseconds=0.0001", "--archive", own)
    assert (answer.status, "make it simpler" in answer.words) == (1, True)
    assert fink("filter", "on", "mine", "--archive", own).status == 1
    assert fink("filter", "create", "mine", "mag < 19", "--archive", "nowhere").status == 1


def test_a_watchlist_is_tried_made_and_given_other_positions(own: Path, sources: Path, fink: Fink) -> None:
    tried = fink("watchlist", "test", sources, "--radius", "1", "--archive", own, "--format", "json").document
    assert tried["entries"] == 20
    assert tried["selected"] >= 20
    assert tried["newest"][0]["entry"] == tried["newest"][0]["object_id"]
    made = fink("watchlist", "create", "my_list", sources, "--radius", "1", "--archive", own, "--format", "json").document
    assert (made["kind"], made["entries"], made["last_month"]) == ("watchlist", 20, tried["selected"])
    pl.read_csv(sources).head(5).with_columns(pl.lit(2.0).alias("radius")).write_parquet(sources.with_suffix(".parquet"))
    less = fink("watchlist", "edit", "my_list", sources.with_suffix(".parquet"), "--archive", own, "--format", "json").document
    assert (less["version"], less["entries"]) == (2, 5)
    assert less["last_month"] < made["last_month"]
    answer = fink("watchlist", "create", "other", sources, "--archive", own)
    assert (answer.status, "--radius" in answer.words) == (2, True)


def test_an_area_is_tried_and_made(own: Path, fink: Fink, tmp_path: Path) -> None:
    (tmp_path / "north.txt").write_text("0/0-3")
    tried = fink("area", "test", tmp_path / "north.txt", "--archive", own, "--format", "json").document
    made = fink("area", "create", "north", tmp_path / "north.txt", "--where", "positive", "--archive", own, "--format", "json").document
    assert 0 < made["last_month"] < tried["selected"]
    assert tried["square_degrees"] == pytest.approx(41252.96 / 3, rel=1e-4)
    (tmp_path / "sky.json").write_text('{"0": [0,1,2,3,4,5,6,7,8,9,10,11]}')
    larger = fink("area", "edit", "north", tmp_path / "sky.json", "--archive", own, "--format", "json").document
    assert larger["last_month"] > made["last_month"]
    assert larger["where"] == "positive"
