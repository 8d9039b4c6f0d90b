"""Light-curve tables enriched from Python: processor time for 100,000 points, by what is asked for, and beside a call for each object.

The table is drawn: 2,000 pulses of 50 points in four bands, as a pandas frame in random order. The modules that count and compare
are detection_history, magnitude_rate, brightness_trend, colour and light_curve_features.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import fink
from benchmarks.result import Figure, Result, cpu_seconds, table_text
from fink.services.lightcurve_tables import LightCurveTable

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))  # the maker of light curves, where it is

from lightcurve_tables import supernovae

OBJECTS, POINTS = 2000, 50
COUNTING = ("detection_history", "magnitude_rate", "brightness_trend", "colour", "light_curve_features")
ALONE = 20
"""Objects that are also enriched one by one."""


def measure(short: bool) -> Result:
    """Time the table alone, with the modules that count, with all, and object by object."""
    table = supernovae(OBJECTS, POINTS)
    table = table.take(pa.array(np.random.default_rng(1).permutation(table.num_rows)))
    frame = table.to_pandas()
    repeat = 1 if short else 5
    seconds = {"table": cpu_seconds(lambda: list(LightCurveTable.of(table, "lsst").alerts("object", 4000)), repeat)}
    seconds["counting"] = cpu_seconds(lambda: fink.enrich(frame, COUNTING), repeat)
    seconds["all"] = cpu_seconds(lambda: enriched(frame), repeat)
    seconds["epochs"] = cpu_seconds(lambda: fink.enrich(frame, COUNTING, each="epoch"), 1)
    rows = len(fink.enrich(frame, COUNTING, each="epoch"))
    chosen = frame["object_id"].unique()[:ALONE]
    parts = [frame[frame["object_id"] == name] for name in chosen]
    alone = cpu_seconds(lambda: [fink.enrich(part, COUNTING) for part in parts], repeat) / ALONE
    figures: dict[str, Figure] = {
        "points": OBJECTS * POINTS,
        **{f"seconds_{name}": value for name, value in seconds.items()},
        "objects_per_second_counting": OBJECTS / seconds["counting"],
        "objects_per_second_all": OBJECTS / seconds["all"],
        "epochs_per_second_counting": rows / seconds["epochs"],
        "times_faster_than_one_by_one": alone * OBJECTS / seconds["counting"],
    }
    lines: list[list[Any]] = [
        ["the table: checked, ordered, made into alerts", seconds["table"], OBJECTS / seconds["table"]],
        ["modules that count and compare", seconds["counting"], OBJECTS / seconds["counting"]],
        ["every module that can run", seconds["all"], OBJECTS / seconds["all"]],
        [f"modules that count, each of {rows:,} detections", seconds["epochs"], rows / seconds["epochs"]],
        ["modules that count, a call for each object", alone * OBJECTS, 1.0 / alone],
    ]
    title = f"fink.enrich on {OBJECTS * POINTS:,} points of {OBJECTS:,} objects [s of processor time]"
    goal = {"seconds_counting_at_most": 1.0, "times_faster_than_one_by_one": 20.0}
    return Result.of("enrich", figures, goal, table_text(title, ["what", "seconds", "rows a second"], lines))


def enriched(frame: Any) -> Any:
    """Run every module that can run; which cannot is known."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fink.enrich(frame)
