"""Compaction: the same alerts before and after, whatever moment the process dies at."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fink.archive import compaction
from fink.archive.compaction import Change, Compactor, compact, plan_compactions
from fink.archive.lookups import commit_part, find_rows
from fink.columns import Column
from fink.errors import ArchiveError
from unit.archive.lake_samples import NIGHT, Published, alert_rows, everything, point_rows


@pytest.fixture
def index(tmp_path: Path) -> Published:
    """Seven commits of 20 alerts: three closed segments of each kind, and an open one."""
    index = Published(tmp_path, compact_rows=40)
    index.lake._limits["points"] = 100
    for commit in range(1, 8):
        index.commit(commit)
    return index


def run_all(index: Published, **options: bool) -> list[Change]:
    changes = [compact(index.lake, job, {}) for job in plan_compactions(index.lake.records(), **options)]
    for change in changes:
        index.lake.adopt(change.added, change.replaced, at=7)
    index.publish()
    return changes


def test_nothing_is_lost_and_nothing_doubled(index: Published) -> None:
    before = {kind: everything(index.lake, index.records, kind) for kind in ("rows", "points")}
    changes = run_all(index)
    assert [len(change.replaced) for change in changes] == [3, 3]
    after = {kind: everything(index.lake, index.records, kind) for kind in ("rows", "points")}
    assert after == before
    assert before["rows"].num_rows == 140
    assert plan_compactions(index.records) == []
    assert index.lake.verify(index.records) == []


def test_files_are_sorted_by_object_and_time(index: Published) -> None:
    run_all(index)
    for kind, keys in (("rows", ["object_id", "mjd", "alert_id"]), ("points", ["object_id", "mjd"])):
        (name,) = [name for name, r in index.records.items() if r.kind == kind and r.state == "parquet"]
        table = pq.read_table(index.folder / name)
        assert table.select(keys).equals(table.sort_by([(key, "ascending") for key in keys]).select(keys))
        assert table.num_rows == index.records[name].rows
        assert (index.folder / name).stat().st_size == index.records[name].length
        assert name.startswith(f"lake/survey=ztf/night={NIGHT}/")


def test_the_order_of_commits_does_not_show(tmp_path: Path) -> None:
    """The same alerts, split over commits in another way, give the same file but for the commit numbers."""
    files = []
    for split in ([20, 20], [5, 35]):
        index = Published(tmp_path / str(split[0]))
        table, points, start = pa.concat_tables([alert_rows(1), alert_rows(2)]).drop_columns("commit"), point_rows(1), 0
        for number, size in enumerate(split, 1):
            index.lake.append_rows("ztf", NIGHT, table.slice(start, size), commit=number)
            index.lake.append_points("ztf", NIGHT, points.slice(start, size), commit=number)
            start += size
        index.lake.close_segments()
        index.publish()
        run_all(index)
        files.append({r.kind: (index.folder / name).read_bytes() for name, r in index.records.items() if r.state == "parquet"})
    assert files[0] == files[1]
    assert set(files[0]) == {"rows", "points"}


@pytest.mark.parametrize("step", ["aside", "written", "adopted", "published", "purged", "forgotten"])
def test_a_crash_at_any_step_loses_and_doubles_nothing(index: Published, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {kind: everything(index.lake, index.records, kind) for kind in ("rows", "points")}
    jobs = plan_compactions(index.lake.records())
    if step == "aside":
        (index.folder / jobs[0].target).parent.mkdir(parents=True)
        (index.folder / f"{jobs[0].target}.part").write_bytes(b"half a file")
    else:
        changes = [compact(index.lake, job, {}) for job in jobs]
    if step in ("adopted", "published", "purged", "forgotten"):
        for change in changes:
            index.lake.adopt(change.added, change.replaced, at=7)
    if step in ("published", "purged", "forgotten"):
        index.publish()
    if step in ("purged", "forgotten"):
        assert len(index.lake.purge(before=8, delivered=7)) == 6
    if step == "forgotten":
        index.publish()
    lake = index.open()
    index.publish()
    assert {kind: everything(lake, index.records, kind) for kind in ("rows", "points")} == before
    assert index.files() == set(index.records)
    assert lake.verify(index.records) == []
    run_all(index)
    assert {kind: everything(lake, index.records, kind) for kind in ("rows", "points")} == before
    assert len([r for r in index.records.values() if r.state == "parquet"]) == 2


def test_rolling_back_a_change_that_could_not_be_published(index: Published) -> None:
    before = everything(index.lake, index.records, "rows")
    for job in plan_compactions(index.lake.records()):
        change = compact(index.lake, job, {})
        index.lake.adopt(change.added, change.replaced, at=7)
    index.lake.roll_back()
    assert index.lake.records() == index.records
    assert everything(index.lake, index.lake.records(), "rows") == before
    assert index.files() == set(index.records)


@pytest.mark.parametrize(("before", "delivered", "left"), [(7, 99, 6), (8, 99, 0), (8, 4, 2), (8, 0, 6)])
def test_replaced_files_stay_for_readers_and_followers(index: Published, before: int, delivered: int, left: int) -> None:
    run_all(index)
    index.lake.purge(before=before, delivered=delivered)
    index.publish()
    dropped = [name for name, record in index.records.items() if record.state == "dropped"]
    assert len(dropped) == left
    assert index.files() == set(index.records)


def test_what_is_dropped_is_not_removed_before_that_is_published(index: Published) -> None:
    for job in plan_compactions(index.lake.records()):
        change = compact(index.lake, job, {})
        index.lake.adopt(change.added, change.replaced, at=7)
    assert index.lake.purge(before=99, delivered=99) == []


def test_many_small_files_become_one(index: Published) -> None:
    before = everything(index.lake, index.records, "rows")
    for commit in range(8, 26):
        index.commit(commit)
        run_all(index)
    parquet = [record for record in index.records.values() if record.kind == "rows" and record.state == "parquet"]
    assert 1 < len(parquet) <= compaction.SMALL_FILES
    assert max(record.rows for record in parquet) >= 9 * 40
    index.lake.close_segments()
    run_all(index, everything=True)
    run_all(index, everything=True)
    (whole,) = [record for record in index.records.values() if record.kind == "rows" and record.state == "parquet"]
    assert (whole.rows, whole.first_commit, whole.last_commit) == (500, 1, 25)
    assert plan_compactions(index.records, everything=True) == []
    now = everything(index.lake, index.records, "rows")
    assert now.num_rows == 500
    assert set(before["alert_id"].to_pylist()) < set(now["alert_id"].to_pylist())


def test_files_do_not_grow_without_bound(index: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "ROWS_IN_FILE", {"rows": 80, "points": 10_000})
    jobs = [job for job in plan_compactions(index.records) if job.kind == "rows"]
    assert [len(job.files) for job in jobs] == [2, 1]
    assert len({job.target for job in jobs}) == 2


def test_a_column_that_came_later_is_missing_before(tmp_path: Path) -> None:
    index = Published(tmp_path)
    index.lake.append_rows("ztf", NIGHT, alert_rows(1), commit=1)
    index.lake.append_rows("ztf", NIGHT, alert_rows(2, rise_rate=pa.array([0.5] * 20, pa.float32())), commit=2)
    index.lake.close_segments()
    index.publish()
    rise_rate = Column("rise_rate", pa.float32(), "mag / d", "phot.mag;arith.rate", "slope of magnitude against time")
    (job,) = plan_compactions(index.records)
    change = compact(index.lake, job, {"rise_rate": rise_rate})
    table = pq.read_table(index.folder / next(iter(change.added)))
    assert table["rise_rate"].null_count == 20
    assert table.schema.field("rise_rate").metadata[b"unit"] == b"mag / d"
    assert table.schema.field("mjd").metadata[b"ucd"] == b"time.epoch;meta.main"


def test_a_damaged_segment_is_not_compacted(index: Published) -> None:
    (job, _) = plan_compactions(index.records)
    with (index.folder / job.files[1]).open("r+b") as file:
        file.seek(-300, 2)
        file.write(b"\xff" * 8)
    with pytest.raises(ArchiveError, match="checksum"):
        compact(index.open(), job, {})
    assert not (index.folder / job.target).exists()


def test_appending_goes_on_while_compacting(index: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    began, may_end = threading.Event(), threading.Event()

    def slow(*args: object, **kwargs: object) -> Change:
        began.set()
        assert may_end.wait(30)
        return compact(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(compaction, "compact", slow)
    compactor = Compactor(index.lake, {})
    assert compactor.advance() is None
    assert began.wait(30)
    index.commit(8)
    assert compactor.advance() is None, "the job is still running"
    may_end.set()
    change = compactor.advance(wait=True)
    assert change is not None
    index.lake.adopt(change.added, change.replaced, at=8)
    index.publish()
    compactor.close()
    (made,) = [record for record in index.records.values() if record.state == "parquet"]
    assert (made.first_commit, made.last_commit) == (1, 6)
    assert everything(index.lake, index.records, made.kind).num_rows == (8 * 20 if made.kind == "rows" else 8 * 50)


def test_a_job_that_fails_does_not_hold_up_the_others(index: Published) -> None:
    (points, rows) = plan_compactions(index.records)
    with (index.folder / points.files[0]).open("r+b") as file:
        file.write(b"\xff" * 8)
    compactor = Compactor(index.lake, {})
    with pytest.raises(ArchiveError, match=points.files[0]):
        compactor.advance(wait=True)
    change = compactor.advance(wait=True)
    assert change is not None
    assert set(change.added) == {rows.target}
    compactor.close()


def test_rows_are_found_wherever_they_lie(index: Published) -> None:
    wanted = [3005, 7003, 999_999, 990, 1005]
    before = find_rows(index.lake, index.records, "ztf", NIGHT, wanted)
    assert before["alert_id"].to_pylist() == [3005, 7003, 990, 1005]
    run_all(index)
    after = find_rows(index.lake, index.records, "ztf", NIGHT, wanted)
    assert after.to_pylist() == before.to_pylist()
    assert find_rows(index.lake, index.records, "ztf", NIGHT, [3005], commits=(3,)).num_rows == 1
    assert find_rows(index.lake, index.records, "ztf", NIGHT, [3005], commits=(99,)).num_rows == 0
    assert find_rows(index.lake, index.records, "lsst", NIGHT, [3005]).num_rows == 0
    assert find_rows(index.lake, index.records, "ztf", NIGHT, []).num_rows == 0


def test_rows_are_found_in_the_right_row_group(index: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "_ROW_GROUP", {"rows": 7, "points": 7})
    run_all(index)
    (name,) = [name for name, r in index.records.items() if r.kind == "rows" and r.state == "parquet"]
    assert pq.ParquetFile(index.folder / name).metadata.num_row_groups == 18
    ids = [1000 * commit + i for commit in (6, 2, 4) for i in (9, -10, 0)]
    found = find_rows(index.lake, index.records, "ztf", NIGHT, ids)
    assert found["alert_id"].to_pylist() == ids
    expected = {row["alert_id"]: row for commit in (2, 4, 6) for row in alert_rows(commit).to_pylist()}
    assert found.select(alert_rows(2).column_names).to_pylist() == [expected[i] for i in ids]


@pytest.mark.parametrize("kind", ["rows", "points"])
def test_a_commit_is_read_back_before_and_after(index: Published, kind: str) -> None:
    made = alert_rows(4) if kind == "rows" else point_rows(4)
    expected = sorted(map(str, made.to_pylist()))
    for _ in range(2):
        part = commit_part(index.lake, index.records, kind, "ztf", NIGHT, 4)  # type: ignore[arg-type]
        assert sorted(map(str, part.select(made.column_names).to_pylist())) == expected
        run_all(index)
    assert not [r for r in index.records.values() if r.state == "closed" and r.kind == kind]


def test_a_record_that_is_dropped_is_not_planned(index: Published) -> None:
    records = {name: replace(record, state="dropped") for name, record in index.records.items()}
    assert plan_compactions(records) == []
