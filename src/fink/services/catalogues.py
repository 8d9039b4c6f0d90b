"""What is done with catalogues: list, add, bring up to date, check, and match positions of one's own with them."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fink import catalogs
from fink.catalogs import Catalogue, fetching, importing
from fink.catalogs.store import CURRENT, CatalogueRecord, InstalledCatalogue, installed
from fink.errors import CatalogueError, NotFoundError, did_you_mean

Progress = Callable[[str], None]


class Catalogues:
    """The catalogues of one folder of artifacts.

    Parameters
    ----------
    artifacts
        The folder of artifacts; catalogues have a folder of their own in it.
    """

    def __init__(self, artifacts: Path) -> None:
        self.folder = artifacts / catalogs.FOLDER

    def all(self) -> list[dict[str, Any]]:
        """Say of each declared catalogue what it is, and of those that are installed how many sources they have and how old they are."""
        there, now = installed(self.folder), datetime.datetime.now(datetime.UTC)
        rows = []
        for name, declared in catalogs.registry().items():
            record = there.get(name)
            row = {"name": name, "about": declared.about, "radius": declared.radius, "installed": record is not None}
            state = {"rows": record.rows, "version": record.version, "age_days": round(record.age(now), 2)} if record else {}
            rows.append(row | (state or {"rows": None, "version": None, "age_days": None}))
        return rows

    def ages(self) -> list[dict[str, Any]]:
        """Give name, version and age [d] of each installed catalogue."""
        return [{key: row[key] for key in ("name", "version", "rows", "age_days")} for row in self.all() if row["installed"]]

    def info(self, name: str) -> dict[str, Any]:
        """Say all that is known of a catalogue, installed or not."""
        declared = self._declared(name)
        known: dict[str, Any] = {"name": name, "about": declared.description, "radius": declared.radius, "epoch": declared.epoch}
        known |= {"citation": declared.citation, "licence": declared.licence, "installed": False}
        known["columns"] = [{"column": c.name, "type": str(c.type), "unit": c.unit, "meaning": c.about} for c in declared.columns]
        known["fetched_from"] = fetching.addresses(declared.download)[0] if declared.download else None
        record = installed(self.folder).get(name)
        if record is not None:
            said = {key: value for key, value in asdict(record).items() if key not in {"words", "tiers", "format", "name", "types"}}
            known |= said | {"installed": True, "age_days": round(record.age(datetime.datetime.now(datetime.UTC)), 2)}
        return known

    def words(self, name: str, column: str) -> tuple[str, ...]:
        """Give the different texts of a column of an installed catalogue that has few; none where it is not installed."""
        record = installed(self.folder).get(name)
        return () if record is None else record.words.get(column, ())

    def add(self, name: str, sources: Sequence[str] = (), progress: Progress = lambda text: None) -> CatalogueRecord:
        """Install a catalogue from files, folders or addresses; without any, from its public distribution.

        Raises
        ------
        CatalogueError
            If it cannot be fetched or read; what was installed before stays.
        """
        declared = self._declared(name)

        def tell(rows: int) -> None:
            progress(f"{rows:,} rows")

        if sources:
            return importing.import_catalogue(declared, sources, self.folder, progress=tell)
        with fetching.fetched(declared, self.folder, progress) as files:
            names = fetching.addresses(declared.download) if declared.download else files
            return importing.import_catalogue(declared, files, self.folder, names=names, progress=tell)

    def update(self, names: Sequence[str] = (), older_than: float = 0.0, progress: Progress = lambda text: None) -> list[dict[str, Any]]:
        """Install again, from where they came, the catalogues that are older than some days; all installed ones where none is named.

        Gives for each what became of it; one that fails leaves what was there and does not keep the others from being tried.
        """
        there, now = installed(self.folder), datetime.datetime.now(datetime.UTC)
        done: list[dict[str, Any]] = []
        for name in names or there:
            record = there.get(self._declared(name).name)
            if record is not None and record.age(now) < older_than:
                done.append({"name": name, "result": "young enough", "version": record.version})
                continue
            public = record is None or set(record.sources) == set(_public(self._declared(name)))
            try:
                fresh = self.add(name, () if public or record is None else record.sources, progress)
            except CatalogueError as error:
                done.append({"name": name, "result": f"failed: {error}", "version": record.version if record else None})
                continue
            same = record is not None and fresh.version == record.version
            done.append({"name": name, "result": "unchanged" if same else "updated", "version": fresh.version})
        return done

    def verify(self, names: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Check the files of installed catalogues against their checksums; say for each what is wrong."""
        there = {current.parent.name: current for current in sorted(self.folder.glob(f"*/{CURRENT}"))}
        found = []
        for name in names or there:
            if name not in there:
                raise NotFoundError(f"catalogue {name} is not installed{did_you_mean(name, there)}; fink catalogs add {name}")
            try:
                problems = importing.verify(there[name])
            except CatalogueError as error:
                problems = [str(error)]
            found.append({"name": name, "sound": not problems, "problems": problems})
        return found

    def match(
        self,
        names: Sequence[str],
        ra: NDArray[np.float64],
        dec: NDArray[np.float64],
        mjd: NDArray[np.float64] | None = None,
        *,
        radius: float | None = None,
        every: bool = False,
    ) -> pa.Table:
        """Match positions with installed catalogues.

        Parameters
        ----------
        names
            The catalogues; none named means all that are installed.
        ra, dec, mjd
            (n,) places [deg] and times at which they are matched; without times sources are where their catalogue has them.
        radius
            Largest separation [arcsec], in place of each catalogue's own.
        every
            Give all sources within it, not only the best.

        Returns
        -------
        table
            One row for each match: the row of the position, the catalogue, the separation [arcsec], and the source's columns as one
            text of names and values.
        """
        there = installed(self.folder)
        parts = []
        for name in names or there:
            if name not in there:
                raise NotFoundError(f"catalogue {name} is not installed{did_you_mean(name, there)}; fink catalogs add {name}")
            parts.append(_matches(InstalledCatalogue.open(self.folder / name / CURRENT), ra, dec, mjd, radius, every))
        return pa.concat_tables(parts) if parts else pa.table({name: [] for name in ("row", "catalogue", "separation", "source")})

    @staticmethod
    def _declared(name: str) -> Catalogue:
        known = catalogs.registry()
        if name not in known:
            raise NotFoundError(f"there is no catalogue {name}{did_you_mean(name, known)}; fink catalogs list names them")
        return known[name]


def _public(declared: Catalogue) -> list[str]:
    return fetching.addresses(declared.download) if declared.download else []


def _matches(
    catalogue: InstalledCatalogue,
    ra: NDArray[np.float64],
    dec: NDArray[np.float64],
    mjd: NDArray[np.float64] | None,
    radius: float | None,
    every: bool,
) -> pa.Table:
    """Give the matches of one catalogue."""
    if radius is None or len(catalogue.index.shape):
        found = catalogue.match(ra, dec, mjd, nearest=not every)
    else:
        found = catalogue.index.match(ra, dec, radius=radius, mjd=mjd, nearest=not every)
    prefix = f"{catalogue.record.name}_"
    columns = {name.removeprefix(prefix): catalogue.take(name, found.source).to_pylist() for name in catalogue.columns}
    said = [_words({name: values[i] for name, values in columns.items()}) for i in range(len(found))]
    return pa.table(
        {
            "row": pa.array(found.position),
            "catalogue": pa.array([catalogue.record.name] * len(found), pa.string()),
            "separation": pa.array(found.separation),
            "source": pa.array(said, pa.string()),
        }
    )


def _words(values: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {value:.6g}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items() if value is not None
    )
