"""A small archive of two simulated nights, which tests may change."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fink.archive.embedded import EmbeddedArchive
from fink.config import BatchSettings, RunSettings
from fink.engines.embedded import EmbeddedEngine
from fink.engines.workers import PlanRequest
from fink.streams.memory import MemorySource, NightOfPackets
from simulated import nights

NIGHTS = [NightOfPackets(night.survey, night.night, night.packets) for night in nights("ztf", 2, 120)]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "archive"
    request = PlanRequest((), (), folder)
    with EmbeddedArchive.create(folder) as archive:
        limits = BatchSettings(alerts=50, megabytes=64, seconds=1)
        EmbeddedEngine(archive, request.build(), request, RunSettings(workers=0), limits).run(MemorySource(NIGHTS))
    return folder


@pytest.fixture
def archive(made: Path, tmp_path: Path) -> Iterator[EmbeddedArchive]:
    shutil.copytree(made, tmp_path / "archive", ignore=shutil.ignore_patterns("readers"))
    with EmbeddedArchive.reader(tmp_path / "archive") as reader:
        yield reader
