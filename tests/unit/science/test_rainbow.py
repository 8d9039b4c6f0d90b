"""The Rainbow module on light curves of a known black body, and where it must not answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from alert_batches import BANDS, NOW, alert_batch, light_curves
from fink.columns import CORE
from fink.engines.plan import NOT_RUN, RUN, build_plan
from fink.fitting.rainbow import ERG_PER_NJY_HZ, RAINBOW, Rainbow
from fink.lightcurves import DETECTION, FORCED, LIMIT, LightCurves
from fink.science.rainbow import rainbow
from unit.fitting.curves import evaluate

TRUTH = {"rise_time": 4.0, "fall_time": 25.0, "early_temperature": 14000.0, "late_temperature": 5000.0, "cooling_time": 12.0}
Curve = list[tuple[float, str, int, float, float]]


def supernova(seed: int, peak: float = NOW - 40.0, n: int = 60, names: str = "ugrizy") -> Curve:
    """Detections where it is bright, forced photometry and a limit where it is not."""
    rng = np.random.default_rng(seed)
    model = Rainbow([band.wavelength for band in BANDS])
    values = {"amplitude": 3e17, "peak_time": peak} | TRUTH
    point = [np.log(values[p.name]) if p.log else values[p.name] for p in model.parameters]
    time = np.sort(rng.uniform(peak - 40.0, NOW, n))
    band = np.array(["ugrizy".index(name) for name in rng.choice(list(names), n)])
    flux, _ = evaluate(RAINBOW.curve, point, model.constants, time, band)
    error = flux.max() / 40.0
    noisy = flux + error * rng.standard_normal(n)
    kinds = np.where(noisy > 5 * error, DETECTION, FORCED)
    points = [(t, "ugrizy"[b], k, f, error) for t, b, k, f in zip(time, band, kinds.tolist(), noisy, strict=True)]
    return [*points, (peak - 55.0, "r", LIMIT, float("nan"), error)]


def run(curves: LightCurves) -> dict[str, Any]:
    return dict(rainbow.function(curves))


def test_a_black_body_comes_back_with_errors() -> None:
    found = run(light_curves([supernova(seed) for seed in range(40)]))
    # what cools is brightest, in the mean of its bands, some days after its luminosity was highest
    assert 1.0 < np.nanmedian(found["rainbow_peak_mjd"]) - (NOW - 40.0) < 4.0
    assert np.nanmedian(np.abs(found["rainbow_luminosity_peak_mjd"] - (NOW - 40.0))) < 1.5
    assert np.nanmedian(found["rainbow_amplitude"]) == pytest.approx(3e17 * ERG_PER_NJY_HZ, rel=0.1)
    for name, truth in TRUTH.items():
        error = found[f"rainbow_{name}_err"]
        pull = np.abs(found[f"rainbow_{name}"] - truth) / error
        assert np.nanmedian(pull) < 1.0, name
        assert np.isnan(error).mean() < 0.3, name
    assert 0.3 < np.nanmedian(found["rainbow_chi2"]) < 1.2
    assert found["rainbow_fit"].to_pylist().count("converged") > 25


def test_one_band_is_not_enough_and_neither_are_few_points() -> None:
    found = run(light_curves([supernova(1, names="r"), supernova(2, n=5), [], supernova(3)]))
    assert np.isnan(found["rainbow_rise_time"][:3]).all()
    assert found["rainbow_fit"].to_pylist()[:3] == [None] * 3
    assert np.isfinite(found["rainbow_rise_time"][3])


def test_limits_and_forced_photometry_count() -> None:
    with_all = supernova(5)
    detections = [point for point in with_all if point[2] == DETECTION]
    early = [point for point in with_all if point[0] < min(p[0] for p in detections) - 60.0]
    both, alone, bounded = run(light_curves([with_all, detections, [*with_all, *early]]))["rainbow_rise_time_err"]
    assert both < alone
    assert both == bounded


def test_what_came_long_before_the_first_detection_does_not_count() -> None:
    curve = supernova(6)
    old = [(curve[0][0] - 200.0 - i, "g", FORCED, 500.0, 1.0) for i in range(5)]
    plain, burdened = run(light_curves([curve, [*curve, *old]]))["rainbow_fall_time"]
    assert plain == burdened


def test_it_leaves_out_what_stands_on_a_star_what_is_old_and_what_was_hardly_seen() -> None:
    rows: list[dict[str, Any]] = [{"alert_id": i, "n_detections": 20, "age": 60.0} for i in range(4)]
    rows[1] |= {"star_separation": 0.3, "star_score": 0.99}
    rows[2] |= {"age": 900.0}
    rows[3] |= {"n_detections": 3}
    curve = supernova(7)
    out, counts = build_plan().run(alert_batch(rows, light_curves([curve] * 4)))
    assert out.alerts["rainbow_status"].to_pylist() == [RUN, NOT_RUN, NOT_RUN, NOT_RUN]
    assert counts["rainbow"].failed == 0
    assert out.alerts["rainbow_peak_mjd"].to_pylist()[1:] == [None] * 3
    assert out.alerts["rainbow_peak_mjd"][0].as_py() == pytest.approx(NOW - 40.0, abs=6.0)


def test_its_columns_do_not_collide_with_the_core() -> None:
    assert not {column.name for column in rainbow.outputs} & {column.name for column in CORE}
