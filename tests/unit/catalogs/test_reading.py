"""Every format gives the same table; folders, archives and servers give the files that they hold."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table

from file_server import serving
from fink.catalogs.reading import ROWS_AT_ONCE, RemoteFile, is_address, open_part, parts
from fink.errors import CatalogueError

N = 50
WANTED = ("RAJ2000", "period", "NAME")
"""Names in any case; what the files hold beside them is not asked for."""


def stars() -> pa.Table:
    rng = np.random.default_rng(1)
    columns = {"RAJ2000": np.round(rng.uniform(0, 360, N), 5), "Period": np.round(rng.uniform(0, 9, N), 3)}
    return pa.table({**columns, "Name": [f"V{i:03d} Cyg" for i in range(N)], "Other": np.arange(N)})


def as_astropy(table: pa.Table) -> Table:
    return Table({name: table[name].to_numpy() if name != "Name" else table[name].to_pylist() for name in table.column_names})


def write_cds(table: pa.Table, path: Path) -> None:
    lines = [f"{row['RAJ2000']:9.5f} {row['Period']:5.3f} {row['Name']} {row['Other']:2d}\n" for row in table.to_pylist()]
    path.write_text("".join(lines))
    path.with_name("ReadMe").write_text(
        "J/none Stars\n" + "=" * 80 + "\nByte-by-byte Description of file: stars.dat\n" + "-" * 80 + "\n"
        "   Bytes Format Units   Label     Explanations\n" + "-" * 80 + "\n"
        "   1-  9 F9.5   deg     RAJ2000   Right ascension\n  11- 15 F5.3   d       Period    Period\n"
        "  17- 24 A8     ---     Name      Name\n  26- 27 I2     ---     Other     Number\n" + "-" * 80 + "\n"
    )


def write_tsv(table: pa.Table, path: Path) -> None:
    pyarrow.csv.write_csv(table, path, pyarrow.csv.WriteOptions(delimiter="\t"))
    path.write_text("# made today\n\n#columns, and more\n" + path.read_text())


WRITERS: dict[str, Callable[[pa.Table, Path], object]] = {
    "stars.parquet": pq.write_table,
    "stars.csv": pyarrow.csv.write_csv,
    "stars.tsv": write_tsv,
    "stars.fits": lambda table, path: as_astropy(table).write(path, format="fits"),
    "stars.vot": lambda table, path: as_astropy(table).write(path, format="votable"),
    "stars.dat": write_cds,
}


def packed(path: Path) -> Path:
    target = path.with_name(path.name + ".gz")
    target.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    return target


def read(part: Path | str, names: tuple[str, ...] = WANTED) -> pa.Table:
    with open_part(str(part), names) as reader:
        return reader.read_all()


@pytest.mark.parametrize("name", [*WRITERS, *(f"{name}.gz" for name in WRITERS if name != "stars.parquet")])
def test_every_format_gives_the_same_table(name: str, tmp_path: Path) -> None:
    table, plain = stars(), tmp_path / name.removesuffix(".gz")
    WRITERS[plain.name](table, plain)
    found = read(packed(plain) if name.endswith(".gz") else plain)
    assert found.column_names == ["RAJ2000", "Period", "Name"]
    assert found["Name"].to_pylist() == table["Name"].to_pylist()
    for column in ("RAJ2000", "Period"):
        np.testing.assert_array_equal(found[column].cast(pa.float64()).to_numpy(), table[column].to_numpy())


def test_what_is_missing_is_null_and_text_has_no_blanks_around_it(tmp_path: Path) -> None:
    periods = np.ma.masked_array([1.5, 0.0, 2.5], mask=[False, True, False])
    Table({"Period": periods, "Name": ["  a", "b  ", " c "]}).write(tmp_path / "stars.vot", format="votable")
    assert read(tmp_path / "stars.vot").to_pydict() == {"Period": [1.5, None, 2.5], "Name": ["a", "b", "c"]}
    (tmp_path / "stars.csv").write_text(" Name ,Period\na,\nb,1.5\n")
    assert read(tmp_path / "stars.csv").to_pydict() == {"Name": ["a", "b"], "Period": [None, "1.5"]}


def test_a_large_fits_table_is_read_a_part_at_a_time(tmp_path: Path) -> None:
    n = ROWS_AT_ONCE + 1
    columns = [fits.Column("Period", "E", array=np.arange(n)), fits.Column("Name", "2E", array=np.zeros((n, 2)))]
    fits.HDUList([fits.PrimaryHDU(np.zeros((3, 3))), fits.BinTableHDU.from_columns(columns)]).writeto(tmp_path / "large.fits")
    with open_part(str(tmp_path / "large.fits"), WANTED) as reader:
        batches = list(reader)
    assert [batch.num_rows for batch in batches] == [ROWS_AT_ONCE, 1]
    assert batches[0].schema.names == ["Period"], "a column of vectors is no value"
    assert batches[1]["Period"].to_pylist() == [float(ROWS_AT_ONCE)]


def test_the_only_table_of_a_zip_archive_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "one.csv.zip", "w") as archive:
        archive.writestr("about.txt", "nothing")
        archive.writestr("stars.csv", '"2026-11-20 00:00:00"\n"Name","Period"\n"a","1"\n')
    assert read(tmp_path / "one.csv.zip").to_pydict() == {"Name": ["a"], "Period": ["1"]}
    with zipfile.ZipFile(tmp_path / "two.csv.zip", "w") as archive:
        for name in ("a.csv", "b.csv"):
            archive.writestr(name, "Name\na\n")
    with pytest.raises(CatalogueError, match="holds 2 tables"):
        read(tmp_path / "two.csv.zip")


def test_what_cannot_be_read_is_said_with_its_name(tmp_path: Path) -> None:
    fits.PrimaryHDU(np.zeros((3, 3))).writeto(tmp_path / "image.fits")
    for name in ("no.parquet", "no.fits", "no.vot", "no.csv.gz", "alone.dat", "stars.doc"):
        (tmp_path / name).write_bytes(b"nothing of this kind")
    for name, message in (
        ("image.fits", "holds no table"),
        ("alone.dat", "needs the ReadMe"),
        ("stars.doc", r"of no known kind; it should end in one of \.parquet"),
        *((name, "cannot be read") for name in ("no.parquet", "no.fits", "no.vot", "no.csv.gz")),
    ):
        with pytest.raises(CatalogueError, match=f"{name} .*{message}|{name} {message}"):
            read(tmp_path / name)


def test_a_folder_stands_for_its_files_in_order(tmp_path: Path) -> None:
    for name in ("b.csv", "a.FITS", "c.vot.gz", "ReadMe", "notes.txt"):
        (tmp_path / name).touch()
    assert [Path(one).name for one in parts(str(tmp_path))] == ["a.FITS", "b.csv", "c.vot.gz"]
    assert parts(str(tmp_path / "notes.txt")) == [str(tmp_path / "notes.txt")]
    (tmp_path / "empty").mkdir()
    for name, message in (("empty", "holds no file that can be read"), ("nowhere", "there is no ")):
        with pytest.raises(CatalogueError, match=message):
            parts(str(tmp_path / name))


def test_a_hats_catalogue_stands_for_its_partitions(tmp_path: Path) -> None:
    for name in ("Norder=1/Dir=0/Npix=7.parquet", "Norder=0/Dir=0/Npix=3/part0.parquet", "_metadata", "Norder=0/data_thumbnail.parquet"):
        path = tmp_path / "dataset" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "hats.properties").touch()
    found = [Path(one).relative_to(tmp_path / "dataset").as_posix() for one in parts(str(tmp_path))]
    assert found == ["Norder=0/Dir=0/Npix=3/part0.parquet", "Norder=1/Dir=0/Npix=7.parquet"]


def test_partitions_on_a_server_are_those_that_it_lists(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        (tmp_path / "partition_info.csv").write_text("Norder, Npix\n1, 7\n5, 12000\n")
        folder = f"{server.address}/dataset"
        assert parts(server.address + "/") == [f"{folder}/Norder=1/Dir=0/Npix=7.parquet", f"{folder}/Norder=5/Dir=10000/Npix=12000.parquet"]
        assert parts(f"{server.address}/stars.csv?all") == [f"{server.address}/stars.csv?all"]
        (tmp_path / "partition_info.csv").write_text("Norder,Npix\n")
        with pytest.raises(CatalogueError, match="lists no partitions"):
            parts(server.address)
        with pytest.raises(CatalogueError, match=r"cannot be read: .*404"):
            parts(f"{server.address}/nowhere")


def test_an_address_is_known_by_its_scheme() -> None:
    assert [is_address(one) for one in ("http://x/a.csv", "https://x/a.csv", "a.csv", "ftp://x/a.csv")] == [True, True, False, False]


def test_of_a_remote_file_only_what_is_asked_for_is_fetched(tmp_path: Path) -> None:
    data = np.random.default_rng(3).bytes(10_000)
    with serving(tmp_path) as server:
        (tmp_path / "file").write_bytes(data)
        file = RemoteFile(f"{server.address}/file")
        assert file.readable()
        assert file.seekable()
        assert (file.read(10), file.tell()) == (data[:10], 10)
        assert (file.seek(5, io.SEEK_CUR), file.read(3)) == (15, data[15:18])
        assert (file.seek(-4, io.SEEK_END), file.read()) == (9_996, data[-4:])
        assert file.read(1) == b""
        assert [asked.given for asked in server.asked if asked.what.startswith("GET")] == [10, 3, 4]
        with pytest.raises(CatalogueError, match="nowhere cannot be read"):
            RemoteFile(f"{server.address}/nowhere")


def test_parquet_on_a_server_is_read_as_from_a_file(tmp_path: Path) -> None:
    pq.write_table(stars(), tmp_path / "stars.parquet")
    with serving(tmp_path) as server:
        assert read(f"{server.address}/stars.parquet").equals(read(tmp_path / "stars.parquet"))
    with serving(tmp_path, ranges=False) as server, pytest.raises(CatalogueError, match="gives no parts of files; download it first"):
        read(f"{server.address}/stars.parquet")
