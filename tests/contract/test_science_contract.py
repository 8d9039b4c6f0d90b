"""What every science module promises: values or null for any input, and the same value alone or in a crowd."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alert_batches import random_batch
from dust_maps import write_dust_maps
from fink import columns, science
from fink.engines.plan import NOT_RUN, RUN, Plan, build_plan
from fink.science import ScienceModule, science_module
from fink.tables import AlertBatch
from sample_catalogues import install_sample_catalogues

MODULES = sorted(science.registry().values(), key=lambda module: module.name)
UCD_WORDS = {"arith", "em", "instr", "meta", "obs", "phot", "phys", "pos", "spect", "src", "stat", "time"}
each_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Every module, with what each reads from files."""
    artifacts: Path = tmp_path_factory.mktemp("artifacts")
    write_dust_maps(artifacts)
    somewhere = random_batch(7, 4000).alerts.slice(0, 400)
    install_sample_catalogues(artifacts, somewhere["ra"].to_numpy(), somewhere["dec"].to_numpy())
    plan = build_plan(artifacts=artifacts)
    assert [step.module.name for step in plan.steps if None in step.artifacts.values()] == []
    return plan


def bits(batch: AlertBatch, plan: Plan) -> dict[str, tuple[bytes, ...]]:
    """Give for each added column the exact bits of each value, nulls apart."""
    found = {}
    for column in plan.added:
        values = batch.alerts[column.name].combine_chunks()
        if pa.types.is_string(column.type):
            found[column.name] = tuple(str(value).encode() for value in values.to_pylist())
            continue
        numbers = values.fill_null(False if pa.types.is_boolean(column.type) else 0).to_numpy(zero_copy_only=False)
        null = values.is_null().to_numpy(zero_copy_only=False)
        found[column.name] = tuple(number.tobytes() + missing.tobytes() for number, missing in zip(numbers, null, strict=True))
    return found


def in_chunks(batch: AlertBatch, plan: Plan, size: int) -> dict[str, tuple[bytes, ...]]:
    """Run the plan on parts of a batch and join what it gave."""
    joined: dict[str, tuple[bytes, ...]] = {}
    for start in range(0, len(batch), size):
        part, _ = plan.run(batch.take(np.arange(start, min(start + size, len(batch)))))
        for name, values in bits(part, plan).items():
            joined[name] = joined.get(name, ()) + values
    return joined


@pytest.mark.parametrize("seed", [1, 2])
def test_batch_size_does_not_change_a_value(plan: Plan, seed: int) -> None:
    batch = random_batch(seed, 120, longest=60)
    whole = bits(plan.run(batch)[0], plan)
    for size in (1, 7, 64):
        assert in_chunks(batch, plan, size) == whole


@pytest.mark.parametrize("seed", [4, 5, 6])
def test_order_and_company_do_not_change_a_value(plan: Plan, seed: int) -> None:
    batch = random_batch(seed, 301)
    whole = bits(plan.run(batch)[0], plan)
    order = np.random.default_rng(seed).permutation(len(batch))
    for rows in (order, order[:50]):
        part = bits(plan.run(batch.take(rows))[0], plan)
        for name, values in whole.items():
            assert part[name] == tuple(values[row] for row in rows), name


def test_the_comparison_of_bits_sees_a_module_that_knows_its_neighbours(plan: Plan) -> None:
    """The two tests above can fail: a module that subtracts the mean of its batch is found out."""

    @science_module(version="1", outputs=(columns.Column("centred", pa.float32(), about="Magnitude minus that of the batch"),))
    def crowd(mag: Any) -> science.Columns:
        return {"centred": mag - np.nanmean(mag)}

    guilty = build_plan(["crowd"], module_registry={"crowd": crowd}, filter_registry={})
    batch = random_batch(1, 50)
    assert in_chunks(batch, guilty, 7) != bits(guilty.run(batch)[0], guilty)


odd_values = st.lists(st.floats(width=32), max_size=6)


@settings(max_examples=150, deadline=None)
@example(seed=0, n=1, odd=[float("inf")], share=1.0)
@example(seed=1, n=40, odd=[0.0, float("inf"), float("-inf"), float("nan"), 1e-45, 3e38], share=0.7)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 12), odd=odd_values, share=st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_any_input_gives_values_or_null_and_never_an_exception(plan: Plan, seed: int, n: int, odd: list[float], share: float) -> None:
    out, counts = plan.run(random_batch(seed, n, odd, share, longest=12))
    assert {name: count.failed for name, count in counts.items()} == dict.fromkeys(counts, 0)
    for column in plan.added:
        values = out.alerts[column.name].combine_chunks()
        assert values.type == column.type
        if pa.types.is_floating(column.type):
            assert np.isfinite(values.drop_null().to_numpy()).all(), column.name


def test_modules_answer_on_ordinary_alerts(plan: Plan) -> None:
    """Each column has a value somewhere, and each flag is sometimes true and sometimes false."""
    out, _ = plan.run(random_batch(7, 4000))
    for step in plan.steps:
        status = out.alerts[step.status.name].to_numpy()
        assert set(np.unique(status)) <= {RUN, NOT_RUN}
        for column in step.module.outputs:
            values = out.alerts[column.name].drop_null()
            assert len(values) > 0, column.name
            assert len(values.unique()) > 1, f"{column.name} is always {values[0]}"


@each_module
def test_outputs_are_declared_with_meaning_unit_and_ucd(module: ScienceModule) -> None:
    assert module.outputs
    assert module.version
    for column in module.outputs:
        assert not column.about[0].islower(), f"{column.name}: {column.about}"
        assert column.ucd, column.name
        assert {word.split(".")[0] for word in column.ucd.split(";")} <= UCD_WORDS, column.ucd
        if pa.types.is_boolean(column.type) or pa.types.is_string(column.type):
            assert not column.unit, column.name


@each_module
def test_documentation_says_more_than_its_name(module: ScienceModule) -> None:
    assert len(module.about.split()) > 6, module.about
    assert module.function.__doc__
    assert not module.reference or module.reference.startswith(("doi:", "https://"))


def test_modules_use_names_of_their_own() -> None:
    declared = [column.name for column in columns.CORE] + [column.name for module in MODULES for column in module.outputs]
    assert len(declared) == len(set(declared))


def test_an_output_that_is_not_declared_is_refused() -> None:
    """What the plan says of a module that gives more than it declares, so that the promise above is kept by force."""

    @science_module(version="1", outputs=(columns.Column("declared", pa.float32(), about="Declared"),))
    def careless(mag: Any) -> science.Columns:
        return {"declared": mag, "undeclared": mag}

    plan = build_plan(["careless"], module_registry={"careless": careless}, filter_registry={})
    _, counts = plan.run(random_batch(1, 3))
    assert counts["careless"].failed == 3
