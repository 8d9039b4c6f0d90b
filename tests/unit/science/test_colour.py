"""Colours by hand, and the coverage of their interval."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from alert_batches import NOW, Point, light_curves
from fink import surveys
from fink.lightcurves import DETECTION, FORCED, LIMIT
from fink.science.colour import colour


def measured(*points: Point) -> dict[str, Any]:
    """Run the module on one alert."""
    found = colour.function(np.array([NOW]), light_curves([points]))
    return {name: values[0] for name, values in found.items()}


@pytest.mark.parametrize("bands", [("g", "r"), ("r", "g")])
def test_bluer_minus_redder_whichever_came_last(bands: tuple[str, str]) -> None:
    fluxes = {"g": 1000.0, "r": 2000.0}
    found = measured(
        (NOW - 0.1, bands[0], DETECTION, fluxes[bands[0]], 10.0),
        (NOW, bands[1], DETECTION, fluxes[bands[1]], 10.0),
    )
    assert found["colour"] == pytest.approx(2.5 * np.log10(2.0), rel=1e-6)
    assert found["colour_bands"].as_py() == "g-r"
    assert found["colour_err"] == pytest.approx(2.5 / np.log(10.0) * np.hypot(0.01, 0.005), rel=1e-6)
    assert found["colour_upper"] - found["colour_lower"] == pytest.approx(2 * 1.6449 * found["colour_err"], rel=1e-3)
    assert found["colour_gap"] == pytest.approx(0.1)
    assert np.isnan(found["colour_rate"])


def test_the_nearest_point_in_time_is_taken() -> None:
    found = measured(
        (NOW - 0.3, "g", DETECTION, 1000.0, 10.0), (NOW - 0.02, "i", FORCED, 4000.0, 10.0), (NOW, "r", DETECTION, 2000.0, 10.0)
    )
    assert found["colour_bands"].as_py() == "r-i"
    assert found["colour"] == pytest.approx(2.5 * np.log10(2.0), rel=1e-6)


def test_reddening_from_one_night_to_another() -> None:
    found = measured(
        (NOW - 2.1, "g", DETECTION, 2000.0, 10.0),
        (NOW - 2.0, "r", DETECTION, 2000.0, 10.0),
        (NOW - 0.1, "g", DETECTION, 1000.0, 10.0),
        (NOW, "r", DETECTION, 2000.0, 10.0),
    )
    assert found["colour_rate"] == pytest.approx(2.5 * np.log10(2.0) / 2.0, rel=1e-6)
    before = 2.5 / np.log(10.0) * np.hypot(0.005, 0.005)
    assert found["colour_rate_err"] == pytest.approx(np.hypot(found["colour_err"], before) / 2.0, rel=1e-6)


def test_the_earlier_epoch_is_of_the_same_two_bands() -> None:
    found = measured(
        (NOW - 2.1, "i", DETECTION, 2000.0, 10.0),
        (NOW - 2.0, "r", DETECTION, 2000.0, 10.0),
        (NOW - 0.1, "g", DETECTION, 1000.0, 10.0),
        (NOW, "r", DETECTION, 2000.0, 10.0),
    )
    assert np.isnan(found["colour_rate"])
    assert not np.isnan(found["colour"])


@pytest.mark.parametrize(
    "other",
    [
        (NOW - 0.6, "g", DETECTION, 1000.0, 10.0),
        (NOW - 0.1, "r", DETECTION, 1000.0, 10.0),
        (NOW - 0.1, "g", DETECTION, -1000.0, 10.0),
        (NOW - 0.1, "g", FORCED, 29.0, 10.0),
        (NOW - 0.1, "g", LIMIT, 0.0, 10.0),
    ],
    ids=["another night", "same band", "negative", "below three sigma", "limit"],
)
def test_without_a_partner_there_is_no_colour(other: Point) -> None:
    found = measured(other, (NOW, "r", DETECTION, 2000.0, 10.0))
    assert np.isnan(found["colour"])
    assert found["colour_bands"].as_py() is None


@pytest.mark.parametrize("swap", [False, True])
def test_two_surveys_fluxes_make_no_colour(swap: bool) -> None:
    ztf, lsst = (surveys.registry()[name].bands[i] for name, i in (("ztf", 0), ("lsst", 2)))
    bands = replace(ztf, name="zg"), replace(lsst, name="lr"), replace(ztf, name="zr", wavelength=6366.0)
    now, other = ("lr", "zg") if swap else ("zg", "lr")
    points: list[Point] = [(NOW - 0.01, other, DETECTION, 1000.0, 10.0), (NOW, now, DETECTION, 2000.0, 10.0)]
    assert np.isnan(colour.function(np.array([NOW]), light_curves([points], bands))["colour"][0])
    if not swap:  # beside it, a point of the alert's own survey that is farther in time
        points.insert(0, (NOW - 0.3, "zr", DETECTION, 1000.0, 10.0))
        found = colour.function(np.array([NOW]), light_curves([points], bands))
        assert found["colour_bands"][0].as_py() == "zg-zr"
        assert found["colour_gap"][0] == pytest.approx(0.3)


def test_interval_holds_nine_times_in_ten() -> None:
    rng = np.random.default_rng(5)
    n = 4000
    blue, red = rng.uniform(2500.0, 25000.0, n), rng.uniform(2500.0, 25000.0, n)
    seen_blue, seen_red = rng.normal(blue, 500.0), rng.normal(red, 500.0)
    curves = light_curves(
        [[(NOW - 0.02, "g", DETECTION, b, 500.0), (NOW, "r", DETECTION, r, 500.0)] for b, r in zip(seen_blue, seen_red, strict=True)]
    )
    found = colour.function(np.full(n, NOW), curves)
    known = ~np.isnan(found["colour"])
    truth = -2.5 * np.log10(blue / red)
    inside = (truth >= found["colour_lower"]) & (truth <= found["colour_upper"])
    assert known.mean() > 0.97
    assert inside[known].mean() == pytest.approx(0.90, abs=0.02)
