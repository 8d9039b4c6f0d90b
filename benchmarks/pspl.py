"""Point lenses: fits a second, beside scipy on the same data, and how often the event that was simulated comes back.

2,000 events with the cadence of a survey: 120 points in two bands over a year, errors of 2 %, impact parameters up to
1, time scales about 25 d, blends up to three times the source.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from benchmarks.result import Figure, Result, cpu_seconds, table_text
from fink.fitting import AT_BOUND, CONVERGED
from fink.fitting.microlensing import fit_pspl
from fink.fitting.points import Points

EVENTS, POINTS, BANDS = 2000, 120, 2
GOAL = {"fits_per_s": 2000.0, "minimum_found": 0.99, "peak_within_3_sigma": 0.97}


def measure(short: bool) -> Result:
    """Measure rates, and compare with scipy started at the truth."""
    points, truth = simulate(EVENTS)
    fits = fit_pspl(points, BANDS)
    compared = 10 if short else 100
    scipy_rate, found = scipy_from_the_truth(points, truth, fits.chi2, compared)
    rate = EVENTS / cpu_seconds(lambda: fit_pspl(points, BANDS))
    done = (fits.status == CONVERGED) | (fits.status == AT_BOUND)
    pull = np.abs(fits.value("peak_time") - truth[:, 0]) / fits.error("peak_time")
    figures: dict[str, Figure] = {
        "fits_per_s": rate,
        "scipy_fits_per_s": scipy_rate,
        "ratio": rate / scipy_rate,
        "minimum_found": found,
        "finished": float(done.mean()),
        "peak_within_3_sigma": float(np.mean(pull[fits.status == CONVERGED] < 3)),
        "reduced_chi2": float(np.median(fits.reduced_chi2)),
        "einstein_time_error": float(np.nanmedian(np.abs(fits.value("einstein_time") / truth[:, 1] - 1))),
        "steps_a_fit": float(fits.steps.mean()),
    }
    title = f"Point lenses: {EVENTS:,} events of {POINTS} points in {BANDS} bands; scipy on {compared}, started at the truth"
    return Result.of("pspl", figures, GOAL, table_text(title, ["figure", "value"], [[k, v] for k, v in figures.items()]))


def simulate(n: int, seed: int = 5) -> tuple[Points, NDArray[np.float64]]:
    """Draw events: their points, and time of peak, time scale, impact parameter, two source fluxes and two baselines, (n, 7)."""
    rng = np.random.default_rng(seed)
    when, band = np.sort(rng.uniform(0, 365, (n, POINTS)), axis=1), rng.integers(0, BANDS, (n, POINTS))
    shape = np.stack([rng.uniform(100, 265, n), np.exp(rng.normal(3.2, 0.5, n)), rng.uniform(0.02, 1.0, n)], axis=1)
    source = rng.uniform(2e4, 2e5, (n, BANDS))
    truth = np.concatenate([shape, source, source * (1 + rng.uniform(0, 3, (n, 1)))], axis=1)
    value = np.stack([model(t, b, p) for t, b, p in zip(when, band, truth, strict=True)])
    error = 0.02 * value
    value = value + error * rng.standard_normal(value.shape)
    return Points.of(np.arange(n + 1) * POINTS, when.ravel(), band.ravel(), value.ravel(), error.ravel()), truth


def model(when: NDArray[np.float64], band: NDArray[np.int64], p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Flux of an event, written anew for the comparison."""
    square = p[2] ** 2 + ((when - p[0]) / p[1]) ** 2
    return np.asarray(p[5 + band] + p[3 + band] * ((square + 2) / np.sqrt(square * (square + 4)) - 1))


def scipy_from_the_truth(points: Points, truth: NDArray[np.float64], chi2: NDArray[np.float64], n: int) -> tuple[float, float]:
    """Fit the first events with scipy: its fits a second, and on which share of them our chi-square is as low as its own."""
    as_low = 0
    began = time.process_time()
    for i in range(n):
        part = slice(points.offsets[i], points.offsets[i + 1])
        when, band, value, error = points.time[part], points.band[part], points.value[part], points.error[part]
        best = optimize.least_squares(
            lambda p, t=when, b=band, y=value, e=error: (y - model(t, b, p)) / e,
            truth[i],
            bounds=([-np.inf, 0.1, 1e-3, 0, 0, -np.inf, -np.inf], [np.inf, 3000, 2, *[np.inf] * 4]),
            x_scale=[1, 5, 0.1, *truth[i, 3:]],
        )
        as_low += chi2[i] <= 2 * best.cost + 0.05
    return n / (time.process_time() - began), as_low / n
