"""Hypothesis strategies: Avro schemas, and records that fit them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from fink.codecs.encode import Encodable
from fink.codecs.schemas import WriterSchema, parse_schema

LEAVES = ("boolean", "int", "long", "float", "double", "string", "bytes")


@st.composite
def schemas(draw: st.DrawFn, *, writable: bool = False) -> WriterSchema:
    """Draw the schema of a record; what the decoder only skips (maps, wide unions) lies in fields named ``skip…``."""
    names = iter(range(10_000))
    made: list[dict[str, Any]] = []

    def named(kind: str) -> dict[str, Any]:
        return {"type": kind, "name": f"t{next(names)}"}

    def leaf() -> Any:
        kind = draw(st.sampled_from((*LEAVES, "enum", "fixed", "logical")))
        if kind == "enum":
            return named("enum") | {"symbols": ["A", "B", "C"][: draw(st.integers(1, 3))]}
        if kind == "fixed":
            return named("fixed") | {"size": draw(st.sampled_from((1, 3, 16, 300)))}
        return {"type": "long", "logicalType": "timestamp-micros"} if kind == "logical" else kind

    def kind_of(depth: int) -> Any:
        choice = draw(st.integers(0, 9))
        kind: Any
        if choice < 6 or depth == 0:
            kind = leaf()
        elif choice < 8:
            kind = record(depth - 1)
        elif choice == 8 and made:
            kind = draw(st.sampled_from(made))["name"]
        else:
            kind = {"type": "array", "items": kind_of(depth - 1)}
        return draw(st.sampled_from((kind, kind, ["null", kind], [kind, "null"])))

    def skipped(depth: int) -> Any:
        if draw(st.booleans()):
            return {"type": "map", "values": kind_of(depth)}
        return draw(st.permutations(["null", "string", "double", {"type": "array", "items": kind_of(depth)}]))

    def record(depth: int) -> dict[str, Any]:
        made_here = named("record")
        fields: list[dict[str, Any]] = []
        for i in range(draw(st.integers(1, 6))):
            if not writable and draw(st.integers(0, 9)) == 0:
                fields.append({"name": f"skip{i}", "type": skipped(max(0, depth - 1))})
            else:
                fields.append({"name": f"f{i}", "type": kind_of(depth)})
        made_here["fields"] = fields
        made.append(made_here)
        return made_here

    return parse_schema(json.dumps(record(3)))


def readable(path: str) -> bool:
    """Want what the compiled decoder reads of a schema drawn above."""
    return "skip" not in path


_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32),
    "double": st.floats(),
    "string": st.text(max_size=20),
    "bytes": st.binary(max_size=20),
}


def values(schema: WriterSchema, kind: Any) -> st.SearchStrategy[Any]:
    """Give a strategy of the values of a type."""
    kind = schema.resolve(kind)
    if isinstance(kind, list):
        return st.one_of([values(schema, branch) for branch in kind])
    if isinstance(kind, str):
        return _VALUES[kind]
    if kind["type"] == "record":
        return st.fixed_dictionaries({item["name"]: values(schema, item["type"]) for item in kind["fields"]})
    if kind["type"] == "array":
        return st.lists(values(schema, kind["items"]), max_size=3)
    if kind["type"] == "map":
        return st.dictionaries(st.text(max_size=3), values(schema, kind["values"]), max_size=3)
    if kind["type"] == "enum":
        return st.sampled_from(kind["symbols"])
    return st.binary(min_size=kind["size"], max_size=kind["size"])


def encodable(schema: WriterSchema, records: list[Any]) -> Encodable:
    """Turn Python records into columns, by the plainest way."""
    columns: dict[str, Any] = {}
    offsets: dict[str, Any] = {}
    valid: dict[str, Any] = {}

    def enter(kind: Any, path: str, rows: list[Any]) -> None:
        kind = schema.resolve(kind)
        if isinstance(kind, list):
            valid[path] = np.array([row is not None for row in rows], bool)
            kind = schema.resolve(next(branch for branch in kind if branch != "null"))
        name = kind if isinstance(kind, str) else kind["type"]
        if name == "record":
            for item in kind["fields"]:
                below = f"{path}.{item['name']}" if path else item["name"]
                enter(item["type"], below, [None if row is None else row[item["name"]] for row in rows])
        elif name == "array":
            offsets[path] = np.concatenate([[0], np.cumsum([len(row or []) for row in rows], dtype=np.int64)])
            enter(kind["items"], f"{path}[]", [item for row in rows for item in (row or [])])
        elif name in ("string", "bytes", "fixed"):
            columns[path] = pa.array(rows, pa.string() if name == "string" else pa.binary())
        elif name == "enum":
            columns[path] = np.array([0 if row is None else kind["symbols"].index(row) for row in rows], np.int64)
        else:
            dtype = np.float64 if name in ("float", "double") else np.int64
            columns[path] = np.array([0 if row is None else row for row in rows], dtype)

    enter(schema.document, "", records)
    return Encodable(len(records), columns, offsets, valid)
