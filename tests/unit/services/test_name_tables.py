"""Names of catalogues are compared in a plain form, and found by it and by its beginning."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fink.errors import CatalogueError
from fink.services.catalogues import Catalogues
from fink.services.name_tables import SOLAR_SYSTEM, minor_planets, plain, tables


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("NGC 0224", "ngc224"),
        ("V* RR Lyr", "rrlyr"),
        ("NAME Crab", "crab"),
        ("SN 2024abc", "2024abc"),
        ("at2024abc", "2024abc"),
        ("ATLAS24abc", "atlas24abc"),
        ("4FGL J0010.6+2043", "4fglj10.6+2043"),
        ("name", "name"),
    ],
)
def test_the_plain_form(text: str, key: str) -> None:
    assert plain(text) == key


def test_sources_are_found_whole_and_by_beginning(tmp_path: Path) -> None:
    names = {"Name": ["NGC0224", "NGC2244", "NGC1068"], "ra": [10.0, 20.0, 30.0], "dec": [1.0, 2.0, 3.0], "Type": ["G", "OCl", "G"]}
    pq.write_table(pa.table(names), tmp_path / "ngc.parquet")
    Catalogues(tmp_path).add("ngc", [str(tmp_path / "ngc.parquet")])
    (table,) = tables(tmp_path)
    (found,) = table.find("ngc 224", 10, beginnings=False)
    assert (found.name, found.exact) == ("NGC0224", True)
    assert (found.ra, found.dec) == pytest.approx((10.0, 1.0))
    assert [each.name for each in table.find("NGC 22", 10, beginnings=True)] == ["NGC0224", "NGC2244"]
    assert len(table.find("ngc", 2, beginnings=True)) == 2
    assert table.find("ic 10", 10, beginnings=True) == []
    assert table.find(" ", 10, beginnings=True) == []


def test_a_new_version_is_read(tmp_path: Path) -> None:
    for name in ("NGC0001", "NGC0002"):
        pq.write_table(pa.table({"Name": [name], "ra": [1.0], "dec": [1.0], "Type": ["G"]}), tmp_path / "ngc.parquet")
        Catalogues(tmp_path).add("ngc", [str(tmp_path / "ngc.parquet")])
        (table,) = tables(tmp_path)
        assert [each.name for each in table.find(name, 10, beginnings=False)] == [name]


def test_minor_planets_are_found_by_number_name_and_designation(tmp_path: Path) -> None:
    assert minor_planets(tmp_path, "Ceres") == []
    path = tmp_path / SOLAR_SYSTEM
    path.write_text("number,name,designation\n1,Ceres,A801 AA\n1865,Cerberus,1971 UA\n")
    for text in ("1865", "(1865)", "cerberus", "1971UA"):
        assert [planet.name for planet in minor_planets(tmp_path, text)] == ["Cerberus"]
    path.write_text("number,name\n1,Ceres\n\n")
    with pytest.raises(CatalogueError, match="needs columns number, name and designation"):
        minor_planets(tmp_path, "Ceres")
