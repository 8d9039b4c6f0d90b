"""What names mean in an ADQL query: tables and columns that can be seen from a place, and what has to be fetched for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from fink.columns import Column
from fink.errors import QueryError, did_you_mean
from fink.vo.geometry import Cap
from fink.vo.tables import Table

EVER = 99_999_999
"""Later than any night, as YYYYMMDD."""


@dataclass
class Source:
    """A table of the archive at one place of a query, and what the query needs of it.

    Parameters
    ----------
    view
        Its name in the SQL that runs.
    columns
        Names of the columns that are used, in the order of their first use.
    cap
        Where on the sky all rows lie that matter; None for everywhere.
    objects
        The objects that all rows that matter belong to; None for all.
    first, last
        Nights between which they lie, both included.
    """

    table: Table
    view: str
    columns: dict[str, None] = field(default_factory=dict)
    cap: Cap | None = None
    objects: tuple[str, ...] | None = None
    first: int = 0
    last: int = EVER

    def within(self, cap: Cap) -> None:
        """Say that only rows in a cap matter; the smallest one that was ever said is kept."""
        if self.table.has_sky and (self.cap is None or cap.radius < self.cap.radius):
            self.cap = cap

    def only(self, objects: tuple[str, ...]) -> None:
        """Say that only rows of these objects matter."""
        if self.table.has_sky and (self.objects is None or len(objects) < len(self.objects)):
            self.objects = objects

    def between(self, first: float, last: float) -> None:
        """Say that only alerts of some nights matter."""
        if self.table.kind == "alerts":
            self.first, self.last = int(max(self.first, first)), int(min(self.last, last))


@dataclass(frozen=True)
class Output:
    """A column of a query's result: the name that the user gave or sees, its name in the SQL, and what it means where that is known."""

    name: str
    sql: str
    column: Column | None = None
    table: Table | None = None


@dataclass(frozen=True)
class Relation:
    """A table or subquery in FROM.

    Parameters
    ----------
    name
        What the user calls it, in lower case; empty for a subquery without a name.
    alias
        Its name in the SQL.
    outputs
        Its columns.
    source
        The table of the archive, where it is one.
    """

    name: str
    alias: str
    outputs: tuple[Output, ...]
    source: Source | None = None
    schema: str = ""

    def find(self, name: str) -> Output | None:
        """Give the column of a name."""
        return next((output for output in self.outputs if output.name.lower() == name), None)

    def use(self, output: Output) -> str:
        """Write a column, and note that it is used."""
        if self.source is not None:
            self.source.columns[output.name] = None
        return f'{self.alias}."{output.sql}"'


@dataclass
class Scope:
    """The relations that a SELECT sees, and those of the queries around it."""

    parent: Scope | None = None
    relations: list[Relation] = field(default_factory=list)
    merged: dict[str, str] = field(default_factory=dict)
    """What a column of USING is, by name."""

    def add(self, relation: Relation) -> Relation:
        """Take a relation in.

        Raises
        ------
        QueryError
            If there is another of its name.
        """
        if any(relation.name and (relation.name, relation.schema) == (other.name, other.schema) for other in self.relations):
            raise QueryError(f"{relation.name} occurs twice in FROM; give each a name of its own with AS")
        self.relations.append(relation)
        return relation

    def around(self) -> Iterator[Scope]:
        """Give this scope, then those around it."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def named(self, name: str, schema: str = "") -> Relation:
        """Give the relation that a qualifier means.

        Raises
        ------
        QueryError
            If there is none.
        """
        for scope in self.around():
            found = [each for each in scope.relations if each.name == name and schema in ("", each.schema)]
            if found:
                return found[0]
        known = [each.name for scope in self.around() for each in scope.relations if each.name]
        raise QueryError(f"no table {name} in FROM{did_you_mean(name, known)}")

    def column(self, name: str, qualifier: str = "", schema: str = "") -> tuple[Relation, Output]:
        """Find a column, here or in a query around.

        Raises
        ------
        QueryError
            If there is none, or several.
        """
        if qualifier:
            relation = self.named(qualifier, schema)
            output = relation.find(name)
            if output is None:
                raise QueryError(f"there is no column {name} in {qualifier}{did_you_mean(name, [each.name for each in relation.outputs])}")
            return relation, output
        for scope in self.around():
            found = [(relation, output) for relation in scope.relations if (output := relation.find(name)) is not None]
            if len(found) > 1 and name not in scope.merged:
                raise QueryError(f"column {name} is in several tables; write as {found[0][0].name or 'table'}.{name} which is meant")
            if found:
                return found[0]
        known = {output.name for scope in self.around() for relation in scope.relations for output in relation.outputs}
        raise QueryError(f"there is no column {name}{did_you_mean(name, sorted(known))}")

    def value(self, name: str, qualifier: str = "", schema: str = "") -> str:
        """Write the value of a column, as `column` finds it."""
        if not qualifier:
            for scope in self.around():
                if name in scope.merged:
                    return scope.merged[name]
                if any(relation.find(name) for relation in scope.relations):
                    break
        relation, output = self.column(name, qualifier, schema)
        return relation.use(output)


def table_named(tables: Mapping[str, Table], name: str) -> Table:
    """Give the table of a full name in lower case, or of a name that only one schema has.

    Raises
    ------
    QueryError
        If there is none.
    """
    if name in tables:
        return tables[name]
    alone = [table for table in tables.values() if table.name == name]
    if len(alone) == 1:
        return alone[0]
    raise QueryError(f"there is no table {name}{did_you_mean(name, tables)}; there are {', '.join(tables)}")
