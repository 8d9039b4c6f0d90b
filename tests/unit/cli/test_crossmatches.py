"""Users' tables against the archive, on the command line."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from command_line import Fink


def test_an_upload_is_matched_both_ways(own: Path, sources: Path, fink: Fink, tmp_path: Path) -> None:
    said = fink("crossmatch", sources, "--radius", "1", "--archive", own, "-o", tmp_path / "pairs.parquet")
    assert "20 of 20 rows have alerts" in said.words
    pairs = pl.read_parquet(tmp_path / "pairs.parquet")
    assert (pairs["object_id"] == pairs["upload_name"]).all()
    back = fink(
        "crossmatch", sources, "--radius", "1", "--each", "alert", "--columns", "seeing", "--archive", own, "--format", "json"
    ).document
    assert {(row["row"], row["alert_id"]) for row in back} == set(pairs.select("row", "alert_id").iter_rows())
    assert "seeing" in back[0]
    one = fink("crossmatch", sources, "--radius", "1", "--nearest", "--archive", own, "--format", "json").document
    assert [row["row"] for row in one] == list(range(1, 21))
    assert fink("crossmatch", sources, "--each", "star", "--radius", "1", "--archive", own).status == 2
