"""Between commits: compaction beside the stream, retention, and files that stay while a reader may use them."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from fink.archive.embedded import EmbeddedArchive
from fink.archive.upkeep import COMMITS_BETWEEN
from fink.config import RetentionSettings
from unit.archive.outcomes import NIGHTS, SmallSky, create, outcome, reopen


def write_nights(archive: EmbeddedArchive, sky: SmallSky, size: int = 20, *, maintained: bool = True) -> None:
    for night in NIGHTS:
        sample = sky.night(night)
        for first in range(0, len(sample.batch), size):
            archive.apply(outcome(sample.take(np.arange(first, min(first + size, len(sample.batch))))))
            if maintained:
                archive.maintain()


def states(archive: EmbeddedArchive, kind: str) -> set[str]:
    return {record.state for record in archive.files().values() if record.kind == kind}


def test_compaction_beside_the_stream_changes_no_answer(tmp_path: Path) -> None:
    sky = SmallSky()
    with create(tmp_path / "still") as still, create(tmp_path / "busy", RetentionSettings(compact_rows=30)) as busy:
        write_nights(still, sky, maintained=False)
        write_nights(busy, sky)
        for _ in range(100):
            busy.maintain()
            time.sleep(0.01)
        assert "parquet" in states(busy, "rows")
        assert states(still, "rows") == {"open", "closed"}
        assert busy.verify() == []
        for table in ("alerts", "points"):
            names = sorted(still.sql(f"SELECT * FROM {table} LIMIT 0").column_names)
            ordered = f"SELECT {', '.join(names)} FROM {table} ORDER BY ALL"
            assert busy.sql(ordered).to_pylist() == still.sql(ordered).to_pylist()
        assert [commit.checksum for commit in busy.commits()] == [commit.checksum for commit in still.commits()]
    with reopen(tmp_path / "busy") as again:
        assert again.verify() == []


def test_replaced_files_stay_while_a_reader_answers_from_them(tmp_path: Path) -> None:
    sky = SmallSky()
    with create(tmp_path / "a") as archive:
        archive.apply(outcome(sky.night(NIGHTS[0])))
        old = [tmp_path / "a" / name for name, record in archive.files().items() if record.kind in ("rows", "points")]
        with EmbeddedArchive.reader(tmp_path / "a") as reader:
            before = reader.night(NIGHTS[0]).to_pylist()
            archive.compact()
            archive.apply(outcome(sky.night(NIGHTS[1])))
            archive.compact()
            assert reader.night(NIGHTS[0]).to_pylist() == before
            assert all(path.exists() for path in old)
            reader.refresh()
            archive.compact()
            assert not any(path.exists() for path in old)
            assert reader.night(NIGHTS[0]).to_pylist() == before
        assert archive.verify() == []


@pytest.mark.parametrize(("policy", "gone"), [("all", 0), ("selected", 0), ("none", 5)])
def test_selected_packets_wait_for_the_slowest_follower(tmp_path: Path, policy: str, gone: int) -> None:
    sky = SmallSky()
    with create(tmp_path / "a", RetentionSettings(packets=policy)) as archive:
        archive.record_follower("files", 0, "")
        for _ in range(2):
            write_nights(archive, sky, 1000)
        for _ in range(COMMITS_BETWEEN):
            archive.maintain()
        assert len(archive.selected(1, "bright")[1]) == archive.commit(1).selected["bright"]
        archive.record_follower("files", archive.last_commit(), archive.commit(archive.last_commit()).checksum)
        for _ in range(COMMITS_BETWEEN):
            archive.maintain()
        kept = [record for record in archive.files().values() if record.kind == "selected"]
        assert len(kept) == len(NIGHTS) - gone
        assert archive.verify() == []
        bright = archive.substream("bright", stop=58849.9)["alert_id"][0].as_py()
        stamp = archive.stamp_bytes("ztf", bright, "science")
        assert stamp == (b"stamp" * 4 if not gone else "the packet is no longer kept, by the archive's retention")
