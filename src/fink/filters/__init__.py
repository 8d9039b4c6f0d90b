"""Filters: conditions that select alerts; each defines a substream, one file each. Named cuts are in `fink.filters.cuts`,
and what users define themselves in `fink.filters.users` and `fink.filters.places`."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from fink.errors import PlanError

_NO_SUBSTREAMS = frozenset({"cuts", "places", "users"})
"""Files of this package that declare no substream."""


@dataclass(frozen=True)
class Substream:
    """The alerts that one condition selects.

    Parameters
    ----------
    about
        What it holds and whom it is for, in one sentence.
    where
        The condition, in the language of `fink.conditions`.
    per_night
        Smallest and largest number of alerts a night that are expected; outside of it operators are told.
    surveys
        The surveys it applies to; none means all.
    on_demand
        Whether it is selected only by runs that name it: for cuts that nearly every alert passes, which would write the stream
        a second time. Past alerts can always be asked for with it.
    name
        Filled in from the variable it is bound to.
    """

    about: str
    where: str
    per_night: tuple[int, int] | None = None
    surveys: tuple[str, ...] = ()
    on_demand: bool = False
    name: str = ""
    description: str = ""


def substream(
    *, about: str, where: str, per_night: tuple[int, int] | None = None, surveys: tuple[str, ...] = (), on_demand: bool = False
) -> Substream:
    """Declare a substream; its name is that of the variable and of the file it stands in."""
    return Substream(about, " ".join(where.split()), per_night, surveys, on_demand)


@dataclass(frozen=True)
class Cut:
    """A named condition that filters share: ``real``, ``extragalactic``…"""

    about: str
    where: str


@cache
def registry() -> Mapping[str, Substream]:
    """Give every built-in substream by name.

    Raises
    ------
    PlanError
        If a file of this package declares no substream of its own name.
    """
    found: dict[str, Substream] = {}
    for info in pkgutil.iter_modules(__path__):
        if info.name in _NO_SUBSTREAMS:
            continue
        module = importlib.import_module(f"{__name__}.{info.name}")
        declared = getattr(module, info.name, None)
        if not isinstance(declared, Substream):
            raise PlanError(f"{info.name}.py declares no substream called {info.name}; write {info.name} = substream(...)")
        found[info.name] = replace(declared, name=info.name, description=inspect.getdoc(module) or "")
    return found


def named_cuts() -> Mapping[str, Cut]:
    """Give the named cuts, by name."""
    members = vars(importlib.import_module(f"{__name__}.cuts"))
    return {name: member for name, member in members.items() if isinstance(member, Cut)}
