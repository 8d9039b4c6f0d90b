"""A live view of an archive for many askers at once: they share a reader, which follows the writer between their questions."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition

from fink.archive.embedded import EmbeddedArchive
from fink.errors import BusyError

FRESH = 1.0
"""Seconds after which a reader catches up with the writer before it is used again [s]."""


@dataclass(eq=False)
class _View:
    """A reader, when it last caught up, and how many askers it is lent to."""

    reader: EmbeddedArchive
    caught_up: float
    askers: int = 0


class LiveArchive:
    """Readers of one archive, each lent to any number of askers.

    A reader answers as of one commit for as long as it is lent, whatever the writer does meanwhile. It catches up once nobody
    asks it; where somebody does, another takes its place. So there are two as a rule, however many ask, and what one asker has
    read is at hand for the next.

    Parameters
    ----------
    open_reader
        Opens the archive for reading; called when the first asker comes, and where every reader is being asked and behind.
    readers
        How many askers are answered at the same time; the next ones wait for their turn.
    """

    def __init__(self, open_reader: Callable[[], EmbeddedArchive], readers: int = 4) -> None:
        self._open, self._most = open_reader, readers
        self._views: list[_View] = []
        self._current: _View | None = None
        self._asking, self._catching_up = 0, False
        self._waiting = deque[object]()
        self._changed = Condition()

    @contextmanager
    def reading(self, patience: float = 30.0) -> Iterator[EmbeddedArchive]:
        """Lend a reader that is at most a second behind the writer.

        Parameters
        ----------
        patience
            Seconds to wait for a turn [s].

        Raises
        ------
        BusyError
            If it does not come in time.
        ArchiveError
            If the archive is not there.
        """
        self._take_turn(patience)
        view: _View | None = None
        try:
            view = self._fresh_view()
            yield view.reader
        finally:
            with self._changed:
                self._asking -= 1
                if view is not None:
                    view.askers -= 1
                self._changed.notify_all()

    def _take_turn(self, patience: float) -> None:
        turn = object()
        with self._changed:
            # first come, first served: otherwise whoever came last may be lucky for ever
            self._waiting.append(turn)
            try:
                if not self._changed.wait_for(lambda: self._asking < self._most and self._waiting[0] is turn, patience):
                    raise BusyError(f"more questions than readers for {patience:g} s; ask again in a moment")
                self._asking += 1
            finally:
                self._waiting.remove(turn)
                self._changed.notify_all()

    def _fresh_view(self) -> _View:
        """Give a view that is fresh, and count one asker more of it."""
        with self._changed:
            self._changed.wait_for(lambda: not self._catching_up)
            view = self._current
            if view is not None and time.monotonic() - view.caught_up < FRESH:
                view.askers += 1
                return view
            idle = next((each for each in ([view] if view else []) + self._views if not each.askers), None)
            self._catching_up = True
        # the others wait meanwhile: what they would be lent is too old
        try:
            began = time.monotonic()
            if idle is None:
                idle = _View(self._open(), began)
                self._views.append(idle)
            else:
                idle.reader.refresh()
                idle.caught_up = began
            idle.askers += 1
            self._current = idle
            return idle
        finally:
            with self._changed:
                self._catching_up = False
                self._changed.notify_all()

    def close(self) -> None:
        """Close every reader; nobody may be asking any more."""
        for view in self._views:
            view.reader.close()
        self._views.clear()
        self._current = None
