"""Point lenses: the magnification, simulated events, and two of Gaia DR3 with published fits."""

from __future__ import annotations

import io
import json
import tarfile

import numpy as np
import pytest
from scipy import optimize

from fink.fitting import CONVERGED, NOT_CONVERGED, Points
from fink.fitting.microlensing import PSPL, _fluxes_for, fit_pspl, magnification, reduced_chi2_of_constancy
from shared_data import shared_data
from unit.fitting.curves import evaluate, largest_error_of_derivatives, one_row, rows

EVENTS = {
    "018": (
        *(f"GaiaDR3_ULENS_018_Gaia_{band}" for band in ("G", "BP", "RP")),
        "OGLE_2016_BLG_1396_I",
        *(f"KMT_2016_BLG_0738_KMT{site}_I" for site in "ACS"),
    ),
    "025": (*(f"GaiaDR3_ULENS_025_Gaia_{band}" for band in ("G", "BP", "RP")), "GaiaDR3_ULENS_025_OGLE"),
}


def events(n: int, seed: int, k: int = 120) -> tuple[Points, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    time, band = np.sort(rng.uniform(0, 365, (n, k)), axis=1), rng.integers(0, 2, (n, k))
    truth = {"peak_time": rng.uniform(100, 265, n), "einstein_time": np.exp(rng.normal(3.2, 0.5, n)), "impact": rng.uniform(0.05, 0.7, n)}
    square = truth["impact"][:, None] ** 2 + ((time - truth["peak_time"][:, None]) / truth["einstein_time"][:, None]) ** 2
    source = np.where(band == 0, 3e4, 8e4) * rng.uniform(0.5, 2.0, (n, 1))
    value = source * ((square + 2) / np.sqrt(square * (square + 4)) + rng.uniform(0, 2, (n, 1)))
    error = 0.01 * value
    return rows(time, band, value + error * rng.standard_normal((n, k)), error), truth


def test_magnification() -> None:
    assert magnification(1.0) == pytest.approx(3 / np.sqrt(5))
    assert magnification(1e-8) == pytest.approx(1e4, rel=1e-6)
    assert magnification(1e4) == pytest.approx(1.0, abs=1e-6)


def test_derivatives() -> None:
    time, band = np.linspace(-60, 80, 41), np.arange(41) % 2
    assert largest_error_of_derivatives(PSPL.curve, [5.0, 3.0, -1.5, 2.0, 3.0, 0.7, 1.0], [0.0], time, band) < 1e-6


def test_events_come_back_with_honest_errors() -> None:
    points, truth = events(600, 1)
    fits = fit_pspl(points, 2)
    assert (fits.status == NOT_CONVERGED).mean() < 0.01
    assert np.median(fits.reduced_chi2) == pytest.approx(1.0, abs=0.02)
    good = fits.status == CONVERGED
    assert good.mean() > 0.9
    for name, value in truth.items():
        pull = np.abs((fits.value(name) - value) / fits.error(name))[good]
        assert np.median(pull) == pytest.approx(0.65, abs=0.15), name
    assert np.median(reduced_chi2_of_constancy(points, 2)) > 20


def test_the_minimum_is_that_of_scipy_from_the_truth() -> None:
    points, truth = events(20, 2)
    fits = fit_pspl(points, 2)
    for i in range(20):
        row = one_row(points, i)
        start = np.array([truth["peak_time"][i], np.log(truth["einstein_time"][i]), np.log(truth["impact"][i]), 0, 0, 0, 0.0])
        _fluxes_for(start, row.time, row.band, row.value, row.error)
        assert fits.chi2[i] <= scipy_chi2(row, start) + 0.02


def scipy_chi2(row: Points, start: np.ndarray) -> float:
    """Chi-square of the minimum that scipy reaches from a start."""
    scale = np.abs(start) + 1e-3
    scale[0] = 10.0
    best = optimize.least_squares(
        lambda p: (row.value - evaluate(PSPL.curve, p, [0.0], row.time, row.band)[0]) / row.error, start, x_scale=scale, max_nfev=3000
    )
    return float(2 * best.cost)


@pytest.mark.parametrize("event", EVENTS)
def test_published_events(event: str) -> None:
    """Fits of Gaia DR3 events by pyLIMA: ours has a lower chi-square, the one that scipy reaches from the published parameters."""
    prefix = "microlensing_ralph/tests/microlensing_ralph/data/input/"
    with tarfile.open(shared_data("microlensing", "real_events_photometry.tar.xz")) as archive:

        def read(name: str) -> str:
            member = archive.extractfile(prefix + name)
            assert member is not None
            return member.read().decode()

        tables = [np.loadtxt(io.StringIO(read(f"light_curves/{name}.dat")), usecols=(0, 1, 2)) for name in EVENTS[event]]
        published = json.loads(read(f"test_results/gdr3_ulens_{event}_fit_results.json"))["PSPL_blend_no_piE"]
    time, mag, mag_err = np.concatenate(tables).T
    flux = 10 ** (-0.4 * (mag - 22.0))
    order = np.argsort(time, kind="stable")
    band = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    points = Points.of([0, len(time)], time[order], band[order], flux[order], (flux * mag_err * 0.4 * np.log(10))[order])
    fits = fit_pspl(points, len(tables))
    start = np.array([published["t0"], np.log(published["tE"]), np.log(published["u0"]), *np.zeros(2 * len(tables))])
    _fluxes_for(start, points.time, points.band, points.value, points.error)
    model, _ = evaluate(PSPL.curve, start, [0.0], points.time, points.band)
    assert fits.chi2[0] < (((points.value - model) / points.error) ** 2).sum()
    assert fits.chi2[0] == pytest.approx(scipy_chi2(points, start), abs=0.05)
    assert abs(fits.value("peak_time")[0] - published["t0"]) < 3 * published["t0_error"]


def test_constancy() -> None:
    points = Points.of([0, 4, 5], [0.0, 1, 2, 3, 0], [0, 0, 1, 1, 0], [1.0, 3.0, 10.0, 10.0, 1.0], [1.0, 1, 1, 1, 1])
    assert reduced_chi2_of_constancy(points, 2) == pytest.approx([1.0, np.nan], nan_ok=True)
