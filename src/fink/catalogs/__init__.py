"""Catalogues: what is already known at each place of the sky, kept on this machine and matched in microseconds.

A catalogue is declared by a file of its name in this package: `registry` gives them all. What is installed is found by
`fink.catalogs.store`, put there by `fink.catalogs.importing`, and matched by `fink.catalogs.match`. The module that gives alerts the
columns of a catalogue is derived from its declaration (`fink.science`).
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from fink.catalogs.declaration import Catalogue, Download, Expression, Field
from fink.errors import PlanError

__all__ = ["Catalogue", "Download", "Expression", "Field", "registry"]

FOLDER = "catalogs"
"""Folder of the installed catalogues within that of the artifacts."""

_NO_CATALOGUES = frozenset(
    {"covering", "declaration", "fetching", "importing", "kernel", "match", "reading", "simbad_types", "store", "writing"}
)
"""Files of this package that declare no catalogue."""


@cache
def registry() -> Mapping[str, Catalogue]:
    """Give every declared catalogue by name, installed or not.

    Raises
    ------
    PlanError
        If a file of this package declares no catalogue of its own name.
    """
    found: dict[str, Catalogue] = {}
    for info in pkgutil.iter_modules(__path__):
        if info.name in _NO_CATALOGUES:
            continue
        module = importlib.import_module(f"{__name__}.{info.name}")
        declared = getattr(module, info.name, None)
        if not isinstance(declared, Catalogue):
            raise PlanError(f"{info.name}.py declares no catalogue called {info.name}; write {info.name} = Catalogue(...)")
        text = inspect.getdoc(module) or ""
        found[info.name] = replace(declared, name=info.name, about=" ".join(text.split("\n\n")[0].split()), description=text)
    return found
