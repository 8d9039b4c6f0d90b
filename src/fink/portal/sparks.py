"""Small light curves and maps for lists: drawn on the server as SVG, in the colours of the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from markupsafe import Markup

from fink.services.charts import BANDS, mollweide, nice_steps, sky_map
from fink.services.light_curve_charts import SHAPES

Curve = Mapping[str, Sequence[tuple[float, float, float, bool]]]


def spark(curve: Curve, width: int = 300, height: int = 112) -> Markup:
    """Draw a light curve of difference flux [microjansky] against days before the alert, a mark and a colour for each filter."""
    points = [(day, flux / 1000.0, error / 1000.0, sure) for band in curve.values() for day, flux, error, sure in band]
    if not points:
        return Markup('<p class="soft nothing">No light curve</p>')
    left, right, top, bottom = 38, 8, 16, 18
    x_low, x_high = min(min(p[0] for p in points), -1.0) * 1.04, 0.0
    x_high -= 0.03 * x_low
    scale = [p for p in points if p[3]] or points
    low, high = min(0.0, *(p[1] - p[2] for p in scale)), max(0.0, *(p[1] + p[2] for p in scale))
    pad = 0.08 * max(high - low, 1e-9)
    low, high = low - pad, high + pad

    def x(day: float) -> float:
        return left + (day - x_low) / (x_high - x_low) * (width - left - right)

    def y(flux: float) -> float:
        return top + (high - min(max(flux, low), high)) / (high - low) * (height - top - bottom)

    parts = [f'<svg class="chart spark" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(_said(curve))}">']
    parts.append(f'<text class="tick" x="{left - 5}" y="8" text-anchor="end">µJy</text>')
    for value in nice_steps(low, high, 3):
        parts.append(f'<path class="{"zero" if value == 0 else "grid"}" d="M{left} {y(value):.1f}H{width - right}"/>')
        parts.append(f'<text class="tick" x="{left - 5}" y="{y(value) + 3.5:.1f}" text-anchor="end">{value:g}</text>')
    for value in nice_steps(x_low, 0.0, 3):
        text = f"{value:g}{' d' if value == 0 else ''}"
        parts += [f'<text class="tick" x="{x(value):.1f}" y="{height - 4}" text-anchor="middle">{text}</text>']
    for band in sorted(curve, key=lambda name: BANDS.index(name) if name in BANDS else len(BANDS)):
        parts += _marks(band, curve[band], x, y, low, high)
    return Markup("".join(parts) + "</svg>")


def _marks(band: str, points: Sequence[tuple[float, float, float, bool]], x: Any, y: Any, low: float, high: float) -> list[str]:
    """Draw the points of one filter: detections filled, forced photometry hollow; those far outside are left out."""
    mark = SHAPES.get(band, SHAPES["u"]).format(r=2.6, d=5.2, h=1.3)
    kind = band if band in BANDS else "other"
    found = []
    for sure, name in ((False, "forced"), (True, "detection")):
        mine = [(day, flux / 1000.0, error / 1000.0) for day, flux, error, is_sure in points if is_sure == sure]
        mine = [(day, flux, error) for day, flux, error in mine if low <= flux <= high]
        if mine:
            bars = "".join(f"M{x(d):.1f} {y(f - e):.1f}V{y(f + e):.1f}" for d, f, e in mine)
            marks = "".join(f"M{x(d):.1f} {y(f):.1f}{mark}" for d, f, _ in mine)
            found.append(f'<g class="{name} band-{kind}"><path d="{bars}"/><path class="mark" d="{marks}"/></g>')
    return found


def _said(curve: Curve) -> str:
    """Say what the drawing shows."""
    detections = [(band, p[0]) for band, points in curve.items() for p in points if p[3]]
    if not detections:
        return "Light curve: forced photometry only"
    bands = ", ".join(band for band in (*BANDS, *curve) if any(b == band for b, _ in detections))
    days = -min(day for _, day in detections)
    return f"Light curve: {len(detections)} detections in {', '.join(dict.fromkeys(bands.split(', ')))} over {days:.0f} days"


def places(rows: Sequence[Mapping[str, Any]], centre: Mapping[str, float] | None = None) -> Markup:
    """Draw where alerts lie, each a link to its page: around a centre where there is one, otherwise on the whole sky.

    Parameters
    ----------
    rows
        With ``ra`` and ``dec`` [deg], ``survey``, ``to`` and ``label``.
    centre
        ``ra`` and ``dec`` [deg] and ``radius`` [arcsec].
    """
    return Markup(_field(rows, centre) if centre else _sky(rows))


def _sky(rows: Sequence[Mapping[str, Any]], width: int = 860) -> str:
    radius = width / 4.0 - 14.0
    ra, dec = (np.array([row[name] for row in rows], np.float64) for name in ("ra", "dec"))
    px, py = mollweide(ra, dec)
    marks = [
        _place(row, width / 2.0 + a * radius, radius + 16.0 - b * radius) for row, a, b in zip(rows, px.tolist(), py.tolist(), strict=True)
    ]
    # the map itself says nothing that its points do not
    return sky_map([], width).removesuffix("</svg>").replace('role="img"', 'role="group"', 1) + "".join(marks) + "</svg>"


def _field(rows: Sequence[Mapping[str, Any]], centre: Mapping[str, float], size: int = 560) -> str:
    """Draw the sky around a centre, north up and east left, with rings."""
    middle, scale = size / 2.0, (size / 2.0 - 34.0) / centre["radius"]
    parts = [f'<svg class="chart sky field" viewBox="0 0 {size} {size}" role="group" aria-label="map around the position">']
    for ring in (0.5 * centre["radius"], centre["radius"]):
        up = middle - ring * scale
        parts.append(f'<circle class="grid" cx="{middle:g}" cy="{middle:g}" r="{ring * scale:.1f}"/>')
        parts.append(f'<text class="tick" x="{middle + 4:g}" y="{up - 4:.1f}">{angle(ring)}</text>')
    parts.append(f'<path class="zero" d="M{middle - 7:g} {middle:g}h14M{middle:g} {middle - 7:g}v14"/>')
    parts.append(
        f'<text class="tick" x="{middle:g}" y="14" text-anchor="middle">N</text><text class="tick" x="4" y="{middle + 4:g}">E</text>'
    )
    for row in rows:
        east, north = offset(row["ra"], row["dec"], centre["ra"], centre["dec"])
        parts.append(_place(row, middle - east * scale, middle - north * scale))
    return "".join(parts) + "</svg>"


def offset(ra: float, dec: float, ra_0: float, dec_0: float) -> tuple[float, float]:
    """Give how far a position lies east and north of another on the plane that touches the sphere there [arcsec]."""
    a, d, d_0 = math.radians(ra - ra_0), math.radians(dec), math.radians(dec_0)
    towards = math.sin(d_0) * math.sin(d) + math.cos(d_0) * math.cos(d) * math.cos(a)
    east = math.cos(d) * math.sin(a) / towards
    north = (math.cos(d_0) * math.sin(d) - math.sin(d_0) * math.cos(d) * math.cos(a)) / towards
    return math.degrees(east) * 3600.0, math.degrees(north) * 3600.0


def _place(row: Mapping[str, Any], x: float, y: float) -> str:
    label, to, survey = (escape(str(row[name])) for name in ("label", "to", "survey"))
    if survey == "ztf":
        shape = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
    else:
        shape = f'<path d="M{x:.1f} {y:.1f}m0-4.6 4.6 4.6-4.6 4.6-4.6-4.6z"/>'
    return f'<a href="{to}" class="place survey-{survey}" aria-label="{label}"><title>{label}</title>{shape}</a>'


def angle(arcsec: float) -> str:
    """Write an angle [arcsec] in the unit that suits it."""
    if arcsec >= 3600.0:
        return f"{arcsec / 3600.0:g}°"
    return f"{arcsec / 60.0:g}′" if arcsec >= 60.0 else f"{arcsec:g}″"
