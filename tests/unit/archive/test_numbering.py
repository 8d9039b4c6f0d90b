"""Numbers are given once, for good, and only a written commit makes them so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from fink.archive.index import Store
from fink.archive.numbering import Numbering
from fink.errors import ArchiveError


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "index", cache_megabytes=4)
    yield opened
    opened.close()


def written(store: Store, numbering: Numbering) -> int:
    """Write what is new, as a commit does, and give how many entries that took."""
    changes = store.changes()
    numbering.put(changes)
    number = len(changes)
    store.write(changes)
    numbering.settle()
    return number


def rows(**columns: pa.DataType) -> pa.Table:
    return pa.schema(list(columns.items())).empty_table()


def test_numbers_are_the_same_whoever_reads_them(store: Store) -> None:
    first = Numbering(store)
    assert [first.survey(name) for name in ("ztf", "lsst", "ztf")] == [0, 1, 0]
    assert first.band_numbers("ztf", ["g", "r"]).tolist() == [0, 1]
    assert first.band_numbers("lsst", ["u", "g"]).tolist() == [0, 1]
    written(store, first)
    second = Numbering(store)
    assert [second.survey(name) for name in ("lsst", "ztf", "atlas")] == [1, 0, 2]
    assert second.band_numbers("ztf", ["i", "r", "g"]).tolist() == [2, 1, 0]
    assert second.band_numbers("lsst", ["g"]).tolist() == [1]


def test_only_what_is_new_is_written(store: Store) -> None:
    numbering = Numbering(store)
    numbering.survey("ztf")
    numbering.band_numbers("ztf", ["g"])
    assert numbering.row_format(rows(mjd=pa.float64()), frozenset({"mjd"})).number == 0
    assert written(store, numbering) == 3
    numbering.survey("ztf")
    numbering.band_numbers("ztf", ["g"])
    numbering.row_format(rows(mjd=pa.float64()), frozenset({"mjd"}))
    assert written(store, numbering) == 0


def test_a_failed_commit_gives_no_numbers(store: Store) -> None:
    numbering = Numbering(store)
    numbering.survey("ztf")
    written(store, numbering)
    numbering.survey("lsst")
    numbering.band_numbers("lsst", ["u"])
    numbering.row_format(rows(mjd=pa.float64()), frozenset({"mjd"}))
    numbering.forget()
    assert (numbering.surveys, numbering.bands, numbering.formats) == (["ztf"], {}, [])
    assert written(store, numbering) == 0
    assert numbering.survey("atlas") == 1


def test_asking_for_a_known_survey_gives_none_a_number(store: Store) -> None:
    numbering = Numbering(store)
    assert numbering.known_survey("ztf") is None
    assert numbering.surveys == []
    numbering.survey("ztf")
    assert numbering.known_survey("ztf") == 0


def test_bands_are_found_among_those_of_a_batch(store: Store) -> None:
    numbering = Numbering(store)
    numbering.band_numbers("ztf", ["g", "r", "i"])
    assert numbering.band_indices("ztf", ["i", "g"]).tolist() == [1, -1, 0]
    assert numbering.band_indices("lsst", ["i"]).tolist() == []


def test_a_survey_has_127_bands_at_most(store: Store) -> None:
    numbering = Numbering(store)
    names = [f"b{i}" for i in range(127)]
    assert numbering.band_numbers("narrow", names).tolist() == list(range(127))
    with pytest.raises(ArchiveError, match="the survey narrow has 128 bands; an archive holds 127 at most"):
        numbering.band_numbers("narrow", ["one too many"])
    assert numbering.band_numbers("ztf", ["g"]).tolist() == [0]


def test_equal_columns_have_one_format_and_others_their_own(store: Store) -> None:
    numbering = Numbering(store)
    indexed = frozenset({"mjd", "band", "mag"})
    wide = numbering.row_format(rows(mjd=pa.float64(), band=pa.string(), wide=pa.float64()), indexed)
    assert wide.columns == (("mjd", "double"), ("band", "string"))
    assert numbering.row_format(rows(mjd=pa.float64(), band=pa.string()), indexed) is wide
    others = [rows(mjd=pa.float64(), band=pa.string(), mag=pa.float32()), rows(mjd=pa.float32(), band=pa.string()), rows(mjd=pa.float64())]
    assert [numbering.row_format(table, indexed).number for table in others] == [1, 2, 3]
    written(store, numbering)
    again = Numbering(store)
    assert again.formats == numbering.formats
    assert again.row_format(others[2], indexed).number == 3


def test_formats_keep_their_numbers_beyond_a_byte(store: Store) -> None:
    numbering = Numbering(store)
    for i in range(300):
        numbering.row_format(rows(**{f"c{i}": pa.int8()}), frozenset({f"c{i}"}))
    written(store, numbering)
    formats = Numbering(store).formats
    assert [(known.number, known.columns[0][0]) for known in formats] == [(i, f"c{i}") for i in range(300)]
