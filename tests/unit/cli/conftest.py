"""One small archive that the tests of the commands read, and a way to call a command."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from command_line import Fink, Said
from fink.cli.application import run
from fink.simulator.replay import write_night
from simulated import nights


@pytest.fixture
def fink(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Fink:
    """Call a command in this process, in an empty working folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Said:
        capsys.readouterr()
        status = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Said(status, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def packets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two simulated nights, and one file that is no packet."""
    folder = tmp_path_factory.mktemp("sky")
    for night in nights("ztf", 2, 150):
        write_night(night, folder / f"ztf_{night.night}")
    (folder / "junk.avro").write_bytes(b"no packet at all")
    return folder


@pytest.fixture(scope="session")
def archive(packets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of these nights; tests read it, and copy it where they change it."""
    folder = tmp_path_factory.mktemp("archive") / "archive"
    assert run(["run", str(packets), "--workers", "0", "--archive", str(folder), "--format", "json"]) == 0
    return folder


@pytest.fixture
def own(archive: Path, tmp_path: Path) -> Path:
    """A copy of the archive that may be changed."""
    shutil.copytree(archive, tmp_path / "own", ignore=shutil.ignore_patterns("readers"))
    return tmp_path / "own"


@pytest.fixture
def sources(own: Path, fink: Fink, tmp_path: Path) -> Path:
    """A file of twenty sources of the archive."""
    sql = "SELECT DISTINCT ON (object_id) object_id AS name, ra, dec FROM alerts WHERE object_id IS NOT NULL ORDER BY object_id LIMIT 20"
    assert fink("query", sql, "--archive", own, "-o", tmp_path / "sources.csv").status == 0
    return tmp_path / "sources.csv"
