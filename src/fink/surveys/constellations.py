"""Constellations: in which of the 88 a position lies, by the boundaries of the IAU (Roman 1987, doi:10.1086/132034).

The boundaries follow the equator and hour circles of 1875, so that positions are precessed to it first.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fink.errors import ArtifactError

_TO_1875 = np.array(
    [
        [0.999535928040, 0.027935235948, 0.012147063454],
        [-0.027935234881, 0.999609720752, -0.000169792795],
        [-0.012147065909, -0.000169617072, 0.999926207287],
    ]
)
"""From the ICRS to the mean equator and equinox of B1875 (IAU 2006)."""
_AT_ONCE = 20_000


def constellations(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> pa.Array:
    """Give the name of the constellation of each position (n,) [deg], ICRS; null where there is no position."""
    names, west, east, south, code = _boundaries()
    found = np.full(len(ra), -1, np.int64)
    for start in range(0, len(ra), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        a, d = _of_1875(ra[part], dec[part])
        # the list is from the north pole down: the first strip that holds a position is the right one
        inside = (d[:, None] >= south) & (a[:, None] >= west) & (a[:, None] < east)
        found[part] = np.where(inside.any(axis=1), code[inside.argmax(axis=1)], -1)
    return pa.array(names, pa.string()).take(pa.array(found, mask=found < 0))


def _of_1875(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precess positions [deg] to the equinox of 1875: right ascension [h] and declination [deg]."""
    a, d = np.radians(ra), np.radians(dec)
    x, y, z = _TO_1875 @ np.array([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])
    return np.degrees(np.arctan2(y, x)) % 360.0 / 15.0, np.degrees(np.arcsin(np.clip(z, -1.0, 1.0)))


@cache
def _boundaries() -> tuple[list[str], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Read the boundaries that come with astropy, without the time that importing it takes."""
    package = importlib.util.find_spec("astropy")
    folder = Path(package.origin).parent / "coordinates" / "data" if package and package.origin else Path()
    try:
        lines = [line.split() for line in (folder / "constellation_data_roman87.dat").read_text().splitlines() if line[:1] != "#"]
        names = [line for line in (folder / "constellation_names.dat").read_text().splitlines() if line[:1] != "#"]
    except FileNotFoundError as error:
        raise ArtifactError(f"{error.filename} is missing; install astropy again") from error
    full = {line[:3]: line[4:].strip() for line in names if line.strip()}
    rows = [line for line in lines if len(line) == 4]
    known = sorted(full)
    numbers = np.array([[float(value) for value in row[:3]] for row in rows])
    code = np.array([known.index(row[3]) for row in rows], np.int64)
    return [full[short] for short in known], numbers[:, 0], numbers[:, 1], numbers[:, 2], code
