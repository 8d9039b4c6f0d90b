"""What every survey's mapping has in common: missing values, types, derived columns, points."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fink.codecs.avro import decode
from fink.codecs.schemas import compile_program, parse_schema
from fink.columns import CORE, Column
from fink.errors import SchemaError
from fink.lightcurves import DETECTION, FORCED, LIMIT, Band, LightCurves
from fink.surveys.fields import Field
from fink.surveys.mapping import Fields, Integers, Plain, build_table, derived, own_columns, pack, snake_case, to_arrow
from fink.surveys.points import merge_points, points
from fink.tables import Packets
from unit.surveys.real_packets import write

BANDS = (Band("g", "sky", 4800.0), Band("r", "sky", 6200.0))
SCHEMA = {
    "type": "record",
    "name": "alert",
    "fields": [
        {"name": "count", "type": ["null", "int"]},
        {"name": "mag", "type": ["null", "float"]},
        {"name": "name", "type": ["null", "string"]},
        {"name": "items", "type": {"type": "array", "items": "double"}},
        {"name": "stamp", "type": ["null", "bytes"]},
    ],
}


def fields_of(*records: dict[str, Any]) -> Fields:
    """Decode small records."""
    schema = parse_schema(SCHEMA)
    empty: dict[str, Any] = {"count": None, "mag": None, "name": None, "items": [], "stamp": None}
    packets = Packets.from_bodies(write(SCHEMA, [empty | record for record in records]), schema.text)
    program = compile_program(schema, ("count", "mag", "name", "items[]", "stamp"))
    return Fields(decode(program, packets.buffer, packets.starts, packets.ends), schema)


def test_numbers_are_missing_where_null_nan_sentinel_or_not_in_the_schema() -> None:
    fields = fields_of({"mag": 18.0}, {"mag": None}, {"mag": math.nan}, {"mag": -999.0})
    assert np.isnan(fields.number("mag", -999.0)).tolist() == [False, True, True, True]
    assert fields.number("mag")[3] == -999.0
    assert np.isnan(fields.number("unheard_of")).all()
    assert np.isnan(fields_of({"count": 3}, {}).number("count")).tolist() == [False, True]


def test_whole_numbers_and_texts_are_missing_alike() -> None:
    fields = fields_of({"count": 3, "name": "Ceres"}, {"count": -999, "name": "null"}, {})
    assert fields.integer("count", -999).valid.tolist() == [True, False, False]
    assert fields.integer("unheard_of").valid.tolist() == [False] * 3
    assert fields.text("name", "null", "").to_pylist() == ["Ceres", None, None]
    assert fields.text("unheard_of").to_pylist() == [None] * 3
    assert fields.initial("name").tolist() == [ord("C"), ord("n"), 0]
    assert fields.initial("name", longest=4).tolist() == [0, ord("n"), 0]
    assert (fields.kind("name"), fields.kind("unheard_of")) == ("string", "")


def test_items_of_arrays_that_a_schema_lacks_are_none() -> None:
    fields = fields_of({"items": [1.0, 2.0]}, {})
    assert fields.offsets("items").tolist() == [0, 2, 2]
    assert fields.offsets("unheard_of").tolist() == [0, 0, 0]
    assert len(fields.number("unheard_of[].flux")) == 0
    assert fields.rows("items[]") == 2


def test_cutouts_point_to_their_bytes() -> None:
    fields = fields_of({"stamp": b"abc"}, {})
    cutouts = fields.cutouts(("stamp", "unheard_of", "stamp"))
    assert cutouts.length.tolist() == [[3, 0, 3], [0, 0, 0]]
    start = cutouts.start[0, 2]
    assert fields.decoded.buffer[start : start + 3].tobytes() == b"abc"


def test_plain_columns_take_the_older_field_where_the_newer_is_not_there() -> None:
    fields = fields_of({"mag": 18.5}, {"mag": 99.0}, {"mag": -1.0})
    column = Column("bright", pa.float32(), about="test")
    assert fields.plain(Plain("bright", ("newer", "mag"), (99.0, -1.0)), column).to_pylist() == [18.5, None, None]
    assert fields.plain(Plain("bright", ("newer",)), column).to_pylist() == [None] * 3


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.bool_()])
def test_values_get_their_declared_type(kind: pa.DataType) -> None:
    column = Column("x", kind, about="test")
    array = to_arrow(column, Integers(np.array([1, 0, 1]), np.array([True, True, False])), 3)
    assert array.type == kind
    assert array.to_pylist() == [1, 0, None]
    assert to_arrow(column, np.array([1.0, math.nan]), 2).to_pylist() == [1, None]


def test_what_no_float_can_hold_is_null() -> None:
    values = np.array([1.0, 1e300, math.inf, -math.inf, math.nan])
    valid = np.ones(5, np.bool_)
    assert pack(values, valid, (), pa.float32()).to_pylist() == [1.0, None, None, None, None]
    assert pack(values, valid, (1.0,), pa.float64()).to_pylist() == [None, 1e300, None, None, None]
    assert pack(values, valid, (), pa.float32()).null_count == 4


def test_wrong_lengths_and_undeclared_columns_are_errors() -> None:
    with pytest.raises(SchemaError, match="2 values for 3 alerts"):
        to_arrow(CORE[0], np.zeros(2), 3)
    with pytest.raises(SchemaError, match="brightness"):
        build_table("sky", (), {"brightness": np.zeros(1)}, 1)


def test_tables_have_every_column_in_order() -> None:
    own = (Column("sky_noise", pa.float64(), about="test"),)
    table = build_table("sky", own, {"alert_id": Integers(np.array([7]), np.array([True]))}, 1)
    assert [(field.name, field.type) for field in table.schema] == [(column.name, column.type) for column in (*CORE, *own)]
    assert table["survey"].to_pylist() == ["sky"]
    assert table["alert_id"].to_pylist() == [7]
    assert table["flux"].to_pylist() == [None]


def test_derived_columns_follow_from_the_flux() -> None:
    flux = np.array([3630.78, -3630.78, math.nan, 0.0])
    values = derived({"flux": flux, "flux_err": np.full(4, 36.3078), "mjd": np.full(4, 10.0), "first_mjd": np.full(4, 8.0)}, 4)
    assert values["mag"][:2] == pytest.approx([22.5, 22.5], abs=1e-5)
    assert values["mag_err"][:2] == pytest.approx([0.010857, 0.010857], abs=1e-6)
    assert values["snr"][:2] == pytest.approx([100.0, -100.0])
    assert isinstance(values["positive"], Integers)
    assert values["positive"].values.tolist() == [1, 0, 0, 0]
    assert values["positive"].valid.tolist() == [True, True, False, True]
    assert values["age"] == pytest.approx(2.0)
    assert np.array_equal(derived({"flux": flux, "flux_err": flux, "mag": np.zeros(4)}, 4)["mag"], np.zeros(4))


def test_own_columns_are_the_fields_with_a_meaning() -> None:
    described = Field("magZero_r", "float", True, False, (1, 0), (1, 0), "mag", "Zero point", ucd="phot.calib")
    silent = Field("pid", "long", True, False, (1, 0), (1, 0))
    assert own_columns("sky_", (described, silent)) == (Column("sky_mag_zero_r", pa.float32(), "mag", "phot.calib", "Zero point"),)
    assert [snake_case(name) for name in ("objectId", "MPCORB", "mag_Y", "jd")] == ["object_id", "mpcorb", "mag_y", "jd"]


def part(kind: int, *rows: tuple[float, int, float, float, int, int], offsets: tuple[int, ...]) -> LightCurves:
    """Points of (mjd, band, flux, flux_err, point_id, detector)."""
    mjd, band, flux, error, number, detector = (np.array(values) for values in zip(*rows, strict=True))
    return points(np.array(offsets), BANDS, mjd=mjd, band=band, kind=kind, flux=flux, flux_err=error, point_id=number, detector=detector)


def test_points_come_in_time_order_each_once() -> None:
    own = part(DETECTION, (5.0, 0, 1.0, 0.1, 11, 1), (6.0, 1, 2.0, 0.1, 12, 1), offsets=(0, 1, 2))
    earlier = part(DETECTION, (4.0, 0, 3.0, 0.1, 9, 1), (5.0, 0, 99.0, 0.1, 11, 1), (6.0, 1, 2.5, 0.1, 13, 1), offsets=(0, 2, 3))
    forced = part(FORCED, (3.0, 1, 4.0, 0.1, 0, 1), (3.0, 1, 5.0, 0.1, 0, 1), (3.0, 1, 6.0, 0.1, 0, 2), offsets=(0, 3, 3))
    joined = merge_points([own, earlier, forced])
    assert joined.offsets.tolist() == [0, 4, 6]
    assert joined.mjd.tolist() == [3.0, 3.0, 4.0, 5.0, 6.0, 6.0]
    assert joined.flux.tolist() == [4.0, 6.0, 3.0, 1.0, 2.0, 2.5]
    assert joined.bands == BANDS


def test_points_without_time_band_or_flux_are_left_out() -> None:
    nan = math.nan
    own = part(
        DETECTION, (1.0, 0, 1.0, nan, 1, 1), (nan, 0, 1.0, 0.1, 2, 1), (3.0, -1, 1.0, 0.1, 3, 1), (4.0, 0, nan, 0.1, 4, 1), offsets=(0, 4)
    )
    limits = part(LIMIT, (2.0, 0, nan, 0.2, 0, 1), (2.5, 0, nan, nan, 0, 1), offsets=(0, 2))
    joined = merge_points([own, limits])
    assert joined.mjd.tolist() == [1.0, 2.0]
    assert joined.kind.tolist() == [DETECTION, LIMIT]


def test_no_points_are_no_light_curves() -> None:
    joined = merge_points([LightCurves.empty(3, BANDS), LightCurves.empty(3, BANDS)])
    assert joined.offsets.tolist() == [0, 0, 0, 0]
    assert len(joined) == 3
