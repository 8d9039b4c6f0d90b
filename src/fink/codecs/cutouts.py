"""Stamps: the small images around an alert, unpacked from FITS only when something asks for them.

ZTF sends gzipped FITS of one image, LSST plain FITS of an image, its uncertainty and its point-spread function. Whatever else
a packet carries gives no image, and a reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import nan, prod
from typing import Literal, TypeAlias

import numpy as np
from isal import igzip, isal_zlib
from isal.igzip_lib import IsalError
from numpy.typing import NDArray

from fink.errors import PacketError
from fink.tables import STAMPS, Cutouts, Packets

Image: TypeAlias = NDArray[np.float32]
Plane = Literal["image", "uncertainty", "psf"]
Value: TypeAlias = str | bool | int | float | None

LARGEST = 16_000_000
"""Bytes that an unpacked stamp may have; the largest real ones have 140,000."""

MOST_KEPT = 2048
"""Images that a batch remembers at most: 32 MB of ZTF's."""

_BLOCK, _CARD, _DEEPEST = 2880, 80, 16
_TYPES = {8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
_EXTENSIONS = {"uncertainty": "UNCERT", "psf": "PSFIMAGE"}
_QUOTED = re.compile(r"\s*'((?:[^']|'')*)'")


@dataclass(frozen=True)
class HeaderUnit:
    """One header of a FITS file with the image that follows it.

    Parameters
    ----------
    cards
        The header's values by keyword; of a repeated keyword the first stands.
    image
        ``(height, width)``, scaled to what it means; None where the unit holds no image of two dimensions.
    """

    cards: Mapping[str, Value]
    image: Image | None

    @property
    def name(self) -> str:
        """Name of the unit, empty for the first."""
        return str(self.cards.get("EXTNAME", ""))


def unpack(data: bytes) -> bytes:
    """Give the FITS bytes of a stamp, gunzipped where they are gzipped.

    Raises
    ------
    PacketError
        If the bytes are no FITS, or a gzip stream that is broken or too large.
    """
    if data[:2] == b"\x1f\x8b":
        data = _gunzip(data)
    if data[:6] == b"SIMPLE":
        return data
    if data[:3] == b"\xff\xd8\xff":
        raise PacketError("the stamp is a JPEG picture, which has no fluxes")
    if not data:
        raise PacketError("the packet carries no stamp")
    raise PacketError(f"the stamp is not FITS: it begins with {data[:8]!r}")


def _gunzip(data: bytes) -> bytes:
    stream = isal_zlib.decompressobj(wbits=31)
    try:
        out: bytes = stream.decompress(data, LARGEST + 1)
    except IsalError as error:  # type: ignore[misc]  # the stub declares an instance
        raise PacketError(f"the stamp's gzip stream is broken: {error}") from error
    if len(out) > LARGEST:
        raise PacketError(f"the stamp unpacks to more than {LARGEST} bytes")
    if not stream.eof:
        raise PacketError("the stamp's gzip stream ends early")
    return out


def read_fits(data: bytes) -> list[HeaderUnit]:
    """Read the images of a FITS file.

    Parameters
    ----------
    data
        The whole file, plain or gzipped.

    Raises
    ------
    PacketError
        If it is not FITS, or a header or image is broken.
    """
    return list(_header_units(unpack(data)))


def _header_units(data: bytes) -> Iterator[HeaderUnit]:
    """Read one header with its image after the other; those behind the last that is asked for are not looked at."""
    at = 0
    for number in range(_DEEPEST):
        if at >= len(data) or (number and data[at : at + 8] != b"XTENSION"):
            return  # what follows the last unit is padding
        cards, begin = _read_cards(data, at)
        shape = _shape(cards)
        width = abs(_integer(cards, "BITPIX")) // 8
        length = width * _integer(cards, "GCOUNT", 1) * (_integer(cards, "PCOUNT", 0) + prod(shape)) if shape else 0
        if length > len(data) - begin:
            raise PacketError(f"the stamp's image needs {length} bytes and has {max(len(data) - begin, 0)}")
        yield HeaderUnit(cards, _image(data, begin, shape, cards) if _holds_image(cards, shape) else None)
        at = begin + -(-length // _BLOCK) * _BLOCK


def _read_cards(data: bytes, at: int) -> tuple[dict[str, Value], int]:
    """Read one header; give its values and where the data begin."""
    cards: dict[str, Value] = {}
    for begin in range(at, len(data) - _CARD + 1, _BLOCK):
        block, ends = _cards_of(data[begin : begin + _BLOCK])
        cards = block | cards
        if ends:
            return cards, begin + _BLOCK
    raise PacketError("the stamp's FITS header has no end")


@lru_cache(maxsize=64)
def _cards_of(block: bytes) -> tuple[dict[str, Value], bool]:
    """Read the cards of one block of a header, and whether it is the last; the stamps of ZTF all have the same header."""
    cards: dict[str, Value] = {}
    for begin in range(0, len(block) - _CARD + 1, _CARD):
        card = block[begin : begin + _CARD]
        key = card[:8].rstrip()
        if key == b"END":
            return cards, True
        if card[8:10] == b"= ":
            cards.setdefault(key.decode("latin-1"), _value(card[10:].decode("latin-1")))
    return cards, False


def _value(text: str) -> Value:
    """Read the value of a card: a text in quotes, T or F, an integer or a float; None where it is none of these."""
    quoted = _QUOTED.match(text)
    if quoted:
        return quoted[1].replace("''", "'").rstrip()
    word = text.partition("/")[0].strip()
    if word in ("T", "F"):
        return word == "T"
    for number in (int, float):
        try:
            return number(word.replace("D", "E"))
        except ValueError:
            continue
    return None


def _integer(cards: Mapping[str, Value], key: str, missing: int | None = None) -> int:
    value = cards.get(key, missing)
    if not isinstance(value, int) or isinstance(value, bool) or (value < 0 and key != "BITPIX"):
        raise PacketError(f"the stamp's FITS header has {key} = {value!r}")
    return value


def _shape(cards: Mapping[str, Value]) -> tuple[int, ...]:
    """Give the lengths of the axes, the slowest first, having checked them and the type."""
    if _integer(cards, "BITPIX") not in _TYPES:
        raise PacketError(f"the stamp's FITS header has BITPIX = {cards['BITPIX']!r}")
    axes = _integer(cards, "NAXIS")
    if axes > 999:
        raise PacketError(f"the stamp's FITS header has NAXIS = {axes}")
    return tuple(_integer(cards, f"NAXIS{i}") for i in range(axes, 0, -1))


def _holds_image(cards: Mapping[str, Value], shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and prod(shape) > 0 and cards.get("XTENSION", "IMAGE") == "IMAGE"


def _image(data: bytes, begin: int, shape: tuple[int, ...], cards: Mapping[str, Value]) -> Image:
    """Give an image as float32, its scale and zero applied and its blank pixels NaN."""
    bits = _integer(cards, "BITPIX")
    raw = np.frombuffer(data, _TYPES[bits], prod(shape), begin).reshape(shape)
    scale, zero, blank = cards.get("BSCALE", 1), cards.get("BZERO", 0), cards.get("BLANK")
    if not isinstance(scale, int | float) or not isinstance(zero, int | float):
        raise PacketError(f"the stamp's FITS header has BSCALE = {scale!r} and BZERO = {zero!r}")
    with np.errstate(over="ignore", invalid="ignore"):
        if scale == 1 and zero == 0:
            image = raw.astype(np.float32)
        else:
            # the precision of the sum follows the type that is stored, as in the FITS libraries
            wide: NDArray[np.floating] = raw.astype(np.float32 if bits in (8, 16, -32) else np.float64)
            image = (wide * float(scale) + float(zero)).astype(np.float32)
    if isinstance(blank, int) and bits > 0:
        image[raw == blank] = np.nan
    return image


def write_fits(image: NDArray[np.floating], *, uncertainty: Image | None = None, psf: Image | None = None, gzipped: bool = False) -> bytes:
    """Write a stamp as a survey does: an image, and where given its uncertainty and point-spread function, as FITS.

    Parameters
    ----------
    image, uncertainty, psf
        ``(height, width)``; written as float32.
    gzipped
        Whether to gzip the file, as ZTF does.
    """
    more = {name: plane for name, plane in (("UNCERT", uncertainty), ("PSFIMAGE", psf)) if plane is not None}
    data = _unit(image, ["SIMPLE  =                    T"], ["EXTEND  =                    T"] if more else [])
    for name, plane in more.items():
        links = ["PCOUNT  =                    0", "GCOUNT  =                    1", f"EXTNAME = '{name:8}'"]
        data += _unit(plane, ["XTENSION= 'IMAGE   '"], links)
    return bytes(igzip.compress(data, 3, mtime=0)) if gzipped else data


def _unit(image: NDArray[np.floating], first: list[str], last: list[str]) -> bytes:
    """Write one header and its image, each filled up to whole blocks."""
    height, width = image.shape
    numbers = {"BITPIX": -32, "NAXIS": 2, "NAXIS1": width, "NAXIS2": height}
    cards = [*first, *(f"{key:8}= {number:20d}" for key, number in numbers.items()), *last, "END"]
    header = b"".join(card.ljust(_CARD).encode("ascii") for card in cards)
    body = image.astype(">f4").tobytes()
    return header + b" " * (-len(header) % _BLOCK) + body + bytes(-len(body) % _BLOCK)


class Stamps:
    """The stamps of a batch of alerts, unpacked when asked for.

    Parameters
    ----------
    packets, cutouts
        The batch's records, and where the stamps lie in them. Where the cutouts remember what was unpacked
        (`fink.tables.Cutouts.remembering`), an image is unpacked once for all who ask, who must not change it.
    pixel_scale
        Size of a pixel [arcsec]; NaN where it is not known.
    """

    def __init__(self, packets: Packets, cutouts: Cutouts, pixel_scale: float = nan) -> None:
        self.packets = packets
        self.cutouts = cutouts
        self.pixel_scale = pixel_scale

    def __len__(self) -> int:
        return len(self.packets)

    def raw(self, row: int, which: str) -> bytes:
        """Give the bytes of a stamp as the survey wrote them; none where the packet carries no stamp."""
        start, length = (int(a[row, STAMPS.index(which)]) for a in (self.cutouts.start, self.cutouts.length))
        return self.packets.buffer[start : start + length].tobytes()

    def units(self, row: int, which: str) -> list[HeaderUnit]:
        """Give all headers and images of a stamp.

        Raises
        ------
        PacketError
            If there is no stamp, or it cannot be read.
        """
        return read_fits(self.raw(row, which))

    def image(self, row: int, which: str, plane: Plane = "image") -> Image | None:
        """Give one stamp of an alert.

        Parameters
        ----------
        row
            Row of the alert in the batch.
        which
            ``science``, ``template`` or ``difference``.
        plane
            The image itself, or its ``uncertainty`` or ``psf`` where the survey sends them.

        Returns
        -------
        image
            ``(height, width)``, in the survey's unit, rows from the bottom; None where there is none that can be used
            (`reason` says why).
        """
        found = self._find(row, which, plane)
        return None if isinstance(found, str) else found

    def reason(self, row: int, which: str, plane: Plane = "image") -> str:
        """Say why `image` gives nothing; empty where it gives an image."""
        found = self._find(row, which, plane)
        return found if isinstance(found, str) else ""

    def images(self, which: str, rows: Sequence[int] | NDArray[np.int64] | None = None, plane: Plane = "image") -> list[Image | None]:
        """Give one stamp of many alerts, of all where no rows are named."""
        return [self.image(int(row), which, plane) for row in (range(len(self)) if rows is None else rows)]

    def _find(self, row: int, which: str, plane: Plane) -> Image | str:
        """Give an image, or the reason why there is none."""
        stamp = STAMPS.index(which)
        known, key = self.cutouts.unpacked, (int(self.cutouts.start[row, stamp]), int(self.cutouts.length[row, stamp]), plane)
        if known is not None and key in known:
            found: Image | str = known[key]
            return found
        found = _first_image(self.raw(row, which), plane)
        if known is not None and len(known) < MOST_KEPT:
            known[key] = found
        return found


def _first_image(data: bytes, plane: Plane) -> Image | str:
    """Read the first image of this plane from a stamp, or say why there is none."""
    wanted = _EXTENSIONS.get(plane)
    try:
        units = _header_units(unpack(data))
        image = next((u.image for u in units if u.image is not None and (wanted is None or u.name == wanted)), None)
    except PacketError as error:
        return error.reason
    if image is None:
        return f"the stamp has no {plane}"
    if not np.isfinite(image).any():
        return f"no pixel of the stamp's {plane} has a value"
    return image
