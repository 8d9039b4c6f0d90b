"""An installed catalogue is opened as it was imported: its version, age, matches and values."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy import units
from astropy.coordinates import SkyCoord, match_coordinates_sky

from fink.catalogs import Catalogue, Field
from fink.catalogs.importing import import_catalogue
from fink.catalogs.store import CURRENT, RECORD, CatalogueRecord, InstalledCatalogue, installed, map_array
from fink.errors import CatalogueError

N, RADIUS = 400, 30.0

STARS = Catalogue(
    name="stars",
    fields=(
        Field("name", "name", pa.string(), "", "meta.id", "Name of the star"),
        Field("type", "type", pa.string(), "", "src.class", "Type of the star"),
        Field("number", "number", pa.int32(), "", "meta.id", "Number of the star"),
        Field("absent", "not_there", pa.float32(), "", "meta.note", "A column that no distribution has"),
    ),
    radius=RADIUS,
    citation="https://example.org/stars",
    licence="free",
)


def install(folder: Path, seed: int = 1, catalogue: Catalogue = STARS) -> pa.Table:
    """Install stars in a square degree around RA 0; give what they were made from."""
    rng = np.random.default_rng(seed)
    table = pa.table(
        {
            "ra": rng.uniform(-0.5, 0.5, N) % 360,
            "dec": rng.uniform(-0.5, 0.5, N),
            "name": [f"star {i}" for i in range(N)],
            "type": pa.array(["RR*", None, "EA", "M"] * (N // 4)),
            "number": pa.array(np.arange(N), pa.int32(), mask=np.arange(N) % 5 == 0),
        }
    )
    pq.write_table(table, folder / "distribution.parquet")
    import_catalogue(catalogue, [str(folder / "distribution.parquet")], folder)
    (folder / "distribution.parquet").unlink()
    return table


def opened(folder: Path, name: str = "stars") -> InstalledCatalogue:
    return InstalledCatalogue.open(folder / name / CURRENT)


def test_matches_are_those_of_astropy_with_the_values_of_the_matched(tmp_path: Path) -> None:
    table, rng = install(tmp_path), np.random.default_rng(2)
    catalogue = opened(tmp_path)
    ra, dec = rng.uniform(-0.5, 0.5, 300) % 360, rng.uniform(-0.5, 0.5, 300)
    sources = SkyCoord(table["ra"].to_numpy(), table["dec"].to_numpy(), unit="deg")
    nearest, apart, _ = match_coordinates_sky(SkyCoord(ra, dec, unit="deg"), sources)
    has = apart < RADIUS * units.arcsec
    found = catalogue.match(ra, dec)
    assert 20 < len(found) < 280
    assert found.position.tolist() == np.flatnonzero(has).tolist()
    np.testing.assert_allclose(found.separation, apart.arcsec[has], atol=1e-7)
    rows = pa.array(nearest[has])
    for name in ("name", "type", "number"):
        assert catalogue.take(f"stars_{name}", found.source).to_pylist() == table[name].take(rows).to_pylist()


def test_alerts_without_a_match_get_nulls(tmp_path: Path) -> None:
    table = install(tmp_path)
    catalogue, names = opened(tmp_path), {column.name: column.type for column in STARS.columns}
    ra = np.array([table["ra"][7].as_py(), 180.0, table["ra"][5].as_py(), np.nan])
    dec = np.array([table["dec"][7].as_py(), 0.0, table["dec"][5].as_py(), 0.0])
    given = catalogue.on_positions(ra, dec, np.full(4, 60000.0), names)
    assert {name: values.type for name, values in given.items()} == names
    assert given["stars_separation"].to_pylist() == [0.0, None, 0.0, None]
    assert given["stars_name"].to_pylist() == ["star 7", None, "star 5", None]
    assert given["stars_type"].to_pylist() == ["M", None, None, None]
    assert given["stars_number"].to_pylist() == [7, None, None, None]
    assert given["stars_absent"].null_count == 4
    nowhere = catalogue.on_positions(ra[1:2], dec[1:2], np.full(1, 60000.0), names)
    assert {name: (values.type, values.to_pylist()) for name, values in nowhere.items()} == {n: (t, [None]) for n, t in names.items()}


def test_a_column_that_was_not_imported_is_refused(tmp_path: Path) -> None:
    install(tmp_path)
    with pytest.raises(CatalogueError, match="stars was imported without stars_absent; import it again"):
        opened(tmp_path).take("stars_absent", np.array([0]))


def test_the_version_changes_with_the_data_and_either_can_be_opened(tmp_path: Path) -> None:
    install(tmp_path, seed=1)
    first = opened(tmp_path)
    install(tmp_path, seed=2)
    second = opened(tmp_path)
    assert len(first) == len(second) == N
    assert first.version != second.version == (tmp_path / "stars" / CURRENT).read_text().strip()
    assert InstalledCatalogue.open(tmp_path / "stars" / first.version).version == first.version
    ra, dec = first.index.positions.T
    assert len(first.match(ra, dec)) == N > len(second.match(ra, dec))


def test_the_age_counts_from_the_import(tmp_path: Path) -> None:
    before = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    install(tmp_path)
    record = opened(tmp_path).record
    assert before <= datetime.datetime.fromisoformat(record.imported) <= datetime.datetime.now(datetime.UTC)
    later = datetime.datetime.fromisoformat(record.imported) + datetime.timedelta(days=3, hours=12)
    assert record.age(later) == 3.5
    assert record.age(later.astimezone(datetime.timezone(datetime.timedelta(hours=9)))) == 3.5


def test_a_record_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    install(tmp_path)
    record = opened(tmp_path).record
    assert CatalogueRecord.from_bytes(record.to_bytes()) == record
    assert (record.name, record.rows, record.missing, record.radius) == ("stars", N, ("absent",), RADIUS)
    with pytest.raises(CatalogueError, match="stars is of format 99"):
        CatalogueRecord.from_bytes(record.to_bytes().replace(b'"format": 1', b'"format": 99'))


def test_a_catalogue_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    install(tmp_path)
    folder = opened(tmp_path).folder
    whole = (folder / RECORD).read_bytes()
    (folder / RECORD).write_bytes(whole[:100])
    with pytest.raises(CatalogueError, match="stars cannot be read"):
        opened(tmp_path)
    (folder / RECORD).write_bytes(whole)
    (folder / "stars_number.npy").unlink()
    with pytest.raises(CatalogueError, match=r"lacks .*stars_number\.npy; import it again"):
        opened(tmp_path)


def test_what_is_installed_is_found_by_name(tmp_path: Path) -> None:
    assert installed(tmp_path / "nowhere") == {}
    install(tmp_path)
    galaxies = Catalogue(STARS.fields, 5.0, STARS.citation, "free", name="galaxies")
    install(tmp_path, 3, galaxies)
    (tmp_path / "no_catalogue").mkdir()
    found = installed(tmp_path)
    assert list(found) == ["galaxies", "stars"]
    assert found["galaxies"] == opened(tmp_path, "galaxies").record


@pytest.mark.parametrize("n", [10, 100_000])
def test_writing_to_a_mapped_array_leaves_its_file_as_it_is(n: int, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(n))
    array = map_array(tmp_path / "x.npy")
    array[:] = -1
    assert map_array(tmp_path / "x.npy").tolist() == list(range(n))
