"""Fink, an astronomical alert broker.

`fink.enrich` measures light curves that are in a table; the rest is reached through `fink.factory`, and by the command ``fink``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar

__all__ = ["enrich"]

T = TypeVar("T")


def enrich(table: T, modules: Sequence[str] | None = None, *, survey: str = "lsst", each: Literal["object", "epoch"] = "object") -> T:
    """Run science modules on a table of light curves.

    Parameters
    ----------
    table
        A row for each point, of pandas, Polars or Arrow, with the columns ``object_id``, ``mjd`` [d], ``band``, ``flux`` and
        ``flux_err`` [nJy]. It may have, for each point, ``survey``, ``kind`` (detection, forced or limit), ``total_flux`` and
        ``total_flux_err``, and any column of an alert: ``ra``, ``dec``, ``real_score``…
    modules
        Names of science modules; all that can run where none is named.
    survey
        The survey of all points, where the table does not say it.
    each
        ``object``: a row for each object, its latest detection, measured with its whole light curve. ``epoch``: a row for each
        detection, measured with what was known by then.

    Returns
    -------
    table
        These rows of the table, with the columns that the modules add; of the same kind as was given.

    Raises
    ------
    fink.errors.SourceError
        If the table lacks a column or holds a value that cannot be used.
    fink.errors.PlanError
        If there is no module of a name, or it cannot run on the table.

    Warns
    -----
    UserWarning
        If no module was named, and some cannot run on the table: says which, and why.
    """
    from fink import factory

    enriched: T = factory.enrich(table, modules, survey=survey, each=each)
    return enriched
