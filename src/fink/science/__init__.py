"""Science modules: pure functions that measure alerts and add columns, one file each.

A module is discovered by being in this package; nothing else needs to be told about it. Modules never import one
another: what one needs from another it takes as an input column, and the plan orders them.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa

from fink import catalogs
from fink.artifacts import Artifact
from fink.catalogs.declaration import Catalogue
from fink.catalogs.store import CURRENT, InstalledCatalogue
from fink.columns import Column
from fink.errors import PlanError

Columns = Mapping[str, Any]
"""What a module gives: for each output column a numpy or Arrow array (or a masked array) of one value per alert."""

SPECIAL_INPUTS = frozenset({"lightcurves", "cutouts"})
"""Parameter names that stand for something else than a column."""


@dataclass(frozen=True)
class ScienceModule:
    """A registered module; see `science_module`."""

    name: str
    function: Callable[..., Columns]
    version: str
    outputs: tuple[Column, ...]
    inputs: tuple[str, ...]
    where: str
    reference: str
    about: str
    description: str
    artifacts: tuple[Artifact, ...] = ()

    @property
    def input_columns(self) -> frozenset[str]:
        """Names of the columns among its inputs."""
        return frozenset(self.inputs) - SPECIAL_INPUTS - {artifact.name for artifact in self.artifacts}


def with_error(name: str, type_: pa.DataType, unit: str, ucd: str, about: str) -> tuple[Column, Column]:
    """Declare a quantity, and its error as ``<name>_err``."""
    # a rate may only be the first word of a UCD
    of_error = f"stat.error;{ucd.removeprefix('arith.rate;')}"
    return Column(name, type_, unit, ucd, about), Column(f"{name}_err", pa.float32(), unit, of_error, f"One-sigma error of {name}")


def installed_catalogue(name: str, *, optional: bool = False) -> Artifact:
    """Declare a catalogue as what a module reads; it is given as a `fink.catalogs.store.InstalledCatalogue`."""
    how = f"the catalogue {name}; fink catalogs add {name} installs it"
    files = (f"{catalogs.FOLDER}/{name}/{CURRENT}",)
    return Artifact(name, files, InstalledCatalogue.open, how, replaceable=True, optional=optional)


def science_module(
    *,
    version: str,
    outputs: tuple[Column, ...],
    where: str = "",
    reference: str = "",
    artifacts: tuple[Artifact, ...] = (),
) -> Callable[[Callable[..., Columns]], ScienceModule]:
    """Declare a function to be a science module.

    The function's parameter names are its inputs: columns by name, ``lightcurves`` (`fink.lightcurves.LightCurves`),
    ``cutouts`` (`fink.codecs.cutouts.Stamps`), or an artifact by its name. Numbers and booleans arrive as numpy arrays (n,): floats, and
    nullable integers and booleans, as float64 with NaN for null; integers and booleans that are never null in their
    own type; text as Arrow arrays.

    Parameters
    ----------
    version
        Changes whenever a value may change.
    outputs
        The columns that it adds; NaN and infinities become null.
    where
        A condition; the module runs on these alerts alone and gives null elsewhere.
    reference
        DOI or URL of the paper that the method comes from.
    artifacts
        Files that it reads; where one is not there, the module does not run.
    """

    def register(function: Callable[..., Columns]) -> ScienceModule:
        module = inspect.getmodule(function)
        text = inspect.getdoc(module) or ""
        if not text:
            raise PlanError(f"science module {function.__name__} does not say what it measures; write a docstring for its file")
        return ScienceModule(
            name=function.__name__,
            function=function,
            version=version,
            outputs=outputs,
            inputs=tuple(inspect.signature(function).parameters),
            where=where,
            reference=reference,
            about=text.split("\n\n")[0].replace("\n", " "),
            description=text,
            artifacts=artifacts,
        )

    return register


@cache
def registry() -> Mapping[str, ScienceModule]:
    """Give every science module by name: each file of this package holds one, and one is derived from each catalogue.

    Raises
    ------
    PlanError
        If two modules share a name, or a file holds no module.
    """
    found: dict[str, ScienceModule] = {}
    for info in pkgutil.iter_modules(__path__):
        members = vars(importlib.import_module(f"{__name__}.{info.name}")).values()
        modules = [member for member in members if isinstance(member, ScienceModule)]
        if not modules:
            raise PlanError(f"{info.name}.py holds no science module; decorate its function with @science_module")
        for module in modules:
            if module.name in found:
                raise PlanError(f"two science modules are called {module.name}; rename one of them")
            found[module.name] = module
    for module in map(_matching, catalogs.registry().values()):
        if module.name in found:
            raise PlanError(f"a science module and a catalogue are both called {module.name}; rename one of them")
        found[module.name] = module
    return found


def _matching(catalogue: Catalogue) -> ScienceModule:
    """Derive from a catalogue's declaration the module that gives alerts the columns of the best match."""
    types = {column.name: column.type for column in catalogue.columns}

    def match(ra: Any, dec: Any, mjd: Any, installed: InstalledCatalogue) -> Columns:
        """Match alerts at the places and times where they were seen."""
        return installed.on_positions(ra, dec, mjd, types)

    def look_up(object_id: pa.Array, installed: InstalledCatalogue) -> Columns:
        """Find alerts of the objects that are listed."""
        return installed.on_objects(object_id, f"{catalogue.name}_{catalogue.object_field}", types)

    return ScienceModule(
        name=catalogue.name,
        function=look_up if catalogue.object_field else match,
        version=catalogue.version,
        outputs=catalogue.columns,
        inputs=(*(("object_id",) if catalogue.object_field else ("ra", "dec", "mjd")), catalogue.name),
        where="",
        reference=catalogue.citation,
        about=catalogue.about,
        description=catalogue.description,
        artifacts=(installed_catalogue(catalogue.name),),
    )
