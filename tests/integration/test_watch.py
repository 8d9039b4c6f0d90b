"""A run that watches a folder: reads what is put there when it is whole, does what it is asked, and stops when told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fink import factory
from fink.config import load_settings
from fink.errors import ArchiveError
from fink.simulator.replay import write_night
from fink.simulator.survey import simulate_nights

PATIENCE = 180.0


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something to become true, as long as a busy machine may need."""
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.3)


@pytest.mark.slow
def test_a_watched_folder(tmp_path: Path) -> None:
    first, second = simulate_nights("ztf", 2, 60, seed=5, stamps=False)
    folder, archive = tmp_path / "packets", tmp_path / "archive"
    folder.mkdir()
    write_night(first, folder / "first", "container")
    command = [
        sys.executable,
        "-m",
        "fink.cli",
        "run",
        str(folder),
        "--follow",
        "--archive",
        str(archive),
        "--workers",
        "0",
        "--format",
        "json",
    ]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    settings = load_settings(None, {"archive": archive})

    def archived() -> int:
        try:
            with factory.read_archive(settings) as reader:
                return int(reader.ledger()["archived"])
        except ArchiveError:
            return 0

    try:
        wait_until(lambda: archived() == len(first.packets), "the first night was not read")
        whole = write_night(second, tmp_path / "second", "container").read_bytes()
        growing = folder / "second.avro"
        growing.write_bytes(whole[: len(whole) // 2])
        time.sleep(1.0)
        growing.write_bytes(whole)
        wait_until(lambda: archived() == len(first.packets) + len(second.packets), "the second night was not read")
        answer = factory.ask(settings, "compact", {}, PATIENCE)
        assert answer["commits"] >= 2
        with pytest.raises(ArchiveError, match="does not know the request"):
            factory.ask(settings, "nonsense", {}, PATIENCE)
    finally:
        os.kill(run.pid, signal.SIGTERM)
        output, errors = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0, errors
    summary = json.loads(output)
    assert (summary["quarantined"], summary["duplicate"], summary["stopped"]) == (0, 0, True)
    with factory.read_archive(settings) as reader:
        assert reader.verify() == []
        files = reader.files().values()
        assert any(file.state == "parquet" for file in files)
