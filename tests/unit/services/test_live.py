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
