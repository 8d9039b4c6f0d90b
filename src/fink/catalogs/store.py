"""Installed catalogues: folders of files that are mapped into memory, one folder a version, and a line that names the current one.

    catalogs/gcvs/current                 name of the version that is read, replaced as a whole
    catalogs/gcvs/1f0c9a2e4b7d/           catalogue.json   what it is, where it came from, checksums
                                          positions.npy offsets.npy motion.npy shape.npy   (`fink.catalogs.match.SkyIndex`)
                                          gcvs_type.npy    one file a column of numbers or of codes of words;
                                          gcvs_name.offsets.npy gcvs_name.text   two of other text
                                          rows.parquet     all columns with the positions, in the same order, for SQL

Who has opened a version keeps it, replaced or not, until it opens the catalogue again.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

from fink.catalogs.match import Matches, SkyIndex, Tier
from fink.errors import CatalogueError

RECORD, CURRENT, ROWS = "catalogue.json", "current", "rows.parquet"
FORMAT = 1

_MOST_TRIES, _SMALL = 5, 65536


@dataclass(frozen=True)
class CatalogueRecord:
    """What is known of an installed version.

    Parameters
    ----------
    name, version
        The version is the start of a checksum over all that is matched and given: the same data have the same one.
    imported
        Time of import, ISO 8601 in UTC: its age counts from then.
    sources
        Files or addresses that it was made from.
    rows, skipped
        Sources it holds; rows of the distribution that were left out since they have no position, or by the declaration's condition.
    radius, epoch, elliptical, tiers
        How it is matched.
    types
        Arrow type of each column, as text.
    words
        For columns that are kept as codes, the words.
    missing
        Columns that the distribution does not have.
    licence, citation
        As declared when it was imported.
    checksums
        SHA-256 of each file.
    """

    name: str
    version: str
    imported: str
    sources: tuple[str, ...]
    rows: int
    skipped: int
    radius: float
    epoch: float
    elliptical: bool
    tiers: tuple[Tier, ...]
    types: Mapping[str, str]
    words: Mapping[str, tuple[str, ...]]
    missing: tuple[str, ...]
    licence: str
    citation: str
    checksums: Mapping[str, str] = field(default_factory=dict)
    format: int = FORMAT

    def to_bytes(self) -> bytes:
        """Write the record as JSON."""
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote."""
        record: dict[str, Any] = orjson.loads(data)
        if record.get("format") != FORMAT:
            raise CatalogueError(f"{record.get('name')} is of format {record.get('format')}, this Fink reads {FORMAT}; import it again")
        tiers = tuple(Tier(**tier) for tier in record["tiers"])
        words = {name: tuple(values) for name, values in record["words"].items()}
        plain = {name: tuple(record[name]) for name in ("sources", "missing")}
        return cls(**{**record, **plain, "tiers": tiers, "words": words})

    def age(self, now: datetime.datetime) -> float:
        """Days since it was imported."""
        return (now - datetime.datetime.fromisoformat(self.imported)).total_seconds() / 86400.0


@dataclass(frozen=True)
class InstalledCatalogue:
    """One version of a catalogue, open."""

    folder: Path
    record: CatalogueRecord

    @classmethod
    def open(cls, current: Path) -> Self:
        """Open the current version of a catalogue, given the path of the file that names it, or of a version's own folder.

        Raises
        ------
        CatalogueError
            If it is not whole.
        """
        for _ in range(_MOST_TRIES):
            # between reading the name and opening the version another may have taken its place, and this one's folder be gone
            try:
                folder = current if current.is_dir() else current.parent / current.read_text().strip()
                opened = cls(folder, CatalogueRecord.from_bytes((folder / RECORD).read_bytes()))
                len(opened.index)
                for name in opened.record.types:
                    opened.columns[name]
            except FileNotFoundError as error:
                missing = error
                continue
            except (orjson.JSONDecodeError, KeyError, ValueError) as error:
                raise CatalogueError(f"catalogue {current.parent.name} cannot be read: {error}; import it again") from error
            return opened
        raise CatalogueError(
            f"catalogue {current.parent.name} lacks {missing.filename}; import it again with fink catalogs add"
        ) from missing

    @property
    def version(self) -> str:
        """Text that changes whenever an answer may change; commits record it."""
        return self.record.version

    def __len__(self) -> int:
        return self.record.rows

    @cached_property
    def index(self) -> SkyIndex:
        """The positions, ready to be matched."""
        arrays = {name: map_array(self.folder / f"{name}.npy") for name in ("positions", "offsets", "motion", "shape")}
        return SkyIndex(tiers=self.record.tiers, epoch=self.record.epoch, elliptical=self.record.elliptical, **arrays)

    @cached_property
    def columns(self) -> Mapping[str, StoredColumn]:
        """Its columns by their full names."""
        return {name: StoredColumn.open(self.folder, name, kind, self.record.words.get(name)) for name, kind in self.record.types.items()}

    def match(self, ra: ArrayLike, dec: ArrayLike, mjd: ArrayLike | None = None, *, nearest: bool = True) -> Matches:
        """Match positions [deg] at some times with its sources, within the radius that it was declared with."""
        radius = None if len(self.index.shape) else self.record.radius
        return self.index.match(ra, dec, radius=radius, mjd=mjd, nearest=nearest)

    def on_objects(self, objects: pa.Array, key: str, names: Mapping[str, pa.DataType]) -> dict[str, pa.Array]:
        """Give columns of the entry of each object, (n,) each, null where there is none.

        Parameters
        ----------
        objects
            Their names in the survey.
        key
            Full name of the column that holds such names.
        names
            Full names and types of the columns. One that was not imported is null.
        """
        rows = pc.index_in(objects, value_set=self._all(key))
        return {
            name: self._all(name).cast(kind).take(rows) if name in self.columns else pa.nulls(len(rows), kind)
            for name, kind in names.items()
        }

    def _all(self, name: str) -> pa.Array:
        return self.take(name, np.arange(len(self)))

    def take(self, name: str, rows: NDArray[np.int64]) -> pa.Array:
        """Give a column's values of some sources.

        Raises
        ------
        CatalogueError
            If there is no such column.
        """
        if name not in self.columns:
            raise CatalogueError(f"catalogue {self.record.name} was imported without {name}; import it again with fink catalogs add")
        return self.columns[name].take(rows)

    def on_positions(
        self, ra: NDArray[np.float64], dec: NDArray[np.float64], mjd: NDArray[np.float64], names: Mapping[str, pa.DataType]
    ) -> dict[str, pa.Array]:
        """Give columns of the best match of each position, (n,) each, null where there is none.

        Parameters
        ----------
        names
            Full names and types of the columns; that of the separation stands for itself. One that was not imported is null.
        """
        found = self.match(ra, dec, mjd)
        if not len(found):
            return {name: pa.nulls(len(ra), kind) for name, kind in names.items()}
        place = np.full(len(ra), -1, np.int64)
        place[found.position] = np.arange(len(found))
        places = pa.array(place, mask=place < 0)
        out = {}
        for name, kind in names.items():
            if name == f"{self.record.name}_separation":
                values = pa.array(found.separation.astype(np.float32))
            elif name in self.columns:
                values = self.take(name, found.source)
            else:
                values = pa.nulls(len(found), kind)
            out[name] = values.cast(kind).take(places)
        return out


@dataclass(frozen=True)
class StoredColumn:
    """A column that is mapped from its files.

    Parameters
    ----------
    type
        What `take` gives.
    values
        Numbers, codes of words (-1 for none), or, of other text, where each value begins and the last ends.
    valid
        Which numbers are there; None where all are, or where missing ones are not finite.
    text
        The bytes of other text.
    words
        What codes stand for.
    """

    type: pa.DataType
    values: NDArray[Any]
    valid: NDArray[np.bool_] | None = None
    text: NDArray[np.uint8] | None = None
    words: pa.Array | None = None

    @classmethod
    def open(cls, folder: Path, name: str, kind: str, words: tuple[str, ...] | None) -> Self:
        """Map a column's files."""
        if words is not None:
            return cls(pa.string(), map_array(folder / f"{name}.npy"), words=pa.array(words, pa.string()))
        if kind == "string":
            path = folder / f"{name}.text"
            text = np.memmap(path, np.uint8, mode="c") if path.stat().st_size else np.zeros(0, np.uint8)
            return cls(pa.string(), map_array(folder / f"{name}.offsets.npy"), text=np.asarray(text))
        valid = folder / f"{name}.valid.npy"
        return cls(pa.type_for_alias(kind), map_array(folder / f"{name}.npy"), map_array(valid) if valid.exists() else None)

    def take(self, rows: NDArray[np.int64]) -> pa.Array:
        """Give the values in some rows."""
        if self.text is not None:
            whole = pa.LargeStringArray.from_buffers(len(self.values) - 1, pa.py_buffer(self.values), pa.py_buffer(self.text))
            values = whole.take(pa.array(rows)).cast(pa.string())
            return pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values)
        picked = self.values[rows]
        if self.words is not None:
            return self.words.take(pa.array(picked, mask=picked < 0))
        null = ~np.isfinite(picked) if picked.dtype.kind == "f" else None if self.valid is None else ~self.valid[rows]
        return pa.array(picked, self.type, mask=null)


def map_array(path: Path) -> NDArray[Any]:
    """Map an array from its file, a small one read instead; writing to it changes a private copy."""
    return np.asarray(np.load(path, mmap_mode="c" if path.stat().st_size > _SMALL else None))


def installed(folder: Path) -> dict[str, CatalogueRecord]:
    """Give the record of the current version of each catalogue in a folder, by name.

    Raises
    ------
    CatalogueError
        If one cannot be read.
    """
    found = {}
    for current in sorted(folder.glob(f"*/{CURRENT}")):
        found[current.parent.name] = InstalledCatalogue.open(current).record
    return found
