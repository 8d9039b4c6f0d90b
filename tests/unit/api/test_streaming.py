"""Long answers are sent while they are made: whole, in bounded memory, and the reader goes back whatever happens."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from fink.api.streaming import Spool, streamed
from fink.errors import ArchiveError


async def _read(parts: Iterator[bytes], done: threading.Event) -> bytes:
    response = streamed(parts, "text/plain", {}, done.set)
    return b"".join([part async for part in response.body_iterator if isinstance(part, bytes)])


def test_what_is_made_arrives_whole() -> None:
    done = threading.Event()
    parts = [bytes([i]) * 100_000 for i in range(200)]
    assert asyncio.run(_read(iter(parts), done)) == b"".join(parts)
    assert done.is_set()


def test_the_reader_goes_back_before_anybody_reads() -> None:
    done = threading.Event()
    spool = Spool(iter([b"a" * 1_000_000] * 20), done.set)
    assert done.wait(10)
    taken = 0
    while part := spool.take():
        taken += len(part)
    assert taken == 20_000_000
    spool.leave()


def test_what_goes_wrong_at_once_is_told_and_later_breaks_off() -> None:
    def broken(after: int) -> Iterator[bytes]:
        for _ in range(after):
            yield b"x"
        raise ArchiveError("gone")

    done = threading.Event()
    with pytest.raises(ArchiveError):
        Spool(broken(0), done.set)
    assert done.is_set()
    with pytest.raises(ArchiveError):
        asyncio.run(_read(broken(3), threading.Event()))


def test_nothing_is_made_for_who_has_left() -> None:
    made, done, go = [], threading.Event(), threading.Event()

    def parts() -> Iterator[bytes]:
        for i in range(1000):
            made.append(i)
            yield b"x"
            go.wait(10)

    spool = Spool(parts(), done.set)
    spool.leave()
    go.set()
    assert done.wait(10)
    assert len(made) < 1000


def test_an_empty_answer_ends() -> None:
    assert asyncio.run(_read(iter([]), threading.Event())) == b""
