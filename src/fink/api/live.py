"""The live feed of a substream: server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) that follow
the archive's commits.

Each event bears the number of its commit and the place in it, so that a client that was cut off goes on where it was: browsers and
libraries send the last one back as ``Last-Event-ID``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from anyio.to_thread import run_sync

from fink.columns import Column
from fink.errors import RequestError, did_you_mean
from fink.services.live import LiveArchive
from fink.services.substreams import known_substreams
from fink.surveys.public import public_columns, published

INTERVAL = 1.0
"""Seconds between two looks at the archive [s]."""
SILENCE = 15.0
"""Seconds without an alert after which a comment is sent, so that nobody on the way takes the connection for dead [s]."""
COMMITS_AT_ONCE = 50


@dataclass(frozen=True)
class Place:
    """How far a client has read: whole commits, and so many alerts of the next."""

    commit: int
    rows: int = 0

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read what a client sent back.

        Raises
        ------
        RequestError
            If it is not the id of an event.
        """
        commit, _, rows = text.partition(".")
        if not (commit.isdigit() and (rows or "0").isdigit()):
            raise RequestError(f"Last-Event-ID = {text!r} is not the id of an event of this feed, as 17.0")
        return cls(int(commit), int(rows or 0))


@dataclass(frozen=True)
class Feed:
    """What a client listens to.

    Parameters
    ----------
    columns
        Public names wanted, none for all.
    """

    archive: LiveArchive
    survey: str
    substream: str
    vocabulary: Mapping[str, Column]
    columns: Sequence[str] = ()

    def check(self) -> None:
        """Say whether there is such a substream.

        Raises
        ------
        RequestError
            If there is none.
        """
        with self.archive.reading() as reader:
            known = known_substreams(reader)
        if self.substream not in known:
            raise RequestError(f"tag = {self.substream!r} is no substream{did_you_mean(self.substream, known)}")

    def now(self) -> Place:
        """Give the place behind what the archive holds now."""
        with self.archive.reading() as reader:
            return Place(reader.last_commit() + 1)

    def after(self, place: Place) -> tuple[list[tuple[str, dict[str, Any]]], Place]:
        """Give the alerts behind a place, each with its event's id, and the place behind them."""
        found: list[tuple[str, dict[str, Any]]] = []
        with self.archive.reading() as reader:
            last = min(reader.last_commit(), place.commit + COMMITS_AT_ONCE - 1)
            for number in range(max(place.commit, 1), last + 1):
                commit = reader.commit(number)
                if commit.survey == self.survey and commit.selected.get(self.substream):
                    known = public_columns(self.survey, self.vocabulary.values())
                    names = {name: known[name] for name in self.columns if name in known} or known
                    rows = published(reader.selection(number, self.substream), self.survey, names).to_pylist()
                    found += [(f"{number}.{row + 1}", rows[row]) for row in range(place.rows if number == place.commit else 0, len(rows))]
        return found, replace(place, commit=last + 1, rows=0) if last >= place.commit else place

    async def events(self, place: Place) -> AsyncIterator[bytes]:
        """Give events for ever; the server ends it when the client has gone."""
        spoke = time.monotonic()
        yield b"retry: 3000\n\n"
        while True:
            alerts, place = await run_sync(self.after, place)
            for number, row in alerts:
                yield b"id: " + number.encode() + b"\nevent: alert\ndata: " + orjson.dumps(row) + b"\n\n"
            if alerts:
                spoke = time.monotonic()
            else:
                await asyncio.sleep(INTERVAL)
            if time.monotonic() - spoke > SILENCE:
                yield b": nothing new\n\n"
                spoke = time.monotonic()
