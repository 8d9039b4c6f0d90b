"""Catalogues are listed, added, brought up to date, checked and matched; what fails leaves the others alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fink import catalogs
from fink.errors import CatalogueError, NotFoundError
from fink.services.catalogues import Catalogues


def write(path: Path, types: list[str]) -> str:
    n = len(types)
    pq.write_table(pa.table({"ra": np.arange(n) * 10.0, "dec": np.zeros(n), "VarType": types}), path)
    return str(path)


def test_a_catalogue_is_added_updated_and_checked(tmp_path: Path) -> None:
    service = Catalogues(tmp_path / "artifacts")
    assert {row["name"] for row in service.all()} == set(catalogs.registry())
    assert not any(row["installed"] for row in service.all())
    assert service.ages() == []
    source = write(tmp_path / "own.parquet", ["EA", "RRAB"])
    first = service.add("gcvs", [source])
    assert service.ages() == [{"name": "gcvs", "version": first.version, "rows": 2, "age_days": 0.0}]
    assert service.info("gcvs")["missing"] == ("name",)
    assert not service.info("vsx")["installed"]
    assert service.update(older_than=1.0)[0]["result"] == "young enough"
    assert service.update()[0]["result"] == "unchanged"
    write(tmp_path / "own.parquet", ["EA", "M"])
    assert service.update()[0]["result"] == "updated"
    (tmp_path / "own.parquet").unlink()
    failed = service.update()[0]
    assert failed["result"].startswith("failed: there is no")
    assert service.verify() == [{"name": "gcvs", "sound": True, "problems": []}]
    file = service.folder / "gcvs" / failed["version"] / "positions.npy"
    file.write_bytes(file.read_bytes()[:-1] + b"\x7f")
    assert service.verify(["gcvs"])[0]["problems"] == ["positions.npy is not what was imported"]


def test_positions_are_matched_with_what_is_installed(tmp_path: Path) -> None:
    service = Catalogues(tmp_path)
    assert service.match((), np.zeros(1), np.zeros(1)).num_rows == 0
    service.add("gcvs", [write(tmp_path / "a.parquet", ["EA", "RRAB"])])
    found = service.match((), np.array([10.0002, 0.0, 5.0]), np.zeros(3))
    assert found.to_pylist() == [
        {"row": 0, "catalogue": "gcvs", "separation": pytest.approx(0.72), "source": "type RRAB"},
        {"row": 1, "catalogue": "gcvs", "separation": 0.0, "source": "type EA"},
    ]
    assert service.match(["gcvs"], np.array([10.0002]), np.zeros(1), radius=0.5).num_rows == 0
    assert service.match(["gcvs"], np.array([5.0]), np.zeros(1), radius=20000.0, every=True).num_rows == 2


def test_what_is_not_there_is_said_with_the_remedy(tmp_path: Path) -> None:
    service = Catalogues(tmp_path)
    with pytest.raises(NotFoundError, match="did you mean gcvs"):
        service.add("gcv")
    with pytest.raises(NotFoundError, match="fink catalogs add vsx"):
        service.match(["vsx"], np.zeros(1), np.zeros(1))
    with pytest.raises(NotFoundError, match="not installed"):
        service.verify(["vsx"])
    with pytest.raises(CatalogueError, match="a file that you have"):
        service.add("known_tde")
