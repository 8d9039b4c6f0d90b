"""Applying a batch: what is new in it becomes a commit, in the lake first and then, in one synced write, in the index."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fink.archive import keys, ledger
from fink.archive.checksums import checksum, row_order
from fink.archive.index import Changes, Store
from fink.archive.lake import Lake
from fink.archive.merging import Merged, put_objects
from fink.archive.numbering import Numbering
from fink.archive.objects import Groups, group_objects
from fink.archive.rows import IN_PACKETS, IN_SELECTED, POINTER, read_pointers, with_pointer
from fink.archive.segments import Kind
from fink.archive.upkeep import put_files
from fink.commits import Commit, Counts, Outcome, Quarantined, SegmentSpan
from fink.lightcurves import LightCurves
from fink.sky import healpix
from fink.tables import Cutouts, Packets

KINDS = ("detection", "forced", "limit")
"""Names of the kinds of point in the lake."""

SELECTED = np.dtype([("row", "<u4"), ("offset", "<i8"), ("length", "<u4")])
"""A commit's packets that substreams took: row in the commit, place in the segment, length."""

Step = Callable[[str], None]


@dataclass(frozen=True)
class New:
    """What of a batch is new.

    Parameters
    ----------
    alerts, points, packets, cutouts
        (n,) alerts to archive, by time and number.
    selections, entries
        For each substream the places in ``alerts`` that it took, and for some what they say of each of these.
    quarantined, seen_items
        Items not seen before, and those seen before.
    duplicates
        Number of alerts seen before.
    restamped
        Rows of the batch that bring stamps to a row archived without, by the key of the archived row.
    late_stamps
        Rows of the batch that bring stamps to an earlier copy in the batch, by its place in ``alerts``.
    """

    alerts: pa.Table
    points: LightCurves
    packets: Packets
    cutouts: Cutouts
    selections: Mapping[str, NDArray[np.int64]]
    quarantined: tuple[Quarantined, ...]
    seen_items: tuple[Quarantined, ...]
    duplicates: int
    restamped: Mapping[bytes, int]
    late_stamps: Mapping[int, int]
    entries: Mapping[str, pa.Table]

    def __len__(self) -> int:
        return int(self.alerts.num_rows)


class Applier:
    """Turns outcomes into commits; the one writer of an archive has one.

    Parameters
    ----------
    store, lake, numbering
        The parts of the archive.
    keep_packets
        Which packets the retention asks for: ``all``, ``selected`` or ``none`` (of a size limit, ``all``).
    indexed
        Names of the columns that the index holds.
    step
        Called with a name between the steps of a commit; crash tests end the process there.

    Attributes
    ----------
    in_doubt
        Whether the index refused a write: the log may hold the commit all the same, which shows when it is opened again.
    """

    def __init__(self, store: Store, lake: Lake, numbering: Numbering, *, keep_packets: str, indexed: frozenset[str], step: Step) -> None:
        self._store, self._lake, self._numbering = store, lake, numbering
        self._keep_packets, self._indexed, self._step = keep_packets, indexed, step
        self.in_doubt = False

    def apply(self, outcome: Outcome, last: tuple[int, str]) -> Commit:
        """Write what is new of a batch, and give its commit; ``last`` is the number and checksum of the commit before."""
        number = last[0] + 1
        survey = self._numbering.survey(outcome.survey) if outcome.survey else 0
        new = self._new(outcome, survey)
        changes = self._store.changes()
        segments: dict[str, SegmentSpan] = {}
        merged = Merged(np.zeros(0, np.bool_), 0, 0)
        if len(new):
            # packets first: they take longest, and are written while the rest is worked out
            pointers, segments = self._keep_new_packets(outcome, new, number)
            groups = group_objects(self._store, survey, new.alerts)
            bands = self._numbering.band_numbers(outcome.survey, [band.name for band in new.points.bands])
            merged = put_objects(self._store, changes, groups, new.alerts, new.points, bands, outcome.night, number)
            segments |= self._append_tables(outcome, new, merged.brought, number)
            self._put_rows(changes, outcome, new, groups, pointers, survey)
        self._put_restamped(changes, outcome, new, number)
        self._put_quarantined(changes, outcome, new, number)
        released = self._release(changes, outcome)
        self._step("appended")
        counts = _by_night(outcome, new, merged.late)
        commit = _commit(outcome, new, last, segments, [*counts.values(), *released.values()])
        self._put_counts(changes, outcome, new, merged, commit)
        for (source, night), count in _by_source(outcome.source, counts, released).items():
            ledger.count_source(self._store, changes, source, night, count)
        self._lake.sync()
        self._step("synced")
        self._publish(changes, outcome, commit)
        return commit

    # What is new

    def _new(self, outcome: Outcome, survey: int) -> New:
        """Tell what is new from what the archive, or this batch, has seen before."""
        ids = outcome.alerts["alert_id"].to_numpy() if outcome.alerts.num_rows else np.zeros(0, np.int64)
        found = self._store.get_all("alerts", keys.alert_keys(survey, ids))
        known = np.array([value is not None for value in found], np.bool_)
        first = np.zeros(len(ids), np.bool_)
        first[np.unique(ids, return_index=True)[1]] = True
        rows = np.flatnonzero(first & ~known)
        if len(rows):
            rows = rows[row_order(outcome.alerts.select(["mjd", "alert_id"]).take(pa.array(rows)))]
        stamped = np.asarray(outcome.cutouts.length.any(axis=1), np.bool_)
        seen, items = self._seen_items(outcome.quarantined)
        whole = len(rows) == len(ids) and bool((rows == np.arange(len(ids))).all())
        selections = {name: np.flatnonzero(np.asarray(mask)[rows]) for name, mask in outcome.selections.items()}
        return New(
            alerts=outcome.alerts if whole else outcome.alerts.take(pa.array(rows)),
            points=outcome.points if whole else outcome.points.take(rows),
            packets=outcome.packets if whole else outcome.packets.take(rows),
            cutouts=outcome.cutouts if whole else outcome.cutouts.take(rows),
            selections=selections,
            entries={name: table.take(pa.array(rows[selections[name]])) for name, table in outcome.entries.items()},
            quarantined=items,
            seen_items=seen,
            duplicates=len(ids) - len(rows),
            restamped=self._restamped(found, np.flatnonzero(known & stamped)),
            late_stamps=_late_stamps(ids, rows, stamped, np.flatnonzero(~known & ~first & stamped)),
        )

    def _seen_items(self, items: tuple[Quarantined, ...]) -> tuple[tuple[Quarantined, ...], tuple[Quarantined, ...]]:
        """Part quarantined items into those seen before and new ones."""
        seen, new = [], {}
        for item, record in zip(items, self._store.get_all("quarantine", [bytes.fromhex(i.identity) for i in items]), strict=True):
            if record is not None or item.identity in new:
                seen.append(item)
            else:
                new[item.identity] = item
        return tuple(seen), tuple(new.values())

    def _restamped(self, found: list[bytes | None], rows: NDArray[np.int64]) -> dict[bytes, int]:
        """Find the archived rows without stamps of which a copy now brings them; of several copies the first."""
        if not len(rows) or self._keep_packets == "none":
            return {}
        row_keys = [found[row] or b"" for row in rows.tolist()]
        packed = self._store.get_all("rows", row_keys)
        pointers = read_pointers([value or b"" for value in packed])
        bare = ~pointers["stamps"][:, :, 1].any(axis=1)
        if self._keep_packets == "selected":
            bare &= pointers["selected"] == 1
        chosen: dict[bytes, int] = {}
        for place in np.flatnonzero(bare).tolist():
            chosen.setdefault(row_keys[place], int(rows[place]))
        return chosen

    # Into the lake

    def _append_tables(self, outcome: Outcome, new: New, brought: NDArray[np.bool_], number: int) -> dict[str, SegmentSpan]:
        """Append the rows, and the points that they brought, to the lake."""
        commit = pa.array(np.full(len(new), number, np.int64))
        rows = new.alerts.append_column("commit", commit)
        segments = {"rows": self._lake.append_rows(outcome.survey, outcome.night, rows, commit=number)}
        points = points_table(new.alerts, new.points.select(brought), number)
        if points.num_rows:
            segments["points"] = self._lake.append_points(outcome.survey, outcome.night, points, commit=number)
        return segments

    def _append_packets(
        self, outcome: Outcome, packets: Packets, cutouts: Cutouts, selected: NDArray[np.bool_], pointers: NDArray[Any], number: int
    ) -> dict[str, SegmentSpan]:
        """Append packets by the retention, and note in ``pointers`` where they lie."""
        segments: dict[str, SegmentSpan] = {}
        parts: tuple[tuple[Kind, int, NDArray[np.bool_]], ...] = (
            ("selected", IN_SELECTED, selected),
            ("packets", IN_PACKETS, ~selected),
        )
        for kind, kept, mine in parts:
            rows = np.flatnonzero(mine)
            if not len(rows) or (kind == "packets" and self._keep_packets != "all"):
                continue
            span, offsets, lengths = self._lake.append_packets(kind, outcome.survey, outcome.night, packets.take(rows), commit=number)
            segments[kind] = span
            some = pointers[rows]
            some["kept"], some["segment"], some["offset"], some["length"] = kept, _segment_commit(span.name), offsets, lengths
            length = cutouts.length[rows]
            some["stamps"][:, :, 0] = np.where(length > 0, cutouts.start[rows] - packets.starts[rows, None], 0)
            some["stamps"][:, :, 1] = length
            pointers[rows] = some
        return segments

    def _keep_new_packets(self, outcome: Outcome, new: New, number: int) -> tuple[NDArray[Any], dict[str, SegmentSpan]]:
        """Append the packets of new alerts, and give the pointers to all of these (n,)."""
        n = len(new)
        selected = np.zeros(n, np.bool_)
        for rows in new.selections.values():
            selected[rows] = True
        pointers = np.zeros(n, POINTER)
        pointers["commit"], pointers["row"], pointers["selected"] = number, np.arange(n), selected
        segments = self._append_packets(outcome, new.packets, new.cutouts, selected, pointers, number)
        return pointers, segments

    # Into the index

    def _put_rows(self, changes: Changes, outcome: Outcome, new: New, groups: Groups, pointers: NDArray[Any], survey: int) -> None:
        """Write packed rows and every key that leads to them."""
        n, number = len(new), int(pointers["commit"][0])
        _put_selections(changes, number, new.selections, pointers)
        _put_entries(changes, number, new)
        self._point_at_copies(outcome, new, pointers, number)
        format_ = self._numbering.row_format(new.alerts, self._indexed)
        mjd, ids = new.alerts["mjd"].to_numpy(), new.alerts["alert_id"].to_numpy()
        ends = keys.moments(mjd, ids)
        owners = [groups.keys[g] for g in groups.group.tolist()]
        row_keys = [owner + end for owner, end in zip(owners, ends, strict=True)]
        changes.put_all("rows", row_keys, format_.pack(new.alerts, pointers))
        changes.put_all("alerts", keys.alert_keys(survey, ids), row_keys)
        ra, dec = new.alerts["ra"].to_numpy(), new.alerts["dec"].to_numpy()
        places = keys.split([np.stack([ra, dec], axis=1).astype("<f8").view(np.uint8)], n)
        pixels = healpix(keys.SKY_ORDER, ra, dec)
        changes.put_all("sky", keys.sky_keys(survey, pixels, mjd, ids), [p + o for p, o in zip(places, owners, strict=True)])
        _put_moving(changes, new.alerts["sso_name"], ends, row_keys, survey)
        _put_substreams(changes, new.selections, ends, row_keys, survey, number)

    def _point_at_copies(self, outcome: Outcome, new: New, pointers: NDArray[Any], number: int) -> None:
        """Keep copies of this batch that bring missing stamps, and point at them."""
        if new.late_stamps:
            places = np.array(list(new.late_stamps), np.int64)
            pointers[places] = self._keep_copies(outcome, list(new.late_stamps.values()), pointers[places], number)

    def _put_restamped(self, changes: Changes, outcome: Outcome, new: New, number: int) -> None:
        """Keep copies that bring stamps to archived rows, and point these at them."""
        if new.restamped:
            packed = [value or b"" for value in self._store.get_all("rows", list(new.restamped))]
            pointers = self._keep_copies(outcome, list(new.restamped.values()), read_pointers(packed).copy(), number)
            rows = [with_pointer(row, pointer) for row, pointer in zip(packed, pointers, strict=True)]
            changes.put_all("rows", list(new.restamped), rows)

    def _keep_copies(self, outcome: Outcome, rows: list[int], pointers: NDArray[Any], number: int) -> NDArray[Any]:
        taken = np.array(rows, np.int64)
        selected = pointers["selected"] == 1
        self._append_packets(outcome, outcome.packets.take(taken), outcome.cutouts.take(taken), selected, pointers, number)
        return pointers

    def _put_quarantined(self, changes: Changes, outcome: Outcome, new: New, number: int) -> None:
        """Keep the bytes of items that could not be read, with their reasons."""
        if not new.quarantined:
            return
        spans = self._lake.append_quarantine([item.body for item in new.quarantined], commit=number)
        for item, span in zip(new.quarantined, spans, strict=True):
            record = {
                "source": item.source,
                "counted": outcome.source,
                "position": item.position,
                "reason": item.reason,
                "survey": item.survey,
                "night": item.night,
                "commit": number,
                "segment": span.name,
                "start": span.start,
                "end": span.end,
                "state": "quarantined",
            }
            changes.put("quarantine", bytes.fromhex(item.identity), orjson.dumps(record))

    def _release(self, changes: Changes, outcome: Outcome) -> dict[tuple[str, int], Counts]:
        """Let items that were read at last go from the quarantine, and give what is to be taken back from the counts."""
        released: dict[tuple[str, int], Counts] = defaultdict(Counts)
        identities = [bytes.fromhex(identity) for identity in outcome.released]
        for key, value in zip(identities, self._store.get_all("quarantine", identities), strict=True):
            record = orjson.loads(value or b"{}")
            if record.get("state") == "quarantined":
                changes.put("quarantine", key, orjson.dumps({**record, "state": "released"}))
                released[record["counted"], record["night"]] += Counts(received=-1, quarantined=-1)
        return dict(released)

    def _put_counts(self, changes: Changes, outcome: Outcome, new: New, merged: Merged, commit: Commit) -> None:
        """Write what was received and what became of it."""
        ledger.count_modules(self._store, changes, outcome.modules)
        ledger.count_substreams(self._store, changes, outcome.night, commit.selected)
        if len(new):
            bands = pc.value_counts(new.alerts["band"]).to_pylist()
            added = {
                "archived": len(new),
                "new_objects": merged.new_objects,
                "points": int(merged.brought.sum()),
                "late": merged.late,
                "commits": 1,
                "bands": {entry["values"]: entry["counts"] for entry in bands},
                "substreams": dict(commit.selected),
            }
            ledger.count_night(self._store, changes, outcome.night, outcome.survey, added)

    def _publish(self, changes: Changes, outcome: Outcome, commit: Commit) -> None:
        """Write the commit, its files and the source's progress with everything collected, in one synced write."""
        for key, value in outcome.progress.items():
            changes.put("positions", key, value)
        put_files(changes, self._lake)
        self._numbering.put(changes)
        changes.put("commits", keys.integer_key(commit.number), commit.to_bytes())
        changes.put("meta", LAST, orjson.dumps([commit.number, commit.checksum]))
        self.in_doubt = True
        self._store.write(changes)
        self._step("written")
        self.in_doubt = False
        self._lake.settle()
        self._numbering.settle()


LAST = b"last"
"""Key in `meta` of the number and checksum of the last commit."""


def _late_stamps(ids: NDArray[np.int64], rows: NDArray[np.int64], stamped: NDArray[np.bool_], copies: NDArray[np.int64]) -> dict[int, int]:
    """Find the copies inside a batch that bring stamps which the first copy, archived at a place in ``rows``, lacks."""
    if not len(copies):
        return {}
    place = {int(ids[row]): i for i, row in enumerate(rows.tolist()) if not stamped[row]}
    found: dict[int, int] = {}
    for copy in copies.tolist():
        if int(ids[copy]) in place:
            found.setdefault(place[int(ids[copy])], copy)
    return found


def _segment_commit(name: str) -> int:
    """Give the number of the commit that a segment is named after."""
    return int(name.rsplit("-", 1)[1].split(".")[0])


def points_table(alerts: pa.Table, points: LightCurves, commit: int | NDArray[np.int64]) -> pa.Table:
    """Make the lake's table of points that alerts brought, in one commit or in that of each point."""
    owners = pa.array(points.owners())
    flat = points.arrays()
    names = pa.array([band.name for band in points.bands], pa.string())
    columns = {
        "alert_id": alerts["alert_id"].take(owners),
        "object_id": alerts["object_id"].take(owners),
        "commit": pa.array(np.broadcast_to(np.asarray(commit, np.int64), points.n_points)),
        **{name: pa.array(values, from_pandas=True) for name, values in flat.items()},
    }
    columns["band"] = names.take(pa.array(flat["band"].astype(np.int32)))
    columns["kind"] = pa.array(KINDS).take(pa.array(flat["kind"].astype(np.int32)))
    return pa.table(columns)


def _put_selections(changes: Changes, number: int, selections: Mapping[str, NDArray[np.int64]], pointers: NDArray[Any]) -> None:
    """Write which rows of the commit each substream took, and where their packets lie, for followers."""
    base = keys.integer_key(number)
    taken = np.flatnonzero(pointers["kept"] == IN_SELECTED)
    if len(taken):
        packets = np.zeros(len(taken), SELECTED)
        packets["row"], packets["offset"], packets["length"] = taken, pointers["offset"][taken], pointers["length"][taken]
        changes.put("selections", base, packets.tobytes())
    for name, rows in selections.items():
        if len(rows):
            changes.put("selections", base + name.encode(), rows.astype("<u4").tobytes())


def _put_entries(changes: Changes, number: int, new: New) -> None:
    """Write what substreams say of the alerts that they took, as the entry of a watchlist; with the alerts' numbers."""
    for name, table in new.entries.items():
        if table.num_rows:
            ids = new.alerts["alert_id"].take(pa.array(new.selections[name]))
            changes.put(
                "selections", keys.integer_key(number) + name.encode() + keys.SAID, write_said(table.append_column("alert_id", ids))
            )


def write_said(table: pa.Table) -> bytes:
    """Write what a substream says of the alerts that it took in a commit."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def read_said(data: bytes | None) -> pa.Table | None:
    """Read what `write_said` wrote; None where there is nothing."""
    return None if data is None else pa.ipc.open_stream(data).read_all()


def _put_moving(changes: Changes, names: pa.ChunkedArray, ends: list[bytes], row_keys: list[bytes], survey: int) -> None:
    known = np.flatnonzero(names.is_valid().to_numpy()).tolist()
    texts = names.take(pa.array(known, pa.int64())).to_pylist()
    for i, name in zip(known, texts, strict=True):
        changes.put("sso", name.encode() + b"\0" + ends[i] + bytes([survey]), row_keys[i])


def _put_substreams(
    changes: Changes,
    selections: Mapping[str, NDArray[np.int64]],
    ends: list[bytes],
    row_keys: list[bytes],
    survey: int,
    number: int,
) -> None:
    commit = keys.integer_key(number)
    for name, rows in selections.items():
        prefix = name.encode() + b"\0"
        for i in rows.tolist():
            changes.put("substreams", prefix + ends[i][:8] + bytes([survey]) + ends[i][8:], commit + row_keys[i])


def _by_night(outcome: Outcome, new: New, late: int) -> dict[int, Counts]:
    """Count what was received in each night, and what became of it."""
    counts: dict[int, Counts] = defaultdict(Counts)
    n = int(outcome.alerts.num_rows)
    if n or not outcome.quarantined:
        counts[outcome.night] = Counts(n, len(new), 0, new.duplicates, late)
    for item in new.quarantined:
        counts[item.night] += Counts(received=1, quarantined=1)
    for item in new.seen_items:
        counts[item.night] += Counts(received=1, duplicate=1)
    return dict(counts)


def _by_source(source: str, by_night: Mapping[int, Counts], released: Mapping[tuple[str, int], Counts]) -> dict[tuple[str, int], Counts]:
    """Join what a batch counts, by source and night, with what leaves the quarantine."""
    counts = {(source, night): count for night, count in by_night.items()}
    for place, count in released.items():
        counts[place] = counts.get(place, Counts()) + count
    return counts


def _commit(outcome: Outcome, new: New, last: tuple[int, str], segments: Mapping[str, SegmentSpan], counts: list[Counts]) -> Commit:
    """Make the record of the commit."""
    header = commit_header(outcome.survey, outcome.night, outcome.source, outcome.plan_id, [item.identity for item in new.quarantined])
    return Commit(
        number=last[0] + 1,
        survey=outcome.survey,
        night=outcome.night,
        source=outcome.source,
        plan_id=outcome.plan_id,
        counts=sum(counts, Counts()),
        modules=outcome.modules,
        selected={name: len(rows) for name, rows in new.selections.items()},
        segments=segments,
        checksum=checksum(last[1], header, new.alerts, {name: rows for name, rows in new.selections.items() if len(rows)}),
    )


def commit_header(survey: str, night: int, source: str, plan_id: str, quarantined: list[str]) -> dict[str, str]:
    """Give what the checksum of a commit covers besides its rows and selections."""
    return {"survey": survey, "night": str(night), "source": source, "plan": plan_id, "quarantined": ",".join(sorted(quarantined))}
