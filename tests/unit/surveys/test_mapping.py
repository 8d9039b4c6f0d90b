"""What every survey's mapping has in common: missing values, types, derived columns, points."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from fink.codecs.avro import decode
from fink.codecs.schemas import compile_program, parse_schema
from fink.columns import CORE, Column
from fink.errors import SchemaError
from fink.lightcurves import DETECTION, FORCED, LIMIT, Band, LightCurves
from fink.surveys.fields import Field
from fink.surveys.mapping import Fields, Integers, Plain, Values, build_table, derived, own_columns, snake_case
from fink.surveys.packing import Stored, pack
from fink.surveys.points import PointParts
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


def packed(values: Values | None, kind: pa.DataType, n: int) -> list[Any]:
    """Give a column of a type as it stands in the table of a batch."""
    own = (Column("x", kind, about="test"),)
    column = build_table("sky", own, {} if values is None else {"x": values}, n)["x"]
    assert column.type == kind
    column.validate(full=True)
    return list(column.to_pylist())


def test_plain_columns_take_the_older_field_where_the_newer_is_not_there() -> None:
    fields = fields_of({"mag": 18.5}, {"mag": 99.0}, {"mag": -1.0}, {"mag": None})
    found = fields.plain([Plain("bright", ("newer", "mag"), (99.0, -1.0)), Plain("faint", ("newer",)), Plain("name", ("name",))])
    assert list(found) == ["bright", "name"]
    assert packed(found["bright"], pa.float32(), 4) == [18.5, None, None, None]
    assert packed(found["name"], pa.string(), 4) == [None] * 4


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.bool_()])
@pytest.mark.parametrize("n", [0, 1, 3, 8, 17])
def test_values_get_their_declared_type(kind: pa.DataType, n: int) -> None:
    ones, there = np.arange(n) % 2, np.arange(n) % 3 < 2
    expected = [int(one) if good else None for one, good in zip(ones, there, strict=True)]
    assert packed(Integers(ones, there), kind, n) == expected
    assert packed(np.where(there, ones, np.nan), kind, n) == expected
    assert packed(None, kind, n) == [None] * n


def test_what_a_type_cannot_hold_is_null() -> None:
    values = np.array([1.0, 1e300, math.inf, -math.inf, math.nan, np.finfo(np.float32).max])
    first, second = pack(
        [Stored.of(values, np.ones(6, np.bool_)), Stored.of(values, np.ones(6, np.bool_), (1.0,))], [pa.float32(), pa.float64()], 6
    )
    assert first.to_pylist() == [1.0, None, None, None, None, values[-1]]
    assert (first.null_count, second.to_pylist()) == (4, [None, 1e300, None, None, None, values[-1]])
    edges = [-(2**31) - 1, -(2**31), 2**31 - 1, 2**31]
    assert packed(Integers(np.array(edges), np.ones(4, np.bool_)), pa.int32(), 4) == [None, *edges[1:3], None]
    assert packed(np.array(edges, np.float64), pa.int32(), 4) == [None, *edges[1:3], None]
    edges = [-(2**63), 2**63 - 1, 0]
    assert packed(Integers(np.array(edges), np.ones(3, np.bool_)), pa.int64(), 3) == edges
    assert packed(np.array([2.0**63, -(2.0**62), 1e300]), pa.int64(), 3) == [None, -(2**62), None]


def test_wrong_lengths_kinds_and_undeclared_columns_are_errors() -> None:
    for values in (np.zeros(2), pa.array(["a", "b"])):
        with pytest.raises(SchemaError, match="2 values for 3 alerts"):
            build_table("sky", (), {"object_id" if isinstance(values, pa.Array) else "mjd": values}, 3)
    with pytest.raises(SchemaError, match="brightness"):
        build_table("sky", (), {"brightness": np.zeros(1)}, 1)
    with pytest.raises(SchemaError, match="text for mjd"):
        build_table("sky", (), {"mjd": pa.array(["a"])}, 1)
    with pytest.raises(SchemaError, match="numbers for object_id"):
        build_table("sky", (), {"object_id": np.zeros(1)}, 1)


def test_tables_have_every_column_in_order() -> None:
    own = (Column("sky_noise", pa.float64(), about="test"),)
    table = build_table("sky", own, {"alert_id": Integers(np.array([7]), np.array([True]))}, 1)
    assert [(field.name, field.type) for field in table.schema] == [(column.name, column.type) for column in (*CORE, *own)]
    assert table["survey"].to_pylist() == ["sky"]
    assert table["alert_id"].to_pylist() == [7]
    assert table["flux"].to_pylist() == [None]


def test_derived_columns_follow_from_the_flux() -> None:
    flux = np.array([3630.78, -3630.78, math.nan, 0.0])
    values = derived({"flux": flux, "flux_err": np.full(4, 36.3078), "mjd": np.full(4, 10.0), "first_mjd": np.full(4, 8.0)})
    assert values["mag"][:2] == pytest.approx([22.5, 22.5], abs=1e-5)
    assert values["mag_err"][:2] == pytest.approx([0.010857, 0.010857], abs=1e-6)
    assert values["snr"][:2] == pytest.approx([100.0, -100.0])
    assert isinstance(values["positive"], Integers)
    assert values["positive"].values.tolist() == [1, 0, 0, 0]
    assert values["positive"].valid.tolist() == [True, True, False, True]
    assert values["age"] == pytest.approx(2.0)
    given = np.zeros(4)
    assert derived({"flux": flux, "flux_err": flux, "mag": given})["mag"] is given


def test_own_columns_are_the_fields_with_a_meaning() -> None:
    described = Field("magZero_r", "float", True, False, (1, 0), (1, 0), "mag", "Zero point", ucd="phot.calib")
    silent = Field("pid", "long", True, False, (1, 0), (1, 0))
    assert own_columns("sky_", (described, silent)) == (Column("sky_mag_zero_r", pa.float32(), "mag", "phot.calib", "Zero point"),)
    assert [snake_case(name) for name in ("objectId", "MPCORB", "mag_Y", "jd")] == ["object_id", "mpcorb", "mag_y", "jd"]


Part = tuple[NDArray[np.int64], dict[str, Any]]


def part(kind: int, *rows: tuple[float, int, float, float, int, int], offsets: tuple[int, ...]) -> Part:
    """Points of (mjd, band, flux, flux_err, point_id, detector)."""
    mjd, band, flux, error, number, detector = (np.array(values) for values in zip(*rows, strict=True))
    return np.array(offsets), {
        "mjd": mjd,
        "band": band,
        "kind": kind,
        "flux": flux,
        "flux_err": error,
        "point_id": number,
        "detector": detector,
    }


def merged(*given: Part) -> LightCurves:
    """Join parts."""
    parts = PointParts(*(offsets for offsets, _ in given))
    for number, (_, known) in enumerate(given):
        parts.fill(number, **known)
    return parts.joined(BANDS)


def test_points_come_in_time_order_each_once() -> None:
    own = part(DETECTION, (5.0, 0, 1.0, 0.1, 11, 1), (6.0, 1, 2.0, 0.1, 12, 1), offsets=(0, 1, 2))
    earlier = part(DETECTION, (4.0, 0, 3.0, 0.1, 9, 1), (5.0, 0, 99.0, 0.1, 11, 1), (6.0, 1, 2.5, 0.1, 13, 1), offsets=(0, 2, 3))
    forced = part(FORCED, (3.0, 1, 4.0, 0.1, 0, 1), (3.0, 1, 5.0, 0.1, 0, 1), (3.0, 1, 6.0, 0.1, 0, 2), offsets=(0, 3, 3))
    joined = merged(own, earlier, forced)
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
    joined = merged(own, limits)
    assert joined.mjd.tolist() == [1.0, 2.0]
    assert joined.kind.tolist() == [DETECTION, LIMIT]


def test_no_points_are_no_light_curves() -> None:
    joined = merged(*2 * [(np.zeros(4, np.int64), dict.fromkeys(("mjd", "band", "kind"), np.zeros(0)))])
    assert joined.offsets.tolist() == [0, 0, 0, 0]
    assert len(joined) == 3
