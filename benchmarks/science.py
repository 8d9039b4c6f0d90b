"""Science modules and filters: microseconds of processor time an alert, on real ZTF alerts and on simulated ones of LSST.

The ZTF alerts are those of one collection of real packets, repeated to a batch; without the real data that part is left out. The
alerts of LSST are a simulated night of variables, transients and moving objects with the spread of earlier points that the stream
is planned for: 40 % of packets carry none, 40 % up to 30, 15 % up to 150 and 5 % up to 350.

Beside a module's cost on an average alert stands that on an alert which it has an answer for, and that of a reference on such alerts.
Stamps are timed apart, on 44 real alerts of ZTF: both modules together, unpacking included.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks import features, references
from benchmarks.batches import lsst_like, ztf_real
from benchmarks.result import Figure, Result, cpu_seconds, table_text
from fink.codecs.cutouts import Stamps
from fink.engines.plan import RUN, Plan, build_plan, run_step
from fink.science import registry as registry_of_modules
from fink.tables import AlertBatch
from shared_data import shared_data_folder  # benchmarks.batches puts the tests on the path
from unit.science.stamp_samples import real

BATCH = 4000
MOST = 250.0
"""What light-curve modules, spine and filters together may cost: all but catalogues, maps and stamps [us an alert]."""

MOST_STAMPS = 400.0
"""What the modules that read stamps may cost together, unpacking included, on an alert that they run on [us]."""

STAMP_MODULES = ("hostless", "stamp_shape")
FEW = 400
"""Alerts that light-curve's features are timed on, for it is slower; its figure is for one alert too."""

BEFORE = {"bazin": 60.0, "rise": 60.0, "rainbow": 60.0, "black_body_rise": 60.0, "flare": 30.0, "afterglow": 0.0}
"""Days before the first detection from which the points of a fit count, by module [d]."""


def measure(short: bool) -> Result:
    """Time each module and the filters on both kinds of alerts, the stamps, and the references."""
    plan = build_plan()
    repeat = 3 if short else 15
    batches = {"lsst": lsst_like(BATCH)}
    if shared_data_folder().exists():
        batches["ztf"] = ztf_real(BATCH)
    figures: dict[str, Figure] = {}
    rows: list[list[object]] = []
    for survey, batch in batches.items():
        spent, ran = costs(plan, batch, repeat)
        compared = compare(plan, batch, repeat)
        for name, cost in spent.items():
            figures[f"{survey}_{name}"] = cost
            share = f"{100.0 * len(ran[name]) / len(batch):.1f} %" if name in ran else ""
            rows.append([survey, name, cost, share, *compared.get(name, ("", "", "", ""))])
            if name in compared:
                figures[f"{survey}_{name}_ratio"] = compared[name][3]
        figures[f"{survey}_points_an_alert"] = batch.lightcurves.n_points / len(batch)
        rows.append([survey, "points an alert", figures[f"{survey}_points_an_alert"], "", "", "", "", ""])
    goal = {f"{survey}_{sum_}_at_most": MOST for survey in batches for sum_ in ("light_curves",)}
    if shared_data_folder().exists():
        figures |= stamps(repeat)
        goal["stamps_at_most"] = MOST_STAMPS
        rows += [["stamps", name, figures[name], "", "", "", "", ""] for name in ("stamps", "stamps_reference", "stamps_ratio")]
    header = ["survey", "module", "us an alert", "runs on", "us where it answers", "reference", "its us there", "ratio"]
    title = f"Processor time by module, batches of {BATCH:,} alerts"
    return Result.of("science", figures, goal, table_text(title, header, rows))


def costs(plan: Plan, batch: AlertBatch, repeat: int) -> tuple[dict[str, float], dict[str, NDArray[np.int64]]]:
    """Give the median cost of each module, of all filters, and of everything [us an alert]; and on which alerts each ran."""
    spent: dict[str, list[float]] = {}
    out = batch
    for _ in range(repeat + 1):
        began = time.process_time()
        out, _ = plan.run(batch)
        ran = time.process_time()
        plan.select(out.alerts, batch.survey)
        done = time.process_time()
        for name, seconds in {"filters": done - ran, "total": done - began}.items():
            spent.setdefault(name, []).append(seconds)
        part = replace(batch, cutouts=batch.cutouts.remembering())
        for step in plan.steps:
            began = time.process_time()
            part, _ = run_step(step, part, plan.vocabulary)
            spent.setdefault(step.module.name, []).append(time.process_time() - began)
    # the first round compiles
    medians = {name: statistics.median(seconds[1:]) / len(batch) * 1e6 for name, seconds in spent.items()}
    whole = {name: medians.pop(name) for name in ("filters", "total")}
    by_cost = dict(sorted(medians.items(), key=lambda item: -item[1]))
    apart = {step.module.name for step in plan.steps if step.module.artifacts}.union(STAMP_MODULES)
    alone = whole["total"] - sum(cost for name, cost in by_cost.items() if name in apart)
    rows = {step.module.name: np.flatnonzero(out.alerts[step.status.name].to_numpy() == RUN) for step in plan.steps}
    return by_cost | whole | {"light_curves": alone}, rows


def compare(plan: Plan, batch: AlertBatch, repeat: int) -> dict[str, tuple[float, str, float, float]]:
    """Give for each module with a reference its cost where it answers, the package, its cost there [us an alert], and their ratio."""
    full, _ = plan.run(batch)
    found = {}
    for step in plan.steps:
        name = step.module.name
        known = [full.alerts[column.name].is_valid().to_numpy() for column in step.module.outputs]
        rows = np.flatnonzero(np.any(known, axis=0))
        if (name not in references.OF_LIGHT_CURVES and name != "light_curve_features") or not len(rows):
            continue
        part = full.take(rows)
        ours = cpu_seconds(lambda step=step, part=part: run_step(step, part, plan.vocabulary), repeat) / len(rows) * 1e6  # type: ignore[misc]
        if name == "light_curve_features":
            package, few = "light-curve", part.lightcurves.take(np.arange(min(FEW, len(rows))))
            series = features.series_of(few)
            theirs = cpu_seconds(lambda series=series: features.run_reference(series), repeat) / len(few) * 1e6  # type: ignore[misc]
        else:
            package, reference, count = references.OF_LIGHT_CURVES[name]
            some = np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(np.int64)
            points = references.series_of(part.lightcurves.take(some), BEFORE.get(name, np.inf))
            theirs = cpu_seconds(lambda points=points, f=reference: [f(one) for one in points], 1) / len(points) * 1e6  # type: ignore[misc]
        found[name] = (ours, package, theirs, theirs / ours)
    return found


def stamps(repeat: int) -> dict[str, Figure]:
    """Time both stamp modules together on real alerts of ZTF, and the references on the same files [us an alert]."""
    files, positive = real()
    n = len(files)
    modules = registry_of_modules()

    def both() -> None:
        shared = Stamps(files.packets, files.cutouts.remembering())
        modules["hostless"].function(shared)
        modules["stamp_shape"].function(positive, shared)

    raw = [(files.raw(i, "science"), files.raw(i, "template"), files.raw(i, "difference")) for i in range(n)]
    ours = cpu_seconds(both, repeat) / n * 1e6
    theirs = sum(cpu_seconds(lambda f=f: [f(three) for three in raw], 1) for f in references.OF_STAMPS) / n * 1e6  # type: ignore[misc]
    return {"stamps": ours, "stamps_reference": theirs, "stamps_ratio": theirs / ours}
