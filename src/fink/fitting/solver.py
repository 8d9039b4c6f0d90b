"""Batched least squares: one bounded Levenberg-Marquardt solver for every non-linear fit, over ragged data.

A `Model` says how its curve and derivatives follow from its parameters, and where to start. The solver is compiled
once and takes the model's compiled functions as arguments, so that a new model costs the compilation of its own
lines only. Each row is solved by itself in scalar loops: its result does not depend on the rows beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import inf, sqrt
from typing import Any

import numpy as np
import pyarrow as pa
from numba import njit, types
from numpy.typing import NDArray

from fink.fitting.points import Points

CONVERGED, AT_BOUND, TOO_FEW_POINTS, NOT_CONVERGED = 0, 1, 2, 3
"""How a fit ended: in a minimum; in one where a parameter lies on its bound; not begun; or given up on."""

STATUS_NAMES = np.array(["converged", "at bound", "too few points", "not converged"], dtype=object)
"""The same in words."""

MAX_STARTS = 12
"""Most places that a model may ask to start from."""

SCREENING_STEPS = 3
"""Steps taken from each start before the best is followed to its minimum."""

MAX_STEPS = 100
"""Steps after which a fit is given up."""

TOLERANCE = 1e-3
"""A fit has converged when a step would change chi-square by less: parameters then lie within 3 % of their errors."""

_FLOATS, _BANDS, _TABLE = types.Array(types.float64, 1, "C"), types.Array(types.int64, 1, "C"), types.Array(types.float64, 2, "C")

CURVE = types.void(_FLOATS, _FLOATS, _FLOATS, _BANDS, _FLOATS, _TABLE)
"""Signature of a curve: parameters (p,), constants (c,), time (k,), band (k,); fills values (k,) and derivatives (k, p)."""

GUESS = types.int64(_FLOATS, _FLOATS, _BANDS, _FLOATS, _FLOATS, _TABLE)
"""Signature of a guess: constants (c,), time, band, value, error (k,); fills starts (`MAX_STARTS`, p) and says how many."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a model.

    Parameters
    ----------
    name
        What it is called.
    lower, upper
        Bounds; the result may lie on them. Equal bounds hold the parameter fixed.
    log
        Whether its logarithm is what the curve takes and the solver moves: for positive scales.
    """

    name: str
    lower: float = -inf
    upper: float = inf
    log: bool = False


@dataclass(frozen=True)
class Model:
    """A family of curves that the solver can fit.

    Parameters
    ----------
    curve
        Compiled function of the signature `CURVE`.
    guess
        Compiled function of the signature `GUESS`.
    """

    curve: Any
    guess: Any


@dataclass(frozen=True)
class Fits:
    """The fits of ``n`` light curves.

    Parameters
    ----------
    parameters
        The ``p`` parameters that were fitted.
    solution
        (n, p) best values, of the logarithm where a parameter says so; NaN where there is no fit.
    covariance
        (n, p, p) covariance of `solution`; zero for a parameter that is fixed, lies on its bound or is not measured.
    chi2
        (n,) sum of squared residuals over errors.
    n_points
        (n,) int64, points that the fit used.
    n_free
        (n,) int64, parameters that they measure: not those that are fixed, nor those of bands without points.
    status
        (n,) int8, one of `CONVERGED`, `AT_BOUND`, `TOO_FEW_POINTS`, `NOT_CONVERGED`.
    steps
        (n,) int64, evaluations of the curve.
    """

    parameters: tuple[Parameter, ...]
    solution: NDArray[np.float64]
    covariance: NDArray[np.float64]
    chi2: NDArray[np.float64]
    n_points: NDArray[np.int64]
    n_free: NDArray[np.int64]
    status: NDArray[np.int8]
    steps: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.chi2)

    def index(self, name: str) -> int:
        """Give the place of a parameter."""
        return [parameter.name for parameter in self.parameters].index(name)

    def value(self, name: str) -> NDArray[np.float64]:
        """Best values of a parameter, (n,)."""
        column = self.index(name)
        found = self.solution[:, column]
        return np.exp(found) if self.parameters[column].log else found

    def error(self, name: str) -> NDArray[np.float64]:
        """One-sigma errors of a parameter, (n,); NaN where it lies on its bound or is not measured."""
        column = self.index(name)
        variance = self.covariance[:, column, column]
        error = np.sqrt(np.where(variance > 0.0, variance, np.nan))
        return error * self.value(name) if self.parameters[column].log else error

    @property
    def outcome(self) -> pa.Array:
        """How each fit ended, in words, (n,) string; null where there were too few points to begin."""
        return pa.array(STATUS_NAMES[self.status], pa.string(), mask=self.status == TOO_FEW_POINTS)

    @property
    def reduced_chi2(self) -> NDArray[np.float64]:
        """Chi-square over degrees of freedom, (n,); NaN where there are none."""
        degrees = self.n_points - self.n_free
        return np.where(degrees > 0, self.chi2 / np.maximum(degrees, 1), np.nan)


def fit(
    model: Model,
    parameters: tuple[Parameter, ...],
    points: Points,
    *,
    constants: Sequence[float] = (),
    starts: NDArray[np.float64] | None = None,
    min_points: int = 1,
) -> Fits:
    """Fit a model to each of many light curves.

    Parameters
    ----------
    model
        What to fit.
    parameters
        Its ``p`` parameters.
    points
        The light curves.
    constants
        (c,) what the model's functions take besides.
    starts
        (n, p) where to start each fit, of the logarithm where a parameter says so; the model's own guesses by default.
    min_points
        Light curves with fewer points are not fitted.
    """
    bounds = np.array([(p.lower, p.upper) for p in parameters], dtype=np.float64).T.copy()
    logarithmic = np.array([p.log for p in parameters])
    bounds[:, logarithmic] = np.log(bounds[:, logarithmic])
    given = np.zeros((0, len(parameters))) if starts is None else np.require(starts, np.float64, ["C", "W"])
    arrays = (points.offsets, points.time, points.band, points.value, points.error)
    solved = _compiled_solver()(model.curve, model.guess, bounds, np.array(constants, dtype=np.float64), given, *arrays, min_points)
    solution, covariance, chi2, n_free, status, steps = solved
    return Fits(parameters, solution, covariance, chi2, np.diff(points.offsets), n_free, status, steps)


def evaluate(
    model: Model,
    parameters: Sequence[Parameter],
    values: Mapping[str, float],
    time: NDArray[np.float64],
    band: NDArray[np.int64],
    *,
    constants: Sequence[float] = (),
) -> NDArray[np.float64]:
    """Give a model's curve at some times and bands, (k,).

    Parameters
    ----------
    parameters
        The model's parameters, in its order.
    values
        The value of each, by name.
    time, band
        (k,) where it is wanted.
    constants
        (c,) what the model's functions take besides.
    """
    point = np.array([np.log(values[p.name]) if p.log else values[p.name] for p in parameters], np.float64)
    curve, slopes = np.zeros(len(time)), np.zeros((len(time), len(point)))
    asked = (np.array(constants, np.float64), np.require(time, np.float64, ["C", "W"]), np.require(band, np.int64, ["C", "W"]))
    model.curve(point, *asked, curve, slopes)
    return curve


_SOLVER = types.Tuple((_TABLE, types.Array(types.float64, 3, "C"), _FLOATS, _BANDS, types.Array(types.int8, 1, "C"), _BANDS))(
    types.FunctionType(CURVE), types.FunctionType(GUESS), _TABLE, _FLOATS, _TABLE, _BANDS, _FLOATS, _BANDS, _FLOATS, _FLOATS, types.int64
)


@cache
def _compiled_solver() -> Any:
    """Compile the solver once for every model: its signature names their functions by what they take, not one by one."""
    return njit(_SOLVER, cache=True, nogil=True, error_model="numpy")(_solve)


@njit(cache=True, nogil=True, error_model="numpy")
def _copy(source: Any, target: Any) -> None:
    for a in range(len(source)):
        target[a] = source[a]


@njit(cache=True, nogil=True, error_model="numpy")
def cholesky_solve(matrix: Any, right: Any, size: int) -> bool:
    """Solve a positive definite system in place; False where it is not positive definite.

    ``matrix[:size, :size]`` becomes its lower triangular factor, ``right[:size]`` the solution.
    """
    for i in range(size):
        for j in range(i + 1):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            if i == j:
                if not total > 0.0:
                    return False
                matrix[i, i] = sqrt(total)
            else:
                matrix[i, j] = total / matrix[j, j]
    for i in range(size):
        for k in range(i):
            right[i] -= matrix[i, k] * right[k]
        right[i] /= matrix[i, i]
    for i in range(size - 1, -1, -1):
        for k in range(i + 1, size):
            right[i] -= matrix[k, i] * right[k]
        right[i] /= matrix[i, i]
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _normal_equations(curve_value: Any, slopes: Any, value: Any, error: Any, hessian: Any, gradient: Any) -> float:
    """Fill the normal equations and give chi-square; infinite where the curve is not finite."""
    size = len(gradient)
    for a in range(size):
        gradient[a] = 0.0
        for b in range(a + 1):
            hessian[a, b] = 0.0
    cost = 0.0
    for j in range(len(value)):
        weight = 1.0 / error[j]
        residual = (value[j] - curve_value[j]) * weight
        cost += residual * residual
        for a in range(size):
            slope = slopes[j, a] * weight
            slopes[j, a] = slope
            gradient[a] += slope * residual
        for a in range(size):
            slope = slopes[j, a]
            for b in range(a + 1):
                hessian[a, b] += slope * slopes[j, b]
    return cost if cost < inf else inf


@njit(cache=True, nogil=True, error_model="numpy")
def _free_parameters(point: Any, bounds: Any, hessian: Any, gradient: Any, free: Any) -> int:
    """List the parameters that may move: not those that lie on a bound and are pushed against it."""
    n = 0
    for a in range(len(point)):
        held = (point[a] <= bounds[0, a] and gradient[a] <= 0.0) or (point[a] >= bounds[1, a] and gradient[a] >= 0.0)
        if not held and hessian[a, a] > 0.0:
            free[n] = a
            n += 1
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def _step(
    point: Any, bounds: Any, hessian: Any, gradient: Any, damping: float, free: Any, n: int, matrix: Any, right: Any, trial: Any
) -> float:
    """Take a damped step within the bounds; give the decrease of chi-square that it promises, negative where none can be taken."""
    for i in range(n):
        for j in range(i + 1):
            matrix[i, j] = hessian[free[i], free[j]]
        matrix[i, i] *= 1.0 + damping
        right[i] = gradient[free[i]]
    _copy(point, trial)
    if not cholesky_solve(matrix, right, n):
        return -1.0
    for i in range(n):
        a = free[i]
        trial[a] = min(max(point[a] + right[i], bounds[0, a]), bounds[1, a])
        right[i] = trial[a] - point[a]
    promised = 0.0
    for i in range(n):
        pull = 2.0 * gradient[free[i]]
        for j in range(n):
            pull -= right[j] * (hessian[free[i], free[j]] if i >= j else hessian[free[j], free[i]])
        promised += right[i] * pull
    return promised


@njit(cache=True, nogil=True, error_model="numpy")
def _descend(
    curve: Any, constants: Any, bounds: Any, time: Any, band: Any, value: Any, error: Any, point: Any, steps: int, work: Any, free: Any
) -> tuple[float, bool, int]:
    """Go down from a point, in place, by up to so many steps; give the cost, whether it converged, and the steps taken."""
    curve_value, slopes, hessian, other_hessian, gradient, other_gradient, matrix, right, trial = work
    count = len(time)
    curve(point, constants, time, band, curve_value[:count], slopes[:count])
    cost = _normal_equations(curve_value, slopes, value, error, hessian, gradient)
    damping, growth, taken = 1e-2, 2.0, 0
    while taken < steps and cost < inf:
        n = _free_parameters(point, bounds, hessian, gradient, free)
        promised = _step(point, bounds, hessian, gradient, damping, free, n, matrix, right, trial)
        if 0.0 <= promised < TOLERANCE and damping <= 1e-1:
            return cost, True, taken
        taken += 1
        curve(trial, constants, time, band, curve_value[:count], slopes[:count])
        lower = _normal_equations(curve_value, slopes, value, error, other_hessian, other_gradient)
        if promised > 0.0 and lower < cost:
            ratio = (cost - lower) / promised
            damping *= max(0.1, 1.0 - (2.0 * ratio - 1.0) ** 3)
            growth = 2.0
            converged = cost - lower < TOLERANCE and promised < 10.0 * TOLERANCE
            cost = lower
            _copy(trial, point)
            _copy(other_gradient, gradient)
            for a in range(len(point)):
                _copy(other_hessian[a], hessian[a])
            if converged:
                return cost, True, taken
        else:
            damping *= growth
            growth *= 2.0
            if damping > 1e12:
                return cost, promised >= 0.0, taken
    return cost, False, taken


@njit(cache=True, nogil=True, error_model="numpy")
def _covariance(point: Any, bounds: Any, hessian: Any, free: Any, matrix: Any, right: Any, covariance: Any) -> int:
    """Invert the normal equations of the parameters within their bounds; say how many lie on a bound, -1 where they are degenerate."""
    size, n, pinned = len(point), 0, 0
    for a in range(size):
        if not hessian[a, a] > 0.0 or bounds[0, a] == bounds[1, a]:
            continue
        if bounds[0, a] < point[a] < bounds[1, a]:
            free[n] = a
            n += 1
        else:
            pinned += 1
    for column in range(n):
        for i in range(n):
            for j in range(i + 1):
                matrix[i, j] = hessian[free[i], free[j]]
            right[i] = 1.0 if i == column else 0.0
        if not cholesky_solve(matrix, right, n):
            for i in range(size):
                for j in range(size):
                    covariance[i, j] = 0.0
            return -1
        for i in range(n):
            covariance[free[i], free[column]] = right[i]
    return pinned


@njit(cache=True, nogil=True, error_model="numpy")
def _chi2(curve_value: Any, value: Any, error: Any) -> float:
    total = 0.0
    for j in range(len(value)):
        total += ((value[j] - curve_value[j]) / error[j]) ** 2
    return total


def _solve(
    curve: Any,
    guess: Any,
    bounds: Any,
    constants: Any,
    given: Any,
    offsets: Any,
    times: Any,
    bands: Any,
    values: Any,
    errors: Any,
    min_points: int,
) -> Any:
    """Fit each row: from every start a few steps, from the best of them to the minimum."""
    rows, size = len(offsets) - 1, bounds.shape[1]
    parameters, covariances = np.full((rows, size), np.nan), np.zeros((rows, size, size))
    chi2, status = np.full(rows, np.nan), np.full(rows, TOO_FEW_POINTS, np.int8)
    n_free, steps = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    longest = 0
    for i in range(rows):
        longest = max(longest, offsets[i + 1] - offsets[i])
    work = (
        np.empty(longest), np.empty((longest, size)), np.empty((size, size)), np.empty((size, size)),
        np.empty(size), np.empty(size), np.empty((size, size)), np.empty(size), np.empty(size),
    )  # fmt: skip
    free, starts, point = np.empty(size, np.int64), np.empty((MAX_STARTS, size)), np.empty(size)
    for i in range(rows):
        first, last = offsets[i], offsets[i + 1]
        if last - first < min_points:
            continue
        time, band, value, error = times[first:last], bands[first:last], values[first:last], errors[first:last]
        count = 1
        if len(given):
            _copy(given[i], starts[0])
        else:
            count = guess(constants, time, band, value, error, starts)
        best, best_cost, cost, converged = 0, inf, inf, False
        for turn in range(count + 1):
            s = best if turn == count else turn
            for a in range(size):
                starts[s, a] = min(max(starts[s, a], bounds[0, a]), bounds[1, a])
            limit = MAX_STEPS if turn == count else SCREENING_STEPS if count > 1 else 0
            cost, converged, taken = _descend(curve, constants, bounds, time, band, value, error, starts[s], limit, work, free)
            steps[i] += taken + 1
            if cost < best_cost:
                best, best_cost = s, cost
        _copy(starts[best], point)
        status[i] = NOT_CONVERGED
        if not cost < inf:
            continue
        pinned = _covariance(point, bounds, work[2], free, work[6], work[7], covariances[i])
        parameters[i] = point
        curve(point, constants, time, band, work[0][: last - first], work[1][: last - first])
        chi2[i] = _chi2(work[0], value, error)
        if converged:
            status[i] = CONVERGED if pinned == 0 else AT_BOUND if pinned > 0 else NOT_CONVERGED
        for a in range(size):
            n_free[i] += work[2][a, a] > 0.0 and bounds[0, a] < bounds[1, a]
    return parameters, covariances, chi2, n_free, status, steps
