"""Stamps as pictures: stretched, coloured, written as PNG."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fink.errors import RequestError, did_you_mean

Image = NDArray[np.float32]
Kernel = Literal["gauss", "box"]

_SHARPNESS = 10.0
"""How steep the sigmoid stretch is at its middle."""


def _sigmoid(x: Image) -> Image:
    low, high = 1 / (1 + np.exp(_SHARPNESS / 2)), 1 / (1 + np.exp(-_SHARPNESS / 2))
    return np.asarray((1 / (1 + np.exp(-_SHARPNESS * (x - 0.5))) - low) / (high - low), np.float32)


STRETCHES: Mapping[str, Callable[[Image], Image]] = {
    "sigmoid": _sigmoid,
    "linear": lambda x: x,
    "sqrt": np.sqrt,
    "power": np.square,
    "log": lambda x: np.asarray(np.log1p(1000 * x) / np.log(1001), np.float32),
}
"""How brightness between the two cuts, from 0 to 1, becomes brightness of the picture."""


@dataclass(frozen=True)
class Style:
    """How a stamp is drawn.

    Parameters
    ----------
    stretch
        One of `STRETCHES`.
    colormap
        Name of a colour map, as matplotlib calls it.
    low, high
        Percentiles of the pixels that become black and white [%].
    kernel
        Smoothing before drawing: ``gauss`` or ``box`` over 3 by 3 pixels; None draws the pixels as they are.
    zoom
        Pixels of the picture for one of the stamp.
    """

    stretch: str = "sigmoid"
    colormap: str = "gray"
    low: float = 0.5
    high: float = 99.5
    kernel: Kernel | None = None
    zoom: int = 1


def draw(image: Image, style: Style | None = None) -> bytes:
    """Draw a stamp as PNG, north where the survey has it: rows upwards; pixels without a value are transparent.

    Raises
    ------
    RequestError
        If the stretch or the colour map is not known, or the percentiles are the wrong way round.
    """
    import cmap
    from PIL import Image as Pictures

    style = style or Style()
    if style.stretch not in STRETCHES:
        raise RequestError(f"there is no stretch {style.stretch}{did_you_mean(style.stretch, STRETCHES)}; choose {', '.join(STRETCHES)}")
    try:
        colours = cmap.Colormap(style.colormap)
    except (TypeError, ValueError) as error:
        raise RequestError(f"there is no colour map {style.colormap!r}; matplotlib's names are known, as viridis") from error
    blank = ~np.isfinite(image)
    scaled = STRETCHES[style.stretch](_between_cuts(smoothed(np.where(blank, 0, image), style.kernel), blank, style))
    pixels = np.round(np.asarray(colours(scaled)) * 255).astype(np.uint8)
    pixels[blank, 3] = 0
    pixels = pixels[::-1].repeat(style.zoom, axis=0).repeat(style.zoom, axis=1)
    sink = io.BytesIO()
    Pictures.fromarray(pixels, "RGBA").save(sink, "PNG", optimize=False)
    return sink.getvalue()


def _between_cuts(image: Image, blank: NDArray[np.bool_], style: Style) -> Image:
    """Scale what lies between the two percentiles to 0 and 1."""
    if not 0 <= style.low < style.high <= 100:
        raise RequestError(f"percentiles {style.low:g} and {style.high:g} are no range; give two from 0 to 100, the smaller first")
    if blank.all():
        return np.zeros_like(image)
    low, high = np.percentile(image[~blank], [style.low, style.high])
    return np.asarray(np.clip((image - low) / max(high - low, np.finfo(np.float32).tiny), 0, 1), np.float32)


def smoothed(image: Any, kernel: Kernel | None) -> Image:
    """Smooth a stamp over 3 by 3 pixels; beyond the edge the outermost pixels go on."""
    plain: Image = np.asarray(image, np.float32)
    if kernel is None:
        return plain
    weights = np.array([1, 2, 1] if kernel == "gauss" else [1, 1, 1], np.float32)
    weights /= weights.sum()
    wide = np.pad(plain, 1, mode="edge")
    rows = sum(weights[i] * wide[i : i + plain.shape[0]] for i in range(3))
    return np.asarray(sum(weights[i] * rows[:, i : i + plain.shape[1]] for i in range(3)), np.float32)
