"""Charts as SVG: light curves, maps of the sky, bars. They take their colours from the page, for day and night."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from fink.sky import GALACTIC_NODE_L, GALACTIC_POLE_DEC, OBLIQUITY

Floats = NDArray[np.float64]

BANDS = ("u", "g", "r", "i", "z", "y")
"""Filters that have a colour of their own on the page, as the class ``band-g``…"""


@dataclass(frozen=True)
class Points:
    """The points of one light curve.

    Parameters
    ----------
    mjd, flux, flux_err
        (m,) time [d], difference flux and its error [nJy].
    band
        (m,) names of filters.
    detected
        (m,) bool, whether a point is a detection; the others are forced photometry.
    """

    mjd: Floats
    flux: Floats
    flux_err: Floats
    band: Sequence[str]
    detected: NDArray[np.bool_]


def nice_steps(low: float, high: float, most: int = 5) -> list[float]:
    """Give round numbers between two numbers, at most so many steps apart."""
    span = max(high - low, 1e-12)
    raw = span / most
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(float(power * m) for m in (1.0, 2.0, 5.0, 10.0) if power * m >= raw * 0.999)
    first = np.ceil(low / step - 1e-9) * step
    return [float(round(first + k * step, 10)) for k in range(int((high - first) / step + 1e-9) + 1)]


def light_curve(points: Points, at: float, width: int = 340, height: int = 176) -> str:
    """Draw a light curve: difference flux [microjansky] against days before the alert, one colour for each filter."""
    left, right, top, bottom = 46, 10, 10, 26
    day, flux, error = points.mjd - at, points.flux / 1000.0, points.flux_err / 1000.0
    x_low, x_high = min(float(day.min()), -1.0) * 1.03, max(float(day.max()), 0.0) + 0.03 * max(-float(day.min()), 1.0)
    kept = points.detected if points.detected.any() else np.ones(len(day), np.bool_)
    # detections set the scale; of the forced points a few may fall outside of it
    outer = np.percentile(flux, [4.0, 96.0])
    low, high = min(float((flux - error)[kept].min()), float(outer[0]), 0.0), max(float((flux + error)[kept].max()), float(outer[1]), 0.0)
    low, high = low - 0.08 * (high - low), high + 0.08 * (high - low)

    def x(value: float) -> float:
        return left + (value - x_low) / (x_high - x_low) * (width - left - right)

    def y(value: float) -> float:
        return top + (high - value) / (high - low) * (height - top - bottom)

    parts = [f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="light curve">']
    for value in nice_steps(low, high, 4):
        kind = "zero" if value == 0 else "grid"
        parts.append(f'<line class="{kind}" x1="{left}" x2="{width - right}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(f'<text class="tick" x="{left - 6}" y="{y(value) + 3.5:.1f}" text-anchor="end">{value:g}</text>')
    parts += [
        f'<text class="tick" x="{x(value):.1f}" y="{height - 10}" text-anchor="middle">{value:g}</text>'
        for value in nice_steps(x_low, x_high, 5)
    ]
    parts.append(f'<line class="now" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="{top}" y2="{height - bottom}"/>')
    inside = (flux > low) & (flux < high)
    order = np.lexsort((day, points.detected))
    for k in order[inside[order]].tolist():
        band = points.band[k] if points.band[k] in BANDS else "other"
        px, py = x(day[k]), y(flux[k])
        ends = [min(max(y(flux[k] + sign * error[k]), top), height - bottom) for sign in (1, -1)]
        name = "detection" if points.detected[k] else "forced"
        label = f"{points.band[k]}, {flux[k]:.3g} ± {error[k]:.2g} µJy, MJD {points.mjd[k]:.3f}"
        parts.append(
            f'<g class="{name} band-{band}"><title>{escape(label)}</title><path d="M{px:.1f} {ends[0]:.1f}V{ends[1]:.1f}"/>'
            f'<circle cx="{px:.1f}" cy="{py:.1f}" r="{3 if points.detected[k] else 2}"/></g>'
        )
    return "".join(parts) + "</svg>"


def mollweide(ra: Floats, dec: Floats) -> tuple[Floats, Floats]:
    """Project positions [deg] on the plane, east to the left, right ascension 180 in the middle; x from -2 to 2, y from -1 to 1."""
    latitude = np.radians(dec)
    theta = latitude.copy()
    for _ in range(12):
        slope = 2.0 + 2.0 * np.cos(2.0 * theta)
        theta -= np.where(slope > 1e-6, (2.0 * theta + np.sin(2.0 * theta) - np.pi * np.sin(latitude)) / np.maximum(slope, 1e-6), 0.0)
    return -((np.asarray(ra) - 180.0) / 90.0) * np.cos(theta), np.sin(theta)


def sky_map(groups: Sequence[tuple[str, Floats, Floats]], width: int = 860) -> str:
    """Draw where alerts lie on the sky, each named group of positions [deg] in the colour of its place, ``group-0``…"""
    radius = width / 4.0 - 14.0
    middle_x, middle_y, height = width / 2.0, radius + 16.0, int(2.0 * radius + 32.0)

    def path(ra: Floats, dec: Floats, *, dots: bool) -> str:
        x, y = mollweide(ra, dec)
        px, py = middle_x + x * radius, middle_y - y * radius
        if dots:
            places = sorted({(round(a, 1), round(b, 1)) for a, b in zip(px.tolist(), py.tolist(), strict=True)})
            return "".join(f"M{a:g} {b:g}h0" for a, b in places)
        jump = np.hypot(np.diff(px, prepend=px[0]), np.diff(py, prepend=py[0])) > radius / 2.0
        jump[0] = True
        return "".join(f"{'M' if j else 'L'}{a:.1f} {b:.1f}" for a, b, j in zip(px.tolist(), py.tolist(), jump.tolist(), strict=True))

    turn = np.linspace(0.0, 359.999, 361)
    parts = [f'<svg class="chart sky" viewBox="0 0 {width} {height}" role="img" aria-label="map of the sky">']
    parts.append(f'<ellipse class="sphere" cx="{middle_x:g}" cy="{middle_y:g}" rx="{2 * radius:g}" ry="{radius:g}"/>')
    for dec in (-60.0, -30.0, 0.0, 30.0, 60.0):
        parts.append(f'<path class="grid" d="{path(turn, np.full(361, dec), dots=False)}"/>')
        x, y = mollweide(np.array([359.999]), np.array([dec]))
        parts.append(
            f'<text class="tick" x="{middle_x + x[0] * radius - 6:.1f}" y="{middle_y - y[0] * radius + 3.5:.1f}" text-anchor="end">'
            f"{dec:+.0f}°</text>"
        )
    parts += [
        f'<path class="grid" d="{path(np.full(61, min(ra, 359.999)), np.linspace(-90, 90, 61), dots=False)}"/>' for ra in range(0, 361, 60)
    ]
    for hours in range(4, 24, 4):
        x, y = mollweide(np.array([hours * 15.0]), np.array([0.0]))
        parts.append(f'<text class="tick" x="{middle_x + x[0] * radius + 4:.1f}" y="{middle_y - 4:.1f}">{hours} h</text>')
    for number, (_, ra_, dec_) in enumerate(groups):
        parts.append(f'<path class="dots group-{number}" d="{path(ra_, dec_, dots=True)}"/>')
    parts.append(f'<path class="plane" d="{path(*_galactic_plane(), dots=False)}"/>')
    parts.append(f'<path class="ecliptic" d="{path(*_ecliptic(), dots=False)}"/>')
    return "".join(parts) + "</svg>"


def _galactic_plane() -> tuple[Floats, Floats]:
    """Positions [deg] along the galactic plane, in order of right ascension."""
    along = np.radians(np.linspace(0.0, 360.0, 721))
    pole_ra, pole_dec = np.radians(192.85948), np.radians(GALACTIC_POLE_DEC)
    turn = np.radians(GALACTIC_NODE_L) - along
    dec = np.arcsin(np.cos(pole_dec) * np.cos(turn))
    ra = pole_ra + np.arctan2(np.sin(turn), -np.sin(pole_dec) * np.cos(turn))
    ra_deg = np.degrees(ra) % 360.0
    order = np.argsort(ra_deg)
    return ra_deg[order], np.degrees(dec)[order]


def _ecliptic() -> tuple[Floats, Floats]:
    """Positions [deg] along the ecliptic, in order of right ascension."""
    along, tilt = np.radians(np.linspace(0.0, 360.0, 721)), np.radians(OBLIQUITY)
    ra = np.degrees(np.arctan2(np.sin(along) * np.cos(tilt), np.cos(along))) % 360.0
    order = np.argsort(ra)
    return ra[order], np.degrees(np.arcsin(np.sin(along) * np.sin(tilt)))[order]


def stamp_png(image: NDArray[np.float32]) -> str:
    """Give a stamp as the address of a PNG that lies in the page itself, stretched so that faint and bright both show."""
    good = np.isfinite(image)
    middle = float(np.median(image[good])) if good.any() else 0.0
    spread = float(np.percentile(np.abs(image[good] - middle), 68)) if good.any() else 1.0
    level = np.arcsinh((np.where(good, image, middle) - middle) / max(spread, 1e-9) / 2.0)
    low, high = -1.2, max(float(level.max()), 2.5)
    grey = np.clip((level - low) / (high - low) * 255.0, 0, 255).astype(np.uint8)[::-1]
    return png(grey)


def png(pixels: NDArray[np.uint8]) -> str:
    """Give a picture as the address of a PNG that lies in the page itself.

    Parameters
    ----------
    pixels
        (height, width) grey, or (height, width, 4) red, green, blue and opacity, the top row first.
    """
    height, width = pixels.shape[:2]
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, 6 if pixels.ndim == 3 else 0, 0, 0, 0)
    body = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows, 6)) + _chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + body).decode()


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
