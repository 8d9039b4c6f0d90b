"""The plan: modules in the order of their needs, isolated when they raise, checked in what they give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from fink import columns
from fink.artifacts import Artifact
from fink.columns import CORE, Column
from fink.engines import plan as plans
from fink.engines.plan import ABSENT, FAILED, NOT_RUN, RUN, build_plan
from fink.errors import ConditionError, ModuleError, PlanError
from fink.filters import Substream
from fink.lightcurves import LightCurves
from fink.science import ScienceModule
from fink.tables import AlertBatch, Cutouts, Packets

F4 = pa.float32()


def module(
    name: str, function: Callable[..., Any], inputs: tuple[str, ...], *gives: str, where: str = "", type_: pa.DataType = F4
) -> ScienceModule:
    """Declare a module by hand."""
    outputs = tuple(Column(gift, type_, "", "meta", f"what {name} gives") for gift in gives)
    return ScienceModule(name, function, "1.0", outputs, inputs, where, "", f"{name} measures", f"{name} measures")


def registry(*modules: ScienceModule) -> Mapping[str, ScienceModule]:
    """Join modules by name."""
    return {m.name: m for m in modules}


def batch(mag: list[float | None]) -> AlertBatch:
    """Make alerts that have an id and a magnitude, and a null in everything else that may be null."""
    n = len(mag)
    table = {column.name: pa.nulls(n, column.type) for column in CORE}
    table |= {"alert_id": pa.array(range(n), pa.int64()), "mag": pa.array(mag, F4), "survey": pa.array(["ztf"] * n)}
    packets = Packets.from_bodies([b""] * n, b"{}") if n else Packets.from_bodies([], b"{}")
    return AlertBatch("ztf", pa.table(table), LightCurves.empty(n, ()), packets, Cutouts.none(n))


def brighter(mag: NDArray[np.float64]) -> dict[str, Any]:
    return {"brighter": mag - 1.0}


def test_modules_run_after_what_they_need() -> None:
    first = module("zeta", brighter, ("mag",), "brighter")
    second = module("alpha", lambda brighter: {"twice": 2 * brighter}, ("brighter",), "twice")
    plan = build_plan(module_registry=registry(second, first), filter_registry={})
    assert [step.module.name for step in plan.steps] == ["zeta", "alpha"]
    result, counts = plan.run(batch([20.0, None]))
    assert result.alerts["twice"].to_pylist() == [38.0, None]
    assert (counts["alpha"].run, counts["alpha"].null, counts["alpha"].failed) == (2, 1, 0)


def test_a_condition_is_a_need_too() -> None:
    first = module("zeta", brighter, ("mag",), "brighter")
    second = module("alpha", lambda mag: {"copy": mag}, ("mag",), "copy", where="brighter < 18.5")
    plan = build_plan(module_registry=registry(second, first), filter_registry={})
    assert [step.module.name for step in plan.steps] == ["zeta", "alpha"]
    result, _ = plan.run(batch([19.0, 20.0, None]))
    assert result.alerts["copy"].to_pylist() == [19.0, None, None]
    assert result.alerts["alpha_status"].to_pylist() == [RUN, NOT_RUN, NOT_RUN]


def test_naming_one_module_brings_what_it_needs() -> None:
    known = registry(
        module("a", brighter, ("mag",), "brighter"),
        module("b", lambda brighter: {"x": brighter}, ("brighter",), "x"),
        module("c", lambda mag: {"y": mag}, ("mag",), "y"),
    )
    assert {step.module.name for step in build_plan(["b"], module_registry=known, filter_registry={}).steps} == {"a", "b"}


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ([module("a", brighter, ("mgg",), "brighter")], "needs the column mgg, which nothing gives; did you mean mag"),
        ([module("a", brighter, ("y",), "x"), module("b", brighter, ("x",), "y")], "in a circle"),
        ([module("a", brighter, ("mag",), "x"), module("b", brighter, ("mag",), "x")], "a and b both give x"),
        ([module("a", brighter, ("mag",), "ra")], "declared twice"),
    ],
)
def test_what_does_not_fit_is_refused_at_the_start(modules: list[ScienceModule], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        build_plan(module_registry=registry(*modules), filter_registry={})


def test_mistyped_names_and_conditions() -> None:
    with pytest.raises(PlanError, match="no science module brigter; did you mean brighter"):
        build_plan(["brigter"], module_registry=registry(module("brighter", brighter, ("mag",), "x")), filter_registry={})
    wrong = {"bright": Substream("bright ones", "mgg < 18", name="bright")}
    with pytest.raises(ConditionError, match="did you mean mag"):
        build_plan(module_registry={}, filter_registry=wrong)


def test_a_module_that_raises_fails_alone_on_those_alerts() -> None:
    calls = []

    def touchy(mag: NDArray[np.float64]) -> dict[str, Any]:
        calls.append(len(mag))
        if (mag == 13.0).any():
            raise ValueError("thirteen")
        return {"touched": mag}

    plan = build_plan(
        module_registry=registry(module("touchy", touchy, ("mag",), "touched"), module("b", brighter, ("mag",), "brighter")),
        filter_registry={},
    )
    mags: list[float | None] = [float(10 + i % 7) for i in range(50)]
    result, counts = plan.run(batch(mags))
    unlucky = [i for i, mag in enumerate(mags) if mag == 13.0]
    assert counts["touchy"].failed == len(unlucky)
    assert counts["b"].failed == 0
    assert [i for i, s in enumerate(result.alerts["touchy_status"].to_pylist()) if s == FAILED] == unlucky
    assert result.alerts["touched"].to_pylist() == [None if mag == 13.0 else mag for mag in mags]
    assert result.alerts["brighter"].null_count == 0


@pytest.mark.parametrize(
    "gives",
    [
        lambda mag: {"x": mag[:1]},
        lambda mag: {},
        lambda mag: {"x": mag, "undeclared": mag},
        lambda mag: {"x": pa.array(["text"] * len(mag))},
    ],
)
def test_what_a_module_may_not_give(gives: Callable[..., Any]) -> None:
    step = build_plan(module_registry=registry(module("a", gives, ("mag",), "x")), filter_registry={}).steps[0]
    with pytest.raises(ModuleError, match="science module a"):
        plans._call(step, batch([1.0, 2.0]), columns.COLUMNS)


@dataclass(frozen=True)
class Offset:
    """What an artifact may be: a number in a file."""

    value: float
    version: str

    @classmethod
    def read(cls, path: Path) -> Offset:
        return cls(float(path.read_text()), path.read_text())


def test_a_module_brings_along_those_that_its_condition_reads() -> None:
    first = module("zeta", brighter, ("mag",), "brighter")
    second = module("alpha", lambda mag: {"twice": 2 * mag}, ("mag",), "twice", where="brighter > 18 AND zeta_status = 0")
    plan = build_plan(["alpha"], module_registry=registry(second, first), filter_registry={})
    assert [step.module.name for step in plan.steps] == ["zeta", "alpha"]
    assert plan.run(batch([20.0, 18.0]))[0].alerts["twice"].to_pylist() == [40.0, None]


def test_an_artifact_reaches_the_module_that_names_it(tmp_path: Path) -> None:
    zero_point = Artifact("zero_point", ("zero.txt",), Offset.read, "a number")
    shifted = module("shifted", lambda zero_point, mag: {"shift": mag + zero_point.value}, ("zero_point", "mag"), "shift")
    known = registry(replace(shifted, artifacts=(zero_point,)))
    absent = build_plan(artifacts=tmp_path, module_registry=known, filter_registry={})
    result, counts = absent.run(batch([18.0, None]))
    assert result.alerts["shift"].to_pylist() == [None, None]
    assert result.alerts["shifted_status"].to_pylist() == [ABSENT, ABSENT]
    assert (counts["shifted"].run, counts["shifted"].failed) == (0, 0)
    assert absent.record.artifacts == {}
    assert "zero_point is not there" in absent.steps[0].status.about

    (tmp_path / "zero.txt").write_text("2.5")
    there = build_plan(artifacts=tmp_path, module_registry=known, filter_registry={})
    result, counts = there.run(batch([18.0, None]))
    assert result.alerts["shift"].to_pylist() == [20.5, None]
    assert result.alerts["shifted_status"].to_pylist() == [RUN, RUN]
    assert counts["shifted"].run == 2
    assert there.record.artifacts == {"zero_point": "2.5"}
    assert there.record.identity != absent.record.identity


def test_what_is_not_finite_becomes_null() -> None:
    values = np.array([1.0, np.nan, np.inf, 1e39])
    assert plans.to_arrow("a", Column("x", F4, about="a value"), values, 4).to_pylist() == [1.0, None, None, None]
    assert plans.to_arrow("a", Column("x", pa.int32(), about="a value"), values[:2], 2).to_pylist() == [1, None]
    assert plans.to_arrow("a", Column("x", pa.bool_(), about="a value"), values[:2], 2).to_pylist() == [True, None]
    masked = np.ma.masked_array([3, 4], mask=[False, True])
    assert plans.to_arrow("a", Column("x", pa.int64(), about="a value"), masked, 2).to_pylist() == [3, None]


def test_how_columns_reach_a_module() -> None:
    nullable, never = Column("x", pa.int32(), about="a value"), Column("x", pa.int64(), about="a value", nullable=False)
    floats = plans.to_numpy(nullable, pa.array([1, None], pa.int32()))
    assert floats.dtype == np.float64
    assert np.isnan(floats[1])
    assert plans.to_numpy(never, pa.array([2**62 + 1])).tolist() == [2**62 + 1]
    assert plans.to_numpy(Column("x", pa.bool_(), about="a value"), pa.array([True, None])).tolist()[0] == 1.0
    assert plans.to_numpy(Column("x", pa.string(), about="a value"), pa.array(["g", None])).to_pylist() == ["g", None]


def test_substreams_take_alerts_of_their_surveys_and_nulls_never() -> None:
    declared = {
        "bright": Substream("bright ones", "mag < 18", name="bright"),
        "elsewhere": Substream("of another survey", "mag < 18", surveys=("lsst",), name="elsewhere"),
    }
    plan = build_plan(module_registry={}, filter_registry=declared)
    masks = plan.select(batch([17.0, 19.0, None]).alerts, "ztf")
    assert {name: mask.tolist() for name, mask in masks.items()} == {"bright": [True, False, False]}


def test_the_record_of_a_plan_is_its_identity() -> None:
    one = build_plan(module_registry=registry(module("a", brighter, ("mag",), "brighter")), filter_registry={})
    same = build_plan(module_registry=registry(module("a", brighter, ("mag",), "brighter")), filter_registry={})
    other = build_plan(module_registry=registry(module("a", brighter, ("mag",), "dimmer")), filter_registry={})
    assert one.record.identity == same.record.identity != other.record.identity
    assert type(one.record).from_bytes(one.record.to_bytes()) == one.record


def test_a_substream_on_demand_runs_only_when_named() -> None:
    declared = {
        "bright": Substream("bright ones", "mag < 18", name="bright"),
        "all": Substream("nearly all", "mag < 30", on_demand=True, name="all"),
    }
    assert set(build_plan(module_registry={}, filter_registry=declared).substreams) == {"bright"}
    assert set(build_plan((), ["all"], module_registry={}, filter_registry=declared).substreams) == {"all"}
