"""What a route is: a path, its arguments, and the function that answers; the rest is the same for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa

from fink import surveys
from fink.api.answers import FORMATS, Answer, PartsAnswer, TableAnswer
from fink.api.arguments import Argument
from fink.api.cursors import read_cursor, write_cursor
from fink.archive.embedded import EmbeddedArchive
from fink.columns import Column
from fink.config import Settings
from fink.errors import did_you_mean
from fink.services import searches
from fink.services.searches import Page
from fink.surveys.public import public_vocabulary, published, runtime_columns, runtime_needs

COLUMNS = Argument("columns", "list", "Columns to give, by public name with commas between; all where none is named", example="")
OUTPUT = Argument("output-format", "choice", "Format of the answer", default="json", choices=tuple(FORMATS), example="json")
CURSOR = Argument("cursor", "text", "Where the next page begins: what the header X-Fink-Cursor of the page before says")
TABLE = (COLUMNS, OUTPUT)
"""The arguments of every route that gives a table."""


@dataclass
class Question:
    """One request: who is asked, of which survey, with which arguments.

    Parameters
    ----------
    archive
        A reader, this question's own while it is answered.
    vocabulary
        Every column that there is, by name.
    values
        The arguments that were read.
    warnings
        What the asker should know though the question was answered.
    settings
        All settings of the server.
    writer
        Who writes, where the question changes something: the owner of the token that was sent; None where it only asks.
    """

    archive: EmbeddedArchive
    survey: str
    vocabulary: Mapping[str, Column]
    values: Mapping[str, Any]
    warnings: list[str] = field(default_factory=list)
    settings: Settings = field(default_factory=Settings)
    writer: str | None = None
    next_cursor: str | None = None

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    @cached_property
    def public(self) -> Mapping[str, Column]:
        """The survey's columns, by public name."""
        return public_vocabulary(self.survey, self.vocabulary)

    def wanted(self, known: Mapping[str, Column] | None = None, always: Sequence[str] = ()) -> dict[str, Column]:
        """Give the columns asked for by public name; unknown ones are left out with a warning, as old clients expect.

        Parameters
        ----------
        known
            Which there are; those of an alert where not said.
        always
            Columns that are given whatever is asked, by Fink's own name.
        """
        known = self.public if known is None else known
        asked = self.values.get("columns")
        if not asked:
            return dict(known)
        for name in asked:
            if name not in known and name not in runtime_needs(self.survey) and not name.startswith(("v:", "b:")):
                self.warnings.append(f"there is no column {name}{did_you_mean(name, known)}")
        kept = {name: column for name, column in known.items() if column.name in always}
        return kept | {name: known[name] for name in asked if name in known}

    def listed(
        self,
        rows: pa.Table,
        names: Mapping[str, Column],
        more: Callable[[pa.Table], Mapping[str, tuple[Any, Column]]] = lambda alerts: {},
        *,
        keep: Sequence[str] = (),
        runtime: Sequence[str] = (),
    ) -> Answer:
        """Give alerts that were found in the columns wanted, with those made at query time; many of them a part at a time.

        Parameters
        ----------
        rows
            What the index found: columns of `searches.NEEDED` at least.
        more
            Gives further columns that have no other name than the public one, of each part.
        keep
            Columns of ``rows`` that no archived column stands for, and ``more`` reads.
        runtime
            Columns made at query time that are given also where other columns are named.
        """
        asked = self.values.get("columns")
        needs = {name: needed for name, needed in runtime_needs(self.survey).items() if not asked or name in (*asked, *runtime)}
        own = list(dict.fromkeys([*(column.name for column in names.values()), *(name for needed in needs.values() for name in needed)]))

        def made(part: pa.Table) -> TableAnswer:
            wide = searches.widened(self.archive, part, own)
            for name in keep:
                wide = wide if name in wide.column_names else wide.append_column(name, part[name])
            at_query = {name: values for name, values in runtime_columns(self.survey, wide).items() if name in needs} if needs else {}
            return self.table(wide, names, {**at_query, **more(wide)})

        if rows.num_rows <= rows_at_once(len(names)):
            return made(rows)
        return in_parts(rows, made, len(names))

    def page(self, first: float = searches.FIRST_DESCENDING) -> Page:
        """Give where the page asked for begins."""
        text = self.values.get("cursor")
        return read_cursor(text, self._said) if text else Page(self.archive.last_commit(), first, 0)

    def cut(self, rows: pa.Table, page: Page, column: str = "mjd") -> pa.Table:
        """Keep as many rows as were asked for, and note where the next page begins."""
        n = self["n"]
        if n is None or rows.num_rows <= n:
            return rows
        value, alert_id = (rows[name][n - 1].as_py() for name in (column, "alert_id"))
        self.next_cursor = write_cursor(Page(page.commit, value, alert_id), self._said)
        return rows.slice(0, n)

    @property
    def _said(self) -> dict[str, Any]:
        return {"survey": self.survey, **self.values}

    def table(self, rows: Any, names: Mapping[str, Column], more: Mapping[str, tuple[Any, Column]] | None = None) -> TableAnswer:
        """Give rows of Fink's columns in public form, and after them further columns that have no other name than the public one."""
        table, meanings = published(rows, self.survey, names), dict(names)
        for name, (values, column) in (more or {}).items():
            if name not in meanings:
                # where no other column is wanted, nothing tells how many rows there are
                table = table.append_column(name, values) if table.num_columns else pa.table({name: values})
                meanings = {**meanings, name: column}
        return TableAnswer(table, meanings)


CELLS_READ, CELLS_WRITTEN = 16_000_000, 1_000_000
"""Values that are read from the lake, and written, at once."""


def rows_at_once(columns: int) -> int:
    """Give how many rows of an answer with so many columns are written at once."""
    return max(500, CELLS_WRITTEN // max(1, columns))


def in_parts(rows: pa.Table, made: Callable[[pa.Table], TableAnswer], columns: int) -> PartsAnswer:
    """Make a long answer part by part: read in blocks, since a file is read anew for each, and written in smaller parts."""
    block, step = max(500, CELLS_READ // max(1, columns)), rows_at_once(columns)
    first = made(rows.slice(0, 1))

    def parts() -> Iterator[pa.Table]:
        for start in range(0, rows.num_rows, block):
            table = _fitted(made(rows.slice(start, block)).table, first.table.schema)
            yield from (table.slice(place, step) for place in range(0, table.num_rows, step))

    return PartsAnswer(parts, first.table.schema, rows.num_rows, first.meanings)


def _fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give a part the columns of the whole; one that no row of the part has is null."""
    there = set(table.column_names)
    arrays = [table[field.name].cast(field.type) if field.name in there else pa.nulls(table.num_rows, field.type) for field in schema]
    return pa.table(arrays, schema=schema)


@dataclass(frozen=True)
class Route:
    """A path of the interface.

    Parameters
    ----------
    path
        Below the survey's base, as ``/objects``.
    about
        What it answers, in a sentence; shown where it is asked without arguments.
    arguments
        What it takes.
    answer
        Answers a question.
    surveys
        Names of the surveys that have it.
    bare
        Whether a GET without arguments is a question too, and not a wish to read about the route.
    writes
        Whether a POST changes something, and needs a token that allows it.
    """

    path: str
    about: str
    arguments: tuple[Argument, ...]
    answer: Callable[[Question], Answer]
    surveys: tuple[str, ...] = ("ztf", "lsst")
    bare: bool = False
    writes: bool = False

    def description(self, base: str) -> str:
        """Describe the route for a person."""
        lines = [f"{base}{self.path}: {self.about}", ""]
        for argument in self.arguments:
            need = "required" if argument.required else f"default {argument.default}" if argument.default is not None else "optional"
            choices = f" ({', '.join(argument.choices)})" if argument.choices else ""
            lines.append(f"  {argument.name} [{argument.kind}, {need}]{choices}: {argument.about}")
        return "\n".join(lines) + "\n"


def public_word(survey: str, column: str) -> str:
    """Give the public name of a column without its prefix: the word that arguments are named after."""
    return surveys.registry()[survey].public_name(column).rpartition(":")[2]
