"""`fink serve` refuses at once what it cannot serve."""

from __future__ import annotations

from pathlib import Path

from command_line import Fink


def test_there_must_be_an_archive(fink: Fink, tmp_path: Path) -> None:
    said = fink("serve", "--archive", tmp_path / "none")
    assert said.status == 1
    assert "there is no archive in" in said.words


def test_settings_are_checked_at_the_start(fink: Fink, archive: Path) -> None:
    said = fink("serve", "--archive", archive, "--port", "70000")
    assert said.status == 2
    assert "serve.port" in said.words
