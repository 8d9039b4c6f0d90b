"""Long answers that are sent while they are made: the archive's reader is free as soon as the last part is made, however slowly
somebody reads, and no answer is held in memory whole.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import IO

import anyio
from anyio.to_thread import run_sync
from starlette.responses import StreamingResponse

from fink.errors import RequestError

IN_MEMORY = 8 << 20
"""Bytes of an answer that nobody has taken yet that are kept in memory; what is beyond lies in a file without a name."""
MOST_BYTES = 20 << 30
"""Bytes of an answer at most."""
_AT_ONCE = 1 << 18


class Spool:
    """Bytes that one thread makes and another takes, each at its own speed.

    Parameters
    ----------
    parts
        Makes them, on a thread of its own but for the first.
    done
        Called when the last one is made, or making them failed, or nobody wants them any more.

    Raises
    ------
    FinkError
        If the first part cannot be made: what goes wrong at once is told properly.
    """

    def __init__(self, parts: Iterator[bytes], done: Callable[[], None]) -> None:
        self._parts = parts
        self._changed = threading.Condition()
        self._written, self._taken = 0, 0
        self._ended, self._left = False, False
        with ExitStack() as undone:
            undone.callback(done)
            self._file: IO[bytes] = undone.enter_context(tempfile.SpooledTemporaryFile(IN_MEMORY))
            self._put(next(parts, b""))
            undone.pop_all()
        self._done = done
        maker = ThreadPoolExecutor(1, "answer")
        self._made = maker.submit(self._make)
        maker.shutdown(wait=False)

    def _make(self) -> None:
        try:
            for part in self._parts:
                if self._left:
                    break
                self._put(part)
        finally:
            self._done()
            with self._changed:
                self._ended = True
                self._changed.notify_all()
                if self._left:
                    self._file.close()

    def _put(self, part: bytes) -> None:
        with self._changed:
            if self._written + len(part) > MOST_BYTES:
                raise RequestError(f"the answer has more than {MOST_BYTES} bytes; ask for fewer rows or columns, or order a transfer")
            self._file.seek(self._written)
            self._file.write(part)
            self._written += len(part)
            self._changed.notify_all()

    def take(self) -> bytes:
        """Wait for bytes and give them; nothing at the end.

        Raises
        ------
        FinkError
            If a later part could not be made: an answer that breaks off must not look whole.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._written > self._taken or self._ended)
            self._file.seek(self._taken)
            part = self._file.read(min(_AT_ONCE, self._written - self._taken))
            self._taken += len(part)
        if not part:
            self._made.result()
        return part

    def leave(self) -> None:
        """Say that nobody takes any more."""
        with self._changed:
            self._left = True
            if self._ended:
                self._file.close()


async def _taken(spool: Spool) -> AsyncIterator[bytes]:
    try:
        while part := await run_sync(spool.take):
            yield part
    finally:
        with anyio.CancelScope(shield=True):
            await run_sync(spool.leave)


def streamed(parts: Iterator[bytes], media_type: str, headers: dict[str, str], done: Callable[[], None]) -> StreamingResponse:
    """Send what is made part by part.

    Parameters
    ----------
    done
        Called as soon as the last part is made.

    Raises
    ------
    FinkError
        If the first part cannot be made.
    """
    return StreamingResponse(_taken(Spool(parts, done)), media_type=media_type, headers=headers)
