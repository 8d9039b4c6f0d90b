"""The index's store: bounds of scans, batches written whole, one writer, and readers that follow it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fink.archive.index import FAMILIES, ReaderFolder, Store, WriterLock, after_prefix, oldest_held, remove_stale_readers
from fink.errors import ArchiveError, HeldError

KEYS = [b"a", b"a\x00", b"a\xff", b"a\xff\xff", b"b", b"b\x00\xff", b"\xff", b"\xff\xff\x01"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "index", cache_megabytes=4)
    yield opened
    opened.close()


def put(store: Store, family: str, entries: dict[bytes, bytes]) -> None:
    changes = store.changes()
    changes.put_all(family, list(entries), list(entries.values()))
    store.write(changes)


def test_a_scan_begins_with_its_start_and_ends_before_its_stop(store: Store) -> None:
    put(store, "rows", {key: key[::-1] for key in reversed(KEYS)})
    put(store, "alerts", {b"a\x01": b"of another family"})
    bounds = [b"", b"a", b"a\x80", b"a\xff", b"b", b"c", b"\xff", b"\xff\xff\xff"]
    for start in bounds:
        assert [key for key, _ in store.scan("rows", start)] == [key for key in KEYS if key >= start]
        for stop in bounds:
            expected = [(key, key[::-1]) for key in KEYS if start <= key < stop]
            assert list(store.scan("rows", start, stop)) == expected
            assert list(store.scan_back("rows", start, stop)) == expected[::-1]


def test_a_scan_of_a_prefix_gives_all_keys_that_begin_with_it(store: Store) -> None:
    put(store, "rows", dict.fromkeys(KEYS, b""))
    for prefix in (b"a", b"a\xff", b"b", b"c", b"\xff", b"\xff\xff"):
        assert [key for key, _ in store.scan_prefix("rows", prefix)] == [key for key in KEYS if key.startswith(prefix)]
    assert (after_prefix(b"a\xff"), after_prefix(b"\xff\xff"), after_prefix(b"a\x00")) == (b"b", None, b"a\x01")


def test_many_keys_are_answered_in_the_order_asked(store: Store) -> None:
    put(store, "alerts", {b"one": b"1", b"two": b"2", b"empty": b""})
    assert store.get_all("alerts", [b"two", b"none", b"empty", b"one", b"two"]) == [b"2", None, b"", b"1", b"2"]
    assert store.get_all("alerts", []) == []
    assert (store.get("alerts", b"empty"), store.get("alerts", b"on"), store.get("rows", b"one")) == (b"", None, None)


def test_changes_are_not_seen_until_they_are_written_and_then_all_at_once(store: Store) -> None:
    put(store, "files", {b"old": b"x"})
    changes = store.changes()
    for family in FAMILIES:
        changes.put(family, b"k", family.encode())
    changes.delete("files", b"old")
    changes.put("meta", b"k", b"the last of two")
    assert len(changes) == len(FAMILIES) + 2
    assert [store.get(family, b"k") for family in FAMILIES] == [None] * len(FAMILIES)
    assert store.get("files", b"old") == b"x"
    store.write(changes)
    assert [store.get(name, b"k") for name in FAMILIES] == [b"the last of two" if n == "meta" else n.encode() for n in FAMILIES]
    assert store.get("files", b"old") is None


def test_a_list_of_values_that_is_too_short_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="shorter"):
        store.changes().put_all("rows", [b"a", b"b"], [b"1"])


def killed_writer(folder: Path, written: int) -> None:
    """Write some batches of one entry in two families each and begin another, in a process that ends as if killed."""
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom fink.archive.index import Store\n"
        "store = Store(Path(sys.argv[1]), cache_megabytes=4)\n"
        "for i in range(int(sys.argv[2]) + 1):\n"
        "    changes = store.changes()\n"
        "    for family in ('rows', 'commits'):\n"
        "        changes.put(family, bytes([i]), b'v' * 1000)\n"
        "    if i < int(sys.argv[2]):\n"
        "        store.write(changes)\n"
        "os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(folder), str(written)], check=False).returncode == 9


def log_of(folder: Path) -> Path:
    return max(folder.glob("*.log"), key=lambda path: path.stat().st_size)


def test_what_was_written_outlives_a_killed_process(tmp_path: Path) -> None:
    killed_writer(tmp_path / "index", 5)
    store = Store(tmp_path / "index", cache_megabytes=4)
    assert [key for key, _ in store.scan("rows", b"")] == [bytes([i]) for i in range(5)]
    assert [key for key, _ in store.scan("commits", b"")] == [bytes([i]) for i in range(5)]
    store.close()


@pytest.mark.parametrize("lost", [1, 700, 1500])
def test_a_batch_of_which_the_log_lost_the_end_is_gone_whole(tmp_path: Path, lost: int) -> None:
    killed_writer(tmp_path / "index", 5)
    log = log_of(tmp_path / "index")
    os.truncate(log, log.stat().st_size - lost)
    store = Store(tmp_path / "index", cache_megabytes=4)
    assert [key for key, _ in store.scan("rows", b"")] == [bytes([i]) for i in range(4)]
    assert [key for key, _ in store.scan("commits", b"")] == [bytes([i]) for i in range(4)]
    store.close()


def test_an_index_that_cannot_be_opened_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "index").write_bytes(b"no folder")
    with pytest.raises(ArchiveError, match=rf"{tmp_path}/index cannot be opened.*restore it from a copy"):
        Store(tmp_path / "index", cache_megabytes=4)


def test_a_view_changes_only_when_it_catches_up(store: Store, tmp_path: Path) -> None:
    put(store, "rows", {b"1": b"first", b"3": b"x"})
    view = Store(tmp_path / "index", cache_megabytes=4, view=tmp_path / "view")
    assert (store.writable, view.writable) == (True, False)
    changes = store.changes()
    changes.put("rows", b"2", b"second")
    changes.delete("rows", b"3")
    store.write(changes)
    store.wait_until_merged()
    assert [key for key, _ in view.scan("rows", b"")] == [b"1", b"3"]
    view.catch_up()
    assert list(view.scan("rows", b"")) == [(b"1", b"first"), (b"2", b"second")]
    view.close()


def test_a_checkpoint_is_a_store_of_its_own(store: Store, tmp_path: Path) -> None:
    put(store, "names", {b"a": b"1"})
    store.checkpoint(tmp_path / "copy")
    put(store, "names", {b"a": b"2"})
    copy = Store(tmp_path / "copy", cache_megabytes=4)
    assert copy.get("names", b"a") == b"1"
    put(copy, "names", {b"b": b"3"})
    copy.close()
    assert (store.get("names", b"a"), store.get("names", b"b")) == (b"2", None)


def test_sizes_tell_where_the_entries_are(tmp_path: Path) -> None:
    written = Store(tmp_path / "index", cache_megabytes=4)
    put(written, "rows", {i.to_bytes(4, "big"): os.urandom(200) for i in range(2000)})
    # what lies in the log becomes a table when the store is opened again
    written.close()
    store = Store(tmp_path / "index", cache_megabytes=4)
    store.wait_until_merged()
    assert 1800 <= store.estimated_entries("rows") <= 2200
    assert store.bytes_on_disk("rows") > 2000 * 200
    assert (store.estimated_entries("sky"), store.bytes_on_disk("sky")) == (0, 0)
    store.close()


def test_a_second_writer_is_told_who_holds_the_archive(tmp_path: Path) -> None:
    lock = WriterLock(tmp_path / "LOCK")
    with pytest.raises(HeldError, match=rf"{tmp_path} is held by another run \(process {os.getpid()}\); stop that run"):
        WriterLock(tmp_path / "LOCK")
    code = (
        "import sys\nfrom pathlib import Path\nfrom fink.archive.index import WriterLock\nfrom fink.errors import HeldError\n"
        "try:\n    WriterLock(Path(sys.argv[1]))\nexcept HeldError as error:\n    print(error)\n"
    )
    told = subprocess.run([sys.executable, "-c", code, str(tmp_path / "LOCK")], capture_output=True, text=True, check=True).stdout
    assert f"(process {os.getpid()})" in told
    lock.release()
    WriterLock(tmp_path / "LOCK").release()


def test_a_reader_holds_its_commit_as_long_as_it_lives(tmp_path: Path) -> None:
    readers = tmp_path / "readers"
    assert (oldest_held(readers), remove_stale_readers(readers)) == (None, 0)
    with ReaderFolder(readers) as early, ReaderFolder(readers) as late:
        assert early.path != late.path
        assert oldest_held(readers) == 0
        early.hold(3)
        late.hold(12)
        assert oldest_held(readers) == 3
        early.hold(40)
        assert oldest_held(readers) == 12
        assert remove_stale_readers(readers) == 0
    assert list(readers.iterdir()) == []
    assert oldest_held(readers) is None


def test_a_folder_that_is_being_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "readers" / ".1-abc").mkdir(parents=True)
    (tmp_path / "readers" / "2-def").mkdir()
    (tmp_path / "readers" / "2-def" / "LEASE").write_bytes(b"7")
    assert remove_stale_readers(tmp_path / "readers") == 1
    assert [folder.name for folder in (tmp_path / "readers").iterdir()] == [".1-abc"]
