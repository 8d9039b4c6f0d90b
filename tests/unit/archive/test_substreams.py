"""Users' substreams in the user state: versions, standing, owners."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from fink.archive.state import FILE
from fink.archive.substreams import UserSubstreams
from fink.errors import NotFoundError, RefusedError
from fink.filters.users import UserSubstream

MINE = UserSubstream("mine", "ana", 0, "mine", "mag < 19")


def test_where_nobody_has_any_nothing_is_made(tmp_path: Path) -> None:
    users = UserSubstreams(tmp_path)
    assert users.all() == []
    assert users.changes_of("ana", 0.0) == 0
    with pytest.raises(NotFoundError, match="no user has a substream mine"):
        users.one("mine")
    assert not (tmp_path / FILE).exists()


def test_versions_are_counted_and_all_are_kept(tmp_path: Path) -> None:
    users = UserSubstreams(tmp_path)
    assert [users.add(MINE).version for _ in range(3)] == [1, 2, 3]
    assert [substream.version for substream, _ in users.versions("mine")] == [1, 2, 3]
    assert users.one("mine").substream.version == 3
    assert users.changes_of("ana", time.time() - 60) == 3
    assert users.changes_of("ana", time.time() + 60) == 0


def test_a_name_stays_with_its_owner(tmp_path: Path) -> None:
    users = UserSubstreams(tmp_path)
    users.add(MINE)
    users.switch("mine", "removed")
    assert users.all() == []
    assert [kept.state for kept in users.all(removed=True)] == ["removed"]
    with pytest.raises(RefusedError, match="mine belongs to ana"):
        users.add(UserSubstream("mine", "ben", 0, "his", "mag < 3"))
    assert users.add(MINE).version == 2


def test_a_pause_holds_only_for_the_version_that_was_paused(tmp_path: Path) -> None:
    users = UserSubstreams(tmp_path)
    first = users.add(MINE)
    users.add(MINE)
    users.pause(first, "too many")
    assert users.one("mine").state == "on"
    users.switch("mine", "off")
    users.pause(users.one("mine").substream, "too many")
    assert (users.one("mine").state, users.one("mine").message) == ("off", "")
    users.switch("mine", "on")
    users.pause(users.one("mine").substream, "too many")
    assert (users.one("mine").state, users.one("mine").message) == ("paused", "too many")
    users.switch("mine", "on")
    assert (users.one("mine").state, users.one("mine").message) == ("on", "")


def test_what_a_run_took_up_is_forgotten_with_the_next_change(tmp_path: Path) -> None:
    users = UserSubstreams(tmp_path)
    first = users.add(MINE)
    users.adopt([first], 7)
    assert (users.one("mine").adopted, users.one("mine").since) == (1, 7)
    second = users.add(MINE)
    assert users.one("mine").adopted is None
    users.adopt([first], 8)
    assert users.one("mine").adopted is None
    users.adopt([second], 9)
    assert (users.one("mine").adopted, users.one("mine").since) == (2, 9)
    users.switch("mine", "off")
    users.adopt([second], 10)
    assert users.one("mine").adopted is None
