"""VOTables are read back by astropy with every value, unit and UCD, and by the rules of its validator."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from astropy.io.votable import parse
from astropy.units import Unit

from fink.codecs.votable import Dressing, Info, vo_unit, write_error, write_votable
from fink.columns import CORE, Column

NAMED = {"r:flux": Column("flux", pa.float32(), "nJy / d", "phot.flux", 'slope of a "flux" & <more>')}
TABLE = pa.table(
    {
        "r:flux": pa.array([1.5, None, float("nan"), float("-inf")], pa.float32()),
        "v:g-r": pa.array([0.1, 0.2, None, 1e300]),
        "1st": pa.array([2**62 + 1, None, -5, 0], pa.int64()),
        "small": pa.array([-128, 127, None, 0], pa.int8()),
        "flag": pa.array([True, False, None, True]),
        "plain": pa.array(["a", None, "<b>&", ""]),
        "accents": pa.array(["é", "☃", None, " "]),
    }
)


def read(table: pa.Table) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return parse(io.BytesIO(write_votable(table, NAMED)), verify="exception").get_first_table()


def test_astropy_reads_every_value() -> None:
    found = read(TABLE)
    flux = found.array["r:flux"]
    assert flux[0] == np.float32(1.5)
    assert flux[2] is np.ma.masked
    assert flux[3] == -np.inf
    assert found.array["v:g-r"][3] == 1e300
    assert found.array["1st"][0] == 2**62 + 1
    assert list(found.array["small"][:2]) == [-128, 127]
    assert list(found.array["flag"][:2]) == [True, False]
    assert list(found.array["plain"]) == ["a", "", "<b>&", ""]
    assert list(found.array["accents"][:2]) == ["é", "☃"]


def test_missing_values_are_masked() -> None:
    found = read(TABLE)
    for name in ("v:g-r", "1st", "small", "flag"):
        masked = np.ma.getmaskarray(found.array[name])
        assert masked.tolist() == TABLE[name].is_null().to_pylist(), name


def test_declarations_become_unit_ucd_and_description() -> None:
    field = read(TABLE).get_field_by_id("r_flux")
    assert (field.name, field.ucd, str(field.unit)) == ("r:flux", "phot.flux", "nJy / d")
    assert field.description == 'slope of a "flux" & <more>'


def test_a_table_without_rows_or_values_is_one() -> None:
    assert len(read(TABLE.slice(0, 0)).array) == 0
    assert len(read(pa.table({"a": pa.array([None, None], pa.string())})).array) == 2


@pytest.mark.parametrize("unit", sorted({column.unit for column in CORE} | {"mag2", "m**2 / Mg", "arcsec**2", "10**-10 AU / d**2"}))
def test_units_are_known_to_the_virtual_observatory(unit: str) -> None:
    parsed = Unit(vo_unit(unit), format="vounit", parse_strict="silent")
    assert type(parsed).__name__ != "UnrecognizedUnit"


def test_binary_rows_hold_the_same_values() -> None:
    found = parse(io.BytesIO(write_votable(TABLE, NAMED, Dressing(binary=True))), verify="exception").get_first_table()
    text = read(TABLE)
    for name in TABLE.column_names:
        # as text, astropy takes what is not a number for missing too
        one, other = (["None" if value != value else str(value).strip() for value in each.array[name].tolist()] for each in (text, found))
        assert one == other


def test_tables_without_rows_in_binary() -> None:
    found = parse(io.BytesIO(write_votable(TABLE.slice(0, 0), NAMED, Dressing(binary=True))), verify="exception").get_first_table()
    assert len(found.array) == 0


def test_the_first_version_names_what_stands_for_missing_numbers() -> None:
    found = parse(io.BytesIO(write_votable(TABLE, NAMED, Dressing("1.1"))), verify="exception")
    assert found.version == "1.1"
    assert found.get_first_table().array["1st"].tolist() == [2**62 + 1, None, -5, 0]
    assert found.get_first_table().get_field_by_id("r_flux").unit == Unit("nJy / d")


def test_remarks_headings_and_further_resources() -> None:
    dressing = Dressing(
        about="Some & rows",
        infos=[Info("QUERY", 'a < "b"')],
        last=[Info("QUERY_STATUS", "OVERFLOW", "cut \x00 short")],
        heading='<COOSYS ID="icrs" system="ICRS"/>',
        behind='<RESOURCE type="meta"/>',
        ucds={"r:flux": "phot.flux;em.opt"},
        refs={"v:g-r": "icrs"},
    )
    found = parse(io.BytesIO(write_votable(TABLE, NAMED, dressing)), verify="exception")
    assert [(info.value, info.content) for info in found.resources[0].infos] == [('a < "b"', None), ("OVERFLOW", "cut   short")]
    assert found.resources[1].type == "meta"
    table = found.get_first_table()
    assert table.description == "Some & rows"
    assert (table.get_field_by_id("r_flux").ucd, table.get_field_by_id("v_g-r").ref) == ("phot.flux;em.opt", "icrs")


def test_columns_whose_names_differ_in_signs_only_have_ids_of_their_own() -> None:
    table = pa.table({"a b": [1], "a-b": [2], "a:b": [3]})
    found = parse(io.BytesIO(write_votable(table, {})), verify="exception").get_first_table()
    assert len({field.ID for field in found.fields}) == 3


def test_an_error_is_a_document() -> None:
    found = parse(io.BytesIO(write_error([Info("QUERY_STATUS", "ERROR", "no <table>")])), verify="exception")
    assert [(info.name, info.value, info.content) for info in found.resources[0].infos] == [("QUERY_STATUS", "ERROR", "no <table>")]
