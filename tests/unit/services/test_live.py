"""Readers are lent to one asker at a time, follow the writer, and are closed."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from fink.archive.embedded import EmbeddedArchive
from fink.errors import ArchiveError, BusyError
from fink.services import live as module
from fink.services.live import LiveArchive
from unit.archive.outcomes import NIGHTS, SmallSky, create, outcome


def test_a_reader_follows_the_writer_between_askers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FRESH", 0.0)
    sky = SmallSky()
    with create(tmp_path / "a") as archive:
        archive.apply(outcome(sky.night(NIGHTS[0])))
        live = LiveArchive(lambda: EmbeddedArchive.reader(tmp_path / "a"))
        with live.reading() as reader:
            archive.apply(outcome(sky.night(NIGHTS[1])))
            assert reader.last_commit() == 1
        with live.reading() as reader:
            assert reader.last_commit() == 2
        live.close()
    assert list((tmp_path / "a" / "readers").iterdir()) == []


def test_who_comes_when_all_are_lent_waits_and_is_then_told(tmp_path: Path) -> None:
    create(tmp_path / "a").close()
    live = LiveArchive(lambda: EmbeddedArchive.reader(tmp_path / "a"), readers=1)
    with live.reading(), pytest.raises(BusyError, match="ask again"), live.reading(patience=0.05):
        pass
    served = []

    def ask() -> None:
        with live.reading(patience=20):
            served.append(time.monotonic())

    with live.reading():
        thread = threading.Thread(target=ask)
        thread.start()
        assert served == []
    thread.join(20)
    assert len(served) == 1
    live.close()


def test_an_archive_that_is_not_there_takes_no_place(tmp_path: Path) -> None:
    live = LiveArchive(lambda: EmbeddedArchive.reader(tmp_path / "none"), readers=1)
    for _ in range(3):
        with pytest.raises(ArchiveError, match="no archive"), live.reading(patience=0.1):
            pass


def test_askers_share_a_reader_until_it_is_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sky, opened = SmallSky(), list[EmbeddedArchive]()

    def open_reader() -> EmbeddedArchive:
        opened.append(EmbeddedArchive.reader(tmp_path / "a"))
        return opened[-1]

    with create(tmp_path / "a") as archive:
        archive.apply(outcome(sky.night(NIGHTS[0])))
        live = LiveArchive(open_reader, readers=8)
        with live.reading() as first, live.reading() as second:
            assert first is second
            monkeypatch.setattr(module, "FRESH", 0.0)
            archive.apply(outcome(sky.night(NIGHTS[1])))
            with live.reading() as third:
                # those who ask already are answered as of the commit that they began with
                assert (first.last_commit(), third.last_commit()) == (1, 2)
        for _ in range(5):
            with live.reading() as reader:
                assert reader.last_commit() == 2
        live.close()
    assert len(opened) == 2


def test_many_askers_at_once_each_see_one_commit_and_never_an_older_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FRESH", 0.0)
    sky, seen, mixed = SmallSky(), list[list[int]](), list[tuple[int, int]]()
    with create(tmp_path / "a") as archive:
        archive.apply(outcome(sky.night(NIGHTS[0])))
        live = LiveArchive(lambda: EmbeddedArchive.reader(tmp_path / "a"), readers=6)
        done = threading.Event()

        def ask() -> None:
            mine, last = list[int](), False
            while not last:
                # once more behind the last commit
                last = done.is_set()
                with live.reading() as reader:
                    before = reader.last_commit()
                    rows = reader.sql("SELECT max(commit) AS last FROM alerts")["last"][0].as_py()
                    mixed.append((before, reader.last_commit()))
                    mine.append(before)
                    assert rows <= before
            seen.append(mine)

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for night in NIGHTS[1:]:
            archive.apply(outcome(sky.night(night)))
        done.set()
        for thread in threads:
            thread.join(60)
        live.close()
    assert len(seen) == 6
    assert all(before == after for before, after in mixed)
    assert all(mine == sorted(mine) for mine in seen)
    assert {mine[-1] for mine in seen} == {len(NIGHTS)}


def test_who_comes_first_is_served_first(tmp_path: Path) -> None:
    served = list[int]()

    def ask(number: int) -> None:
        with live.reading():
            served.append(number)

    create(tmp_path / "a").close()
    live = LiveArchive(lambda: EmbeddedArchive.reader(tmp_path / "a"), readers=1)
    askers = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    with live.reading():
        for number, asker in enumerate(askers):
            asker.start()
            while len(live._waiting) <= number:
                time.sleep(0.001)
    for asker in askers:
        asker.join()
    live.close()
    assert served == list(range(8))
