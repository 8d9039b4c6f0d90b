"""Field tables: what fields the packets of a survey have in each version of its schema, in compact text files.

A writer's schema is generated from them, so packets that carry none are decoded without a network, and the survey's own columns
are declared by them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

from fink.errors import SchemaError

Version = tuple[int, int]

_BANDS = "ugrizy"
_PRIMITIVES = frozenset({"boolean", "int", "long", "float", "double", "bytes", "string"})


@dataclass(frozen=True)
class Field:
    """One field of a record, at one place and of one type.

    Parameters
    ----------
    name
        The survey's name.
    type
        Avro's type without its null: a primitive, ``micros``, or the name of a record.
    nullable
        Whether it may be null.
    array
        Whether it is an array of its type.
    first, last
        Versions of the schema from which and up to which it is so, both included.
    unit
        Of the column made of it, VOUnit.
    about
        Meaning of that column; empty where none is made of it.
    renamed
        Later name of the same quantity; empty where there is none.
    ucd
        IVOA Unified Content Descriptor of that column.
    """

    name: str
    type: str
    nullable: bool
    array: bool
    first: Version
    last: Version
    unit: str = ""
    about: str = ""
    renamed: str = ""
    ucd: str = ""

    def in_version(self, version: Version) -> bool:
        """Say whether packets of a version have it."""
        return self.first <= version <= self.last


@dataclass(frozen=True)
class FieldTable:
    """The records of a survey's packets, by name, with their fields in the order of their bytes; the first record is the packet."""

    versions: tuple[Version, ...]
    records: dict[str, tuple[Field, ...]]

    def fields(self, record: str, version: Version) -> tuple[Field, ...]:
        """Give the fields that a record has in a version."""
        return tuple(field for field in self.records[record] if field.in_version(version))

    def schema(self, version: Version, namespace: str) -> bytes:
        """Write the Avro schema of a version as minified JSON.

        Raises
        ------
        SchemaError
            If the table does not have that version.
        """
        if version not in self.versions:
            known = ", ".join(version_text(v) for v in self.versions)
            raise SchemaError(f"no field table of schema {version_text(version)} of {namespace.split('.')[0]}; there are {known}")
        written: set[str] = set()
        return orjson.dumps(self._record(next(iter(self.records)), version, namespace, written))

    def _record(self, name: str, version: Version, namespace: str, written: set[str]) -> Any:
        """Spell a record out where it is first met, and name it afterwards."""
        if name in written:
            return f"{namespace}.{name}"
        written.add(name)
        fields = []
        for field in self.fields(name, version):
            kind = self._type(field, version, namespace, written)
            fields.append({"name": field.name, "type": kind} | ({"default": None} if field.nullable else {}))
        return {"type": "record", "name": name, "namespace": namespace, "fields": fields}

    def _type(self, field: Field, version: Version, namespace: str, written: set[str]) -> Any:
        kind: Any = field.type
        if kind == "micros":
            kind = {"type": "long", "logicalType": "timestamp-micros"}
        elif kind not in _PRIMITIVES:
            kind = self._record(kind, version, namespace, written)
        if field.array:
            kind = {"type": "array", "items": kind}
        return ["null", kind] if field.nullable else kind


def version_text(version: Version) -> str:
    """Write a version as ``9.0``."""
    return f"{version[0]}.{version[1]}"


@cache
def read_table(name: str) -> FieldTable:
    """Read the field table of a survey."""
    versions: tuple[Version, ...] = ()
    records: dict[str, tuple[Field, ...]] = {}
    for title, lines in _sections(files(__package__).joinpath(f"{name}.txt").read_text("utf-8")):
        if title == "versions":
            versions = tuple(_version(word) for word in lines)
        else:
            records[title] = tuple(_field(line, versions[-1]) for line in _for_each_band(lines))
    return FieldTable(versions, records)


def _sections(text: str) -> Iterator[tuple[str, list[str]]]:
    """Give the versions, then each record's name and lines."""
    title = ""
    lines: list[str] = []
    for line in (raw.strip() for raw in text.splitlines()):
        if line.startswith("versions "):
            yield "versions", line.split()[1:]
        elif line.startswith("["):
            if title:
                yield title, lines
            title, lines = line.strip("[]"), []
        elif line and not line.startswith("#"):
            lines.append(line)
    yield title, lines


def _for_each_band(lines: list[str]) -> Iterator[str]:
    """Repeat each run of lines that begin with a star for every band; a lone dash parts two runs."""
    run: list[str] = []
    for line in [*lines, "-"]:
        if line.startswith("*"):
            run.append(line)
            continue
        yield from (starred.replace("*", band) for band in _BANDS for starred in run)
        run = []
        if line != "-":
            yield line


def _field(line: str, newest: Version) -> Field:
    name, kind, versions, unit, about, ucd = ([cell.strip() for cell in line.split("|")] + [""] * 3)[:6]
    first, dash, last = versions.partition("-")
    end = _version(last) if last else newest if dash else _version(first)
    renamed = about[1:].strip() if about.startswith("=") else ""
    plain = kind.rstrip("?")
    return Field(
        name=name,
        type=plain.removesuffix("[]"),
        nullable=kind.endswith("?"),
        array=plain.endswith("[]"),
        first=_version(first),
        last=end,
        unit=unit,
        about="" if renamed else about,
        renamed=renamed,
        ucd=ucd,
    )


def _version(text: str) -> Version:
    major, _, minor = text.partition(".")
    return int(major), int(minor)
