"""The tree of a checked condition: numbers, texts and flags that may be null, and tests that never are."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Literal

import numpy as np
import pyarrow as pa

from fink.conditions._writers import CanonicalWriter, T, Type, Writer

LARGEST = float(np.finfo(np.float64).max)
SMALLEST = float(np.finfo(np.float64).smallest_subnormal)
LOWEST = {"sqrt": 0.0, "ln": SMALLEST, "log10": SMALLEST}  # the argument below which a function has no value


class Kind(Enum):
    NUMBER = "a number"
    WHOLE = "a whole number"
    TEXT = "text"
    FLAG = "true or false"


def kind_of(type_: pa.DataType) -> Kind | None:
    types = pa.types
    if types.is_dictionary(type_):
        return kind_of(type_.value_type)
    if types.is_floating(type_):
        return Kind.NUMBER
    if types.is_integer(type_) and not types.is_uint64(type_):
        return Kind.WHOLE
    if types.is_string(type_) or types.is_large_string(type_) or types.is_string_view(type_):
        return Kind.TEXT
    return Kind.FLAG if types.is_boolean(type_) else None


@dataclass(frozen=True)
class Node:
    """A value (number, text, flag; may be null), or a test (a FLAG that is never null)."""

    kind: Kind

    @property
    def parts(self) -> tuple[Node, ...]:
        return ()

    @functools.cached_property
    def cost(self) -> int:
        return 1 + sum(part.cost for part in self.parts)

    @functools.cached_property
    def columns(self) -> frozenset[str]:
        return frozenset().union(*(part.columns for part in self.parts))

    def write(self, to: Writer[T]) -> T:
        raise AssertionError(f"{type(self).__name__} cannot be written")


@dataclass(frozen=True)
class Column(Node):
    name: str

    @functools.cached_property
    def columns(self) -> frozenset[str]:
        return frozenset({self.name})

    @property
    def is_id(self) -> bool:
        return self.kind is Kind.WHOLE and self.name.endswith("_id")

    def write(self, to: Writer[T]) -> T:
        types: dict[Kind, Type] = {Kind.NUMBER: "DOUBLE", Kind.WHOLE: "BIGINT", Kind.TEXT: "STRING", Kind.FLAG: "BOOLEAN"}
        column = to.column(self.name, types[self.kind])
        return to.within(column, -LARGEST, LARGEST) if self.kind is Kind.NUMBER else column


@dataclass(frozen=True)
class Constant(Node):
    value: float | str | bool

    def write(self, to: Writer[T]) -> T:
        return to.literal(self.value)


@dataclass(frozen=True)
class Unary(Node):
    """A node that makes its own of one other: ``double``, ``known``, ``missing``, ``inverse``, ``finite``, ``nonzero``."""

    what: Literal["double", "known", "missing", "inverse", "finite", "nonzero"]
    of: Node

    @property
    def parts(self) -> tuple[Node, ...]:
        # Keeping a number within its range names it twice, in the test and in the result.
        return (self.of, self.of) if self.what in ("finite", "nonzero") else (self.of,)

    def write(self, to: Writer[T]) -> T:
        inner = self.of.write(to)
        if self.what == "finite":
            return to.within(inner, -LARGEST, LARGEST)
        actions = {"double": to.double, "known": to.known, "missing": to.missing, "inverse": to.inverse, "nonzero": to.nonzero}
        return actions[self.what](inner)


@dataclass(frozen=True)
class Binary(Node):
    op: str
    left: Node
    right: Node

    @property
    def parts(self) -> tuple[Node, ...]:
        return (self.left, self.right)

    def write(self, to: Writer[T]) -> T:
        return to.binary(self.op, self.left.write(to), self.right.write(to))


@dataclass(frozen=True)
class Remainder(Node):
    of: Node
    divisor: int

    @property
    def parts(self) -> tuple[Node, ...]:
        return (self.of,)

    def write(self, to: Writer[T]) -> T:
        return to.remainder(self.of.write(to), self.divisor)


@dataclass(frozen=True)
class Call(Node):
    name: str
    args: tuple[Node, ...]

    @property
    def parts(self) -> tuple[Node, ...]:
        return self.args + self.args if self.name in LOWEST else self.args

    def write(self, to: Writer[T]) -> T:
        args = [arg.write(to) for arg in self.args]
        if self.name in LOWEST:
            args = [to.within(args[0], LOWEST[self.name], LARGEST)]
        return to.call(self.name, args)


@dataclass(frozen=True)
class Member(Node):
    of: Node
    values: tuple[float | str, ...]

    @property
    def parts(self) -> tuple[Node, ...]:
        return (self.of, *(Constant(self.of.kind, value) for value in self.values))

    def write(self, to: Writer[T]) -> T:
        return to.known(to.member(self.of.write(to), self.values))


@dataclass(frozen=True)
class Like(Node):
    of: Node
    pattern: str

    @property
    def parts(self) -> tuple[Node, ...]:
        return (self.of,)

    def write(self, to: Writer[T]) -> T:
        return to.known(to.like(self.of.write(to), self.pattern))


@dataclass(frozen=True)
class Chain(Node):
    op: str
    tests: tuple[Node, ...]

    @property
    def parts(self) -> tuple[Node, ...]:
        return self.tests

    def write(self, to: Writer[T]) -> T:
        return to.join(self.op, [test.write(to) for test in self.tests])


def finite(value: Node) -> Node:
    """Make a result that may have overflown null; columns, literals and most functions are finite already."""
    overflows = isinstance(value, Binary) or (isinstance(value, Call) and value.name in ("exp", "power"))
    return Unary(Kind.NUMBER, "finite", value) if overflows and value.kind is Kind.NUMBER else value


def chain(op: str, tests: Iterable[Node]) -> Node:
    """Join tests with AND or OR: flat, each once, in alphabetical order, so that all spellings make one tree."""
    flat = [part for test in tests for part in (test.tests if isinstance(test, Chain) and test.op == op else (test,))]
    different = {test.write(CanonicalWriter('"')): test for test in flat}
    ordered = tuple(different[text] for text in sorted(different))
    return ordered[0] if len(ordered) == 1 else Chain(Kind.FLAG, op, ordered)


def inverse(test: Node) -> Node:
    """Say NOT, or take it back."""
    return test.of if isinstance(test, Unary) and test.what == "inverse" else Unary(Kind.FLAG, "inverse", test)
