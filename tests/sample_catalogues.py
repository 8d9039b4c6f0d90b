"""Every declared catalogue, installed with sources of our own making at places where alerts are, for tests that need no real ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fink import catalogs
from fink.catalogs import Catalogue, Field
from fink.catalogs.importing import import_catalogue

_PLAIN_WORDS = ("one", "two", "three (3)")
_WORDS = {("simbad", "type"): ("RR*", "G", "YSO_Candidate"), ("ngc", "type"): ("G", "OCl", "PN"), ("ctao_blazar", "object"): ("r", "g")}
"""Texts of columns that modules read, and names that random alerts' objects have."""

_OFTEN_MISSING = {("glade", "redshift"), ("glade", "luminosity_distance"), ("mangrove", "luminosity_distance"), ("ngc", "redshift")}
"""Distances that galaxies often lack, so that another catalogue is asked for them."""


def plain(catalogue: Catalogue) -> Catalogue:
    """Give the same catalogue with distributions that have its columns under its own names."""
    fields = tuple(replace(one, source=one.name) for one in catalogue.fields)
    special: dict[str, Any] = {name: name if getattr(catalogue, name) else "" for name in ("own_radius", "axis_ratio", "position_angle")}
    motion: dict[str, Any] = {name: f"moves_{name}" if getattr(catalogue, name) else "" for name in ("pm_ra", "pm_dec")}
    return replace(catalogue, fields=fields, ra="ra", dec="dec", where="", **special, **motion)


def distribution(catalogue: Catalogue, ra: NDArray[np.float64], dec: NDArray[np.float64], seed: int = 0) -> pa.Table:
    """Make up sources a twentieth of an arcsec from some places, with a value for most columns of a `plain` catalogue."""
    rng, n = np.random.default_rng(seed), len(ra)
    columns: dict[str, Any] = {"ra": ra, "dec": dec + rng.normal(0, 0.05 / 3600, n)}
    for one in catalogue.fields:
        words = _WORDS.get((catalogue.name, one.name), _PLAIN_WORDS)
        missing = 0.6 if (catalogue.name, one.name) in _OFTEN_MISSING else 0.1
        columns[one.name] = pa.array(_values(rng, one, n, words), one.type, mask=rng.random(n) < missing)
    columns |= {"own_radius": rng.uniform(0.1, 90, n), "axis_ratio": rng.uniform(0.2, 1, n), "position_angle": rng.uniform(0, 180, n)}
    columns |= {f"moves_{name}": np.where(rng.random(n) < 0.1, 5000.0, 1.0) for name in ("pm_ra", "pm_dec")}
    return pa.table(columns)


def _values(rng: np.random.Generator, one: Field, n: int, words: tuple[str, ...]) -> Any:
    if pa.types.is_string(one.type):
        return np.array(words, object)[rng.integers(0, len(words), n)]
    if pa.types.is_boolean(one.type):
        return rng.random(n) < 0.5
    if one.ucd.startswith("stat.probability"):
        return rng.random(n)
    return rng.integers(1, 100, n) if pa.types.is_integer(one.type) else rng.uniform(0, 10, n).astype(one.type.to_pandas_dtype())


def install_sample_catalogues(
    artifacts: Path, ra: NDArray[np.float64], dec: NDArray[np.float64], names: Sequence[str] = ()
) -> dict[str, pa.Table]:
    """Install catalogues, all by default, within a folder of artifacts; give what each was made from."""
    made = {}
    for seed, (name, declared) in enumerate(catalogs.registry().items()):
        if names and name not in names:
            continue
        file = artifacts / f"{name}.parquet"
        made[name] = distribution(declared, ra, dec, seed)
        pq.write_table(made[name], file)
        import_catalogue(plain(declared), [str(file)], artifacts / catalogs.FOLDER)
        file.unlink()
    return made
