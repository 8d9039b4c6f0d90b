"""The point-lens module on simulated events, on constant stars and on variables."""

from __future__ import annotations

from typing import Any

import numpy as np

from alert_batches import NOW, alert_batch, light_curves
from fink.engines.plan import NOT_RUN, RUN, build_plan
from fink.lightcurves import DETECTION, FORCED, LIMIT
from fink.science.point_lens import point_lens

Curve = list[tuple[float, str, int, float, float]]
SOURCE = {"g": 20000.0, "r": 50000.0}


def event(seed: int, impact: float = 0.3, einstein_time: float = 20.0, template: float = 0.0) -> Curve:
    """Difference fluxes of an event that peaked 30 days ago; before it, the template took away all light."""
    rng = np.random.default_rng(seed)
    curve: Curve = []
    for t in [*np.sort(rng.uniform(NOW - 150.0, NOW - 0.1, 80)), NOW]:
        band = "r" if t == NOW else str(rng.choice(["g", "r"]))
        square = impact**2 + ((t - NOW + 30.0) / einstein_time) ** 2
        flux = SOURCE[band] * ((square + 2) / np.sqrt(square * (square + 4)) - 1) - template
        error = 400.0
        noisy = flux + error * rng.standard_normal()
        curve.append((float(t), band, DETECTION if noisy > 5 * error or t == NOW else FORCED, float(noisy), error))
    return curve


def run(curves: list[Curve]) -> dict[str, Any]:
    return dict(point_lens.function(np.full(len(curves), NOW), light_curves(curves)))


def test_an_event_comes_back_whatever_the_template_held() -> None:
    for template in (0.0, 3000.0):
        found = run([event(seed, template=template) for seed in range(30)])
        for name, truth in {"peak_mjd": NOW - 30.0, "einstein_time": 20.0, "impact": 0.3, "source_flux": SOURCE["r"]}.items():
            pull = np.abs(found[f"lens_{name}"] - truth) / found[f"lens_{name}_err"]
            assert np.nanmedian(pull) < 1.2, (template, name)
        assert np.median(found["lens_chi2"]) < 1.3
        assert np.median(found["lens_constant_chi2"]) > 50
        assert found["lens_fit"].to_pylist().count("converged") > 20


def test_a_constant_star_needs_no_lens_and_a_variable_finds_none() -> None:
    rng = np.random.default_rng(3)
    times = np.sort(rng.uniform(NOW - 150.0, NOW, 80))
    flat: Curve = [(float(t), "r", DETECTION, float(5000 + 400 * rng.standard_normal()), 400.0) for t in times]
    periodic: Curve = [(float(t), "r", DETECTION, float(9000 + 5000 * np.sin(t / 1.3)), 400.0) for t in times]
    found = run([flat, periodic])
    assert found["lens_constant_chi2"][0] < 1.5
    assert np.isnan(found["lens_chi2"][0])
    assert found["lens_chi2"][1] > 10


def test_few_points_have_no_answer() -> None:
    found = run([event(1)[:6], []])
    assert np.isnan(found["lens_peak_mjd"]).all()
    assert np.isnan(found["lens_constant_chi2"]).tolist() == [False, True]
    assert found["lens_fit"].to_pylist() == [None, None]


def test_limits_hold_the_baseline_down() -> None:
    curve = [point for point in event(4) if point[0] > NOW - 60.0]
    limits: Curve = [(NOW - 140.0 + i, "r", LIMIT, float("nan"), 400.0) for i in range(0, 60, 5)]
    without, with_limits = run([curve, [*curve, *limits]])["lens_einstein_time_err"]
    assert with_limits < without


def test_it_runs_where_enough_was_seen_and_not_too_much() -> None:
    rows: list[dict[str, Any]] = [{"alert_id": i, "n_detections": n} for i, n in enumerate((50, 5, 900))]
    out, counts = build_plan().run(alert_batch(rows, light_curves([event(5)] * 3)))
    assert out.alerts["point_lens_status"].to_pylist() == [RUN, NOT_RUN, NOT_RUN]
    assert counts["point_lens"].failed == 0
