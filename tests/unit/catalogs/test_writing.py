"""What is written a part at a time is mapped back as it was, and the table says where each pixel's sources begin."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import cdshealpix.nested as reference
import numpy as np
import pyarrow as pa
import pytest
from astropy import units
from astropy.coordinates import Latitude, Longitude

from fink.catalogs.kernel import DEEPEST
from fink.catalogs.match import Tier
from fink.catalogs.store import StoredColumn, map_array
from fink.catalogs.writing import BlockWriter, NumberWriter, TableWriter, TextWriter, WordWriter, Writer, table_length

CUTS = (0, 3, 3, 10)
"""Where ten rows are cut: one part has none."""


def write(writer: Writer, columns: dict[str, pa.Array], cuts: tuple[int, ...] = CUTS) -> None:
    """Write parts that are slices, as those that a database gives."""
    whole = pa.record_batch(columns)
    for begin, end in pairwise(cuts):
        writer.write(begin, whole.slice(begin, end - begin))
    writer.close()


def test_columns_of_numbers_become_one_array(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(0, 360, 10), rng.uniform(-90, 90, 10)
    columns = {"_ra": pa.array(ra), "_dec": pa.array(dec)}
    write(BlockWriter(tmp_path / "positions.npy", ("_ra", "_dec"), True, 10, np.float64), columns)
    np.testing.assert_array_equal(map_array(tmp_path / "positions.npy"), np.column_stack([ra, dec]))
    write(BlockWriter(tmp_path / "motion.npy", ("_pm_ra", "_pm_dec"), False, 10, np.float32), columns)
    none = map_array(tmp_path / "motion.npy")
    assert none.shape == (0, 2)
    assert none.dtype == np.float32


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("float", [1.5, None, -0.0, 1e30, None, 3.0, 4.0, 5.0, 6.0, 7.0]),
        ("double", [0.1] * 9 + [None]),
        ("int64", [2**62 + 1, -1, 0, 3, None, 5, 6, None, 8, 9]),
        ("int8", list(range(-5, 5))),
        ("int16", [None] * 10),
        ("bool", [True, False, True, None, False, True, None, True, False, False]),
    ],
)
def test_numbers_and_those_that_are_missing_are_mapped_back(kind: str, values: list[Any], tmp_path: Path) -> None:
    given = pa.array(values, pa.type_for_alias(kind))
    write(NumberWriter(tmp_path, "x", 10, kind), {"x": given})
    column = StoredColumn.open(tmp_path, "x", kind, None)
    assert column.take(np.arange(10)).equals(given)
    assert column.take(np.array([9, 0, 0])).equals(given.take(pa.array([9, 0, 0])))
    assert (tmp_path / "x.valid.npy").exists() == (kind in {"int64", "int16", "bool"}), "only where it is needed"


def test_words_become_codes(tmp_path: Path) -> None:
    given = pa.array(["RR*", None, "EA", "RR*", "EA", "M:é", None, "M:é", "EA", "RR*"])
    words = ("EA", "M:é", "RR*")
    write(WordWriter(tmp_path, "type", 10, words), {"type": given})
    assert map_array(tmp_path / "type.npy").tolist() == [2, -1, 0, 2, 0, 1, -1, 1, 0, 2]
    assert StoredColumn.open(tmp_path, "type", "string", words).take(np.arange(10)).equals(given)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_other_text_is_mapped_back(kind: pa.DataType, tmp_path: Path) -> None:
    given = pa.array(["V* é", None, "x" * 5000, "b", "c", None, "δ Cep", "d", "", "end"], kind)
    write(TextWriter(tmp_path, "name", 10), {"name": given})
    column = StoredColumn.open(tmp_path, "name", "string", None)
    wanted = [text or None for text in given.to_pylist()]
    assert column.take(np.arange(10)).to_pylist() == wanted, "empty text says as little as none"
    assert column.take(np.array([6, 2])).to_pylist() == [wanted[6], wanted[2]]
    assert (tmp_path / "name.text").stat().st_size == len("".join(filter(None, wanted)).encode())


def test_text_that_is_nowhere_is_mapped_back(tmp_path: Path) -> None:
    write(TextWriter(tmp_path, "name", 10), {"name": pa.nulls(10, pa.string())})
    assert StoredColumn.open(tmp_path, "name", "string", None).take(np.arange(10)).to_pylist() == [None] * 10


@pytest.mark.parametrize("cut", [1, 137, 5000])
def test_the_table_says_where_the_sources_of_each_pixel_begin(cut: int, tmp_path: Path) -> None:
    """Two tiers, cut anywhere, against an exhaustive count of the pixels that cdshealpix gives."""
    rng, orders, numbers, sizes = np.random.default_rng(2), (3, 1), (0, 4), (600, 90)
    tiers: list[Tier] = []
    pixels, cells = [], []
    for order, size in zip(orders, sizes, strict=True):
        tiers.append(Tier(order, sum(table_length(tier) for tier in tiers), 0.0, 0.0))
        ra, dec = rng.uniform(0, 200, size), np.degrees(np.arcsin(rng.uniform(-0.5, 1, size)))
        where = Longitude(ra, units.deg), Latitude(dec, units.deg)
        deepest = reference.lonlat_to_healpix(*where, DEEPEST).astype(np.int64)
        sort = np.argsort(deepest)
        cells.append(deepest[sort])
        pixels.append(reference.lonlat_to_healpix(*where, order)[sort])
    columns = {"_cell": pa.array(np.concatenate(cells)), "_tier": pa.array(np.repeat(numbers, sizes), pa.int8())}
    write(TableWriter(tmp_path / "offsets.npy", tiers), columns, (*range(0, sum(sizes), cut), sum(sizes)))
    offsets, before = map_array(tmp_path / "offsets.npy"), 0
    assert len(offsets) == sum(table_length(tier) for tier in tiers)
    for tier, own in zip(tiers, pixels, strict=True):
        wanted = [before + int((own < pixel).sum()) for pixel in range(table_length(tier))]
        assert offsets[tier.start : tier.start + table_length(tier)].tolist() == wanted
        before += len(own)


def test_a_table_has_an_entry_for_each_pixel_and_one_more() -> None:
    assert [table_length(Tier(order, 0, 0.0, 0.0)) for order in (0, 1, 5)] == [13, 49, 12289]
