"""A watched folder is looked at again only when everything it gave is committed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fink import surveys
from fink.codecs.writers import SchemaStore
from fink.config import BatchSettings
from fink.simulator.replay import write_night
from fink.simulator.survey import simulate_night
from fink.streams import watch
from fink.streams.files import FilesSource
from fink.streams.watch import WatchedFiles


def _buffer(size: int) -> NDArray[np.uint8]:
    return np.zeros(size, np.uint8)


def test_new_files_are_read_after_an_idle_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "EVERY", 0.0)
    night = simulate_night("ztf", 5, stamps=False)
    progress: dict[bytes, bytes] = {}
    looks = []

    def look() -> FilesSource:
        looks.append(dict(progress))
        return FilesSource([tmp_path], surveys.registry(), SchemaStore().find, progress)

    source, limits = WatchedFiles(look), BatchSettings(seconds=0.01)
    assert source.next_batch(limits, _buffer).idle
    write_night(night, tmp_path / "night", "container")
    batch = source.next_batch(limits, _buffer)
    assert batch.packets is not None
    assert len(batch.packets) == 5
    assert len(looks) == 2
    # the engine commits what is in flight when it meets the idle batch, and only then is the folder looked at again
    assert source.next_batch(limits, _buffer).idle
    assert len(looks) == 2
    progress.update(batch.progress)
    assert source.next_batch(limits, _buffer).idle
    assert looks[2] == progress
    assert source.total is None


def test_a_file_that_just_changed_is_left_for_later(tmp_path: Path) -> None:
    write_night(simulate_night("ztf", 3, stamps=False), tmp_path / "night", "container")
    find = SchemaStore().find
    assert FilesSource([tmp_path], surveys.registry(), find, settled=1000.0).total == 0
    assert FilesSource([tmp_path], surveys.registry(), find).total == 3
