"""ADQL queries written as SQL for the tables that they name, with a list of what has to be fetched for each.

A query is read part by part (`fink.vo.language`, `fink.vo.expressions`) and written anew with names of our own. Constant places in
WHERE (CONTAINS, DISTANCE) and object names are noted on the tables that they restrict, so that the index finds the rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from sqlglot import expressions as exp

from fink.errors import QueryError
from fink.vo import geometry
from fink.vo.expressions import Expressions, called, constant, identifier, only, whole
from fink.vo.geometry import Cap, Circle, Point
from fink.vo.language import parse
from fink.vo.scopes import EVER, Output, Relation, Scope, Source, table_named
from fink.vo.tables import Table

MOST_TABLES = 16
"""Tables that a query may read, each counted as often as it is read."""
MOST_LEVELS = 8
"""Queries that may be within one another."""
LONGEST_SQL = 2_000_000
"""Characters of the SQL at most."""
MOST_NAMES = 1000
"""Objects that are looked up by name at most; more are searched for in the lake."""

_JOINS = {("", ""): "JOIN", ("INNER", ""): "JOIN", ("", "LEFT"): "LEFT JOIN", ("", "RIGHT"): "RIGHT JOIN", ("", "FULL"): "FULL JOIN"}
_JOINS |= {("OUTER", side): _JOINS[("", side)] for side in ("LEFT", "RIGHT", "FULL")}
_SETS = {exp.Union: "UNION", exp.Except: "EXCEPT", exp.Intersect: "INTERSECT"}


@dataclass(frozen=True)
class Written:
    """A query in SQL, the columns of its answer, and how many tables it reads."""

    sql: str
    outputs: tuple[Output, ...]
    weight: int


@dataclass(frozen=True)
class Translation:
    """What runs for a query.

    Parameters
    ----------
    sql
        The SQL, which gives columns named as ``outputs`` say.
    outputs
        What the columns are for the user.
    sources
        The tables that it reads; each has to be there as a view of its name.
    """

    sql: str
    outputs: tuple[Output, ...]
    sources: tuple[Source, ...]


def translate(text: str, tables: Mapping[str, Table], rows: int) -> Translation:
    """Translate an ADQL query.

    Parameters
    ----------
    tables
        The tables that there are, by full name.
    rows
        How many rows it may give at most.

    Raises
    ------
    QueryError
        If it is not ADQL, names what is not there, or is too large.
    """
    statements = _Statements(tables)
    try:
        written = statements.query(parse(text), Scope(), {}, 0)
    except RecursionError as error:
        raise QueryError("the query is too deeply nested; write it with fewer levels") from error
    if len(written.sql) > LONGEST_SQL:
        raise QueryError("the query is too long when written out; write it with fewer regions and levels")
    named = _unique(written.outputs)
    return Translation(f"SELECT * FROM ({written.sql}) LIMIT {rows}", named, tuple(statements.sources))


def _unique(outputs: tuple[Output, ...]) -> tuple[Output, ...]:
    """Give columns different names, so that no reader mixes them up."""
    taken: set[str] = set()
    found = []
    for output in outputs:
        name, number = output.name, 1
        while name.lower() in taken:
            number += 1
            name = f"{output.name}_{number}"
        taken.add(name.lower())
        found.append(replace(output, name=name))
    return tuple(found)


Named = Mapping[str, Written]
"""Queries of WITH, by name."""


class _Statements:
    """Writes queries."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self.sources: list[Source] = []
        self._tables, self._aliases, self._weight = tables, 0, 0
        self._named: Named = {}
        self._level = 0
        self._expressions = Expressions(self._value_query)

    def query(self, node: exp.Expression, around: Scope, named: Named, level: int) -> Written:
        """Write a SELECT, or several joined by UNION, EXCEPT or INTERSECT."""
        if level > MOST_LEVELS:
            raise QueryError(f"more than {MOST_LEVELS} queries are within one another; write it with fewer levels")
        before, self._named, self._level = (self._named, self._level), named, level
        try:
            if isinstance(node, exp.Subquery):
                only(node, "this")
                return self.query(node.this, around, named, level + 1)
            named = self._named = self._with(node, around, named, level)
            if type(node) in _SETS:
                return self._set(node, around, named, level)
            if isinstance(node, exp.Select):
                return self._select(node, around)
        finally:
            self._named, self._level = before
        raise QueryError("only SELECT is possible; the archive is read and nothing else")

    def _value_query(self, node: exp.Expression, scope: Scope) -> str:
        return f"({self.query(node, scope, self._named, self._level + 1).sql})"

    def _with(self, node: exp.Expression, around: Scope, named: Named, level: int) -> Named:
        clause = node.args.get("with_")
        if clause is None:
            return named
        only(clause, "expressions")
        found = dict(named)
        for each in clause.expressions:
            only(each, "this", "alias")
            only(each.args["alias"], "this")
            found[identifier(each.args["alias"].this)] = self.query(each.this, around, dict(found), level + 1)
        return found

    def _alias(self) -> str:
        self._aliases += 1
        return f"r{self._aliases}"

    def _read(self, tables: int) -> None:
        self._weight += tables
        if self._weight > MOST_TABLES:
            raise QueryError(f"the query reads more than {MOST_TABLES} tables, repeated ones counted; read fewer")

    # UNION, EXCEPT, INTERSECT

    def _set(self, node: exp.Expression, around: Scope, named: Named, level: int) -> Written:
        only(node, "this", "expression", "distinct", "order", "offset", "with_")
        one, other = (self.query(part, around, named, level + 1) for part in (node.this, node.expression))
        if len(one.outputs) != len(other.outputs):
            raise QueryError(f"{_SETS[type(node)]} joins {len(one.outputs)} columns with {len(other.outputs)}; select as many in both")
        word = _SETS[type(node)] + ("" if node.args.get("distinct") else " ALL")
        outputs = tuple(replace(mine, sql=f"c{i}") for i, mine in enumerate(one.outputs))
        sql = f"SELECT * FROM ({one.sql}) {word} SELECT * FROM ({other.sql})"
        return Written(sql + self._ends(node, Scope(), outputs), outputs, one.weight + other.weight)

    # SELECT

    def _select(self, node: exp.Expression, around: Scope) -> Written:
        only(node, "expressions", "from_", "joins", "where", "group", "having", "order", "limit", "offset", "distinct", "with_")
        scope, before = Scope(around), self._weight
        tables = self._from(node, scope)
        where = node.args.get("where")
        if where is not None:
            self._note(where.this, scope)
        columns, outputs = self._columns(node.expressions, scope)
        distinct = node.args.get("distinct")
        if distinct is not None:
            only(distinct)
        parts = [f"SELECT {'DISTINCT ' if distinct is not None else ''}{', '.join(columns)}", tables]
        parts += [] if where is None else [f"WHERE {self._expressions.write(where.this, scope)}"]
        parts += self._groups(node, scope)
        return Written(" ".join(part for part in parts if part) + self._ends(node, scope, outputs), outputs, self._weight - before)

    def _columns(self, nodes: list[exp.Expression], scope: Scope) -> tuple[list[str], tuple[Output, ...]]:
        columns: list[str] = []
        outputs: list[Output] = []
        for node in nodes:
            for sql, output in self._selected(node, scope):
                columns.append(f'{sql} AS "c{len(outputs)}"')
                outputs.append(replace(output, sql=f"c{len(outputs)}"))
        if not columns:
            raise QueryError("SELECT names no columns")
        return columns, tuple(outputs)

    def _selected(self, node: exp.Expression, scope: Scope) -> Iterator[tuple[str, Output]]:
        """Write what one entry of SELECT gives: a column, or all of a table."""
        if isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star)):
            only(node if isinstance(node, exp.Star) else node.this)
            relations = scope.relations
            if isinstance(node, exp.Column):
                relations = [scope.named(identifier(node.args.get("table")), identifier(node.args.get("db")))]
            if not relations:
                raise QueryError("SELECT * needs a table; write FROM")
            yield from ((relation.use(output), output) for relation in relations for output in relation.outputs)
            return
        name = ""
        if isinstance(node, exp.Alias):
            only(node, "this", "alias")
            name, node = str(node.args["alias"].this), node.this
        sql = self._expressions.write(node, scope)
        if isinstance(node, exp.Column):
            parts = (identifier(node.this), identifier(node.args.get("table")), identifier(node.args.get("db")))
            _, output = scope.column(*parts)
            yield sql, replace(output, name=name or output.name)
        else:
            yield sql, Output(name or called(node) or "value", "")

    def _groups(self, node: exp.Expression, scope: Scope) -> list[str]:
        parts = []
        group = node.args.get("group")
        if group is not None:
            only(group, "expressions")
            parts.append("GROUP BY " + ", ".join(self._expressions.write(each, scope) for each in group.expressions))
        having = node.args.get("having")
        return parts if having is None else [*parts, f"HAVING {self._expressions.write(having.this, scope)}"]

    def _ends(self, node: exp.Expression, scope: Scope, outputs: tuple[Output, ...]) -> str:
        """Write ORDER BY, TOP and OFFSET."""
        text = ""
        order = node.args.get("order")
        if order is not None:
            only(order, "expressions")
            text += " ORDER BY " + ", ".join(self._ordered(each, scope, outputs) for each in order.expressions)
        limit, offset = node.args.get("limit"), node.args.get("offset")
        if limit is not None:
            only(limit, "expression")
            text += f" LIMIT {whole(limit.expression)}"
        if offset is not None:
            only(offset, "expression")
            text += f" OFFSET {whole(offset.expression)}"
        return text

    def _ordered(self, node: exp.Expression, scope: Scope, outputs: tuple[Output, ...]) -> str:
        only(node, "this", "desc", "nulls_first")
        return f"{self._sort_key(node.this, scope, outputs)} {'DESC' if node.args.get('desc') else 'ASC'} NULLS LAST"

    def _sort_key(self, node: exp.Expression, scope: Scope, outputs: tuple[Output, ...]) -> str:
        if isinstance(node, exp.Literal):
            place = whole(node)
            if not 1 <= place <= len(outputs):
                raise QueryError(f"ORDER BY {place}: there are {len(outputs)} columns")
            return f'"c{place - 1}"'
        if isinstance(node, exp.Column) and not node.args.get("table"):
            name = identifier(node.this)
            mine = next((output for output in outputs if output.name.lower() == name), None)
            if mine is not None:
                return f'"{mine.sql}"'
        return self._expressions.write(node, scope)

    # FROM

    def _from(self, node: exp.Expression, scope: Scope) -> str:
        clause = node.args.get("from_")
        if clause is None:
            return ""
        only(clause, "this")
        text = "FROM " + self._relation(clause.this, scope)
        for join in [*(clause.this.args.get("joins") or ()), *(node.args.get("joins") or ())]:
            text += " " + self._join(join, scope)
        return text

    def _join(self, node: exp.Expression, scope: Scope) -> str:
        only(node, "this", "side", "kind", "on", "using", "method")
        before = list(scope.relations)
        relation = self._relation(node.this, scope)
        method, kind, side = ((node.args.get(name) or "").upper() for name in ("method", "kind", "side"))
        on, using = node.args.get("on"), [identifier(name) for name in node.args.get("using") or ()]
        if method == "NATURAL":
            mine = {output.name.lower() for output in scope.relations[-1].outputs}
            using = list(dict.fromkeys(o.name.lower() for each in before for o in each.outputs if o.name.lower() in mine))
        elif method:
            raise QueryError(f"{method} JOIN is not part of ADQL")
        if kind == "CROSS" or (on is None and not using):
            if side or kind == "OUTER":
                raise QueryError(f"{side or kind} JOIN needs ON or USING")
            return f"CROSS JOIN {relation}"
        if (kind, side) not in _JOINS:
            raise QueryError(f"{side} {kind} JOIN is not part of ADQL".replace("  ", " "))
        test = self._using(using, before, scope, side) if using else self._expressions.write(on, scope)
        return f"{_JOINS[(kind, side)]} {relation} ON {test}"

    @staticmethod
    def _using(names: list[str], before: list[Relation], scope: Scope, side: str) -> str:
        """Write equality of the columns of USING, and note which of the two stands for both."""
        tests = []
        for name in names:
            left, right = Scope(None, before, scope.merged).value(name), Scope(None, [scope.relations[-1]]).value(name)
            tests.append(f"{left} = {right}")
            scope.merged[name] = {"RIGHT": right, "FULL": f"coalesce({left}, {right})"}.get(side, left)
        return " AND ".join(tests)

    def _relation(self, node: exp.Expression, scope: Scope) -> str:
        if isinstance(node, exp.Subquery):
            only(node, "this", "alias")
            written = self.query(node.this, Scope(), self._named, self._level + 1)
            return self._derived(written, _alias_of(node), scope)
        if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
            raise QueryError("FROM names tables; functions and files are not tables here")
        only(node, "this", "db", "alias", "joins")
        name, schema = identifier(node.this), identifier(node.args.get("db"))
        if not schema and name in self._named:
            written = self._named[name]
            self._read(max(written.weight, 1))
            return self._derived(written, _alias_of(node) or name, scope)
        table = table_named(self._tables, f"{schema}.{name}" if schema else name)
        return self._table(table, _alias_of(node), scope)

    def _derived(self, written: Written, name: str, scope: Scope) -> str:
        relation = scope.add(Relation(name, self._alias(), written.outputs))
        return f"({written.sql}) AS {relation.alias}"

    def _table(self, table: Table, name: str, scope: Scope) -> str:
        self._read(1)
        source = Source(table, f"source_{len(self.sources)}")
        self.sources.append(source)
        outputs = tuple(Output(column.name, column.name, column, table) for column in table.columns.values())
        relation = scope.add(Relation(name or table.name, self._alias(), outputs, source, "" if name else table.schema))
        return f"{source.view} AS {relation.alias}"

    # What WHERE says of single tables

    def _note(self, node: exp.Expression, scope: Scope) -> None:
        """Note what has to hold for every row of a table."""
        if isinstance(node, exp.Paren):
            self._note(node.this, scope)
        elif isinstance(node, exp.And):
            self._note(node.this, scope)
            self._note(node.expression, scope)
        elif isinstance(node, (exp.EQ, exp.LT, exp.LTE, exp.GT, exp.GTE)):
            self._note_cap(node, scope)
            self._note_objects(node.this, [node.expression], scope, isinstance(node, exp.EQ))
            self._note_objects(node.expression, [node.this], scope, isinstance(node, exp.EQ))
            self._note_nights(node, scope)
        elif isinstance(node, exp.Between):
            low, high = constant(node.args["low"]), constant(node.args["high"])
            if low is not None and high is not None:
                _limit_nights(node.this, low, high, scope)
        elif isinstance(node, exp.In) and node.expressions:
            self._note_objects(node.this, node.expressions, scope, True)

    @staticmethod
    def _note_nights(node: exp.Expression, scope: Scope) -> None:
        for mine, other, turned in ((node.this, node.expression, False), (node.expression, node.this, True)):
            value = constant(other)
            if value is not None:
                least = isinstance(node, (exp.EQ, (exp.LT, exp.LTE) if turned else (exp.GT, exp.GTE)))
                most = isinstance(node, exp.EQ) or not least
                _limit_nights(mine, value if least else -math.inf, value if most else math.inf, scope)

    def _note_cap(self, node: exp.Expression, scope: Scope) -> None:
        turned = isinstance(node, (exp.GT, exp.GTE))
        call, number = (node.expression, node.this) if turned or constant(node.this) is not None else (node.this, node.expression)
        value = constant(number)
        if value is None:
            return
        if called(call) in ("contains", "intersects") and isinstance(node, exp.EQ) and value == 1 and len(call.expressions) == 2:
            regions = [(argument, self._expressions.region(argument, scope)) for argument in call.expressions]
            for (mine, one), (_, other) in (regions, regions[::-1]):
                if isinstance(one, Point) and one.place is None:
                    self._restrict(mine, geometry.cap_of(other), scope)
                elif isinstance(one, Circle) and isinstance(other, Point) and other.place is not None and one.radius.value is not None:
                    self._restrict(mine, Cap(*other.place, max(one.radius.value, 0.0)), scope)
        elif called(call) == "distance" and not isinstance(node, exp.EQ) and (turned or constant(node.this) is None):
            one, other = self._expressions.two_points(call, scope)
            for mine, place in ((one, other.place), (other, one.place)):
                if place is not None and mine.place is None:
                    self._restrict(call, Cap(*place, max(value, 0.0)), scope)

    @staticmethod
    def _restrict(node: exp.Expression, cap: Cap | None, scope: Scope) -> None:
        """Note a cap on the table whose position stands in a node, where it is nothing but that position."""
        columns = list(node.find_all(exp.Column))
        names = [identifier(column.this) for column in columns]
        plain = all(isinstance(column.parent, exp.Anonymous) for column in columns)
        if cap is None or names != ["ra", "dec"] or not plain:
            return
        found = {id(r): r for r in (_here(column, scope) for column in columns) if r is not None}
        relation = next(iter(found.values()), None)
        if len(found) == 1 and relation is not None and relation.source is not None:
            relation.source.within(cap)

    @staticmethod
    def _note_objects(node: exp.Expression, values: list[exp.Expression], scope: Scope, equal: bool) -> None:
        if not equal or not isinstance(node, exp.Column) or len(values) > MOST_NAMES or identifier(node.this) != "object_id":
            return
        if all(isinstance(value, exp.Literal) and value.is_string for value in values):
            relation = _here(node, scope)
            if relation is not None and relation.source is not None:
                relation.source.only(tuple(dict.fromkeys(str(value.this) for value in values)))


def _limit_nights(node: exp.Expression, least: float, most: float, scope: Scope) -> None:
    """Note the nights that `night` or `mjd` between two values leaves."""
    name = identifier(node.this) if isinstance(node, exp.Column) and isinstance(node.this, exp.Identifier) else ""
    if name not in ("night", "mjd"):
        return
    relation = _here(node, scope)
    if relation is not None and relation.source is not None:
        # a night is named after the day on which it began somewhere, one from that of the time at most
        ends = (least, most) if name == "night" else (_date(least - 2), _date(most + 2))
        relation.source.between(max(ends[0], 0), min(ends[1], EVER))


def _date(mjd: float) -> float:
    """Give the date of a time as YYYYMMDD; what is no date stays without bound."""
    if not 0 < mjd < 100_000:
        return -math.inf if mjd <= 0 else math.inf
    return int((date(1858, 11, 17) + timedelta(days=int(mjd))).strftime("%Y%m%d"))


def _here(column: exp.Expression, scope: Scope) -> Relation | None:
    """Give the relation of a column, if this SELECT reads it and not one around it."""
    relation, _ = scope.column(identifier(column.this), identifier(column.args.get("table")), identifier(column.args.get("db")))
    return relation if any(relation is each for each in scope.relations) else None


def _alias_of(node: exp.Expression) -> str:
    alias = node.args.get("alias")
    if alias is None:
        return ""
    only(alias, "this")
    return identifier(alias.this)
