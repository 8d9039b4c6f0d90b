"""What a page is: a path, what it may be asked, a function that answers with plain values, and a template that shows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fink.api.arguments import Argument
from fink.archive.embedded import EmbeddedArchive
from fink.columns import Column
from fink.config import Settings
from fink.services.live import LiveArchive


@dataclass(frozen=True)
class Visit:
    """One visit to a page: who is asked, and for what.

    Parameters
    ----------
    archive
        A reader, this visit's own while it is answered.
    live
        Lends further readers, to what goes on after the answer.
    vocabulary
        Every column that there is, by name.
    settings
        All settings of the server.
    path
        The parts of the address that the page's path names; ``survey``, where there is one, is a survey that exists.
    query
        The page's arguments, as they were read.
    text
        What the address said after the question mark, as it was written, by name.
    base
        Address of this server as the visitor wrote it, for what is to be run elsewhere; without a slash at its end.
    """

    archive: EmbeddedArchive
    live: LiveArchive
    vocabulary: Mapping[str, Column]
    settings: Settings
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    text: Mapping[str, str] = field(default_factory=dict)
    base: str = ""

    @property
    def survey(self) -> str | None:
        """The survey that the address names, None where it names none."""
        return self.path.get("survey")


@dataclass(frozen=True)
class Moved:
    """The answer of a page that is to be found elsewhere.

    Parameters
    ----------
    to
        Address on this server.
    """

    to: str


Answer = Mapping[str, Any] | Moved


@dataclass(frozen=True)
class Page:
    """A page of the portal.

    Parameters
    ----------
    path
        Its address, with the parts that vary in braces, as ``/{survey}/object/{id}``.
    name
        What it is called: its link in the navigation, where it has one.
    template
        File that shows the answer; empty for what only programs ask, which is given as JSON.
    answer
        Gives plain values: they are the template's context, and the page's twin in JSON.
    arguments
        What may be asked after the question mark, or sent in the body where ``method`` is POST.
    place
        Its place in the navigation; 0 leaves it out.
    lasting
        Whether the answer depends on the address and the last commit only, and may be kept until the next one.
    outside
        Sources outside this server that the page may use on demand, by directive of the content security policy.
    method
        How it is asked.
    costly_with
        The argument with which it looks at very many alerts: such visits count against what an asker may ask in a minute.
    """

    path: str
    name: str
    template: str
    answer: Callable[[Visit], Answer]
    arguments: tuple[Argument, ...] = ()
    place: int = 0
    lasting: bool = True
    outside: Mapping[str, str] = field(default_factory=dict)
    method: Literal["GET", "POST"] = "GET"
    costly_with: str = ""
