"""Light-curve features: statistics of the shape, trend, noise and timing of the light curve in each band, in flux and in magnitude.

The first 26 are those of SNAD's search for anomalies (Malanchev et al. 2021, doi:10.1093/mnras/stab316, appendix A), which
today's Fink computes; then come those that the classifiers of supernovae and active galaxies read. A column is called
``<quantity>_<feature>_<band>``: ``flux_skew_r``, ``mag_mean_g``.

*In flux* (u, g, r, i, z, y): the difference flux, detections and forced photometry. *In magnitude* (the same bands): the total flux
(source and template together) where at least half of the band's points know it, else the difference flux; only points of three
sigma or more, since a magnitude of less is no number with an error. No band mixes the two, and `mag_total_bands` names the bands
where it is the total flux. Of two points of one band within a tenth of a second one counts, the detection before the forced
photometry. What today's Fink gives differently, and why, is told in docs/science/features.md.

Bands are joined to a column by their letter alone; where two surveys' bands share it, that with more points is used
(the bluer of equals), for their passbands differ. What needs more points than there are is null: one has no spread, two no
trend or skewness, three no kurtosis; neither have equal values a shape.

With ``x`` the N values in order of time ``t``, ``e`` their errors, ``m`` their mean, ``w`` their mean weighted by ``1 / e^2``,
``s`` the standard deviation (of the sample, N - 1) and ``Q`` the quantile (linear between the midpoints of steps, Hyndman and Fan's
fifth, doi:10.2307/2684934), the columns say what each feature is. They are kept in single precision; before that they agree
with the package light-curve to a part in 10^8, what quantiles give to 3 in 10^6, since that package rounds shares to single
precision.
"""

from __future__ import annotations

from math import erfc, inf, log, log1p, log10, pi, sqrt
from typing import Any

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from fink.columns import Column
from fink.fitting import weighted_line
from fink.fitting.points import points_of_band
from fink.lightcurves import AB_ZERO, LIMIT, LightCurves
from fink.science import Columns, science_module

BANDS = "ugrizy"
"""Bands that have features in flux, and in magnitude."""

MIN_SNR = 3.0
"""Least signal-to-noise ratio of a point that has a magnitude."""

SHORT_LAGS, LONG_LAGS = (0.5, 2.0), (5.0, 20.0)
"""Lags of the two structure functions [d]."""

MIN_PAIRS = 3
"""Pairs that a structure function needs."""

_MAG_OF_RELATIVE = 2.5 / np.log(10.0)
FAR = 35.0
"""Standard deviations beyond which the logarithm of a normal tail is taken from its series."""

_SAME, _RATE, _NONE, _DAYS = "x", "x / d", "", "d"
"""Units of features; x stands for that of the quantity."""

_FEATURES: dict[str, tuple[str, str, str]] = {
    "mean": (_SAME, "stat.mean", "Mean"),
    "weighted_mean": (_SAME, "stat.mean", "Mean weighted by the inverse squares of the errors"),
    "standard_deviation": (_SAME, "stat.stdev", "Standard deviation"),
    "median": (_SAME, "stat.median", "Median"),
    "amplitude": (_SAME, "stat.value", "Half the range, (max x - min x) / 2"),
    "beyond_1_std": (_NONE, "stat.value;arith.ratio", "Fraction of points farther from the mean than one standard deviation"),
    "cusum": (_NONE, "stat.value", "Range of the cumulative sums of (x - m) / (N s)"),
    "inter_percentile_range_10": (_SAME, "stat.value", "Range without the tenths at either end, Q(0.9) - Q(0.1)"),
    "kurtosis": (_NONE, "stat.param", "Excess kurtosis, unbiased for a normal distribution (G2)"),
    "linear_trend": (_RATE, "arith.rate;stat.fit.param", "Slope of the straight line through points of equal weight"),
    "linear_trend_sigma": (_RATE, "stat.error", "One-sigma error of linear_trend, from the scatter about the line"),
    "linear_trend_noise": (_SAME, "stat.stdev", "Standard deviation about that line, N - 2 degrees of freedom"),
    "linear_fit_slope": (_RATE, "arith.rate;stat.fit.param", "Slope of the straight line weighted by the errors"),
    "linear_fit_slope_sigma": (_RATE, "stat.error", "One-sigma error of linear_fit_slope, from the errors"),
    "linear_fit_reduced_chi2": (_NONE, "stat.fit.chi2", "Chi-square of that line over N - 2"),
    "percentage_ratio_40_5": (_NONE, "stat.value;arith.ratio", "Ratio of ranges of quantiles, (Q(0.6) - Q(0.4)) / (Q(0.95) - Q(0.05))"),
    "percentage_ratio_20_10": (_NONE, "stat.value;arith.ratio", "Ratio of ranges of quantiles, (Q(0.8) - Q(0.2)) / (Q(0.9) - Q(0.1))"),
    "maximum_slope": (_RATE, "arith.rate;stat.max", "Largest rate between neighbours in time, without its sign"),
    "median_absolute_deviation": (_SAME, "stat.value", "Median distance from the median"),
    "median_buffer_range_10": (_NONE, "stat.value;arith.ratio", "Fraction of points nearer to the median than a tenth of amplitude"),
    "percent_amplitude": (_SAME, "stat.max", "Largest distance from the median"),
    "mean_variance": (_NONE, "stat.value;arith.ratio", "Standard deviation over mean"),
    "anderson_darling_normal": (_NONE, "stat.value", "Anderson and Darling's A2 against a normal distribution, corrected for N"),
    "reduced_chi2": (_NONE, "stat.fit.chi2", "Chi-square about the weighted mean over N - 1"),
    "skew": (_NONE, "stat.param", "Skewness, unbiased for a normal distribution (G1)"),
    "stetson_k": (_NONE, "stat.value", "Stetson's K: mean of |x - w| / e over its root mean square"),
    "n_points": (_NONE, "meta.number", "Points that the features are made of"),
    "stetson_j": (
        _NONE,
        "stat.correlation",
        "Stetson's J of neighbours in time: mean signed root of products of sqrt(N/(N-1)) (x-w)/e",
    ),
    "eta": (_NONE, "stat.value;arith.ratio", "Von Neumann's ratio: mean squared step between neighbours over s^2"),
    "maximum": (_SAME, "stat.max", "Largest value"),
    "maximum_snr": (_NONE, "stat.snr;stat.max", "Largest ratio of a value to its error"),
    "time_quantile_15": (_DAYS, "time.interval", "Time from the first point until 15 % of the points were taken (Q)"),
    "time_quantile_85": (_DAYS, "time.interval", "Time from the first point until 85 % of the points were taken (Q)"),
    "excess_variance": (_NONE, "stat.value;arith.ratio", "Variance beyond the errors over the squared mean, (s^2 - mean e^2) / m^2"),
    "structure_function_1": (
        _SAME,
        "stat.value",
        "Root mean squared difference of points 0.5 to 2 days apart, errors subtracted; three pairs at least",
    ),
    "structure_function_10": (
        _SAME,
        "stat.value",
        "Root mean squared difference of points 5 to 20 days apart, errors subtracted; three pairs at least",
    ),
}
FEATURES = tuple(_FEATURES)
MAG_FEATURES = tuple(name for name in FEATURES if not name.startswith(("maximum", "time_quantile")) or name == "maximum_slope")
"""Those that have a sense in magnitude: the largest is the faintest, and when points were taken is told in flux already."""

_QUANTITIES = {"flux": ("nJy", "phot.flux", BANDS, FEATURES), "mag": ("mag", "phot.mag", BANDS, MAG_FEATURES)}


def _ucd(feature: str, quantity: str) -> str:
    """Join the words of a feature and of what it is of; mean, median and largest value come behind that."""
    return f"{quantity};{feature}" if feature in ("stat.mean", "stat.median", "stat.max") else f"{feature};{quantity}"


def _declared(quantity: str, feature: str, band: str) -> Column:
    unit, ucd, _, _ = _QUANTITIES[quantity]
    unit_of_feature, ucd_of_feature, about = _FEATURES[feature]
    return Column(
        f"{quantity}_{feature}_{band}",
        pa.int32() if feature == "n_points" else pa.float32(),
        unit_of_feature.replace("x", unit),
        _ucd(ucd_of_feature, ucd) if unit_of_feature.startswith("x") else ucd_of_feature,
        f"{about} ({quantity} in {band})",
    )


@science_module(
    version="1.1",
    outputs=(
        *(_declared(quantity, name, band) for quantity, (_, _, bands, names) in _QUANTITIES.items() for band in bands for name in names),
        Column("mag_total_bands", pa.string(), "", "instr.bandpass", "Bands whose mag features are of the total flux, as gr"),
    ),
    reference="doi:10.1093/mnras/stab316",
)
def light_curve_features(lightcurves: LightCurves) -> Columns:
    """Measure each band of each light curve."""
    lc = lightcurves
    letters = np.array([BANDS.find(band.name.lower()) if len(band.name) == 1 else -1 for band in lc.bands], np.int64)
    bluest_first = np.argsort(lc.wavelengths, kind="stable")
    points = (lc.mjd, lc.band, lc.kind, lc.flux, lc.flux_err, lc.total_flux, lc.total_flux_err)
    values, totals = _features(lc.offsets, *points, letters, bluest_first)
    named = {
        f"{quantity}_{name}_{band}": values[q, BANDS.index(band), FEATURES.index(name)]
        for q, (quantity, (_, _, bands, names)) in enumerate(_QUANTITIES.items())
        for band in bands
        for name in names
    }
    subsets = pa.array(["".join(band for b, band in enumerate(BANDS) if code >> b & 1) for code in range(1 << len(BANDS))], pa.string())
    return named | {"mag_total_bands": subsets.take(pa.array(totals, mask=totals == 0))}


@njit(cache=True, nogil=True, error_model="numpy")
def _features(
    offsets: Any,
    mjd: Any,
    band: Any,
    kind: Any,
    flux: Any,
    flux_err: Any,
    total: Any,
    total_err: Any,
    letters: Any,
    bluest_first: Any,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Give the features, (2, 6, features, n): in flux and in magnitude, and which bands have total magnitudes as bits, (n,)."""
    n = len(offsets) - 1
    out = np.full((2, len(BANDS), len(FEATURES), n), np.nan, np.float32)
    totals = np.zeros(n, np.int64)
    longest = 0
    for i in range(n):
        longest = max(longest, offsets[i + 1] - offsets[i])
    chosen, time, value, error = np.empty(longest, np.int64), np.empty(longest), np.empty(longest), np.empty(longest)
    spare, row = np.empty((2, longest)), np.empty(len(FEATURES))
    for i in range(n):
        first, last = offsets[i], offsets[i + 1]
        used = _bands_used(first, last, band, kind, letters, bluest_first)
        for b in range(len(BANDS)):
            if used[b] < 0:
                continue
            m = points_of_band(first, last, used[b], mjd, band, kind, flux, flux_err, -inf, chosen)
            if m == 0:
                continue
            for j in range(m):
                point = chosen[j]
                time[j], value[j], error[j] = mjd[point] - mjd[first], flux[point], flux_err[point]
            measure(time[:m], value[:m], error[:m], spare, row)
            out[0, b, :, i] = row
            is_total = _mostly_known(chosen[:m], total, total_err)
            if is_total:
                m = _magnitudes(chosen[:m], mjd, first, total, total_err, time, value, error)
            else:
                m = _magnitudes(chosen[:m], mjd, first, flux, flux_err, time, value, error)
            if m == 0:
                continue
            measure(time[:m], value[:m], error[:m], spare, row)
            out[1, b, :, i] = row
            totals[i] |= is_total << b
    return out, totals


@njit(cache=True, nogil=True, error_model="numpy")
def _bands_used(first: int, last: int, band: Any, kind: Any, letters: Any, bluest_first: Any) -> Any:
    """Choose for each letter the band with most points, the bluer of equals, (6,); -1 where there is none."""
    counts = np.zeros(len(letters), np.int64)
    for j in range(first, last):
        counts[band[j]] += kind[j] != LIMIT
    used = np.full(len(BANDS), -1, np.int64)
    for b in bluest_first:
        letter = letters[b]
        if letter >= 0 and counts[b] > 0 and (used[letter] < 0 or counts[b] > counts[used[letter]]):
            used[letter] = b
    return used


@njit(cache=True, nogil=True, error_model="numpy")
def _mostly_known(chosen: Any, total: Any, total_err: Any) -> bool:
    """Say whether at least half of the points know their total flux."""
    known = 0
    for j in chosen:
        known += 0.0 < total_err[j] < inf and abs(total[j]) < inf
    return 2 * known >= len(chosen)


@njit(cache=True, nogil=True, error_model="numpy")
def _magnitudes(chosen: Any, mjd: Any, first: int, flux: Any, flux_err: Any, time: Any, value: Any, error: Any) -> int:
    """Put the magnitudes of the points that have one, with times and errors, into place; gives how many."""
    m = 0
    for j in chosen:
        if 0.0 < flux_err[j] < inf and MIN_SNR <= flux[j] / flux_err[j] < inf and flux[j] < inf:
            time[m] = mjd[j] - mjd[first]
            size = np.float64(flux[j])
            value[m] = AB_ZERO - 2.5 * log10(size)
            error[m] = _MAG_OF_RELATIVE * flux_err[j] / size
            m += 1
    return m


(
    MEAN,
    WEIGHTED_MEAN,
    STANDARD_DEVIATION,
    MEDIAN,
    AMPLITUDE,
    BEYOND_1_STD,
    CUSUM,
    INTER_PERCENTILE_RANGE_10,
    KURTOSIS,
    LINEAR_TREND,
    LINEAR_TREND_SIGMA,
    LINEAR_TREND_NOISE,
    LINEAR_FIT_SLOPE,
    LINEAR_FIT_SLOPE_SIGMA,
    LINEAR_FIT_REDUCED_CHI2,
    PERCENTAGE_RATIO_40_5,
    PERCENTAGE_RATIO_20_10,
    MAXIMUM_SLOPE,
    MEDIAN_ABSOLUTE_DEVIATION,
    MEDIAN_BUFFER_RANGE_10,
    PERCENT_AMPLITUDE,
    MEAN_VARIANCE,
    ANDERSON_DARLING_NORMAL,
    REDUCED_CHI2,
    SKEW,
    STETSON_K,
    N_POINTS,
    STETSON_J,
    ETA,
    MAXIMUM,
    MAXIMUM_SNR,
    TIME_QUANTILE_15,
    TIME_QUANTILE_85,
    EXCESS_VARIANCE,
    STRUCTURE_FUNCTION_1,
    STRUCTURE_FUNCTION_10,
) = range(len(FEATURES))
"""Places of the features in a row, in the order of `FEATURES`."""


@njit(cache=True, nogil=True, error_model="numpy")
def measure(time: Any, value: Any, error: Any, spare: Any, row: Any) -> None:
    """Measure one series into ``row``; ``spare`` is room for two more of its length."""
    n = len(time)
    row[:] = np.nan
    ordered, ones = spare[0, :n], spare[1, :n]
    ordered[:] = value
    ones[:] = 1.0
    _sort(ordered)
    varies = ordered[0] < ordered[n - 1]
    _of_moments(value, error, varies, row)
    _of_order(time, ordered, row)
    if n >= 2:
        _of_steps(time, value, error, varies, row)
    if n >= 3:
        _of_lines(time, value, error, ones, row)
    if n >= 4 and varies:
        row[ANDERSON_DARLING_NORMAL] = _anderson_darling(ordered, row[MEAN], row[STANDARD_DEVIATION])


@njit(cache=True, nogil=True, error_model="numpy")
def _sort(values: Any) -> None:
    """Sort in place; most bands have few points, for which insertion is fastest."""
    if len(values) > 64:
        values.sort()
        return
    for i in range(1, len(values)):
        moved, j = values[i], i
        while j > 0 and values[j - 1] > moved:
            values[j] = values[j - 1]
            j -= 1
        values[j] = moved


@njit(cache=True, nogil=True, error_model="numpy")
def _of_moments(value: Any, error: Any, varies: bool, row: Any) -> None:
    """Measure what sums over the values give."""
    n = len(value)
    total = weights = weighted = 0.0
    for i in range(n):
        weight = 1.0 / error[i] ** 2
        total += value[i]
        weights += weight
        weighted += weight * value[i]
        row[MAXIMUM] = value[i] if i == 0 else max(row[MAXIMUM], value[i])
        row[MAXIMUM_SNR] = value[i] / error[i] if i == 0 else max(row[MAXIMUM_SNR], value[i] / error[i])
    mean = total / n if varies else value[0]
    row[N_POINTS], row[MEAN], row[WEIGHTED_MEAN] = n, mean, weighted / weights if varies else mean
    if n < 2:
        return
    second = third = fourth = scaled = scaled_squares = error_squares = 0.0
    for i in range(n):
        apart = value[i] - mean
        deviation = (value[i] - row[WEIGHTED_MEAN]) / error[i]
        second += apart**2
        third += apart**3
        fourth += apart**4
        scaled += abs(deviation)
        scaled_squares += deviation**2
        error_squares += error[i] ** 2
    variance = second / (n - 1)
    row[STANDARD_DEVIATION] = std = sqrt(variance)
    row[MEAN_VARIANCE] = std / mean
    row[REDUCED_CHI2] = scaled_squares / (n - 1)
    row[EXCESS_VARIANCE] = (variance - error_squares / n) / mean**2
    row[BEYOND_1_STD] = _share_beyond(value, mean, std) if varies else 0.0
    if not varies:
        return
    row[STETSON_K] = scaled / sqrt(n * scaled_squares)
    if n >= 3:
        row[SKEW] = n * third / ((n - 1.0) * (n - 2.0) * std**3)
    if n >= 4:
        excess = 3.0 * (n - 1.0) ** 2 / ((n - 2.0) * (n - 3.0))
        row[KURTOSIS] = n * (n + 1.0) * fourth / ((n - 1.0) * (n - 2.0) * (n - 3.0) * variance**2) - excess


@njit(cache=True, nogil=True, error_model="numpy")
def _share_beyond(value: Any, centre: float, distance: float) -> float:
    """Give the fraction of values farther from the centre than a distance."""
    n = 0
    for i in range(len(value)):
        n += abs(value[i] - centre) > distance
    return n / len(value)


@njit(cache=True, nogil=True, error_model="numpy")
def _of_order(time: Any, ordered: Any, row: Any) -> None:
    """Measure what the sorted values and the times give."""
    n = len(ordered)
    row[MEDIAN] = median = 0.5 * (ordered[(n - 1) // 2] + ordered[n // 2])
    if n < 2:
        return
    lowest, highest = ordered[0], ordered[n - 1]
    row[AMPLITUDE] = amplitude = 0.5 * (highest - lowest)
    row[PERCENT_AMPLITUDE] = max(highest - median, median - lowest)
    row[MEDIAN_BUFFER_RANGE_10] = _share_within(ordered, median, 0.1 * amplitude)
    row[MEDIAN_ABSOLUTE_DEVIATION] = _median_distance(ordered, median)
    row[INTER_PERCENTILE_RANGE_10] = _between(ordered, 0.1)
    row[PERCENTAGE_RATIO_40_5] = _between(ordered, 0.4) / _between(ordered, 0.05)
    row[PERCENTAGE_RATIO_20_10] = _between(ordered, 0.2) / row[INTER_PERCENTILE_RANGE_10]
    row[TIME_QUANTILE_15] = _quantile(time, 0.15) - time[0]
    row[TIME_QUANTILE_85] = _quantile(time, 0.85) - time[0]


@njit(cache=True, nogil=True, error_model="numpy")
def _quantile(ordered: Any, share: float) -> float:
    """Interpolate between the midpoints of the steps of the distribution."""
    at = len(ordered) * share - 0.5
    below = int(at)
    if at <= 0.0:
        return float(ordered[0])
    if below >= len(ordered) - 1:
        return float(ordered[-1])
    return float(ordered[below] + (at - below) * (ordered[below + 1] - ordered[below]))


@njit(cache=True, nogil=True, error_model="numpy")
def _between(ordered: Any, share: float) -> float:
    """Give the distance of two quantiles that leave equal shares outside."""
    return float(_quantile(ordered, 1.0 - share) - _quantile(ordered, share))


@njit(cache=True, nogil=True, error_model="numpy")
def _share_within(ordered: Any, centre: float, distance: float) -> float:
    """Give the fraction of values nearer to the centre than a distance."""
    n = 0
    for i in range(len(ordered)):
        n += abs(ordered[i] - centre) < distance
    return n / len(ordered)


@njit(cache=True, nogil=True, error_model="numpy")
def _median_distance(ordered: Any, median: float) -> float:
    """Give the median distance from the median, by walking outwards from it on both sides."""
    n = len(ordered)
    right = n // 2
    left = right - 1
    previous = distance = 0.0
    for _ in range(n // 2 + 1):
        previous = distance
        if right >= n or (left >= 0 and median - ordered[left] <= ordered[right] - median):
            distance = median - ordered[left]
            left -= 1
        else:
            distance = ordered[right] - median
            right += 1
    return distance if n % 2 else 0.5 * (previous + distance)


@njit(cache=True, nogil=True, error_model="numpy")
def _of_steps(time: Any, value: Any, error: Any, varies: bool, row: Any) -> None:
    """Measure what neighbours in time give, and pairs some days apart."""
    n = len(value)
    mean, std, weighted = row[MEAN], row[STANDARD_DEVIATION], row[WEIGHTED_MEAN]
    steps = steepest = sum_so_far = lowest = highest = signed_roots = 0.0
    for i in range(n):
        sum_so_far += value[i] - mean
        lowest = sum_so_far if i == 0 else min(lowest, sum_so_far)
        highest = sum_so_far if i == 0 else max(highest, sum_so_far)
        if i == 0:
            continue
        step = value[i] - value[i - 1]
        steps += step**2
        steepest = max(steepest, abs(step) / (time[i] - time[i - 1]))
        product = (value[i] - weighted) / error[i] * ((value[i - 1] - weighted) / error[i - 1])
        signed_roots += sqrt(product) if product > 0.0 else -sqrt(-product)
    row[MAXIMUM_SLOPE] = steepest
    row[STETSON_J] = sqrt(n / (n - 1.0)) * signed_roots / (n - 1)
    row[STRUCTURE_FUNCTION_1] = _structure(time, value, error, SHORT_LAGS[0], SHORT_LAGS[1])
    row[STRUCTURE_FUNCTION_10] = _structure(time, value, error, LONG_LAGS[0], LONG_LAGS[1])
    if varies:
        row[CUSUM] = (highest - lowest) / (n * std)
        row[ETA] = steps / ((n - 1) * std**2)


@njit(cache=True, nogil=True, error_model="numpy")
def _structure(time: Any, value: Any, error: Any, shortest: float, longest: float) -> float:
    """Give the root mean squared difference of points so far apart, less what the errors make; NaN for too few pairs."""
    n_pairs, squares, start = 0, 0.0, 0
    for i in range(len(time)):
        while time[i] - time[start] > longest:
            start += 1
        for j in range(start, i):
            if time[i] - time[j] < shortest:
                break
            squares += (value[i] - value[j]) ** 2 - error[i] ** 2 - error[j] ** 2
            n_pairs += 1
    return sqrt(max(squares, 0.0) / n_pairs) if n_pairs >= MIN_PAIRS else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _of_lines(time: Any, value: Any, error: Any, ones: Any, row: Any) -> None:
    """Fit straight lines, without and with weights."""
    n = len(time)
    _, _, slope, slope_err, squares = weighted_line(time, value, ones)
    if slope_err < inf:
        noise = sqrt(squares / (n - 2))
        row[LINEAR_TREND], row[LINEAR_TREND_SIGMA], row[LINEAR_TREND_NOISE] = slope, slope_err * noise, noise
    _, _, slope, slope_err, chi2 = weighted_line(time, value, error)
    if slope_err < inf:
        row[LINEAR_FIT_SLOPE], row[LINEAR_FIT_SLOPE_SIGMA], row[LINEAR_FIT_REDUCED_CHI2] = slope, slope_err, chi2 / (n - 2)


@njit(cache=True, nogil=True, error_model="numpy")
def _anderson_darling(ordered: Any, mean: float, std: float) -> float:
    """Give Anderson and Darling's statistic against a normal distribution of this mean and standard deviation."""
    n = len(ordered)
    total: float = 0.0
    for i in range(n):
        below, above = _log_shares((ordered[i] - mean) / std)
        total += (2 * i + 1) * below + (2 * (n - i) - 1) * above
    return float((1.0 + 4.0 / n - 25.0 / n**2) * (-n - total / n))


@njit(cache=True, nogil=True, error_model="numpy")
def _log_shares(x: float) -> tuple[float, float]:
    """Give the logarithms of the shares of a normal distribution below and above ``x``, exact far from zero too."""
    beyond = 0.5 * erfc(abs(x) * sqrt(0.5))
    # far out the share is too small for a number, but its logarithm is not: two terms of the series give it to 1e-6
    rare = log(beyond) if abs(x) < FAR else -0.5 * x * x - log(abs(x) * sqrt(2.0 * pi)) - 1.0 / (x * x)
    common = log1p(-beyond)
    return (rare, common) if x < 0.0 else (common, rare)
