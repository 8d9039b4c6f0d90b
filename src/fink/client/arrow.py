"""Avro schemas of alerts as Arrow schemas, nested as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from fink.errors import SchemaError

_SIMPLE: Mapping[str, pa.DataType] = {
    "null": pa.null(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "bytes": pa.binary(),
    "string": pa.string(),
}


def arrow_schema(schema: Mapping[str, Any]) -> pa.Schema:
    """Give the Arrow schema of records.

    Parameters
    ----------
    schema
        An Avro record, as its JSON is read.

    Raises
    ------
    SchemaError
        If it has a type that Fink does not send.
    """
    return pa.schema([pa.field(item["name"], _type(item["type"])) for item in schema["fields"]])


def _type(kind: Any) -> pa.DataType:
    if isinstance(kind, list):
        branches = [branch for branch in kind if branch != "null"]
        if len(branches) == 1:
            return _type(branches[0])
    elif isinstance(kind, str) and kind in _SIMPLE:
        return _SIMPLE[kind]
    elif isinstance(kind, Mapping):
        match kind["type"]:
            case "record":
                return pa.struct([pa.field(item["name"], _type(item["type"])) for item in kind["fields"]])
            case "array":
                return pa.list_(_type(kind["items"]))
            case "map":
                return pa.map_(pa.string(), _type(kind["values"]))
            case simple:
                return _type(simple)
    raise SchemaError(f"an alert's schema has {kind!r}, which is not a type that Fink sends; is the topic one of Fink's?")
