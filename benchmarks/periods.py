"""Periods: how many known ones of RR Lyrae stars are recovered, and light curves a second, beside astropy's multiband periodogram.

The 483 RR Lyrae stars of SDSS Stripe 82 have 30 to 70 epochs in five bands over nine years, and published periods (Sesar et al.
2010, doi:10.1088/0004-637X/708/1/717). An alias is a frequency that differs by one or two cycles a day, or is half or double.
Astropy fits the same range of frequencies, by its fast method for each band, on a short sample; its figure is without aliases too.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from astropy.timeseries import LombScargleMultiband
from numpy.typing import NDArray

from benchmarks.result import Figure, Result, cpu_seconds, table_text
from fink.fitting.periodogram import MAX_FREQUENCY, find_periods

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))  # where the finder of the real data is

from shared_data import shared_data_folder

TOLERANCE = 1e-3
Stars = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]


def measure(short: bool) -> Result:
    """Search every star, and some with astropy."""
    stars, known = read_stars()
    if short:
        stars, known = first_of(stars, 60), known[:60]
    found = find_periods(*stars, 5)
    seconds = cpu_seconds(lambda: find_periods(*stars, 5), 1 if short else 3) / len(known)
    few = 3 if short else 12
    other, other_seconds = astropy_periods(stars, few)
    kinds = {"": (found.period, known), "astropy_": (other, known[:few])}
    figures: dict[str, Figure] = {"stars": len(known), "astropy_stars": few, "stars_per_second": 1.0 / seconds}
    figures |= {"astropy_stars_per_second": 1.0 / other_seconds, "times_astropy": other_seconds / seconds}
    for name, (period, truth) in kinds.items():
        exact, alias = recovered(period, truth)
        figures |= {f"{name}exact": exact, f"{name}exact_or_alias": alias}
    figures["same_stars_exact"] = recovered(found.period[:few], known[:few])[0]
    rows = [[name, value] for name, value in figures.items()]
    goal = {"exact_or_alias": 0.97, "stars_per_second": 200.0}
    return Result.of("periods", figures, goal, table_text("Periods of RR Lyrae stars, one core", ["figure", "value"], rows))


def read_stars() -> tuple[Stars, NDArray[np.float64]]:
    """Read the points, as fluxes in nJy, and the published periods."""
    folder = shared_data_folder() / "lightcurves"
    known = pl.read_csv(folder / "sdss_s82_rrlyrae_periods.csv").sort("Num")
    points = pl.read_parquet(folder / "sdss_s82_rrlyrae.parquet").filter(pl.col("magerr").is_between(0, 1, "right"))
    points = points.with_columns(Num=pl.col("name").cast(pl.Int64)).join(known, on="Num").sort("Num", "time")
    counts = points.group_by("Num").len().sort("Num")["len"].to_numpy()
    flux = 10 ** (-0.4 * (points["mag"].to_numpy() - 31.4))
    error = flux * points["magerr"].to_numpy() * 0.4 * np.log(10.0)
    band = points["band"].replace_strict({name: i for i, name in enumerate("ugriz")}, return_dtype=pl.Int64).to_numpy()
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return (offsets, points["time"].to_numpy(), band, flux, error), known["Per"].to_numpy()


def first_of(stars: Stars, n: int) -> Stars:
    """Give the first ``n`` stars."""
    end = int(stars[0][n])
    return stars[0][: n + 1], stars[1][:end], stars[2][:end], stars[3][:end], stars[4][:end]


def recovered(period: Any, known: Any) -> tuple[float, float]:
    """Give the share of periods that are right, and of those that are right or an alias."""
    found, true = 1.0 / period, 1.0 / known
    ratios = [true, true / 2.0, 2.0 * true, *(np.abs(true + days) for days in (-2.0, -1.0, 1.0, 2.0))]
    near = [np.abs(found / wanted - 1.0) < TOLERANCE for wanted in ratios]
    return float(near[0].mean()), float(np.any(near, axis=0).mean())


def astropy_periods(stars: Stars, n: int) -> tuple[NDArray[np.float64], float]:
    """Search the first stars with astropy; give periods and seconds a star."""
    offsets, times, band, flux, error = stars
    out, began = np.zeros(n), time.process_time()
    for i in range(n):
        rows = slice(offsets[i], offsets[i + 1])
        span = np.ptp(times[rows])
        frequency = np.arange(2.0 / span, MAX_FREQUENCY, 1.0 / (2.5 * span))
        periodogram = LombScargleMultiband(times[rows], flux[rows], band[rows], error[rows])
        power = periodogram.power(frequency, method="fast", sb_method="fast")
        out[i] = 1.0 / frequency[np.argmax(power)]
    return out, (time.process_time() - began) / n
