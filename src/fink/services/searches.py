"""Finding alerts: by object, place, substream, solar-system name or night; each answer is a table of one survey's alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink.archive.embedded import EmbeddedArchive
from fink.conditions import Condition
from fink.errors import ArchiveError

NEEDED = ("survey", "night", "alert_id", "object_id", "mjd")
"""Columns that every answer of the index has: enough to find the rest (`widened`)."""


@dataclass(frozen=True)
class Interval:
    """A stretch of time, both ends included; None leaves an end open [MJD, TAI]."""

    start: float | None = None
    stop: float | None = None


ALWAYS = Interval()


@dataclass(frozen=True)
class Page:
    """Where a page of a list begins: behind one row, as of one commit.

    Parameters
    ----------
    commit
        The last commit that the list is of.
    value, alert_id
        What the row before it is sorted by, and its alert.
    """

    commit: int
    value: float
    alert_id: int

    def cut(self, alerts: pa.Table, column: str = "mjd", *, ascending: bool = False) -> pa.Table:
        """Keep the alerts of the list's commits that lie behind the row; of a list sorted by a column, then by alert."""
        if not alerts.num_rows:
            return alerts
        further = pc.greater if ascending else pc.less
        values, numbers = alerts[column], alerts["alert_id"]
        behind = pc.or_(further(values, self.value), pc.and_(pc.equal(values, self.value), further(numbers, self.alert_id)))
        return alerts.filter(pc.and_(behind, pc.less_equal(alerts["commit"], self.commit)))


FIRST_DESCENDING, FIRST_ASCENDING = 1e300, -1e300
"""Values before every row of a list."""


def of_objects(archive: EmbeddedArchive, survey: str, object_ids: Sequence[str], columns: Sequence[str] | None = None) -> pa.Table:
    """Give the alerts of objects, the newest first.

    Parameters
    ----------
    object_ids
        The survey's names of the objects; unknown ones give nothing.
    columns
        Columns wanted, None for all.
    """
    found = archive.alerts_of_objects([*dict.fromkeys(object_ids)], survey)
    return widened(archive, _newest_first(found), columns)


def of_solar_system(archive: EmbeddedArchive, survey: str, names: Sequence[str], columns: Sequence[str] | None = None) -> pa.Table:
    """Give the alerts of solar-system objects, by their designations as the survey writes them, in order of time."""
    found = _joined([archive.solar_system(name) for name in dict.fromkeys(names)])
    mine = found.filter(pc.equal(found["survey"], survey)) if found.num_rows else found
    return widened(archive, mine, columns)


def of_substream(
    archive: EmbeddedArchive,
    survey: str,
    name: str,
    limit: int,
    time: Interval = ALWAYS,
    columns: Sequence[str] | None = None,
    page: Page | None = None,
) -> pa.Table:
    """Give the newest alerts of one survey that a substream took; with ``page`` those of a later page."""
    asked, more = limit, True
    stop = time.stop if page is None else min(page.value, 1e300 if time.stop is None else time.stop)
    found = archive.substream(name, time.start, stop, 0)
    while more:
        # a substream may take alerts of several surveys, and alerts that came since the first page are not of it
        table = archive.substream(name, time.start, stop, asked)
        found = table.filter(pc.equal(table["survey"], survey)) if table.num_rows else table
        found = found if page is None else page.cut(found)
        more = found.num_rows < limit and table.num_rows == asked
        asked *= 4
    return widened(archive, found.slice(0, limit), columns)


def around(
    archive: EmbeddedArchive,
    survey: str,
    ra: float,
    dec: float,
    radius: float,
    *,
    time: Interval = ALWAYS,
    first_seen: Interval = ALWAYS,
    columns: Sequence[str] | None = None,
    limit: int | None = None,
    page: Page | None = None,
) -> pa.Table:
    """Give the last alert of each object around a position, the nearest first, with its `separation` [arcsec].

    Parameters
    ----------
    ra, dec
        Centre [deg], ICRS.
    radius
        Radius [arcsec], up to 5 degrees.
    time
        When the alert was.
    first_seen
        When its object was first detected.
    limit
        How many objects at most.
    page
        Where a later page begins.
    """
    # what is asked as of the last commit, and not by its first detection, needs no more than the last alerts
    newest = (page is None or page.commit >= archive.last_commit()) and first_seen == ALWAYS
    found = archive.cone(ra, dec, radius, survey, time.start, time.stop, last=newest)
    if page is not None and found.num_rows:
        found = found.filter(pc.less_equal(found["commit"], page.commit))
    for bound, ends in ((first_seen.start, pc.greater_equal), (first_seen.stop, pc.less_equal)):
        if bound is not None and found.num_rows:
            found = found.filter(ends(found["first_mjd"], bound))
    found = last_of_each(found)
    if page is not None and found.num_rows:
        found = page.cut(found.sort_by([("separation", "ascending"), ("alert_id", "ascending")]), "separation", ascending=True)
    found = found.slice(0, limit) if limit is not None else found
    return widened(archive, found.drop_columns("separation"), columns).append_column("separation", found["separation"])


def where(
    archive: EmbeddedArchive,
    survey: str | None,
    condition: Condition,
    limit: int,
    time: Interval = ALWAYS,
    columns: Sequence[str] | None = None,
    page: Page | None = None,
) -> pa.Table:
    """Give the newest alerts of one survey, or with None of all, that a condition holds for; with ``page`` those of a later page."""
    values: dict[str, object] = {} if survey is None else {"survey": survey}
    values |= {"start": -1e9 if time.start is None else time.start, "stop": 1e9 if time.stop is None else time.stop}
    wanted = "*" if columns is None else ", ".join(f'"{name}"' for name in dict.fromkeys((*NEEDED, "commit", *columns)))
    behind = ""
    if page is not None:
        behind = "AND commit <= $commit AND (mjd < $mjd OR (mjd = $mjd AND alert_id < $alert)) "
        values |= {"commit": page.commit, "mjd": page.value, "alert": page.alert_id}
    text = (
        f"SELECT {wanted} FROM alerts WHERE {'TRUE' if survey is None else 'survey = $survey'} "
        f"AND mjd BETWEEN $start AND $stop {behind}AND ({condition.to_sql()}) "
        f"ORDER BY mjd DESC, alert_id DESC LIMIT {int(limit)}"
    )
    return archive.sql(text, values)


def last_of_each(alerts: pa.Table) -> pa.Table:
    """Keep the last alert of each object, in the order of the table; what belongs to no object stays."""
    if not alerts.num_rows:
        return alerts
    order = alerts.select(["object_id", "mjd", "alert_id"]).append_column("row", pa.array(np.arange(alerts.num_rows)))
    order = order.sort_by([("mjd", "descending"), ("alert_id", "descending")])
    names = order["object_id"].combine_chunks()
    codes = names.dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False)
    _, first = np.unique(codes, return_index=True)
    keep = np.zeros(alerts.num_rows, bool)
    keep[first] = True
    keep |= codes < 0
    rows = np.sort(order["row"].to_numpy()[keep])
    return alerts.take(pa.array(rows))


def forced_photometry(archive: EmbeddedArchive, survey: str, object_ids: Sequence[str]) -> pa.Table:
    """Give the forced-photometry points of objects in order of time, with their `object_id`."""
    return points(archive, survey, object_ids, ("forced",))


def points(archive: EmbeddedArchive, survey: str, object_ids: Sequence[str], kinds: Sequence[str]) -> pa.Table:
    """Give the points of some kinds of objects' light curves in order of time, with their `object_id`."""
    parts = []
    for name in dict.fromkeys(object_ids):
        curve = archive.light_curve(name, survey)
        curve = curve.filter(pc.is_in(curve["kind"], pa.array(kinds)))
        parts.append(curve.append_column("object_id", pa.array([name] * curve.num_rows, pa.string())))
    return _joined(parts)


def _joined(tables: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})


def _newest_first(alerts: pa.Table) -> pa.Table:
    return alerts.sort_by([("mjd", "descending"), ("alert_id", "descending")]) if alerts.num_rows else alerts


def widened(archive: EmbeddedArchive, alerts: pa.Table, columns: Sequence[str] | None) -> pa.Table:
    """Give the columns asked for of alerts that were found: from the index where it holds them all, from the lake otherwise."""
    if alerts.num_rows == 0 or (columns is not None and set(columns) <= set(alerts.column_names)):
        return alerts
    wide = archive.wide(alerts, None if columns is None else [*dict.fromkeys((*NEEDED, *columns))])
    if wide.num_rows != alerts.num_rows:
        raise ArchiveError(f"the lake has {wide.num_rows} of {alerts.num_rows} alerts that the index lists; run fink archive verify")
    return wide
