"""Stamp shape: size, elongation, place and sharpness of the source in its difference stamp, and the light of opposite sign beside it.

The sky of a stamp and its noise are the mean and scatter of its pixels, clipped at three sigma. The source is what hangs
together with the brightest pixel within three of the centre and lies 2.5 sigma above the sky (below it, for a source that
faded). Its place and its second moments are weighted by flux, each pixel spread over its own area, as in SExtractor (Bertin and
Arnouts 1996, doi:10.1051/aas:1996164).

`stamp_xx`, `stamp_yy` and `stamp_xy` are the second moments, from which size, elongation and angle follow.
`stamp_trail_length` is the length of a uniform line that, drawn with a round point-spread function, has the same moments: it
is small for points, and right to 5 % for bright trails. Lengths are in pixels of the stamp; moments of faint sources, cut off at
the edge, come out small.

To tell real sources from artefacts: `stamp_dipole` is the light of the other sign within five pixels over that of the source: zero
for real sources, near one for the residual of a star that was subtracted beside its place. `stamp_sharpness` is the share of
the light in the brightest pixel: a cosmic ray has more than the point-spread function allows. `stamp_sum_ratio` is the sum of the
5 x 5 pixels at the centre over the sum of their sizes: one for a source, near zero for noise and for pairs of opposite sign.

`stamp_centroid_shift` compares the place in the science stamp with that in the difference: a source off the middle of its host,
or two sources. `stamp_template_shift` is the distance from what the template shows within three pixels of the centre: that of a
source from its host, or from the star that it is. Both are null where that stamp shows nothing
of five sigma there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from fink.codecs.cutouts import Stamps
from fink.columns import Column
from fink.science import Columns, science_module

SIGMAS, ROUNDS = 3.0, 5
LARGEST = 3.4e38
THRESHOLD, REACH, DIPOLE_RADIUS = 2.5, 3, 5
"""Height of the source's edge above the sky [sigma]; how far from the centre its peak, and light of the other sign, may be [pixel]."""

MIN_SNR = 5.0
"""Least signal-to-noise ratio of what is compared in the other stamps."""

SUM_RADIUS = 2
"""From the centre to the edge of the part that the ratio of sums takes [pixel]."""

_SIZE, _MOMENT = "phys.angSize;instr.pixel", "stat.variance;instr.pixel"
_PLACE = "pos.distance;instr.pixel"
_MEASURED = {
    "stamp_offset": ("pix", _PLACE, "Distance of the source from the centre of the difference stamp"),
    "stamp_size": ("pix", _SIZE, "Full width at half maximum of a Gaussian with the source's moments"),
    "stamp_elongation": ("", "phys.size.axisRatio", "Major over minor axis of the source in the difference stamp"),
    "stamp_trail_length": ("pix", _SIZE, "Length of a uniform line with the source's moments"),
    "stamp_sharpness": ("", "stat.value;instr.pixel", "Share of the source's light in its brightest pixel"),
    "stamp_dipole": ("", "phot.flux;arith.ratio", "Light of the other sign beside the source over its own"),
    "stamp_snr": ("", "stat.snr;phot.flux", "Light of the source in the difference stamp over its noise"),
    "stamp_xx": ("pix**2", _MOMENT, "Second moment of the source along the rows of the difference stamp"),
    "stamp_yy": ("pix**2", _MOMENT, "Second moment of the source along the columns of the difference stamp"),
    "stamp_xy": ("pix**2", _MOMENT, "Mixed second moment of the source in the difference stamp"),
    "stamp_angle": ("deg", "pos.posAng;instr.pixel", "Angle of the major axis from the rows of the stamp towards its columns, -90 to 90"),
    "stamp_sum_ratio": ("", "stat.value;arith.ratio", "Sum of the 5 x 5 pixels at the centre over the sum of their sizes"),
}
_SHIFTS = {
    "stamp_centroid_shift": ("pix", _PLACE, "Distance of the source in the science stamp from that in the difference"),
    "stamp_template_shift": ("pix", _PLACE, "Distance of the source in the template from that in the difference"),
}
_COUNTS = {
    "n_stamp_pixels": "Pixels of the source in the difference stamp",
    "n_stamp_bad_pixels": "Pixels of the difference stamp that have no value",
}
VALUES = (*_MEASURED, *_COUNTS, "row", "column")
"""What `measure` gives, in order."""

_SNR = VALUES.index("stamp_snr")


@science_module(
    version="2.0",
    outputs=(
        *(Column(name, pa.float32(), *declared) for name, declared in (_MEASURED | _SHIFTS).items()),
        *(Column(name, pa.int32(), "", "meta.number;instr.pixel", about) for name, about in _COUNTS.items()),
    ),
    where="is_transient",
    reference="doi:10.1051/aas:1996164",
)
def stamp_shape(positive: NDArray[np.bool_], cutouts: Stamps) -> Columns:
    """Measure the source in the difference stamp, and where it is in the science stamp and the template."""
    out, shifts = np.full((len(cutouts), len(VALUES)), np.nan), np.full((len(cutouts), 2), np.nan)
    images = zip(*(cutouts.images(which) for which in ("difference", "science", "template")), strict=True)
    for row, (difference, *others) in enumerate(images):
        if difference is None:
            continue
        out[row] = measure(np.ascontiguousarray(difference, np.float32), 1.0 if positive[row] else -1.0)
        for k, other in enumerate(others):
            if other is None or other.shape != difference.shape:
                continue
            source = measure(np.ascontiguousarray(other, np.float32), 1.0)
            if source[_SNR] >= MIN_SNR:
                shifts[row, k] = np.hypot(*(source[-2:] - out[row, -2:]))
    return {name: out[:, i] for i, name in enumerate(VALUES[:-2])} | {name: shifts[:, k] for k, name in enumerate(_SHIFTS)}


@njit(cache=True, nogil=True, error_model="numpy")
def sky(image: NDArray[np.float32]) -> tuple[float, float, int]:
    """Mean and standard deviation of the pixels left by clipping, and how many have no value, which take no part."""
    low, high = -LARGEST, LARGEST
    mean = spread = 0.0
    height, width = image.shape
    before = bad = 0
    for turn in range(ROUNDS):
        # a sum for each column: they do not wait for one another
        count, total, squares = np.zeros(width), np.zeros(width), np.zeros(width)
        for y in range(height):
            for x in range(width):
                pixel = np.float64(image[y, x])
                inside = low <= pixel <= high
                count[x] += 1.0 if inside else 0.0
                total[x] += pixel - mean if inside else 0.0
                squares[x] += (pixel - mean) * (pixel - mean) if inside else 0.0
        n = int(count.sum())
        if turn == 0:
            bad = image.size - n
        if n in (0, before):
            break
        before, step = n, total.sum() / n
        mean += step
        spread = np.sqrt(max(squares.sum() / n - step * step, 0.0))
        low, high = mean - SIGMAS * spread, mean + SIGMAS * spread
    return mean, spread, bad


@njit(cache=True, nogil=True, error_model="numpy")
def _peak(image: Any, sign: float) -> tuple[int, int]:
    """Find the brightest pixel near the centre; -1 where none has a value."""
    best, row, column = -np.inf, -1, -1
    y0, x0 = image.shape[0] // 2, image.shape[1] // 2
    for y in range(max(0, y0 - REACH), min(image.shape[0], y0 + REACH + 1)):
        for x in range(max(0, x0 - REACH), min(image.shape[1], x0 + REACH + 1)):
            if best < sign * image[y, x] < np.inf:
                best, row, column = float(sign * image[y, x]), y, x
    return row, column


@njit(cache=True, nogil=True, error_model="numpy")
def _connected(image: Any, sign: float, level: float, edge: float) -> tuple[Any, Any]:
    """Collect the pixels that hang together with the peak and lie above the edge, diagonals included; rows and columns."""
    height, width = image.shape
    seen = np.zeros((height, width), np.bool_)
    rows, columns = np.empty(height * width, np.int64), np.empty(height * width, np.int64)
    y, x = _peak(image, sign)
    n = done = 0
    if y >= 0 and sign * (image[y, x] - level) > edge:
        rows[0], columns[0], seen[y, x], n = y, x, True, 1
    while done < n:
        for y in range(max(0, rows[done] - 1), min(height, rows[done] + 2)):
            for x in range(max(0, columns[done] - 1), min(width, columns[done] + 2)):
                if not seen[y, x] and edge < sign * (image[y, x] - level) < np.inf:
                    rows[n], columns[n], seen[y, x] = y, x, True
                    n += 1
        done += 1
    return rows[:n], columns[:n]


@njit(cache=True, nogil=True, error_model="numpy")
def _other_sign(image: Any, sign: float, level: float, edge: float, row: float, column: float) -> float:
    """Add up the light of the other sign within a few pixels of a place."""
    total = 0.0
    for y in range(max(0, int(row) - DIPOLE_RADIUS), min(image.shape[0], int(row) + DIPOLE_RADIUS + 2)):
        for x in range(max(0, int(column) - DIPOLE_RADIUS), min(image.shape[1], int(column) + DIPOLE_RADIUS + 2)):
            light = -sign * (image[y, x] - level)
            if edge < light < np.inf and (y - row) ** 2 + (x - column) ** 2 <= DIPOLE_RADIUS**2:
                total += light
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _sum_ratio(image: Any, sign: float, level: float) -> float:
    """Give the sum of the pixels about the centre over the sum of their sizes; NaN where one has no value."""
    y0, x0 = image.shape[0] // 2, image.shape[1] // 2
    if min(y0, x0) < SUM_RADIUS or image.shape[0] - y0 <= SUM_RADIUS or image.shape[1] - x0 <= SUM_RADIUS:
        return np.nan
    total = sizes = 0.0
    for y in range(y0 - SUM_RADIUS, y0 + SUM_RADIUS + 1):
        for x in range(x0 - SUM_RADIUS, x0 + SUM_RADIUS + 1):
            light = sign * (image[y, x] - level)
            total, sizes = total + light, sizes + abs(light)
    return float(total / sizes)


@njit(cache=True, nogil=True, error_model="numpy")
def measure(image: NDArray[np.float32], sign: float) -> NDArray[np.float64]:
    """Measure the source at the centre: `VALUES`; NaN where there is none."""
    out = np.full(len(VALUES), np.nan)
    level, noise, out[13] = sky(image)
    if not 0.0 < noise < np.inf:
        return out
    out[11] = _sum_ratio(image, sign, level)
    rows, columns = _connected(image, sign, level, THRESHOLD * noise)
    light = y = x = yy = xx = xy = peak = 0.0
    y0, x0 = image.shape[0] // 2, image.shape[1] // 2
    for k in range(len(rows)):
        value = sign * (image[rows[k], columns[k]] - level)
        dy, dx = rows[k] - y0, columns[k] - x0
        light, y, x, peak = light + value, y + value * dy, x + value * dx, max(peak, value)
        yy, xx, xy = yy + value * dy * dy, xx + value * dx * dx, xy + value * dy * dx
    if len(rows) == 0:
        return out
    y, x = y / light, x / light
    # a pixel's light is spread over its area, so that one pixel alone is round
    yy, xx, xy = yy / light - y * y + 1.0 / 12.0, xx / light - x * x + 1.0 / 12.0, xy / light - x * y
    half = np.hypot(0.5 * (xx - yy), xy)
    major, minor = 0.5 * (xx + yy) + half, max(0.5 * (xx + yy) - half, 1.0 / 12.0)
    out[0], out[1] = np.hypot(y, x), np.sqrt(8.0 * np.log(2.0) * 0.5 * (major + minor))
    out[2], out[3] = np.sqrt(major / minor), np.sqrt(12.0 * (major - minor))
    out[4] = peak / light
    out[5] = _other_sign(image, sign, level, THRESHOLD * noise, y0 + y, x0 + x) / light
    out[6] = light / (noise * np.sqrt(len(rows)))
    out[7], out[8], out[9] = xx, yy, xy
    out[10] = np.degrees(0.5 * np.arctan2(2.0 * xy, xx - yy))
    out[12], out[14], out[15] = len(rows), y0 + y, x0 + x
    return out
