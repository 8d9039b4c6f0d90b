"""The condition language: one line of SQL that says which alerts are wanted, for the stream, the archive and Spark alike.

``real AND age < 5 AND mag < 20 AND NOT (parallax_snr > 5)``

**What can be written.** Columns, named cuts, numbers, texts in single quotes, ``TRUE`` and ``FALSE``; ``= != < <= > >=``,
``BETWEEN``, ``IN``, ``LIKE``, ``IS [NOT] NULL``; ``AND``, ``OR``, ``NOT``; ``+ - * /``; the functions of ``FUNCTIONS``;
and ``%``, of a whole-number column by a whole number.

**Logic is two-valued.** A comparison with something missing is false, ``!=`` too, and ``NOT`` inverts whatever it is given:
``x != 5`` leaves out the alerts without ``x``; ``NOT (x = 5)`` and ``x NOT IN (5)`` keep them.

**Numbers are float64**, and what is not finite is missing: NaN, a division by zero, the logarithm of zero, an overflow.
``least``, ``greatest`` and ``coalesce`` skip what is missing; everything else that takes a missing number gives one.
Whole numbers against whole numbers are exact to 64 bits, so identifiers of 19 digits can be compared; identifiers (``…_id``)
take no arithmetic but ``%``, which is never negative. ``log10`` is right to one unit in the last place.

The text is parsed by sqlglot, and read by a white list into a small typed tree; Polars and SQL are written from that tree only.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
import polars as pl
import pyarrow as pa
import sqlglot
from sqlglot import errors as sqlglot_errors
from sqlglot import expressions as exp
from sqlglot import parser as sqlglot_parser

from fink.errors import ConditionError, did_you_mean

MAX_LENGTH = 4_000  # characters of one text
MAX_DEPTH = 20  # of parentheses, and of what is inside what
MAX_COST = 2_000  # nodes that are computed, cuts expanded
MAX_PATTERN = 200  # characters of a LIKE pattern

FUNCTIONS: Mapping[str, tuple[int, int]] = {
    "abs": (1, 1),
    "ceil": (1, 1),
    "coalesce": (1, 20),
    "exp": (1, 1),
    "floor": (1, 1),
    "greatest": (1, 20),
    "least": (1, 20),
    "ln": (1, 1),
    "log10": (1, 1),
    "mod": (2, 2),
    "power": (2, 2),
    "sqrt": (1, 1),
}
"""The functions of a condition, each with the least and the largest number of its arguments."""

_AGGREGATES = frozenset({"avg", "count", "first", "last", "max", "mean", "median", "min", "stddev", "sum", "variance"})
_LARGEST = float(np.finfo(np.float64).max)
_SMALLEST = float(np.finfo(np.float64).smallest_subnormal)
_LOG10_E = 0.4342944819032518
_LOWEST = {"sqrt": 0.0, "ln": _SMALLEST, "log10": _SMALLEST}  # the argument below which a function has no value
_NUMBER = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")

Type = Literal["DOUBLE", "BIGINT", "STRING", "BOOLEAN"]
T = TypeVar("T")


class _Kind(Enum):
    NUMBER = "a number"
    WHOLE = "a whole number"
    TEXT = "text"
    FLAG = "true or false"


# ---------------------------------------------------------------------------------------------------------------- writers


class _Writer(Protocol[T]):
    """What Polars, SQL and the normal form each say in their own words; the meaning is in the tree, once."""

    def column(self, name: str, type_: Type) -> T: ...
    def literal(self, value: float | str | bool) -> T: ...
    def double(self, a: T) -> T: ...
    def binary(self, op: str, a: T, b: T) -> T: ...
    def call(self, name: str, args: list[T]) -> T: ...
    def remainder(self, a: T, divisor: int) -> T: ...
    def within(self, a: T, low: float, high: float) -> T: ...
    def nonzero(self, a: T) -> T: ...
    def known(self, a: T) -> T: ...
    def inverse(self, a: T) -> T: ...
    def join(self, op: str, parts: list[T]) -> T: ...
    def missing(self, a: T) -> T: ...
    def member(self, a: T, values: Sequence[float | str]) -> T: ...
    def like(self, a: T, pattern: str) -> T: ...


_POLARS_TYPES: Mapping[Type, type[pl.DataType]] = {"DOUBLE": pl.Float64, "BIGINT": pl.Int64, "STRING": pl.String, "BOOLEAN": pl.Boolean}
_POLARS_OPERATORS: Mapping[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_POLARS_FUNCTIONS: Mapping[str, Callable[..., pl.Expr]] = {
    "abs": pl.Expr.abs,
    "ceil": pl.Expr.ceil,
    "coalesce": pl.coalesce,
    "exp": pl.Expr.exp,
    "floor": pl.Expr.floor,
    "greatest": pl.max_horizontal,
    "least": pl.min_horizontal,
    "ln": pl.Expr.log,
    "log10": lambda a: a.log() * _LOG10_E,  # the same two steps everywhere: engines differ in the last bit of their own log10
    # Polars multiplies where the exponent is a constant, which differs from pow() in the last bit: this one is not constant.
    "power": lambda a, b: a.pow(b + a * 0.0),
    "sqrt": pl.Expr.sqrt,
}


class _PolarsWriter:
    def column(self, name: str, type_: Type) -> pl.Expr:
        return pl.col(name).cast(_POLARS_TYPES[type_])

    def literal(self, value: float | str | bool) -> pl.Expr:
        return pl.lit(value, dtype=pl.Int64 if type(value) is int else None)

    def double(self, a: pl.Expr) -> pl.Expr:
        return a.cast(pl.Float64)

    def binary(self, op: str, a: pl.Expr, b: pl.Expr) -> pl.Expr:
        return _POLARS_OPERATORS[op](a, b)

    def call(self, name: str, args: list[pl.Expr]) -> pl.Expr:
        return _POLARS_FUNCTIONS[name](*args)

    def remainder(self, a: pl.Expr, divisor: int) -> pl.Expr:
        return a % divisor

    def within(self, a: pl.Expr, low: float, high: float) -> pl.Expr:
        return pl.when(a.is_between(low, high)).then(a)

    def nonzero(self, a: pl.Expr) -> pl.Expr:
        return pl.when(a != 0.0).then(a)

    def known(self, a: pl.Expr) -> pl.Expr:
        return a.fill_null(False)

    def inverse(self, a: pl.Expr) -> pl.Expr:
        return ~a

    def join(self, op: str, parts: list[pl.Expr]) -> pl.Expr:
        return functools.reduce(operator.and_ if op == "AND" else operator.or_, parts)

    def missing(self, a: pl.Expr) -> pl.Expr:
        return a.is_null()

    def member(self, a: pl.Expr, values: Sequence[float | str]) -> pl.Expr:
        return a.is_in(list(values))

    def like(self, a: pl.Expr, pattern: str) -> pl.Expr:
        wild = {"%": ".*", "_": "."}
        regex = "".join(wild.get(character) or re.escape(character) for character in pattern)
        return a.str.contains(f"(?s)^{regex}$")


@dataclass(frozen=True)
class _SqlWriter:
    quote: str

    def column(self, name: str, type_: Type) -> str:
        return f"CAST({self._name(name)} AS {type_})"

    def _name(self, name: str) -> str:
        return self.quote + name.replace(self.quote, self.quote * 2) + self.quote

    def literal(self, value: float | str | bool) -> str:
        if isinstance(value, str):
            return "'" + value.replace("'", "''") + "'"
        if isinstance(value, bool):
            return "TRUE" if value else "FALSE"
        # Without an exponent, 20.1 would be a DECIMAL; repr() is the shortest text that gives the same float64 back.
        text = repr(value) if isinstance(value, int) or "e" in repr(value) else f"{value!r}e0"
        return f"({text})" if value < 0 else text

    def double(self, a: str) -> str:
        return f"CAST({a} AS DOUBLE)"

    def binary(self, op: str, a: str, b: str) -> str:
        return f"({a} {op} {b})"

    def call(self, name: str, args: list[str]) -> str:
        return f"(ln({args[0]}) * {_LOG10_E}e0)" if name == "log10" else f"{name}({', '.join(args)})"

    def remainder(self, a: str, divisor: int) -> str:
        # SQL gives the remainder the sign of the dividend; Polars that of the divisor, as here.
        return f"((({a} % {divisor}) + {divisor}) % {divisor})"

    def within(self, a: str, low: float, high: float) -> str:
        return f"CASE WHEN {a} BETWEEN {self.literal(low)} AND {self.literal(high)} THEN {a} END"

    def nonzero(self, a: str) -> str:
        return f"NULLIF({a}, 0e0)"

    def known(self, a: str) -> str:
        return f"COALESCE({a}, FALSE)"

    def inverse(self, a: str) -> str:
        return f"(NOT {a})"

    def join(self, op: str, parts: list[str]) -> str:
        return "(" + f" {op} ".join(parts) + ")"

    def missing(self, a: str) -> str:
        return f"({a} IS NULL)"

    def member(self, a: str, values: Sequence[float | str]) -> str:
        return f"({a} IN ({', '.join(self.literal(value) for value in values)}))"

    def like(self, a: str, pattern: str) -> str:
        return f"({a} LIKE {self.literal(pattern)})"


class _CanonicalWriter(_SqlWriter):
    """The condition in its own language: cuts expanded, everything in parentheses, AND and OR in alphabetical order."""

    def column(self, name: str, type_: Type) -> str:
        return self._name(name)

    def literal(self, value: float | str | bool) -> str:
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            value = int(value)
        return super().literal(value)

    def double(self, a: str) -> str:
        return a

    def call(self, name: str, args: list[str]) -> str:
        return f"{name}({', '.join(args)})"

    def remainder(self, a: str, divisor: int) -> str:
        return f"({a} % {divisor})"

    def join(self, op: str, parts: list[str]) -> str:
        different = sorted(set(parts))
        return super().join(op, different) if len(different) > 1 else different[0]

    def within(self, a: str, low: float, high: float) -> str:
        return a

    def nonzero(self, a: str) -> str:
        return a

    def known(self, a: str) -> str:
        return a


# ------------------------------------------------------------------------------------------------------------------- tree


@dataclass(frozen=True)
class _Node:
    """A value (number, text, flag; may be null), or a test (a FLAG that is never null)."""

    kind: _Kind

    @property
    def parts(self) -> tuple[_Node, ...]:
        return ()

    @functools.cached_property
    def cost(self) -> int:
        return 1 + sum(part.cost for part in self.parts)

    @functools.cached_property
    def columns(self) -> frozenset[str]:
        return frozenset().union(*(part.columns for part in self.parts))

    def write(self, to: _Writer[T]) -> T:
        raise AssertionError(f"{type(self).__name__} cannot be written")


@dataclass(frozen=True)
class _Column(_Node):
    name: str

    @functools.cached_property
    def columns(self) -> frozenset[str]:
        return frozenset({self.name})

    @property
    def is_id(self) -> bool:
        return self.kind is _Kind.WHOLE and self.name.endswith("_id")

    def write(self, to: _Writer[T]) -> T:
        types: dict[_Kind, Type] = {_Kind.NUMBER: "DOUBLE", _Kind.WHOLE: "BIGINT", _Kind.TEXT: "STRING", _Kind.FLAG: "BOOLEAN"}
        column = to.column(self.name, types[self.kind])
        return to.within(column, -_LARGEST, _LARGEST) if self.kind is _Kind.NUMBER else column


@dataclass(frozen=True)
class _Constant(_Node):
    value: float | str | bool

    def write(self, to: _Writer[T]) -> T:
        return to.literal(self.value)


@dataclass(frozen=True)
class _Unary(_Node):
    """A node that makes its own of one other: ``double``, ``known``, ``missing``, ``inverse``, ``finite``, ``nonzero``."""

    what: Literal["double", "known", "missing", "inverse", "finite", "nonzero"]
    of: _Node

    @property
    def parts(self) -> tuple[_Node, ...]:
        # Keeping a number within its range names it twice, in the test and in the result.
        return (self.of, self.of) if self.what in ("finite", "nonzero") else (self.of,)

    def write(self, to: _Writer[T]) -> T:
        inner = self.of.write(to)
        if self.what == "finite":
            return to.within(inner, -_LARGEST, _LARGEST)
        actions = {"double": to.double, "known": to.known, "missing": to.missing, "inverse": to.inverse, "nonzero": to.nonzero}
        return actions[self.what](inner)


@dataclass(frozen=True)
class _Binary(_Node):
    op: str
    left: _Node
    right: _Node

    @property
    def parts(self) -> tuple[_Node, ...]:
        return (self.left, self.right)

    def write(self, to: _Writer[T]) -> T:
        return to.binary(self.op, self.left.write(to), self.right.write(to))


@dataclass(frozen=True)
class _Remainder(_Node):
    of: _Node
    divisor: int

    @property
    def parts(self) -> tuple[_Node, ...]:
        return (self.of,)

    def write(self, to: _Writer[T]) -> T:
        return to.remainder(self.of.write(to), self.divisor)


@dataclass(frozen=True)
class _Call(_Node):
    name: str
    args: tuple[_Node, ...]

    @property
    def parts(self) -> tuple[_Node, ...]:
        return self.args + self.args if self.name in _LOWEST else self.args

    def write(self, to: _Writer[T]) -> T:
        args = [arg.write(to) for arg in self.args]
        if self.name in _LOWEST:
            args = [to.within(args[0], _LOWEST[self.name], _LARGEST)]
        return to.call(self.name, args)


@dataclass(frozen=True)
class _Member(_Node):
    of: _Node
    values: tuple[float | str, ...]

    @property
    def parts(self) -> tuple[_Node, ...]:
        return (self.of, *(_Constant(self.of.kind, value) for value in self.values))

    def write(self, to: _Writer[T]) -> T:
        return to.known(to.member(self.of.write(to), self.values))


@dataclass(frozen=True)
class _Like(_Node):
    of: _Node
    pattern: str

    @property
    def parts(self) -> tuple[_Node, ...]:
        return (self.of,)

    def write(self, to: _Writer[T]) -> T:
        return to.known(to.like(self.of.write(to), self.pattern))


@dataclass(frozen=True)
class _Chain(_Node):
    op: str
    tests: tuple[_Node, ...]

    @property
    def parts(self) -> tuple[_Node, ...]:
        return self.tests

    def write(self, to: _Writer[T]) -> T:
        return to.join(self.op, [test.write(to) for test in self.tests])


# ---------------------------------------------------------------------------------------------------------------- reading


class _Parser(sqlglot_parser.Parser):  # type: ignore[misc]
    """SQL in which no function is special: each arrives as a name and its arguments, for the white list to judge."""

    FUNCTIONS: Mapping[str, object] = {}
    FUNCTION_PARSERS: Mapping[str, object] = {}
    NO_PAREN_FUNCTIONS: Mapping[object, object] = {}


_COMPARISONS = {exp.EQ: "=", exp.NEQ: "!=", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}
_ARITHMETIC = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/"}
_REFUSALS: Sequence[tuple[type, str]] = (
    (exp.Query, "a condition looks at one alert: SELECT is not allowed"),
    (exp.Exists, "a condition looks at one alert: SELECT is not allowed"),
    (exp.Window, "a condition looks at one alert: window functions are not allowed"),
    (exp.Case, "CASE is not allowed: write AND, OR and NOT, or make a module"),
    (exp.If, "IF is not allowed: write AND, OR and NOT, or make a module"),
    (exp.Cast, "casts are not allowed"),
    (exp.Escape, "ESCAPE is not allowed"),
    (exp.Alias, "two things follow one another without AND or OR"),
)


def _tokens(text: str) -> list[sqlglot.tokens.Token]:
    """Cut the text into tokens, refusing what is too long, too deep, or hides something from the reader."""
    if len(text) > MAX_LENGTH:
        raise ConditionError(f"the condition has {len(text)} characters; {MAX_LENGTH} is the limit")
    for position, character in enumerate(text):
        if character == "\\" or (ord(character) < 32 and character not in "\t\r\n") or 0xD800 <= ord(character) < 0xE000:
            raise ConditionError(f"the character {character!r}, number {position + 1} of the condition, is not allowed")
    try:
        tokens: list[sqlglot.tokens.Token] = sqlglot.tokenize(text)
    except sqlglot_errors.TokenError as error:
        raise ConditionError("the condition has a quote or a comment that is not closed") from error
    if not tokens:
        raise ConditionError("the condition is empty; TRUE takes every alert")
    if any(token.comments for token in tokens):
        raise ConditionError("the condition has a comment (-- or /*): leave it out; put spaces between two minus signs")
    depth = 0
    for token in tokens:
        depth += {sqlglot.TokenType.L_PAREN: 1, sqlglot.TokenType.R_PAREN: -1}.get(token.token_type, 0)
        if depth > MAX_DEPTH:
            raise ConditionError(f"more than {MAX_DEPTH} parentheses are open at character {token.start + 1}")
    return tokens


def _parse(text: str) -> exp.Expression:
    tokens = _tokens(text)
    try:
        trees = _Parser(error_level=sqlglot.ErrorLevel.IMMEDIATE).parse(tokens, text)
    except sqlglot_errors.ParseError as error:
        where = error.errors[0] if error.errors else {}
        near = where.get("highlight") or text[-20:]
        raise ConditionError(f"the condition cannot be read near {near!r}, in {text[:200]!r}") from error
    except RecursionError as error:
        raise ConditionError(f"the condition is more than {MAX_DEPTH} levels deep") from error
    if len(trees) != 1 or trees[0] is None:
        raise ConditionError(f"one condition is expected, without semicolons, and not {text[:200]!r}")
    return trees[0]


@dataclass(frozen=True)
class _Reader:
    """Reads the parsed text of one condition, or of one cut within it, into a tree of our own; what is not listed here is refused."""

    text: str
    kinds: Mapping[str, _Kind | None]
    cuts: Mapping[str, str]
    trail: tuple[str, ...] = ()

    def error(self, message: str, at: exp.Expression) -> ConditionError:
        starts = [node.meta["start"] for node in at.walk() if "start" in node.meta]
        position = f" (at character {min(starts) + 1})" if starts else ""
        inside = f"in the cut {' > '.join(self.trail)}: " if self.trail else ""
        return ConditionError(f"{inside}{message}{position}")

    def refusal(self, node: exp.Expression) -> ConditionError:
        for refused, why in _REFUSALS:
            if isinstance(node, refused):
                return self.error(why, node)
        return self.error(f"{type(node).__name__} is not part of the condition language", node)

    def only(self, node: exp.Expression, *names: str) -> list[exp.Expression]:
        """Give the named parts of a node, refusing a node that has others."""
        parts = [node.args.get(name) for name in names]
        if any(value for name, value in node.args.items() if name not in (*names, "typed", "safe")) or not all(
            isinstance(part, exp.Expression) for part in parts
        ):
            raise self.refusal(node)
        return parts

    # tests: true or false, never null

    def test(self, node: exp.Expression, depth: int = 0) -> _Node:
        """Read what has to be true or false."""
        self._bound(node, depth)
        if isinstance(node, exp.Paren):
            return self.test(self.only(node, "this")[0], depth + 1)
        if isinstance(node, exp.And | exp.Or):
            return self._chain(node, depth)
        if isinstance(node, exp.Not):
            inner = self.test(self.only(node, "this")[0], depth + 1)
            return inner.of if isinstance(inner, _Unary) and inner.what == "inverse" else _Unary(_Kind.FLAG, "inverse", inner)
        if type(node) in _COMPARISONS:
            left, right = (self.value(side, depth + 1) for side in self.only(node, "this", "expression"))
            return self._compare(_COMPARISONS[type(node)], left, right, node)
        reader = {exp.Between: self._between, exp.In: self._in, exp.Like: self._like, exp.Is: self._is}.get(type(node))
        if reader:
            return reader(node, depth)
        if isinstance(node, exp.Column) and self._name(node) in self.cuts:
            return self._cut(self._name(node), node)
        value = self.value(node, depth + 1)
        if value.kind is not _Kind.FLAG:
            raise self.error(f"{self._called(value)} is {value.kind.value}, and not a condition: compare it with something", node)
        return value if isinstance(value, _Constant) else _Unary(_Kind.FLAG, "known", value)

    def _bound(self, node: exp.Expression, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise self.error(f"the condition is more than {MAX_DEPTH} levels deep", node)

    def _chain(self, node: exp.Expression, depth: int) -> _Node:
        """Read a AND b AND c as one list, however long, without a level for each."""
        operator_type, op = type(node), "AND" if isinstance(node, exp.And) else "OR"
        left, waiting, tests = node, [], list[_Node]()
        while type(left) is operator_type:
            left, right = self.only(left, "this", "expression")
            waiting.append(right)
        for part in (left, *reversed(waiting)):
            test = self.test(part, depth + 1)
            tests.extend(test.tests if isinstance(test, _Chain) and test.op == op else (test,))
            if sum(test.cost for test in tests) > MAX_COST:
                raise self.error(f"the condition computes more than {MAX_COST} things", part)
        return _Chain(_Kind.FLAG, op, tuple(tests))

    def _compare(self, op: str, left: _Node, right: _Node, node: exp.Expression) -> _Node:
        left, right = self._alike(left, right, node, equality=op in ("=", "!="))
        if left.kind is _Kind.FLAG and op not in ("=", "!="):
            raise self.error("true and false have no order: compare them with = or !=", node)
        return _Unary(_Kind.FLAG, "known", _Binary(_Kind.FLAG, op, _finite(left), _finite(right)))

    def _alike(self, left: _Node, right: _Node, node: exp.Expression, equality: bool) -> tuple[_Node, _Node]:
        """Give both sides in one kind: as they are where they agree, else both as float64."""
        if left.kind is right.kind:
            return left, right
        numbers = (_Kind.NUMBER, _Kind.WHOLE)
        if left.kind in numbers and right.kind in numbers:
            for whole, other in ((left, right), (right, left)):
                if equality and isinstance(whole, _Column) and whole.kind is _Kind.WHOLE and isinstance(other, _Constant):
                    raise self.error(f"{whole.name} is a whole number of 64 bits and is never {other.value}", node)
            return self._double(left, node), self._double(right, node)
        column, other = (right, left) if isinstance(left, _Constant) else (left, right)
        remedies = {_Kind.TEXT: "compare it with a quoted text", _Kind.FLAG: "write it, or NOT before it, without a comparison"}
        remedy = remedies.get(column.kind, "compare it with a number")
        raise self.error(f"{self._called(column)} is {column.kind.value}: {remedy}, not {self._called(other)}", node)

    def _between(self, node: exp.Expression, depth: int) -> _Node:
        value, low, high = (self.value(part, depth + 1) for part in self.only(node, "this", "low", "high"))
        return _Chain(_Kind.FLAG, "AND", (self._compare(">=", value, low, node), self._compare("<=", value, high, node)))

    def _in(self, node: exp.Expression, depth: int) -> _Node:
        members = node.args.get("expressions") or []
        if not members or any(value for name, value in node.args.items() if name not in ("this", "expressions")):
            raise self.error("IN takes a list of numbers or texts in parentheses, as in band IN ('g', 'r')", node)
        value = self.value(node.this, depth + 1)
        constants = [self.value(member, depth + 1) for member in members]
        if value.kind is _Kind.FLAG or not all(isinstance(constant, _Constant) for constant in constants):
            raise self.error("IN compares a number or a text with a list of literals", node)
        pairs = [self._alike(value, constant, node, equality=True) for constant in constants]
        kinds = {pair[0].kind for pair in pairs}
        if len(kinds) > 1:  # a whole number that is not a column, against whole and other numbers
            pairs = [(self._double(value, node), self._double(constant, node)) for constant in constants]
        values = tuple(pair[1].value for pair in pairs if isinstance(pair[1], _Constant))
        return _Member(_Kind.FLAG, _finite(pairs[0][0]), values)

    def _like(self, node: exp.Expression, depth: int) -> _Node:
        value, pattern = (self.value(part, depth + 1) for part in self.only(node, "this", "expression"))
        if value.kind is not _Kind.TEXT or not isinstance(pattern, _Constant) or not isinstance(pattern.value, str):
            raise self.error(f"LIKE compares a text with a quoted pattern; {self._called(value)} is {value.kind.value}", node)
        if len(pattern.value) > MAX_PATTERN or len(re.findall("%+", pattern.value)) > 4:
            raise self.error(f"a LIKE pattern has at most {MAX_PATTERN} characters and four %", node)
        return _Like(_Kind.FLAG, value, pattern.value)

    def _is(self, node: exp.Expression, depth: int) -> _Node:
        asked, null = self.only(node, "this", "expression")
        if not isinstance(null, exp.Null):
            raise self.error("IS is followed by NULL or NOT NULL; to test a flag, write it alone", node)
        value = self.value(asked, depth + 1)
        return _Unary(_Kind.FLAG, "missing", _finite(value))

    def _cut(self, name: str, node: exp.Expression) -> _Node:
        if name in self.kinds:
            raise self.error(f"{name} is both a column and a cut: rename the cut", node)
        if name in self.trail:
            raise self.error(f"the cut {name} is defined by itself: {' > '.join((*self.trail, name))}", node)
        return self._checked(_Reader(self.cuts[name], self.kinds, self.cuts, (*self.trail, name)).whole(), node)

    def whole(self) -> _Node:
        """Read all of the text."""
        try:
            parsed = _parse(self.text)
        except ConditionError as error:
            raise ConditionError(f"in the cut {' > '.join(self.trail)}: {error}" if self.trail else str(error)) from error
        return self._checked(self.test(parsed), parsed)

    def _checked(self, node: _Node, at: exp.Expression) -> _Node:
        if node.cost > MAX_COST:
            raise self.error(f"the condition computes more than {MAX_COST} things", at)
        return node

    # values: numbers, texts and flags, any of them may be null

    def value(self, node: exp.Expression, depth: int) -> _Node:
        """Read a number, a text or a flag."""
        self._bound(node, depth)
        if type(node) in _ARITHMETIC:
            return self._checked(self._arithmetic(node, depth), node)
        if isinstance(node, exp.Neg):
            return self._negative(node, depth)
        if isinstance(node, exp.Paren):
            return self.value(self.only(node, "this")[0], depth + 1)
        if isinstance(node, exp.Column):
            return self._column(node)
        if isinstance(node, exp.Literal):
            return self._literal(node, 1)
        if isinstance(node, exp.Boolean):
            return _Constant(_Kind.FLAG, bool(node.this))
        if isinstance(node, exp.Mod):
            value, divisor = (self.value(part, depth + 1) for part in self.only(node, "this", "expression"))
            return self._remainder(value, divisor, node)
        if isinstance(node, exp.Anonymous):
            return self._checked(self._call(node, depth), node)
        if isinstance(node, exp.Null):
            raise self.error("nothing equals NULL: write IS NULL or IS NOT NULL", node)
        if type(node) in _COMPARISONS or isinstance(node, exp.And | exp.Or | exp.Not | exp.Between | exp.In | exp.Like | exp.Is):
            raise self.error("a condition stands where a value is expected: join conditions with AND and OR", node)
        raise self.refusal(node)

    def _name(self, node: exp.Expression) -> str:
        (identifier,) = self.only(node, "this")
        if not isinstance(identifier, exp.Identifier):
            raise self.refusal(identifier)
        return str(identifier.this)

    def _column(self, node: exp.Expression) -> _Node:
        name = self._name(node)
        if name in self.cuts:
            raise self.error(f"{name} is a cut, and not a value: join it with AND and OR", node)
        if name not in self.kinds:
            quotes = "; a text is written in single quotes" if node.this.args.get("quoted") else ""
            raise self.error(f"no column {name}{did_you_mean(name, [*self.kinds, *self.cuts])}{quotes}", node)
        kind = self.kinds[name]
        if kind is None:
            raise self.error(f"{name} is neither a number, a text nor a flag, and cannot be in a condition", node)
        return _Column(kind, name)

    def _literal(self, node: exp.Expression, sign: int) -> _Constant:
        if node.args.get("is_string"):
            return _Constant(_Kind.TEXT, str(node.this))
        text = str(node.this)
        if not _NUMBER.fullmatch(text):
            raise self.error(f"{text[:40]} is not a number", node)
        number = sign * (int(text) if text.isdigit() else float(text))
        if isinstance(number, float) and number.is_integer() and abs(number) < 2**53:
            number = int(number)
        if isinstance(number, int) and -(2**63) <= number < 2**63:
            return _Constant(_Kind.WHOLE, number)
        if abs(number) > _LARGEST:
            raise self.error(f"{text[:40]} is too large for a float64", node)
        return _Constant(_Kind.NUMBER, float(number))

    def _double(self, value: _Node, node: exp.Expression) -> _Node:
        """Give a number as float64, which an identifier cannot be."""
        if isinstance(value, _Column) and value.is_id:
            raise self.error(f"{value.name} is an identifier: compare it with whole numbers; % is its only arithmetic", node)
        if value.kind is _Kind.NUMBER:
            return value
        if value.kind is not _Kind.WHOLE:
            raise self.error(f"{self._called(value)} is {value.kind.value}, and a number is expected", node)
        if isinstance(value, _Constant):
            return _Constant(_Kind.NUMBER, float(value.value))
        return _Unary(_Kind.NUMBER, "double", value)

    def _arithmetic(self, node: exp.Expression, depth: int) -> _Node:
        op = _ARITHMETIC[type(node)]
        left, right = (self._double(self.value(side, depth + 1), node) for side in self.only(node, "this", "expression"))
        if op == "/":
            right = _Unary(_Kind.NUMBER, "nonzero", _finite(right))
        return _Binary(_Kind.NUMBER, op, left, right)

    def _negative(self, node: exp.Expression, depth: int) -> _Node:
        (inner,) = self.only(node, "this")
        if isinstance(inner, exp.Literal) and not inner.args.get("is_string"):
            return self._literal(inner, -1)
        return _Binary(_Kind.NUMBER, "-", _Constant(_Kind.NUMBER, 0.0), self._double(self.value(inner, depth + 1), node))

    def _remainder(self, value: _Node, divisor: _Node, node: exp.Expression) -> _Node:
        if value.kind is not _Kind.WHOLE:
            raise self.error(f"% is for whole numbers, and {self._called(value)} is {value.kind.value}", node)
        if not isinstance(divisor, _Constant) or not isinstance(divisor.value, int) or not 0 < divisor.value < 2**31:
            raise self.error("% is followed by a whole number from 1 to 2147483647", node)
        return _Remainder(_Kind.WHOLE, value, divisor.value)

    def _call(self, node: exp.Expression, depth: int) -> _Node:
        name = str(node.this).lower()
        if name in _AGGREGATES:
            raise self.error(f"a condition looks at one alert: the aggregate {name} is not allowed", node)
        if name not in FUNCTIONS:
            raise self.error(f"no function {name}{did_you_mean(name, FUNCTIONS)}; allowed are {', '.join(FUNCTIONS)}", node)
        args = [self.value(arg, depth + 1) for arg in node.expressions]
        least, most = FUNCTIONS[name]
        if not least <= len(args) <= most:
            raise self.error(f"{name} takes {least if least == most else f'{least} to {most}'} arguments, not {len(args)}", node)
        if name == "mod":
            return self._remainder(args[0], args[1], node)
        if name == "coalesce" and all(arg.kind is _Kind.TEXT for arg in args):
            return _Call(_Kind.TEXT, name, tuple(args))
        numbers = tuple(_finite(self._double(arg, node)) for arg in args)
        if name == "power" and not any(number.columns for number in numbers):
            raise self.error("power of constants: write the number that it gives", node)
        return _Call(_Kind.NUMBER, name, numbers)

    def _called(self, value: _Node) -> str:
        if isinstance(value, _Column):
            return value.name
        return repr(value.value) if isinstance(value, _Constant) else "the expression"


def _finite(value: _Node) -> _Node:
    """Make a result that may have overflown null; columns, literals and most functions are finite already."""
    overflows = isinstance(value, _Binary) or (isinstance(value, _Call) and value.name in ("exp", "power"))
    return _Unary(_Kind.NUMBER, "finite", value) if overflows and value.kind is _Kind.NUMBER else value


def _kind(type_: pa.DataType) -> _Kind | None:
    types = pa.types
    if types.is_dictionary(type_):
        return _kind(type_.value_type)
    if types.is_floating(type_):
        return _Kind.NUMBER
    if types.is_integer(type_) and not types.is_uint64(type_):
        return _Kind.WHOLE
    if types.is_string(type_) or types.is_large_string(type_) or types.is_string_view(type_):
        return _Kind.TEXT
    return _Kind.FLAG if types.is_boolean(type_) else None


# -------------------------------------------------------------------------------------------------------------- interface


@dataclass(frozen=True)
class Condition:
    """A checked condition, ready for Polars and for SQL.

    Parameters
    ----------
    text
        the condition as it was written
    columns
        the columns that it reads, named cuts expanded
    """

    text: str
    columns: frozenset[str]
    _tree: _Node

    def to_polars(self) -> pl.Expr:
        """Give the condition as a boolean Polars expression that is never null."""
        return self._tree.write(_PolarsWriter())

    def to_sql(self, dialect: Literal["duckdb", "spark"] = "duckdb") -> str:
        """Give the condition as a boolean SQL expression that is never null; only the quotes around names differ by dialect."""
        return self._tree.write(_SqlWriter("`" if dialect == "spark" else '"'))

    def canonical(self) -> str:
        """Give the condition in one form for all spellings of it (spaces, order of AND, cuts by name), to identify plans."""
        return self._tree.write(_CanonicalWriter('"'))

    def mask(self, table: pa.Table | pa.RecordBatch) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Say for each row whether the condition holds.

        Parameters
        ----------
        table
            has at least ``columns``

        Returns
        -------
        Booleans (n,).
        """
        return evaluate([self], table)[0]


def parse_condition(text: str, columns: Mapping[str, pa.DataType], cuts: Mapping[str, str] | None = None) -> Condition:
    """Read a condition and check it against the columns that exist.

    Parameters
    ----------
    text
        what the user wrote
    columns
        the columns that may be used, with their types
    cuts
        named conditions that may be used by name, and may use one another

    Raises
    ------
    ConditionError
        The text does not parse, names what does not exist, compares what cannot be compared, or is too long, deep or costly.
    """
    kinds = {name: _kind(type_) for name, type_ in columns.items()}
    tree = _Reader(text, kinds, cuts or {}).whole()
    return Condition(text, tree.columns, tree)


def evaluate(conditions: Sequence[Condition], table: pa.Table | pa.RecordBatch) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Evaluate many conditions in one pass over a table.

    Returns
    -------
    Booleans (len(conditions), n): one row per condition, in their order.
    """
    needed = sorted(frozenset().union(*(condition.columns for condition in conditions)))
    absent = [name for name in needed if name not in table.schema.names]
    if absent:
        raise ConditionError(f"the table has no column {absent[0]}, which a condition reads{did_you_mean(absent[0], table.schema.names)}")
    masks = np.zeros((len(conditions), table.num_rows), dtype=bool)
    if not masks.size:
        return masks
    frame = pl.DataFrame(pl.from_arrow(table.select(needed)))
    results = frame.lazy().select(condition.to_polars().alias(str(i)) for i, condition in enumerate(conditions)).collect()
    for i, result in enumerate(results.iter_columns()):
        masks[i] = result.to_numpy()
    return masks
