"""Rules of substreams as people read them: the condition, the named cuts in it, and what each column that it reads means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from fink import filters, science
from fink.columns import Column
from fink.conditions import parse_condition

_QUOTED = re.compile(r"'[^']*'")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@cache
def makers() -> Mapping[str, str]:
    """Name the science module that makes each column; what a survey sends is made by none."""
    found: dict[str, str] = {}
    for module in science.registry().values():
        found |= {column.name: module.name for column in module.outputs}
        found[f"{module.name}_status"] = module.name
    return found


def cuts_in(condition: str) -> list[str]:
    """Name the cuts that a condition uses, and those that these use in turn, in the order in which they are met."""
    known, found = filters.named_cuts(), list[str]()
    waiting = [condition]
    while waiting:
        words = _WORD.findall(_QUOTED.sub("", waiting.pop(0)))
        fresh = [word for word in dict.fromkeys(words) if word in known and word not in found]
        found += fresh
        waiting += [known[name].where for name in fresh]
    return found


def explained(condition: str, vocabulary: Mapping[str, Column]) -> dict[str, Any]:
    """Explain a condition.

    Parameters
    ----------
    vocabulary
        Every column that a condition may name.

    Returns
    -------
    what
        ``cuts``, each with its name, what it says and its own condition; ``columns``, as `described`; and ``written_out``, the
        condition with every cut in full.

    Raises
    ------
    ConditionError
        If the condition cannot be read.
    """
    named = filters.named_cuts()
    checked = parse_condition(
        condition, {name: column.type for name, column in vocabulary.items()}, {name: cut.where for name, cut in named.items()}
    )
    cuts = [{"name": name, "about": named[name].about, "where": named[name].where} for name in cuts_in(condition)]
    columns = [described(vocabulary[name]) for name in sorted(checked.columns)]
    return {"cuts": cuts, "columns": columns, "written_out": checked.canonical()}


def described(column: Column) -> dict[str, Any]:
    """Say what a column is: ``name``, ``type``, ``unit``, ``ucd``, ``about`` and ``module``, which is empty for what the survey sends."""
    return {
        "name": column.name,
        "type": str(column.type),
        "unit": column.unit,
        "ucd": column.ucd,
        "about": column.about,
        "module": makers().get(column.name, ""),
    }
