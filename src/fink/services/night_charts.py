"""Charts of nights as SVG: bars by night, a calendar, and a map of how densely the sky was alerted on.

They take their colours from the page, as those of `fink.services.charts`.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from fink.services.charts import nice_steps, png, sky_map
from fink.sky import healpix


@dataclass(frozen=True)
class Bar:
    """What is drawn for one night.

    Parameters
    ----------
    night
        As YYYYMMDD.
    parts
        Numbers that stand upon one another, by name; the name gives the colour, as class ``part-<name>``.
    """

    night: int
    parts: Mapping[str, float]

    @property
    def total(self) -> float:
        """The height of the bar."""
        return sum(self.parts.values())


def date(night: int) -> str:
    """Write a night as 2025-11-20."""
    return f"{night // 10000:04d}-{night // 100 % 100:02d}-{night % 100:02d}"


def night_bars(bars: Sequence[Bar], label: str, *, unit: str = "alerts", width: int = 720, height: int = 200) -> str:
    """Draw a bar for each night, in order of time and side by side whatever lies between; what it says shows where one points."""
    left, right, top, bottom = 52, 8, 10, 28
    most = max([bar.total for bar in bars] + [1.0])
    steps = [step for step in nice_steps(0.0, most, 4) if step == int(step) or most < 2]
    step = (width - left - right) / max(len(bars), 1)
    thick = min(max(step * 0.78, 1.0), 46.0)

    def y(value: float) -> float:
        return top + (1.0 - value / most) * (height - top - bottom)

    parts = [f'<svg class="chart bars" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">']
    for value in steps:
        parts.append(
            f'<line class="{"zero" if value == 0 else "grid"}" x1="{left}" x2="{width - right}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        )
        parts.append(f'<text class="tick" x="{left - 6}" y="{y(value) + 3.5:.1f}" text-anchor="end">{short(value)}</text>')
    every = max(int(np.ceil(len(bars) / 8)), 1)
    for place, bar in enumerate(bars):
        middle = left + (place + 0.5) * step
        if place % every == 0:
            kind = "tick more" if place // every % 2 else "tick"
            parts.append(f'<text class="{kind}" x="{middle:.1f}" y="{height - 9}" text-anchor="middle">{date(bar.night)[2:]}</text>')
        parts.append(_stack(bar, middle - thick / 2.0, thick, y, unit))
    return "".join(parts) + "</svg>"


def _stack(bar: Bar, x: float, thick: float, y: Callable[[float], float], unit: str) -> str:
    said = "; ".join(f"{name} {value:,.0f}" for name, value in bar.parts.items() if value) if len(bar.parts) > 1 else ""
    title = f"{date(bar.night)}: {bar.total:,.0f} {unit}" + (f" ({said})" if said else "")
    below, drawn = 0.0, [f"<g><title>{escape(title)}</title>"]
    for name, value in bar.parts.items():
        high, low = y(below + value), y(below)
        if value:
            drawn.append(
                f'<rect class="part-{escape(name)}" x="{x:.1f}" y="{high:.1f}" width="{thick:.1f}" height="{max(low - high, 0.6):.1f}"/>'
            )
        below += value
    return "".join(drawn) + "</g>"


def short(number: float) -> str:
    """Write a number in few letters: 950, 12k, 3.4M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"


def spark(values: Sequence[float], label: str, *, most: int = 30, width: int = 120, height: int = 26) -> str:
    """Draw the last values as bars so small that they stand in a line of text."""
    shown = list(values)[-most:]
    highest, step = max([*shown, 1.0]), width / most
    bars = "".join(
        f'<rect x="{width - (len(shown) - place) * step:.1f}" y="{height - max(value / highest * height, 1.0):.1f}" '
        f'width="{step * 0.7:.1f}" height="{max(value / highest * height, 1.0):.1f}"/>'
        for place, value in enumerate(shown)
    )
    return f'<svg class="spark" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">{bars}</svg>'


_CELL = 13


def calendar(totals: Mapping[int, float], year: int, *, unit: str = "alerts") -> str:
    """Draw a year as squares, a column for each week, the darker the more a night brought."""
    first = datetime.date(year, 1, 1)
    days = [first + datetime.timedelta(days=number) for number in range(366 if _is_leap(year) else 365)]
    most = max([*totals.values(), 1.0])
    parts = [f'<svg class="chart calendar" viewBox="0 0 {54 * _CELL + 34} {8 * _CELL + 8}" role="img" aria-label="Calendar of {year}">']
    for row, name in ((0, "Mon"), (2, "Wed"), (4, "Fri")):
        parts.append(f'<text class="tick" x="28" y="{(row + 2) * _CELL}" text-anchor="end">{name}</text>')
    for _, month in groupby(days, key=lambda day: day.month):
        begin = next(iter(month))
        parts.append(f'<text class="tick" x="{34 + _week(first, begin) * _CELL}" y="9">{begin:%b}</text>')
    for day in days:
        value = totals.get(int(f"{day:%Y%m%d}"), 0.0)
        x, y = 34 + _week(first, day) * _CELL, (day.weekday() + 1) * _CELL
        shade = f' style="fill-opacity:{0.25 + 0.75 * np.log1p(value) / np.log1p(most):.2f}"' if value else ""
        title = f"<title>{day}: {value:,.0f} {unit}</title>" if value else ""
        kind, side = "day" if value else "empty", _CELL - 2
        parts.append(f'<rect class="{kind}"{shade} x="{x}" y="{y}" width="{side}" height="{side}" rx="2">{title}</rect>')
    return "".join(parts) + "</svg>"


def _week(first: datetime.date, day: datetime.date) -> int:
    return ((day - first).days + first.weekday()) // 7


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def density_map(counts: NDArray[np.int64], order: int, width: int = 860) -> str:
    """Draw how many alerts lie where on the sky: one hue, the fuller the more, on a logarithmic scale.

    Parameters
    ----------
    counts
        Alerts in each HEALPix pixel of an order, nested scheme.
    """
    radius = width / 4.0 - 14.0
    picture = _density_png(counts, order)
    image = (
        f'<image class="density" href="{picture}" x="{width / 2.0 - 2.0 * radius:g}" y="16" width="{4.0 * radius:g}" '
        f'height="{2.0 * radius:g}" preserveAspectRatio="none"/>'
    )
    drawn = sky_map((), width)
    ellipse = drawn.index("/>") + 2
    return drawn[:ellipse] + image + drawn[ellipse:]


def _density_png(counts: NDArray[np.int64], order: int) -> str:
    """Project the counts as a picture whose opacity says how many there are, and give it as an address."""
    places = _projection(order)
    seen = np.where(places >= 0, counts[places], 0)
    opacity = np.where(seen > 0, 60.0 + 195.0 * np.log1p(seen) / np.log1p(max(int(seen.max()), 1)), 0.0)
    pixels = np.zeros((*places.shape, 4), np.uint8)
    pixels[..., :3], pixels[..., 3] = _HUE, opacity.astype(np.uint8)
    return png(pixels)


@cache
def _projection(order: int, height: int = 220) -> NDArray[np.int64]:
    """Give the HEALPix pixel that each point of the projected sky shows, (height, 2 height); -1 outside of it."""
    x, y = np.meshgrid(-2.0 + (np.arange(2 * height) + 0.5) * 2.0 / height, 1.0 - (np.arange(height) + 0.5) * 2.0 / height)
    theta = np.arcsin(y)
    dec = np.degrees(np.arcsin((2.0 * theta + np.sin(2.0 * theta)) / np.pi))
    ra = (180.0 - 90.0 * x / np.cos(theta)) % 360.0
    inside = (x / 2.0) ** 2 + y**2 < 1.0
    pixels = np.full(x.shape, -1, np.int64)
    pixels[inside] = healpix(order, ra[inside], dec[inside])
    return pixels


_HUE = (47, 111, 219)
"""Colour of the map of densities, readable by day and by night."""
