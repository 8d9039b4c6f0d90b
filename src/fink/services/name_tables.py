"""Names in the installed catalogues: where each is found by any of its spellings, or by its beginning."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from fink import catalogs
from fink.catalogs.store import CURRENT, ROWS, InstalledCatalogue
from fink.errors import CatalogueError

MOST_NAMES = 20_000_000
"""Sources of a catalogue up to which its names are looked up; larger ones number their sources, and have no names."""

SOLAR_SYSTEM = "solar_system_names.csv"
"""File in the folder of artifacts: a row with ``number``, ``name`` and ``designation`` for each named minor planet."""

_MARKS, _PREFIXES = r"^(?:name\s|v\*|\*\*|em\*|\*)\s*", r"^(?:sn|at|tde|frb)\s*([0-9])"
_building = threading.Lock()


@dataclass(frozen=True)
class NamedSource:
    """A source of a catalogue that bears a name.

    Parameters
    ----------
    catalogue, name
        Where it stands, and its main name there.
    ra, dec
        Position [deg], ICRS; None where the catalogue has none.
    values
        Its columns, without the catalogue's name before theirs.
    exact
        Whether one of its names is the text that was asked for, and does not only begin so.
    """

    catalogue: str
    name: str
    ra: float | None
    dec: float | None
    values: dict[str, Any]
    exact: bool


@dataclass(frozen=True)
class NameTable:
    """The names of one catalogue in alphabetical order of their plain form.

    Parameters
    ----------
    keys
        (k,) plain forms, sorted; a source may have several.
    rows
        (k,) source of each.
    """

    catalogue: InstalledCatalogue
    keys: pl.Series
    rows: np.ndarray[Any, np.dtype[np.int64]]

    def find(self, text: str, limit: int, *, beginnings: bool) -> list[NamedSource]:
        """Give the sources of a name, or with ``beginnings`` also those whose names begin so."""
        key = plain(text)
        if not key:
            return []
        first = int(self.keys.search_sorted(key, side="left"))
        last = int(self.keys.search_sorted(key + ("\U0010ffff" if beginnings else ""), side="right"))
        found: dict[int, bool] = {}
        for place in range(first, last):
            if len(found) >= limit:
                break
            found[int(self.rows[place])] = found.get(int(self.rows[place]), False) or self.keys[place] == key
        return [self._source(row, exact) for row, exact in found.items()]

    def _source(self, row: int, exact: bool) -> NamedSource:
        record, at = self.catalogue.record, np.array([row])
        values = {name.removeprefix(f"{record.name}_"): self.catalogue.take(name, at)[0].as_py() for name in self.catalogue.columns}
        main = next((values[name] for name in _name_fields(record.name) if values.get(name) not in (None, "")), "")
        place = self.catalogue.index.positions[row]
        label = str(main) if isinstance(main, str) else f"{record.name} {main}"
        return NamedSource(record.name, label, float(place[0]), float(place[1]), values, exact)


def plain(text: str) -> str:
    """Give the form in which names are compared: without blanks, case, leading zeros, and marks as ``V*``, ``NAME`` and ``SN``."""
    return str(_plain(pl.Series([text], dtype=pl.String))[0])


def _plain(names: pl.Series) -> pl.Series:
    bare = names.str.to_lowercase().str.strip_chars().str.replace(_MARKS, "").str.replace(_PREFIXES, "${1}")
    return bare.str.replace_all(r"[\s_]+", "").str.replace_all(r"(^|[^0-9.])0+([0-9])", "${1}${2}")


def tables(artifacts: Path) -> Iterator[NameTable]:
    """Give the names of each installed catalogue that has any, of its current version; what was read is kept."""
    for current in sorted((artifacts / catalogs.FOLDER).glob(f"*/{CURRENT}")):
        name = current.parent.name
        # what has no position cannot be looked for
        if name in catalogs.registry() and not catalogs.registry()[name].object_field and _name_fields(name):
            with _building:
                table = _table(current, current.read_text().strip())
            if table is not None:
                yield table


@lru_cache(maxsize=64)
def _table(current: Path, version: str) -> NameTable | None:
    """Read the names of one version."""
    catalogue = InstalledCatalogue.open(current.parent / version)
    if len(catalogue) > MOST_NAMES or not (catalogue.folder / ROWS).exists():
        return None
    prefix = f"{catalogue.record.name}_"
    columns = [prefix + name for name in _name_fields(catalogue.record.name) if prefix + name in catalogue.columns]
    if not columns:
        return None
    frame = pl.read_parquet(catalogue.folder / ROWS, columns=columns).with_row_index("row")
    parts = [_keys(frame, column, catalogue.record.name) for column in columns]
    joined = pl.concat(parts).filter(pl.col("key").is_not_null() & (pl.col("key") != "")).sort("key", "row")
    return NameTable(catalogue, joined["key"], joined["row"].cast(pl.Int64).to_numpy())


def _keys(frame: pl.DataFrame, column: str, catalogue: str) -> pl.DataFrame:
    """Give plain name and row of each name in a column; several stand with commas between."""
    if frame[column].dtype.is_integer():
        names = frame.select("row", key=pl.lit(catalogue) + pl.col(column).cast(pl.String))
    else:
        names = frame.select("row", key=pl.col(column).cast(pl.String).str.split(",")).explode("key")
    return names.with_columns(key=_plain(names["key"]))


def _name_fields(catalogue: str) -> Sequence[str]:
    """Give the fields of a catalogue that name its sources, the main one first."""
    fields = [field for field in catalogs.registry()[catalogue].fields if field.ucd.startswith("meta.id")]
    names = [field.name for field in fields if field.type in (pa.string(), pa.int32(), pa.int64())]
    return sorted(names, key=lambda name: name != "name")


@dataclass(frozen=True)
class MinorPlanet:
    """A named or numbered minor planet: whatever is known of number, name and designation."""

    number: str
    name: str
    designation: str


def minor_planets(artifacts: Path, text: str, limit: int = 10) -> list[MinorPlanet]:
    """Give the minor planets of a name, number or designation from the table in the folder of artifacts; none where there is no table."""
    path = artifacts / SOLAR_SYSTEM
    if not path.exists():
        return []
    with _building:
        frame = _minor_planets(path, path.stat().st_mtime_ns)
    key = plain(text)
    found = frame.filter(pl.any_horizontal(pl.col("plain_name", "plain_designation") == key) | (pl.col("number") == text.strip("() ")))
    return [MinorPlanet(*(row or "" for row in rows)) for rows in found.select("number", "name", "designation").head(limit).iter_rows()]


@lru_cache(maxsize=2)
def _minor_planets(path: Path, changed: int) -> pl.DataFrame:
    try:
        frame = pl.read_csv(path, schema_overrides={"number": pl.String, "name": pl.String, "designation": pl.String})
        frame = frame.select("number", "name", "designation")
    except pl.exceptions.PolarsError as error:
        raise CatalogueError(f"{path} cannot be read: {error}; it needs columns number, name and designation") from error
    return frame.with_columns(plain_name=_plain(frame["name"]), plain_designation=_plain(frame["designation"]))
