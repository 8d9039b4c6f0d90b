"""Row keys: bytes that sort as their meaning does. One design for every store of the index.

A number is written big-endian with its sign turned, so that negative ones sort first. An object's key begins with the
HEALPix pixel of its first alert, so that the objects of one exposure lie beside one another.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

PIXEL_ORDER = 8
"""HEALPix order of the pixel in an object's key: 0.05 square degrees."""

SKY_ORDER = 29
"""HEALPix order of the `sky` keys: 0.4 milliarcseconds."""

MOVING, LONE = 0xFFFFFFFF, 0xFFFFFFFE
"""In place of the pixel: a moving object known by its designation, an alert that belongs to no object."""

SAID = b"\0"
"""Follows a substream's name in the key of what it says of the alerts that it took in a commit."""

_SIGN = np.uint64(1 << 63)


def sortable_integers(values: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Write integers as (n, 8) bytes that sort as the numbers do."""
    flipped = np.ascontiguousarray(values, np.int64).view(np.uint64) ^ _SIGN
    return flipped.astype(">u8").view(np.uint8).reshape(-1, 8)


def sortable_floats(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Write floats as (n, 8) bytes that sort as the numbers do."""
    # adding zero turns -0.0 into 0.0, which must not be two keys
    bits = (np.ascontiguousarray(values, np.float64) + 0.0).view(np.uint64)
    flipped = np.where(bits & _SIGN, ~bits, bits | _SIGN)
    return flipped.astype(">u8").view(np.uint8).reshape(-1, 8)


def integer_key(value: int) -> bytes:
    """Write one integer as `sortable_integers` does."""
    return struct.pack(">Q", (value + (1 << 63)) & 0xFFFFFFFFFFFFFFFF)


def float_key(value: float) -> bytes:
    """Write one float as `sortable_floats` does."""
    return sortable_floats(np.array([value], np.float64)).tobytes()


def read_integer(key: bytes) -> int:
    """Read what `integer_key` wrote."""
    return int(struct.unpack(">Q", key)[0]) - (1 << 63)


def read_floats(keys: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Read (n, 8) bytes that `sortable_floats` wrote."""
    bits = np.ascontiguousarray(keys).view(">u8").astype(np.uint64).ravel()
    return np.where(bits & _SIGN, bits & ~_SIGN, ~bits).view(np.float64)


def split(columns: list[NDArray[np.uint8]], n: int) -> list[bytes]:
    """Join byte columns (n, width) side by side and give each row as bytes."""
    joined = np.concatenate([np.broadcast_to(column, (n, column.shape[-1])) for column in columns], axis=1)
    width, blob = joined.shape[1], joined.tobytes()
    return [blob[i : i + width] for i in range(0, n * width, width)]


def alert_keys(survey: int, alert_id: NDArray[np.int64]) -> list[bytes]:
    """Give the keys of the `alerts` family."""
    return split([np.array([[survey]], np.uint8), sortable_integers(alert_id)], len(alert_id))


def alert_key(survey: int, alert_id: int) -> bytes:
    """Give one key of the `alerts` family."""
    return bytes([survey]) + integer_key(alert_id)


def object_key(survey: int, pixel: int, name: bytes) -> bytes:
    """Give the key of an object: its survey, the pixel of its first alert, its name."""
    return struct.pack(">BI", survey, pixel) + name + b"\0"


def object_prefixes(survey: int, pixel: NDArray[np.int64]) -> list[bytes]:
    """Give the first bytes of objects' keys, to which the name and a zero are added."""
    return split([np.array([[survey]], np.uint8), pixel.astype(">u4").view(np.uint8).reshape(-1, 4)], len(pixel))


def moments(mjd: NDArray[np.float64], alert_id: NDArray[np.int64]) -> list[bytes]:
    """Give the ends of row keys: time, then alert."""
    return split([sortable_floats(mjd), sortable_integers(alert_id)], len(mjd))


def sky_keys(survey: int, pixel: NDArray[np.int64], mjd: NDArray[np.float64], alert_id: NDArray[np.int64]) -> list[bytes]:
    """Give the keys of the `sky` family; ``pixel`` is of `SKY_ORDER`."""
    parts: list[NDArray[Any]] = [np.array([[survey]], np.uint8), pixel.astype(">u8").view(np.uint8).reshape(-1, 8)]
    return split([*parts, sortable_floats(mjd), sortable_integers(alert_id)], len(pixel))


def sky_bound(survey: int, pixel: int) -> bytes:
    """Give the first possible key of a pixel in the `sky` family."""
    return struct.pack(">BQ", survey, pixel)
