"""Tables and areas that users bring, in every form, and what is said of those that cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table
from cdshealpix import nested

from fink.errors import ConditionError, NotFoundError
from fink.filters.places import Area
from fink.services.uploads import ColumnNames, position_list, positions_of, radii_of, read_area, read_table

RA, DEC = [359.9999, 0.0, 12.5], [-90.0, 0.25, 89.0]
PLAIN = ColumnNames()


def write(path: Path, **columns: Sequence[object]) -> Path:
    """Write a table in the form that the name says."""
    table = Table({name: np.array(values) for name, values in columns.items()})
    if path.suffix == ".parquet":
        pq.write_table(pa.table({name: pa.array(values) for name, values in columns.items()}), path)
    else:
        forms = {".csv": "ascii.csv", ".tsv": "ascii.tab", ".vot": "votable", ".fits": "fits"}
        table.write(path, format=forms[path.suffix])
    return path


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".vot", ".fits"])
def test_every_form_gives_the_same_list(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"mine{ending}", Name=["a", "b", "c"], RAJ2000=RA, DEJ2000=DEC, mag=[17, 18, 19])
    table = read_table(path)
    assert table.num_rows == 3
    ra, dec = positions_of(table, PLAIN)
    assert (ra.tolist(), dec.tolist()) == (RA, DEC)
    listed = position_list(table, PLAIN, 2.0)
    inside, said = listed.match(np.array([*RA, 180.0]), np.array([*DEC, 0.0]))
    assert inside.tolist() == [True, True, True, False]
    assert said["entry"].to_pylist() == ["a", "b", "c", None]


def test_a_votable_with_missing_values_keeps_them_missing(tmp_path: Path) -> None:
    from astropy.table import MaskedColumn

    table = Table({"ra": MaskedColumn([1.0, 2.0], mask=[False, True]), "dec": [0.0, 0.0], "n": MaskedColumn([1, 2], mask=[True, False])})
    table.write(tmp_path / "mine.vot", format="votable")
    read = read_table(tmp_path / "mine.vot")
    assert read["n"].to_pylist() == [None, 2]
    assert np.isnan(positions_of(read, PLAIN)[0]).tolist() == [False, True]


def test_columns_are_guessed_or_named(tmp_path: Path) -> None:
    table = pa.table({"alpha_2000": [10.0], "delta_2000": [5.0], "r": [3.0], "who": ["x"], "ra_icrs": [20.0], "dec": [7.0]})
    assert [values.tolist() for values in positions_of(table, PLAIN)] == [[20.0], [7.0]]
    named = ColumnNames("alpha_2000", "delta_2000", "who", "r")
    assert [values.tolist() for values in positions_of(table, named)] == [[10.0], [5.0]]
    listed = position_list(table, named, None)
    assert listed.names.to_pylist() == ["x"]
    assert listed.match(np.array([10.0, 10.0]), np.array([5.0 + 2.9 / 3600, 5.0 + 3.1 / 3600]))[0].tolist() == [True, False]


def test_rows_without_a_name_are_numbered_and_without_a_radius_get_the_common_one() -> None:
    table = pa.table({"ra": [1.0, 2.0], "dec": [0.0, 0.0], "radius": [5.0, None]})
    assert np.asarray(radii_of(table, ColumnNames(radius="radius"), 2.0)).tolist() == [5.0, 2.0]
    assert radii_of(table, PLAIN, 7.0) == 7.0
    assert sorted(position_list(table, PLAIN, 7.0).names.to_pylist()) == ["1", "2"]
    with pytest.raises(ConditionError, match="row 2 has the radius nan"):
        position_list(table, PLAIN, None)


@pytest.mark.parametrize(
    ("columns", "names", "said"),
    [
        ({"x": [1.0], "dec": [1.0]}, PLAIN, "looks like the right ascension; name it with --ra: x, dec"),
        ({"ra": ["1:2:3"], "dec": [1.0]}, PLAIN, "not hours"),
        ({"ra": [1.0], "dec": [1.0]}, ColumnNames(ra="rra"), "no column rra; did you mean ra"),
        ({"ra": [1.0], "dec": [1.0]}, PLAIN, "looks like the radius"),
    ],
)
def test_what_is_missing_is_named(columns: dict[str, list[object]], names: ColumnNames, said: str) -> None:
    with pytest.raises(ConditionError, match=said):
        position_list(pa.table(columns), names, None)


def test_an_empty_table_is_no_list() -> None:
    with pytest.raises(ConditionError, match="at least one position"):
        position_list(pa.table({"ra": pa.array([], pa.float64()), "dec": pa.array([], pa.float64())}), PLAIN, 1.0)


@pytest.mark.parametrize("name", ["mine.csv", "mine.parquet", "mine.vot", "mine.fits", "mine.doc"])
def test_a_file_that_is_something_else_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x00\x01 not a table \xff" * 30)
    with pytest.raises(ConditionError, match="mine"):
        positions_of(read_table(tmp_path / name), PLAIN)
    with pytest.raises(NotFoundError, match="nowhere"):
        read_table(tmp_path / "nowhere.csv")


def uniq(order: int, pixel: int) -> int:
    return int((4 << (2 * order)) + pixel)


def write_moc(path: Path, ordering: str, values: list[int]) -> Path:
    hdu = fits.BinTableHDU.from_columns([fits.Column(name="UNIQ" if ordering == "NUNIQ" else "RANGE", format="K", array=values)])
    hdu.header.update({"ORDERING": ordering, "COORDSYS": "C", "MOCDIM": "SPACE", "MOCVERS": "2.0"})
    hdu.writeto(path)
    return path


def test_every_form_of_a_moc_gives_the_same_area(tmp_path: Path) -> None:
    last = (12 << 58) - 1
    pixels = {3: [5, 6, 7, 100], 5: [12_000], 29: [last]}
    (tmp_path / "a.json").write_text('{"3": [5, 6, 7, 100], "5": [12000], "10": [], "29": [' + f"{last}]}}")
    (tmp_path / "a.txt").write_text(f"3/5-7 100\n5/12000 29/{last}")
    (tmp_path / "b.txt").write_text(f"3/5-7,100,5/12000,29/{last} 10/")
    uniqs = [uniq(order, pixel) for order, some in pixels.items() for pixel in some]
    ranges = [[pixel << 2 * (29 - order), (pixel + 1) << 2 * (29 - order)] for order, some in pixels.items() for pixel in some]
    files = [tmp_path / "a.json", tmp_path / "a.txt", tmp_path / "b.txt", write_moc(tmp_path / "u.fits", "NUNIQ", uniqs)]
    files.append(write_moc(tmp_path / "r.fits", "RANGE", [end for pair in ranges for end in pair]))
    areas = [read_area(path) for path in files]
    # three neighbours are one range, and the last pixel of all of the sky is there
    assert len(areas[0]) == 4
    assert areas[0].ranges[-1, 1] == 12 << 58
    for area in areas:
        np.testing.assert_array_equal(area.ranges, areas[0].ranges)


@pytest.mark.parametrize("order", range(30))
def test_the_last_and_first_pixels_of_every_order_are_told_apart(tmp_path: Path, order: int) -> None:
    last = (12 << (2 * order)) - 1
    area = read_area(write_moc(tmp_path / "moc.fits", "NUNIQ", [uniq(order, 0), uniq(order, last)]))
    shift = 2 * (29 - order)
    expected = [[0, 1 << shift], [last << shift, 12 << 58]]
    assert area.ranges.tolist() == expected


def test_an_area_holds_the_circle_that_it_was_made_of(tmp_path: Path) -> None:
    from astropy import units
    from astropy.coordinates import Latitude, Longitude

    pixels, orders, _ = nested.cone_search(Longitude(0.1 * units.deg), Latitude(89.5 * units.deg), 2 * units.deg, depth=9)
    area = read_area(write_moc(tmp_path / "cone.fits", "NUNIQ", [uniq(int(o), int(p)) for o, p in zip(orders, pixels, strict=True)]))
    ra = np.linspace(0.0, 360.0, 721)
    assert area.match(ra, np.full(721, 88.6))[0].all()
    assert not area.match(ra, np.full(721, 86.0))[0].any()
    assert isinstance(area, Area)


@pytest.mark.parametrize(
    "text", ["", "{}", "5", "5/3072x", "30/1", '{"3": [768]}', '{"3": [-1]}', '{"x": [1]}', "3/9-7", "not a moc", '{"3": "a"}', "[1, 2]"]
)
def test_what_is_no_moc_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.moc").write_text(text)
    with pytest.raises(ConditionError, match="is no MOC of the sky"):
        read_area(tmp_path / "a.moc")


def test_a_moc_of_something_else_is_refused(tmp_path: Path) -> None:
    path = write_moc(tmp_path / "t.fits", "RANGE", [1, 2])
    with fits.open(path, mode="update") as hdus:
        hdus[1].header["MOCDIM"] = "TIME"
    with pytest.raises(ConditionError, match="not of the sky"):
        read_area(path)
    with pytest.raises(ConditionError, match="no pixel in NUNIQ form"):
        read_area(write_moc(tmp_path / "n.fits", "NUNIQ", [3]))
    with pytest.raises(NotFoundError, match="nowhere"):
        read_area(tmp_path / "nowhere.fits")


@pytest.mark.parametrize(
    ("column", "plain"),
    [
        (pa.array([b"ab", None]), ["ab", None]),
        (pa.array([b"\xff", None]), None),
        (pa.array([[1, 2], None]), None),
        (pa.array([{"a": 1}, None]), None),
        (pa.array([0, None], pa.duration("s")), None),
        (pa.array([0, None], pa.timestamp("s")), ["1970-01-01 00:00:00.000", None]),
        (pa.array([0, None], pa.date32()), ["1970-01-01", None]),
        (pa.array([Decimal("1.50"), None]), [1.5, None]),
        (pa.array([1.5, None], pa.float16()), [1.5, None]),
        (pa.array([2**64 - 1, None], pa.uint64()), ["18446744073709551615", None]),
        (pa.array(["a", None]).dictionary_encode(), ["a", None]),
        (pa.array(["a", None], pa.string_view()), ["a", None]),
        (pa.array(["a", None], pa.large_string()), ["a", None]),
        (pa.nulls(2), [None, None]),
        (pa.array([True, None]), [True, None]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else None,
)
def test_columns_of_an_upload_are_numbers_truth_values_or_text(tmp_path: Path, column: pa.Array, plain: list[object] | None) -> None:
    pq.write_table(pa.table({"ra": [1.0, 2.0], "dec": [1.0, 2.0], "more": column}), tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet")
    assert ("more" in table.column_names) == (plain is not None)
    if plain is not None:
        assert table["more"].to_pylist() == plain
        assert table["more"].type in (pa.float64(), pa.bool_(), pa.string())


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("ra,dec,ra\n1,2,3\n")
    with pytest.raises(ConditionError, match="more than one column ra"):
        read_table(tmp_path / "a.csv")
