"""A declaration gives alerts the columns of its fields, under the name of its catalogue."""

from __future__ import annotations

import urllib.parse
from dataclasses import FrozenInstanceError, replace

import pyarrow as pa
import pytest

from fink.catalogs.declaration import Catalogue, Field, alternatives, vizier
from fink.errors import PlanError

TYPE = Field("type", ("VarType", "Type"), pa.string(), "", "src.class", "Type of the star")
PERIOD = Field("period", "Period * 86400", pa.float32(), "s", "time.period", "Period of the star")
NOTE = Field("note", "", pa.string(), "", "meta.note", "Remarks", on_alerts=False)
STARS = Catalogue((TYPE, PERIOD, NOTE), radius=2.0, citation="https://example.org/stars", licence="free", name="stars")


def test_expressions_are_given_in_order_of_preference() -> None:
    assert [one.expressions for one in STARS.fields] == [("VarType", "Type"), ("Period * 86400",), ()]
    assert alternatives(()) == ()


def test_alerts_get_the_separation_and_the_fields_that_are_for_them() -> None:
    assert [column.name for column in STARS.columns] == ["stars_separation", "stars_type", "stars_period"]
    separation, _, period = STARS.columns
    assert (separation.type, separation.unit, separation.ucd) == (pa.float32(), "arcsec", "pos.angDistance")
    assert "stars" in separation.about
    assert (period.type, period.unit, period.ucd, period.about) == (PERIOD.type, PERIOD.unit, PERIOD.ucd, PERIOD.about)
    assert STARS.column(NOTE).name == "stars_note"


def test_a_field_is_declared_by_the_rules_of_columns() -> None:
    for wrong, message in (
        (replace(TYPE, name="Type"), "snake case"),
        (replace(TYPE, type=pa.date32()), "date32"),
        (replace(TYPE, about=""), "mean"),
    ):
        with pytest.raises(PlanError, match=message):
            _ = replace(STARS, fields=(wrong,)).columns


def test_a_declaration_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        STARS.radius = 3.0  # type: ignore[misc]


def test_vizier_is_asked_for_columns_of_a_whole_table() -> None:
    address = urllib.parse.urlsplit(vizier("B/gcvs/gcvs_cat", "GCVS,Period"))
    assert (address.scheme, address.hostname) == ("https", "vizier.cds.unistra.fr")
    asked = urllib.parse.parse_qs(address.query)
    assert asked == {"-source": ["B/gcvs/gcvs_cat"], "-out": ["GCVS,Period"], "-out.max": ["unlimited"]}
