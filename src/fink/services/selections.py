"""What a selection of alerts would bring, before it is ordered, and its alerts as tables, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from fink.archive.embedded import EmbeddedArchive
from fink.archive.rows import declared_columns
from fink.columns import Column
from fink.services.exports import export
from fink.services.transfers import ALWAYS_SENT, Selection
from fink.surveys.public import public_columns, published

PART = 20_000
"""Alerts that are read at a time."""

_SAMPLED_PLACES, _SAMPLED_ALERTS, _SAMPLED_PACKETS = 200, 500, 20


def estimate(selection: Selection, archive: EmbeddedArchive) -> dict[str, Any]:
    """Say about how much a selection would bring.

    Of many objects or positions the first ones are looked at, and the rest taken to be like them; sizes are those of a sample.

    Returns
    -------
    ``alerts``; ``exact``, whether they were counted; ``parquet_bytes`` and ``packet_bytes``, None where nothing was there to measure.

    Raises
    ------
    RequestError, ConditionError
        If it cannot be selected.
    """
    selection.check()
    looked_at = replace(selection, objects=selection.objects[:_SAMPLED_PLACES], positions=selection.positions[:_SAMPLED_PLACES], limit=0)
    asked, looked = (len(each.objects) + len(each.positions) for each in (selection, looked_at))
    count, sample = _counted(looked_at, archive)
    count = count * asked // looked if looked else count
    count = min(count, selection.limit) if selection.limit else count
    record: dict[str, Any] = {"alerts": count, "exact": asked == looked}
    if not sample.num_rows:
        return record | {"parquet_bytes": None, "packet_bytes": None}
    table = _public(selection, archive.wide(sample, _columns_of(selection)))
    parquet = len(export(table, "parquet", {})) / sample.num_rows
    return record | {"parquet_bytes": round(parquet * count), "packet_bytes": _packet_bytes(selection, archive, sample, count)}


def _counted(selection: Selection, archive: EmbeddedArchive) -> tuple[int, pa.Table]:
    """Count the alerts, and give some of them."""
    if selection.begins_with_places:
        found = selection.alerts(archive, archive.last_commit())
        some = np.unique(np.linspace(0, found.num_rows - 1, min(found.num_rows, _SAMPLED_ALERTS)).astype(np.int64))
        return found.num_rows, found.take(pa.array(some))
    counted = archive.sql(*selection.query("count(*) AS n"))
    text, values = selection.query("survey, night, alert_id, object_id, mjd, commit")
    return int(counted["n"][0].as_py()), archive.sql(f"{text} LIMIT {_SAMPLED_ALERTS}", values)


def _packet_bytes(selection: Selection, archive: EmbeddedArchive, sample: pa.Table, count: int) -> int | None:
    found = [archive.packet(selection.survey, number) for number in sample["alert_id"].to_pylist()[:_SAMPLED_PACKETS]]
    sizes = [len(packet[0]) for packet in found if packet is not None]
    return round(sum(sizes) / len(sizes) * count) if sizes else None


def tables(selection: Selection, archive: EmbeddedArchive, commit: int) -> Iterator[pa.Table]:
    """Give the alerts of a selection as of a commit, under public names, in parts and always in the same order.

    Without columns every column is given. One part at least, so that an empty selection has its columns too.
    """
    left, any_part = selection.limit, False
    for part in _by_night(selection, archive):
        found = replace(part, limit=left).alerts(archive, commit)
        for first in range(0, found.num_rows, PART):
            any_part = True
            yield _public(selection, archive.wide(found.slice(first, PART), _columns_of(selection)))
        left -= found.num_rows if selection.limit else 0
        if selection.limit and left <= 0:
            return
    if not any_part:
        yield _public(selection, pa.table({}))


def meanings(selection: Selection) -> Mapping[str, Column]:
    """Give the columns of a selection's tables, by public name."""
    known = public_columns(selection.survey, declared_columns().values())
    if not selection.columns:
        return known
    always = [name for name, column in known.items() if column.name in ALWAYS_SENT]
    return {name: known[name] for name in dict.fromkeys((*always, *selection.columns))}


def _by_night(selection: Selection, archive: EmbeddedArchive) -> list[Selection]:
    """Part a selection that the lake answers by nights, so that no part of it is too large."""
    if selection.begins_with_places:
        return [selection]
    nights = sorted({each["night"] for each in archive.statistics()["nights"] if each["survey"] == selection.survey})
    return [replace(selection, start=night, stop=night) for night in nights if selection.start <= night <= selection.stop]


def _columns_of(selection: Selection) -> list[str] | None:
    return sorted({column.name for column in meanings(selection).values()}) if selection.columns else None


def _public(selection: Selection, rows: pa.Table) -> pa.Table:
    return published(rows, selection.survey, meanings(selection))
