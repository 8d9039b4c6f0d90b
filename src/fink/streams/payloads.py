"""Bytes of files, of members of tarballs, and of what is packed in either, without unpacking anything to disk."""

from __future__ import annotations

import bz2
import io
import lzma
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from isal import igzip

from fink.errors import PacketError, SourceError

_PACKED = {b"\x1f\x8b": "gzip", b"\xfd7": "xz", b"BZ": "bzip2"}


def _gunzip(target: IO[bytes]) -> IO[bytes]:
    stream: IO[bytes] = igzip.open(target, "rb")
    return stream


_UNPACKERS: dict[str, Callable[[IO[bytes]], IO[bytes]]] = {"gzip": _gunzip, "xz": lzma.LZMAFile, "bzip2": bz2.BZ2File}
MOST_UNPACKED = 1 << 31
"""Largest file that is unpacked from gzip, xz or bzip2 [byte]; tarballs are read piece by piece and may be of any size."""


@dataclass(frozen=True)
class Unit:
    """One file, or one member of a tarball: what holds alerts.

    Parameters
    ----------
    path
        The file on disk.
    member
        Name of the member; empty for a plain file.
    offset, size
        Where its bytes lie: in the file, or in the unpacked tarball.
    packing
        How the tarball is packed (``gzip``, ``xz``, ``bzip2``), empty where it is not.
    """

    path: Path
    member: str
    offset: int
    size: int
    packing: str = ""

    @property
    def label(self) -> str:
        """The name that people see."""
        return f"{self.path.name}:{self.member}" if self.member else self.path.name


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
    except (OSError, EOFError, lzma.LZMAError, zlib.error, ValueError) as error:
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


def units_of(path: Path) -> Iterator[tuple[Unit, bytes | None]]:
    """Give what a file holds: itself, or the members of the tarball that it is, in their order.

    The bytes come with it where reading them again would cost more; None where the caller reads them.

    Raises
    ------
    PacketError
        If it is a tarball that breaks; the members before the break have been given.
    SourceError
        If the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            beginning = file.read(512)
            packing = packing_of(beginning)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    if _is_tar(path, packing):
        yield from _members(path, packing)
    else:
        yield Unit(path, "", 0, size), None


def _is_tar(path: Path, packing: str) -> bool:
    try:
        with _open_packed(path, packing) as stream:
            return stream.read(262)[257:] == b"ustar"
    except (OSError, EOFError, lzma.LZMAError, zlib.error):
        return False


def _members(path: Path, packing: str) -> Iterator[tuple[Unit, bytes]]:
    try:
        with _open_packed(path, packing) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            for info in tar:
                file = tar.extractfile(info) if info.isfile() else None
                if file is None:
                    continue
                data = file.read()
                if len(data) < info.size:
                    raise EOFError(f"member {info.name} ends early")
                yield Unit(path, info.name, info.offset_data, info.size, packing or "none"), data
    except (tarfile.TarError, OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise PacketError(f"the tarball breaks off: {error}") from error


class PayloadReader:
    """Reads the bytes of units; a packed tarball is read forwards, so asking in order of offset costs one pass."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._stream: IO[bytes] | None = None
        self._position = 0

    def read(self, unit: Unit) -> bytes:
        """Give the bytes of a unit, as they lie on disk or in the tarball.

        Raises
        ------
        SourceError
            If the file is gone or shorter than it was.
        """
        try:
            data = self._read(unit)
        except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
            raise SourceError(f"{unit.label} cannot be read again: {error}; leave the files alone while they are read") from error
        if len(data) != unit.size:
            raise SourceError(f"{unit.label} is shorter than it was; leave the files alone while they are read")
        return data

    def _read(self, unit: Unit) -> bytes:
        if self._stream is None or self._path != unit.path or unit.offset < self._position:
            self.close()
            self._path, self._position = unit.path, 0
            self._stream = _open_packed(unit.path, unit.packing if unit.packing != "none" else "")
        if not unit.packing or unit.packing == "none":
            self._stream.seek(unit.offset)
        else:
            self._skip(unit.offset - self._position)
        data = self._stream.read(unit.size)
        self._position = unit.offset + len(data)
        return data

    def _skip(self, count: int) -> None:
        while count > 0 and self._stream is not None:
            passed = len(self._stream.read(min(count, 1 << 20)))
            if passed == 0:
                raise EOFError("it ends early")
            count -= passed

    def close(self) -> None:
        """Close what is open."""
        if self._stream is not None:
            self._stream.close()
        self._stream, self._path, self._position = None, None, 0
