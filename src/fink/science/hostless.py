"""Hostless measures: whether a new source stands where the template shows nothing, counted and tested on the stamps.

*Counts.* The pixels of a stamp are clipped at three sigma about their median, ten times at most; what lies beyond in the 15 x 15
pixels at its centre is light that the sky does not explain. A source with more than five such pixels in the science stamp and
fewer than three in the template is a candidate without a host (ELEPHANT, Pessi et al. 2024, doi:10.1051/0004-6361/202450535).

*Structure.* The Fourier powers of those 15 x 15 pixels, over the mean power that the same pixels have in random order, are
compared with the exponential distribution that noise gives: the Kolmogorov-Smirnov distance, from about 0.07 for noise to 1 for
an image with structure on one scale. ELEPHANT shuffles the pixels hundreds of times for this; the mean over all orders is
known in closed form, so that the answer is the same each time.

*Excess.* Galaxies fainter than the noise of a pixel show in many pixels together: `template_excess` is the brightest box of 5 x 5 pixels
of the template within 3 arcsec of the alert (within 7 pixels at least), over the scatter of such boxes.

`is_hostless` asks for all three: six clipped pixels in the science stamp and two at most in the template, no structure and
no excess in the template. On simulated galaxies of magnitude 21 to 23 up to 3 arcsec away it is right for 97 % with LSST's stamps, and
with ZTF's for 98 % of those of 18 to 21, beyond which its templates do not reach (``make bench NAME=hostless``).
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

SIGMAS, MOST_ROUNDS = 3.0, 10
RADIUS = 7
"""Pixels from the centre to the edge of the part that is examined."""

MIN_SCIENCE, MAX_TEMPLATE = 6, 2
"""Fewest clipped pixels of a source, and most of a place without a host."""

MAX_STRUCTURE, MAX_EXCESS = 0.2, 4.5
"""Largest of a template without a host: noise exceeds either once in some thousand times."""

REACH, BOX = 3.0, 5
"""How far from the alert a host is looked for [arcsec]; side of the boxes [pixel]."""

_SIDE = 2 * RADIUS + 1
_TURNS = np.exp(-2j * np.pi * np.outer(np.arange(_SIDE), np.arange(_SIDE)) / _SIDE)
_COUNT, _STRUCTURE = "meta.number;instr.pixel", "stat.value"


@science_module(
    version="2.0",
    outputs=(
        Column(
            "is_hostless",
            pa.bool_(),
            "",
            "meta.code",
            "Whether the science stamp has light at its centre that the sky does not explain, and the template none about there",
            indexed=True,
        ),
        Column("n_science_clipped", pa.int32(), "", _COUNT, "Pixels at the centre of the science stamp three sigma from its sky"),
        Column("n_template_clipped", pa.int32(), "", _COUNT, "Pixels at the centre of the template stamp three sigma from its sky"),
        Column("science_structure", pa.float32(), "", _STRUCTURE, "Distance of the science stamp's Fourier powers from those of noise"),
        Column("template_structure", pa.float32(), "", _STRUCTURE, "Distance of the template stamp's Fourier powers from those of noise"),
        Column(
            "template_excess",
            pa.float32(),
            "",
            "stat.snr",
            "Brightest 5 x 5 pixels of the template stamp near the alert, over their scatter",
        ),
    ),
    where="(is_transient AND age <= 45) OR (uncatalogued AND n_detections <= 3)",
    reference="doi:10.1051/0004-6361/202450535",
)
def hostless(cutouts: Stamps) -> Columns:
    """Examine the centres of the science and template stamps."""
    (science, science_structure), (template, template_structure) = (_examine(cutouts, which) for which in ("science", "template"))
    excess = _excesses(cutouts)
    both = np.isfinite(science) & np.isfinite(template)
    # a template without any noise has neither structure nor excess
    empty = (template <= MAX_TEMPLATE) & ~(template_structure > MAX_STRUCTURE) & ~(excess > MAX_EXCESS)
    return {
        "is_hostless": np.where(both, (science >= MIN_SCIENCE) & empty, np.nan),
        "n_science_clipped": science,
        "n_template_clipped": template,
        "science_structure": science_structure,
        "template_structure": template_structure,
        "template_excess": excess,
    }


def _examine(cutouts: Stamps, which: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Count clipped pixels and measure structure of one stamp of each alert, each (n,); NaN where there is no whole centre."""
    counts, structures = np.full(len(cutouts), np.nan), np.full(len(cutouts), np.nan)
    for row, image in enumerate(cutouts.images(which)):
        centre = None if image is None else central(image)
        if image is None or centre is None:
            continue
        low, high = clip_bounds(finite_in_order(image))
        counts[row] = np.count_nonzero((centre < low) | (centre > high))
        structures[row] = structure(centre)
    return counts, structures


def _excesses(cutouts: Stamps) -> NDArray[np.float64]:
    """Measure the excess of each template, (n,); NaN where there is none, or it has no noise."""
    reach = RADIUS if np.isnan(cutouts.pixel_scale) else max(RADIUS, round(REACH / cutouts.pixel_scale))
    return np.array([np.nan if image is None else excess(image, reach) for image in cutouts.images("template")], np.float64)


def excess(image: NDArray[np.float32], reach: int) -> float:
    """Give the height of the brightest box of an image about its middle over the scatter of all boxes; NaN where it cannot be said.

    Parameters
    ----------
    reach
        How far from the middle the middle of a box may be [pixel].
    """
    if min(image.shape) < _SIDE:
        return np.nan
    boxes = box_means(np.ascontiguousarray(image, np.float64))
    ordered = finite_in_order(boxes)
    if not len(ordered):
        return np.nan
    low, high = clip_bounds(ordered)
    middle = [(size - BOX + 1) // 2 for size in image.shape]
    near = boxes[tuple(slice(max(at - reach, 0), at + reach + 1) for at in middle)]
    brightest = near[np.isfinite(near)].max(initial=-np.inf)
    return (
        float((brightest - 0.5 * (low + high)) * 2.0 * SIGMAS / (high - low))
        if 0.0 < high - low < np.inf and brightest > -np.inf
        else np.nan
    )


@njit(cache=True, nogil=True, error_model="numpy")
def box_means(image: NDArray[np.float64]) -> NDArray[np.float32]:
    """Give the mean of each whole box of pixels, (height - 4, width - 4)."""
    height, width = image.shape
    across = np.zeros((height, width - BOX + 1))
    for k in range(BOX):
        across += image[:, k : k + width - BOX + 1]
    boxes = np.zeros((height - BOX + 1, width - BOX + 1))
    for k in range(BOX):
        boxes += across[k : k + height - BOX + 1]
    return (boxes / BOX**2).astype(np.float32)


def finite_in_order(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the pixels that have a value, ascending, (m,)."""
    ordered = np.sort(image, axis=None)
    return ordered[np.searchsorted(ordered, -np.inf, "right") : np.searchsorted(ordered, np.inf, "left")]


def central(image: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """Cut out the centre, (15, 15); None where the stamp is smaller or lacks pixels there."""
    middle = [size // 2 for size in image.shape]
    if min(middle) < RADIUS or min(image.shape) < _SIDE:
        return None
    part = image[middle[0] - RADIUS : middle[0] + RADIUS + 1, middle[1] - RADIUS : middle[1] + RADIUS + 1]
    return np.ascontiguousarray(part, np.float64) if np.isfinite(part).all() else None


@njit(cache=True, nogil=True, error_model="numpy")
def clip_bounds(ordered: NDArray[np.float32]) -> tuple[float, float]:
    """Clip ordered pixels about their median until nothing is clipped any more; give the bounds of what is left."""
    zero = float(ordered[len(ordered) // 2])
    sums, squares = np.zeros(len(ordered) + 1), np.zeros(len(ordered) + 1)
    for j in range(len(ordered)):
        # about the median, lest the squares of a bright sky swallow its noise
        sums[j + 1] = sums[j] + (ordered[j] - zero)
        squares[j + 1] = squares[j] + (ordered[j] - zero) ** 2
    low, high = 0, len(ordered)
    floor, ceiling = -np.inf, np.inf
    for _ in range(MOST_ROUNDS):
        n = high - low
        median = 0.5 * (float(ordered[low + (n - 1) // 2]) + float(ordered[low + n // 2]))
        mean = (sums[high] - sums[low]) / n
        variance = (squares[high] - squares[low]) / n - mean * mean
        reach = SIGMAS * np.sqrt(max(variance, 0.0))
        floor, ceiling = median - reach, median + reach
        while low < high and ordered[low] < floor:
            low += 1
        while high > low and ordered[high - 1] > ceiling:
            high -= 1
        if high - low == n or high == low:
            break
    return floor, ceiling


@njit(cache=True, nogil=True, error_model="numpy")
def structure(centre: NDArray[np.float64]) -> float:
    """Kolmogorov-Smirnov distance of an image's Fourier powers from the exponential distribution of white noise; NaN if it is flat.

    The mean power of a mode over all orders of ``n`` pixels is their squared deviation from the mean times ``n / (n - 1)``.
    """
    mean = np.mean(centre)
    deviations = np.sum((centre - mean) ** 2)
    n = centre.size
    expected = deviations * n / (n - 1)
    if not 0.0 < expected < np.inf:
        return np.nan
    powers = _powers((centre - mean) / np.sqrt(expected))
    powers.sort()
    distance, m = 0.0, len(powers)
    for k in range(m):
        noise = -np.expm1(-powers[k])
        distance = max(distance, (k + 1) / m - noise, noise - k / m)
    return float(distance)


@njit(cache=True, nogil=True, error_model="numpy")
def _powers(image: NDArray[np.float64]) -> Any:
    """Give the power of each independent mode but the mean: half of the plane, (112,)."""
    half = np.zeros((_SIDE, RADIUS + 1), np.complex128)
    for y in range(_SIDE):
        for k in range(RADIUS + 1):
            for x in range(_SIDE):
                half[y, k] += image[y, x] * _TURNS[x, k]
    out, at = np.empty((_SIDE * _SIDE - 1) // 2), 0
    for k in range(RADIUS + 1):
        for q in range(_SIDE if k else RADIUS + 1):
            if k == 0 and q == 0:
                continue
            total = 0.0j
            for y in range(_SIDE):
                total += half[y, k] * _TURNS[y, q]
            out[at] = total.real**2 + total.imag**2
            at += 1
    return out
