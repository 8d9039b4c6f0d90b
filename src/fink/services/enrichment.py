"""Packets and light-curve tables to enriched ones, without an archive: every column that the plan adds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fink.codecs.parquet import described, replacing
from fink.columns import COLUMNS, CORE, Column, merge_columns
from fink.commits import PlanRecord
from fink.config import BatchSettings
from fink.engines.compute import compute
from fink.engines.plan import NOT_RUN, Plan, Step
from fink.errors import PlanError, SourceError
from fink.lightcurves import DETECTION, FORCED, LIMIT, LightCurves
from fink.services.lightcurve_tables import DERIVED, OF_POINTS, Each, LightCurveTable, vocabulary
from fink.streams import Source
from fink.surveys import Survey

KINDS = {DETECTION: "detection", FORCED: "forced", LIMIT: "limit"}
"""What the kinds of point are called outside."""

POINT = pa.struct(
    [
        ("mjd", pa.float64()),
        ("band", pa.string()),
        ("kind", pa.string()),
        ("flux", pa.float32()),
        ("flux_err", pa.float32()),
        ("total_flux", pa.float32()),
        ("total_flux_err", pa.float32()),
        ("point_id", pa.int64()),
        ("detector", pa.int16()),
    ]
)
"""One point of the ``lightcurve`` column."""


MOST_NAMED = 3
"""Columns that are named of those that a module would need."""


@dataclass(frozen=True)
class Unreadable:
    """An item that gave no row: where it is and why."""

    source: str
    position: str
    reason: str


def nested_lightcurves(curves: LightCurves) -> pa.Array:
    """Give light curves as a list of points for each alert; what is not a number is null."""
    band_names = pa.array([band.name for band in curves.bands], pa.string())
    kinds = pa.array([KINDS[kind] for kind in sorted(KINDS)], pa.string())
    values = {
        "mjd": pa.array(curves.mjd),
        "band": band_names.take(pa.array(curves.band)),
        "kind": kinds.take(pa.array(curves.kind)),
        **{name: _null_if_nan(getattr(curves, name)) for name in ("flux", "flux_err", "total_flux", "total_flux_err")},
        "point_id": pa.array(curves.point_id, mask=curves.point_id == 0),
        "detector": pa.array(curves.detector, mask=curves.detector < 0),
    }
    points = pa.StructArray.from_arrays([values[field.name].cast(field.type) for field in POINT], fields=list(POINT))
    return pa.ListArray.from_arrays(pa.array(curves.offsets.astype(np.int32)), points)


def _null_if_nan(values: NDArray[np.float32]) -> pa.Array:
    return pa.array(values, mask=np.isnan(values))


def tables(
    source: Source,
    plan: Plan | None,
    limits: BatchSettings,
    on_unreadable: Callable[[Unreadable], None],
) -> Iterator[tuple[str, pa.Table]]:
    """Give the alerts of a source batch by batch: the survey's name, and a table with a ``lightcurve`` column.

    Parameters
    ----------
    plan
        Adds its columns; None gives the decoded ones alone.
    on_unreadable
        Told of each item that cannot be read.
    """
    steps = plan or Plan((), {}, {}, PlanRecord({}, {}))
    while (batch := source.next_batch(limits, lambda size: np.empty(size, np.uint8))) is not None:
        for item in batch.quarantined:
            on_unreadable(Unreadable(item.source, item.position, item.reason))
        if batch.packets is None:
            continue
        computed = compute(batch.survey, batch.night, batch.packets, steps, None)
        for refusal in computed.refusals:
            on_unreadable(Unreadable(*batch.places(refusal.row), refusal.reason))
        yield batch.survey, computed.alerts.append_column("lightcurve", nested_lightcurves(computed.points))


def write_tables(
    source: Source,
    surveys: Sequence[Survey],
    plan: Plan | None,
    limits: BatchSettings,
    path: Path,
    on_unreadable: Callable[[Unreadable], None],
) -> int:
    """Write the alerts of a source into one Parquet file; columns that a survey does not have are null for its alerts.

    Parameters
    ----------
    surveys
        The surveys whose own columns the file gets.

    Returns
    -------
    Number of alerts written.
    """
    declared = merge_columns(CORE, *(survey.columns for survey in surveys), plan.added if plan else ())
    fields = [pa.field(column.name, column.type) for column in declared.values()]
    schema = described(pa.schema([*fields, pa.field("lightcurve", pa.list_(POINT))]), declared)
    written = 0
    with replacing(path) as aside, pq.ParquetWriter(aside, schema, compression="zstd") as writer:
        for _, table in tables(source, plan, limits, on_unreadable):
            writer.write_table(_as(table, schema))
            written += table.num_rows
    return written


def _as(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give a table the columns of a schema, in its order."""
    present = set(table.column_names)
    arrays = [table[f.name].cast(f.type) if f.name in present else pa.nulls(table.num_rows, f.type) for f in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


@dataclass(frozen=True)
class TableEnrichment:
    """What a plan can do for a light-curve table.

    Parameters
    ----------
    table
        The table, checked.
    plan
        Every module that was asked for.
    usable
        The same without those that the table gives nothing to go by.
    reasons
        For each module that does not run, why.
    """

    table: LightCurveTable
    plan: Plan
    usable: Plan
    reasons: Mapping[str, str]

    @classmethod
    def of(cls, table: pa.Table, plan: Plan, survey: str, named: Sequence[str] = ()) -> TableEnrichment:
        """Check a table, and find the modules that can run on it.

        Parameters
        ----------
        survey
            The survey of all points, where the table has no column ``survey``.
        named
            Modules that were asked for by name, and therefore must run.

        Raises
        ------
        SourceError
            If the table lacks a column, or holds a value that cannot be used.
        PlanError
            If a module that was named cannot run.
        """
        checked = LightCurveTable.of(table, survey)
        known = {*DERIVED, *table.column_names}
        reasons, usable = {}, []
        for step in plan.steps:
            reason = _lacks_columns(step, known)
            if not reason:
                usable.append(step)
                known |= {column.name for column in step.outputs}
                reason = _lacks_artifacts(step)
            if reason:
                reasons[step.module.name] = reason
        for name in named:
            if name in reasons:
                raise PlanError(f"science module {name} cannot run on this table: {reasons[name]}; add it, or leave the module out")
        return cls(checked, plan, replace(plan, steps=tuple(usable)), reasons)

    def run(self, each: Each, most: int) -> Iterator[tuple[NDArray[np.int64], pa.Table]]:
        """Give batch by batch the rows of the table that are alerts, (n,), and the columns that are added to them."""
        for rows, batch in self.table.alerts(each, most):
            done, _ = self.usable.run(batch)
            given = dict(zip(done.alerts.column_names, done.alerts.columns, strict=True))
            yield rows, pa.table({c.name: given[c.name] if c.name in given else _left_out(c, len(rows)) for c in self.plan.added})


def _lacks_columns(step: Step, known: set[str]) -> str:
    """Say why a table of these columns gives a module nothing to go by; empty where it can run."""
    if "cutouts" in step.module.inputs:
        return "it needs stamps, which a table does not hold"
    columns = step.module.input_columns - DERIVED
    wanted = [name for name in step.module.inputs if name in columns]
    if not wanted or not known.isdisjoint(wanted):
        return ""
    named = " or ".join(wanted) if len(wanted) <= MOST_NAMED else f"{', '.join(wanted[:MOST_NAMED])} or others"
    return f"it needs {named}, which the table lacks"


def _lacks_artifacts(step: Step) -> str:
    return "its map, catalogue or model is not in the folder of artifacts" if step.is_absent else ""


def _left_out(column: Column, n: int) -> pa.Array:
    """Give a column of a module that does not run: null, or the status that says so."""
    return pa.nulls(n, column.type) if column.nullable else pa.array(np.full(n, NOT_RUN), column.type)


def by_reason(reasons: Mapping[str, str]) -> list[str]:
    """Say which modules do not run, in one text for each reason."""
    together: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        together.setdefault(reason, []).append(name)
    return [f"{', '.join(names)} ({reason})" for reason, names in together.items()]


@dataclass(frozen=True)
class EnrichedFile:
    """What was written: rows, of how many objects and points, and why modules did not run."""

    rows: int
    objects: int
    points: int
    reasons: Mapping[str, str]


def write_enriched(work: TableEnrichment, each: Each, most: int, path: Path) -> EnrichedFile:
    """Write the rows of a light-curve table that are alerts, with the columns that are added, into one Parquet file."""
    own = work.table.table
    own = own.select([name for name in own.column_names if name not in work.plan.record.columns])
    declared = merge_columns(CORE, work.plan.added)
    schema = pa.schema([*own.schema, *(pa.field(column.name, column.type) for column in work.plan.added)])
    schema = described(schema, {name: column for name, column in declared.items() if name not in own.column_names or name in COLUMNS})
    written = 0
    with replacing(path) as aside, pq.ParquetWriter(aside, schema, compression="zstd") as writer:
        for rows, added in work.run(each, most):
            kept = own.take(pa.array(rows))
            writer.write_table(pa.Table.from_arrays([*kept.columns, *added.columns], schema=schema))
            written += len(rows)
    return EnrichedFile(written, len(work.table.curves), work.table.curves.n_points, work.reasons)


def enrich_frame(frame: Any, enrichment: Callable[[pa.Table], TableEnrichment], each: Each, most: int) -> tuple[Any, Mapping[str, str]]:
    """Enrich a light-curve table of pandas, Polars or Arrow.

    Returns
    -------
    frame
        The rows that are alerts, as the frame has them, with the added columns; of the same kind.
    reasons
        For each module that did not run, why.

    Raises
    ------
    SourceError
        If it is another kind of table, or the table cannot be used.
    """
    kinds = [(base.__module__.partition(".")[0], base.__name__) for base in type(frame).__mro__]
    kind = next((kind for kind in kinds if kind in _FRAMES), None)
    if kind is None:
        raise SourceError(f"a {type(frame).__name__} is no table; give one of pandas, Polars (collected) or pyarrow")
    to_arrow, join = _FRAMES[kind]
    work = enrichment(to_arrow(frame))
    parts = list(work.run(each, most))
    rows = np.concatenate([np.zeros(0, np.int64), *(rows for rows, _ in parts)])
    empty = pa.schema([pa.field(column.name, column.type) for column in work.plan.added]).empty_table()
    return join(frame, rows, pa.concat_tables([empty, *(added for _, added in parts)])), work.reasons


def _from_pandas(frame: Any) -> pa.Table:
    wanted = frame[[name for name in frame.columns if name in vocabulary() or name in OF_POINTS]]
    return pa.Table.from_pandas(wanted, preserve_index=False)


def _join_pandas(frame: Any, rows: NDArray[np.int64], added: pa.Table) -> Any:
    import pandas as pd

    nullable = {pa.bool_(): pd.BooleanDtype(), pa.int8(): pd.Int8Dtype(), pa.int16(): pd.Int16Dtype()}
    nullable |= {pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype()}
    kept = frame[[name for name in frame.columns if name not in added.column_names]].iloc[rows]
    return pd.concat([kept, added.to_pandas(types_mapper=nullable.get).set_index(kept.index)], axis=1)


def _from_polars(frame: Any) -> pa.Table:
    return frame.select([name for name in frame.columns if name in vocabulary() or name in OF_POINTS]).to_arrow()


def _join_polars(frame: Any, rows: NDArray[np.int64], added: pa.Table) -> Any:
    import polars as pl

    kept = frame.select([name for name in frame.columns if name not in added.column_names])[rows]
    return kept.hstack(pl.from_arrow(added))


def _from_arrow(frame: pa.Table | pa.RecordBatch) -> pa.Table:
    return pa.Table.from_batches([frame]) if isinstance(frame, pa.RecordBatch) else frame


def _join_arrow(frame: pa.Table | pa.RecordBatch, rows: NDArray[np.int64], added: pa.Table) -> pa.Table:
    kept = _from_arrow(frame)
    kept = kept.select([name for name in kept.column_names if name not in added.column_names]).take(pa.array(rows))
    return pa.table(dict(zip(kept.column_names, kept.columns, strict=True)) | dict(zip(added.column_names, added.columns, strict=True)))


_FRAMES: dict[tuple[str, str], tuple[Callable[[Any], pa.Table], Callable[[Any, NDArray[np.int64], pa.Table], Any]]] = {
    ("pandas", "DataFrame"): (_from_pandas, _join_pandas),
    ("polars", "DataFrame"): (_from_polars, _join_polars),
    ("pyarrow", "Table"): (_from_arrow, _join_arrow),
    ("pyarrow", "RecordBatch"): (_from_arrow, _join_arrow),
}
"""For each kind of table how it becomes Arrow's, and how added columns are put beside its rows."""
