"""Retention: packets go by whole segments, and never what a follower still needs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fink.archive.retention import GIGABYTE, expired, keeps_packets
from fink.archive.segments import FileRecord
from fink.errors import ConfigError, NotFoundError
from unit.archive.lake_samples import NIGHT, Published, some_packets


def segments(kind: str, sizes: list[float]) -> dict[str, FileRecord]:
    """Make closed segments of these sizes [GB], the last one open; commit 10 i to 10 i + 9 in each."""
    last = len(sizes) - 1
    return {
        f"{kind}-{i}": FileRecord(kind, "ztf", NIGHT, int(size * GIGABYTE), 1, "open" if i == last else "closed", 10 * i, 10 * i + 9)  # type: ignore[arg-type]
        for i, size in enumerate(sizes)
    }


@pytest.mark.parametrize(
    ("policy", "gone"),
    [
        ("all", []),
        ("last:100GB", []),
        ("last:7GB", ["packets-0"]),
        ("last:6.5GB", ["packets-0"]),
        ("last:3GB", ["packets-0", "packets-1"]),
        ("last:0GB", ["packets-0", "packets-1", "packets-2"]),
        ("selected", ["packets-0", "packets-1", "packets-2"]),
        ("none", ["packets-0", "packets-1", "packets-2"]),
    ],
)
def test_the_oldest_packets_go(policy: str, gone: list[str]) -> None:
    assert sorted(expired(segments("packets", [4, 3, 2, 1]), policy, delivered=0)) == gone


@pytest.mark.parametrize(
    ("policy", "delivered", "gone"),
    [
        ("none", 39, ["selected-0", "selected-1", "selected-2"]),
        ("none", 28, ["selected-0", "selected-1"]),
        ("none", 29, ["selected-0", "selected-1", "selected-2"]),
        ("none", 8, []),
        ("selected", 39, []),
        ("all", 39, []),
        ("last:3GB", 39, ["selected-0", "selected-1"]),
        ("last:3GB", 9, ["selected-0"]),
    ],
)
def test_selected_packets_wait_for_the_slowest_follower(policy: str, delivered: int, gone: list[str]) -> None:
    assert sorted(expired(segments("selected", [4, 3, 2, 1]), policy, delivered=delivered)) == gone


def test_selected_and_other_packets_share_the_bytes() -> None:
    records = segments("packets", [1, 1, 1, 1]) | segments("selected", [1, 1, 1, 1])
    assert sorted(expired(records, "last:4GB", delivered=99)) == ["packets-0", "packets-1", "selected-0", "selected-1"]


@given(
    sizes=st.lists(st.floats(0.1, 5), min_size=1, max_size=8),
    policy=st.sampled_from(["all", "selected", "none", "last:4GB"]),
    delivered=st.integers(0, 100),
)
def test_nothing_undelivered_open_or_else_ever_goes(sizes: list[float], policy: str, delivered: int) -> None:
    records = segments("selected", sizes) | segments("packets", sizes) | segments("rows", sizes) | segments("quarantine", sizes)
    for name in expired(records, policy, delivered=delivered):
        assert records[name].state == "closed"
        assert records[name].kind in ("packets", "selected")
        assert records[name].kind == "packets" or records[name].last_commit <= delivered


def test_whether_packets_are_written() -> None:
    assert {policy: keeps_packets(policy) for policy in ("all", "selected", "none", "last:50GB")} == {
        "all": True,
        "selected": False,
        "none": False,
        "last:50GB": True,
    }
    with pytest.raises(ConfigError, match="last:50GB"):
        keeps_packets("some")


def test_expired_segments_leave_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fink.archive.lake.BYTES_IN_SEGMENT", 1)
    index = Published(tmp_path)
    spans = []
    for commit in (1, 2, 3):
        span, offsets, lengths = index.lake.append_packets("packets", "ztf", NIGHT, some_packets(commit), commit=commit)
        spans.append((span.name, int(offsets[1]), int(lengths[1])))
        index.publish()
    index.lake.adopt({}, expired(index.records, "none", delivered=0), at=3)
    index.publish()
    assert len(index.files()) == 3
    index.lake.purge(before=4, delivered=3)
    index.publish()
    assert index.files() == set(index.records) == {spans[2][0]}
    assert index.lake.read_packet(*spans[2])[0] == some_packets(3).body(1)
    with pytest.raises(NotFoundError, match="no longer kept"):
        index.lake.read_packet(*spans[0])
