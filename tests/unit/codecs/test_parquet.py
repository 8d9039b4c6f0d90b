"""Parquet: the file says what its columns mean, and is written whole or not at all."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fink.codecs.parquet import declared, described, read_parquet, replacing, write_parquet
from fink.columns import COLUMNS
from fink.errors import ArchiveError

TABLE = pa.table(
    {
        "alert_id": pa.array([3, 1, 2], pa.int64()),
        "object_id": ["b", None, "a"],
        "mag": pa.array([19.5, None, 21.0], pa.float32()),
        "positive": [True, False, True],
        "unknown_to_us": [1, 2, 3],
    }
)


def test_units_and_meanings_are_in_the_file(tmp_path: Path) -> None:
    size = write_parquet(tmp_path / "a.parquet", TABLE, COLUMNS)
    assert size == (tmp_path / "a.parquet").stat().st_size
    schema = pq.read_schema(tmp_path / "a.parquet")
    assert schema.field("mag").metadata[b"unit"] == b"mag"
    assert schema.field("mag").metadata[b"ucd"] == COLUMNS["mag"].ucd.encode()
    assert schema.field("mag").metadata[b"description"] == COLUMNS["mag"].about.encode()
    assert b"unit" not in schema.field("object_id").metadata
    found = declared(read_parquet(tmp_path / "a.parquet").schema)
    assert set(found) == {"alert_id", "object_id", "mag", "positive"}
    assert all((c.type, c.unit, c.ucd, c.about) == (k.type, k.unit, k.ucd, k.about) for c in found.values() for k in [COLUMNS[c.name]])


def test_what_is_there_already_is_kept() -> None:
    field = pa.field("mag", pa.float32(), metadata={"mine": "yes"})
    schema = described(pa.schema([field, pa.field("other", pa.int8())], metadata={"a": "b"}), COLUMNS)
    assert schema.field("mag").metadata[b"mine"] == b"yes"
    assert schema.metadata == {b"a": b"b"}
    assert schema.field("other").metadata is None


def test_rows_are_sorted_with_missing_names_last(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", TABLE, sort_by=("object_id", "alert_id"))
    assert read_parquet(tmp_path / "a.parquet")["object_id"].to_pylist() == ["a", "b", None]
    assert read_parquet(tmp_path / "a.parquet", ["alert_id"]).to_pydict() == {"alert_id": [2, 3, 1]}


columns = st.fixed_dictionaries(
    {
        "i": st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=12, max_size=12),
        "s": st.lists(st.none() | st.text(), min_size=12, max_size=12),
        "b": st.lists(st.none() | st.booleans(), min_size=12, max_size=12),
        "f": st.lists(st.none() | st.floats(width=32, allow_nan=False), min_size=12, max_size=12),
    }
)


@settings(deadline=None, max_examples=40)
@given(values=columns, group=st.integers(1, 13))
def test_every_reader_sees_the_same(tmp_path_factory: pytest.TempPathFactory, values: dict[str, list[object]], group: int) -> None:
    types = {"i": pa.int64(), "s": pa.string(), "b": pa.bool_(), "f": pa.float32()}
    table = pa.table({name: pa.array(column, types[name]) for name, column in values.items()})
    path = tmp_path_factory.mktemp("parquet") / "a.parquet"
    write_parquet(path, table, row_group=group)
    assert read_parquet(path).equals(table)
    assert pl.read_parquet(path).to_dict(as_series=False) == table.to_pydict()
    assert duckdb.execute(f"SELECT * FROM '{path}'").fetchall() == list(zip(*table.to_pydict().values(), strict=True))


def test_pages_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    rng = np.random.default_rng(1)
    write_parquet(path, pa.table({"flux": rng.random(10_000)}))
    data = bytearray(path.read_bytes())
    data[5_000] ^= 16
    path.write_bytes(data)
    with pytest.raises(ArchiveError, match=r"a\.parquet.*restore"):
        read_parquet(path, check=True)


@pytest.mark.parametrize("content", [None, b"", b"no Parquet at all"])
def test_what_is_no_parquet_is_named(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(ArchiveError, match=r"a\.parquet.*restore"):
        read_parquet(tmp_path / "a.parquet")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", TABLE)
    before = (tmp_path / "a.parquet").read_bytes()
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a.parquet") as aside:
        aside.write_bytes(bytes(aside.write_bytes(b"half") // 0))
    assert (tmp_path / "a.parquet").read_bytes() == before
    assert os.listdir(tmp_path) == ["a.parquet"]


def test_folders_are_made_on_the_way(tmp_path: Path) -> None:
    write_parquet(tmp_path / "survey=ztf" / "night=20181129" / "a.parquet", TABLE)
    assert read_parquet(tmp_path / "survey=ztf" / "night=20181129" / "a.parquet").num_rows == 3


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    table = pa.table({"flux": np.random.default_rng(1).random(100_000)})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(ArchiveError, match="free some space"):
            write_parquet(tmp_path / "a.parquet", table)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert os.listdir(tmp_path) == []
