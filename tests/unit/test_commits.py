"""Commits: counts that add up, and records that come back as they were written."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_batches import alert_batch, light_curves
from fink.commits import UNKNOWN_NIGHT, Commit, Counts, ModuleCounts, Outcome, PlanRecord, Quarantined, SegmentSpan

NUMBERS = st.integers(0, 2**53)
COUNTS = st.builds(Counts, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
MODULES = st.builds(ModuleCounts, NUMBERS, NUMBERS, NUMBERS, st.floats(0, 1e6))
NAMES = st.text(min_size=1, max_size=20)
COMMITS = st.builds(
    Commit,
    number=st.integers(1, 2**53),
    survey=st.sampled_from(["", "ztf", "lsst"]),
    night=st.integers(0, 20991231),
    source=NAMES,
    plan_id=NAMES,
    counts=COUNTS,
    modules=st.dictionaries(NAMES, MODULES, max_size=3),
    selected=st.dictionaries(NAMES, NUMBERS, max_size=3),
    segments=st.dictionaries(NAMES, st.builds(SegmentSpan, NAMES, NUMBERS, NUMBERS), max_size=3),
    checksum=NAMES,
)


@given(COMMITS)
def test_a_commit_comes_back_as_it_was_written(commit: Commit) -> None:
    assert Commit.from_bytes(commit.to_bytes()) == commit


@given(COUNTS, COUNTS)
def test_counts_add_item_by_item(one: Counts, other: Counts) -> None:
    both = one + other
    assert (both.received, both.archived, both.quarantined) == (
        one.received + other.received,
        one.archived + other.archived,
        one.quarantined + other.quarantined,
    )
    assert (both.duplicate, both.late) == (one.duplicate + other.duplicate, one.late + other.late)


@pytest.mark.parametrize("name", ["archived", "quarantined", "duplicate"])
def test_one_item_that_is_not_accounted_for_unbalances_the_counts(name: str) -> None:
    counts = Counts(received=10, archived=6, quarantined=3, duplicate=1)
    assert counts.balanced
    assert not replace(counts, **{name: getattr(counts, name) + 1}).balanced
    assert not replace(counts, **{name: getattr(counts, name) - 1}).balanced


def test_late_alerts_are_archived_ones_and_do_not_count_twice() -> None:
    assert Counts(received=10, archived=10, late=4).balanced


def test_balanced_counts_stay_balanced_when_added() -> None:
    assert (Counts(3, 1, 1, 1) + Counts(2, 2)).balanced
    assert not (Counts(3, 1, 1, 1) + Counts(2, 1)).balanced


def test_module_counts_add_item_by_item() -> None:
    assert ModuleCounts(1, 2, 3, 0.25) + ModuleCounts(10, 20, 30, 0.5) == ModuleCounts(11, 22, 33, 0.75)


def test_quarantined_items_are_the_same_by_their_bytes_alone() -> None:
    item = Quarantined("night.avro", "record 3", "it ends early", b"\x00bad")
    assert item.identity == hashlib.sha256(b"\x00bad").hexdigest()
    assert replace(item, source="elsewhere", reason="other").identity == item.identity
    assert replace(item, body=b"\x00bae").identity != item.identity
    assert (item.survey, item.night) == ("", UNKNOWN_NIGHT)


def test_a_batch_received_its_alerts_and_what_was_unreadable() -> None:
    batch = alert_batch([{"alert_id": 1}, {"alert_id": 2}], light_curves([[], []]))
    outcome = Outcome("lsst", 20230225, "test", batch.alerts, batch.lightcurves, batch.packets, batch.cutouts)
    assert outcome.received == 2
    bad = Quarantined("test", "record 3", "it ends early", b"bad")
    assert replace(outcome, quarantined=(bad, bad, bad)).received == 5


PLAN = PlanRecord({"b": "float", "a": "int8"}, {"colour": "1.0", "period": "2.1"}, {"new": "age < 5"}, {"dust_map": "1f"})


def test_a_plan_comes_back_as_it_was_written_with_its_columns_in_order() -> None:
    back = PlanRecord.from_bytes(PLAN.to_bytes())
    assert back == PLAN
    assert list(back.columns) == ["b", "a"]
    assert back.identity == PLAN.identity


def test_equal_plans_have_one_identity_however_their_parts_were_found() -> None:
    turned = replace(PLAN, modules=dict(sorted(PLAN.modules.items(), reverse=True)))
    assert turned.identity == PLAN.identity
    assert len(PLAN.identity) == 16
    assert int(PLAN.identity, 16) >= 0


@pytest.mark.parametrize(
    "other",
    [
        replace(PLAN, columns={"a": "int8", "b": "float"}),
        replace(PLAN, columns={**PLAN.columns, "b": "double"}),
        replace(PLAN, modules={**PLAN.modules, "colour": "1.1"}),
        replace(PLAN, filters={"new": "age < 6"}),
    ],
    ids=["order of columns", "type", "version", "condition"],
)
def test_any_change_of_a_plan_changes_its_identity(other: PlanRecord) -> None:
    assert other.identity != PLAN.identity
