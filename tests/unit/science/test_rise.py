"""The rising part and its sigmoid: by hand, by numpy, and as the features of 595 real objects were published."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from alert_batches import NOW, light_curves
from fink.fitting import Points
from fink.fitting.transients import fit_sigmoid
from fink.lightcurves import DETECTION
from fink.science.rise import MEMORY, rise, rising_part
from shared_data import shared_data
from unit.science.sampled_curves import sampled

HALF, TIME = NOW - 5.0, 3.0


def sigmoid(t: Any, amplitude: float, half: float, time: float) -> Any:
    return amplitude * expit((t - half) / time)


def run(curves: list[Any]) -> dict[str, Any]:
    return dict(rise.function(light_curves(curves)))


def running_mean_rises(flux: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say at which values the weighted mean so far does not fall, written anew."""
    weights = MEMORY ** np.arange(len(flux))[::-1]
    means = [np.average(flux[: i + 1], weights=weights[len(flux) - 1 - i :]) for i in range(len(flux))]
    return np.concatenate([[True], np.diff(means) >= 0.0])


def test_a_rise_comes_back_with_errors() -> None:
    found = run(
        [sampled(lambda t, b: sigmoid(t, 5000.0, HALF, TIME), s, (NOW - 25.0, NOW), n=40, bands="gr", snr=100.0) for s in range(60)]
    )
    for name, truth in {"half_mjd": HALF, "time": TIME, "amplitude": 5000.0}.items():
        pull = (found[f"rise_{name}_r"] - truth) / found[f"rise_{name}_r_err"]
        assert np.nanmedian(np.abs(pull)) < 1.0, name
    assert np.nanmedian(found["rise_chi2_r"]) < 1.0
    assert (found["n_rise_points_r"] >= 10).all()
    assert np.isnan(found["rise_time_i"]).all()


def test_nights_are_averaged_and_falling_ones_left_out() -> None:
    flux = np.array([1.0, 2.0, 4.0, 3.0, 6.0, 5.0, 9.0])
    time = np.arange(7.0)
    two = Points.of([0, 14], np.repeat(time, 2) + np.tile([0.0, 0.1], 7), np.zeros(14), np.repeat(flux, 2), np.tile([1.0, 2.0], 7))
    nights, begin, snr = rising_part(two, 0.5)
    kept = running_mean_rises(flux)
    assert nights.value == pytest.approx(flux[kept])
    assert nights.time == pytest.approx(time[kept] + 0.02)
    assert nights.error == pytest.approx(np.full(kept.sum(), 1.0 / np.sqrt(1.25)))
    assert begin[0] == pytest.approx(0.02)
    assert snr[0] == pytest.approx((flux[kept] * np.sqrt(1.25)).mean())


def test_what_only_falls_has_no_rise() -> None:
    fading = [(NOW - 9.0 + i, "r", DETECTION, 9000.0 - 500.0 * i, 100.0) for i in range(10)]
    found = run([fading, []])
    assert found["n_rise_points_r"][0] == 1
    assert np.isnan(found["rise_time_r"]).all()


def published() -> tuple[Points, NDArray[np.float64]]:
    """Give the nights of real objects, in g and in r, by the paper's rules, and the published features.

    Fluxes of zero point 27.5 of detections alone, and their errors, averaged by rounded date.
    """
    features = pl.read_csv(shared_data("early_sn_al", "expected_sigmoid_features_matrix.csv"))
    points = pl.read_parquet(shared_data("early_sn_al", "all_nonIa_lightcurves.parquet")).drop("TNS")
    other = pl.read_parquet(shared_data("early_sn_al", "fink_cross_tns_2019-11_2020-09.parquet"))
    other = other.filter(~pl.col("objectId").is_in(points["objectId"].unique().to_list())).select(points.columns)
    points = pl.concat([points, other.explode("cjd", "cfid", "cmagpsf", "csigmapsf").cast(points.schema)])
    points = points.drop_nulls().filter(pl.col("objectId").is_in(features["id"].to_list()), pl.col("cfid") <= 2)
    flux = 10.0 ** (11.0 - 0.4 * pl.col("cmagpsf"))
    points = points.with_columns(flux=flux, error=flux * pl.col("csigmapsf") * 0.921034, day=pl.col("cjd").round(0))
    nights = points.group_by("objectId", "cfid", "day").agg(pl.col("flux", "error").mean()).sort("objectId", "cfid", "day")
    rows = nights.group_by("objectId", "cfid", maintain_order=True).len()
    long = features.unpivot(index="id").with_columns(
        pl.col("variable").str.head(-2).alias("name"),
        pl.col("variable").str.tail(1).replace_strict({"g": 1, "r": 2}, default=0).alias("cfid"),
    )
    long = long.filter(pl.col("cfid") > 0).with_columns(pl.col("value").cast(pl.Float64))
    wide = long.pivot("name", index=["id", "cfid"], values="value")
    expected = rows.join(wide, left_on=["objectId", "cfid"], right_on=["id", "cfid"], maintain_order="left")
    offsets = np.cumsum([0, *rows["len"]])
    flat = (nights[name].to_numpy() for name in ("flux", "error"))
    return Points.of(offsets, nights["day"].to_numpy(), np.zeros(len(nights)), *flat), expected.select(
        "a", "b", "c", "snratio", "nrise"
    ).to_numpy()


def test_the_published_features_of_real_objects() -> None:
    nights, expected = published()
    assert len(nights) == 1190
    kept, begin, snr = rising_part(nights, 0.5)
    assert (np.diff(kept.offsets) == expected[:, 4]).all()
    assert np.abs(snr / expected[:, 3] - 1.0).max() < 1e-5
    since = kept.since(begin)
    fits = fit_sigmoid(Points.of(since.offsets, since.time, since.band, since.value, np.ones(len(since.time))))
    physical = (expected[:, 0] >= 1.0 / 300.0) & (expected[:, 0] <= 100.0) & (expected[:, 2] > 0.0)
    assert physical.sum() > 1000
    good = 0
    for i in np.flatnonzero(physical):
        part = slice(since.offsets[i], since.offsets[i + 1])
        time, flux = since.time[part], since.value[part]
        ours = sigmoid(time, *(fits.value(name)[i] for name in ("amplitude", "half_time", "rise_time")))
        theirs = sigmoid(time, expected[i, 2], expected[i, 1], 1.0 / expected[i, 0])
        same = np.abs(ours - theirs).max() < 0.01 * flux.max()
        good += same or ((flux - ours) ** 2).sum() < ((flux - theirs) ** 2).sum()
    # the same curve to 1 % of the highest flux, or a better one
    assert good / physical.sum() > 0.99
