"""What every substream promises: a condition that reads existing columns, documented, bounded, and the same on every path."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from alert_batches import random_batch
from fink import filters, surveys
from fink.engines.plan import build_plan
from fink.engines.users import take
from fink.filters import Substream
from fink.filters.places import PositionList
from fink.filters.users import UserSubstream, compile_substream

SUBSTREAMS = sorted(filters.registry().values(), key=lambda substream: substream.name)
each_substream = pytest.mark.parametrize("substream", SUBSTREAMS, ids=lambda substream: substream.name)
LARGEST_NIGHT = 10_000_000


@each_substream
def test_condition_reads_columns_that_exist(substream: Substream) -> None:
    plan = build_plan(substreams=[substream.name])
    _, condition = plan.substreams[substream.name]
    assert condition.columns
    assert condition.columns <= plan.vocabulary.keys()


@each_substream
def test_expected_yield_is_stated_and_sensible(substream: Substream) -> None:
    assert substream.per_night is not None
    least, most = substream.per_night
    assert 0 <= least < most <= LARGEST_NIGHT


@each_substream
def test_it_says_what_it_is_for_and_what_changed(substream: Substream) -> None:
    assert len(substream.about.split()) >= 5
    assert not substream.about.endswith(".")
    assert len(substream.description.split("\n\n")) >= 2, "the file's docstring says what it holds, and then what changed and why"
    assert set(substream.surveys) <= surveys.registry().keys()


def test_cuts_are_used_and_documented() -> None:
    conditions = [substream.where for substream in SUBSTREAMS] + [cut.where for cut in filters.named_cuts().values()]
    for name, cut in filters.named_cuts().items():
        assert cut.about[0].isupper()
        assert any(name in condition.split() or f"({name}" in condition or f"{name})" in condition for condition in conditions), name


@pytest.mark.parametrize("survey", ["ztf", "lsst"])
def test_selection_is_the_same_alone_and_in_a_crowd(survey: str) -> None:
    plan = build_plan(substreams=[s.name for s in SUBSTREAMS])
    batch, _ = plan.run(random_batch(11, 300))
    together = plan.select(batch.alerts, survey)
    assert set(together) == {s.name for s in SUBSTREAMS if not s.surveys or survey in s.surveys}
    for row in range(0, 300, 7):
        alone = plan.select(batch.take(np.array([row])).alerts, survey)
        assert {name: bool(mask[0]) for name, mask in alone.items()} == {name: bool(mask[row]) for name, mask in together.items()}


def test_users_substreams_take_the_same_alone_and_in_a_crowd() -> None:
    plan = build_plan()
    batch, _ = plan.run(random_batch(12, 200))
    types = {name: column.type for name, column in plan.vocabulary.items()}
    cuts = {name: cut.where for name, cut in filters.named_cuts().items()}
    ra, dec = batch.alerts["ra"].to_numpy(), batch.alerts["dec"].to_numpy()
    places = PositionList.build(ra[:60], dec[:60], np.linspace(0.0, 36_000.0, 60), pa.array([f"e{i}" for i in range(60)]))
    # what a built-in substream says, a user may say too, alone or in places
    users = {s.name: compile_substream(UserSubstream(s.name, "ana", 1, s.about, s.where), types, cuts) for s in SUBSTREAMS}
    users["listed"] = compile_substream(UserSubstream("listed", "ana", 1, "listed", "mag < 24", places="x"), types, cuts, places)
    together = take(users, batch.alerts, plan.vocabulary)
    assert together.failed == {}
    assert 0 < together.masks["listed"].sum() < 200
    for row in range(0, 200, 9):
        alone = take(users, batch.take(np.array([row])).alerts, plan.vocabulary)
        assert {name: bool(mask[0]) for name, mask in alone.masks.items()} == {n: bool(m[row]) for n, m in together.masks.items()}
        if alone.masks["listed"][0]:
            assert alone.entries["listed"].to_pylist() == together.entries["listed"].slice(row, 1).to_pylist()
