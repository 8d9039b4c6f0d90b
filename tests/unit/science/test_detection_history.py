"""The history of one object, counted by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from alert_batches import NOW, Point, light_curves
from fink.lightcurves import DETECTION, FORCED, LIMIT
from fink.science.detection_history import detection_history


def history(*points: Point) -> dict[str, Any]:
    """Run the module on one alert."""
    return {name: values[0] for name, values in detection_history.function(np.array([NOW]), light_curves([points])).items()}


OBJECT: list[Point] = [
    (NOW - 50.0, "g", LIMIT, 0.0, 1000.0),
    (NOW - 45.0, "r", FORCED, 100.0, 300.0),
    (NOW - 40.0, "r", DETECTION, 3000.0, 300.0),
    (NOW - 35.0, "g", LIMIT, 0.0, 500.0),
    (NOW - 20.0, "g", FORCED, 9000.0, 300.0),
    (NOW - 10.0, "g", DETECTION, 10000.0, 300.0),
    (NOW - 5.0, "r", DETECTION, -2000.0, 300.0),
    (NOW, "r", DETECTION, 5000.0, 300.0),
]


def test_counts_by_kind_and_by_band() -> None:
    found = history(*OBJECT)
    assert (found["n_detection_points"], found["n_forced_points"], found["n_limit_points"]) == (4, 2, 2)
    assert found["n_positive_points"] == 3
    assert [found[f"n_recent_{band}"] for band in "ugrizy"] == [0, 1, 2, 0, 0, 0]


def test_what_began_and_preceded_it() -> None:
    found = history(*OBJECT)
    assert found["first_detection_mjd"] == NOW - 40.0
    assert found["previous_detection_mjd"] == NOW - 5.0
    assert found["last_non_detection_mjd"] == NOW - 45.0
    assert found["last_non_detection_mag"] == pytest.approx(31.4 - 2.5 * np.log10(1500.0), abs=1e-5)
    assert found["brightest_mag"] == pytest.approx(31.4 - 2.5 * np.log10(10000.0))
    assert found["faintest_mag"] == pytest.approx(31.4 - 2.5 * np.log10(3000.0))


def test_an_alert_alone_has_no_before() -> None:
    found = history(OBJECT[-1])
    assert found["first_detection_mjd"] == NOW
    assert np.isnan([found["previous_detection_mjd"], found["last_non_detection_mjd"], found["last_non_detection_mag"]]).all()


def test_detections_of_one_exposure_do_not_precede_one_another() -> None:
    found = history((NOW - 1e-9, "r", DETECTION, 5000.0, 300.0), OBJECT[-1])
    assert found["n_detection_points"] == 2
    assert np.isnan(found["previous_detection_mjd"])
