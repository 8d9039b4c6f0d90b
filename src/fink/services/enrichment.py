"""Packets to tables without an archive: the decoded columns and light curves, and every column that the plan adds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fink.codecs.parquet import described, replacing
from fink.columns import CORE, merge_columns
from fink.commits import PlanRecord
from fink.config import BatchSettings
from fink.engines.compute import compute
from fink.engines.plan import Plan
from fink.lightcurves import DETECTION, FORCED, LIMIT, LightCurves
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
