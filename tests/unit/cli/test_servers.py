"""Starting and stopping servers from the command line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from command_line import Fink
from kafka_fixture import Kafka


def test_a_running_server_is_found(kafka: Kafka, fink: Fink) -> None:
    answer = fink("services", "status", "kafka", "--folder", kafka.server.folder, "--format", "json")
    assert answer.status == 0
    assert answer.document["listeners"]["plain"] == kafka.bootstrap
    assert {"running": True, "answers": True}.items() <= answer.document.items()


def test_a_server_is_started_and_stopped(kafka: Kafka, fink: Fink, tmp_path: Path) -> None:
    folder = tmp_path / "one"
    try:
        started = fink("services", "up", "kafka", "--folder", folder, "--port", 0, "--user", "carol", "--format", "json")
        assert started.status == 0, started.words
        assert started.document["answers"] is True
        assert started.document["users"] == ["carol"]
        assert started.document["listeners"]["plain"] != kafka.bootstrap
    finally:
        stopped = fink("services", "down", "kafka", "--folder", folder, "--format", "json")
    assert (stopped.status, stopped.document["running"]) == (0, False)


def test_what_cannot_be_said_is_said(fink: Fink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "did you mean kafka?" in fink("services", "up", "kafak").words
    never = fink("services", "status", "kafka", "--folder", tmp_path / "never")
    assert (never.status, "running no" in never.words) == (1, True)
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    monkeypatch.setenv("FINK_CACHE", str(tmp_path))
    without = fink("services", "up", "kafka", "--folder", tmp_path / "never")
    assert (without.status, "apt-get install" in without.words) == (1, True)
