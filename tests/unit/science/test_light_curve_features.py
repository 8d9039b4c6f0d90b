from __future__ import annotations

import csv
import io
import tarfile
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from alert_batches import light_curves
from fink.lightcurves import AB_ZERO, DETECTION, FORCED, LIMIT, Band, LightCurves
from fink.science.light_curve_features import BANDS, FEATURES, MAG_FEATURES, light_curve_features, measure
from shared_data import shared_data
from unit.science.feature_reference import REFERENCE
from unit.science.fink_today import RENAMED, Row, lsst_alerts, ztf_alerts

COMPARED = (*FEATURES[: FEATURES.index("n_points")], "eta", "excess_variance")
SPREADS = ("amplitude", "inter_percentile_range_10", "median_absolute_deviation", "median_buffer_range_10", "percent_amplitude")
"""What the reference calls zero for a single point; here it is null."""

QUANTILES = ("inter_percentile_range_10", "percentage_ratio_40_5", "percentage_ratio_20_10")
_SCALE_FREE = (
    "beyond",
    "cusum",
    "kurtosis",
    "skew",
    "stetson",
    "eta",
    "percentage",
    "n_points",
    "time",
    "maximum_snr",
    "anderson",
    "reduced",
)
DIMENSIONLESS = {name for name in FEATURES if name.startswith(_SCALE_FREE)} | {
    "linear_fit_reduced_chi2",
    "median_buffer_range_10",
    "mean_variance",
    "excess_variance",
    "maximum_snr",
}


def features_of(time: Any, value: Any, error: Any) -> dict[str, float]:
    row = np.empty(len(FEATURES))
    measure(np.asarray(time, np.float64), np.asarray(value, np.float64), np.asarray(error, np.float64), np.empty((2, len(time))), row)
    return dict(zip(FEATURES, row.tolist(), strict=True))


def random_series(rng: np.random.Generator, n: int) -> tuple[Any, Any, Any]:
    """A series in magnitudes or in fluxes of any size, whose points now and then repeat a value."""
    time = np.sort(rng.uniform(0.0, 100.0, n))
    value = rng.normal(18.0, 1.0, n) if rng.random() < 0.5 else rng.normal(0.0, 10.0 ** rng.uniform(0.0, 5.0), n)
    value = np.where(rng.random(n) < 0.1, value[0], value)
    return time, value, 10.0 ** rng.uniform(-2.0, 1.0, n)


def assert_agrees_with_light_curve(time: Any, value: Any, error: Any) -> None:
    got, right = features_of(time, value, error), REFERENCE(time, value, error, fill_value=np.nan)
    scale = max(abs(value).max(), 1.0) * 1e-9
    for name, expected in zip(COMPARED, right, strict=True):
        if len(time) == 1 and name in SPREADS:
            assert np.isnan(got[name])
        elif name in QUANTILES:
            np.testing.assert_allclose(got[name], expected, rtol=3e-6, atol=scale, err_msg=name)
        elif name != "median_buffer_range_10" or len(set(value.tolist())) == len(value):
            np.testing.assert_allclose(got[name], expected, rtol=1e-8, atol=1e-9, err_msg=name)
        else:  # its tenth is rounded to single precision, which decides for points that lie exactly on the border
            assert abs(got[name] - expected) <= 2.0 / len(value)


@pytest.mark.parametrize("sizes", [(1, 8), (8, 40), (40, 400)])
def test_agrees_with_light_curve_value_by_value(sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(sizes[1])
    for _ in range(300):
        assert_agrees_with_light_curve(*random_series(rng, int(rng.integers(*sizes))))


def test_agrees_with_light_curve_on_real_light_curves() -> None:
    """Long ones of ZTF, ASAS and others, those among them that once made light-curve fail."""
    compared = 0
    with tarfile.open(shared_data("features_anomaly", "feature_tests_mvsr_zwad.tar.xz")) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.name.endswith(".csv") else None
            if file is None or not ("ad_features" in member.name or "from-issues" in member.name):
                continue
            rows = list(csv.DictReader(io.TextIOWrapper(file)))
            if "mag" not in rows[0]:
                continue
            time = np.array([float(row.get("mjd") or row["time"]) for row in rows])
            value, error = (np.array([float(row[name]) for row in rows]) for name in ("mag", "magerr"))
            one_each = np.unique(time, return_index=True)[1]
            good = one_each[error[one_each] > 0.0]
            assert_agrees_with_light_curve(time[good] - time[good][0], value[good], error[good])
            compared += 1
    assert compared >= 8


def test_the_comparison_covers_the_26_of_the_search_for_anomalies_and_two_more() -> None:
    assert len(COMPARED) == len(REFERENCE.names) == 28
    assert set(FEATURES) == set(MAG_FEATURES) | {"maximum", "maximum_snr", "time_quantile_15", "time_quantile_85"}


def test_stetson_j_is_the_mean_signed_root_of_neighbours_products() -> None:
    time, value, error = random_series(np.random.default_rng(5), 30)
    delta = np.sqrt(30 / 29) * (value - np.average(value, weights=error**-2)) / error
    product = delta[1:] * delta[:-1]
    assert features_of(time, value, error)["stetson_j"] == pytest.approx(np.mean(np.sign(product) * np.sqrt(abs(product))))


def test_smooth_changes_have_a_larger_stetson_j_than_noise() -> None:
    rng = np.random.default_rng(6)
    time, noise = np.arange(40.0), rng.normal(0.0, 1.0, 40)
    smooth = features_of(time, 5.0 * np.sin(time / 6.0) + noise, np.ones(40))["stetson_j"]
    shuffled = features_of(time, rng.permutation(5.0 * np.sin(time / 6.0) + noise), np.ones(40))["stetson_j"]
    assert smooth > 5.0 * abs(shuffled)


@pytest.mark.parametrize(("name", "shortest", "longest"), [("structure_function_1", 0.5, 2.0), ("structure_function_10", 5.0, 20.0)])
def test_structure_function_is_that_of_all_pairs(name: str, shortest: float, longest: float) -> None:
    time, value, error = random_series(np.random.default_rng(7), 80)
    error = error * 0.1
    i, j = np.triu_indices(80, 1)
    near = (time[j] - time[i] >= shortest) & (time[j] - time[i] <= longest)
    squares = (value[i] - value[j]) ** 2 - error[i] ** 2 - error[j] ** 2
    assert near.sum() > 10
    assert features_of(time, value, error)[name] == pytest.approx(np.sqrt(max(squares[near].mean(), 0.0)))


def test_structure_function_needs_three_pairs_and_is_zero_where_errors_explain_all() -> None:
    time = [0.0, 1.0, 2.0, 30.0]
    assert np.isnan(features_of(time[:2], [1.0, 2.0], [0.1, 0.1])["structure_function_1"])
    assert np.isnan(features_of(time, [1.0, 2.0, 3.0, 4.0], [0.1] * 4)["structure_function_10"])
    assert features_of(time, [1.0, 2.0, 3.0, 4.0], [9.0] * 4)["structure_function_1"] == 0.0


def test_time_quantiles_are_hazens() -> None:
    time = np.sort(np.random.default_rng(8).uniform(0.0, 50.0, 23))
    got = features_of(time, np.arange(23.0), np.ones(23))
    expected = np.quantile(time - time[0], [0.15, 0.85], method="hazen")
    assert (got["time_quantile_15"], got["time_quantile_85"]) == pytest.approx(tuple(expected))


def test_anderson_darling_holds_far_outside() -> None:
    """A single outlier among 3,000 equal-looking points lies 54 standard deviations out, where the share beyond underflows."""
    value = np.append(np.linspace(-1e-3, 1e-3, 3000), 1e6)
    z = (value - value.mean()) / value.std(ddof=1)
    n, i = 3001, np.arange(3001)
    statistic = -n - np.sum((2 * i + 1) * (stats.norm.logcdf(z) + stats.norm.logsf(z)[::-1])) / n
    got = features_of(np.arange(3001.0), value, np.ones(3001))["anderson_darling_normal"]
    assert z.max() > 50.0
    assert got == pytest.approx(statistic * (1 + 4 / n - 25 / n**2), rel=1e-6)


def test_what_too_few_points_or_equal_values_do_not_tell_is_unknown() -> None:
    single = {name for name, value in features_of([0.0], [5.0], [0.1]).items() if value == value}
    assert single == {"mean", "weighted_mean", "median", "n_points", "maximum", "maximum_snr"}
    two = features_of([0.0, 1.0], [5.0, 6.0], [0.1, 0.1])
    assert all(np.isnan(two[name]) for name in ("skew", "kurtosis", "linear_trend", "linear_fit_slope", "anderson_darling_normal"))
    equal = features_of([0.0, 1.0, 2.0, 3.0, 4.0], [0.1] * 5, [0.3] * 5)
    assert (equal["mean"], equal["weighted_mean"], equal["standard_deviation"], equal["beyond_1_std"]) == (0.1, 0.1, 0.0, 0.0)
    assert all(np.isnan(equal[name]) for name in ("skew", "kurtosis", "cusum", "eta", "stetson_k", "anderson_darling_normal"))


def run(curves: LightCurves) -> dict[str, Any]:
    values = dict(light_curve_features.function(curves))
    assert set(values) == {column.name for column in light_curve_features.outputs}
    return values


def rising(n: int = 8, band: str = "r") -> list[tuple[float, str, int, float, float]]:
    rng = np.random.default_rng(n)
    return [(59000.0 + 2.3 * i + rng.uniform(), band, DETECTION, 1000.0 + 300.0 * i + rng.normal(0.0, 50.0), 50.0) for i in range(n)]


def test_bands_are_measured_apart_and_named() -> None:
    values = run(light_curves([rising(8, "r") + rising(5, "g") + rising(3, "y")]))
    for band, n in (("r", 8), ("g", 5), ("y", 3)):
        _, _, _, flux, _ = (np.array(field) for field in zip(*rising(n, band), strict=True))
        assert values[f"flux_n_points_{band}"] == n
        assert values[f"flux_mean_{band}"] == pytest.approx(flux.astype(np.float32).mean())
        assert values[f"mag_mean_{band}"] == pytest.approx(np.mean(AB_ZERO - 2.5 * np.log10(flux)), abs=1e-5)
    assert all(np.isnan(values[f"flux_mean_{band}"]) for band in "uiz")


def test_limits_and_second_points_of_one_exposure_do_not_count() -> None:
    plain = rising()
    more = [*plain, (58990.0, "r", LIMIT, 0.0, 100.0), (plain[2][0], "r", FORCED, 9e5, 1.0), (plain[5][0] + 4e-7, "r", FORCED, 9e5, 1.0)]
    more.append((plain[3][0] - 4e-7, "r", FORCED, 9e5, 1.0))
    expected, got = run(light_curves([plain])), run(light_curves([more]))
    for name in expected:
        if name != "mag_total_bands":
            np.testing.assert_allclose(got[name], expected[name], rtol=1e-5, err_msg=name)


def test_forced_photometry_counts_in_flux_and_where_it_is_significant_in_magnitude() -> None:
    forced = [(58950.0 + i, "r", FORCED, (-1.0) ** i * 20.0, 50.0) for i in range(4)] + [(58960.0, "r", FORCED, 600.0, 50.0)]
    values = run(light_curves([rising() + forced]))
    assert values["flux_n_points_r"] == 13
    assert values["mag_n_points_r"] == 9


def with_total(curves: LightCurves, total: Any, error: float = 50.0) -> LightCurves:
    known = np.isfinite(total)
    errors = np.where(known, error, np.nan).astype(np.float32)
    return replace(curves, total_flux=np.asarray(total, np.float32), total_flux_err=errors)


def test_magnitudes_are_of_the_total_flux_where_most_points_know_it_and_never_of_both() -> None:
    curves = light_curves([rising(8)])
    total = curves.flux + 5000.0
    half, few = np.where(np.arange(8) < 4, total, np.nan), np.where(np.arange(8) < 3, total, np.nan)
    for given_total, flux, bands in ((total, total, "r"), (half, total[:4], "r"), (few, curves.flux, None)):
        values = run(with_total(curves, given_total))
        assert values["mag_total_bands"].to_pylist() == [bands]
        assert values["mag_n_points_r"] == len(flux)
        assert values["mag_median_r"] == pytest.approx(np.median(AB_ZERO - 2.5 * np.log10(flux)), abs=1e-4)


def test_negative_differences_have_flux_but_no_magnitude() -> None:
    values = run(light_curves([[(t, b, k, -f, e) for t, b, k, f, e in rising()]]))
    assert values["flux_maximum_r"] < 0.0
    assert np.isnan(values["mag_mean_r"])


def mixed(n_ztf: int, n_lsst: int) -> LightCurves:
    """A light curve in the g of two surveys."""
    bands = (Band("g", "ztf", 4746.5), Band("r", "ztf", 6366.4), Band("g", "lsst", 4827.0))
    names = tuple(Band(f"{number}", band.survey, band.wavelength) for number, band in enumerate(bands))
    points = rising(n_ztf, "0") + [(t + 0.3, b, k, 2.0 * f, e) for t, b, k, f, e in rising(n_lsst, "2")] + rising(4, "1")
    return replace(light_curves([points], names), bands=bands)


def test_light_curves_of_two_surveys_use_the_band_with_more_points_and_never_mix_passbands() -> None:
    for n_ztf, n_lsst, factor in ((7, 5, 1.0), (5, 7, 2.0), (6, 6, 1.0)):
        values = run(mixed(n_ztf, n_lsst))
        assert values["flux_n_points_g"] == max(n_ztf, n_lsst)
        expected = factor * np.mean([point[3] for point in rising(max(n_ztf, n_lsst), "g")])
        assert values["flux_mean_g"] == pytest.approx(expected, rel=1e-6)
        assert values["flux_n_points_r"] == 4


def shuffled_in_time(curves: LightCurves, seed: int) -> LightCurves:
    order = np.random.default_rng(seed).permutation(curves.n_points)
    moved: dict[str, Any] = {name: array[order] for name, array in curves.arrays().items()}
    return replace(curves, **moved).sorted_by_time()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 30), power=st.integers(-8, 8), days=st.integers(-2000, 2000))
def test_order_time_and_scale_change_nothing_that_does_not_follow_them(seed: int, n: int, power: int, days: int) -> None:
    rng = np.random.default_rng(seed)
    # times on a grid that a shift by whole days keeps exact
    times = 59000.0 + np.sort(rng.choice(40_000, n, replace=False)) / 1024.0
    bands, fluxes, errors = rng.choice(list(BANDS), n), rng.normal(2000.0, 1500.0, n), rng.uniform(50.0, 300.0, n)
    curve = [(t, str(b), DETECTION, f, e) for t, b, f, e in zip(times.tolist(), bands, fluxes.tolist(), errors.tolist(), strict=True)]
    curves = light_curves([curve])
    plain, factor = run(curves), 2.0**power
    assert same(run(shuffled_in_time(curves, seed)), plain)
    assert same(run(replace(curves, mjd=curves.mjd + days)), plain)
    scaled = run(replace(curves, flux=curves.flux * np.float32(factor), flux_err=curves.flux_err * np.float32(factor)))
    for band in BANDS:
        for name in FEATURES:
            column = f"flux_{name}_{band}"
            np.testing.assert_array_equal(scaled[column], plain[column] * (1.0 if name in DIMENSIONLESS else factor), err_msg=column)
    for band in BANDS:
        shift = scaled[f"mag_median_{band}"] - plain[f"mag_median_{band}"]
        np.testing.assert_allclose(shift[np.isfinite(shift)], -2.5 * np.log10(factor), atol=1e-5)
        np.testing.assert_allclose(scaled[f"mag_standard_deviation_{band}"], plain[f"mag_standard_deviation_{band}"], rtol=1e-5)


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(np.array_equal(one[name], other[name], equal_nan=True) for name in one if name != "mag_total_bands")


finite, positive = st.floats(-(2.0**126), 2.0**126, width=32), st.floats(2.0**-126, 2.0**126, width=32)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), finite, positive), min_size=1, max_size=12, unique_by=lambda point: point[0]))
def test_any_finite_points_give_numbers_or_null(points: list[tuple[int, float, float]]) -> None:
    curve = [(59000.0 + t, "r", DETECTION, f, e) for t, f, e in points]
    with np.errstate(all="raise"):
        values = run(light_curves([curve]))
    assert values["flux_n_points_r"] == len(points)
    assert values["flux_maximum_r"] == np.float32(max(f for _, f, _ in points))


def test_agrees_with_todays_fink_on_lsst() -> None:
    """All 26 features of every band of real alerts, in flux, from their detections; one band has two detections of one exposure."""
    _, curves, expected = lsst_alerts()
    values = run(curves)
    compared = doubles = 0
    for row, bands in enumerate(expected):
        for band, features in bands.items():
            mine = curves.take(np.array([row])).select(curves.take(np.array([row])).band == BANDS.index(band))
            twice = len(np.unique(mine.mjd)) < mine.n_points
            doubles += twice
            for name, right in features.items():
                got = values[f"flux_{RENAMED.get(name, name)}_{band}"][row]
                single = np.isnan(features["standard_deviation"])
                if np.isnan(right) or (name in TODAYS_SPREADS and single):
                    assert np.isnan(got), (row, band, name)
                    continue
                assert got == pytest.approx(right, rel=4e-4 if twice else 1e-6, abs=1e-6), (row, band, name)
                compared += 1
    assert compared > 500
    assert doubles == 1


TODAYS_SPREADS = {next((old for old, new in RENAMED.items() if new == name), name) for name in SPREADS}


def todays_magnitudes(alert: Row, positive: tuple[str, ...]) -> tuple[Any, ...]:
    """Time, band, magnitude and error of an alert's detections by the rules of today's Fink."""
    points = [p for p in [*(alert["prv_candidates"] or ()), alert["candidate"]] if p.get("magpsf") == p.get("magpsf") is not None]
    names = ("jd", "fid", "magpsf", "sigmapsf", "magnr", "sigmagnr", "distnr")
    numbers = [[np.nan if p.get(name) is None else p[name] for name in names] for p in sorted(points, key=lambda p: p["jd"])]
    jd, fid, mag, error, before, before_err, separation = np.array(numbers, np.float64).T
    sign = np.array([1.0 if p["isdiffpos"] in positive else -1.0 for p in sorted(points, key=lambda p: p["jd"])])
    if ((separation >= 0.0) & (separation < 1.5)).any():
        with np.errstate(invalid="ignore", divide="ignore"):
            difference, template = 10 ** (-0.4 * mag), 10 ** (-0.4 * before)
            total = template + sign * difference
            mag, error = -2.5 * np.log10(total), np.hypot(difference * error, template * before_err) / total
    good = np.isfinite(mag) & np.isfinite(error) & (error > 0.0)
    return jd[good] - jd[0], fid[good], mag[good], error[good]


def deviates(got: dict[str, float], right: dict[str, Any]) -> bool:
    """Say whether a band's features are not those of today's Fink."""
    wanted = {RENAMED.get(name, name): np.nan if value is None else value for name, value in right.items()}
    if got["n_points"] == 1:
        wanted |= dict.fromkeys(SPREADS, np.nan)
    # slopes of points half a minute apart differ as their times were rounded
    return any(not np.isclose(got[name], value, rtol=2e-3, atol=1e-5, equal_nan=True) for name, value in wanted.items())


def test_todays_rules_give_todays_values_on_ztf() -> None:
    """With the rules of today's Fink, its sign of '1' included, our definitions give its values: what differs is the rules alone."""
    rows, _, expected = ztf_alerts()
    n = wrong = wrong_with_either_sign = 0
    for alert, bands in zip(rows, expected, strict=True):
        readings = [todays_magnitudes(alert, positive) for positive in (("t",), ("t", "1"))]
        for number, band in ((1, "g"), (2, "r")):
            right = bands[band]
            if not right or right["mean"] is None or np.isnan(right["mean"]):
                continue
            n += 1
            found = []
            for time, fid, mag, error in readings:
                mine = fid == number
                found.append(not mine.any() or deviates(features_of(time[mine], mag[mine], error[mine]), right))
            wrong += found[0]
            wrong_with_either_sign += all(found)
    assert n > 900
    assert wrong < 0.015 * n
    assert wrong_with_either_sign <= wrong


def causes(alert: Row, curves: LightCurves, number: int) -> set[str]:
    """Name the rules by which a band of an alert is measured differently now."""
    lc = curves
    points = [p for p in [*(alert["prv_candidates"] or ()), alert["candidate"]] if p.get("magpsf") == p.get("magpsf") is not None]
    mine = lc.band == number
    flux, error, total, total_err = (array[mine] for array in (lc.flux, lc.flux_err, lc.total_flux, lc.total_flux_err))
    behind, known = np.isfinite(lc.total_flux).any(), np.isfinite(total)
    found = set()
    if behind and any(p["isdiffpos"] == "1" for p in points if p["fid"] == number + 1):
        found.add("sign")
    if behind and not known.all():
        found.add("template behind some points")
    if (total[known] < 3.0 * total_err[known]).any():
        found.add("faint total")
    if not known.any() and (flux < 3.0 * error).any():
        found.add("negative" if (flux < 0.0).any() else "faint difference")
    return found


def test_what_differs_from_todays_fink_on_ztf_has_a_known_cause() -> None:
    """The figures of docs/science/features.md; a band may have two causes."""
    rows, curves, expected = ztf_alerts()
    values = run(curves)
    agree, explained, strange, single = 0, Counter[str](), 0, 0
    for i, (alert, bands) in enumerate(zip(rows, expected, strict=True)):
        for band, right in bands.items():
            if not right or right["mean"] is None or np.isnan(right["mean"]):
                continue
            got = {name: float(values[f"mag_{name}_{band}"][i]) for name in FEATURES[:27]}
            single += got["n_points"] == 1
            if not deviates(got, right):
                agree += 1
                continue
            why = causes(alert, curves.take(np.array([i])), "gr".index(band))
            explained.update(why or {"other"})
            strange += not why
    assert (agree, single) == (838, 320)
    assert explained == {"sign": 73, "template behind some points": 30, "faint total": 13, "negative": 3, "faint difference": 1}
    assert strange == 0
