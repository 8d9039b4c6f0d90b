"""Finder charts as SVG: an object in the middle, what lies around it, north up and east to the left."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any


def finder_svg(finder: Mapping[str, Any], stamp: Mapping[str, Any] | None = None, side: int = 400) -> str:
    """Draw a finder chart, north up and east to the left: the object in the middle, catalogued sources and other objects around it.

    Parameters
    ----------
    finder
        As `fink.services.finders.finder` gives it.
    stamp
        The science stamp to lie behind it, where it is known how it lies: ``url`` of the picture, its ``shape``, and ``affine``, from
        its pixels to arcsec towards west and south of the object.
    """
    scale = side / (2.0 * finder["radius"])
    half = side / 2
    told = f"{len(finder['sources'])} catalogued sources, {len(finder['objects'])} other objects"
    label = f"Finder chart, {2 * finder['radius']:g} arcsec on a side, north up, east left: {told}"
    parts = [f'<svg class="chart finder" viewBox="{-half:g} {-half:g} {side} {side}" role="group" aria-label="{escape(label)}">']
    parts.append(f'<clipPath id="finder-edge"><rect x="{-half:g}" y="{-half:g}" width="{side}" height="{side}"/></clipPath>')
    parts.append(f'<g clip-path="url(#finder-edge)"><rect class="sky" x="{-half:g}" y="{-half:g}" width="{side}" height="{side}"/>')
    if stamp is not None:
        height, width = stamp["shape"]
        matrix = " ".join(f"{value * scale:.5g}" for value in stamp["affine"])
        parts.append(f'<image href="{escape(stamp["url"])}" width="{width}" height="{height}" transform="matrix({matrix})"/>')
    names = {name: number for number, name in enumerate(sorted({source["catalogue"] for source in finder["sources"]}))}
    for source in reversed(finder["sources"]):
        x, y = -source["east"] * scale, -source["north"] * scale
        told = f"{source['catalogue']}: {source['label'] or 'no name'}, {source['separation']:.1f} arcsec away"
        group = names[source["catalogue"]] % 6
        parts.append(f'<circle class="source group-{group}" cx="{x:.1f}" cy="{y:.1f}" r="7"><title>{escape(told)}</title></circle>')
    parts += [_object_mark(other, scale) for other in finder["objects"]]
    parts.append('<path class="cross" d="M-26 0H-9M9 0H26M0 -26V-9M0 9V26"/></g>')
    parts.append(_compass(half, scale))
    return "".join(parts) + "</svg>"


def _object_mark(other: Mapping[str, Any], scale: float) -> str:
    x, y = -other["east"] * scale, -other["north"] * scale
    told = escape(f"{other['survey'].upper()} {other['object_id']}, {other['separation']:.1f} arcsec away")
    address = escape(f"/{other['survey']}/object/{other['object_id']}")
    mark = f'<path class="object" d="M{x:.1f} {y:.1f}m0 -6l6 6l-6 6l-6 -6z"><title>{told}</title></path>'
    return f'<a href="{address}" aria-label="{told}">{mark}</a>'


def _compass(half: float, scale: float) -> str:
    bar = 10.0 * scale
    x, y = half - 16, half - 16
    return (
        f'<path class="scale" d="M{-half + 14:.1f} {y:.1f}h{bar:.1f}"/>'
        f'<text class="tick" x="{-half + 14 + bar / 2:.1f}" y="{y - 7:.1f}" text-anchor="middle">10″</text>'
        f'<path class="scale" d="M{x:.1f} {y:.1f}v-30m-4 7l4 -7l4 7M{x:.1f} {y:.1f}h-30m7 -4l-7 4l7 4"/>'
        f'<text class="tick" x="{x:.1f}" y="{y - 36:.1f}" text-anchor="middle">N</text>'
        f'<text class="tick" x="{x - 40:.1f}" y="{y + 4:.1f}" text-anchor="middle">E</text>'
    )
