"""Light curves as SVG for pages: each filter has a colour and a shape of its own, and all colours come from the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fink.services.charts import BANDS, nice_steps

Floats = NDArray[np.float64]

MOST_POINTS = 1500
"""Points that are drawn of one light curve at most; of more, an even part."""

SHAPES: Mapping[str, str] = {
    "u": "m-{r} 0a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0z",
    "g": "m0 -{r}l{r} {d}h-{d}z",
    "r": "m0 {r}l{r} -{d}h-{d}z",
    "i": "m-{r} -{r}h{d}v{d}h-{d}z",
    "z": "m0 -{d}l{r} {d}l-{r} {d}l-{r} -{d}z",
    "y": "m-{r} -{h}h{h}v-{h}h{r}v{h}h{h}v{r}h-{h}v{h}h-{r}v-{h}h-{h}z",
}
"""Outline of a point in each filter, after the usual choice of Rubin's figures where one path can draw it."""


@dataclass(frozen=True)
class Frame:
    """Where a chart's axes lie: from values to places on the drawing."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float
    width: int = 860
    height: int = 340
    left: int = 58
    right: int = 12
    top: int = 10
    bottom: int = 40

    def x(self, value: Any) -> Any:
        """Give the horizontal place of a value."""
        return self.left + (value - self.x_low) / (self.x_high - self.x_low) * (self.width - self.left - self.right)

    def y(self, value: Any) -> Any:
        """Give the vertical place of a value; larger ones are higher."""
        return self.top + (self.y_high - value) / (self.y_high - self.y_low) * (self.height - self.top - self.bottom)


def light_curve_svg(curve: Mapping[str, Sequence[Any]], at: float | None = None, model: Mapping[str, Any] | None = None) -> str:
    """Draw a light curve: difference flux [microjansky] against MJD.

    Parameters
    ----------
    curve
        Columns ``mjd``, ``flux``, ``flux_err`` [nJy], ``band`` and ``kind``, as an object's page has them.
    at
        Time of the chosen alert, which gets a line [d].
    model
        A fitted model to draw over it, with its ``lines``.
    """
    mjd, flux, error = (np.array(curve[name], np.float64) for name in ("mjd", "flux", "flux_err"))
    kind, band = np.array(curve["kind"], np.str_), np.array(curve["band"], np.str_)
    limit = kind == "limit"
    value = np.where(limit, 5.0 * error, flux) / 1000.0
    shown = np.flatnonzero(np.isfinite(value))
    if not len(shown):
        return ""
    shown = shown[:: max(-(-len(shown) // MOST_POINTS), 1)]
    frame = _frame(mjd[shown], value[shown], error[shown] / 1000.0, kind[shown])
    told = escape(_told(band[shown], kind[shown], mjd[shown]))
    parts = [f'<svg class="chart curve" viewBox="0 0 {frame.width} {frame.height}" role="img" aria-label="{told}">']
    parts += _axes(frame, "MJD (TAI)", "Difference flux (µJy)")
    if at is not None:
        parts.append(
            f'<line class="now" x1="{frame.x(at):.1f}" x2="{frame.x(at):.1f}" y1="{frame.top}" y2="{frame.height - frame.bottom}"/>'
        )
    parts += [_model_line(frame, line) for line in (model["lines"] if model else ())]
    for which in ("limit", "forced", "detection"):
        for name in sorted(set(band.tolist())):
            mine = shown[(kind[shown] == which) & (band[shown] == name)]
            parts.append(_points(frame, which, name, mjd[mine], value[mine], error[mine] / 1000.0))
    return "".join(parts) + "</svg>"


def _told(band: NDArray[np.str_], kind: NDArray[np.str_], mjd: Floats) -> str:
    counts = ", ".join(
        f"{int((kind == which).sum())} {name}"
        for which, name in (("detection", "detections"), ("forced", "forced points"), ("limit", "upper limits"))
    )
    return f"Light curve in {', '.join(sorted(set(band.tolist())))} from MJD {mjd.min():.1f} to {mjd.max():.1f}: {counts}"


def _frame(mjd: Floats, value: Floats, error: Floats, kind: NDArray[np.str_]) -> Frame:
    """Choose axes: detections set the scale; of forced points a few may fall outside, and limits do not stretch it far."""
    steady = kind == "detection"
    steady = steady if steady.any() else np.ones(len(kind), np.bool_)
    high = float((value + error)[steady].max())
    low = min(float((value - error)[steady].min()), 0.0)
    outer = np.percentile(value, [3.0, 97.0])
    low, high = min(low, float(outer[0])), max(high, min(float(outer[1]), 2.0 * max(high, 0.0) or float(outer[1])))
    margin = 0.06 * max(high - low, 1e-3)
    span = max(float(mjd.max() - mjd.min()), 1.0)
    return Frame(float(mjd.min()) - 0.03 * span, float(mjd.max()) + 0.03 * span, low - margin, high + margin)


def _axes(frame: Frame, x_name: str, y_name: str, sign: float = 1.0) -> list[str]:
    right, floor = frame.width - frame.right, frame.height - frame.bottom
    parts = []
    for value in nice_steps(frame.y_low, frame.y_high, 5):
        y = frame.y(value)
        parts.append(f'<line class="{"zero" if value == 0 else "grid"}" x1="{frame.left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{frame.left - 7}" y="{y + 4:.1f}" text-anchor="end">{sign * value + 0.0:g}</text>')
    parts += [
        f'<text class="tick" x="{frame.x(value):.1f}" y="{floor + 16}" text-anchor="middle">{value:.10g}</text>'
        for value in nice_steps(frame.x_low, frame.x_high, 6)
    ]
    parts.append(
        f'<text class="tick" x="{(frame.left + right) / 2:.0f}" y="{frame.height - 6}" text-anchor="middle">{escape(x_name)}</text>'
    )
    middle = (frame.top + floor) / 2
    parts.append(f'<text class="tick" transform="translate(12 {middle:.0f}) rotate(-90)" text-anchor="middle">{escape(y_name)}</text>')
    return parts


def _points(frame: Frame, kind: str, band: str, mjd: Floats, value: Floats, error: Floats) -> str:
    """Draw the points of one kind in one filter, as two paths."""
    inside = (value >= frame.y_low) & (value <= frame.y_high)
    if not inside.any():
        return ""
    x, y = frame.x(mjd[inside]), frame.y(value[inside])
    places = list(zip(x.tolist(), y.tolist(), strict=True))
    letter = band.lower() if band.lower() in BANDS else "other"
    if kind == "limit":
        marks = "".join(f"M{a:.1f} {b:.1f}m-4 -3h8l-4 6z" for a, b in places)
        return f'<g class="limit band-{letter}"><path d="{marks}"/></g>'
    floor = frame.height - frame.bottom
    top, bottom = (np.clip(frame.y((value + sign * error)[inside]), frame.top, floor).tolist() for sign in (1, -1))
    bars = "".join(f"M{a:.1f} {t:.1f}V{u:.1f}" for (a, _), t, u in zip(places, top, bottom, strict=True))
    radius = 3.6 if kind == "detection" else 2.6
    outline = SHAPES.get(letter, SHAPES["u"]).format(r=radius, d=2 * radius, h=radius / 2)
    marks = "".join(f"M{a:.1f} {b:.1f}{outline}" for a, b in places)
    return f'<g class="{kind} band-{letter}"><path class="bars" d="{bars}"/><path class="marks" d="{marks}"/></g>'


def _model_line(frame: Frame, line: Mapping[str, Any]) -> str:
    """Draw a fitted curve where it lies inside the axes."""
    mjd, flux = np.array(line["mjd"]), np.array(line["flux"]) / 1000.0
    inside = (mjd >= frame.x_low) & (mjd <= frame.x_high) & (flux >= frame.y_low) & (flux <= frame.y_high)
    begins = inside & ~np.concatenate([[False], inside[:-1]])
    places = zip(frame.x(mjd).tolist(), frame.y(flux).tolist(), begins.tolist(), inside.tolist(), strict=True)
    path = "".join(f"{'M' if first else 'L'}{x:.1f} {y:.1f}" for x, y, first, there in places if there)
    letter = line["band"].lower() if line["band"].lower() in BANDS else "other"
    return f'<g class="model band-{letter}"><path d="{path}"/></g>' if path else ""


def scatter_svg(rows: Sequence[Mapping[str, Any]], x: str, y: str, x_name: str, y_name: str) -> str:
    """Draw magnitudes against something else, brighter ones higher; nothing where fewer than two rows have both.

    Parameters
    ----------
    rows
        With the values ``x`` and ``y`` name, and ``band``.
    """
    there = [row for row in rows if row.get(x) is not None and row.get(y) is not None]
    if len(there) < 2:
        return ""
    across, up = (np.array([row[name] for row in there], np.float64) for name in (x, y))
    band = np.array([row["band"] for row in there], np.str_)
    margin_x, margin_y = 0.04 * max(np.ptp(across), 1e-3), 0.06 * max(np.ptp(up), 0.1)
    # the axis runs downwards: what is drawn is the negative of a magnitude
    frame = Frame(
        across.min() - margin_x, across.max() + margin_x, -up.max() - margin_y, -up.min() + margin_y, width=560, height=300, left=72
    )
    label = f"{y_name} against {x_name}: {len(there)} points"
    parts = [f'<svg class="chart curve" viewBox="0 0 {frame.width} {frame.height}" role="img" aria-label="{escape(label)}">']
    parts += _axes(frame, x_name, y_name, sign=-1.0)
    parts += [
        _points(frame, "detection", name, across[mine], -up[mine], np.zeros(mine.sum()))
        for name in np.unique(band)
        for mine in [band == name]
    ]
    return "".join(parts) + "</svg>"


def marker_svg(band: str, kind: str = "detection") -> str:
    """Draw one point of a filter, for a legend."""
    letter = band.lower() if band.lower() in BANDS else "other"
    outline = SHAPES.get(letter, SHAPES["u"]).format(r=4.5, d=9, h=2.25)
    mark = f'<g class="{kind} band-{letter}"><path class="marks" d="M0 0{outline}"/></g>'
    return f'<svg class="chart key" viewBox="-8 -10 16 20" width="16" height="20" aria-hidden="true">{mark}</svg>'
