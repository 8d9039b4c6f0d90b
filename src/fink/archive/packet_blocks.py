"""Packets on their way to a segment: laid out piece by piece in memory that the disk can take without a copy by the system.

Packets are nearly all of what an archive writes, and are seldom read again. Written the usual way each byte is copied into
the system's cache first, which costs more than all else that is done to write them, and pushes out what is read often.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from isal import isal_zlib
from numba import njit
from numpy.typing import NDArray

SECTOR = 4096
"""Blocks of packets begin and end at multiples of this, as disks ask of what they take from memory."""

WINDOW = 4 << 20
"""Bytes that are laid out and written at a time."""

PREFIX = 16
"""Bytes before each packet's body: the place of its schema in the file, and its length."""

_DIRECT: int = getattr(os, "O_DIRECT", 0)


def set_direct(file: int, *, on: bool) -> bool:
    """Have a file's bytes bypass the system's cache, or not; say whether they do, which some file systems refuse."""
    flags = fcntl.fcntl(file, fcntl.F_GETFL)
    try:
        fcntl.fcntl(file, fcntl.F_SETFL, flags | _DIRECT if on else flags & ~_DIRECT)
    except OSError:
        return False
    return on and _DIRECT != 0


def write_fully(file: int, parts: Sequence[Any], offset: int) -> None:
    """Write buffers one after another, however little the system takes at a time."""
    views = [memoryview(part).cast("B") for part in parts if memoryview(part).nbytes]
    while views:
        try:
            written = os.pwritev(file, views, offset)
        except OSError as error:
            if error.errno != errno.EINVAL or not fcntl.fcntl(file, fcntl.F_GETFL) & _DIRECT:
                raise
            # another alignment is asked for here, or a write was cut in the middle of a sector
            set_direct(file, on=False)
            continue
        offset += written
        while views and written >= views[0].nbytes:
            written -= views.pop(0).nbytes
        if written:
            views[0] = views[0][written:]


class PacketBlock:
    """One block of packets: where each lies in it, and its bytes, which exist only while they are written.

    Parameters
    ----------
    buffer, starts, ends
        The packets' bytes, and where each lies in them (n,); they must not change before the block is written.
    schemas
        (n,) place of each packet's schema in the file.
    first
        Bytes before the payload: the block's header.
    head
        What the payload begins with: new schemas.
    aligned
        What the length of the whole block is a multiple of.

    Attributes
    ----------
    places
        (n,) where each body begins, from the beginning of the block.
    length
        Bytes of the whole block.
    """

    def __init__(
        self,
        buffer: NDArray[np.uint8],
        starts: NDArray[np.int64],
        ends: NDArray[np.int64],
        schemas: NDArray[np.int64],
        *,
        first: int,
        head: bytes,
        aligned: int,
    ) -> None:
        sizes = (ends - starts + 7) // 8 * 8 + PREFIX
        after = first + len(head) + np.cumsum(sizes, dtype=np.int64)
        self.places = after - sizes + PREFIX
        self._used = int(after[-1]) if len(after) else first + len(head)
        self.length = -(-self._used // aligned) * aligned
        self._packets = buffer, starts, ends, schemas
        self._first, self._head = first, head

    def write(self, file: int, start: int, memory: mmap.mmap, checksum: int, header: Callable[[int], bytes]) -> None:
        """Lay the block out in ``memory``, so much of it at a time, and write it at ``start``.

        Parameters
        ----------
        checksum
            CRC-32 of what it covers before the payload.
        header
            Gives the header from the CRC-32 over that and the payload.
        """
        beginning, packet = mmap.mmap(-1, SECTOR), 0
        for begin in range(0, self.length, len(memory)):
            size = min(len(memory), self.length - begin)
            packet = self._lay_out(np.frombuffer(memory, np.uint8)[:size], begin, packet)
            view = memoryview(memory)[:size]
            checksum = isal_zlib.crc32(view[self._first :] if begin == 0 else view, checksum)
            if begin + size == self.length == size:
                view[: self._first] = header(checksum)
            elif begin == 0:
                beginning[:] = view[:SECTOR]
            write_fully(file, [view], start + begin)
        if self.length > len(memory):
            beginning[: self._first] = header(checksum)
            write_fully(file, [beginning], start)

    def _lay_out(self, window: NDArray[np.uint8], begin: int, packet: int) -> int:
        """Fill a window, which is the block from ``begin`` on; give the first packet that goes on behind it."""
        low, high = max(self._first, begin), min(self._first + len(self._head), begin + len(window))
        if high > low:
            window[low - begin : high - begin] = np.frombuffer(self._head, np.uint8)[low - self._first : high - self._first]
        if self._used < begin + len(window):
            window[max(self._used - begin, 0) :] = 0
        return int(_fill(window, window.view(np.int64), begin, *self._packets, self.places, packet))


@njit(cache=True, nogil=True)
def _fill(window: Any, words: Any, begin: int, buffer: Any, starts: Any, ends: Any, schemas: Any, places: Any, packet: int) -> int:
    stop = begin + len(window)
    for i in range(packet, len(places)):
        prefix, body, size = places[i] - PREFIX, places[i], ends[i] - starts[i]
        if prefix >= stop:
            return i
        if prefix >= begin:
            words[(prefix - begin) // 8] = schemas[i]
        if begin <= prefix + 8 < stop:
            words[(prefix + 8 - begin) // 8] = size
        low, high = max(body, begin), min(body + size, stop)
        if high > low:
            window[low - begin : high - begin] = buffer[starts[i] + low - body : starts[i] + high - body]
        after = body + -(-size // 8) * 8
        for j in range(max(body + size, begin), min(after, stop)):
            window[j - begin] = 0
        if after > stop:
            return i
    return len(places)
