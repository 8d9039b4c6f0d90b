"""Parquet: tables with what each column means, its unit and its UCD written into the file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fink.columns import Column
from fink.errors import ArchiveError

_LEVEL = 3


def described(schema: pa.Schema, columns: Mapping[str, Column]) -> pa.Schema:
    """Write unit, UCD and description of the columns that are declared into a schema; the others stay as they are."""
    return pa.schema([_described(field, columns.get(field.name)) for field in schema], metadata=schema.metadata)


def _described(field: pa.Field, column: Column | None) -> pa.Field:
    if column is None:
        return field
    texts = {"unit": column.unit, "ucd": column.ucd, "description": column.about}
    return field.with_metadata({**(field.metadata or {}), **{key: text for key, text in texts.items() if text}})


def declared(schema: pa.Schema) -> dict[str, Column]:
    """Read back the declarations that `described` wrote into a schema; columns without a description are left out."""
    found = {}
    for field in schema:
        texts = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        if "description" in texts:
            found[field.name] = Column(field.name, field.type, texts.get("unit", ""), texts.get("ucd", ""), texts["description"])
    return found


def write_parquet(
    path: Path,
    table: pa.Table,
    columns: Mapping[str, Column] | None = None,
    *,
    sort_by: Sequence[str] = (),
    row_group: int = 65_536,
) -> int:
    """Write a table, whole or not at all, and give the length of the file [bytes].

    Texts and integers are written with dictionaries and floats plainly, all under zstd: the encodings that every reader knows.

    Parameters
    ----------
    columns
        Declarations whose units, UCDs and meanings go into the file.
    sort_by
        Names of columns to sort by; missing values come last.
    row_group
        Rows in a row group at most.

    Raises
    ------
    ArchiveError
        If the disk does not take it; nothing is left behind then.
    """
    if sort_by:
        table = table.sort_by([(name, "ascending") for name in sort_by])
    table = table.cast(described(table.schema, columns or {}))
    words = [field.name for field in table.schema if not pa.types.is_floating(field.type)]
    with replacing(path) as aside:
        pq.write_table(
            table,
            aside,
            compression="zstd",
            compression_level=_LEVEL,
            use_dictionary=words,
            row_group_size=row_group,
            write_page_checksum=True,
        )
        return aside.stat().st_size


def read_parquet(path: Path, names: Sequence[str] | None = None, *, check: bool = False) -> pa.Table:
    """Read a file, or only the columns of these names, with what each column means in its field's metadata.

    Parameters
    ----------
    check
        Compare its pages with their checksums.

    Raises
    ------
    ArchiveError
        If it is not there or is not Parquet.
    """
    with opened(path, check=check) as file:
        return file.read(columns=None if names is None else list(names))


@contextmanager
def opened(path: Path, *, check: bool = False) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file, to be read in parts; raises like `read_parquet`."""
    try:
        with pq.ParquetFile(path, memory_map=True, page_checksum_verification=check) as file:
            yield file
    except FileNotFoundError as error:
        raise ArchiveError(f"{path} is not there; restore it from a copy") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise ArchiveError(f"{path} cannot be read as Parquet ({error}); restore it from a copy") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write to; afterwards the file is synced, takes the place of ``path``, and the folder is synced.

    Raises
    ------
    ArchiveError
        If the disk does not take it; ``path`` is then what it was.
    """
    aside = path.with_name(path.name + ".part")
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        _sync(aside)
        aside.replace(path)
        for folder in {path.parent, *(each.parent for each in made)}:
            _sync(folder)
    except OSError as error:
        raise ArchiveError(f"cannot write {path}: {error}; free some space or repair the disk") from error
    finally:
        aside.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
