"""The same object has the same class whichever names its catalogue uses."""

from __future__ import annotations

import pyarrow as pa
import pytest

from fink.catalogs.simbad_types import types
from fink.science.simbad_class import simbad_class


def classed(*given: str | None) -> list[dict[str, object]]:
    found = simbad_class.function(simbad_type=pa.array(given, pa.string()))
    rows: list[dict[str, object]] = pa.table(dict(found)).to_pylist()
    return rows


@pytest.mark.parametrize("way", ["code", "name", "former_name"])
def test_each_way_of_naming_a_type_gives_the_same(way: str) -> None:
    every = list(types())
    assert classed(*(getattr(one, way) for one in every)) == classed(*(one.code for one in every))


def test_an_example() -> None:
    (row,) = classed("YSO_Candidate")
    assert row == {
        "simbad_code": "Y*?",
        "simbad_name_of_type": "YSO_Candidate",
        "simbad_former_type": "Candidate_YSO",
        "simbad_family": "young star",
        "simbad_branch": "star",
        "simbad_is_candidate": True,
    }


def test_nothing_known_is_null_and_a_new_type_keeps_its_name() -> None:
    nothing, new = classed(None, "BoringStar")
    assert set(nothing.values()) == {None}
    assert new["simbad_code"] == new["simbad_former_type"] == "BoringStar"
    assert new["simbad_family"] is None
