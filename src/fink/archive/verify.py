"""Verifying an archive: every checksum, and every reference from the index to the lake and back."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from fink.archive import keys
from fink.archive.applying import SELECTED, commit_header
from fink.archive.checksums import checksum, row_order
from fink.archive.index import Store
from fink.archive.lake import Lake, segment_name
from fink.archive.objects import chunk_key, object_names, read_heads
from fink.archive.points import POINT
from fink.archive.queries import Queries
from fink.archive.rows import IN_SELECTED, NOT_KEPT, read_pointers
from fink.archive.segments import FileRecord
from fink.codecs.parquet import read_parquet
from fink.commits import Commit, Counts, SegmentSpan
from fink.errors import ArchiveError, NotFoundError

AT_ONCE = 4096
"""Entries of the index that are checked together."""


def verify_archive(archive: Queries, store: Store, lake: Lake) -> list[str]:
    """Check an archive as of its last commit; give what is wrong, in words, nothing where all is well."""
    files = archive.files()
    problems = lake.verify(files)
    if problems:
        # what damaged files hold cannot be compared any further
        return problems
    missing = [n for n in range(1, archive.last_commit() + 1) if store.get("commits", keys.integer_key(n)) is None]
    if missing:
        return [f"commit {number} is missing from the index" for number in missing]
    problems += _chain(archive, store, lake, files)
    problems += _counts(archive)
    problems += _rows(store, archive, files)
    problems += _objects(store)
    problems += _quarantine(store, lake)
    return problems


class _CommitRows:
    """Gives each commit's rows, reading a file of many commits once."""

    def __init__(self, lake: Lake, files: dict[str, FileRecord]) -> None:
        self._lake = lake
        self._files = {name: r for name, r in files.items() if r.kind == "rows" and r.state != "dropped"}
        self._name, self._table, self._starts = "", pa.table({}), np.zeros(0, np.int64)

    def of(self, commit: Commit) -> pa.Table | None:
        """Give the rows of a commit in their order; None where no file holds them."""
        span = commit.segments["rows"]
        if span.name in self._files and self._files[span.name].state != "parquet":
            return self._lake.read_rows(span)
        for name, record in self._files.items():
            mine = (record.survey, record.night) == (commit.survey, commit.night)
            if mine and record.state == "parquet" and record.first_commit <= commit.number <= record.last_commit:
                if name != self._name:
                    table = read_parquet(self._lake.folder / name)
                    self._name, self._table = name, table.take(pc.sort_indices(table["commit"]))
                return self._sorted(commit.number)
        return None

    def _sorted(self, number: int) -> pa.Table:
        numbers = self._table["commit"].to_numpy()
        first, last = np.searchsorted(numbers, [number, number + 1])
        table = self._table.slice(int(first), int(last - first))
        return table.take(pa.array(row_order(table)))


def _chain(archive: Queries, store: Store, lake: Lake, files: dict[str, FileRecord]) -> list[str]:
    """Compute every commit's checksum anew, and follow each of its rows into the index."""
    problems: list[str] = []
    rows = _CommitRows(lake, files)
    quarantined = defaultdict(list)
    for key, value in store.scan("quarantine", b""):
        quarantined[orjson.loads(value)["commit"]].append(key.hex())
    before = ""
    for commit in archive.commits():
        number = commit.number
        table = rows.of(commit) if "rows" in commit.segments else None
        selections = _selections(store, commit)
        header = commit_header(commit.survey, commit.night, commit.source, commit.plan_id, quarantined[number])
        alerts = pa.table({}) if table is None else table.drop_columns("commit")
        if (0 if table is None else table.num_rows) != commit.counts.archived:
            problems.append(f"commit {number} archived {commit.counts.archived} alerts and the lake holds {alerts.num_rows} of it")
        elif checksum(before, header, alerts, selections) != commit.checksum:
            problems.append(f"commit {number} differs from its checksum, in its rows, its selections or its quarantined items")
        else:
            problems += _commit_keys(store, archive, commit, alerts, selections)
        before = commit.checksum
    return problems


def _selections(store: Store, commit: Commit) -> dict[str, Any]:
    base = keys.integer_key(commit.number)
    found = {key[8:]: value for key, value in store.scan_prefix("selections", base) if not key.endswith(keys.SAID)}
    return {name.decode(): np.frombuffer(value, "<u4") for name, value in found.items() if name}


def _commit_keys(store: Store, archive: Queries, commit: Commit, alerts: pa.Table, selections: dict[str, Any]) -> list[str]:
    """Look up each alert of a commit: by its number, its object, and in its substreams."""
    survey = archive.survey_number(commit.survey)
    if not alerts.num_rows or survey is None:
        return []
    problems = []
    mjd, ids = alerts["mjd"].to_numpy(), alerts["alert_id"].to_numpy()
    row_keys = store.get_all("alerts", keys.alert_keys(survey, ids))
    packed = store.get_all("rows", [key or b"" for key in row_keys])
    missing = [int(ids[i]) for i, row in enumerate(packed) if row is None]
    if missing:
        return [f"commit {commit.number}: alert {missing[0]} and {len(missing) - 1} more are in the lake and not in the index"]
    pointers = read_pointers([row or b"" for row in packed])
    if (pointers["commit"] != commit.number).any() or (pointers["row"] != np.arange(len(ids))).any():
        problems.append(f"commit {commit.number}: rows of the index name another commit or place")
    ends, names = keys.moments(mjd, ids), object_names(alerts).to_pylist()
    wrong = sum((key or b"")[5:] != name[1:] + b"\0" + end for key, name, end in zip(row_keys, names, ends, strict=True))
    if wrong:
        problems.append(f"commit {commit.number}: {wrong} rows of the index lie under another object or time than the lake says")
    union = set().union(*(chosen.tolist() for chosen in selections.values()))
    if union != set(np.frombuffer(store.get("selections", keys.integer_key(commit.number)) or b"", SELECTED)["row"].tolist()):
        problems.append(f"commit {commit.number}: the packets of its selected alerts are not all listed")
    for name, chosen in selections.items():
        taken = [name.encode() + b"\0" + ends[i][:8] + bytes([survey]) + ends[i][8:] for i in chosen.tolist()]
        lost = sum(value is None for value in store.get_all("substreams", taken))
        if lost or len(chosen) != commit.selected.get(name, 0):
            problems.append(
                f"commit {commit.number}: {lost} of the {commit.selected.get(name, 0)} alerts of {name} are not listed under it"
            )
    return problems


def _counts(archive: Queries) -> list[str]:
    """Compare the ledger with the sum of the commits."""
    problems = []
    account = archive.ledger()
    total, selected, ran = Counts(), Counter[str](), Counter[str]()
    for commit in archive.commits():
        total = total + commit.counts
        selected.update(commit.selected)
        ran.update({name: counts.run for name, counts in commit.modules.items()})
    problems += [
        f"the ledger says {account[name]} {name} and the commits {count}" for name, count in asdict(total).items() if account[name] != count
    ]
    if not account["balanced"]:
        problems.append("the ledger does not balance: received is not archived + quarantined + duplicate")
    for name, count in ran.items():
        if account["modules"].get(name, {}).get("run", 0) != count:
            problems.append(f"the ledger says that {name} ran on other than the {count} alerts that the commits say")
    for name, count in selected.items():
        if account["substreams"].get(name, 0) != count:
            problems.append(f"the ledger says that {name} took {account['substreams'].get(name, 0)} alerts and the commits {count}")
    return problems


def _batches(store: Store, family: str) -> Iterator[list[tuple[bytes, bytes]]]:
    """Give the entries of a family, many at a time."""
    batch: list[tuple[bytes, bytes]] = []
    for entry in store.scan(family, b""):
        batch.append(entry)
        if len(batch) >= AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _rows(store: Store, archive: Queries, files: dict[str, FileRecord]) -> list[str]:
    """Check that each packed row is listed by number and by place, and that its packet lies within a listed file."""
    problems: list[str] = []
    counts: Counter[str] = Counter()
    for batch in _batches(store, "rows"):
        rows = [row for _, row in batch]
        pointers = read_pointers(rows)
        counts["rows"] += int((pointers["commit"] <= archive.last_commit()).sum())
        problems += _packets(archive, files, batch, pointers)
    counts["alerts"] = sum(len(batch) for batch in _batches(store, "alerts"))
    for batch in _batches(store, "sky"):
        counts["sky"] += len(batch)
        found = store.get_all("rows", [value[16:] + key[9:] for key, value in batch])
        lost = sum(row is None for row in found)
        if lost:
            problems.append(f"{lost} places on the sky lead to no alert")
    archived = archive.ledger()["archived"]
    problems += [f"the index holds {n} entries of {name} for {archived} alerts" for name, n in sorted(counts.items()) if n != archived]
    return problems


def _packets(archive: Queries, files: dict[str, FileRecord], batch: list[tuple[bytes, bytes]], pointers: Any) -> list[str]:
    """Check the places of packets; a file that retention dropped is no error."""
    problems: list[str] = []
    nights = archive.nights_of([row for _, row in batch])
    surveys, kept = np.array([key[0] for key, _ in batch]), pointers
    triples = np.stack([kept["kept"].astype(np.int64), surveys, nights, kept["segment"]], axis=1)
    for (where, survey, night, segment), mine in _by_value(triples[kept["kept"] != NOT_KEPT]):
        name = segment_name("selected" if where == IN_SELECTED else "packets", archive.survey_name(survey), night, segment)
        record = files.get(name)
        ends = (kept["offset"] + kept["length"])[kept["kept"] != NOT_KEPT][mine]
        if record is not None and record.state != "dropped" and ends.max() > record.length:
            problems.append(f"{name} has {record.length} bytes and a packet is said to lie at {ends.max()}")
    return problems


def _by_value(values: Any) -> Iterator[tuple[tuple[int, ...], Any]]:
    distinct, which = np.unique(values, axis=0, return_inverse=True)
    for i, value in enumerate(distinct.tolist()):
        yield tuple(value), np.ravel(which) == i


def _objects(store: Store) -> list[str]:
    """Check each object's totals against its rows, its closed chunks, and the list of names."""
    problems: list[str] = []
    counts = Counter[bytes]()
    for owner, group in groupby(store.scan("rows", b""), key=lambda entry: entry[0][:-16]):
        counts[owner] = sum(1 for _ in group)
    for batch in _batches(store, "objects"):
        heads = read_heads([value for _, value in batch])
        for i, (key, _) in enumerate(batch):
            alerts = counts.pop(key, 0)
            if alerts != heads.head["n_alerts"][i]:
                problems.append(f"object {_shown(key)} counts {heads.head['n_alerts'][i]} alerts and has {alerts}")
        problems += _chunks(store, [key for key, _ in batch], heads)
        named = [key for key, _ in batch if int.from_bytes(key[1:5], "big") not in (keys.MOVING, keys.LONE)]
        pixels = store.get_all("names", [key[:1] + key[5:-1] for key in named])
        problems += [f"object {_shown(key)} is not listed by its name" for key, p in zip(named, pixels, strict=True) if p != key[1:5]]
    problems += [f"{n} alerts belong to the object {_shown(key)}, which the index does not hold" for key, n in counts.items()]
    return problems


def _chunks(store: Store, object_keys: list[bytes], heads: Any) -> list[str]:
    """Check that closed chunks are there, hold points in the time range that the head says, and no point twice."""
    problems = []
    for i in np.flatnonzero(heads.head["n_closed"]).tolist():
        ranges = heads.ranges[heads.ranges_offsets[i] : heads.ranges_offsets[i + 1]]
        values = store.get_all("chunks", [chunk_key(object_keys[i], k) for k in range(len(ranges))])
        for k, value in enumerate(values):
            points = np.frombuffer(value or b"", POINT)
            if not len(points) or points["mjd"].min() != ranges["first"][k] or points["mjd"].max() != ranges["last"][k]:
                problems.append(f"chunk {k} of the object {_shown(object_keys[i])} is missing or of another time than its head says")
    return problems


def _shown(object_key: bytes) -> str:
    return object_key[5:-1].decode("utf-8", "replace")


def _quarantine(store: Store, lake: Lake) -> list[str]:
    """Compare each quarantined item with its identity."""
    problems = []
    for key, value in store.scan("quarantine", b""):
        record = orjson.loads(value)
        try:
            body = lake.read_bytes(SegmentSpan(record["segment"], record["start"], record["end"]))
        except (ArchiveError, NotFoundError) as error:
            problems.append(f"quarantined item {key.hex()}: {error}")
            continue
        if hashlib.sha256(body).digest() != key:
            problems.append(f"quarantined item {key.hex()} differs from its identity; restore {record['segment']} from a copy")
    return problems
