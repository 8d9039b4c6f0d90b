"""Bytes of files, of members of tarballs, and of what is packed in either, without unpacking anything to disk."""

from __future__ import annotations

import bz2
import io
import lzma
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import numpy as np
from isal import igzip
from numpy.typing import NDArray

from fink.errors import PacketError, SourceError

DAMAGED = (OSError, EOFError, lzma.LZMAError, zlib.error, ValueError)
"""What the unpackers raise on bytes that are not theirs."""

_ADVICE = "leave files alone while they are read, and run again: nothing is lost"
_READ_AHEAD = 1 << 16
_PACKED = {b"\x1f\x8b": "gzip", b"\xfd7": "xz", b"BZ": "bzip2"}


def _gunzip(target: IO[bytes]) -> IO[bytes]:
    stream: IO[bytes] = igzip.open(target, "rb")
    return stream


_UNPACKERS: dict[str, Callable[[IO[bytes]], IO[bytes]]] = {"gzip": _gunzip, "xz": lzma.LZMAFile, "bzip2": bz2.BZ2File}
MOST_UNPACKED = 1 << 31
"""Largest file that is unpacked from gzip, xz or bzip2 [byte]; tarballs are read piece by piece and may be of any size."""


@dataclass(frozen=True)
class Unit:
    """One file, a piece of a large one, or one member of a tarball: what holds alerts.

    Parameters
    ----------
    path
        The file on disk.
    member
        Name of the member; empty for a plain file.
    offset, size
        Where its bytes lie: in the file, or in the unpacked tarball.
    packing
        How the tarball is packed (``gzip``, ``xz``, ``bzip2``, ``none``); empty where there is no tarball.
    """

    path: Path
    member: str
    offset: int
    size: int
    packing: str = ""

    def place(self, start: int) -> str:
        """Say in words where a byte of it is."""
        return f"member {self.member}, byte {start}" if self.member else f"byte {self.offset + start}"


def packing_of(beginning: bytes) -> str:
    """Say how a file that begins with these bytes is packed; empty where it is not."""
    return _PACKED.get(beginning[:2], "")


def unpack(data: bytes) -> bytes:
    """Unpack gzip, xz or bzip2; other bytes come back as they are.

    Raises
    ------
    PacketError
        If they are damaged, or too large when unpacked.
    """
    packing = packing_of(data)
    if not packing:
        return data
    try:
        with _open_packed(data, packing) as stream:
            unpacked = stream.read(MOST_UNPACKED + 1)
    except DAMAGED as error:
        raise PacketError(f"the file is packed with {packing} and damaged: {error}") from error
    if len(unpacked) > MOST_UNPACKED:
        raise PacketError(f"the file takes more than {MOST_UNPACKED} bytes when unpacked from {packing}")
    return unpacked


def _open_packed(source: bytes | Path, packing: str) -> IO[bytes]:
    """Open a file or bytes for reading, unpacking on the way; the caller closes it."""
    target: IO[bytes] = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
    if packing not in _UNPACKERS:
        return target
    stream: IO[bytes] = _UNPACKERS[packing](target)
    return stream


class _PackedHeader(tarfile.TarInfo):
    """A member's header in a packed tarball; a damaged one is a break, where `tarfile` would take it for the end."""

    breaks: tuple[type[Exception], ...] = (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError)  # type: ignore[attr-defined]

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read a header."""
        try:
            return super().frombuf(buf, encoding, errors)
        except cls.breaks as error:
            raise tarfile.SubsequentHeaderError(f"{error} where a member or the end mark is expected") from error  # type: ignore[attr-defined]


class _PlainHeader(_PackedHeader):
    """A member's header in a tarball that is not packed: without an end mark nothing tells that it is whole."""

    breaks = (*_PackedHeader.breaks, tarfile.EmptyHeaderError)  # type: ignore[attr-defined]


def units_of(path: Path, most: int) -> Iterator[tuple[Unit, bytes | None]]:
    """Give what a file holds: itself, or the members of the tarball that it is, in their order.

    The bytes come with it; None where they are more than ``most`` and not packed, so that the caller reads them in pieces.

    Raises
    ------
    PacketError
        If it is a tarball that breaks; the members before the break have been given.
    SourceError
        If the file cannot be read.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            data = file.readall() if size <= most else file.read(512)
            packing = packing_of(data)
            is_tar = _is_tar(path, data, packing)
            if packing and not is_tar and size > most:
                data += file.readall()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    if is_tar:
        yield from _members(path, packing)
    else:
        yield Unit(path, "", 0, size), data if packing or size <= most else None


def _is_tar(path: Path, beginning: bytes, packing: str) -> bool:
    if not packing:
        return beginning[257:262] == b"ustar"
    try:
        with _open_packed(path, packing) as stream:
            return stream.read(262)[257:] == b"ustar"
    except DAMAGED:
        return False


def _members(path: Path, packing: str) -> Iterator[tuple[Unit, bytes]]:
    try:
        with (
            _open_packed(path, packing) as stream,
            tarfile.open(fileobj=stream, mode="r|", bufsize=_READ_AHEAD, tarinfo=_PackedHeader if packing else _PlainHeader) as tar,
        ):
            for info in tar:
                if info.isfile():
                    yield Unit(path, info.name, info.offset_data, info.size, packing or "none"), _member(tar, info)
            # the checksum of a packed tarball stands at its end
            while stream.read(_READ_AHEAD):
                pass
    except (tarfile.TarError, *DAMAGED) as error:
        raise PacketError(f"the tarball breaks off: {error}") from error


def _member(tar: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    if info.size > MOST_UNPACKED:
        raise EOFError(f"member {info.name} has {info.size} bytes, more than {MOST_UNPACKED}")
    file = tar.extractfile(info)
    data = file.read() if file is not None else b""
    if len(data) < info.size:
        raise EOFError(f"member {info.name} ends early")
    return data


@dataclass(frozen=True)
class FileState:
    """Size [byte] and time of change [ns] of a file, which tell whether it is still the one that was looked at."""

    size: int
    changed: int


class PayloadReader:
    """Reads the bytes of units again; a packed tarball is read forwards, so asking in order of offset costs one pass.

    Parameters
    ----------
    states
        What the files were like when they were looked at.
    """

    def __init__(self, states: Mapping[Path, FileState]) -> None:
        self._states = states
        self._path: Path | None = None
        self._stream: IO[bytes] | None = None
        self._position = 0

    def read(self, unit: Unit) -> bytes:
        """Give the bytes of a unit, as they lie on disk or in the tarball.

        Raises
        ------
        SourceError
            If the file is gone or is not what it was.
        """
        if unit.packing in ("", "none"):
            target = np.empty(unit.size, np.uint8)
            self.read_into(unit, 0, target)
            return target.tobytes()
        try:
            data = self._read_packed(unit)
        except DAMAGED as error:
            raise SourceError(f"{unit.path} cannot be read again: {error}; {_ADVICE}") from error
        if len(data) != unit.size:
            raise SourceError(f"{unit.path} is shorter than it was; {_ADVICE}")
        return data

    def read_into(self, unit: Unit, start: int, target: NDArray[np.uint8]) -> None:
        """Fill an array with bytes of an unpacked file, from ``start`` of the unit on.

        Raises
        ------
        SourceError
            If the file is gone or is not what it was.
        """
        try:
            descriptor = os.open(unit.path, os.O_RDONLY)
            try:
                self._check(unit.path, descriptor)
                got = os.preadv(descriptor, [target.data], unit.offset + start)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise SourceError(f"{unit.path} cannot be read again: {error.strerror}; {_ADVICE}") from error
        if got != len(target):
            raise SourceError(f"{unit.path} is shorter than it was; {_ADVICE}")

    def _check(self, path: Path, descriptor: int) -> None:
        status, state = os.fstat(descriptor), self._states[path]
        if (status.st_size, status.st_mtime_ns) != (state.size, state.changed):
            raise SourceError(f"{path} changed while it was read; {_ADVICE}")

    def _read_packed(self, unit: Unit) -> bytes:
        if self._stream is None or self._path != unit.path or unit.offset < self._position:
            self.close()
            descriptor = os.open(unit.path, os.O_RDONLY)
            try:
                self._check(unit.path, descriptor)
            finally:
                os.close(descriptor)
            self._path, self._stream = unit.path, _open_packed(unit.path, unit.packing)
        self._skip(self._stream, unit.offset - self._position)
        data = self._stream.read(unit.size)
        self._position = unit.offset + len(data)
        return data

    def _skip(self, stream: IO[bytes], count: int) -> None:
        while count > 0:
            passed = len(stream.read(min(count, 1 << 20)))
            if passed == 0:
                raise EOFError("it ends early")
            count -= passed

    def close(self) -> None:
        """Close what is open."""
        if self._stream is not None:
            self._stream.close()
        self._stream, self._path, self._position = None, None, 0
