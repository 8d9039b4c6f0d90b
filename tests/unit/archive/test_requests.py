"""Requests reach the process that holds the archive, and their answers come back."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from fink.archive.requests import Requests
from fink.archive.state import FILE
from fink.errors import ArchiveError


def test_requests_are_answered_in_order(tmp_path: Path) -> None:
    requests = Requests(tmp_path)
    assert requests.waiting() == []
    assert not (tmp_path / FILE).exists()
    first, second = requests.ask("compact"), requests.ask("replay", {"items": ["a", "b"]})
    assert [(r.number, r.kind, dict(r.arguments)) for r in Requests(tmp_path).waiting()] == [
        (first, "compact", {}),
        (second, "replay", {"items": ["a", "b"]}),
    ]
    requests.answer(first, {"files": 3})
    assert [r.number for r in requests.waiting()] == [second]
    assert requests.wait_for(first, 1) == {"files": 3}


def test_a_refusal_comes_back_as_an_error(tmp_path: Path) -> None:
    requests = Requests(tmp_path)
    number = requests.ask("compact")
    requests.refuse(number, ArchiveError("the disk is full"))
    with pytest.raises(ArchiveError, match="the disk is full"):
        requests.wait_for(number, 1)


def test_nobody_answers(tmp_path: Path) -> None:
    requests = Requests(tmp_path)
    number = requests.ask("compact")
    with pytest.raises(ArchiveError, match="waits for the next one"):
        requests.wait_for(number, 0.3, every=0.1)
    with pytest.raises(ArchiveError, match="no request 99"):
        requests.wait_for(99, 1)
    assert len(requests.waiting()) == 1


def test_an_answer_from_elsewhere_ends_the_waiting(tmp_path: Path) -> None:
    requests = Requests(tmp_path)
    number = requests.ask("compact")
    committer = threading.Timer(0.3, lambda: Requests(tmp_path).answer(number, {"done": True}))
    committer.start()
    assert requests.wait_for(number, 20, every=0.05) == {"done": True}
    committer.join()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not a database, but long enough to be taken for one" * 40)
    with pytest.raises(ArchiveError, match=FILE):
        Requests(tmp_path).ask("compact")
