"""Stamp shape: size, elongation, place and sharpness of the source in its difference stamp, and the light of opposite sign beside it.

The sky of a stamp and its noise are the mean and scatter of its pixels, clipped at three sigma. The source is what hangs
together with the brightest pixel within three of the centre and lies 2.5 sigma above the sky (below it, for a source that
faded). Its place and its second moments are weighted by flux, each pixel spread over its own area, as in SExtractor (Bertin and
Arnouts 1996, doi:10.1051/aas:1996164).

`stamp_trail_length` is the length of a uniform line that, drawn with a round point-spread function, has the same moments: it
is small for points, and right to 5 % for bright trails. `stamp_dipole` is the light of the other sign within five pixels over
that of the source: zero for real sources, near one for the residual of a star that was subtracted beside its place.
`stamp_sharpness` is the share of the light in the brightest pixel: a cosmic ray has more than the point-spread function
allows. `stamp_centroid_shift` compares the place in the science stamp with that in the difference: a source off the middle of
its host, or two sources. Lengths are in pixels of the stamp; moments of faint sources, cut off at the edge, come out small.
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
THRESHOLD, REACH, DIPOLE_RADIUS = 2.5, 3, 5
"""Height of the source's edge above the sky [sigma]; how far from the centre its peak, and light of the other sign, may be [pixel]."""

_SIZE = "phys.angSize;instr.pixel"
_VALUES = ("stamp_offset", "stamp_size", "stamp_elongation", "stamp_trail_length", "stamp_sharpness", "stamp_dipole", "stamp_snr")


@science_module(
    version="1.0",
    outputs=(
        Column(
            _VALUES[0], pa.float32(), "pix", "pos.distance;instr.pixel", "Distance of the source from the centre of the difference stamp"
        ),
        Column(_VALUES[1], pa.float32(), "pix", _SIZE, "Full width at half maximum of a Gaussian with the source's moments"),
        Column(_VALUES[2], pa.float32(), "", "phys.size.axisRatio", "Major over minor axis of the source in the difference stamp"),
        Column(_VALUES[3], pa.float32(), "pix", _SIZE, "Length of a uniform line with the source's moments"),
        Column(_VALUES[4], pa.float32(), "", "stat.value;instr.pixel", "Share of the source's light in its brightest pixel"),
        Column(_VALUES[5], pa.float32(), "", "arith.ratio;phot.flux", "Light of the other sign beside the source over its own"),
        Column(_VALUES[6], pa.float32(), "", "stat.snr;phot.flux", "Light of the source in the difference stamp over its noise"),
        Column(
            "stamp_centroid_shift",
            pa.float32(),
            "pix",
            "pos.distance;instr.pixel",
            "Distance of the source in the science stamp from that in the difference",
        ),
        Column("n_stamp_pixels", pa.int32(), "", "meta.number;instr.pixel", "Pixels of the source in the difference stamp"),
    ),
    where="is_transient",
    reference="doi:10.1051/aas:1996164",
)
def stamp_shape(positive: NDArray[np.bool_], cutouts: Stamps) -> Columns:
    """Measure the source in the difference stamp, and where it is in the science stamp."""
    out = np.full((len(cutouts), len(_VALUES) + 2), np.nan)
    for row, (difference, science) in enumerate(zip(cutouts.images("difference"), cutouts.images("science"), strict=True)):
        if difference is None:
            continue
        shape = measure(np.ascontiguousarray(difference, np.float32), 1.0 if positive[row] else -1.0)
        out[row, :-1] = shape[:-2]
        if science is not None and science.shape == difference.shape:
            whole = measure(np.ascontiguousarray(science, np.float32), 1.0)
            out[row, -1] = np.hypot(whole[-2] - shape[-2], whole[-1] - shape[-1])
    names = (*_VALUES, "n_stamp_pixels", "stamp_centroid_shift")
    return {name: out[:, i] for i, name in enumerate(names)}


@njit(cache=True, nogil=True, error_model="numpy")
def sky(image: NDArray[np.float32]) -> tuple[float, float]:
    """Mean and standard deviation of the pixels left by clipping; pixels without a value take no part."""
    low, high = -np.inf, np.inf
    mean = spread = 0.0
    pixels = image.ravel()
    for _ in range(ROUNDS):
        n, total, squares, zero = 0, 0.0, 0.0, mean
        for value in pixels:
            pixel = float(value)
            if low <= pixel <= high and abs(pixel) < np.inf:
                n += 1
                total += pixel - zero
                squares += (pixel - zero) ** 2
        mean = zero + total / n
        spread = np.sqrt(max(squares / n - (total / n) ** 2, 0.0))
        low, high = mean - SIGMAS * spread, mean + SIGMAS * spread
    return mean, spread


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
def measure(image: NDArray[np.float32], sign: float) -> NDArray[np.float64]:
    """Measure the source at the centre: the values in order, number of pixels, row and column; NaN where there is none."""
    out = np.full(len(_VALUES) + 3, np.nan)
    level, noise = sky(image)
    if not 0.0 < noise < np.inf:
        return out
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
    out[7], out[8], out[9] = len(rows), y0 + y, x0 + x
    return out
