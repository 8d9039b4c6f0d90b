"""Values and tests of an ADQL query, written as SQL: what is not listed here is refused.

Every piece of the SQL is made here: names are looked up and replaced by our own, constants are read and written anew. No text of the
user's goes through.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlglot import expressions as exp

from fink.errors import QueryError, did_you_mean
from fink.vo import geometry
from fink.vo.geometry import Circle, Number, Point, Region
from fink.vo.scopes import Scope

_COMPARISONS = {exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}
_OPERATORS = {**_COMPARISONS, exp.And: "AND", exp.Or: "OR", exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.DPipe: "||"}
_LIKES = {exp.Like: "LIKE", exp.ILike: "ILIKE"}
_TYPES: Mapping[str, str] = {
    "SMALLINT": "SMALLINT",
    "INT": "INTEGER",
    "BIGINT": "BIGINT",
    "FLOAT": "FLOAT",
    "DOUBLE": "DOUBLE",
    "CHAR": "VARCHAR",
    "VARCHAR": "VARCHAR",
}


@dataclass(frozen=True)
class Function:
    """A function of ADQL.

    Parameters
    ----------
    least, most
        How many arguments it takes.
    sql
        Its SQL, with ``{0}``, ``{1}``… or ``{all}`` in their place.
    about
        What it does, where ADQL itself does not say so.
    partial
        Whether it has no value for some numbers; its SQL then names the argument more than once.
    """

    least: int
    most: int
    sql: str
    about: str = ""
    partial: bool = False


FUNCTIONS: Mapping[str, Function] = {
    "abs": Function(1, 1, "abs({0})"),
    "acos": Function(1, 1, "acos({0})"),
    "asin": Function(1, 1, "asin({0})"),
    "atan": Function(1, 1, "atan({0})"),
    "atan2": Function(2, 2, "atan2({0}, {1})"),
    "ceiling": Function(1, 1, "ceil({0})"),
    "coalesce": Function(1, 20, "coalesce({all})"),
    "cos": Function(1, 1, "cos({0})"),
    "cot": Function(1, 1, "cot({0})"),
    "degrees": Function(1, 1, "degrees({0})"),
    "exp": Function(1, 1, "exp({0})"),
    "floor": Function(1, 1, "floor({0})"),
    # a logarithm or root that does not exist is missing, and does not end the query
    "log": Function(1, 1, "ln(nullif(greatest({0}, 0e0), 0e0))", partial=True),
    "log10": Function(1, 1, "log10(nullif(greatest({0}, 0e0), 0e0))", partial=True),
    "lower": Function(1, 1, "lower({0})"),
    "mod": Function(2, 2, "TRY(mod({0}, {1}))"),
    "pi": Function(0, 0, "pi()"),
    "power": Function(2, 2, "pow({0}, {1})"),
    "radians": Function(1, 1, "radians({0})"),
    "round": Function(1, 2, "round({all})"),
    "sin": Function(1, 1, "sin({0})"),
    "sqrt": Function(1, 1, "nullif(pow({0}, 0.5e0), CAST('NaN' AS DOUBLE))", partial=True),
    "tan": Function(1, 1, "tan({0})"),
    "truncate": Function(1, 1, "trunc({0})"),
    "upper": Function(1, 1, "upper({0})"),
    "ivo_hashlist_has": Function(
        2, 2, "CAST(list_contains(string_split({0}, '#'), {1}) AS INTEGER)", "1 where a hash-separated list holds an item"
    ),
    "ivo_nocasematch": Function(2, 2, "CAST({0} ILIKE {1} AS INTEGER)", "1 where a text matches a pattern of LIKE, case aside"),
}
"""Functions of single rows, by name in lower case."""

AGGREGATES = frozenset({"avg", "count", "max", "min", "sum"})
GEOMETRIES = ("POINT", "CIRCLE", "BOX", "POLYGON", "CONTAINS", "INTERSECTS", "DISTANCE", "COORD1", "COORD2")
"""Functions of the sky."""

LONGEST_TEXT = 500
"""Characters of a constant text, and of texts that are joined."""
LONGEST_COORDINATE = 500
"""Characters of a coordinate in SQL, which a test of regions repeats."""
MOST_JOINED = 200
"""Times that texts are joined in a query at most."""
MOST_PARTIAL = 5
"""Logarithms and roots within one another at most."""

Subquery = Callable[[exp.Expression, Scope], str]


def only(node: exp.Expression, *names: str) -> None:
    """Refuse a node that has other parts than these.

    Raises
    ------
    QueryError
        If it has.
    """
    more = [name for name, value in node.args.items() if name not in names and value not in (None, False, [])]
    if more:
        raise QueryError(f"{more[0].strip('_').upper()} is not possible here; ADQL has no such part of {type(node).__name__.upper()}")


def identifier(node: exp.Expression | str | None) -> str:
    """Give a name in lower case; empty where there is none."""
    if node is None or node == "":
        return ""
    if not isinstance(node, exp.Identifier):
        raise QueryError("a name is expected; names are words, or anything in double quotes")
    return str(node.this).lower()


class Expressions:
    """Writes expressions.

    Parameters
    ----------
    subquery
        Writes a query within an expression.
    """

    def __init__(self, subquery: Subquery) -> None:
        self._subquery = subquery
        self._partial, self._joined = 0, 0

    def write(self, node: exp.Expression, scope: Scope) -> str:
        """Write a value or a test.

        Raises
        ------
        QueryError
            If it is not part of ADQL, or names what is not there.
        """
        if type(node) in _OPERATORS:
            return self._operator(node, scope)
        if type(node) in _LIKES:
            only(node, "this", "expression")
            return f"({self.write(node.this, scope)} {_LIKES[type(node)]} {self.write(node.expression, scope)})"
        writers: Mapping[type, Callable[[exp.Expression, Scope], str]] = {
            exp.Column: self._column,
            exp.Literal: lambda n, _: literal(n),
            exp.Boolean: lambda n, _: "TRUE" if n.this else "FALSE",
            exp.Null: lambda n, _: "NULL",
            exp.Paren: lambda n, s: f"({self.write(n.this, s)})",
            exp.Neg: lambda n, s: f"(- {self.write(n.this, s)})",
            exp.Not: lambda n, s: f"(NOT {self.write(n.this, s)})",
            exp.Is: self._is,
            exp.Between: self._between,
            exp.In: self._in,
            exp.Case: self._case,
            exp.Cast: self._cast,
            exp.Anonymous: self._call,
            exp.Subquery: lambda n, s: self._subquery(n, s),
            exp.Exists: lambda n, s: f"EXISTS {self._subquery(n.this, s)}",
        }
        writer = writers.get(type(node))
        if writer is None:
            raise QueryError(f"{type(node).__name__.upper()} is not part of the ADQL that is understood here")
        return writer(node, scope)

    def _column(self, node: exp.Expression, scope: Scope) -> str:
        only(node, "this", "table", "db")
        if isinstance(node.this, exp.Star):
            raise QueryError("* is possible in SELECT and COUNT only")
        return scope.value(identifier(node.this), identifier(node.args.get("table")), identifier(node.args.get("db")))

    def _operator(self, node: exp.Expression, scope: Scope) -> str:
        only(node, "this", "expression", "typed", "safe")
        test = self._sky_test(node, scope)
        if test is not None:
            return test
        text = f"({self.write(node.this, scope)} {_OPERATORS[type(node)]} {self.write(node.expression, scope)})"
        return self._text_of_bounded_length(text) if isinstance(node, exp.DPipe) else text

    def _text_of_bounded_length(self, text: str) -> str:
        # texts that double at every step would fill the memory
        self._joined += 1
        if self._joined > MOST_JOINED:
            raise QueryError(f"texts are joined more than {MOST_JOINED} times; join fewer")
        return f"substring({text}, 1, {LONGEST_TEXT})"

    def _sky_test(self, node: exp.Expression, scope: Scope) -> str | None:
        """Write CONTAINS(…) = 1 and the like as a plain test, which the database can see through."""
        if not isinstance(node, (exp.EQ, exp.NEQ)):
            return None
        for call, number in ((node.this, node.expression), (node.expression, node.this)):
            if called(call) in ("contains", "intersects") and isinstance(number, exp.Literal) and number.this in ("0", "1"):
                wanted = (number.this == "1") == isinstance(node, exp.EQ)
                return f"({'' if wanted else 'NOT '}{self._between_regions(call, scope)})"
        return None

    def _is(self, node: exp.Expression, scope: Scope) -> str:
        only(node, "this", "expression")
        if not isinstance(node.expression, exp.Null):
            raise QueryError("IS is followed by NULL or NOT NULL")
        return f"({self.write(node.this, scope)} IS NULL)"

    def _between(self, node: exp.Expression, scope: Scope) -> str:
        only(node, "this", "low", "high")
        this, low, high = (self.write(node.args[name], scope) for name in ("this", "low", "high"))
        return f"({this} BETWEEN {low} AND {high})"

    def _in(self, node: exp.Expression, scope: Scope) -> str:
        only(node, "this", "expressions", "query")
        if node.args.get("query") is not None:
            return f"({self.write(node.this, scope)} IN {self._subquery(node.args['query'], scope)})"
        values = ", ".join(self.write(value, scope) for value in node.expressions)
        return f"({self.write(node.this, scope)} IN ({values}))"

    def _case(self, node: exp.Expression, scope: Scope) -> str:
        only(node, "this", "ifs", "default")
        subject = "" if node.this is None else self.write(node.this, scope) + " "
        branches = " ".join(f"WHEN {self.write(b.this, scope)} THEN {self.write(b.args['true'], scope)}" for b in node.args["ifs"])
        default = node.args.get("default")
        otherwise = "" if default is None else f" ELSE {self.write(default, scope)}"
        return f"(CASE {subject}{branches}{otherwise} END)"

    def _cast(self, node: exp.Expression, scope: Scope) -> str:
        only(node, "this", "to", "safe")
        kind = node.args["to"]
        name = getattr(kind.this, "name", "")
        if name in _TYPES:
            only(kind, "this", "expressions")
        else:
            raise QueryError(f"CAST knows {', '.join(('SMALLINT', 'INTEGER', 'BIGINT', 'REAL', 'DOUBLE PRECISION', 'CHAR', 'VARCHAR'))}")
        value = f"CAST({self.write(node.this, scope)} AS {_TYPES[name]})"
        lengths = [whole(part.this) for part in kind.expressions]
        return f"substring({value}, 1, {lengths[0]})" if lengths and _TYPES[name] == "VARCHAR" else value

    # Functions

    def _call(self, node: exp.Expression, scope: Scope) -> str:
        name = called(node)
        if name in AGGREGATES:
            return self._aggregate(name, node, scope)
        if name.upper() in GEOMETRIES:
            return self._sky_function(name, node, scope)
        function = FUNCTIONS.get(name)
        if function is None:
            known = [*FUNCTIONS, *AGGREGATES, *(each.lower() for each in GEOMETRIES)]
            raise QueryError(f"there is no function {name}{did_you_mean(name, known)}")
        if not function.least <= len(node.expressions) <= function.most:
            raise QueryError(f"{name.upper()} takes {function.least} to {function.most} arguments and not {len(node.expressions)}")
        self._partial += function.partial
        if self._partial > MOST_PARTIAL:
            raise QueryError(f"more than {MOST_PARTIAL} logarithms and roots are within one another")
        values = [self.write(argument, scope) for argument in node.expressions]
        self._partial -= function.partial
        if name == "round" and len(values) == 2:
            values[1] = str(whole(node.expressions[1]))
        return function.sql.format(*values, all=", ".join(values))

    def _aggregate(self, name: str, node: exp.Expression, scope: Scope) -> str:
        if len(node.expressions) != 1:
            raise QueryError(f"{name.upper()} takes one argument")
        argument = node.expressions[0]
        if isinstance(argument, exp.Star):
            only(argument)
            if name != "count":
                raise QueryError(f"{name.upper()}(*) is not possible; name a column")
            return "count(*)"
        if isinstance(argument, exp.Distinct):
            only(argument, "expressions")
            if len(argument.expressions) != 1:
                raise QueryError(f"{name.upper()}(DISTINCT …) takes one argument")
            return f"{name}(DISTINCT {self.write(argument.expressions[0], scope)})"
        return f"{name}({self.write(argument, scope)})"

    def _sky_function(self, name: str, node: exp.Expression, scope: Scope) -> str:
        if name in ("contains", "intersects"):
            return f"CAST({self._between_regions(node, scope)} AS INTEGER)"
        if name == "distance":
            return geometry.distance(*self.two_points(node, scope))
        if name in ("coord1", "coord2"):
            point = self.region(self._arguments(node, 1)[0], scope)
            if not isinstance(point, Point):
                raise QueryError(f"{name.upper()} takes a POINT")
            return point.ra.sql if name == "coord1" else point.dec.sql
        raise QueryError(f"{name.upper()} is a region and no value; use it in CONTAINS, INTERSECTS or DISTANCE")

    def _between_regions(self, node: exp.Expression, scope: Scope) -> str:
        one, other = (self.region(argument, scope) for argument in self._arguments(node, 2))
        return geometry.contains(one, other) if called(node) == "contains" else geometry.intersects(one, other)

    def two_points(self, node: exp.Expression, scope: Scope) -> tuple[Point, Point]:
        """Read the arguments of DISTANCE: two points, or four coordinates."""
        if len(node.expressions) == 4:
            ra1, dec1, ra2, dec2 = (self._number(argument, scope) for argument in node.expressions)
            return Point(ra1, dec1), Point(ra2, dec2)
        one, other = (self.region(argument, scope) for argument in self._arguments(node, 2))
        if not (isinstance(one, Point) and isinstance(other, Point)):
            raise QueryError("DISTANCE takes two points, or four coordinates")
        return one, other

    @staticmethod
    def _arguments(node: exp.Expression, count: int) -> list[exp.Expression]:
        if len(node.expressions) != count:
            raise QueryError(f"{called(node).upper()} takes {count} arguments and not {len(node.expressions)}")
        return list(node.expressions)

    def region(self, node: exp.Expression, scope: Scope) -> Region:
        """Read POINT, CIRCLE, BOX or POLYGON.

        Raises
        ------
        QueryError
            If it is none, or in another frame than ICRS.
        """
        name = called(node)
        arguments = list(node.expressions) if name else []
        if arguments and isinstance(arguments[0], exp.Literal) and arguments[0].is_string:
            if arguments[0].this.strip().upper() not in ("", "ICRS"):
                raise QueryError(f"the frame {arguments[0].this!r} is not known here; positions are ICRS")
            arguments = arguments[1:]
        if name == "point" and len(arguments) == 2:
            return Point(self._number(arguments[0], scope), self._number(arguments[1], scope))
        if name == "circle" and len(arguments) in (2, 3):
            return Circle(self._centre(arguments[:-1], scope), self._number(arguments[-1], scope))
        if name == "box" and len(arguments) in (3, 4):
            sides = [self._number(argument, scope) for argument in arguments[-2:]]
            return geometry.box(self._centre(arguments[:-2], scope), sides[0], sides[1])
        if name == "polygon":
            return geometry.polygon(self._corners(arguments, scope))
        raise QueryError("a region is expected: POINT(ra, dec), CIRCLE(ra, dec, r), BOX(ra, dec, w, h) or POLYGON(ra1, dec1, …)")

    def _centre(self, arguments: list[exp.Expression], scope: Scope) -> Point:
        if len(arguments) == 2:
            return Point(self._number(arguments[0], scope), self._number(arguments[1], scope))
        point = self.region(arguments[0], scope)
        if not isinstance(point, Point):
            raise QueryError("the centre of a region is a POINT, or two coordinates")
        return point

    def _corners(self, arguments: list[exp.Expression], scope: Scope) -> list[tuple[float, float]]:
        if arguments and called(arguments[0]) == "point":
            places = [region.place for region in (self.region(a, scope) for a in arguments) if isinstance(region, Point)]
        else:
            numbers = [self._number(argument, scope).value for argument in arguments]
            if len(numbers) % 2:
                raise QueryError("POLYGON takes pairs of ra and dec")
            places = [None if ra is None or dec is None else (ra, dec) for ra, dec in zip(numbers[::2], numbers[1::2], strict=True)]
        found = [place for place in places if place is not None]
        if len(found) != len(places):
            raise QueryError("POLYGON takes constants: its corners in degrees")
        return found

    def _number(self, node: exp.Expression, scope: Scope) -> Number:
        value = constant(node)
        if value is not None:
            return Number.of(value)
        text = self.write(node, scope)
        if len(text) > LONGEST_COORDINATE:
            raise QueryError("a coordinate is too complicated; compute it in a query within FROM, and name it here")
        return Number(text)


def called(node: exp.Expression | None) -> str:
    """Give the name of the function that a node calls, in lower case; empty where it calls none."""
    return str(node.this).lower() if isinstance(node, exp.Anonymous) and isinstance(node.this, str) else ""


def constant(node: exp.Expression | None) -> float | None:
    """Compute what only numbers make, as ``5 / 3600.0``; None for anything else."""
    if isinstance(node, exp.Literal):
        return None if node.is_string else _finite(node.this)
    if isinstance(node, exp.Paren):
        return constant(node.this)
    if isinstance(node, exp.Neg):
        value = constant(node.this)
        return None if value is None else -value
    if isinstance(node, (exp.Add, exp.Sub, exp.Mul, exp.Div)):
        left, right = constant(node.this), constant(node.expression)
        if left is None or right is None or (isinstance(node, exp.Div) and right == 0):
            return None
        return {exp.Add: left + right, exp.Sub: left - right, exp.Mul: left * right, exp.Div: left / (right or 1.0)}[type(node)]
    return None


_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\Z")


def _finite(text: str) -> float:
    if not _NUMBER.match(text) or not math.isfinite(float(text)):
        raise QueryError(f"{text[:40]} is no number")
    return float(text)


def literal(node: exp.Expression) -> str:
    """Write a constant."""
    if node.is_string:
        if len(node.this) > LONGEST_TEXT:
            raise QueryError(f"a text has {len(node.this)} characters; {LONGEST_TEXT} is the limit")
        return "'" + str(node.this).replace("'", "''") + "'"
    value = _finite(str(node.this))
    if str(node.this).isdigit() and value < 2**63:
        return str(node.this).lstrip("0") or "0"
    text = repr(value)
    return text if "e" in text else f"{text}e0"


def whole(node: exp.Expression) -> int:
    """Read a small whole number, as of TOP.

    Raises
    ------
    QueryError
        If it is none.
    """
    value = constant(node)
    if value is None or value != int(value) or not 0 <= value < 2**31:
        raise QueryError("a whole number is expected, written out")
    return int(value)
