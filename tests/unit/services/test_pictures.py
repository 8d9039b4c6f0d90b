"""Stamps are drawn between their percentiles, with what has no value transparent."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from fink.errors import RequestError
from fink.services.pictures import STRETCHES, Style, draw, smoothed

RAMP = np.linspace(0, 1, 63 * 63, dtype=np.float32).reshape(63, 63)


def pixels(image: np.ndarray, style: Style) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(draw(image, style))))


@pytest.mark.parametrize("stretch", STRETCHES)
def test_every_stretch_keeps_the_order_and_the_ends(stretch: str) -> None:
    values = STRETCHES[stretch](np.linspace(0, 1, 101, dtype=np.float32))
    assert (np.diff(values) > 0).all()
    assert (values[0], values[-1]) == pytest.approx((0, 1), abs=1e-6)


def test_rows_go_upwards_and_zoom_repeats_pixels() -> None:
    drawn = pixels(RAMP, Style(stretch="linear", low=0, high=100, zoom=2))
    assert drawn.shape == (126, 126, 4)
    assert drawn[0, -1, 0] == 255
    assert drawn[-1, 0, 0] == 0


def test_what_has_no_value_is_transparent() -> None:
    image = RAMP.copy()
    image[10, 20] = np.nan
    drawn = pixels(image, Style())
    assert drawn[62 - 10, 20, 3] == 0
    assert (drawn[..., 3] == 255).sum() == image.size - 1
    assert (pixels(np.full((5, 5), np.nan, np.float32), Style())[..., 3] == 0).all()


@pytest.mark.parametrize("kernel", ["gauss", "box"])
def test_smoothing_keeps_a_flat_image_and_spreads_a_point(kernel: str) -> None:
    flat = np.full((9, 9), 3, np.float32)
    np.testing.assert_allclose(smoothed(flat, kernel), flat)  # type: ignore[arg-type]
    point = np.zeros((9, 9), np.float32)
    point[4, 4] = 1
    spread = smoothed(point, kernel)  # type: ignore[arg-type]
    assert spread.sum() == pytest.approx(1)
    assert spread[4, 4] == pytest.approx(1 / 4 if kernel == "gauss" else 1 / 9)


@pytest.mark.parametrize("style", [Style(stretch="cubic"), Style(colormap="no such"), Style(low=60, high=40), Style(low=-1)])
def test_a_style_that_is_none_is_refused(style: Style) -> None:
    with pytest.raises(RequestError):
        draw(RAMP, style)
