"""Full rows are found in the lake wherever they lie: in a segment, or in any row group of a Parquet file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pytest

from fink.archive.lake import Lake
from fink.archive.lookups import alert_columns, commit_part, find_alerts, find_rows
from fink.archive.segments import FileRecord
from fink.codecs.parquet import write_parquet
from fink.errors import ArchiveError, NotFoundError
from unit.archive.lake_samples import NIGHT, Published, alert_rows, point_rows

PARQUET = "lake/rows-test.parquet"


def with_parquet(folder: Path) -> Published:
    """Make a lake of five commits: three lie in a Parquet file of small row groups, two in a segment."""
    published = Published(folder)
    for number in (4, 5):
        published.commit(number)
    table = pa.concat_tables([alert_rows(number) for number in (1, 2, 3)])
    length = write_parquet(folder / PARQUET, table, sort_by=("object_id", "mjd"), row_group=7)
    published.records[PARQUET] = FileRecord("rows", "ztf", NIGHT, length, table.num_rows, "parquet", 1, 3)
    return published


def sample_values(table: pa.Table) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = table.select(alert_rows(1).column_names).to_pylist()
    return rows


def test_rows_come_in_the_order_asked_from_wherever_they_lie(tmp_path: Path) -> None:
    published = with_parquet(tmp_path)
    whole = {row["alert_id"]: row for number in range(1, 6) for row in alert_rows(number).to_pylist()}
    asked = [5003, 995, 2990, 4000, 3009, 990, 1009]
    found = find_rows(published.lake, published.records, "ztf", NIGHT, asked)
    assert sample_values(found) == [whole[number] for number in asked]
    everything = list(whole)[::-1]
    assert sample_values(find_rows(published.lake, published.records, "ztf", NIGHT, everything)) == [whole[i] for i in everything]


def test_what_is_not_there_is_left_out(tmp_path: Path) -> None:
    published = with_parquet(tmp_path)
    found = find_rows(published.lake, published.records, "ztf", NIGHT, [77, 4001, 88])
    assert found["alert_id"].to_pylist() == [4001]
    for survey, night, ids in (("lsst", NIGHT, [4001]), ("ztf", NIGHT + 1, [4001]), ("ztf", NIGHT, [77]), ("ztf", NIGHT, [])):
        nothing = find_rows(published.lake, published.records, survey, night, ids)
        assert nothing.num_rows == 0
        assert {"alert_id", "mjd", "commit"} <= set(nothing.column_names)


def test_alerts_of_several_nights_come_in_the_order_asked(tmp_path: Path) -> None:
    published = with_parquet(tmp_path)
    whole = {row["alert_id"]: row for number in range(1, 6) for row in alert_rows(number).to_pylist()}
    ids = [5003, 995, 77, 2990, 4000]
    asked = pa.table({"survey": ["ztf"] * 5, "night": pa.array([NIGHT, NIGHT, NIGHT + 1, NIGHT, NIGHT], pa.int32()), "alert_id": ids})
    found = find_alerts(published.lake, published.records, asked)
    assert sample_values(found) == [whole[number] for number in ids if number != 77]
    narrow = find_alerts(published.lake, published.records, asked, ["mjd", "alert_id", "no_such"])
    assert narrow.column_names == ["mjd", "alert_id"]
    assert narrow["mjd"].to_pylist() == [whole[number]["mjd"] for number in ids if number != 77]
    assert find_alerts(published.lake, published.records, asked.slice(0, 0), ["mjd"]).num_rows == 0


@pytest.mark.parametrize("commit", [2, 5])
def test_one_commit_is_searched_where_it_is_known(tmp_path: Path, commit: int) -> None:
    published = with_parquet(tmp_path)
    # the file that cannot hold the commit is gone: who looks into it fails
    other = next(name for name, r in published.records.items() if r.kind == "rows" and not r.first_commit <= commit <= r.last_commit)
    (tmp_path / other).unlink()
    lake = Lake(tmp_path, writable=False)
    number = 1000 * commit + 3
    assert find_rows(lake, published.records, "ztf", NIGHT, [number], commits=(commit,))["alert_id"].to_pylist() == [number]
    with pytest.raises((ArchiveError, NotFoundError)):
        find_rows(lake, published.records, "ztf", NIGHT, [number])


@pytest.mark.parametrize("commit", [1, 3, 4])
def test_the_part_of_one_commit_is_whole(tmp_path: Path, commit: int) -> None:
    published = with_parquet(tmp_path)
    rows = commit_part(published.lake, published.records, "rows", "ztf", NIGHT, commit)
    expected = alert_rows(commit).sort_by("alert_id").to_pylist()
    assert sample_values(rows.sort_by("alert_id")) == expected
    if commit < 4:
        named = [name for name in rows["object_id"].to_pylist() if name is not None]
        assert named == sorted(named), "a compacted part comes sorted by object"


def test_points_of_a_commit_are_found_among_points(tmp_path: Path) -> None:
    published = with_parquet(tmp_path)
    points = commit_part(published.lake, published.records, "points", "ztf", NIGHT, 4)
    assert points.select(point_rows(4).column_names).to_pylist() == point_rows(4).to_pylist()
    assert commit_part(published.lake, published.records, "points", "ztf", NIGHT, 1).num_rows == 0


@pytest.mark.parametrize(("state", "there"), [("parquet", 20), ("dropped", 0)])
def test_a_dropped_file_is_not_read(tmp_path: Path, state: Literal["parquet", "dropped"], there: int) -> None:
    published = with_parquet(tmp_path)
    published.records[PARQUET] = replace(published.records[PARQUET], state=state)
    assert commit_part(published.lake, published.records, "rows", "ztf", NIGHT, 2).num_rows == there


def test_some_columns_are_given_of_every_alert_whatever_form_its_file_has(tmp_path: Path) -> None:
    published = with_parquet(tmp_path)
    parts = list(alert_columns(published.lake, published.records, ["mjd", "alert_id", "no_such_column"], rows=5))
    whole = pa.concat_tables([alert_rows(number) for number in (1, 2, 3, 4, 5)])
    assert {record.state for record in published.records.values() if record.kind == "rows"} > {"parquet"}
    assert all(part.num_rows and set(part.column_names) == {"mjd", "alert_id"} for part in parts)
    found = pa.concat_tables([part.select(["alert_id", "mjd"]) for part in parts]).sort_by("alert_id")
    assert found.to_pylist() == whole.select(["alert_id", "mjd"]).sort_by("alert_id").to_pylist()
