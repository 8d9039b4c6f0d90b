"""Files as a source: nights in order, each item once, across stops, changes and repetitions."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given as for_all
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fink.commits import UNKNOWN_NIGHT
from fink.config import BatchSettings
from fink.errors import SourceError
from fink.simulator.replay import single_files, write_night
from fink.streams import SourceBatch
from fink.streams import files as files_module
from fink.streams import inventory as inventory_module
from simulated import allocate, batches_of, given, nights, source_of

ZTF = nights("ztf", 3, 40)
LSST = nights("lsst", 2, 30)
TOTAL = sum(len(night.packets) for night in (*ZTF, *LSST))
BROKEN = 3


def limits(alerts: int = 4000, megabytes: float = 64) -> BatchSettings:
    return BatchSettings(alerts=alerts, megabytes=megabytes, seconds=1)


def fill(folder: Path) -> Path:
    """Write mixed nights of two surveys, in forms and under names that say nothing of their order, with broken items between."""
    write_night(ZTF[2], folder / "a", "container")
    write_night(ZTF[0], folder / "b" / "night", "tarball")
    write_night(LSST[1], folder / "c", "container", "deflate")
    write_night(LSST[0], folder / "z", "wire")
    mixed = folder / "m"
    mixed.mkdir()
    for row, data in enumerate(single_files(ZTF[1])):
        (mixed / f"{row:03}.avro").write_bytes(data)
    (mixed / "broken.avro").write_bytes(single_files(ZTF[0])[0][:-40])
    (mixed / "empty.avro").write_bytes(b"")
    (folder / "readme.txt").write_text("not an alert")
    return folder


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield fill(Path(name))


def test_everything_comes_once_in_the_order_of_nights(folder: Path) -> None:
    batches = batches_of(source_of(folder))
    expected = [night.packets.body(row) for night in (*ZTF, *LSST) for row in range(len(night.packets))]
    assert sorted(given([b for b in batches if b.packets])) == sorted(expected)
    assert sum(len(batch.quarantined) for batch in batches) == BROKEN
    assert [batch.night for batch in batches] == sorted(batch.night for batch in batches)
    assert batches[0].night == UNKNOWN_NIGHT
    assert {batch.survey for batch in batches if batch.packets} == {"ztf", "lsst"}
    assert all(batch.source == str(folder) for batch in batches)


def test_what_a_source_says_of_itself(folder: Path) -> None:
    source = source_of(folder)
    assert source.total == TOTAL + BROKEN
    assert source.surveys == ("lsst", "ztf")
    batches_of(source)
    assert source.total == 0
    assert len(source.surveys) == 0


@pytest.mark.parametrize(("alerts", "megabytes"), [(1, 64), (7, 64), (4000, 0.02), (4000, 1e-6)])
def test_limits_hold_and_change_nothing_else(folder: Path, alerts: int, megabytes: float) -> None:
    whole, cut = batches_of(source_of(folder)), batches_of(source_of(folder), limits(alerts, megabytes))
    assert given(cut) == given(whole)
    for batch in cut:
        size = len(batch.packets) if batch.packets else len(batch.quarantined)
        assert 0 < size <= alerts
        assert size == 1 or sum(map(len, given([batch]))) <= megabytes * 1e6 or not batch.packets


def test_places_name_the_file_and_the_member(folder: Path) -> None:
    batches = [batch for batch in batches_of(source_of(folder)) if batch.packets]
    places = {batch.places(row) for batch in batches for row in range(len(given([batch])))}
    assert len(places) == TOTAL
    assert any(position.startswith("member ") and path.endswith("night.tar.gz") for path, position in places)
    for path, position in places:
        if path.endswith("a.avro"):
            at = int(position.split()[1])
            assert Path(path).read_bytes()[at : at + 4] in {body[:4] for body in given(batches)}


@hypothesis_settings(max_examples=25, deadline=None)
@for_all(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 4)), min_size=1, max_size=30))
def test_stops_at_any_batch_lose_and_repeat_nothing(steps: list[tuple[int, int]]) -> None:
    whole = given(batches_of(SHARED.source()))
    progress: dict[bytes, bytes] = {}
    found: list[bytes] = []
    for alerts, before_stop in steps:
        source = source_of(SHARED.folder, progress=progress)
        for _ in range(before_stop):
            batch = source.next_batch(limits(alerts), allocate)
            if batch is not None:
                found += given([batch])
                progress |= batch.progress
        # read ahead, but never committed
        source.next_batch(limits(alerts), allocate)
    found += given(batches_of(source_of(SHARED.folder, progress=progress)))
    assert found == whole


class _Shared:
    """A folder for property tests, which cannot take a fixture that lasts longer than one example."""

    def __init__(self) -> None:
        self._kept = tempfile.TemporaryDirectory()
        self.folder = fill(Path(self._kept.name))

    def source(self) -> files_module.FilesSource:
        return source_of(self.folder)


SHARED = _Shared()


def everything_done(folder: Path) -> dict[bytes, bytes]:
    return {key: value for batch in batches_of(source_of(folder)) for key, value in batch.progress.items()}


def test_finished_files_are_skipped_and_read_when_asked_again(folder: Path) -> None:
    progress = everything_done(folder)
    again = source_of(folder, progress=progress)
    assert again.total == 0
    assert len(again.skipped) == len(progress) > 40
    assert given(batches_of(source_of(folder, progress=progress, again=True))) == given(batches_of(source_of(folder)))


def test_a_changed_file_is_read_anew_and_the_others_are_skipped(tmp_path: Path) -> None:
    first, second = write_night(ZTF[0], tmp_path / "a"), write_night(ZTF[1], tmp_path / "b")
    progress = everything_done(tmp_path)
    os.utime(second, ns=(1, 1))
    source = source_of(tmp_path, progress=progress)
    assert source.skipped == [first]
    assert len(given(batches_of(source))) == len(ZTF[1].packets)


def test_a_file_that_was_completed_is_read_anew(tmp_path: Path) -> None:
    path = write_night(ZTF[0], tmp_path / "a")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    progress = everything_done(tmp_path)
    path.write_bytes(data)
    batches = batches_of(source_of(tmp_path, progress=progress))
    assert len(given(batches)) == len(ZTF[0].packets)
    assert not any(batch.quarantined for batch in batches)


def test_a_file_whose_items_are_ordered_otherwise_by_a_newer_version_is_read_anew(tmp_path: Path) -> None:
    write_night(ZTF[0], tmp_path / "a")
    batch = source_of(tmp_path).next_batch(limits(10), allocate)
    assert batch is not None
    ((key, value),) = batch.progress.items()
    assert source_of(tmp_path, progress={key: value}).total == len(ZTF[0].packets) - 10
    other = value[:-1] + (b"0" if value[-1:] != b"0" else b"1")
    assert source_of(tmp_path, progress={key: other}).total == len(ZTF[0].packets)


def test_progress_is_small_for_each_file(folder: Path) -> None:
    for batch in batches_of(source_of(folder), limits(20)):
        assert all(key.startswith(files_module.POSITIONS) and len(value) < 32 for key, value in batch.progress.items())


def test_a_file_given_twice_or_by_a_link_is_read_once(tmp_path: Path) -> None:
    path = write_night(ZTF[0], tmp_path / "real" / "a")
    (tmp_path / "link.avro").symlink_to(path)
    (tmp_path / "real" / "circle").symlink_to(tmp_path)
    (tmp_path / "nowhere").symlink_to(tmp_path / "absent")
    (tmp_path / ".hidden").write_bytes(b"left out")
    assert len(given(batches_of(source_of(tmp_path, path, tmp_path / "link.avro")))) == len(ZTF[0].packets)


def test_a_link_to_another_folder_is_followed(tmp_path: Path) -> None:
    write_night(ZTF[0], tmp_path / "elsewhere" / "a")
    (tmp_path / "night").mkdir()
    (tmp_path / "night" / "more").symlink_to(tmp_path / "elsewhere")
    assert len(given(batches_of(source_of(tmp_path / "night")))) == len(ZTF[0].packets)


def test_arguments_are_sources_of_their_own(tmp_path: Path) -> None:
    paths = [write_night(ZTF[0], tmp_path / name) for name in ("a", "b")]
    batches = batches_of(source_of(*paths))
    assert [batch.source for batch in batches] == [str(path) for path in paths]


def test_what_is_not_there_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no file or folder .*absent"):
        source_of(tmp_path / "absent")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="neither a file nor a folder"):
        source_of(tmp_path / "pipe")


@pytest.mark.parametrize("happens", ["vanishes", "shrinks", "changes"])
@pytest.mark.parametrize("form", ["container", "tarball"])
def test_a_file_that_is_touched_while_it_is_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, happens: str, form: str
) -> None:
    monkeypatch.setattr(inventory_module, "KEPT", 0)
    path = write_night(ZTF[0], tmp_path / "a", form)
    source = source_of(path)
    if happens == "vanishes":
        path.unlink()
    elif happens == "shrinks":
        os.truncate(path, 100)
    else:
        os.utime(path, ns=(5, 5))
    with pytest.raises(SourceError, match="leave files alone"):
        batches_of(source)


def test_tarballs_that_are_not_kept_are_unpacked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path)
    kept = given(batches_of(source_of(tmp_path)))
    monkeypatch.setattr(inventory_module, "KEPT", 0)
    assert given(batches_of(source_of(tmp_path))) == kept


def test_a_broken_tarball_gives_its_members_and_one_item(tmp_path: Path) -> None:
    path = write_night(ZTF[0], tmp_path / "a", "tarball")
    data = path.read_bytes()
    path.write_bytes(data[: int(0.7 * len(data))])
    batches = batches_of(source_of(path))
    (item,) = (item for batch in batches for item in batch.quarantined)
    assert "breaks off" in item.reason
    assert item.body == path.read_bytes()
    assert 0 < sum(len(batch.packets) for batch in batches if batch.packets) < len(ZTF[0].packets)


def test_only_so_much_of_a_broken_item_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "MOST_QUARANTINED", 100)
    (tmp_path / "foreign").write_bytes(b"x" * 5000)
    (batch,) = batches_of(source_of(tmp_path))
    assert batch.quarantined[0].body == b"x" * 100


def test_no_file_stays_open(folder: Path) -> None:
    process = psutil.Process()
    gc.collect()
    before, most = process.num_fds(), 0

    def batches() -> Iterator[SourceBatch]:
        source = source_of(folder)
        while (batch := source.next_batch(limits(3), allocate)) is not None:
            yield batch

    for _ in batches():
        most = max(most, process.num_fds())
    assert most <= before + 2
    assert process.num_fds() <= before


def test_only_what_a_batch_needs_is_read_of_a_large_file(tmp_path: Path) -> None:
    path = write_night(ZTF[0], tmp_path / "a")
    sizes: list[int] = []

    def measured(size: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
        sizes.append(size)
        return np.zeros(size, np.uint8)

    source = source_of(path)
    while source.next_batch(limits(5), measured) is not None:
        pass
    largest = int((ZTF[0].packets.ends - ZTF[0].packets.starts).max())
    assert max(sizes) <= 5 * largest + 8192 + 200
    assert len(sizes) == -(-len(ZTF[0].packets) // 5)
