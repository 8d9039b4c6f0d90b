"""Catalogues are imported: read from a distribution, sorted by place on the sky in bounded memory, and put in the place of the old at once.

What is read goes to a file with the columns of the declaration; DuckDB sorts it, on disk where it is larger than the memory that it
may use; and what comes out in order is written to the files that `fink.catalogs.store` maps.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot
from numpy.typing import NDArray
from sqlglot import exp

from fink.catalogs.declaration import Catalogue, Expression, alternatives
from fink.catalogs.kernel import DEEPEST
from fink.catalogs.match import Tier, check_sources, table_order, tier_numbers
from fink.catalogs.reading import QUIET, ROWS_AT_ONCE, open_part, parts
from fink.catalogs.store import CURRENT, RECORD, ROWS, CatalogueRecord, InstalledCatalogue
from fink.catalogs.writing import MOTION, PLACE, SHAPE, BlockWriter, NumberWriter, TableWriter, TextWriter, WordWriter, Writer
from fink.errors import CatalogueError
from fink.sky import healpix

MEGABYTES = 1024
"""Memory that sorting may use, unless it is told otherwise [MB]."""

KEPT = 2
"""Versions that stay: the current one and the one before, which a run may still have open."""

_MOST_WORDS = 2**15 - 1
"""Different texts of a column up to which it is kept as codes."""

_SEXAGESIMAL = """CREATE MACRO sexagesimal(x) AS (CASE WHEN trim(x) LIKE '-%' THEN -1.0 ELSE 1.0 END) *
    list_sum(list_transform(regexp_split_to_array(trim(x), '[:\\s]+'), lambda part, i: abs(TRY_CAST(part AS DOUBLE)) / 60.0 ** (i - 1)))"""

_HIDDEN = frozenset({"_tier", "_cell", "file_row_number"})


def import_catalogue(
    catalogue: Catalogue,
    sources: Sequence[str],
    folder: Path,
    *,
    names: Sequence[str] = (),
    megabytes: int = MEGABYTES,
    progress: Callable[[int], None] = lambda rows: None,
) -> CatalogueRecord:
    """Import a catalogue and make it the current version.

    Parameters
    ----------
    sources
        Files, folders or addresses of one distribution; see `fink.catalogs.reading`.
    folder
        Of all catalogues.
    names
        What the record calls the sources, where that is not what they are.
    megabytes
        Memory that sorting may use [MB].
    progress
        Told the number of rows read so far.

    Raises
    ------
    CatalogueError
        If a source cannot be read, holds no usable row, or lacks the columns that give the position.
    """
    home = folder / catalogue.name
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix=".import-") as name:
        work = Path(name)
        staged = _stage(catalogue, [part for source in sources for part in parts(source)], work, progress)
        if not staged.rows:
            raise CatalogueError(f"{', '.join(sources)} holds no row for catalogue {catalogue.name} ({staged.skipped} left out)")
        record = _write_version(catalogue, staged, tuple(names or sources), work / "version", megabytes)
        _put_in_place(home, work / "version", record)
    return record


@dataclass
class _Staged:
    """The rows of a distribution with the declaration's columns, unsorted."""

    path: Path
    rows: int = 0
    skipped: int = 0
    missing: set[str] = field(default_factory=set)


def _stage(catalogue: Catalogue, files: Sequence[str], work: Path, progress: Callable[[int], None]) -> _Staged:
    """Read all files into one with the columns that are wanted, each row with its place in the order."""
    staged = _Staged(work / "staged.parquet")
    written: pq.ParquetWriter | None = None
    known: set[str] = set()
    for file in files:
        with open_part(file, columns_read(catalogue)) as reader, duckdb.connect() as connection:
            connection.execute(f"{QUIET}; {_SEXAGESIMAL}")
            query, missing = projection(catalogue, reader.schema.names, file)
            known |= {one.name for one in catalogue.fields} - missing
            for batch in reader:
                connection.register("distribution", pa.table(batch))
                table, skipped = _placed(catalogue, connection.sql(query).to_arrow_table(), batch.num_rows)
                written = written or pq.ParquetWriter(staged.path, table.schema, compression="zstd", compression_level=1)
                written.write_table(table)
                staged.rows, staged.skipped = staged.rows + table.num_rows, staged.skipped + skipped
                progress(staged.rows + staged.skipped)
    if written is not None:
        written.close()
    staged.missing = {one.name for one in catalogue.fields} - known
    return staged


def _special(catalogue: Catalogue) -> dict[str, Expression]:
    """Give the expressions of position, motion and shape under the names that they have while importing."""
    given = {"_pm_ra": catalogue.pm_ra, "_pm_dec": catalogue.pm_dec, "_radius": catalogue.own_radius}
    given |= {"_axis_ratio": catalogue.axis_ratio, "_position_angle": catalogue.position_angle}
    return {name: source for name, source in given.items() if source}


def columns_read(catalogue: Catalogue) -> set[str]:
    """Give the names of all columns that a declaration's expressions read, in lower case."""
    sources = [catalogue.ra, catalogue.dec, catalogue.where, *_special(catalogue).values(), *(one.source for one in catalogue.fields)]
    return {name for source in sources for one in alternatives(source) for name in names_in(one)}


def names_in(expression: str) -> set[str]:
    """Give the columns that an SQL expression names, in lower case."""
    tree = sqlglot.parse_one(expression, dialect="duckdb")
    return {column.name.lower() for column in tree.find_all(exp.Column)}


def _chosen(source: Expression, available: set[str]) -> str | None:
    return next((one for one in alternatives(source) if names_in(one) <= available), None)


def projection(catalogue: Catalogue, available: Sequence[str], file: str) -> tuple[str, set[str]]:
    """Write the query that makes the declaration's columns of a distribution's; give it with the fields that it has none for.

    Raises
    ------
    CatalogueError
        If the position, or the condition on rows, cannot be made.
    """
    there = {name.lower() for name in available}
    parts_of = ["NULL::DOUBLE AS _ra", "NULL::DOUBLE AS _dec"] if catalogue.object_field else []
    for name, source in () if catalogue.object_field else (("_ra", catalogue.ra), ("_dec", catalogue.dec)):
        expression = _chosen(source, there)
        if expression is None:
            raise CatalogueError(
                f"{file} has none of the columns {', '.join(alternatives(source))} that give catalogue {catalogue.name} its {name[1:]}"
            )
        hours = 15.0 if name == "_ra" else 1.0
        text = f"trim(CAST({expression} AS VARCHAR), ' \"')"
        parts_of.append(f"coalesce(TRY_CAST({text} AS DOUBLE), sexagesimal({text}) * {hours}) AS {name}")
    for name, source in _special(catalogue).items():
        parts_of.append(f"TRY_CAST({_chosen(source, there) or 'NULL'} AS DOUBLE) AS {name}")
    missing = set()
    for one in catalogue.fields:
        expression = _chosen(one.source, there)
        missing |= {one.name} if expression is None else set()
        parts_of.append(f'{_typed(expression or "NULL", one.type)} AS "{catalogue.column(one).name}"')
    condition = _chosen(catalogue.where, there) if catalogue.where else "TRUE"
    if condition is None:
        raise CatalogueError(f"{file} lacks the columns of the condition on rows of catalogue {catalogue.name}: {catalogue.where}")
    return f"SELECT {', '.join(parts_of)} FROM distribution WHERE {condition}", missing


def _typed(expression: str, kind: pa.DataType) -> str:
    """Cast an expression to a column's type; text without the blanks and quotation marks around it."""
    if pa.types.is_string(kind):
        return f"NULLIF(trim(CAST({expression} AS VARCHAR), ' \"'), '')"
    names = {"bool": "BOOLEAN", "int8": "TINYINT", "int16": "SMALLINT", "int32": "INTEGER", "int64": "BIGINT", "float": "FLOAT"}
    return f"TRY_CAST({expression} AS {names.get(str(kind), 'DOUBLE')})"


def _placed(catalogue: Catalogue, table: pa.Table, read: int) -> tuple[pa.Table, int]:
    """Leave out rows without a position or name, and say of the others where they belong in the order; give also how many were left out."""
    if catalogue.object_field:
        # the order is that of the file
        cells = np.where(table[f"{catalogue.name}_{catalogue.object_field}"].is_null().to_numpy(), -1, 0)
    else:
        ra, dec = (table[name].to_numpy() for name in PLACE)
        cells = healpix(DEEPEST, ra, dec)
    good = np.flatnonzero(cells >= 0)
    table, cells = table.take(pa.array(good)), cells[good]
    shape, motion = _shape(catalogue, table), _floats(table, MOTION, (0.0, 0.0))
    check_sources(cells, shape)
    for names, block in ((SHAPE, shape), (MOTION, motion)):
        table = table.drop_columns([name for name in names if name in table.column_names])
        for name, values in zip(names, block.T, strict=True) if len(block) else ():
            table = table.append_column(name, pa.array(np.ascontiguousarray(values)))
    order = {"_cell": cells, "_tier": tier_numbers(len(cells), shape, motion)}
    for name, values in order.items():
        table = table.append_column(name, pa.array(values))
    return table, read - len(cells)


def _floats(table: pa.Table, names: Sequence[str], default: Sequence[float]) -> NDArray[np.float32]:
    """Join columns that a declaration may not have, (n, k); (0, k) where it has none of them."""
    if not set(names) & set(table.column_names):
        return np.zeros((0, len(names)), np.float32)
    filled = np.empty((table.num_rows, len(names)), np.float32)
    for i, (name, value) in enumerate(zip(names, default, strict=True)):
        filled[:, i] = table[name].to_numpy() if name in table.column_names else value
        filled[:, i] = np.where(np.isfinite(filled[:, i]), filled[:, i], value)
    return filled


def _shape(catalogue: Catalogue, table: pa.Table) -> NDArray[np.float32]:
    """Give each source's ellipse; nowhere smaller than the catalogue's radius, which stands for what is not known."""
    shape = _floats(table, SHAPE, (catalogue.radius, 1.0, 0.0))
    if len(shape):
        shape[:, 1] = np.where((shape[:, 1] > 0) & (shape[:, 1] <= 1), shape[:, 1], 1.0)
        round_up = shape[:, 0] < catalogue.radius
        shape[round_up] = (catalogue.radius, 1.0, 0.0)
    return shape


def _write_version(catalogue: Catalogue, staged: _Staged, names: tuple[str, ...], folder: Path, megabytes: int) -> CatalogueRecord:
    """Sort what was read and write the files of a version."""
    folder.mkdir()
    types = {catalogue.column(one).name: str(one.type) for one in catalogue.fields if one.name not in staged.missing}
    spill = folder.parent / "spill"
    with duckdb.connect(config={"memory_limit": f"{megabytes}MB", "temp_directory": str(spill), "threads": 2}) as connection:
        connection.execute(QUIET)
        connection.execute(f"CREATE VIEW staged AS SELECT * FROM read_parquet('{staged.path}', file_row_number = true)")
        texts = {name: _words(connection, name, staged.rows) for name, kind in types.items() if kind == "string"}
        words = {name: found for name, found in texts.items() if found is not None}
        tiers = _tiers(connection)
        sources = connection.sql("SELECT * FROM staged ORDER BY _tier, _cell, file_row_number").to_arrow_reader(ROWS_AT_ONCE)
        _write_sources(folder, sources, staged.rows, types, words, tiers)
    now = datetime.datetime.now(datetime.UTC)
    record = CatalogueRecord(
        name=catalogue.name,
        version="",
        imported=now.isoformat(timespec="seconds"),
        sources=names,
        rows=staged.rows,
        skipped=staged.skipped,
        radius=catalogue.radius,
        epoch=catalogue.epoch,
        elliptical=bool(catalogue.axis_ratio),
        # without tiers nothing is found at any place
        tiers=() if catalogue.object_field else tiers,
        types=types,
        words=words,
        missing=tuple(sorted(staged.missing)),
        licence=catalogue.licence,
        citation=catalogue.citation,
        checksums=checksums(folder),
    )
    return replace(record, version=_fingerprint(record))


def _fingerprint(record: CatalogueRecord) -> str:
    """Digest of all that decides answers: the files, and how they are matched."""
    said = [repr((record.radius, record.epoch, record.elliptical, record.tiers, sorted(record.words.items())))]
    said += [f"{name} {digest}" for name, digest in sorted(record.checksums.items()) if name != ROWS]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:12]


def _words(connection: duckdb.DuckDBPyConnection, name: str, rows: int) -> tuple[str, ...] | None:
    """Give the different texts of a column in order; None where they are too many to be worth codes."""
    most = min(_MOST_WORDS, rows // 4)
    found = connection.execute(f'SELECT DISTINCT "{name}" FROM staged WHERE "{name}" IS NOT NULL LIMIT {most + 1}').fetchall()
    return tuple(sorted(word for (word,) in found)) if len(found) <= most else None


def _tiers(connection: duckdb.DuckDBPyConnection) -> tuple[Tier, ...]:
    names = {name for name, *_ in connection.execute("DESCRIBE staged").fetchall()}
    reach = "max(_radius)" if "_radius" in names else "0.0"
    motion = "max(sqrt(CAST(_pm_ra AS DOUBLE) ** 2 + CAST(_pm_dec AS DOUBLE) ** 2))" if "_pm_ra" in names else "0.0"
    tiers, start = [], 0
    for count, largest, fastest in connection.execute(
        f"SELECT count(*), {reach}, {motion} FROM staged GROUP BY _tier ORDER BY _tier"
    ).fetchall():
        order = table_order(count)
        tiers.append(Tier(order, start, float(largest), float(np.nextafter(fastest, np.inf)) if fastest else 0.0))
        start += (12 << (2 * order)) + 1
    return tuple(tiers)


def _write_sources(
    folder: Path,
    sources: pa.RecordBatchReader,
    n: int,
    types: Mapping[str, str],
    words: Mapping[str, tuple[str, ...]],
    tiers: Sequence[Tier],
) -> None:
    """Write sorted sources to the files of a version, a part at a time."""
    there = set(sources.schema.names)
    writers: list[Writer] = [TableWriter(folder / "offsets.npy", tiers), BlockWriter(folder / "positions.npy", PLACE, True, n, np.float64)]
    writers += [BlockWriter(folder / "motion.npy", MOTION, "_pm_ra" in there, n, np.float32)]
    writers += [BlockWriter(folder / "shape.npy", SHAPE, "_radius" in there, n, np.float32)]
    for name, kind in types.items():
        if name in words:
            writers.append(WordWriter(folder, name, n, words[name]))
        else:
            writers.append(TextWriter(folder, name, n) if kind == "string" else NumberWriter(folder, name, n, kind))
    shown = [one for one in sources.schema if one.name not in _HIDDEN]
    schema = pa.schema([one.with_name(one.name.removeprefix("_")) for one in shown])
    at = 0
    with pq.ParquetWriter(folder / ROWS, schema, compression="zstd") as parquet:
        for batch in sources:
            for writer in writers:
                writer.write(at, batch)
            parquet.write_batch(pa.record_batch([batch[one.name] for one in shown], schema=schema))
            at += batch.num_rows
    for writer in writers:
        writer.close()


def checksums(folder: Path) -> dict[str, str]:
    """Give the SHA-256 of each file of a version but its record, by name."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.name != RECORD:
            with path.open("rb") as file:
                found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _put_in_place(home: Path, version: Path, record: CatalogueRecord) -> None:
    """Make a version the current one: whole on disk first, then named in one step. The same data again only make it younger."""
    target = home / record.version
    if (target / RECORD).exists():
        known = CatalogueRecord.from_bytes((target / RECORD).read_bytes())
        record = replace(known, imported=record.imported, sources=record.sources)
    (version / RECORD).write_bytes(record.to_bytes())
    for path in (*version.iterdir(), version):
        _sync(path)
    if target.exists():
        (version / RECORD).replace(target / RECORD)
    else:
        version.rename(target)
    current = home / f".{CURRENT}"
    current.write_text(record.version + "\n")
    _sync(current)
    current.replace(home / CURRENT)
    _sync(home)
    _remove_old(home, record.version)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_old(home: Path, current: str) -> None:
    """Remove versions but the current one and those last made before it."""
    versions = [path.parent for path in home.glob(f"*/{RECORD}") if path.parent.name != current]
    versions.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in versions[KEPT - 1 :]:
        shutil.rmtree(path)


def verify(current: Path) -> list[str]:
    """Say what is wrong with an installed catalogue, given the path of the file that names its version; nothing is hoped for.

    Raises
    ------
    CatalogueError
        If it cannot be opened at all.
    """
    opened = InstalledCatalogue.open(current)
    found = checksums(opened.folder)
    wrong = [f"{name} is not there" for name in opened.record.checksums.keys() - found.keys()]
    wrong += [f"{name} is not what was imported" for name, digest in found.items() if opened.record.checksums.get(name) != digest]
    if len(opened.index) != len(opened):
        wrong.append(f"it holds {len(opened.index)} positions of {len(opened)} sources")
    return sorted(wrong)
