"""The file of the user state: made on demand, brought up to date, written whole or not at all, and watched for changes."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from fink.archive import state
from fink.archive.requests import Requests
from fink.archive.state import FILE, STEPS, State
from fink.errors import ArchiveError


def tables(path: Path) -> set[str]:
    connection = sqlite3.connect(path)
    found = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    return found


def test_asking_makes_no_file(tmp_path: Path) -> None:
    own = State(tmp_path)
    assert not own.exists
    assert not own.changed()
    assert not (tmp_path / FILE).exists()


def test_a_step_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    own = State(tmp_path)

    def half() -> None:
        with own.connection() as connection:
            connection.execute("INSERT INTO requests (kind, arguments, asked) VALUES ('a', '{}', 0)")
            connection.execute("INSERT INTO requests (kind) VALUES (NULL)")

    with pytest.raises(ArchiveError, match="NOT NULL"):
        half()
    with own.connection() as connection:
        assert connection.execute("SELECT count(*) FROM requests").fetchone() == (0,)


def test_a_file_of_an_earlier_version_keeps_what_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "STEPS", STEPS[:1])
    number = Requests(tmp_path).ask("compact")
    assert "substreams" not in tables(tmp_path / FILE)
    monkeypatch.undo()
    assert [request.number for request in Requests(tmp_path).waiting()] == [number]
    assert {"requests", "substreams", "substream_versions"} <= tables(tmp_path / FILE)


def test_a_file_from_before_versions_were_counted_is_taken_over(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / FILE)
    connection.executescript(STEPS[0] + "INSERT INTO requests (kind, arguments, asked) VALUES ('compact', '{}', 0)")
    connection.close()
    assert [request.kind for request in Requests(tmp_path).waiting()] == ["compact"]


def test_a_file_of_a_later_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "STEPS", (*STEPS, "CREATE TABLE tomorrow (name TEXT)"))
    Requests(tmp_path).ask("compact")
    monkeypatch.undo()
    with pytest.raises(ArchiveError, match="upgrade Fink"):
        Requests(tmp_path).waiting()


def test_a_change_is_seen_once_by_each_who_watches(tmp_path: Path) -> None:
    watching, other = State(tmp_path), State(tmp_path)
    Requests(tmp_path).ask("compact")
    assert (watching.changed(), watching.changed()) == (True, False)
    Requests(tmp_path).waiting()
    assert not watching.changed()
    Requests(tmp_path).ask("compact")
    assert (watching.changed(), watching.changed(), other.changed()) == (True, False, True)
    watching.close()
    other.close()
