"""The plan: science modules in the order of what they need and give, then the filters, for one batch at a time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fink import columns, filters, science, surveys
from fink.artifacts import Versioned
from fink.codecs.cutouts import Stamps
from fink.columns import Column
from fink.commits import ModuleCounts, PlanRecord
from fink.conditions import Condition, evaluate, parse_condition
from fink.errors import ArtifactError, ModuleError, PlanError, did_you_mean
from fink.filters import Substream
from fink.science import ScienceModule
from fink.tables import AlertBatch

T = TypeVar("T")

RUN, NOT_RUN, FAILED, ABSENT = 0, 1, 2, 3
"""What a module's status column says: it ran (a null is its answer), its condition left the alert out, it failed, or an artifact
that it reads is not there."""


@dataclass(frozen=True)
class Step:
    """A module in its place: with its condition compiled, the column that says why a value is null, and its artifacts, opened.

    An artifact that is not there is None.
    """

    module: ScienceModule
    where: Condition | None
    status: Column
    artifacts: Mapping[str, Versioned | None] = field(default_factory=dict)

    @property
    def outputs(self) -> tuple[Column, ...]:
        """The columns that it adds, its status last."""
        return (*self.module.outputs, self.status)

    @property
    def is_absent(self) -> bool:
        """Whether it does not run since an artifact that it needs is not there, or of optional ones not one."""
        needed = [artifact.name for artifact in self.module.artifacts if not artifact.optional]
        there = [name for name, opened in self.artifacts.items() if opened is not None]
        return not set(needed) <= set(there) or bool(self.artifacts and not there)

    @property
    def reads(self) -> frozenset[str]:
        """Names of the columns that it looks at, for its condition too."""
        return self.module.input_columns | (self.where.columns if self.where else frozenset())


@dataclass(frozen=True)
class Plan:
    """Everything that happens to a batch between the survey's columns and the commit.

    Parameters
    ----------
    steps
        Modules in order.
    substreams
        The filters, with their compiled conditions.
    vocabulary
        Every column that conditions and modules may name.
    """

    steps: tuple[Step, ...]
    substreams: Mapping[str, tuple[Substream, Condition]]
    vocabulary: Mapping[str, Column]
    record: PlanRecord = field(repr=False)

    @property
    def added(self) -> tuple[Column, ...]:
        """The columns that the plan adds to an alert, in order."""
        return tuple(column for step in self.steps for column in step.outputs)

    def versions(self, folder: Path | None) -> dict[str, str]:
        """Give the versions of its artifacts that a run should use from now on: those that can be replaced as they are now."""
        found = dict(self.record.artifacts)
        for artifact in (artifact for step in self.steps for artifact in step.module.artifacts if artifact.replaceable):
            found.pop(artifact.name, None)
            if (version := artifact.current(folder)) is not None:
                found[artifact.name] = version
        return found

    def with_versions(self, folder: Path | None, versions: Mapping[str, str]) -> Plan:
        """Give the same plan with the artifacts in these versions, opening only those that are others than before."""
        if versions == self.record.artifacts:
            return self
        steps = tuple(replace(step, artifacts=_reopened(step, folder, versions)) for step in self.steps)
        return replace(self, steps=steps, record=replace(self.record, artifacts=dict(versions)))

    def run(self, batch: AlertBatch) -> tuple[AlertBatch, dict[str, ModuleCounts]]:
        """Run every module on a batch.

        Returns
        -------
        batch
            With the added columns.
        counts
            For each module on how many alerts it ran, gave only null, or failed, and its time.
        """
        counts: dict[str, ModuleCounts] = {}
        known = dict(zip(batch.alerts.column_names, batch.alerts.columns, strict=True))
        added: dict[str, pa.Array] = {}
        cutouts = batch.cutouts.remembering()
        for step in self.steps:
            # a step is given the columns that it reads and no others, since what is done to a batch costs time for each column
            read = {name: known[name] for name in ("alert_id", *sorted(step.reads)) if name in known}
            narrow = replace(batch, alerts=pa.table(read), cutouts=cutouts)
            done, counts[step.module.name] = run_step(step, narrow, self.vocabulary)
            given = {column.name: done.alerts[column.name] for column in step.outputs}
            known.update(given)
            added.update(given)
        return batch.with_columns(added), counts

    def select(self, alerts: pa.Table, survey: str) -> dict[str, NDArray[np.bool_]]:
        """Say for each substream which alerts it takes, (n,) bool each."""
        chosen = {name: c for name, (s, c) in self.substreams.items() if not s.surveys or survey in s.surveys}
        table = with_null_columns(alerts, {c for condition in chosen.values() for c in condition.columns}, self.vocabulary)
        masks = evaluate(list(chosen.values()), table)
        return {name: np.asarray(masks[i], np.bool_) for i, name in enumerate(chosen)}


def build_plan(
    modules: Sequence[str] = (),
    substreams: Sequence[str] = (),
    *,
    artifacts: Path | None = None,
    module_registry: Mapping[str, ScienceModule] | None = None,
    filter_registry: Mapping[str, Substream] | None = None,
) -> Plan:
    """Resolve names, order the modules, and check and compile every condition.

    Parameters
    ----------
    modules, substreams
        Names to use; none named means all. Modules that a named one needs come with it.
    artifacts
        Folder of the maps, catalogues and models that modules read; those that are not there are done without.
    module_registry, filter_registry
        Other registries than the built-in ones.

    Raises
    ------
    PlanError
        If a name is unknown, a module needs a column that nothing gives, two modules give the same column, or modules
        need one another in a circle.
    ConditionError
        If a condition does not parse or names an unknown column.
    """
    known_modules = science.registry() if module_registry is None else module_registry
    known_filters = filters.registry() if filter_registry is None else filter_registry
    given = columns.merge_columns(columns.CORE, *(survey.columns for survey in surveys.registry().values()))
    wanted = _named(modules, known_modules, "science module")
    cuts = {name: cut.where for name, cut in filters.named_cuts().items()}
    chosen = _with_what_they_need(wanted, known_modules, given, cuts)
    vocabulary = columns.merge_columns(given.values(), *(_outputs(module) for module in chosen.values()))
    types = {name: column.type for name, column in vocabulary.items()}
    steps = tuple(_step(module, types, cuts, artifacts) for module in _in_order(chosen, given, types, cuts))
    standing = substreams or [name for name, declared in sorted(known_filters.items()) if not declared.on_demand]
    named = _named(standing, known_filters, "substream") if standing else {}
    selected = _usable(named, types, cuts, strict=bool(substreams) or not modules)
    record = PlanRecord(
        columns={column.name: str(column.type) for step in steps for column in step.outputs},
        modules={step.module.name: step.module.version for step in steps},
        filters={name: condition.canonical() for name, (_, condition) in selected.items()},
        artifacts={name: opened.version for step in steps for name, opened in step.artifacts.items() if opened is not None},
        fink=version("fink"),
    )
    return Plan(steps, selected, vocabulary, record)


def _usable(
    substreams: Mapping[str, Substream], types: Mapping[str, pa.DataType], cuts: Mapping[str, str], *, strict: bool
) -> dict[str, tuple[Substream, Condition]]:
    """Compile the conditions; with only some modules asked for, leave out the filters that need others."""
    usable = {}
    everything = types if strict else {**types, **{name: column.type for name, column in all_outputs().items()}}
    for name, declared in substreams.items():
        condition = parse_condition(declared.where, everything, cuts)
        if condition.columns <= types.keys():
            usable[name] = (declared, condition)
    return usable


def all_outputs() -> dict[str, Column]:
    """Give every column that some module adds, whether or not a plan has it."""
    return {column.name: column for module in science.registry().values() for column in _outputs(module)}


def _named(names: Sequence[str], known: Mapping[str, T], what: str) -> dict[str, T]:
    for name in names:
        if name not in known:
            raise PlanError(f"there is no {what} {name}{did_you_mean(name, known)}")
    return {name: known[name] for name in (names or sorted(known))}


def _status_column(module: ScienceModule) -> Column:
    about = f"Why a value of {module.name} is null: {RUN} it ran and has no answer, {NOT_RUN} not run on this alert, {FAILED} it failed"
    about += f", {ABSENT} {' or '.join(a.name for a in module.artifacts)} is not there" if module.artifacts else ""
    return Column(f"{module.name}_status", pa.int8(), "", "meta.code.status", about, nullable=False)


def _outputs(module: ScienceModule) -> tuple[Column, ...]:
    return (*module.outputs, _status_column(module))


def _producers(modules: Mapping[str, ScienceModule]) -> dict[str, str]:
    """Say which module gives each column, refusing a column that two give."""
    producers: dict[str, str] = {}
    for module in modules.values():
        for column in _outputs(module):
            if column.name in producers:
                raise PlanError(f"modules {producers[column.name]} and {module.name} both give {column.name}; rename one")
            producers[column.name] = module.name
    return producers


def _with_what_they_need(
    wanted: Mapping[str, ScienceModule], known: Mapping[str, ScienceModule], given: Mapping[str, Column], cuts: Mapping[str, str]
) -> dict[str, ScienceModule]:
    """Add to modules those whose columns they, or their conditions, read."""
    producers = _producers(known)
    types = {column.name: column.type for column in (*given.values(), *(c for module in known.values() for c in _outputs(module)))}
    chosen: dict[str, ScienceModule] = {}
    waiting = list(wanted.values())
    while waiting:
        module = waiting.pop()
        if module.name in chosen:
            continue
        chosen[module.name] = module
        for name in _read_by(module, types, cuts) - given.keys():
            if name not in producers:
                hint = did_you_mean(name, [*given, *producers])
                raise PlanError(f"science module {module.name} needs the column {name}, which nothing gives{hint}")
            waiting.append(known[producers[name]])
    return chosen


def _read_by(module: ScienceModule, types: Mapping[str, pa.DataType], cuts: Mapping[str, str]) -> frozenset[str]:
    """Give the columns that a module or its condition reads."""
    return module.input_columns | (parse_condition(module.where, types, cuts).columns if module.where else frozenset())


def _step(module: ScienceModule, types: Mapping[str, pa.DataType], cuts: Mapping[str, str], folder: Path | None) -> Step:
    where = parse_condition(module.where, types, cuts) if module.where else None
    return Step(module, where, _status_column(module), {artifact.name: artifact.open(folder) for artifact in module.artifacts})


def _reopened(step: Step, folder: Path | None, versions: Mapping[str, str]) -> dict[str, Versioned | None]:
    opened: dict[str, Versioned | None] = dict(step.artifacts)
    for artifact in step.module.artifacts:
        before, wanted = step.artifacts.get(artifact.name), versions.get(artifact.name)
        if artifact.replaceable and wanted != (before.version if before else None):
            opened[artifact.name] = artifact.open(folder, wanted) if wanted else None
            if wanted and opened[artifact.name] is None:
                raise ArtifactError(f"version {wanted} of {artifact.name} is no longer there; install it again")
    return opened


def _in_order(
    chosen: Mapping[str, ScienceModule], given: Mapping[str, Column], types: Mapping[str, pa.DataType], cuts: Mapping[str, str]
) -> Iterable[ScienceModule]:
    """Order modules so that each comes after those whose columns it reads; ties go by name, so the order is always the same."""
    producers = _producers(chosen)
    needs = {name: {producers[column] for column in _read_by(chosen[name], types, cuts) - given.keys()} for name in sorted(chosen)}
    sorter = TopologicalSorter({name: sorted(names) for name, names in needs.items()})
    try:
        sorter.prepare()
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise PlanError(f"science modules need one another in a circle: {circle}; let one of them do without") from error
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        yield from (chosen[name] for name in ready)
        sorter.done(*ready)


def with_null_columns(alerts: pa.Table, names: Iterable[str], vocabulary: Mapping[str, Column]) -> pa.Table:
    """Give the table with the columns that its survey does not have, as nulls."""
    for name in sorted(set(names) - set(alerts.column_names)):
        alerts = alerts.append_column(name, pa.nulls(alerts.num_rows, vocabulary[name].type))
    return alerts


def run_step(step: Step, batch: AlertBatch, vocabulary: Mapping[str, Column]) -> tuple[AlertBatch, ModuleCounts]:
    """Run one module on the alerts that its condition takes; the others, and those on which it raises, get null."""
    began = time.perf_counter()
    n = len(batch)
    if step.is_absent:
        nothing = {column.name: pa.nulls(n, column.type) for column in step.module.outputs}
        return batch.with_columns(nothing | {step.status.name: pa.array(np.full(n, ABSENT, np.int8))}), ModuleCounts()
    rows = np.arange(n)
    if step.where is not None:
        rows = np.flatnonzero(step.where.mask(with_null_columns(batch.alerts, step.where.columns, vocabulary)))
    part = batch if len(rows) == n else batch.take(rows)
    status = np.full(n, NOT_RUN, np.int8)
    values, failed = _run_isolated(step, part, vocabulary)
    status[rows] = np.where(failed, FAILED, RUN)
    added = {name: _scatter(array, rows, n) for name, array in values.items()}
    added[step.status.name] = pa.array(status)
    nulls = _all_null(values, len(rows)) & ~failed
    counts = ModuleCounts(len(rows) - int(failed.sum()), int(nulls.sum()), int(failed.sum()), time.perf_counter() - began)
    return batch.with_columns(added), counts


def _scatter(values: pa.Array, rows: NDArray[np.int64], n: int) -> pa.Array:
    """Put the values of some rows in their places among ``n``, null elsewhere."""
    if len(rows) == n:
        return values
    index = np.full(n, -1, np.int64)
    index[rows] = np.arange(len(rows))
    return values.take(pa.array(index, mask=index < 0))


def _all_null(values: Mapping[str, pa.Array], n: int) -> NDArray[np.bool_]:
    null = np.ones(n, np.bool_)
    for array in values.values():
        null &= array.is_null().to_numpy(zero_copy_only=False)
    return null


def _run_isolated(step: Step, batch: AlertBatch, vocabulary: Mapping[str, Column]) -> tuple[dict[str, pa.Array], NDArray[np.bool_]]:
    """Run a module; where it raises, halve the batch until only the alerts on which it raises alone are left out."""
    n = len(batch)
    if n == 0:
        return {column.name: pa.nulls(0, column.type) for column in step.module.outputs}, np.zeros(0, np.bool_)
    try:
        return _call(step, batch, vocabulary), np.zeros(n, np.bool_)
    except Exception:  # whatever a module raises is its own failure, counted in the ledger; this is the one broad except
        if n == 1:
            return {column.name: pa.nulls(1, column.type) for column in step.module.outputs}, np.ones(1, np.bool_)
    half = n // 2
    first, first_failed = _run_isolated(step, batch.take(np.arange(half)), vocabulary)
    second, second_failed = _run_isolated(step, batch.take(np.arange(half, n)), vocabulary)
    joined = {name: pa.concat_arrays([first[name], second[name]]) for name in first}
    return joined, np.concatenate([first_failed, second_failed])


def _call(step: Step, batch: AlertBatch, vocabulary: Mapping[str, Column]) -> dict[str, pa.Array]:
    module = step.module
    inputs = (step.artifacts[name] if name in step.artifacts else _input(name, batch, vocabulary) for name in module.inputs)
    given = module.function(*inputs)
    unknown = set(given) - {column.name for column in module.outputs}
    if unknown:
        raise ModuleError(f"science module {module.name} gave {sorted(unknown)}, which it does not declare")
    return {column.name: to_arrow(module.name, column, given.get(column.name), len(batch)) for column in module.outputs}


def _input(name: str, batch: AlertBatch, vocabulary: Mapping[str, Column]) -> Any:
    if name == "lightcurves":
        return batch.lightcurves
    if name == "cutouts":
        return Stamps(batch.packets, batch.cutouts, surveys.registry()[batch.survey].pixel_scale)
    column = vocabulary[name]
    if name not in batch.alerts.column_names:
        return to_numpy(column, pa.nulls(len(batch), column.type))
    return to_numpy(column, batch.alerts[name].combine_chunks())


def to_numpy(column: Column, values: pa.Array) -> Any:
    """Give a column as modules take it: numbers as numpy with NaN for null, text as Arrow."""
    if pa.types.is_string(column.type):
        return values
    if pa.types.is_floating(column.type) or column.nullable:
        return values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return values.to_numpy(zero_copy_only=False)


def to_arrow(owner: str, column: Column, values: Any, n: int) -> pa.Array:
    """Give what a module returned as an Arrow array of the declared type; what is not finite becomes null.

    Raises
    ------
    ModuleError
        If the column is missing, of the wrong length, or cannot be of the declared type.
    """
    if values is None:
        raise ModuleError(f"science module {owner} did not give its column {column.name}")
    if len(values) != n:
        raise ModuleError(f"science module {owner} gave {len(values)} values of {column.name} for {n} alerts")
    try:
        return _typed(column.type, values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise ModuleError(f"science module {owner}: {column.name} is no {column.type}: {error}") from error


def _typed(wanted: pa.DataType, values: Any) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, pa.Array):
        return values.cast(wanted)
    mask = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else np.zeros(len(values), np.bool_)
    array = np.asarray(values)
    if array.dtype.kind == "f":
        # a double beyond float32's range would become infinite in the cast, so null is decided after it
        with np.errstate(over="ignore"):
            array = array.astype(np.float32) if wanted == pa.float32() else array
        mask = mask | ~np.isfinite(array)
        if not pa.types.is_floating(wanted):
            array = np.where(mask, 0, array)
        if pa.types.is_boolean(wanted):
            array = array != 0
    return pa.array(array, mask=mask).cast(wanted)
