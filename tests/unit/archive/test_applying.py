"""Applying a batch: only what is new becomes a commit, every key leads to it, and a failed step leaves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fink.archive.applying import KINDS, Applier, commit_header, points_table
from fink.archive.checksums import checksum, row_order
from fink.archive.index import FAMILIES, Store
from fink.archive.lake import Lake
from fink.archive.numbering import Numbering
from fink.archive.rows import IN_PACKETS, IN_SELECTED, NOT_KEPT, read_pointers
from fink.commits import Commit, Counts, Quarantined
from fink.lightcurves import Band, LightCurves
from fink.tables import Cutouts
from unit.archive.outcomes import NIGHTS, Sample, SmallSky, outcome

INDEXED = frozenset({"alert_id", "object_id", "night", "mjd", "flux"})
BAD = Quarantined("f.tar", "entry 3", "no such schema", b"\x01\x02", "ztf", NIGHTS[0])
SAMPLE = SmallSky(12).night(NIGHTS[0])


class Parts:
    """The parts of an archive, with a step that can be made to fail."""

    def __init__(self, folder: Path, keep_packets: str = "all") -> None:
        self.store, self.lake = Store(folder / "index", cache_megabytes=4), Lake(folder, writable=True)
        self.lake.recover({})
        self.numbering = Numbering(self.store)
        self.failing, self.steps = "", list[str]()
        self.applier = Applier(self.store, self.lake, self.numbering, keep_packets=keep_packets, indexed=INDEXED, step=self.step)

    def step(self, name: str) -> None:
        self.steps.append(name)
        if name == self.failing:
            raise OSError(28, "No space left on device")

    def count(self, family: str) -> int:
        return sum(1 for _ in self.store.scan(family, b""))

    def close(self) -> None:
        self.lake.close()
        self.store.close()


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    made = Parts(tmp_path / "a")
    yield made
    made.close()


def follow(commit: Commit) -> tuple[int, str]:
    return commit.number, commit.checksum


def test_every_key_leads_to_what_was_applied(parts: Parts) -> None:
    work = outcome(SAMPLE)
    commit = parts.applier.apply(work, (0, ""))
    n = len(SAMPLE.batch)
    assert (commit.number, commit.counts) == (1, Counts(n, n))
    assert {family: parts.count(family) for family in ("rows", "alerts", "sky")} == {"rows": n, "alerts": n, "sky": n}
    assert parts.count("sso") == sum(name is not None for name in work.alerts["sso_name"].to_pylist()) > 0
    assert parts.count("substreams") == sum(int(mask.sum()) for mask in work.selections.values())
    assert dict(commit.selected) == {name: int(mask.sum()) for name, mask in work.selections.items()}
    assert parts.steps == ["appended", "synced", "written"]
    assert not parts.applier.in_doubt
    assert parts.lake.unsettled() == {}
    for _, row_key in parts.store.scan("alerts", b""):
        assert parts.store.get("rows", row_key) is not None


def test_rows_lie_by_time_and_number_and_are_covered_by_the_checksum(parts: Parts) -> None:
    work = outcome(SAMPLE.take(np.random.default_rng(1).permutation(len(SAMPLE.batch))), plan_id="p", quarantined=(BAD,))
    commit = parts.applier.apply(work, (4, "before"))
    rows = parts.lake.read_rows(commit.segments["rows"])
    ordered = work.alerts.take(pa.array(row_order(work.alerts)))
    assert rows.drop_columns("commit").to_pylist() == ordered.to_pylist()
    assert set(rows["commit"].to_pylist()) == {5}
    order = row_order(work.alerts)
    selections = {name: np.flatnonzero(np.asarray(mask)[order]) for name, mask in work.selections.items()}
    header = commit_header("ztf", NIGHTS[0], "sample", "p", [BAD.identity])
    assert commit.checksum == checksum("before", header, ordered, selections)


def test_what_was_seen_before_is_counted_and_written_no_second_time(parts: Parts) -> None:
    n = len(SAMPLE.batch)
    half = parts.applier.apply(outcome(SAMPLE.take(np.arange(n // 2)), quarantined=(BAD,)), (0, ""))
    whole = parts.applier.apply(outcome(SAMPLE, quarantined=(BAD, BAD)), follow(half))
    assert whole.counts == Counts(n + 2, n - n // 2, 0, n // 2 + 2)
    archived = {family: dict(parts.store.scan(family, b"")) for family in FAMILIES if family not in ("commits", "meta", "ledger")}
    again = parts.applier.apply(outcome(SAMPLE, quarantined=(BAD,)), follow(whole))
    assert again.counts == Counts(n + 1, 0, 0, n + 1)
    assert (again.segments, sum(again.selected.values())) == ({}, 0)
    for family, entries in archived.items():
        assert dict(parts.store.scan(family, b"")) == entries, f"a batch of nothing new changed {family}"


def test_the_same_number_in_another_survey_is_another_alert(parts: Parts) -> None:
    first = parts.applier.apply(outcome(SAMPLE), (0, ""))
    twin = replace(SAMPLE.batch, survey="atlas")
    second = parts.applier.apply(outcome(Sample(twin, SAMPLE.night)), follow(first))
    assert second.counts.archived == len(SAMPLE.batch)
    assert parts.count("alerts") == 2 * len(SAMPLE.batch)


@pytest.mark.parametrize(("policy", "others"), [("all", IN_PACKETS), ("selected", NOT_KEPT), ("none", NOT_KEPT)])
def test_packets_are_kept_as_retention_asks_and_pointed_at(tmp_path: Path, policy: str, others: int) -> None:
    parts = Parts(tmp_path / "a", policy)
    work = outcome(SAMPLE)
    commit = parts.applier.apply(work, (0, ""))
    assert set(commit.segments) == {"rows", "points", "selected"} | ({"packets"} if policy == "all" else set())
    chosen = np.logical_or.reduce(list(work.selections.values()))[row_order(work.alerts)]
    bodies = [work.packets.body(i) for i in row_order(work.alerts).tolist()]
    pointers = read_pointers([row for _, row in parts.store.scan("rows", b"")])
    assert sorted(pointers["row"].tolist()) == list(range(len(bodies)))
    for pointer in pointers:
        row = int(pointer["row"])
        assert (pointer["selected"], pointer["kept"]) == ((1, IN_SELECTED) if chosen[row] else (0, others))
        if pointer["kept"] != NOT_KEPT:
            name = commit.segments["selected" if chosen[row] else "packets"].name
            body, _ = parts.lake.read_packet(name, int(pointer["offset"]), int(pointer["length"]))
            assert body == bodies[row]
            assert [body[start : start + length] for start, length in pointer["stamps"].tolist()] == [b"stamp" * k for k in (4, 2, 1)]
    parts.close()


@pytest.mark.parametrize("step", ["appended", "synced"])
def test_a_step_that_fails_before_the_write_leaves_the_index_as_it_was(parts: Parts, step: str) -> None:
    parts.failing = step
    with pytest.raises(OSError, match="No space"):
        parts.applier.apply(outcome(SAMPLE, quarantined=(BAD,), progress={b"at": b"1"}), (0, ""))
    assert [family for family in FAMILIES if parts.count(family)] == []
    assert not parts.applier.in_doubt
    parts.lake.roll_back()
    parts.numbering.forget()
    parts.failing = ""
    assert parts.applier.apply(outcome(SAMPLE), (0, "")).counts.archived == len(SAMPLE.batch)


def test_after_the_write_the_commit_is_in_doubt_until_it_is_settled(parts: Parts) -> None:
    parts.failing = "written"
    with pytest.raises(OSError, match="No space"):
        parts.applier.apply(outcome(SAMPLE, progress={b"at": b"1"}), (0, ""))
    assert parts.applier.in_doubt
    assert (parts.count("commits"), parts.store.get("positions", b"at")) == (1, b"1")


def test_a_batch_of_nothing_but_unreadable_items_is_a_commit(parts: Parts) -> None:
    empty = replace(outcome(SAMPLE.take(np.arange(0)), quarantined=(BAD,)), survey="", night=0)
    commit = parts.applier.apply(empty, (0, ""))
    assert commit.counts == Counts(1, 0, 1, 0)
    assert (parts.count("quarantine"), parts.count("rows"), parts.numbering.surveys) == (1, 0, [])


def test_of_stamps_that_come_later_the_first_copy_is_kept(parts: Parts) -> None:
    bare = Sample(replace(SAMPLE.batch, cutouts=Cutouts.none(len(SAMPLE.batch))), SAMPLE.night)
    first = parts.applier.apply(outcome(bare), (0, ""))
    assert not read_pointers([row for _, row in parts.store.scan("rows", b"")])["stamps"].any()
    second = parts.applier.apply(outcome(SAMPLE), follow(first))
    assert second.counts.duplicate == len(SAMPLE.batch)
    pointers = read_pointers([row for _, row in parts.store.scan("rows", b"")])
    assert pointers["stamps"][:, :, 1].tolist() == [[20, 10, 5]] * len(pointers)
    assert set(pointers["segment"].tolist()) <= {1, 2}
    assert set(pointers["commit"].tolist()) == {1}
    third = parts.applier.apply(outcome(SAMPLE), follow(second))
    assert (read_pointers([row for _, row in parts.store.scan("rows", b"")]) == pointers).all()
    assert third.segments == {}


def test_points_are_written_with_their_owners_bands_and_kinds() -> None:
    batch = SAMPLE.batch
    table = points_table(batch.alerts, batch.lightcurves, 9)
    owners, curves = batch.lightcurves.owners(), batch.lightcurves
    assert table["alert_id"].to_pylist() == batch.alerts["alert_id"].to_numpy()[owners].tolist()
    assert table["band"].to_pylist() == [curves.bands[b].name for b in curves.band.tolist()]
    assert table["kind"].to_pylist() == [KINDS[k] for k in curves.kind.tolist()]
    assert [flux is None for flux in table["flux"].to_pylist()] == np.isnan(curves.flux).tolist()
    assert set(table["commit"].to_pylist()) == {9}
    assert points_table(batch.alerts, LightCurves.empty(len(batch), (Band("g", "ztf", 4746.0),)), 9).num_rows == 0


def test_the_header_of_a_commit_lists_quarantined_items_in_any_order() -> None:
    assert commit_header("ztf", 1, "s", "p", ["b", "a"]) == commit_header("ztf", 1, "s", "p", ["a", "b"])
    assert commit_header("ztf", 1, "s", "p", ["a"]) != commit_header("ztf", 1, "s", "p", [])
