"""Notes are kept beside the archive, one for each object, and found by object and by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from fink.archive.state import State
from fink.errors import RequestError
from fink.services.notes import Notes


def test_notes_are_found_by_object_and_name(tmp_path: Path) -> None:
    notes = Notes(State(tmp_path))
    assert notes.find("ztf") == []
    assert not (tmp_path / "state.sqlite").exists()
    notes.write("ztf", "ZTF18a", "me", internal_name="my star", username="Me", comments="blue")
    notes.write("ztf", "ZTF18b", "me", internal_name="other", username="Me")
    (found,) = notes.find("ztf", object_id="ZTF18a")
    assert (found["internal_name"], found["internal_name_encoded"], found["comments"]) == ("my star", "mystar", "blue")
    assert notes.find("ztf", internal_name="my star") == notes.find("ztf", encoded="mystar") == [found]
    assert [note["objectId"] for note in notes.find("ztf")] == ["ZTF18a", "ZTF18b"]
    assert notes.find("lsst") == []


def test_a_note_is_replaced_and_a_name_is_given_once(tmp_path: Path) -> None:
    notes = Notes(State(tmp_path))
    notes.write("ztf", "ZTF18a", "me", internal_name="my star", username="Me")
    notes.write("ztf", "ZTF18a", "you", internal_name="your star", username="You")
    assert [note["username"] for note in notes.find("ztf", object_id="ZTF18a")] == ["You"]
    with pytest.raises(RequestError, match="is the name of ZTF18a"):
        notes.write("ztf", "ZTF18b", "me", internal_name="yourstar", username="Me")
    with pytest.raises(RequestError, match="may have 100"):
        notes.write("ztf", "ZTF18b", "me", internal_name="x" * 101, username="Me")
