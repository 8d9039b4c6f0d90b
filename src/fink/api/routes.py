"""What a route is: a path, its arguments, and the function that answers; the rest is the same for all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fink import surveys
from fink.api.answers import FORMATS, Answer, TableAnswer
from fink.api.arguments import Argument
from fink.archive.embedded import EmbeddedArchive
from fink.columns import Column
from fink.config import Settings
from fink.errors import did_you_mean
from fink.surveys.public import public_columns, published

COLUMNS = Argument("columns", "list", "Columns to give, by public name with commas between; all where none is named", example="")
OUTPUT = Argument("output-format", "choice", "Format of the answer", default="json", choices=tuple(FORMATS), example="json")
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
    def public(self) -> dict[str, Column]:
        """The survey's columns, by public name."""
        return public_columns(self.survey, self.vocabulary.values())

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
            if name not in known and not name.startswith(("v:", "b:")):
                self.warnings.append(f"there is no column {name}{did_you_mean(name, known)}")
        kept = {name: column for name, column in known.items() if column.name in always}
        return kept | {name: known[name] for name in asked if name in known}

    def table(self, rows: Any, names: Mapping[str, Column], more: Mapping[str, tuple[Any, Column]] | None = None) -> TableAnswer:
        """Give rows of Fink's columns in public form, and after them further columns that have no other name than the public one."""
        table, meanings = published(rows, self.survey, names), dict(names)
        for name, (values, column) in (more or {}).items():
            table, meanings = table.append_column(name, values), {**meanings, name: column}
        return TableAnswer(table, meanings)


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
