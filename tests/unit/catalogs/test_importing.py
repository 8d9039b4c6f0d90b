"""Every format gives the same catalogue, whatever its order, in bounded memory; a new version takes the place of the old at once."""

from __future__ import annotations

import datetime
import gzip
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table

from file_server import serving
from fink.catalogs import Catalogue, Field, registry
from fink.catalogs.importing import KEPT, checksums, import_catalogue, verify
from fink.catalogs.store import CURRENT, RECORD, InstalledCatalogue
from fink.errors import CatalogueError

N = 500

STARS = Catalogue(
    name="stars",
    fields=(
        Field("name", "Name", pa.string(), "", "meta.id", "Name of the star"),
        Field("type", "VarType", pa.string(), "", "src.class", "Type of the star"),
        Field("period", "Period", pa.float32(), "d", "time.period", "Period of the star"),
        Field("number", "Number", pa.int64(), "", "meta.id", "Number of the star"),
        Field("known", "TRY_CAST(Number AS BIGINT) > 9000000000000000100", pa.bool_(), "", "meta.code", "Whether its number is large"),
        Field("absent", "NotThere", pa.float32(), "", "meta.note", "A column that no distribution has"),
    ),
    radius=2.0,
    citation="https://example.org/stars",
    licence="free",
    ra=("RAJ2000", '"R.A."'),
    dec=("DEJ2000", '"Dec."'),
)


def stars(n: int = N, seed: int = 1) -> pa.Table:
    """Make up a distribution: names that all differ, few types, periods and numbers of which some are missing."""
    rng = np.random.default_rng(seed)
    types = pa.array(["RRAB", "EA", None, "M:"]).take(pa.array(rng.integers(0, 4, n)))
    return pa.table(
        {
            "Name": pa.array([None if i % 7 == 0 else f"Star {i} é" for i in range(n)]),
            "RAJ2000": rng.uniform(0, 360, n),
            "DEJ2000": np.degrees(np.arcsin(rng.uniform(-1, 1, n))),
            "VarType": types,
            "Period": pa.array(rng.uniform(0.1, 300, n), mask=rng.random(n) < 0.2),
            "Number": pa.array(9_000_000_000_000_000_000 + rng.integers(0, 200, n), mask=rng.random(n) < 0.1),
        }
    )


def opened(home: Path) -> InstalledCatalogue:
    return InstalledCatalogue.open(home / CURRENT)


def answers(catalogue: InstalledCatalogue, table: pa.Table) -> dict[str, list[Any]]:
    """What is said at each place of a distribution, in its order."""
    found = catalogue.match(table["RAJ2000"].to_numpy(), table["DEJ2000"].to_numpy())
    assert found.position.tolist() == list(range(table.num_rows))
    return {name.removeprefix("stars_"): catalogue.take(name, found.source).to_pylist() for name in catalogue.columns}


def write_hats(table: pa.Table, folder: Path) -> Path:
    (folder / "dataset" / "Norder=0" / "Dir=0").mkdir(parents=True)
    (folder / "hats.properties").write_text("obs_collection=stars\nhats_nrows=500\n")
    (folder / "partition_info.csv").write_text("Norder,Npix\n0,3\n0,4\n")
    pq.write_table(table.slice(0, 100), folder / "dataset" / "Norder=0" / "Dir=0" / "Npix=3.parquet")
    pq.write_table(table.slice(100), folder / "dataset" / "Norder=0" / "Dir=0" / "Npix=4.parquet")
    pq.write_table(table.slice(0, 0), folder / "dataset" / "_metadata")
    return folder


def write_fits(table: pa.Table, path: Path) -> Path:
    columns = {name: table[name] for name in table.column_names if name != "Number"}
    plain = {name: values.fill_null("" if pa.types.is_string(values.type) else np.nan).to_numpy() for name, values in columns.items()}
    texts = {name: np.char.encode(v.astype(str), "ascii", "replace") for name, v in plain.items() if v.dtype.kind == "O"}
    units = [fits.Column(name, "30A" if name in texts else "D", array=texts.get(name, v)) for name, v in plain.items()]
    fits.BinTableHDU.from_columns(units).writeto(path)
    return path


def write_votable(table: pa.Table, path: Path) -> Path:
    Table({name: np.ma.masked_invalid(table[name].to_numpy()) for name in ("RAJ2000", "DEJ2000", "Period")}).write(path, format="votable")
    return path


def write_csv(table: pa.Table, path: Path) -> Path:
    pyarrow.csv.write_csv(table, path)
    return path


def test_parquet_keeps_every_value_and_every_null(tmp_path: Path) -> None:
    table = stars()
    pq.write_table(table, tmp_path / "stars.parquet")
    record = import_catalogue(STARS, [str(tmp_path / "stars.parquet")], tmp_path)
    assert (record.rows, record.skipped, record.missing) == (N, 0, ("absent",))
    assert set(record.words) == {"stars_type"}
    said = answers(opened(tmp_path / "stars"), table)
    assert said["name"] == table["Name"].to_pylist()
    assert said["type"] == table["VarType"].to_pylist()
    assert said["number"] == table["Number"].to_pylist()
    assert said["known"] == [None if n is None else n > 9_000_000_000_000_000_100 for n in said["number"]]
    np.testing.assert_allclose(np.array(said["period"], float), np.array(table["Period"].to_pylist(), float), rtol=1e-6)


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (write_hats, "hats"),
        (write_csv, "stars.csv"),
        (lambda table, path: zipped(write_csv(table, path.with_suffix("")), path), "stars.csv.zip"),
        (lambda table, path: gzipped(write_csv(table, path.with_suffix("")), path), "stars.csv.gz"),
    ],
)
def test_other_formats_give_the_same_catalogue(write: Callable[[pa.Table, Path], Path], name: str, tmp_path: Path) -> None:
    table = stars()
    pq.write_table(table, tmp_path / "stars.parquet")
    wanted = import_catalogue(STARS, [str(tmp_path / "stars.parquet")], tmp_path / "one")
    found = import_catalogue(STARS, [str(write(table, tmp_path / name))], tmp_path / "other")
    assert found.version == wanted.version


def zipped(file: Path, path: Path) -> Path:
    """Pack a file as the Transient Name Server does: a zip archive whose table begins with the time of its making."""
    file.write_text('"2026-11-20 00:00:00"\n' + file.read_text())
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(file, file.name)
    return path


def gzipped(file: Path, path: Path) -> Path:
    path.write_bytes(gzip.compress(b"# a remark\n#another, with commas\n" + file.read_bytes()))
    return path


@pytest.mark.parametrize(("write", "name"), [(write_fits, "stars.fits"), (write_votable, "stars.vot")])
def test_formats_of_astronomy_give_the_same_places(write: Callable[[pa.Table, Path], Path], name: str, tmp_path: Path) -> None:
    table = stars()
    import_catalogue(STARS, [str(write(table, tmp_path / name))], tmp_path)
    said = answers(opened(tmp_path / "stars"), table)
    np.testing.assert_allclose(np.array(said["period"], float), np.array(table["Period"].to_pylist(), float), rtol=1e-6)
    if "type" in said:
        assert said["type"] == table["VarType"].to_pylist()


def test_a_table_of_the_cds_is_read_with_its_readme(tmp_path: Path) -> None:
    description = (
        "J/none Stars\n" + "=" * 80 + "\nByte-by-byte Description of file: stars.dat\n" + "-" * 80 + "\n"
        "   Bytes Format Units   Label     Explanations\n" + "-" * 80 + "\n"
        "   1-  9 F9.5   deg     RAJ2000   Right ascension\n  11- 19 F9.5   deg     DEJ2000   Declination\n"
        "  21- 24 A4     ---     VarType   Type\n" + "-" * 80 + "\n"
    )
    (tmp_path / "ReadMe").write_text(description)
    (tmp_path / "stars.dat").write_text(" 10.50000 -20.25000 RRAB\n359.99999  89.50000 EA  \n")
    import_catalogue(STARS, [str(tmp_path / "stars.dat")], tmp_path)
    catalogue = opened(tmp_path / "stars")
    found = catalogue.match([10.5, 359.99999], [-20.25, 89.5])
    assert catalogue.take("stars_type", found.source).to_pylist() == ["RRAB", "EA"]


def test_positions_may_be_text_in_hours_and_degrees(tmp_path: Path) -> None:
    text = '"R.A.","Dec.",Name\n"00 01 16.37","-00 35 34.0",a\n"23:59:59.5","+89:00:00",b\n"12.5","-3.25",c\n"","",d\n"x","y",e\n'
    (tmp_path / "stars.csv").write_text(text)
    record = import_catalogue(STARS, [str(tmp_path / "stars.csv")], tmp_path)
    assert (record.rows, record.skipped) == (3, 2)
    catalogue = opened(tmp_path / "stars")
    found = catalogue.match([0.31820833, 359.9979166, 12.5], [-0.59277778, 89.0, -3.25])
    assert catalogue.take("stars_name", found.source).to_pylist() == ["a", "b", "c"]


def test_the_order_of_rows_and_files_changes_nothing(tmp_path: Path) -> None:
    table = stars()
    pq.write_table(table, tmp_path / "one.parquet")
    order = np.random.default_rng(2).permutation(N)
    for name, rows in (("a", order[:200]), ("b", order[200:])):
        pq.write_table(table.take(pa.array(rows)), tmp_path / f"{name}.parquet")
    one = import_catalogue(STARS, [str(tmp_path / "one.parquet")], tmp_path / "x")
    two = import_catalogue(STARS, [str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")], tmp_path / "y")
    assert one.version == two.version


def test_a_new_version_takes_the_place_of_the_old_and_who_has_it_open_keeps_it(tmp_path: Path) -> None:
    versions, open_ones = [], []
    for seed in range(4):
        pq.write_table(stars(seed=seed), tmp_path / "stars.parquet")
        versions.append(import_catalogue(STARS, [str(tmp_path / "stars.parquet")], tmp_path).version)
        open_ones.append(opened(tmp_path / "stars"))
    assert len(set(versions)) == 4
    assert (tmp_path / "stars" / CURRENT).read_text().strip() == versions[-1]
    assert {path.parent.name for path in (tmp_path / "stars").glob(f"*/{RECORD}")} == set(versions[-KEPT:])
    assert answers(open_ones[0], stars(seed=0))["type"] == stars(seed=0)["VarType"].to_pylist()
    assert InstalledCatalogue.open(tmp_path / "stars" / versions[-2]).version == versions[-2]
    assert not list(tmp_path.glob("stars/.import-*"))


def test_the_same_data_again_make_a_catalogue_younger_and_nothing_else(tmp_path: Path) -> None:
    pq.write_table(stars(), tmp_path / "stars.parquet")
    first = import_catalogue(STARS, [str(tmp_path / "stars.parquet")], tmp_path)
    before = checksums(tmp_path / "stars" / first.version)
    early = replace(first, imported="2020-01-01T00:00:00+00:00")
    (tmp_path / "stars" / first.version / RECORD).write_bytes(early.to_bytes())
    again = import_catalogue(STARS, [str(tmp_path / "stars.parquet")], tmp_path)
    assert again.version == first.version
    assert checksums(tmp_path / "stars" / first.version) == before
    now = datetime.datetime.now(datetime.UTC)
    assert opened(tmp_path / "stars").record.age(now) < 1 < early.age(now)
    assert verify(tmp_path / "stars" / CURRENT) == []


def test_what_fails_leaves_what_was_there(tmp_path: Path) -> None:
    pq.write_table(stars(), tmp_path / "stars.parquet")
    version = import_catalogue(STARS, [str(tmp_path / "stars.parquet")], tmp_path).version
    (tmp_path / "broken.csv").write_text("Name,RAJ2000\na,1\n")
    (tmp_path / "empty.csv").write_text("Name,RAJ2000,DEJ2000\na,,\n")
    (tmp_path / "no.parquet").write_bytes(b"PAR1 not at all PAR1")
    for source, message in (
        ("broken.csv", "none of the columns DEJ2000"),
        ("empty.csv", "no row for catalogue stars"),
        ("no.parquet", "cannot be read"),
        ("nowhere.csv", "there is no"),
    ):
        with pytest.raises(CatalogueError, match=message):
            import_catalogue(STARS, [str(tmp_path / source)], tmp_path)
    assert opened(tmp_path / "stars").version == version
    assert not list(tmp_path.glob("stars/.import-*"))


def test_damage_is_found(tmp_path: Path) -> None:
    pq.write_table(stars(), tmp_path / "stars.parquet")
    version = import_catalogue(STARS, [str(tmp_path / "stars.parquet")], tmp_path).version
    folder = tmp_path / "stars" / version
    data = bytearray((folder / "positions.npy").read_bytes())
    data[500] ^= 1
    (folder / "positions.npy").write_bytes(data)
    (folder / "rows.parquet").unlink()
    assert verify(tmp_path / "stars" / CURRENT) == ["positions.npy is not what was imported", "rows.parquet is not there"]
    (folder / "offsets.npy").unlink()
    with pytest.raises(CatalogueError, match=r"lacks .*offsets\.npy"):
        opened(tmp_path / "stars")


def test_ellipses_and_motion_are_kept_in_tiers(tmp_path: Path) -> None:
    n, rng = 400, np.random.default_rng(5)
    table = pa.table({"ra": rng.uniform(0, 360, n), "dec": rng.uniform(-80, 80, n), "Name": [f"g{i}" for i in range(n)]})
    table = table.append_column("size", pa.array(10 ** rng.uniform(-1, 4, n)).cast(pa.float64()))
    table = table.append_column("pm", pa.array(np.where(rng.random(n) < 0.1, 9000.0, np.nan)))
    pq.write_table(table, tmp_path / "g.parquet")
    galaxies = replace(STARS, fields=STARS.fields[:1], ra="ra", dec="dec", own_radius="size", axis_ratio="0.5", pm_ra="pm", epoch=2016.0)
    record = import_catalogue(galaxies, [str(tmp_path / "g.parquet")], tmp_path)
    assert len(record.tiers) > 5
    catalogue = opened(tmp_path / "stars")
    shape = catalogue.index.shape
    assert shape[:, 0].min() == galaxies.radius
    assert (shape[shape[:, 0] > galaxies.radius, 1] == 0.5).all()
    found = catalogue.match(table["ra"], table["dec"])
    assert set(catalogue.take("stars_name", found.source).to_pylist()) == set(table["Name"].to_pylist())
    later = catalogue.match(table["ra"], table["dec"], np.full(n, 51544.5 + 365.25 * 116))
    assert len(later) < len(found)


LIMITED = """
import resource, sys
from pathlib import Path
sys.path[:0] = {paths!r}
from test_importing import STARS
from fink.catalogs.importing import import_catalogue
import_catalogue(STARS, [{file!r}], Path({folder!r}), megabytes=128)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_catalogue(tmp_path: Path) -> None:
    """Ten times the rows need little more memory: what DuckDB may use, and the system's cache of the files that are mapped."""
    used = []
    for number, n in enumerate((200_000, 2_000_000)):
        rng = np.random.default_rng(number)
        with pq.ParquetWriter(tmp_path / f"{number}.parquet", stars(10).schema) as writer:
            for _ in range(n // 100_000):
                names = pa.array([f"star number {i}" for i in rng.integers(0, 10**9, 100_000)])
                part = stars(10).take(pa.array(rng.integers(0, 10, 100_000))).set_column(0, "Name", names)
                part = part.set_column(1, "RAJ2000", pa.array(rng.uniform(0, 360, 100_000)))
                writer.write_table(part)
        code = LIMITED.format(
            paths=[str(Path(__file__).parent), str(Path(__file__).parents[2])],
            file=str(tmp_path / f"{number}.parquet"),
            folder=str(tmp_path),
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        used.append(int(done.stdout) / 1024)
        shutil.rmtree(tmp_path / "stars")
    assert used[1] - used[0] < 250, used


def test_of_a_remote_hats_catalogue_only_the_columns_that_are_needed_are_fetched(tmp_path: Path) -> None:
    wide = stars(20_000)
    for i in range(20):
        wide = wide.append_column(f"more_{i}", pa.array(np.random.default_rng(i).uniform(size=20_000)))
    with serving(tmp_path / "served") as server:
        write_hats(wide, server.folder / "hats")
        record = import_catalogue(STARS, [f"{server.address}/hats"], tmp_path)
    assert record.rows == 20_000
    size = sum(path.stat().st_size for path in server.folder.rglob("*.parquet"))
    fetched_bytes = sum(asked.given for asked in server.asked if asked.what.startswith("GET"))
    assert fetched_bytes < 0.5 * size


def test_a_record_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    pq.write_table(stars(), tmp_path / "stars.parquet")
    record = import_catalogue(STARS, [str(tmp_path / "stars.parquet")], tmp_path)
    assert opened(tmp_path / "stars").record == record
    changed = json.loads(record.to_bytes()) | {"format": 99}
    (tmp_path / "stars" / record.version / RECORD).write_text(json.dumps(changed))
    with pytest.raises(CatalogueError, match="format 99"):
        opened(tmp_path / "stars")


@pytest.mark.parametrize("name", registry())
def test_every_declaration_can_be_imported_from_a_table_of_its_own_columns(name: str, tmp_path: Path) -> None:
    """The first expression of each field is legal SQL over the columns that it names, and its value has the declared type."""
    from fink.catalogs.declaration import alternatives
    from fink.catalogs.importing import names_in

    declared = registry()[name]
    for pick in (0, -1):
        sources = [declared.ra, declared.dec, declared.where, declared.own_radius, declared.axis_ratio, declared.pm_ra, declared.pm_dec]
        sources += [one.source for one in declared.fields]
        columns = {column for source in sources for one in alternatives(source)[pick:][:1] for column in names_in(one)}
        table = pa.table({column: pa.array(["1", "2"]) for column in sorted(columns)})
        pq.write_table(table, tmp_path / "own.parquet")
        chosen = replace(declared, where="")
        record = import_catalogue(chosen, [str(tmp_path / "own.parquet")], tmp_path)
        assert record.rows == 2
        assert record.missing == ()
        catalogue = InstalledCatalogue.open(tmp_path / name / CURRENT)
        assert set(catalogue.columns) == {declared.column(one).name for one in declared.fields}
        for one in declared.fields:
            assert catalogue.take(declared.column(one).name, np.array([0, 1])).type == one.type
