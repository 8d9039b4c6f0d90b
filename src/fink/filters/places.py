"""Places on the sky that users name: lists of positions with radii of their own, and areas made of HEALPix pixels.

Both are written once, in a folder named after their content, and mapped into memory by the run that matches alerts with them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from fink.catalogs.match import SkyIndex, Tier
from fink.errors import ConditionError, NotFoundError
from fink.filters.users import ENTRY_COLUMNS, Places, UserSubstream
from fink.sky import healpix

DEEPEST = 29
"""HEALPix order of the pixels that areas are made of."""

LARGEST_RADIUS = 36_000.0
"""Largest radius of an entry of a list [arcsec]; what is larger is an area."""


@dataclass(frozen=True)
class PositionList:
    """``m`` positions, each with a radius within which an alert is at it.

    Parameters
    ----------
    index
        The positions, ready to be matched.
    names
        (m,) the name of each, in the order of the index.
    """

    index: SkyIndex
    names: pa.StringArray

    def __len__(self) -> int:
        return len(self.index)

    @classmethod
    def build(cls, ra: NDArray[np.float64], dec: NDArray[np.float64], radius: NDArray[np.float64], names: pa.Array) -> Self:
        """Sort positions [deg] with their radii [arcsec].

        Raises
        ------
        ConditionError
            If one is not on the sky, or a radius is not from 0 to `LARGEST_RADIUS`.
        """
        wrong = np.flatnonzero(~(np.isfinite(ra) & (np.abs(dec) <= 90.0)))
        if len(wrong):
            row = wrong[0]
            raise ConditionError(f"row {row + 1} has no position on the sky ({ra[row]}, {dec[row]}); give degrees, dec from -90 to 90")
        wrong = np.flatnonzero(~((radius >= 0.0) & (radius <= LARGEST_RADIUS)))
        if len(wrong):
            row = wrong[0]
            raise ConditionError(f"row {row + 1} has the radius {radius[row]}; give 0 to {LARGEST_RADIUS:g} arcsec, or make it an area")
        built = SkyIndex.build(ra, dec, radius=radius)
        order = pa.array(built.rows)
        return cls(SkyIndex(built.positions, built.offsets, built.tiers, shape=built.shape), names.cast(pa.string()).take(order))

    def match(self, ra: NDArray[np.float64], dec: NDArray[np.float64]) -> tuple[NDArray[np.bool_], pa.Table]:
        """Say which positions [deg] lie within the radius of an entry, and of the nearest such entry the name and distance."""
        found = self.index.match(ra, dec)
        source = np.full(len(ra), -1, np.int64)
        source[found.position] = found.source
        separation = np.full(len(ra), np.nan)
        separation[found.position] = found.separation
        inside = source >= 0
        names = self.names.take(pa.array(source, mask=~inside))
        said = (names, pa.array(separation.astype(np.float32), mask=~inside))
        return inside, pa.table({column.name: values for column, values in zip(ENTRY_COLUMNS, said, strict=True)})

    def write(self, folder: Path) -> str:
        """Write the list below a folder, unless it is there, and give its identity: a digest of what it holds."""
        digest = hashlib.sha256(b"positions")
        parts: dict[str, NDArray[Any]] = {"positions": self.index.positions, "offsets": self.index.offsets, "shape": self.index.shape}
        for array in parts.values():
            digest.update(np.ascontiguousarray(array).tobytes())
        table = pa.table({"name": self.names})
        digest.update(orjson.dumps(self.names.to_pylist()))
        identity = digest.hexdigest()[:32]
        with _making(folder, identity) as path:
            if path is not None:
                for name, array in parts.items():
                    np.save(path / f"{name}.npy", array)
                (path / "tiers.json").write_bytes(
                    orjson.dumps([asdict(tier) for tier in self.index.tiers], option=orjson.OPT_SERIALIZE_NUMPY)
                )
                with pa.OSFile(str(path / "names.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
                    writer.write_table(table.combine_chunks())
        return identity

    @classmethod
    def open(cls, path: Path) -> Self:
        """Map a list that `write` wrote."""
        tiers = tuple(Tier(**tier) for tier in orjson.loads((path / "tiers.json").read_bytes()))
        positions, offsets, shape = (_mapped(path / f"{name}.npy") for name in ("positions", "offsets", "shape"))
        names = pa.ipc.open_file(pa.memory_map(str(path / "names.arrow"))).read_all()["name"].combine_chunks()
        return cls(SkyIndex(positions, offsets, tiers, shape=shape), names)


@dataclass(frozen=True)
class Area:
    """A part of the sky, as ranges of HEALPix pixels.

    Parameters
    ----------
    ranges
        (k, 2) first nested pixel of order 29 and first pixel after, in order, apart from one another.
    """

    ranges: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ranges)

    @property
    def square_degrees(self) -> float:
        """How much of the sky it covers [deg2]."""
        pixels = float((self.ranges[:, 1] - self.ranges[:, 0]).astype(np.float64).sum())
        return pixels / (12.0 * 4.0**DEEPEST) * 4.0 * np.pi * (180.0 / np.pi) ** 2

    def match(self, ra: NDArray[np.float64], dec: NDArray[np.float64]) -> tuple[NDArray[np.bool_], None]:
        """Say which positions [deg] lie in the area."""
        pixel = healpix(DEEPEST, ra, dec)
        place = np.searchsorted(self.ranges[:, 0], pixel, side="right") - 1
        inside = (place >= 0) & (pixel >= 0)
        inside[inside] = pixel[inside] < self.ranges[place[inside], 1]
        return inside, None

    def write(self, folder: Path) -> str:
        """Write the area below a folder, unless it is there, and give its identity: a digest of what it holds."""
        identity = hashlib.sha256(b"area" + np.ascontiguousarray(self.ranges).tobytes()).hexdigest()[:32]
        with _making(folder, identity) as path:
            if path is not None:
                np.save(path / "ranges.npy", self.ranges)
        return identity

    @classmethod
    def open(cls, path: Path) -> Self:
        """Map an area that `write` wrote."""
        return cls(_mapped(path / "ranges.npy"))


def open_places(folder: Path, substream: UserSubstream) -> Places | None:
    """Open the places of a user's substream; None where it has none.

    Raises
    ------
    NotFoundError
        If they are not there, or damaged.
    """
    if not substream.places:
        return None
    try:
        kind: type[PositionList] | type[Area] = Area if substream.kind == "area" else PositionList
        return kind.open(folder / substream.places)
    except (OSError, ValueError) as error:
        raise NotFoundError(f"the {substream.kind} of {substream.name} cannot be read: {error}; give it again with its file") from error


def _mapped(path: Path) -> NDArray[Any]:
    """Map an array, copied where it is written to: for a kernel a read-only array is another type, to be compiled once more."""
    array: NDArray[Any] = np.load(path, mmap_mode="c").view(np.ndarray)
    return array


class _making:
    """A folder that is written aside, synced, and then has its name, in one step; None where it is there already."""

    def __init__(self, folder: Path, identity: str) -> None:
        self._path, self._aside = folder / identity, None if (folder / identity).exists() else folder

    def __enter__(self) -> Path | None:
        if self._aside is not None:
            self._aside.mkdir(exist_ok=True)
            self._aside = Path(tempfile.mkdtemp(prefix=".new-", dir=self._aside))
        return self._aside

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._aside is None:
            return
        try:
            if kind is None:
                for part in (*self._aside.iterdir(), self._aside):
                    _sync(part)
                if not self._path.exists():
                    self._aside.rename(self._path)
                    _sync(self._path.parent)
        finally:
            shutil.rmtree(self._aside, ignore_errors=True)


def _sync(path: Path) -> None:
    """Have the disk keep a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
