"""The words of a condition in Polars, in SQL, and in its own normal form.

The meaning (what is null, what is made finite) is in the tree, once; a writer only knows how its language says each thing.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

import polars as pl

Type = Literal["DOUBLE", "BIGINT", "STRING", "BOOLEAN"]
T = TypeVar("T")

LOG10_E = 0.4342944819032518


class Writer(Protocol[T]):
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
    "log10": lambda a: a.log() * LOG10_E,  # the same two steps everywhere: engines differ in the last bit of their own log10
    # Polars multiplies where the exponent is a constant, which differs from pow() in the last bit: this one is not constant.
    "power": lambda a, b: a.pow(b + a * 0.0),
    "sqrt": pl.Expr.sqrt,
}


class PolarsWriter:
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
class SqlWriter:
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
        return f"(ln({args[0]}) * {LOG10_E}e0)" if name == "log10" else f"{name}({', '.join(args)})"

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


class CanonicalWriter(SqlWriter):
    """The condition in its own language: cuts expanded and everything in parentheses."""

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

    def within(self, a: str, low: float, high: float) -> str:
        return a

    def nonzero(self, a: str) -> str:
        return a

    def known(self, a: str) -> str:
        return a
