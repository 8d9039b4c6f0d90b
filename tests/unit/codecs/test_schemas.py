"""Schemas are read with full names, told apart by their text, and compiled to programs that stay inside the padding."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fink.codecs import kernel
from fink.codecs.schemas import compile_program, parse_schema
from fink.errors import SchemaError

CUTOUT: dict[str, Any] = {"type": "record", "name": "cutout", "fields": [{"name": "stampData", "type": "bytes"}]}
ALERT: dict[str, Any] = {
    "type": "record",
    "name": "alert",
    "namespace": "ztf",
    "fields": [
        {"name": "candid", "type": "long"},
        {"name": "prv_candidates", "type": ["null", {"type": "array", "items": {"type": "record", "name": "prv", "fields": [
            {"name": "jd", "type": "double"}, {"name": "magpsf", "type": ["null", "float"]}]}}]},
        {"name": "cutoutScience", "type": ["null", CUTOUT]},
        {"name": "cutoutTemplate", "type": ["null", "ztf.cutout"]},
        {"name": "cutoutDifference", "type": ["cutout", "null"]},
    ],
}  # fmt: skip


def record(*kinds: Any) -> dict[str, Any]:
    return {"type": "record", "name": "r", "fields": [{"name": f"f{i}", "type": kind} for i, kind in enumerate(kinds)]}


def test_names_are_full_and_references_resolve() -> None:
    schema = parse_schema(ALERT)
    assert (schema.name, schema.namespace, schema.fullname) == ("alert", "ztf", "ztf.alert")
    assert set(schema.types) == {"ztf.alert", "ztf.prv", "ztf.cutout"}
    assert schema.resolve(schema.fields()[4]["type"][0])["fields"][0]["name"] == "stampData"


def test_a_dotted_name_is_a_full_name_and_gives_its_namespace() -> None:
    inner = {"type": "record", "name": "lsst.v10_0.diaSource", "fields": [{"name": "x", "type": "int"}]}
    schema = parse_schema({"type": "record", "name": "lsst.v10_0.alert", "fields": [
        {"name": "diaSource", "type": inner}, {"name": "prv", "type": {"type": "array", "items": "diaSource"}}]})  # fmt: skip
    assert schema.namespace == "lsst.v10_0"
    assert [column.path for column in compile_program(schema, {"prv[].x"}).columns] == ["prv[].x"]


def test_the_fingerprint_ignores_layout_and_the_text_is_kept() -> None:
    loose, tight = json.dumps(ALERT, indent=2).encode(), json.dumps(ALERT, separators=(",", ":"), sort_keys=True)
    assert parse_schema(loose).fingerprint == parse_schema(tight).fingerprint
    assert parse_schema(loose).text == loose
    assert parse_schema(loose) != parse_schema(tight)
    assert parse_schema(loose) is parse_schema(bytes(loose))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"{", "not JSON"),
        (b'"long"', "not of a record"),
        (record("colour"), "colour"),
        (record({"type": "array"}), "items"),
        (record({"type": "fixed", "name": "h", "size": "4"}), "'4'"),
        (record({"type": "enum", "name": "e"}), "symbols"),
        (record({"type": "enum", "name": "r", "symbols": ["A"]}), "twice"),
        ({"type": "record", "name": "r"}, "fields"),
        (record(7), "7"),
    ],
)
def test_a_wrong_schema_is_refused_by_name(text: Any, said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        parse_schema(text)


def test_a_program_lists_columns_and_groups() -> None:
    wanted = {"candid", "prv_candidates[].magpsf", "cutoutScience.stampData", "no_such"}
    program = compile_program(parse_schema(ALERT), wanted)
    assert [(column.path, column.group, column.kind) for column in program.columns] == [
        ("candid", 0, "int"),
        ("prv_candidates[].magpsf", 1, "float"),
        ("cutoutScience.stampData", 0, "bytes"),
    ]
    assert [(group.path, group.parent) for group in program.groups] == [("", -1), ("prv_candidates", 0)]
    assert compile_program(parse_schema(ALERT), wanted) is program


def test_unwanted_arrays_are_no_groups() -> None:
    assert len(compile_program(parse_schema(ALERT), {"candid"}).groups) == 1


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ({"type": "map", "values": "int"}, "map"),
        (["null", "int", "string"], "union of 2"),
        (["null", "r"], "contains itself"),
    ],
)
def test_what_the_kernel_does_not_read_is_refused_only_if_wanted(kind: Any, said: str) -> None:
    schema = parse_schema(record("int", kind))
    with pytest.raises(SchemaError, match=said):
        compile_program(schema, lambda path: True)
    if "itself" not in said:
        assert [column.path for column in compile_program(schema, {"f0"}).columns] == ["f0"]


def test_neighbours_of_one_kind_become_one_operation() -> None:
    program = compile_program(parse_schema(record(*["double"] * 50, *[["null", "float"]] * 50)), lambda path: True)
    assert [row[:2] for row in program.listing()] == [(kernel.READ_FLOAT, 50), (kernel.READ_FLOAT, 50), (kernel.END, 0)]


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("kind", ["double", ["null", "double"], ["double", "null"], "long", {"type": "fixed", "name": "h", "size": 200}])
def test_long_straight_runs_are_checked_within_the_padding(kind: Any, wanted: bool) -> None:
    kinds = [kind] + [kind if isinstance(kind, (str, list)) else "h"] * 1999
    program = compile_program(parse_schema(record(*kinds)), (lambda path: True) if wanted else ())
    width = 200 if isinstance(kind, dict) else 9
    checks = sum(row[0] == kernel.CHECK for row in program.listing())
    assert checks >= 2000 * width // kernel.PADDING - 1
