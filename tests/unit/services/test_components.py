"""Servers in the background: started, watched, ended; and what they need, fetched or asked for."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from fink.errors import ComponentError
from fink.services import components


def test_a_server_that_ends_at_once_shows_its_log(tmp_path: Path) -> None:
    process = components.ServerProcess(tmp_path)
    with pytest.raises(ComponentError, match="no such setting"):
        process.start(["bash", "-c", "echo no such setting; exit 3"], lambda: False)
    assert not process.running


def test_a_server_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    process = components.ServerProcess(tmp_path)
    process.start(["bash", "-c", "trap '' TERM; while true; do sleep 0.05; done"], lambda: True)
    assert process.running
    process.stop(signal.SIGTERM, patience=0.3)
    assert not process.running


def test_what_is_not_installed_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("FINK_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ComponentError, match="default-jre-headless"):
        components.java()
    with pytest.raises(ComponentError, match="apt-get install maven"):
        components.jars("<project/>", "nothing")
