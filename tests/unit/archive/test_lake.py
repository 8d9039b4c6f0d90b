"""The lake: what is published survives everything, what is not leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fink.archive.lake import Lake, segment_name
from fink.archive.segments import FileRecord
from fink.commits import SegmentSpan
from fink.errors import ArchiveError, NotFoundError
from unit.archive.lake_samples import NIGHT, Published, alert_rows, everything, point_rows, some_packets


def append_all(lake: Lake, commit: int, night: int = NIGHT) -> None:
    lake.append_rows("ztf", night, alert_rows(commit), commit=commit)
    lake.append_points("ztf", night, point_rows(commit), commit=commit)
    lake.append_packets("packets", "ztf", night, some_packets(commit, schemas=(b"{}", b'{"only in": %d}' % commit)), commit=commit)
    lake.append_packets("selected", "ztf", night, some_packets(commit, 2), commit=commit)
    lake.append_quarantine([b"broken"] * commit, commit=commit)


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    lake = Lake(tmp_path, writable=True)
    rows = [lake.append_rows("ztf", NIGHT, alert_rows(n), commit=n) for n in (1, 2)]
    points = [lake.append_points("ztf", NIGHT, point_rows(n), commit=n) for n in (1, 2)]
    quarantined = lake.append_quarantine([b"one", b"", b"three"], commit=2)
    lake.sync()
    assert [lake.read_rows(span) for span in rows] == [alert_rows(1), alert_rows(2)]
    assert [lake.read_points(span) for span in points] == [point_rows(1), point_rows(2)]
    assert [lake.read_bytes(span) for span in quarantined] == [b"one", b"", b"three"]
    assert len(lake.records()) == 3
    assert {record.rows for record in lake.records().values()} == {40, 100, 3}


def test_packets_are_read_one_by_one_and_together(tmp_path: Path) -> None:
    lake = Lake(tmp_path, writable=True)
    packets = some_packets(1)
    span, offsets, lengths = lake.append_packets("packets", "ztf", NIGHT, packets, commit=1)
    lake.sync()
    for i in range(len(packets)):
        assert lake.read_packet(span.name, int(offsets[i]), int(lengths[i])) == (packets.body(i), packets.schemas[packets.schema[i]])
        assert lake.read_bytes(SegmentSpan(span.name, int(offsets[i]), int(offsets[i] + lengths[i]))) == packets.body(i)
    found = lake.read_packets(span.name, offsets[::-1], lengths[::-1])
    assert [found.body(i) for i in range(5)] == [packets.body(4 - i) for i in range(5)]
    assert len(lake.read_packets(span.name, np.zeros(0, np.int64), np.zeros(0, np.int64))) == 0


@pytest.mark.parametrize("step", ["appended", "synced"])
def test_a_crash_before_publishing_leaves_nothing(tmp_path: Path, step: str) -> None:
    index = Published(tmp_path)
    append_all(index.lake, 1)
    index.publish()
    before = {name: (tmp_path / name).read_bytes() for name in index.files()}
    append_all(index.lake, 2)
    append_all(index.lake, 3, night=NIGHT + 1)
    if step == "synced":
        index.lake.sync()
    lake = index.open()
    assert {name: (tmp_path / name).read_bytes() for name in index.files()} == before
    assert lake.records() == index.records
    assert lake.verify(index.records) == []


KILLED = """
import json, os, sys
from pathlib import Path
from unit.archive.lake_samples import Published
from unit.archive.test_lake import append_all
index = Published(Path(sys.argv[1]))
append_all(index.lake, 1)
index.publish()
Path(sys.argv[2]).write_text(json.dumps({name: record.to_bytes().decode() for name, record in index.records.items()}))
append_all(index.lake, 2)
index.lake.sync()
os.abort()
"""


def test_a_killed_writer_repeats_to_the_same_bytes(tmp_path: Path) -> None:
    """A process that dies in the middle of a commit, then repeats it, ends as one that never died."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "killed", tmp_path / "records"], env=environment, check=False)
    assert done.returncode == -signal.SIGABRT
    written = {name: FileRecord.from_bytes(text) for name, text in json.loads((tmp_path / "records").read_text()).items()}
    killed, whole = Published(tmp_path / "killed", records=written), Published(tmp_path / "whole")
    append_all(killed.lake, 2)
    killed.publish()
    for commit in (1, 2):
        append_all(whole.lake, commit)
        whole.publish()
    assert killed.records == whole.records
    assert killed.files() == whole.files()
    for name in whole.files():
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_rolling_back_is_as_if_never_tried(tmp_path: Path) -> None:
    index = Published(tmp_path, compact_rows=20)
    append_all(index.lake, 1)
    index.publish()
    before = {name: (tmp_path / name).read_bytes() for name in index.files()}
    append_all(index.lake, 2, night=NIGHT + 1)
    append_all(index.lake, 2)
    index.lake.sync()
    index.lake.roll_back()
    assert index.lake.records() == index.records
    assert {name: (tmp_path / name).read_bytes() for name in index.files()} == before
    span, offsets, lengths = index.lake.append_packets("packets", "ztf", NIGHT, some_packets(9, schemas=(b'{"only in": 2}',)), commit=2)
    index.lake.sync()
    assert index.lake.read_packet(span.name, int(offsets[1]), int(lengths[1]))[1] == b'{"only in": 2}'
    index.publish()
    assert index.lake.verify(index.records) == []


@pytest.mark.parametrize("damage", ["shorter", "absent"])
def test_a_lost_file_is_named(tmp_path: Path, damage: str) -> None:
    index = Published(tmp_path)
    index.commit(1)
    name = next(name for name in index.records if name.startswith("segments/points"))
    if damage == "shorter":
        os.truncate(tmp_path / name, index.records[name].length - 1)
    else:
        (tmp_path / name).unlink()
    with pytest.raises(ArchiveError, match=name):
        index.open()
    assert len(index.lake.verify(index.records)) == 1


def test_recovering_forgets_what_was_under_way(tmp_path: Path) -> None:
    index = Published(tmp_path)
    index.commit(1)
    append_all(index.lake, 2)
    index.lake.recover(index.records)
    assert index.lake.unsettled() == {}
    index.lake.roll_back()
    append_all(index.lake, 2)
    index.publish()
    assert index.lake.verify(index.records) == []
    assert everything(index.lake, index.records, "rows").num_rows == 40


def test_verify_names_the_damaged_file_and_commit(tmp_path: Path) -> None:
    index = Published(tmp_path)
    index.commit(1)
    index.commit(2)
    name = next(name for name, record in index.records.items() if record.kind == "rows")
    with (tmp_path / name).open("r+b") as file:
        file.seek(index.records[name].length - 200)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 255]))
    (problem,) = Lake(tmp_path, writable=False).verify(index.records)
    assert name in problem
    assert "commit 2" in problem


def test_full_segments_and_earlier_nights_are_closed(tmp_path: Path) -> None:
    index = Published(tmp_path, compact_rows=40)
    for commit in range(1, 6):
        index.commit(commit)
    rows = {name: record for name, record in index.records.items() if record.kind == "rows"}
    assert [(record.state, record.first_commit, record.last_commit) for record in rows.values()] == [
        ("closed", 1, 2),
        ("closed", 3, 4),
        ("open", 5, 5),
    ]
    index.commit(6, night=NIGHT + 1)
    states = {(record.kind, record.night): record.state for record in index.records.values() if record.last_commit >= 5}
    assert {state for (_, night), state in states.items() if night == NIGHT} == {"closed"}
    assert {state for (_, night), state in states.items() if night == NIGHT + 1} == {"open"}
    index.commit(7)
    assert "segments/rows-ztf-20181129-000000007.arrow" in index.records, "a late alert begins a segment of its own"


def test_a_slow_stream_closes_segments_by_their_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fink.archive.lake.COMMITS_IN_SEGMENT", 3)
    index = Published(tmp_path)
    for commit in range(1, 8):
        index.commit(commit)
    closed = [record for record in index.records.values() if record.kind == "rows" and record.state == "closed"]
    assert [(record.first_commit, record.last_commit) for record in closed] == [(1, 3), (4, 6)]


def test_segments_close_by_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fink.archive.lake.BYTES_IN_SEGMENT", 1)
    index = Published(tmp_path)
    index.commit(1)
    index.commit(2)
    assert [r.state for r in index.records.values() if r.kind == "packets"] == ["closed", "open"]


def test_names_differ_between_everything_that_may_lie_side_by_side() -> None:
    names = [segment_name(k, s, n, c) for k in ("rows", "points") for s in ("ztf", "lsst") for n in (1, 2) for c in (1, 11)]
    assert len(set(names)) == 16
    assert segment_name("quarantine", "", 0, 3) == "segments/quarantine-000000003.bin"


def test_a_reader_follows_what_is_published(tmp_path: Path) -> None:
    index = Published(tmp_path)
    reader = Lake(tmp_path, writable=False)
    for commit in (1, 2, 3):
        index.commit(commit)
        assert everything(reader, index.records, "rows").num_rows == 20 * commit
    with pytest.raises(ArchiveError, match="open for reading"):
        reader.append_rows("ztf", NIGHT, alert_rows(4), commit=4)
    with pytest.raises(NotFoundError, match="no longer kept"):
        reader.read_rows(SegmentSpan("segments/rows-ztf-20181129-000000099.arrow", 0, 64))


def test_a_restart_goes_on_in_the_open_segment_and_writes_no_schema_twice(tmp_path: Path) -> None:
    index = Published(tmp_path)
    index.commit(1)
    index.open()
    index.commit(2)
    packets = [name for name, record in index.records.items() if record.kind == "packets"]
    assert len(packets) == 1
    assert (tmp_path / packets[0]).read_bytes().count(b'{"v": 22}') == 1
