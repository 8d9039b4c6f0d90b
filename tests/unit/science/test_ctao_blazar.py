"""Alerts of the blazars that are watched: found by the name of their object, for the list has no positions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fink import catalogs, science
from fink.catalogs.importing import import_catalogue
from fink.catalogs.store import CURRENT, InstalledCatalogue
from fink.errors import CatalogueError
from shared_data import shared_data

OWN = pa.table(
    {
        "ZTF_name": ["ZTF18aaaaaaa", None, "ZTF19bbbbbbb", ""],
        "Source_name": ["3FHL J0001.2-0748", "3FHL J1", "3FHL J2", "3FHL J3"],
        "low_threshold": [0.5, 0.6, None, 0.8],
        "high_threshold": [1.5, 1.6, 1.7, 1.8],
    }
)
declared = catalogs.registry()["ctao_blazar"]


def installed(folder: Path, *files: Path) -> InstalledCatalogue:
    import_catalogue(declared, [str(file) for file in files], folder)
    return InstalledCatalogue.open(folder / declared.name / CURRENT)


@pytest.fixture
def own(tmp_path: Path) -> InstalledCatalogue:
    pq.write_table(OWN, tmp_path / "own.parquet")
    return installed(tmp_path, tmp_path / "own.parquet")


def found(catalogue: InstalledCatalogue, objects: list[str | None]) -> dict[str, list[object]]:
    given = science.registry()["ctao_blazar"].function(pa.array(objects, pa.string()), catalogue)
    return {name: pa.array(values).to_pylist() for name, values in given.items()}


def test_alerts_get_what_is_said_of_their_object(own: InstalledCatalogue) -> None:
    assert (own.record.rows, own.record.skipped) == (2, 2)
    assert found(own, ["ZTF19bbbbbbb", None, "ZTF18aaaaaaa", "ZTF18aaaaaaa", "ZTF99", ""]) == {
        "ctao_blazar_name": ["3FHL J2", None, "3FHL J0001.2-0748", "3FHL J0001.2-0748", None, None],
        "ctao_blazar_low_threshold": [None, None, 0.5, 0.5, None, None],
        "ctao_blazar_high_threshold": [pytest.approx(1.7), None, 1.5, 1.5, None, None],
    }
    assert not any(found(own, []).values())


def test_nothing_is_found_by_place(own: InstalledCatalogue) -> None:
    ra, dec = np.meshgrid(np.arange(0.0, 360, 30), np.arange(-90.0, 91, 30))
    assert len(own.match(ra.ravel(), dec.ravel())) == 0
    assert len(own.index.match(0.0, 0.0, radius=3600.0, nearest=False)) == 0


def test_a_file_without_names_of_objects_is_refused(tmp_path: Path) -> None:
    pq.write_table(OWN.drop_columns(["ZTF_name"]), tmp_path / "nameless.parquet")
    with pytest.raises(CatalogueError, match="holds no row"):
        installed(tmp_path, tmp_path / "nameless.parquet")


@pytest.mark.parametrize(
    ("file", "rows", "missing"),
    [
        ("CTAO_blazars_ztf_dr22.parquet", 172, ("high_threshold",)),
        ("CTAO_blazars_ztf_dr23.v7_2025.parquet", 228, ("high_threshold",)),
        ("CTAO_blazars_ztf_dr23.v03_2026.parquet", 230, ()),
    ],
)
def test_the_lists_of_the_present_broker_are_read(tmp_path: Path, file: str, rows: int, missing: tuple[str, ...]) -> None:
    path = shared_data("catalogs", file)
    catalogue = installed(tmp_path, path)
    assert (catalogue.record.rows, catalogue.record.missing) == (rows, missing)
    listed = catalogue.take("ctao_blazar_object", np.arange(rows)).to_pylist()
    assert all(name.startswith("ZTF") for name in listed)
    low = found(catalogue, listed)["ctao_blazar_low_threshold"]
    assert sum(value is not None for value in low) > rows * 0.9


def test_recorded_alerts_of_blazars_are_found(tmp_path: Path) -> None:
    catalogue = installed(tmp_path, shared_data("catalogs", "CTAO_blazars_ztf_dr23.v03_2026.parquet"))
    alerts = pq.read_table(shared_data("ztf_parquet_fink", "ctao_blazar_414_nocutout.parquet"), columns=["objectId"])
    objects = alerts["objectId"].to_pylist()
    names = found(catalogue, objects)["ctao_blazar_name"]
    listed = set(catalogue.take("ctao_blazar_object", np.arange(len(catalogue))).to_pylist())
    assert [name is not None for name in names] == [name in listed for name in objects]
    # sources of an earlier version are among the alerts
    assert len({name for name in names if name}) > 50
