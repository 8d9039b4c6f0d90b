"""Science modules and filters: microseconds of processor time an alert, on real ZTF alerts and on LSST-like light curves.

The ZTF alerts are those of one collection of real packets, repeated to a batch; without the real data that part is left out. The
LSST-like light curves have the spread of earlier points that the stream is planned for: 40 % of alerts have none,
40 % up to 30, 15 % up to 150 and 5 % up to 350.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.result import Figure, Result, table_text
from fink.engines.plan import Plan, build_plan
from fink.lightcurves import DETECTION, LIMIT, LightCurves
from fink.surveys import registry
from fink.tables import AlertBatch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))  # the makers of batches and readers of real packets, where they are

from alert_batches import random_batch
from shared_data import shared_data_folder
from unit.surveys.real_packets import containers_in, packets_of

BATCH = 4000
MOST = 250.0
"""What the modules and filters together may cost [us an alert]."""


def measure(short: bool) -> Result:
    """Time each module and the filters on both kinds of alerts."""
    plan = build_plan()
    batches = {"lsst": lsst_like(BATCH)}
    if shared_data_folder().exists():
        batches["ztf"] = ztf_real(BATCH)
    figures: dict[str, Figure] = {}
    for survey, batch in batches.items():
        figures |= {f"{survey}_{name}": cost for name, cost in costs(plan, batch, 3 if short else 15).items()}
        figures[f"{survey}_points_an_alert"] = batch.lightcurves.n_points / len(batch)
    names = [*(step.module.name for step in plan.steps), "filters", "total", "points_an_alert"]
    rows = [[name, *(figures[f"{survey}_{name}"] for survey in batches)] for name in names]
    title = f"Processor time by module, batches of {BATCH:,} alerts [us an alert]"
    goal = {f"{survey}_total_at_most": MOST for survey in batches}
    return Result.of("science", figures, goal, table_text(title, ["module", *batches], rows))


def costs(plan: Plan, batch: AlertBatch, repeat: int) -> dict[str, float]:
    """Give the median cost of each module, of all filters, and of everything [us an alert]."""
    spent: dict[str, list[float]] = {}
    for _ in range(repeat + 1):
        began = time.process_time()
        out, counts = plan.run(batch)
        ran = time.process_time()
        plan.select(out.alerts, batch.survey)
        done = time.process_time()
        for name, seconds in {"filters": done - ran, "total": done - began}.items():
            spent.setdefault(name, []).append(seconds)
        for name, count in counts.items():
            spent.setdefault(name, []).append(count.seconds)
    # the first round compiles
    return {name: statistics.median(seconds[1:]) / len(batch) * 1e6 for name, seconds in spent.items()}


def lsst_like(n: int) -> AlertBatch:
    """Make alerts with LSST's spread of histories: detections, and three times as many forced points."""
    rng = np.random.default_rng(10)
    spread = np.array([(0, 0), (1, 30), (31, 150), (151, 350)])[rng.choice(4, n, p=[0.4, 0.4, 0.15, 0.05])]
    counts = rng.integers(spread[:, 0], spread[:, 1] + 1) + 1
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    batch = random_batch(10, n, longest=1)
    curves, m = batch.lightcurves, int(offsets[-1])
    now = batch.alerts["mjd"].to_numpy()
    last = offsets[1:] - 1
    kind = np.where(rng.random(m) < 0.25, DETECTION, rng.choice([1, LIMIT], m, p=[0.95, 0.05])).astype(np.int8)
    mjd = np.repeat(now, counts) - rng.uniform(0.02, 365.0, m)
    kind[last], mjd[last] = DETECTION, now
    error = rng.uniform(200.0, 600.0, m).astype(np.float32)
    flux = (error * rng.uniform(-2.0, 30.0, m)).astype(np.float32)
    flux[last] = error[last] * rng.uniform(5.0, 40.0, n)
    flat: dict[str, Any] = {
        "mjd": mjd,
        "kind": kind,
        "flux": np.where(kind == LIMIT, np.nan, flux),
        "flux_err": error,
        "total_flux": flux,
        "total_flux_err": error,
    }
    flat |= {"band": rng.integers(0, 6, m).astype(np.int8), "point_id": np.arange(m), "detector": np.zeros(m, np.int16)}
    light_curves = LightCurves(offsets=offsets, bands=curves.bands, **flat).sorted_by_time()
    return AlertBatch("lsst", batch.alerts, light_curves, batch.packets, batch.cutouts)


def ztf_real(n: int) -> AlertBatch:
    """Read real ZTF alerts and repeat them to ``n``."""
    survey = registry()["ztf"]
    folder = shared_data_folder() / "ztf_alerts" / "nightly_tarballs"
    files = [data for data, _ in zip(containers_in(folder), range(n), strict=False)]
    batch, _, _ = survey.decode(packets_of(files))
    return batch.take(np.arange(n) % len(batch))
