"""Rates by hand, and the coverage of their intervals in simulation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from alert_batches import BANDS, NOW, Point, light_curves
from fink.lightcurves import DETECTION, FORCED, LIMIT, LightCurves
from fink.science.magnitude_rate import magnitude_rate
from shared_data import shared_data

Floats = NDArray[np.float64]


def rate(*points: Point) -> dict[str, float]:
    """Run the module on one alert."""
    return {name: float(values[0]) for name, values in measure(light_curves([points]), np.array([NOW])).items()}


def measure(curves: LightCurves, now: Floats) -> dict[str, Any]:
    return dict(magnitude_rate.function(now, curves))


def two(first: Any, second: Any) -> Any:
    """Put the first and second values of each pair behind one another."""
    return np.column_stack([first, second]).ravel()


def pairs(flux: Floats, flux_err: Floats, before: Floats, before_err: Floats, kind: int, gap: float) -> LightCurves:
    """Make light curves of two points each."""
    n = len(flux)
    return LightCurves(
        offsets=np.arange(0, 2 * n + 1, 2),
        mjd=two(np.full(n, NOW - gap), np.full(n, NOW)),
        band=np.ones(2 * n, np.int8),
        kind=two(np.full(n, kind), np.full(n, DETECTION)).astype(np.int8),
        flux=two(before, flux).astype(np.float32),
        flux_err=two(before_err, flux_err).astype(np.float32),
        total_flux=np.zeros(2 * n, np.float32),
        total_flux_err=np.zeros(2 * n, np.float32),
        point_id=np.zeros(2 * n, np.int64),
        detector=np.zeros(2 * n, np.int16),
        bands=BANDS,
    )


def outside(curves: LightCurves, truth: Floats) -> tuple[float, float, int]:
    """Give how often the truth is below and above the interval, and of how many."""
    found = measure(curves, np.full(len(truth), NOW))
    known = ~np.isnan(found["mag_rate"])
    below = float(np.mean(truth[known] < np.nan_to_num(found["mag_rate_lower"][known], nan=-np.inf)))
    above = float(np.mean(truth[known] > np.nan_to_num(found["mag_rate_upper"][known], nan=np.inf)))
    return below, above, int(known.sum())


@pytest.mark.parametrize(("weakest", "strongest"), [(5.0, 10.0), (5.0, 50.0), (30.0, 300.0)])
@pytest.mark.parametrize("gap", [0.03, 1.0, 7.0])
def test_interval_holds_nine_times_in_ten_between_two_points(weakest: float, strongest: float, gap: float) -> None:
    rng = np.random.default_rng(1)
    n = 60_000
    true = np.exp(rng.uniform(np.log(weakest), np.log(strongest), (2, n))) * 500.0
    error = np.full(n, 500.0)
    seen = rng.normal(true, 500.0)
    below, above, counted = outside(pairs(seen[1], error, seen[0], error, DETECTION, gap), -2.5 * np.log10(true[1] / true[0]) / gap)
    assert counted > 0.97 * n
    assert 1.0 - below - above == pytest.approx(0.90, abs=0.006)
    assert below == pytest.approx(0.05, abs=0.006)
    assert above == pytest.approx(0.05, abs=0.006)


@pytest.mark.parametrize("weakest", [5.0, 20.0])
@pytest.mark.parametrize("gap", [0.03, 1.0, 7.0])
def test_interval_holds_nine_times_in_ten_behind_an_upper_limit(weakest: float, gap: float) -> None:
    rng = np.random.default_rng(2)
    n = 60_000
    limit = rng.uniform(1000.0, 4000.0, n)
    before = rng.uniform(0.0, limit)
    now = np.exp(rng.uniform(np.log(weakest), np.log(10 * weakest), n)) * 500.0
    seen = rng.normal(now, 500.0)
    curves = pairs(seen, np.full(n, 500.0), np.full(n, np.nan), limit / 5.0, LIMIT, gap)
    below, above, counted = outside(curves, -2.5 * np.log10(now / before) / gap)
    assert counted > 0.97 * n
    assert 1.0 - below - above == pytest.approx(0.90, abs=0.008)
    assert above == pytest.approx(0.05, abs=0.006)


def test_interval_of_a_mixture_of_pairs_and_limits_holds_nine_times_in_ten() -> None:
    rng = np.random.default_rng(3)
    n = 60_000
    limit = np.full(n, 2500.0)
    is_limit = rng.random(n) < 0.5
    before = np.where(is_limit, rng.uniform(0.0, limit), rng.uniform(2500.0, 25000.0, n))
    now = rng.uniform(3000.0, 30000.0, n)
    seen, seen_before = rng.normal(now, 500.0), np.where(is_limit, np.nan, rng.normal(before, 500.0))
    curves = pairs(seen, np.full(n, 500.0), seen_before, np.full(n, 500.0), DETECTION, 1.0)
    curves.kind[::2][is_limit] = LIMIT
    below, above, _ = outside(curves, -2.5 * np.log10(now / before))
    assert 1.0 - below - above == pytest.approx(0.90, abs=0.02)


def test_faint_forced_photometry_bounds_from_one_side() -> None:
    """The upper bound is exceeded once in twenty however faint the earlier flux; where nothing bounds below, it is null."""
    rng = np.random.default_rng(4)
    n = 60_000
    before = rng.uniform(50.0, 1400.0, n)
    now = rng.uniform(3000.0, 30000.0, n)
    seen = (rng.normal(now, 500.0), rng.normal(before, 500.0))
    curves = pairs(seen[0], np.full(n, 500.0), seen[1], np.full(n, 500.0), FORCED, 1.0)
    found = measure(curves, np.full(n, NOW))
    truth = -2.5 * np.log10(now / before)
    judged = ~np.isnan(found["mag_rate_significance"])
    assert np.mean(judged) > 0.98
    exceeded = truth[judged] > np.nan_to_num(found["mag_rate_upper"][judged], nan=np.inf)
    assert np.mean(exceeded) == pytest.approx(0.05, abs=0.006)
    assert not np.isfinite(found["mag_rate_lower"][seen[1] < 1.6 * 500.0]).any()
    faint = judged & (seen[1] < 2.99 * 500.0)
    assert (found["mag_rate_from_limit"][faint] == 1.0).all()


def test_a_doubling_in_two_days() -> None:
    found = rate((NOW - 2.0, "r", DETECTION, 1000.0, 10.0), (NOW, "r", DETECTION, 2000.0, 10.0))
    assert found["mag_rate"] == pytest.approx(-2.5 * np.log10(2.0) / 2.0, rel=1e-6)
    first_order = 1.6449 * 2.5 / np.log(10.0) * np.hypot(0.01, 0.005) / 2.0
    assert found["mag_rate_upper"] - found["mag_rate_lower"] == pytest.approx(2.0 * first_order, rel=1e-3)
    assert found["mag_rate_significance"] == pytest.approx(1000.0 / np.hypot(10.0, 10.0), rel=1e-6)
    assert found["mag_rate_gap"] == 2.0
    assert found["mag_rate_from_limit"] == 0.0


def test_points_of_other_bands_are_passed_over() -> None:
    with_other = rate((NOW - 2.0, "r", DETECTION, 1000.0, 10.0), (NOW - 1.0, "i", DETECTION, 5.0, 1.0), (NOW, "r", DETECTION, 2000.0, 10.0))
    without = rate((NOW - 2.0, "r", DETECTION, 1000.0, 10.0), (NOW, "r", DETECTION, 2000.0, 10.0))
    assert with_other == without


def test_a_good_point_is_preferred_to_a_later_limit() -> None:
    found = rate((NOW - 2.0, "r", FORCED, 1000.0, 10.0), (NOW - 1.0, "r", LIMIT, 0.0, 500.0), (NOW, "r", DETECTION, 2000.0, 10.0))
    assert found["mag_rate_gap"] == 2.0
    found = rate((NOW - 3.0, "r", LIMIT, 0.0, 100.0), (NOW - 1.0, "r", LIMIT, 0.0, 200.0), (NOW, "r", DETECTION, 2000.0, 10.0))
    assert (found["mag_rate_gap"], found["mag_rate_from_limit"]) == (1.0, 1.0)
    assert found["mag_rate_significance"] == pytest.approx((2000.0 - 1000.0) / 10.0)


@pytest.mark.parametrize(
    "points",
    [
        [(NOW, "r", DETECTION, 2000.0, 10.0)],
        [(NOW - 1.0, "g", DETECTION, 1000.0, 10.0), (NOW, "r", DETECTION, 2000.0, 10.0)],
        [(NOW - 0.01, "r", DETECTION, 1000.0, 10.0), (NOW, "r", DETECTION, 2000.0, 10.0)],
        [(NOW - 31.0, "r", DETECTION, 1000.0, 10.0), (NOW, "r", DETECTION, 2000.0, 10.0)],
        [(NOW - 1.0, "r", DETECTION, -1000.0, 10.0), (NOW, "r", DETECTION, 2000.0, 10.0)],
        [(NOW - 1.0, "r", DETECTION, 1000.0, 10.0), (NOW, "r", DETECTION, -2000.0, 10.0)],
        [(NOW - 1.0, "r", DETECTION, 1000.0, 0.0), (NOW, "r", DETECTION, 2000.0, 10.0)],
    ],
    ids=["alone", "other band", "same visit", "long ago", "negative before", "negative now", "no error"],
)
def test_without_a_pair_there_is_no_rate(points: list[Point]) -> None:
    assert np.isnan(list(rate(*points).values())).all()


ZTF_BANDS = {1: "g", 2: "r", 3: "i"}


def ztf_points(alert: Mapping[str, Any]) -> list[Point]:
    """Give the points of a ZTF alert, converted apart from the survey's own file; the alert itself at `NOW`."""
    points = []
    for point in [*(alert["prv_candidates"] or []), alert["candidate"]]:
        when, band = NOW + point["jd"] - alert["candidate"]["jd"], ZTF_BANDS[point["fid"]]
        if point["magpsf"] is not None:
            size = 10 ** (0.4 * (31.4 - point["magpsf"]))
            flux = size if point["isdiffpos"] in ("t", "1") else -size
            points.append((when, band, DETECTION, flux, size * point["sigmapsf"] * np.log(10.0) / 2.5))
        else:
            points.append((when, band, LIMIT, 0.0, 10 ** (0.4 * (31.4 - point["diffmaglim"])) / 5.0))
    return points


def test_quantiles_are_those_of_todays_monte_carlo_where_the_same_points_are_compared() -> None:
    """Fink's published quantiles of 10,000 draws, for detections and for limits; it often compares with an older point."""
    names = ["candidate", "prv_candidates", "lower_rate", "upper_rate", "from_upper", "delta_time"]
    table = pq.read_table(shared_data("ztf_parquet_fink", "fink_mm_20240115_849_nocutout.parquet"), columns=names).to_pylist()
    alerts = [alert for alert in table if np.isfinite(alert["upper_rate"] if alert["upper_rate"] is not None else np.nan)]
    found = measure(light_curves([ztf_points(alert) for alert in alerts]), np.full(len(alerts), NOW))
    theirs = {name: np.array([alert[name] for alert in alerts], np.float64) for name in names[2:]}
    same = np.abs(found["mag_rate_gap"] - theirs["delta_time"]) < 1e-3
    assert (found["mag_rate_from_limit"][same] == theirs["from_upper"][same]).all()
    assert set(theirs["from_upper"][same]) == {0.0, 1.0}
    width = (theirs["upper_rate"] - theirs["lower_rate"])[same]
    for mine, other in (("mag_rate_lower", "lower_rate"), ("mag_rate_upper", "upper_rate")):
        assert np.abs((found[mine] - theirs[other])[same] / width).max() < 0.04
