"""Trials: what a substream would have sent from the archive, and what it costs, before it selects from the stream."""

from __future__ import annotations

import datetime
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink import columns, filters, surveys
from fink.archive.embedded import EmbeddedArchive
from fink.columns import Column
from fink.engines.plan import all_outputs
from fink.engines.users import microseconds, take
from fink.errors import QueryError, RefusedError
from fink.filters.users import Compiled, Places, UserSubstream, compile_substream

MONTH = 30
"""Days of the trial, up to the newest night of the archive."""

_END = 99_999_999
"""A night after all others."""

_SHOWN = ("survey", "object_id", "sso_name", "alert_id", "mjd", "ra", "dec", "band", "mag")
_CLASS = "fink_class"
"""What is shown too, where the archive has it."""
_NEWEST = 10
_SAMPLE = 4000
"""Alerts on which the cost is measured: a full batch."""


@dataclass(frozen=True)
class Trial:
    """What a substream would have done.

    Parameters
    ----------
    nights
        For each survey and night how many alerts it would have taken: ``survey``, ``night``, ``selected``.
    newest
        The newest of these alerts.
    microseconds
        Processor time an alert [us]; None where there was no alert to measure it on.
    """

    nights: list[dict[str, Any]]
    newest: list[dict[str, Any]] = field(default_factory=list)
    microseconds: float | None = None

    @property
    def selected(self) -> int:
        """How many alerts it would have taken altogether."""
        return sum(night["selected"] for night in self.nights)

    @property
    def fullest(self) -> tuple[int, int]:
        """The night in which it would have taken most, over all surveys, and how many."""
        total: dict[int, int] = {}
        for night in self.nights:
            total[night["night"]] = total.get(night["night"], 0) + night["selected"]
        return max(total.items(), key=lambda item: item[1], default=(0, 0))


def vocabulary() -> dict[str, Column]:
    """Give every column that a condition may name: of core, surveys and modules, and why a module has no value."""
    of_surveys = (survey.columns for survey in surveys.registry().values())
    return columns.merge_columns(columns.CORE, *of_surveys, all_outputs().values())


def compiled(substream: UserSubstream, places: Places | None = None) -> Compiled:
    """Check a substream against everything that there is.

    Raises
    ------
    ConditionError
        If its condition does not parse, or names what does not exist.
    """
    types = {name: column.type for name, column in vocabulary().items()}
    return compile_substream(substream, types, {name: cut.where for name, cut in filters.named_cuts().items()}, places)


@dataclass(frozen=True)
class Span:
    """Nights from one to another, both included, as YYYYMMDD."""

    first: int
    last: int


def try_out(
    archive: EmbeddedArchive,
    chosen: Compiled,
    *,
    days: int | None = MONTH,
    night: int | Span | None = None,
    survey: str | None = None,
    cost: bool = True,
    patience: float = 60.0,
) -> Trial:
    """Say what a substream would have taken from the archive.

    Parameters
    ----------
    days
        Days up to the newest night; None looks at everything.
    night, survey
        Only this night, or these nights; only this survey.
    cost
        Whether to measure what it costs, too.
    patience
        Seconds that looking at the archive may take [s].

    Raises
    ------
    QueryError
        If it takes longer.
    """
    wanted = [survey] if survey is not None else list(chosen.substream.surveys)
    span, began = _span(archive, days, night), time.monotonic()
    counts: Counter[tuple[str, int]] = Counter()
    newest: list[pa.Table] = []
    columns_ = [*dict.fromkeys((*_SHOWN, _CLASS, "night", *sorted(chosen.columns)))]
    # only the files that can hold any of it, and of these only the columns that are read
    for part in archive.alert_columns(columns_, wanted or list(surveys.registry()), (span.first, span.last)):
        taken = _taken(chosen, part)
        if taken.num_rows:
            # a file is of one survey and night
            counts[(taken["survey"][0].as_py(), taken["night"][0].as_py())] += taken.num_rows
            newest = [_newest([*newest, taken])]
        if time.monotonic() - began > patience:
            raise QueryError(f"trying it took longer than {patience:g} s and was stopped; try it on fewer nights")
    nights = [{"survey": each, "night": date, "selected": number} for (each, date), number in sorted(counts.items())]
    shown = newest[0].drop_columns(["night"]).to_pylist() if newest else []
    return Trial(nights, shown, measured(archive, chosen) if cost else None)


def _taken(chosen: Compiled, part: pa.Table) -> pa.Table:
    """Give of some alerts those that a substream takes, with what is shown of them."""
    declared = vocabulary()
    for name in sorted(chosen.columns - {*part.column_names}):
        # nothing had made it yet when these were archived
        part = part.append_column(name, pa.nulls(part.num_rows, declared[name].type))
    mask, said = chosen.narrowed(chosen.condition.mask(part), part)
    kept = [name for name in (*_SHOWN, _CLASS, "night") if name in part.column_names]
    shown = part.select(kept)
    if said is not None:
        for name in said.column_names:
            shown = shown.append_column(name, said[name])
    return shown.filter(pa.array(mask))


def _newest(parts: list[pa.Table]) -> pa.Table:
    """Keep the newest of the alerts in some parts."""
    joined = pa.concat_tables(parts, promote_options="permissive")
    return joined.take(pc.sort_indices(joined, [("mjd", "descending"), ("alert_id", "descending")])[:_NEWEST])


def _span(archive: EmbeddedArchive, days: int | None, night: int | Span | None) -> Span:
    """Give the nights of a trial."""
    if isinstance(night, Span):
        return night
    if night is not None:
        return Span(int(night), int(night))
    newest = max((each["night"] for each in archive.statistics()["nights"]), default=0)
    if days is None or not newest:
        return Span(0, _END)
    first = datetime.datetime.strptime(str(newest), "%Y%m%d") - datetime.timedelta(days=days - 1)
    return Span(int(f"{first:%Y%m%d}"), _END)


def measured(archive: EmbeddedArchive, chosen: Compiled) -> float | None:
    """Measure what a substream costs on the newest alerts of the archive [us an alert]; None where there are none.

    Raises
    ------
    RefusedError
        If it cannot be evaluated.
    """
    alerts = _newest_alerts(archive)
    if alerts is None:
        return None
    for error in take({"": chosen}, alerts, vocabulary()).failed.values():
        raise RefusedError(f"it cannot be evaluated: {error}") from error
    return microseconds(chosen, alerts, vocabulary())


def _newest_alerts(archive: EmbeddedArchive) -> pa.Table | None:
    """Give a full batch of the newest alerts, the same ones again and again where there are too few."""
    parts: list[pa.Table] = []
    rows = 0
    for number in range(archive.last_commit(), 0, -1):
        if rows >= _SAMPLE or len(parts) >= 16:
            break
        table = archive.commit_rows(number)
        if table.num_rows:
            parts, rows = [*parts, table], rows + table.num_rows
    if not rows:
        return None
    alerts = pa.concat_tables(parts, promote_options="permissive")
    return alerts.take(pa.array(np.arange(_SAMPLE, dtype=np.int64) % rows)).combine_chunks()


def report(trial: Trial, what: Mapping[str, Any]) -> dict[str, Any]:
    """Give a trial as one document."""
    record = {"selected": trial.selected, "nights": trial.nights, "newest": trial.newest, "us_per_alert": trial.microseconds}
    return {**what, **record}
