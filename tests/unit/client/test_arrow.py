"""Avro schemas become Arrow schemas, and what Fink does not send is refused."""

from __future__ import annotations

import pyarrow as pa
import pytest

from fink.client import arrow_schema
from fink.errors import SchemaError


def test_nested_types_stay_nested() -> None:
    inner = {"type": "record", "name": "inner", "fields": [{"name": "flux", "type": ["float", "null"]}]}
    fields = [
        {"name": "id", "type": "long"},
        {"name": "points", "type": ["null", {"type": "array", "items": inner}]},
        {"name": "stamp", "type": {"type": "bytes"}},
        {"name": "more", "type": {"type": "map", "values": "double"}},
    ]
    found = arrow_schema({"type": "record", "name": "alert", "fields": fields})
    assert found.field("id").type == pa.int64()
    assert found.field("points").type == pa.list_(pa.struct([("flux", pa.float32())]))
    assert found.field("stamp").type == pa.binary()
    assert found.field("more").type == pa.map_(pa.string(), pa.float64())


@pytest.mark.parametrize("kind", ["other", ["null", "int", "string"], {"type": "fixed", "name": "f", "size": 2}])
def test_other_types_are_refused(kind: object) -> None:
    with pytest.raises(SchemaError, match="is the topic one of Fink's"):
        arrow_schema({"type": "record", "name": "alert", "fields": [{"name": "a", "type": kind}]})
