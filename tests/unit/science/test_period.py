"""The period of an alert's light curve: found in all bands together, from one point of each exposure."""

from __future__ import annotations

import numpy as np
import pytest

from alert_batches import NOW, Point, alert_batch, light_curves
from fink.engines.plan import build_plan
from fink.lightcurves import DETECTION, FORCED, LIMIT
from fink.tables import AlertBatch


def variable(period: float, n: int, seed: int = 1) -> list[Point]:
    """Make the detections of a sinusoidal variable in g and r, the last of them now."""
    rng = np.random.default_rng(seed)
    times = np.append(NOW - rng.uniform(0.1, 300.0, n - 1), NOW)
    names = rng.choice(["g", "r"], n)
    flux = 3000.0 + 900.0 * np.where(names == "g", 1.0, 0.6) * np.sin(2.0 * np.pi * times / period) + rng.normal(0.0, 50.0, n)
    return [(float(t), str(b), DETECTION, float(f), 50.0) for t, b, f in zip(times, names, flux, strict=True)]


def measured(curves: list[list[Point]], **row: object) -> AlertBatch:
    batch = alert_batch([{"n_detections": 60, "sso_name": None} | row for _ in curves], light_curves(curves))
    return build_plan(["period", "solar_system_status"], filter_registry={}).run(batch)[0]


def test_the_period_of_a_variable_is_found() -> None:
    out = measured([variable(0.6317, 80), variable(7.7, 80)]).alerts
    np.testing.assert_allclose(out["period"].to_numpy(), [0.6317, 7.7], rtol=1e-3)
    assert (out["period_log_fap"].to_numpy() < -10.0).all()
    assert (out["period_residual"].to_numpy() < 0.05).all()
    assert (out["period_harmonic_ratio"].to_numpy() < 0.1).all()
    assert out["n_period_points"].to_pylist() == [80, 80]
    np.testing.assert_allclose(out["period_cycles"].to_numpy(), 300.0 / np.array([0.6317, 7.7]), rtol=0.05)


def test_forced_photometry_beside_a_detection_and_limits_add_nothing() -> None:
    curve = variable(0.6317, 60)
    beside = [(t, b, FORCED, f, e) for t, b, _, f, e in curve]
    limits = [(NOW - 10.0 * i - 5.0, "g", LIMIT, 0.0, 40.0) for i in range(10)]
    plain, crowded = measured([curve]).alerts, measured([curve + beside + limits]).alerts
    assert crowded["n_period_points"].to_pylist() == [60]
    for name in ("period", "period_log_fap", "period_power"):
        assert plain[name] == crowded[name], name


def test_forced_photometry_between_detections_takes_part() -> None:
    curve = variable(0.6317, 60)
    apart = [(t, b, FORCED if i % 2 else DETECTION, f, e) for i, (t, b, _, f, e) in enumerate(curve)]
    out = measured([apart]).alerts
    assert out["n_period_points"].to_pylist() == [60]
    assert out["period"][0].as_py() == pytest.approx(0.6317, rel=1e-3)


def test_short_light_curves_and_few_detections_have_no_period() -> None:
    assert measured([variable(0.6, 15)]).alerts["period"].to_pylist() == [None]
    few = measured([variable(0.6, 60)], n_detections=5).alerts
    assert few["period"].to_pylist() == few["n_period_points"].to_pylist() == [None]
