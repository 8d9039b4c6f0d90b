"""Tokens are made, listed and revoked on the command line."""

from __future__ import annotations

from pathlib import Path

from command_line import Fink
from fink.archive.state import State
from fink.config import ServeSettings
from fink.services.access import Access


def test_a_token_is_made_shown_once_and_revoked(fink: Fink, archive: Path) -> None:
    made = fink("token", "create", "ana", "--scopes", "order", "--days", "0", "--archive", str(archive), "--format", "json").document
    assert (made["owner"], made["scopes"], made["state"], made["expires"]) == ("ana", ["order"], "valid", None)
    access = Access(State(archive), ServeSettings())
    assert access.asker(made["token"], "").owner == "ana"
    said = fink("token", "list", "--archive", str(archive), "--format", "json")
    assert [entry["name"] for entry in said.document] == [made["name"]]
    assert made["token"] not in said.out
    revoked = fink("token", "revoke", made["name"], "--archive", str(archive), "--format", "json").document
    assert revoked["state"] == "revoked"
    assert fink("token", "revoke", "nobody", "--archive", str(archive)).status == 1
    assert "did you mean write" in fink("token", "create", "--scopes", "wrte", "--archive", str(archive)).words
    assert "Keep it" in fink("token", "create", "--archive", str(archive)).words


def test_there_are_no_tokens_without_an_archive(fink: Fink, tmp_path: Path) -> None:
    said = fink("token", "create", "--archive", str(tmp_path / "none"))
    assert said.status == 1
    assert "there is no archive" in said.words
    assert not (tmp_path / "none").exists()
