"""Trials: what a substream would have sent from the archive, and what it costs, before it selects from the stream."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink import columns, filters, surveys
from fink.archive.embedded import EmbeddedArchive
from fink.archive.segments import Kind
from fink.archive.sql import query
from fink.columns import Column
from fink.engines.plan import all_outputs
from fink.engines.users import microseconds, take
from fink.errors import RefusedError
from fink.filters.users import Compiled, Places, UserSubstream, compile_substream

ROWS: tuple[Kind, ...] = ("rows",)
"""The files of the lake that questions about alerts need."""

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

_SQL_TYPES = {pa.string(): "VARCHAR", pa.bool_(): "BOOLEAN", pa.float32(): "FLOAT", pa.float64(): "DOUBLE"}


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
        Seconds that looking at the archive may take, twice [s].

    Raises
    ------
    QueryError
        If it takes longer.
    """
    wanted = [survey] if survey is not None else list(chosen.substream.surveys)
    span = _span(archive, days, night)
    # only the files that can hold any of it: of an archive of years, the rest is not even opened
    with archive.connection(ROWS, wanted or list(surveys.registry()), (span.first, span.last)) as connection:
        known = set(query(connection, "DESCRIBE alerts")["column_name"].to_pylist())
        within = _within(span, wanted)
        where = f"FROM {_with_nulls(chosen, known)} WHERE ({chosen.condition.to_sql()}) AND {within}"
        if chosen.places is not None:
            nights, newest = _in_places(archive, chosen.places, where)
        else:
            nights = query(
                connection, f"SELECT survey, night, count(*) AS selected {where} GROUP BY ALL ORDER BY ALL", seconds=patience
            ).to_pylist()
            shown = [*_SHOWN, *({_CLASS} & known)]
            newest = query(connection, f"SELECT {', '.join(shown)} {where} ORDER BY mjd DESC LIMIT {_NEWEST}", seconds=patience).to_pylist()
    return Trial(nights, newest, measured(archive, chosen) if cost else None)


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


def _within(span: Span, wanted: list[str]) -> str:
    """Write the nights and surveys of a trial as a condition."""
    parts = [f"night BETWEEN {span.first} AND {span.last}"]
    if wanted:
        parts.append("survey IN (" + ", ".join("'" + name.replace("'", "''") + "'" for name in wanted) + ")")
    return " AND ".join(parts)


def _with_nulls(chosen: Compiled, known: set[str]) -> str:
    """Name the table of alerts with the columns that the archive has not, because nothing has made them yet, as null."""
    declared = vocabulary()
    absent = sorted(chosen.columns - known)
    if not absent:
        return "alerts"
    nulls = ", ".join(f'CAST(NULL AS {_SQL_TYPES.get(declared[name].type, "BIGINT")}) AS "{name}"' for name in absent)
    return f"(SELECT *, {nulls} FROM alerts)"


def _in_places(archive: EmbeddedArchive, places: Places, where: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Count the alerts that lie in some places, part by part, and keep the newest."""
    shown, counts = pa.table({}), pa.table({})
    for part in _inside(places, archive.parts(f"SELECT {', '.join(_SHOWN)}, night {where}")):
        grouped = part.group_by(["survey", "night"]).aggregate([([], "count_all")])
        counts = grouped if not counts.num_columns else pa.concat_tables([counts, grouped])
        shown = part if not shown.num_columns else pa.concat_tables([shown, part])
        shown = shown.take(pc.sort_indices(shown, [("mjd", "descending")])[:_NEWEST])
    if not counts.num_columns:
        return [], []
    total = (
        counts.group_by(["survey", "night"]).aggregate([("count_all", "sum")]).sort_by([("survey", "ascending"), ("night", "ascending")])
    )
    nights = total.rename_columns({"count_all_sum": "selected"}).select(["survey", "night", "selected"])
    return nights.to_pylist(), shown.drop_columns(["night"]).to_pylist()


def _inside(places: Places, parts: Iterator[pa.Table]) -> Iterator[pa.Table]:
    for part in parts:
        inside, said = places.match(part["ra"].to_numpy(), part["dec"].to_numpy())
        if said is not None:
            for name in said.column_names:
                part = part.append_column(name, said[name])
        if inside.any():
            yield part.filter(pa.array(inside))


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
