"""What tests of fits share: derivatives by differences, and rows of simulated points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fink.fitting import Points


def evaluate(curve: Any, point: Any, constants: Any, time: Any, band: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Call a model's curve: values (k,) and derivatives (k, p)."""
    value, slopes = np.empty(len(time)), np.empty((len(time), len(point)))
    curve(np.asarray(point, np.float64), np.asarray(constants, np.float64), time, band, value, slopes)
    return value, slopes


def largest_error_of_derivatives(curve: Any, point: Any, constants: Any, time: Any, band: Any, step: float = 1e-5) -> float:
    """Compare the derivatives with central differences: the largest deviation over the largest derivative, of any parameter."""
    point = np.asarray(point, np.float64)
    _, slopes = evaluate(curve, point, constants, time, band)
    worst = 0.0
    for a in range(len(point)):
        shift = np.zeros(len(point))
        shift[a] = step
        above, _ = evaluate(curve, point + shift, constants, time, band)
        below, _ = evaluate(curve, point - shift, constants, time, band)
        numeric = (above - below) / (2 * step)
        worst = max(worst, float(np.abs(numeric - slopes[:, a]).max() / max(np.abs(numeric).max(), 1e-12)))
    return worst


def rows(time: NDArray[Any], band: NDArray[Any], value: NDArray[Any], error: NDArray[Any]) -> Points:
    """Make a row of points of each row of (n, k) arrays."""
    n, k = time.shape
    return Points.of(np.arange(n + 1) * k, time.ravel(), np.broadcast_to(band, time.shape).ravel(), value.ravel(), error.ravel())


def one_row(points: Points, row: int) -> Points:
    """Take one row alone."""
    part = slice(points.offsets[row], points.offsets[row + 1])
    n = part.stop - part.start
    return Points.of([0, n], points.time[part], points.band[part], points.value[part], points.error[part])
