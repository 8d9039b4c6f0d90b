"""Avro schemas: read once, named types resolved, compiled to the small programs that the decoder runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import orjson

from fink.codecs import kernel
from fink.errors import SchemaError

Kind = Literal["float", "int", "bool", "string", "bytes"]
Wanted = Callable[[str], bool]

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
NAMED = frozenset({"record", "error", "enum", "fixed"})
# The fewest bytes that a value can take, where it is not one.
_SMALLEST = {"null": 0, "float": 4, "double": 8}
# Straight-line reading between two checks of the record's end; what is left of the padding covers wide loads.
_UNCHECKED = kernel.PADDING - 2 * kernel.WINDOW


@dataclass(frozen=True)
class WriterSchema:
    """The schema that packets were written with.

    ``document`` is the schema with full names: a named type is spelled out where it first occurs and is a name afterwards
    (``types`` gives its definition). Two schemas are equal when their texts are.
    """

    text: bytes
    document: dict[str, Any] = field(compare=False, repr=False)
    types: dict[str, dict[str, Any]] = field(compare=False, repr=False)
    fingerprint: str = field(compare=False)

    @property
    def fullname(self) -> str:
        """Give namespace and name of the record, as in ``lsst.v9_0.alert``."""
        return str(self.document["name"])

    @property
    def name(self) -> str:
        """Give the record's name without its namespace."""
        return self.fullname.rpartition(".")[2]

    @property
    def namespace(self) -> str:
        """Give the record's namespace, empty if it has none."""
        return self.fullname.rpartition(".")[0]

    def fields(self) -> list[dict[str, Any]]:
        """Give the record's fields, in the order of their bytes."""
        return list(self.document["fields"])

    def resolve(self, kind: Any) -> Any:
        """Give what a type stands for: a primitive's name, a list of branches, or the definition of a named type, array or map."""
        if isinstance(kind, str):
            return self.types.get(kind, kind)
        if isinstance(kind, dict) and kind["type"] not in NAMED and kind["type"] not in ("array", "map"):
            return self.resolve(kind["type"])
        return kind


def parse_schema(text: bytes | str | dict[str, Any]) -> WriterSchema:
    """Read an Avro schema of a record.

    Raises
    ------
    SchemaError
        If the text is not JSON, is not a record, or uses a type that is not defined.
    """
    if isinstance(text, dict):
        text = orjson.dumps(text)
    return _parse(text.encode() if isinstance(text, str) else bytes(text))


@lru_cache(maxsize=512)
def _parse(text: bytes) -> WriterSchema:
    """Read a schema, once for each text."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise SchemaError(f"the Avro schema is not JSON: {error}; it begins with {text[:40]!r}") from error
    if not isinstance(document, dict) or document.get("type") not in ("record", "error"):
        raise SchemaError(f"the Avro schema is not of a record; it begins with {text[:40]!r}")
    types: dict[str, dict[str, Any]] = {}
    named = _with_full_names(document, "", types)
    fingerprint = hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return WriterSchema(text=text, document=named, types=types, fingerprint=fingerprint)


def _with_full_names(kind: Any, namespace: str, types: dict[str, dict[str, Any]]) -> Any:
    """Copy a type with full names; definitions of named types are collected in ``types``."""
    if isinstance(kind, list):
        return [_with_full_names(branch, namespace, types) for branch in kind]
    if isinstance(kind, str):
        return _full_reference(kind, namespace, types)
    if not isinstance(kind, dict) or "type" not in kind:
        raise SchemaError(f"the Avro schema has {kind!r} where a type is expected")
    base = kind["type"]
    if isinstance(base, str) and base in NAMED:
        return _full_definition(kind, namespace, types)
    if base == "array":
        return kind | {"items": _with_full_names(_member(kind, "items"), namespace, types)}
    if base == "map":
        return kind | {"values": _with_full_names(_member(kind, "values"), namespace, types)}
    return kind | {"type": _with_full_names(base, namespace, types)}


def _full_reference(name: str, namespace: str, types: dict[str, dict[str, Any]]) -> str:
    """Give the full name that a reference means."""
    if name in PRIMITIVES:
        return name
    candidates = [name] if "." in name or not namespace else [f"{namespace}.{name}", name]
    for candidate in candidates:
        if candidate in types:
            return candidate
    raise SchemaError(f"the Avro schema uses the type {name!r} before it is defined; known: {', '.join(types) or 'none'}")


def _full_definition(kind: dict[str, Any], namespace: str, types: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Copy the definition of a named type with its full name and enter it in ``types``."""
    name = str(_member(kind, "name"))
    if "." not in name:
        space = kind.get("namespace", namespace)
        name = f"{space}.{name}" if space else name
    definition: dict[str, Any] = {key: value for key, value in kind.items() if key != "namespace"} | {"name": name}
    if name in types:
        raise SchemaError(f"the Avro schema defines {name} twice")
    types[name] = definition
    if kind["type"] in ("record", "error"):
        space = name.rpartition(".")[0]
        definition["fields"] = [
            item | {"name": str(_member(item, "name")), "type": _with_full_names(_member(item, "type"), space, types)}
            for item in _member(kind, "fields")
        ]
    elif kind["type"] == "enum":
        _member(kind, "symbols")
    elif not isinstance(_member(kind, "size"), int):
        raise SchemaError(f"the fixed type {name} of the Avro schema has the size {kind['size']!r}, which is not an integer")
    return definition


def _member(kind: dict[str, Any], key: str) -> Any:
    """Give a part of a definition that must be there."""
    if not isinstance(kind, dict) or key not in kind:
        raise SchemaError(f"a part of the Avro schema has no {key!r}: {str(kind)[:80]}")
    return kind[key]


@dataclass(frozen=True)
class ProgramColumn:
    """A value that a program reads: ``candidate.jd`` once an alert, ``prv_candidates[].jd`` once an item of an array.

    An enumeration is an ``int``, the number of its symbol; ``symbols`` names them.
    """

    path: str
    group: int
    kind: Kind
    symbols: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """What has rows: the alerts themselves (group 0, path ``""``), or the items of the array at ``path``."""

    path: str
    parent: int


@dataclass(frozen=True, eq=False)
class Program:
    """A schema and the columns wanted of it, compiled for the decoder."""

    schema: WriterSchema
    columns: tuple[ProgramColumn, ...]
    groups: tuple[Group, ...]
    code: npt.NDArray[np.int64] = field(repr=False)
    smallest: int
    """Fewest bytes that a record can take [byte]."""

    def listing(self) -> Iterator[tuple[int, ...]]:
        """Give the operations, for people who look into a program."""
        yield from (tuple(int(word) for word in row) for row in self.code[: len(self.code) // 6 * 6].reshape(-1, 6))


def compile_program(schema: WriterSchema, wanted: Collection[str] | Wanted) -> Program:
    """Compile what is wanted of a schema; paths that it does not have are left out.

    Parameters
    ----------
    wanted
        Paths, or a function that says whether a path is wanted. Compiled programs are kept; pass the same function again to profit.

    Raises
    ------
    SchemaError
        If the compiled decoder cannot read it (recursive types; something wanted inside a map or in a union of several types).
        `fink.codecs.fallback.decode_slowly` can.
    """
    return _compile(schema, wanted if callable(wanted) else frozenset(wanted))


@lru_cache(maxsize=512)
def _compile(schema: WriterSchema, wanted: frozenset[str] | Wanted) -> Program:
    """Compile a program, once for each schema and wish."""
    return _Compiler(schema, wanted if callable(wanted) else wanted.__contains__).program()


class _Compiler:
    """Walks a schema in the order of its bytes and emits operations; neighbours of one kind become one operation."""

    def __init__(self, schema: WriterSchema, wanted: Wanted) -> None:
        self.schema = schema
        self.wanted = wanted
        self.columns: list[ProgramColumn] = []
        self.groups = [Group("", -1)]
        self.ops: list[list[int]] = []
        self.tables: list[tuple[list[int], list[int]]] = []  # operation whose word 2 is to point to the table, and the table
        self.skips: list[tuple[int, int]] = []  # fixed-width values not yet emitted: (width, branch byte or -1)
        self.mergeable = False
        self.unchecked = 0
        self.open_types: list[str] = []
        self.depth = 0

    def program(self) -> Program:
        """Compile the whole record."""
        self.fields_of(self.schema.document, "", 0)
        self.emit(kernel.END)
        words = [word for op in self.ops for word in op]
        for op, table in self.tables:
            at = 8 * len(words)
            words[6 * self.index_of(op) + 2] = at
            words.extend(table)
        code = np.array(words, dtype=np.int64)
        code.flags.writeable = False
        return Program(self.schema, tuple(self.columns), tuple(self.groups), code, self.smallest(self.schema.document))

    def index_of(self, op: list[int]) -> int:
        """Find an operation by identity."""
        return next(i for i, other in enumerate(self.ops) if other is op)

    # emission

    def emit(self, op: int, count: int = 0, a: int = 0, b: int = 0, c: int = 0) -> list[int]:
        """Append one operation, after the skips that are due before it."""
        self.flush_skips()
        self.ops.append([op, count, a, b, c, 0])
        self.mergeable = True
        return self.ops[-1]

    def label(self) -> int:
        """Give the address, in bytes, of the next operation; nothing merges across it."""
        self.flush_skips()
        self.mergeable = False
        return len(self.ops) * kernel.OP_BYTES

    def grow_run(self, op: int, a: int, b: int, c: int) -> None:
        """Add one value to the last operation if it is of the same kind (and its columns end where this one begins)."""
        last = self.ops[-1] if self.ops and self.mergeable and not self.skips else None
        reads = op in (kernel.READ_FLOAT, kernel.READ_INT, kernel.READ_BOOL)
        if last is not None and last[0] == op and last[2:4] == [a, b] and (not reads or last[4] + last[1] == c):
            last[1] += 1
        else:
            self.emit(op, 1, a, b, c)

    def budget(self, most: int) -> None:
        """Check the record's end before straight-line reading could pass the padding."""
        if self.unchecked + most > _UNCHECKED:
            self.emit(kernel.CHECK)
            self.unchecked = 0
        self.unchecked += most

    def checked(self) -> None:
        """Note that the last operation checked the record's end."""
        self.unchecked = 16

    def skip(self, width: int, branch: int) -> None:
        """Note a fixed-width value to be skipped; neighbours that are never null are one."""
        if branch < 0 and self.skips and self.skips[-1][1] < 0:
            self.skips[-1] = (self.skips[-1][0] + width, branch)
        else:
            self.skips.append((width, branch))

    def flush_skips(self) -> None:
        """Emit the fixed-width values to be skipped, as runs of nullable ones and the plain bytes between them."""
        skips, self.skips = self.skips, []
        at = 0
        while at < len(skips):
            width, branch = skips[at]
            stop = at + 1
            if branch < 0:
                self.ops.append([kernel.SKIP_BYTES, width, 0, 0, 0, 0])
            else:
                while stop < len(skips) and skips[stop][1] in (branch, -1):
                    stop += 1
                values = _nullable_values(skips[at:stop])
                self.ops.append([kernel.SKIP_RUN, len(values), 0, branch, 0, 0])
                self.tables.append((self.ops[-1], _run_table(values)))
            at = stop
            self.mergeable = False

    # the walk

    def fields_of(self, record: dict[str, Any], path: str, group: int) -> None:
        """Compile the fields of a record."""
        name = record["name"]
        if name in self.open_types:
            raise SchemaError(f"the type {name} contains itself (at {path or 'the top'}), which the compiled decoder does not read")
        self.open_types.append(name)
        for item in record["fields"]:
            self.value(item["type"], f"{path}.{item['name']}" if path else item["name"], group)
        self.open_types.pop()

    def value(self, kind: Any, path: str, group: int) -> None:
        """Compile one value of any type."""
        kind = self.schema.resolve(kind)
        branch = -1
        if isinstance(kind, list):
            nullable = _nullable(kind)
            inner = self.schema.resolve(nullable[1]) if nullable else None
            if nullable is None or (isinstance(inner, dict) and inner["type"] in ("record", "error", "map")) or inner == "null":
                self.union(kind, path, group)
                return
            branch, kind = nullable[0], inner
        if isinstance(kind, str):
            self.primitive(kind, path, group, branch)
        elif kind["type"] in ("record", "error"):
            self.fields_of(kind, path, group)
        elif kind["type"] == "enum":
            self.enum(kind, path, group, branch)
        elif kind["type"] == "fixed":
            self.fixed(kind, path, group, branch)
        elif kind["type"] == "array":
            self.array(kind["items"], path, group, branch)
        else:
            self.map(kind["values"], path)

    def column(self, path: str, group: int, kind: Kind, symbols: tuple[str, ...] = ()) -> int:
        """Enter a column; give its number."""
        self.columns.append(ProgramColumn(path, group, kind, symbols))
        return len(self.columns) - 1

    def primitive(self, kind: str, path: str, group: int, branch: int) -> None:
        """Compile a value of a primitive type, read if wanted and skipped if not."""
        if kind == "null":
            return
        wanted = self.wanted(path)
        if kind in ("string", "bytes"):
            if wanted:
                column = self.column(path, group, "string" if kind == "string" else "bytes")
                self.emit(kernel.READ_TEXT, 1, int(kind == "string"), branch, column)
            else:
                self.emit(kernel.SKIP_TEXT, 1, 0, branch)
            self.checked()
        elif kind in ("int", "long"):
            self.budget(11)
            if wanted:
                self.grow_run(kernel.READ_INT, 0, branch, self.column(path, group, "int"))
            else:
                self.grow_run(kernel.SKIP_VARINTS, 0, branch, 0)
        else:
            width = {"boolean": 1, "float": 4, "double": 8}[kind]
            self.budget(width + 1)
            if not wanted:
                self.skip(width, branch)
            elif kind == "boolean":
                self.grow_run(kernel.READ_BOOL, 0, branch, self.column(path, group, "bool"))
            else:
                self.grow_run(kernel.READ_FLOAT, width, branch, self.column(path, group, "float"))

    def enum(self, kind: dict[str, Any], path: str, group: int, branch: int) -> None:
        """Compile an enumeration."""
        self.budget(11)
        if self.wanted(path):
            symbols = tuple(kind["symbols"])
            self.emit(kernel.READ_ENUM, 1, len(symbols), branch, self.column(path, group, "int", symbols))
        else:
            self.grow_run(kernel.SKIP_VARINTS, 0, branch, 0)

    def fixed(self, kind: dict[str, Any], path: str, group: int, branch: int) -> None:
        """Compile a value of a fixed number of bytes."""
        width = int(kind["size"])
        self.budget(11)
        if self.wanted(path):
            self.emit(kernel.READ_FIXED, 1, width, branch, self.column(path, group, "bytes"))
        else:
            self.skip(width, branch)
        self.unchecked += width
        self.budget(0)

    def array(self, items: Any, path: str, group: int, branch: int) -> None:
        """Compile an array; it is a group of rows if anything in it is wanted."""
        inside = f"{path}[]"
        child = -1
        if self.any_wanted(items, inside):
            child = len(self.groups)
            self.groups.append(Group(path, group))
        self.loop(child, branch, max(1, self.smallest(items)), lambda: self.value(items, inside, child))

    def map(self, values: Any, path: str) -> None:
        """Compile a map, which is an array of keys and values; it can only be skipped."""
        if self.any_wanted(values, f"{path}[]"):
            raise SchemaError(f"{path} is a map, of which the compiled decoder reads nothing")

        def entry() -> None:
            self.emit(kernel.SKIP_TEXT, 1, 0, -1)
            self.checked()
            self.value(values, f"{path}[]", -1)

        self.loop(-1, -1, 1 + self.smallest(values), entry)

    def loop(self, child: int, branch: int, smallest: int, body: Callable[[], None]) -> None:
        """Emit what repeats for every item."""
        self.depth += 1
        if self.depth > kernel.DEEPEST:
            raise SchemaError(f"arrays lie more than {kernel.DEEPEST} deep in one another, which the compiled decoder does not read")
        begin = self.emit(kernel.ARRAY, child, smallest, branch)
        self.label()
        self.checked()
        body()
        self.emit(kernel.ARRAY_END, 0, smallest)
        begin[4] = self.label()
        self.checked()
        self.depth -= 1

    def union(self, branches: list[Any], path: str, group: int) -> None:
        """Compile a union by a table of jumps; columns are null unless their branch is taken."""
        values = [branch for branch in branches if self.schema.resolve(branch) != "null"]
        if len(values) > 1 and any(self.any_wanted(value, path) for value in values):
            raise SchemaError(f"{path} is a union of {len(values)} types, of which the compiled decoder reads nothing")
        first_column, first_group = len(self.columns), len(self.groups)
        op = self.emit(kernel.UNION, len(branches))
        targets, jumps = [], []
        most = 0
        for branch in branches:
            targets.append(self.label())
            self.checked()
            self.value(branch, path, group)
            jumps.append(self.emit(kernel.JUMP))
            most = max(most, self.unchecked)
        past = self.label()
        for jump in jumps:
            jump[2] = past
        op[3:5] = [first_column, len(self.columns)]
        self.tables.append((op, [first_group, len(self.groups), group, *targets]))
        self.unchecked = most

    def any_wanted(self, kind: Any, path: str) -> bool:
        """Say whether a type holds anything that is wanted."""
        kind = self.schema.resolve(kind)
        if isinstance(kind, list):
            return any(self.any_wanted(branch, path) for branch in kind)
        if isinstance(kind, str):
            return kind != "null" and self.wanted(path)
        if kind["type"] in ("record", "error"):
            if kind["name"] in self.open_types:
                return False
            self.open_types.append(kind["name"])
            found = any(self.any_wanted(item["type"], f"{path}.{item['name']}") for item in kind["fields"])
            self.open_types.pop()
            return found
        if kind["type"] in ("array", "map"):
            return self.any_wanted(kind.get("items", kind.get("values")), f"{path}[]")
        return self.wanted(path)

    def smallest(self, kind: Any) -> int:
        """Give the fewest bytes that a value of a type can take."""
        kind = self.schema.resolve(kind)
        if isinstance(kind, list):
            return 1
        if isinstance(kind, str):
            return _SMALLEST.get(kind, 1)
        if kind["type"] in ("record", "error"):
            if kind["name"] in self.open_types:
                return 0
            self.open_types.append(kind["name"])
            total = sum(self.smallest(item["type"]) for item in kind["fields"])
            self.open_types.pop()
            return total
        return int(kind["size"]) if kind["type"] == "fixed" else 1


def _nullable_values(skips: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Give for each nullable value of a run how many bytes it takes with its branch, and how many plain bytes follow it."""
    values: list[tuple[int, int]] = []
    for width, branch in skips:
        if branch < 0:
            values[-1] = (values[-1][0], values[-1][1] + width)
        else:
            values.append((width + 1, 0))
    return values


def _run_table(values: list[tuple[int, int]]) -> list[int]:
    """Make the table of a run: for each value what the decoder needs to go on from there (`kernel.RUN_WORDS` words)."""
    table: list[int] = []
    for first in range(len(values)):
        branches, reach, stop = 0, 0, first
        while stop < len(values) and reach < kernel.WINDOW:
            branches |= 1 << reach
            reach += sum(values[stop])
            stop += 1
        last = next(i for i in range(first, len(values)) if values[i][1] or i == len(values) - 1 or i == first + 0xFFFE)
        signed = branches - (1 << 64) if branches >> 63 else branches
        table += [signed, reach, stop - first, last - first + 1 + (values[last][1] << 16)]
    return table


def _nullable(branches: list[Any]) -> tuple[int, Any] | None:
    """Give the byte that announces a value and the value's type, if a union is of null and one type."""
    if len(branches) == 2 and "null" in branches:
        position = 1 if branches[0] == "null" else 0
        return 2 * position, branches[position]
    return None
