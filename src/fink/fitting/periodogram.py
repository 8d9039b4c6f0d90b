"""Periods of unevenly sampled light curves in many bands: a fast multiband Lomb-Scargle search, then exact fits of its peaks.

*Model.* Each band has its own mean and its own size of variation; all share one phase and one shape, which is the
shared-phase model of VanderPlas and Ivezic (2015, doi:10.1088/0004-637X/812/1/18) on bands brought to one scale.

*Search.* The sums of the Lomb-Scargle periodogram come from a non-uniform fast Fourier transform: points are spread over a
regular grid with the "exponential of semicircle" kernel (Barnett et al. 2019, doi:10.1137/18M120885X), eight cells wide at 1.25
times oversampling. In single precision the sums are right to 5e-5 of the largest possible one. The highest peaks are then fitted
anew in double precision, with floating means and harmonics, so that what is given does not depend on the grid.

*False alarms.* The probability that noise alone gives a peak as high anywhere in the range of frequencies is the formula of
Baluev (2008, doi:10.1111/j.1365-2966.2008.12689.x) for residuals of unknown variance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import lgamma
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MAX_FREQUENCY = 5.0
"""Highest frequency that is searched [1 / d]; the shortest period is its inverse."""

OVERSAMPLING = 2.5
"""Frequencies searched in the width of a peak, ``1 / span``."""

FEWEST_CYCLES = 2.0
"""The longest period is the span over this."""

HARMONICS = 4
MIN_BAND_POINTS, MIN_POINTS = 5, 20
"""Fewest points of a band that takes part, and of a light curve."""

CANDIDATES, FINALISTS = 12, 3
"""Peaks that are fitted anew, and those among them whose shape is followed to its best frequency."""

_SOFTENING = 0.1
_WIDTH, _STEEPNESS, _KEPT = 8, 14.6, 0.4
_LARGEST, _CELLS_AT_ONCE = 2**19, 2**20
_ROUNDS = 2


@dataclass(frozen=True)
class Periods:
    """The best period of each of ``n`` light curves; NaN where there is none, all (n,).

    Parameters
    ----------
    period
        Of the best fit with harmonics [d].
    power
        Share of the variance about the bands' means that one sinusoid explains at the highest peak of the periodogram, 0 to 1.
    log_fap
        Decimal logarithm of the false-alarm probability of that peak.
    residual
        Share of the variance that is left once the fit with harmonics is taken away, 0 to 1.
    harmonic_ratio
        Amplitude of the first overtone over that of the fundamental, at the best period.
    n_points
        Points that took part.
    span
        Time from the first of them to the last [d].
    """

    period: Floats
    power: Floats
    log_fap: Floats
    residual: Floats
    harmonic_ratio: Floats
    n_points: NDArray[np.int64]
    span: Floats


def find_periods(offsets: Any, time: Any, band: Any, value: Any, error: Any, n_bands: int, max_frequency: float = MAX_FREQUENCY) -> Periods:
    """Search each light curve for its best period.

    A light curve's answer does not depend on the others, and not on the order of its points beyond rounding.

    Parameters
    ----------
    offsets
        (n + 1,) points ``offsets[i]:offsets[i + 1]`` belong to light curve ``i``.
    time
        (m,) [d].
    band
        (m,) from 0.
    value, error
        (m,) fluxes or magnitudes with their errors; points that are not finite, or have no positive error, take no part.
    n_bands
        Number of bands.
    max_frequency
        Highest frequency [1 / d].
    """
    offsets = np.ascontiguousarray(offsets, np.int64)
    time, value, error = (np.ascontiguousarray(a, np.float64) for a in (time, value, error))
    band = np.ascontiguousarray(band, np.int64)
    kept, *points, span, bands = _prepare(offsets, time, band, value, error, n_bands)
    counts = np.diff(kept)
    out = np.full((len(counts), 5), np.nan)
    for size, rows in _batches(_grid_sizes(counts, span, max_frequency)):
        step = 1.0 / (OVERSAMPLING * span[rows])
        power = _periodogram(size, rows, step, kept, *points)
        highest = np.minimum(power.shape[1] - 1, max_frequency / step).astype(np.int64)
        peaks = _peaks(power, int(FEWEST_CYCLES * OVERSAMPLING), highest)
        _refine(out, rows, peaks, step, kept, *points, bands, max_frequency)
    frequency, highest_power, log_fap, residual, ratio = out.T
    return Periods(1.0 / frequency, highest_power, log_fap, residual, ratio, counts, span)


def _grid_sizes(counts: NDArray[np.int64], span: Floats, max_frequency: float) -> NDArray[np.int64]:
    """Give the cells of each light curve's grid, 5 to 8 times a power of two; 0 where it cannot be searched."""
    possible = (counts >= MIN_POINTS) & (span * max_frequency > 2.0 * FEWEST_CYCLES)
    wanted = np.clip(np.where(possible, OVERSAMPLING * span * max_frequency / _KEPT, 1.0), 64.0, _LARGEST)
    power = 2 ** np.floor(np.log2(wanted) - 2.0).astype(np.int64)
    return np.where(possible, power * np.ceil(wanted / power).astype(np.int64), 0)


def _kept(size: int) -> int:
    return int(_KEPT * size)


def _batches(cells: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Give the rows of each size of grid, few enough at once for the memory that they take."""
    for size in np.unique(cells[cells > 0]).tolist():
        rows = np.flatnonzero(cells == size)
        at_once = max(1, _CELLS_AT_ONCE // size)
        for start in range(0, len(rows), at_once):
            yield size, rows[start : start + at_once]


@lru_cache(maxsize=16)
def _correction(size: int) -> NDArray[np.float32]:
    """Give what undoes the spreading, (size / 4,): the inverse of the kernel's own transform, by Gauss-Legendre quadrature."""
    nodes, weights = np.polynomial.legendre.leggauss(24)
    kernel = np.exp(_STEEPNESS * (np.sqrt(1.0 - nodes**2) - 1.0)) * weights
    turn = np.pi * _WIDTH / size * np.arange(_kept(size))
    total = np.zeros(_kept(size))
    for node, share in zip(nodes, kernel, strict=True):
        total += share * np.cos(turn * node)
    return (2.0 / (_WIDTH * total)).astype(np.float32)


def _periodogram(size: int, rows: Any, step: Any, offsets: Any, time: Any, band: Any, scaled: Any, weight: Any) -> NDArray[np.float32]:
    """Give the Lomb-Scargle power of these rows at each multiple of their step of frequency, (rows, size / 4)."""
    grid = np.zeros((len(rows), 2, size), np.float32)
    _spread(grid, rows, step, offsets, time, scaled, weight)
    sums = np.fft.rfft(grid, axis=2)
    return np.asarray(_power(sums, _correction(size)))


@njit(cache=True, nogil=True, error_model="numpy")
def _prepare(offsets: Any, time: Any, band: Any, value: Any, error: Any, n_bands: int) -> Any:
    """Bring each light curve's bands to mean zero and one scale, and keep what takes part.

    Gives offsets, times from the first point, bands, values and weights (which sum to 1), spans, and the bands that each has.
    """
    n = len(offsets) - 1
    kept, spans, bands = np.zeros(n + 1, np.int64), np.zeros(n), np.zeros(n, np.int64)
    times, chosen = np.empty(len(time)), np.empty(len(time), np.int64)
    scaled, weight = np.zeros(len(time)), np.zeros(len(time))
    for i in range(n):
        total, first, at = 0.0, np.inf, kept[i]
        for b in range(n_bands):
            bands[i] += _scale_band(offsets[i], offsets[i + 1], b, band, value, error, scaled, weight)
        for j in range(offsets[i], offsets[i + 1]):
            if weight[j] > 0.0:
                total, first = total + weight[j], min(first, time[j])
                # never ahead of j, so that the arrays may be packed in place
                times[at], chosen[at], scaled[at], weight[at] = time[j], band[j], scaled[j], weight[j]
                at += 1
        kept[i + 1] = at
        for j in range(kept[i], at):
            times[j] -= first
            weight[j] /= total
            spans[i] = max(spans[i], times[j])
    return kept, times, chosen, scaled, weight, spans, bands


@njit(cache=True, nogil=True, error_model="numpy")
def _scale_band(start: int, end: int, b: int, band: Any, value: Any, error: Any, scaled: Any, weight: Any) -> int:
    """Scale one band of one light curve and give 1; 0 where it has too few points or does not vary.

    The weight of a point is softened by a part of the scatter: where a source varies by far more than its errors, what a
    point says about the period is bounded by how well a sinusoid describes it.
    """
    n, total, mean, squares = 0, 0.0, 0.0, 0.0
    for j in range(start, end):
        if band[j] == b and 0.0 < error[j] < np.inf and abs(value[j]) < np.inf:
            inverse = 1.0 / error[j] ** 2
            n += 1
            total += inverse
            change = value[j] - mean
            mean += change * inverse / total
            squares += inverse * change * (value[j] - mean)
    if n < MIN_BAND_POINTS or not 0.0 < squares < np.inf:
        return 0
    spread = np.sqrt(squares / total)
    total = mean = squares = 0.0
    for j in range(start, end):
        if band[j] == b and 0.0 < error[j] < np.inf and abs(value[j]) < np.inf:
            weight[j] = 1.0 / (error[j] ** 2 + (_SOFTENING * spread) ** 2)
            total += weight[j]
            change = value[j] - mean
            mean += change * weight[j] / total
            squares += weight[j] * change * (value[j] - mean)
    spread = np.sqrt(squares / total)
    for j in range(start, end):
        if band[j] == b and weight[j] > 0.0:
            scaled[j] = (value[j] - mean) / spread
            weight[j] *= spread * spread
    return 1


@njit(cache=True, nogil=True, error_model="numpy")
def _spread(grid: Any, rows: Any, step: Any, offsets: Any, time: Any, scaled: Any, weight: Any) -> None:
    """Add each point to the cells about its place: weighted values, and weights at twice the time."""
    size = grid.shape[2]
    for r in range(len(rows)):
        i = rows[r]
        for j in range(offsets[i], offsets[i + 1]):
            for part in range(2):
                place = time[j] * step[r] * size * (part + 1)
                amount = weight[j] if part else weight[j] * scaled[j]
                low = int(np.ceil(place - 0.5 * _WIDTH))
                for cell in range(low, low + _WIDTH):
                    z = (cell - place) * (2.0 / _WIDTH)
                    grid[r, part, cell % size] += amount * np.exp(_STEEPNESS * (np.sqrt(max(0.0, 1.0 - z * z)) - 1.0))


@njit(cache=True, nogil=True, error_model="numpy")
def _power(sums: Any, correction: Any) -> Any:
    """Turn sums of ``y exp`` and ``exp(2)`` into the share of variance that a sinusoid explains, (rows, n)."""
    n = len(correction)
    out = np.empty((len(sums), n), np.float32)
    one, half, least = np.float32(1.0), np.float32(0.5), np.float32(0.01)
    for r in range(len(sums)):
        for k in range(n):
            c, s = sums[r, 0, k].real * correction[k], sums[r, 0, k].imag * correction[k]
            u, v = sums[r, 1, k].real * correction[k], sums[r, 1, k].imag * correction[k]
            cc, ss, cs = half * (one + u), half * (one - u), half * v
            # where the weights leave one phase of the wave unseen there is no telling
            out[r, k] = (ss * c * c + cc * s * s - (cs + cs) * c * s) / max(cc * ss - cs * cs, least)
    return out


@njit(cache=True, nogil=True)
def _peaks(power: Any, lowest: int, highest: Any) -> NDArray[np.int64]:
    """Give the places of the highest local maxima, highest first, (rows, CANDIDATES); -1 where there are fewer."""
    n = CANDIDATES
    out = np.full((len(power), n), -1, np.int64)
    height = np.empty(n, np.float32)
    for r in range(len(power)):
        height[:] = 0.0
        for k in range(lowest, highest[r]):
            p = power[r, k]
            if p > height[n - 1] and p > power[r, k - 1] and p >= power[r, k + 1]:
                q = n - 1
                while q > 0 and height[q - 1] < p:
                    height[q], out[r, q] = height[q - 1], out[r, q - 1]
                    q -= 1
                height[q], out[r, q] = p, k
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _solve(matrix: Any, right: Any, n: int) -> bool:
    """Solve symmetric positive equations in place by Cholesky's method; False where they are singular."""
    for j in range(n):
        for k in range(j + 1):
            total = matrix[j, k]
            for m in range(k):
                total -= matrix[j, m] * matrix[k, m]
            if j == k:
                if total <= 1e-9:
                    return False
                matrix[j, j] = np.sqrt(total)
            else:
                matrix[j, k] = total / matrix[k, k]
    for j in range(n):
        for m in range(j):
            right[j] -= matrix[j, m] * right[m]
        right[j] /= matrix[j, j]
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _sine(turns: float) -> float:
    """Give the sine of an angle from -1/4 to 1/4 of a turn by its series, right to 1e-13: without a branch, for many at once."""
    x = 2.0 * np.pi * turns
    y = x * x
    high = 1.0 / 6227020800.0 + y * (-1.0 / 1307674368000.0 + y / 355687428096000.0)
    middle = -1.0 / 5040.0 + y * (1.0 / 362880.0 + y * (-1.0 / 39916800.0 + y * high))
    return x * (1.0 + y * (-1.0 / 6.0 + y * (1.0 / 120.0 + y * middle)))


@njit(cache=True, nogil=True, error_model="numpy")
def _phases(frequency: float, time: Any, cosine: Any, sine: Any) -> None:
    """Put the cosine and sine of each point's phase into place."""
    for j in range(len(time)):
        turns = time[j] * frequency
        turns -= np.floor(turns + 0.5)
        size = abs(turns)
        cosine[j] = _sine(0.25 - size)
        sine[j] = np.copysign(_sine(0.25 - abs(size - 0.25)), turns)


@njit(cache=True, nogil=True, error_model="numpy")
def _sums(harmonics: int, points: Any, room: Any) -> None:
    """Sum ``w cos(k x)`` and ``w sin(k x)`` up to twice the harmonics, and up to the harmonics those of each band and with the values.

    Products of two waves are waves of the sum and the difference of their phases: the normal equations need no other sums.
    """
    _, band, scaled, weight = points
    cosine, sine, waves, alone, right, by_band = room[0], room[1], room[2], room[3], room[4], room[5]
    n, both = 2 * harmonics, 4 * harmonics
    alone[:both] = 0.0
    right[:n] = 0.0
    by_band[:, :n] = 0.0
    for j in range(len(band)):
        waves[0], waves[1] = cosine[j], sine[j]
        for k in range(1, n):
            # the wave of k + 1 is that of two others, about half as fast
            p = 2 * ((k - 1) // 2)
            q = 2 * k - 2 - p
            waves[2 * k] = waves[p] * waves[q] - waves[p + 1] * waves[q + 1]
            waves[2 * k + 1] = waves[p + 1] * waves[q] + waves[p] * waves[q + 1]
        w, wy, b = weight[j], weight[j] * scaled[j], band[j]
        for k in range(both):
            alone[k] += w * waves[k]
        for k in range(n):
            right[k] += wy * waves[k]
            by_band[b, k] += w * waves[k]


@njit(cache=True, nogil=True, error_model="numpy")
def _equations(frequency: float, harmonics: int, totals: Any, points: Any, room: Any) -> None:
    """Set up the normal equations of the harmonics with the bands' means taken out; the values' own means are zero already."""
    _phases(frequency, points[0], room[0], room[1])
    _sums(harmonics, points, room)
    alone, by_band, matrix = room[3], room[5], room[6]
    for p in range(harmonics):
        for q in range(p + 1):
            up, down = 2 * (p + q + 1), 2 * (p - q - 1)
            near, slope = (alone[down], alone[down + 1]) if p > q else (1.0, 0.0)
            matrix[2 * p, 2 * q] = 0.5 * (near + alone[up])
            matrix[2 * p + 1, 2 * q + 1] = 0.5 * (near - alone[up])
            matrix[2 * p + 1, 2 * q] = 0.5 * (alone[up + 1] + slope)
            matrix[2 * p, 2 * q + 1] = 0.5 * (alone[up + 1] - slope)
    for b in range(len(totals)):
        if totals[b] > 0.0:
            for k in range(2 * harmonics):
                share = by_band[b, k] / totals[b]
                for m in range(k + 1):
                    matrix[k, m] -= share * by_band[b, m]


@njit(cache=True, nogil=True, error_model="numpy")
def _explained(frequency: float, harmonics: int, totals: Any, points: Any, room: Any) -> tuple[float, float]:
    """Give the share of variance that a wave with harmonics explains, and the amplitude of the first overtone over the fundamental's."""
    n = 2 * harmonics
    _equations(frequency, harmonics, totals, points, room)
    right, matrix = room[4], room[6]
    if not _solve(matrix, right, n):
        return 0.0, np.nan
    explained = 0.0
    for k in range(n):
        explained += right[k] ** 2
    if harmonics == 1:
        return explained, 0.0
    for k in range(n - 1, -1, -1):
        for m in range(k + 1, n):
            right[k] -= matrix[m, k] * right[m]
        right[k] /= matrix[k, k]
    return explained, np.hypot(right[2], right[3]) / np.hypot(right[0], right[1])


@njit(cache=True, nogil=True, error_model="numpy")
def _climb(frequency: float, step: float, rounds: int, harmonics: int, totals: Any, points: Any, room: Any) -> tuple[float, float]:
    """Follow a peak to its top by parabolas through three points ever closer together; give its place and height."""
    height = _explained(frequency, harmonics, totals, points, room)[0]
    for _ in range(rounds):
        below = _explained(frequency - step, harmonics, totals, points, room)[0]
        above = _explained(frequency + step, harmonics, totals, points, room)[0]
        bend = below - 2.0 * height + above
        shift = 0.5 * (below - above) / bend if bend < 0.0 else (1.0 if above > below else -1.0)
        moved = frequency + min(1.0, max(-1.0, shift)) * step
        value = _explained(moved, harmonics, totals, points, room)[0]
        if value > height:
            frequency, height = moved, value
        step *= 0.3
    return frequency, height


@njit(cache=True, nogil=True, error_model="numpy")
def _best_wave(peaks: Any, step: float, totals: Any, points: Any, room: Any) -> tuple[float, float, float]:
    """Fit the peaks anew: give the frequency with the best shape, what that explains, and the height of the highest peak."""
    waves, shaped = np.zeros(len(peaks)), np.full(len(peaks), -1.0)
    best = place = power = 0.0
    for q in range(len(peaks)):
        if peaks[q] < 0:
            break
        waves[q], height = _climb(peaks[q] * step, 0.4 * step, _ROUNDS, 1, totals, points, room)
        power = max(power, height)
        shaped[q] = _explained(waves[q], HARMONICS, totals, points, room)[0]
    for _ in range(FINALISTS):
        leader = np.argmax(shaped)
        if shaped[leader] <= 0.0:
            break
        shaped[leader] = -1.0
        wave, height = _climb(waves[leader], 0.1 * step, _ROUNDS, HARMONICS, totals, points, room)
        if height > best:
            best, place = height, wave
    return place, best, power


@njit(cache=True, nogil=True, error_model="numpy")
def _refine(
    out: Any,
    rows: Any,
    peaks: Any,
    step: Any,
    offsets: Any,
    time: Any,
    band: Any,
    scaled: Any,
    weight: Any,
    bands: Any,
    max_frequency: float,
) -> None:
    """Write frequency, power, logarithm of the false-alarm probability, residual and harmonic ratio of each row."""
    longest = n_bands = 0
    for r in range(len(rows)):
        start, end = offsets[rows[r]], offsets[rows[r] + 1]
        longest, n_bands = max(longest, end - start), max(n_bands, band[start:end].max() + 1)
    n, phases, totals = 2 * HARMONICS, np.empty((2, longest)), np.empty(n_bands)
    room = phases[0], phases[1], np.empty(2 * n), np.empty(2 * n), np.empty(n), np.empty((n_bands, n)), np.empty((n, n))
    for r in range(len(rows)):
        start, end = offsets[rows[r]], offsets[rows[r] + 1]
        points = time[start:end], band[start:end], scaled[start:end], weight[start:end]
        totals[:] = 0.0
        for j in range(start, end):
            totals[band[j]] += weight[j]
        place, best, power = _best_wave(peaks[r], step[r], totals, points, room)
        if place > 0.0:
            ratio = _explained(place, HARMONICS, totals, points, room)[1]
            alarm = log_false_alarm(power, end - start - bands[rows[r]], points[0], points[3], max_frequency)
            out[rows[r]] = place, power, alarm, 1.0 - best, ratio


@njit(cache=True, nogil=True, error_model="numpy")
def log_false_alarm(power: float, freedom: int, time: Any, weight: Any, max_frequency: float) -> float:
    """Give the decimal logarithm of the probability that noise alone has a peak of this height (Baluev 2008, his eq. 5 and table 1).

    Parameters
    ----------
    power
        Share of the variance that a sinusoid explains, 0 to 1.
    freedom
        Points less the means that were fitted.
    time, weight
        (m,) times [d] and weights of the points, the sum of weights 1.
    max_frequency
        Highest frequency that was searched, from 0 [1 / d].
    """
    mean = spread = 0.0
    for j in range(len(time)):
        mean += weight[j] * time[j]
    for j in range(len(time)):
        spread += weight[j] * (time[j] - mean) ** 2
    left = np.log(max(1.0 - power, 1e-300))
    single = 0.5 * (freedom - 2) * left
    gamma = 0.5 * np.log(2.0 / freedom) + lgamma(0.5 * freedom) - lgamma(0.5 * (freedom - 1))
    width = max_frequency * np.sqrt(4.0 * np.pi * spread)
    crossings = gamma + np.log(width) + 0.5 * (freedom - 3) * left + 0.5 * np.log(0.5 * freedom * power)
    if crossings > -12.0:
        # the full expression; where it is tiny it is the sum of its two terms
        return float(np.log10(-np.expm1(np.log1p(-min(np.exp(single), 1.0 - 1e-16)) - np.exp(crossings))))
    high = max(single, crossings)
    return float((high + np.log(np.exp(single - high) + np.exp(crossings - high))) / np.log(10.0))
