"""From text to tree: sqlglot parses, and a white list reads what it parsed; what is not listed here is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl
import sqlglot
from sqlglot import errors as sqlglot_errors
from sqlglot import expressions as exp
from sqlglot import parser as sqlglot_parser

from fink.conditions._tree import (
    LARGEST,
    Binary,
    Call,
    Column,
    Constant,
    Kind,
    Like,
    Member,
    Node,
    Remainder,
    Unary,
    chain,
    finite,
    inverse,
)
from fink.conditions._writers import PolarsWriter
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
_NUMBER = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


class _Parser(sqlglot_parser.Parser):  # type: ignore[misc]
    """SQL in which no function is special: each arrives as a name and its arguments, for the white list to judge."""

    FUNCTIONS: Mapping[str, object] = {}
    FUNCTION_PARSERS: Mapping[str, object] = {}
    NO_PAREN_FUNCTIONS: Mapping[object, object] = {}


_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
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
            raise ConditionError(f"the character {character!r}, number {position + 1} of the condition, is not allowed", position)
    try:
        tokens: list[sqlglot.tokens.Token] = sqlglot.tokenize(text)
    except sqlglot_errors.TokenError as error:
        opened = max(text.rfind(mark) for mark in ("'", '"', "/*"))
        raise ConditionError("the condition has a quote or a comment that is not closed", max(opened, 0)) from error
    if not tokens:
        raise ConditionError("the condition is empty; TRUE takes every alert", 0)
    if any(token.comments for token in tokens):
        raise ConditionError("the condition has a comment (-- or /*): leave it out; put spaces between two minus signs")
    depth = 0
    for token in tokens:
        depth += {sqlglot.TokenType.L_PAREN: 1, sqlglot.TokenType.R_PAREN: -1}.get(token.token_type, 0)
        if depth > MAX_DEPTH:
            raise ConditionError(f"more than {MAX_DEPTH} parentheses are open at character {token.start + 1}", token.start)
    return tokens


def _parse(text: str) -> exp.Expression:
    tokens = _tokens(text)
    try:
        trees = _Parser(error_level=sqlglot.ErrorLevel.IMMEDIATE).parse(tokens, text)
    except sqlglot_errors.ParseError as error:
        where = error.errors[0] if error.errors else {}
        near = where.get("highlight") or text[-20:]
        raise ConditionError(f"the condition cannot be read near {near!r}, in {text[:200]!r}", _place(text, where)) from error
    except RecursionError as error:
        raise ConditionError(f"the condition is more than {MAX_DEPTH} levels deep") from error
    if len(trees) != 1 or trees[0] is None:
        raise ConditionError(f"one condition is expected, without semicolons, and not {text[:200]!r}")
    return trees[0]


def _place(text: str, where: Mapping[str, object]) -> int:
    """Give the character at which the parser stopped, from what it says of the words around it."""
    before, word, after = (str(where.get(part) or "") for part in ("start_context", "highlight", "end_context"))
    return max(text.find(before + word + after), 0) + len(before) if word else max(len(text) - 1, 0)


@dataclass(frozen=True)
class Reader:
    """Reads the parsed text of one condition, or of one cut within it, into a tree of our own; what is not listed here is refused."""

    text: str
    kinds: Mapping[str, Kind | None]
    cuts: Mapping[str, str]
    trail: tuple[str, ...] = ()
    known: dict[str, Node] = field(default_factory=dict)  # cuts that are read already: each is read once, however often it is named

    def error(self, message: str, at: exp.Expression) -> ConditionError:
        starts = [node.meta["start"] for node in at.walk() if "start" in node.meta]
        position = f" (at character {min(starts) + 1})" if starts else ""
        inside = f"in the cut {' > '.join(self.trail)}: " if self.trail else ""
        return ConditionError(f"{inside}{message}{position}", min(starts) if starts and not self.trail else None)

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

    def test(self, node: exp.Expression, depth: int = 0) -> Node:
        """Read what has to be true or false."""
        self._bound(node, depth)
        if isinstance(node, exp.Paren):
            return self.test(self.only(node, "this")[0], depth + 1)
        if isinstance(node, exp.And | exp.Or):
            return self._chain(node, depth)
        if isinstance(node, exp.Not):
            return inverse(self.test(self.only(node, "this")[0], depth + 1))
        if node.args.get("negate"):  # how sqlglot says NOT LIKE
            node = node.copy()
            node.set("negate", None)
            return inverse(self.test(node, depth + 1))
        if type(node) in _COMPARISONS:
            left, right = (self.value(side, depth + 1) for side in self.only(node, "this", "expression"))
            return self._compare(_COMPARISONS[type(node)], left, right, node)
        reader = {exp.Between: self._between, exp.In: self._in, exp.Like: self._like, exp.Is: self._is}.get(type(node))
        if reader:
            return self._checked(reader(node, depth), node)
        if isinstance(node, exp.Column) and self._name(node) in self.cuts:
            return self._cut(self._name(node), node)
        value = self.value(node, depth + 1)
        if value.kind is not Kind.FLAG:
            raise self.error(f"{self._called(value)} is {value.kind.value}, and not a condition: compare it with something", node)
        return value if isinstance(value, Constant) else Unary(Kind.FLAG, "known", value)

    def _bound(self, node: exp.Expression, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise self.error(f"the condition is more than {MAX_DEPTH} levels deep", node)

    def _chain(self, node: exp.Expression, depth: int) -> Node:
        """Read a AND b AND c as one list, however long, without a level for each."""
        operator_type, op = type(node), "AND" if isinstance(node, exp.And) else "OR"
        left, waiting, tests = node, [], list[Node]()
        while type(left) is operator_type:
            left, right = self.only(left, "this", "expression")
            waiting.append(right)
        for part in (left, *reversed(waiting)):
            tests.append(self.test(part, depth + 1))
            if sum(test.cost for test in tests) > MAX_COST:
                raise self.error(f"the condition computes more than {MAX_COST} things", part)
        return chain(op, tests)

    def _compare(self, op: str, left: Node, right: Node, node: exp.Expression) -> Node:
        left, right = self._alike(left, right, node, equality=op in ("=", "!="))
        if isinstance(left, Constant) and not isinstance(right, Constant):  # Polars 2.1 shortens what a text on the left is compared with
            left, op, right = right, _MIRRORED.get(op, op), left
        if left.kind is Kind.FLAG and op not in ("=", "!="):
            raise self.error("true and false have no order: compare them with = or !=", node)
        return self._checked(Unary(Kind.FLAG, "known", Binary(Kind.FLAG, op, finite(left), finite(right))), node)

    def _alike(self, left: Node, right: Node, node: exp.Expression, equality: bool) -> tuple[Node, Node]:
        """Give both sides in one kind: as they are where they agree, else both as float64."""
        left, right = (_whole_again(side) if isinstance(side, Constant) else side for side in (left, right))
        if left.kind is right.kind:
            return left, right
        numbers = (Kind.NUMBER, Kind.WHOLE)
        if left.kind in numbers and right.kind in numbers:
            for whole, other in ((left, right), (right, left)):
                if equality and isinstance(whole, Column) and whole.kind is Kind.WHOLE and isinstance(other, Constant):
                    raise self.error(f"{whole.name} is a whole number of 64 bits and is never {other.value}", node)
            return self._double(left, node), self._double(right, node)
        column, other = (right, left) if isinstance(left, Constant) else (left, right)
        remedies = {Kind.TEXT: "compare it with a quoted text", Kind.FLAG: "write it, or NOT before it, without a comparison"}
        remedy = remedies.get(column.kind, "compare it with a number")
        raise self.error(f"{self._called(column)} is {column.kind.value}: {remedy}, not {self._called(other)}", node)

    def _between(self, node: exp.Expression, depth: int) -> Node:
        value, low, high = (self.value(part, depth + 1) for part in self.only(node, "this", "low", "high"))
        return chain("AND", (self._compare(">=", value, low, node), self._compare("<=", value, high, node)))

    def _in(self, node: exp.Expression, depth: int) -> Node:
        members = node.args.get("expressions") or []
        if not members or any(value for name, value in node.args.items() if name not in ("this", "expressions")):
            raise self.error("IN takes a list of numbers or texts in parentheses, as in band IN ('g', 'r')", node)
        value = self.value(node.this, depth + 1)
        constants = [self.value(member, depth + 1) for member in members]
        if value.kind is Kind.FLAG or not all(isinstance(constant, Constant) for constant in constants):
            raise self.error("IN compares a number or a text with a list of literals", node)
        pairs = [self._alike(value, constant, node, equality=True) for constant in constants]
        kinds = {pair[0].kind for pair in pairs}
        if len(kinds) > 1:  # a whole number that is not a column, against whole and other numbers
            pairs = [(self._double(value, node), self._double(constant, node)) for constant in constants]
        values = tuple(pair[1].value for pair in pairs if isinstance(pair[1], Constant))
        return Member(Kind.FLAG, finite(pairs[0][0]), values)

    def _like(self, node: exp.Expression, depth: int) -> Node:
        value, pattern = (self.value(part, depth + 1) for part in self.only(node, "this", "expression"))
        if value.kind is not Kind.TEXT or not isinstance(pattern, Constant) or not isinstance(pattern.value, str):
            raise self.error(f"LIKE compares a text with a quoted pattern; {self._called(value)} is {value.kind.value}", node)
        if len(pattern.value) > MAX_PATTERN or len(re.findall("%+", pattern.value)) > 4:
            raise self.error(f"a LIKE pattern has at most {MAX_PATTERN} characters and four %", node)
        return Like(Kind.FLAG, value, pattern.value)

    def _is(self, node: exp.Expression, depth: int) -> Node:
        asked, null = self.only(node, "this", "expression")
        if not isinstance(null, exp.Null):
            raise self.error("IS is followed by NULL or NOT NULL; to test a flag, write it alone", node)
        value = self.value(asked, depth + 1)
        return Unary(Kind.FLAG, "missing", finite(value))

    def _cut(self, name: str, node: exp.Expression) -> Node:
        if name in self.kinds:
            raise self.error(f"{name} is both a column and a cut: rename the cut", node)
        if name in self.trail:
            raise self.error(f"the cut {name} is defined by itself: {' > '.join((*self.trail, name))}", node)
        if name not in self.known:
            self.known[name] = Reader(self.cuts[name], self.kinds, self.cuts, (*self.trail, name), self.known).whole()
        return self._checked(self.known[name], node)

    def whole(self) -> Node:
        """Read all of the text."""
        try:
            parsed = _parse(self.text)
        except ConditionError as error:
            if not self.trail:
                raise
            raise ConditionError(f"in the cut {' > '.join(self.trail)}: {error}") from error
        return self._checked(self.test(parsed), parsed)

    def _checked(self, node: Node, at: exp.Expression) -> Node:
        """Bound the cost, and compute what reads no column: Polars mistakes the height of a when() over constants."""
        if node.cost > MAX_COST:
            raise self.error(f"the condition computes more than {MAX_COST} things", at)
        if node.columns or isinstance(node, Constant):
            return node
        value = pl.select(finite(node).write(PolarsWriter())).item()
        if value is None:
            raise self.error("an expression without columns has no value (a division by zero, or an overflow)", at)
        return Constant(node.kind, value)

    # values: numbers, texts and flags, any of them may be null

    def value(self, node: exp.Expression, depth: int) -> Node:
        """Read a number, a text or a flag."""
        self._bound(node, depth)
        if type(node) in _ARITHMETIC:
            return self._checked(self._arithmetic(node, depth), node)
        if isinstance(node, exp.Neg):
            return self._checked(self._negative(node, depth), node)
        if isinstance(node, exp.Paren):
            return self.value(self.only(node, "this")[0], depth + 1)
        if isinstance(node, exp.Column):
            return self._column(node)
        if isinstance(node, exp.Literal):
            return self._literal(node, 1)
        if isinstance(node, exp.Boolean):
            return Constant(Kind.FLAG, bool(node.this))
        if isinstance(node, exp.Mod):
            value, divisor = (self.value(part, depth + 1) for part in self.only(node, "this", "expression"))
            return self._checked(self._remainder(value, divisor, node), node)
        if isinstance(node, exp.Anonymous):
            return self._checked(self._call(node, depth), node)
        if isinstance(node, exp.Null):
            raise self.error("nothing equals NULL: write IS NULL or IS NOT NULL", node)
        if type(node) in _COMPARISONS or isinstance(node, exp.And | exp.Or | exp.Not | exp.Between | exp.In | exp.Like | exp.Is):
            raise self.error("a condition stands where a value is expected: join conditions with AND and OR", node)
        raise self.refusal(node)

    def _name(self, node: exp.Expression) -> str:
        if node.args.get("table"):
            raise self.error(f"a column is written without a table: {node.name}", node)
        (identifier,) = self.only(node, "this")
        if not isinstance(identifier, exp.Identifier):
            raise self.refusal(identifier)
        return str(identifier.this)

    def _column(self, node: exp.Expression) -> Node:
        name = self._name(node)
        if name in self.cuts:
            raise self.error(f"{name} is a cut, and not a value: join it with AND and OR", node)
        if name not in self.kinds:
            quotes = "; a text is written in single quotes" if node.this.args.get("quoted") else ""
            raise self.error(f"no column {name}{did_you_mean(name, [*self.kinds, *self.cuts])}{quotes}", node)
        kind = self.kinds[name]
        if kind is None:
            raise self.error(f"{name} is neither a number, a text nor a flag, and cannot be in a condition", node)
        return Column(kind, name)

    def _literal(self, node: exp.Expression, sign: int) -> Constant:
        if node.args.get("is_string"):
            return Constant(Kind.TEXT, str(node.this))
        text = str(node.this)
        if not _NUMBER.fullmatch(text):
            raise self.error(f"{text[:40]} is not a number", node)
        number = sign * (int(text) if text.isdigit() else float(text))
        if isinstance(number, int) and -(2**63) <= number < 2**63:
            return Constant(Kind.WHOLE, number)
        if abs(number) > LARGEST:
            raise self.error(f"{text[:40]} is too large for a float64", node)
        return _whole_again(Constant(Kind.NUMBER, float(number)))

    def _double(self, value: Node, node: exp.Expression) -> Node:
        """Give a number as float64, which an identifier cannot be."""
        if isinstance(value, Column) and value.is_id:
            raise self.error(f"{value.name} is an identifier: compare it with whole numbers; % is its only arithmetic", node)
        if value.kind is Kind.NUMBER:
            return value
        if value.kind is not Kind.WHOLE:
            raise self.error(f"{self._called(value)} is {value.kind.value}, and a number is expected", node)
        if isinstance(value, Constant):
            return Constant(Kind.NUMBER, float(value.value))
        return Unary(Kind.NUMBER, "double", value)

    def _arithmetic(self, node: exp.Expression, depth: int) -> Node:
        op = _ARITHMETIC[type(node)]
        left, right = (self._double(self.value(side, depth + 1), node) for side in self.only(node, "this", "expression"))
        if op == "/":
            right = Unary(Kind.NUMBER, "nonzero", finite(right))
        return Binary(Kind.NUMBER, op, left, right)

    def _negative(self, node: exp.Expression, depth: int) -> Node:
        (inner,) = self.only(node, "this")
        if isinstance(inner, exp.Literal) and not inner.args.get("is_string"):
            return self._literal(inner, -1)
        return Binary(Kind.NUMBER, "-", Constant(Kind.NUMBER, 0.0), self._double(self.value(inner, depth + 1), node))

    def _remainder(self, value: Node, divisor: Node, node: exp.Expression) -> Node:
        if value.kind is not Kind.WHOLE:
            raise self.error(f"% is for whole numbers, and {self._called(value)} is {value.kind.value}", node)
        if not isinstance(divisor, Constant) or not isinstance(divisor.value, int) or not 0 < divisor.value < 2**31:
            raise self.error("% is followed by a whole number from 1 to 2147483647", node)
        return Remainder(Kind.WHOLE, value, divisor.value)

    def _call(self, node: exp.Expression, depth: int) -> Node:
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
        if name == "coalesce" and all(arg.kind is Kind.TEXT for arg in args):
            return Call(Kind.TEXT, name, tuple(args))
        numbers = tuple(finite(self._double(arg, node)) for arg in args)
        return Call(Kind.NUMBER, name, numbers)

    def _called(self, value: Node) -> str:
        if isinstance(value, Column):
            return value.name
        return repr(value.value) if isinstance(value, Constant) else "the expression"


def _whole_again(value: Constant) -> Constant:
    """Take a float64 constant without a fraction, as 6.0 or 2 * 3 give, for the whole number that it is."""
    if isinstance(value.value, float) and value.value.is_integer() and abs(value.value) < 2**53:
        return Constant(Kind.WHOLE, int(value.value))
    return value
