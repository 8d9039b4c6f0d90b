"""The columns of an alert in groups, each value with its meaning and unit, and for what is missing the reason."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import pyarrow as pa

from fink import catalogs, science, surveys
from fink.columns import CORE, Column
from fink.engines.plan import ABSENT, FAILED, NOT_RUN, RUN
from fink.surveys.public import public_columns

STATUS = {
    RUN: "it ran and has no answer",
    NOT_RUN: "it does not run on an alert like this",
    FAILED: "it failed on this alert",
    ABSENT: "a file that it needs is not installed",
}
"""Why a module has no value, by what its status says."""


def column_groups(alert: Mapping[str, Any], survey: str) -> list[dict[str, Any]]:
    """Give every column of an alert that has a value, in groups: of every survey, of its own, of each module and catalogue.

    Parameters
    ----------
    alert
        All columns of an alert.

    Returns
    -------
    groups
        Each with its ``name``, what it is (``about``), ``columns`` (``name``, ``public``, ``value``, ``unit``, ``about``), the
        names of those without a value (``missing``) and why (``reason``).
    """
    declared = surveys.registry()[survey]
    public = _public(survey)
    groups = [
        _group("Alert", "What alerts of every survey have", CORE, alert, public),
        _group(f"{survey.upper()} packet", "What the survey itself says, beyond that", declared.columns, alert, public),
    ]
    for name, module in science.registry().items():
        status = alert.get(f"{name}_status", -1)
        about = _about(name, module.about)
        group = _group(name, about, module.outputs, alert, public)
        group["reason"] = STATUS.get(status, "the plan of that night did not have it") if group["missing"] else ""
        group["reference"] = module.reference
        groups.append(group)
    return groups


@cache
def _public(survey: str) -> Mapping[str, str]:
    """Give the public name of every column of a survey."""
    outputs = (column for module in science.registry().values() for column in module.outputs)
    every = (*CORE, *surveys.registry()[survey].columns, *outputs)
    return {column.name: name for name, column in public_columns(survey, every).items()}


def _about(name: str, about: str) -> str:
    catalogue = catalogs.registry().get(name)
    return catalogue.about if catalogue is not None else about


def _group(name: str, about: str, columns: tuple[Column, ...], alert: Mapping[str, Any], public: Mapping[str, str]) -> dict[str, Any]:
    there = [
        {
            "name": column.name,
            "public": public.get(column.name, ""),
            "value": plain(alert[column.name], column.type),
            "unit": column.unit,
            "about": column.about,
        }
        for column in columns
        if alert.get(column.name) is not None
    ]
    missing = [column.name for column in columns if alert.get(column.name) is None]
    return {"name": name, "about": about, "columns": there, "missing": missing, "reason": "", "reference": ""}


def plain(value: Any, type_: pa.DataType | None = None) -> Any:
    """Give a value such that every reader of JSON reads it exactly: whole numbers beyond 2**53 as text, float32 with its own digits."""
    if isinstance(value, int) and abs(value) > 2**53:
        return str(value)
    return float(f"{value:.7g}") if isinstance(value, float) and type_ == pa.float32() else value
