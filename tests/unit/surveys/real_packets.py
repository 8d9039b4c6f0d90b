"""Real packets, read twice: by Fink's codecs into `Packets`, and by fastavro record by record."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa

from fink.codecs.containers import read_containers, read_header
from fink.codecs.schemas import WriterSchema
from fink.errors import PacketError, SchemaError
from fink.surveys.mapping import MappedSurvey
from fink.tables import PADDING, AlertBatch, Packets

Record = dict[str, Any]


def containers_in(folder: Path) -> Iterator[bytes]:
    """Give the bytes of each Avro container in the files and tarballs of a folder."""
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".avro":
            yield path.read_bytes()
        elif ".tar." in path.name:
            with tarfile.open(path) as tar:
                for member in tar:
                    file = tar.extractfile(member) if member.name.endswith(".avro") else None
                    if file is not None:
                        yield file.read()


def schema_of(data: bytes) -> WriterSchema | None:
    """Give the schema of a container; None where it has no readable header."""
    try:
        return read_header(data).schema
    except (PacketError, SchemaError):
        return None


def packets_of(files: list[bytes]) -> Packets:
    """Read containers with Fink's codecs; all records in one `Packets`, in the order of the files."""
    buffer = np.frombuffer(b"".join(files) + bytes(PADDING), np.uint8)
    ends = np.cumsum([len(data) for data in files])
    parts, _ = read_containers(buffer, ends - [len(data) for data in files], ends)
    bodies = [
        (file, int(start), part.buffer[start:end].tobytes(), number)
        for number, part in enumerate(parts)
        for file, start, end in zip(part.file, part.starts, part.ends, strict=True)
    ]
    bodies.sort(key=lambda body: body[:2])
    joined = Packets.from_bodies([body[2] for body in bodies], b"")
    numbers = np.array([body[3] for body in bodies], np.int32)
    return Packets(joined.buffer, joined.starts, joined.ends, numbers, tuple(part.schema.text for part in parts))


def read_twice(files: list[bytes], survey: MappedSurvey) -> tuple[AlertBatch, list[Record], list[str]]:
    """Decode containers of a survey; give the batch, fastavro's records, and the version of each record's schema."""
    records, versions, kept = [], [], []
    for data in files:
        try:
            reader = fastavro.reader(io.BytesIO(data))
            schema = reader.metadata["avro.schema"].encode()
            if not survey.recognises(schema):
                continue
            found = list(reader)
        except Exception:  # a foreign or damaged file: fastavro raises many kinds; the codecs' own tests cover these
            continue
        assert reader.writer_schema is not None
        records += found
        versions += [str(dict(reader.writer_schema).get("version", "unknown"))] * len(found)
        kept.append(data)
    batch, rows, refusals = survey.decode(packets_of(kept))
    assert refusals == ()
    assert rows.tolist() == list(range(len(records)))
    return batch, records, versions


def differences(table: pa.Table, expected: list[dict[str, Any]], names: list[str]) -> list[str]:
    """Name the values of a table that are not the expected ones, floats within the rounding of their type."""
    wrong = []
    for name in names:
        rounding = 2e-7 if table.schema.field(name).type == pa.float32() else 1e-14
        for row, (got, right) in enumerate(zip(table[name].to_pylist(), (item[name] for item in expected), strict=True)):
            if not same(got, right, rounding):
                wrong.append(f"{name} of alert {row} is {got}, not {right}")
    return wrong


def same(got: Any, right: Any, rounding: float) -> bool:
    """Say whether two values agree; None is null, and NaN as well."""
    right = None if isinstance(right, float) and right != right else right
    if got is None or right is None or isinstance(right, str | bool):
        return bool(got == right)
    return bool(abs(got - right) <= rounding * max(abs(got), abs(right)))


def blank(kind: Any, types: dict[str, Any]) -> Any:
    """Make a value of an Avro type: null where it may be, else zero, empty, or a record of such values."""
    if isinstance(kind, list):
        return None
    if isinstance(kind, dict) and kind["type"] == "record":
        types[f"{kind['namespace']}.{kind['name']}"] = kind
        return {field["name"]: blank(field["type"], types) for field in kind["fields"]}
    simple: dict[str, Any] = {"string": "", "bytes": b"", "float": 0.0, "double": 0.0, "boolean": False}
    return simple.get(kind, 0) if isinstance(kind, str) else []


def write(schema: Any, records: list[Record]) -> list[bytes]:
    """Write records with fastavro, without a header."""
    parsed = fastavro.parse_schema(schema)
    bodies = []
    for record in records:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, parsed, record)
        bodies.append(out.getvalue())
    return bodies
