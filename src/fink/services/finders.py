"""Finder charts: what lies around a position, from stamps, installed catalogues and the archive itself, without any network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fink import catalogs
from fink.archive.embedded import EmbeddedArchive
from fink.catalogs.store import CURRENT, InstalledCatalogue

Floats = NDArray[np.float64]

RADIUS, RADII = 20.0, {"ztf": 45.0}
"""Half the side of a chart [arcsec], and where the stamps of a survey are larger."""

MOST_SOURCES = 150
"""Sources of catalogues that a chart shows at most, the nearest ones."""

MOST_OBJECTS = 60
"""Other objects of the archive that it shows at most."""


_ROWS_SOUTHWARD = {"ztf": 1.012}
"""Surveys whose stamps have no coordinates in their headers, with a pixel's side [arcsec].

Rows go south and columns west: where catalogues have a source 6 to 28 arcsec from an alert, the template is bright there (its pixels
are above 99 % of the others on average), and in no other orientation.
"""


def finder(archive: EmbeddedArchive, survey: str, object_id: str, ra: float, dec: float, artifacts: Path | None) -> dict[str, Any]:
    """Give what lies around an object.

    Parameters
    ----------
    ra, dec
        Its place [deg].
    artifacts
        Folder of the installed catalogues; None where there is none.

    Returns
    -------
    finder
        ``radius`` [arcsec]; ``objects`` of the archive and ``sources`` of catalogues with their offsets ``east`` and ``north`` and
        their ``separation`` [arcsec]; ``catalogues``, the names of those that were asked.
    """
    radius = RADII.get(survey, RADIUS)
    sources, asked = catalogue_sources(artifacts, ra, dec, radius)
    return {
        "radius": radius,
        "objects": _objects(archive, survey, object_id, ra, dec, radius),
        "sources": sources,
        "catalogues": asked,
    }


def _objects(archive: EmbeddedArchive, survey: str, object_id: str, ra: float, dec: float, radius: float) -> list[dict[str, Any]]:
    """Give the other objects of all surveys around a position, the nearest first, each by its nearest alert."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in (
        archive.cone(ra, dec, radius * np.sqrt(2.0)).select(["survey", "object_id", "ra", "dec", "separation", "fink_class"]).to_pylist()
    ):
        key = (row["survey"], row["object_id"])
        if row["object_id"] is None or key == (survey, object_id) or key in found:
            continue
        east, north = offsets(ra, dec, np.array([row["ra"]]), np.array([row["dec"]]))
        found[key] = {
            **row,
            "east": round(float(east[0]), 2),
            "north": round(float(north[0]), 2),
            "separation": round(row["separation"], 2),
        }
        if len(found) == MOST_OBJECTS:
            break
    return list(found.values())


def catalogue_sources(artifacts: Path | None, ra: float, dec: float, radius: float) -> tuple[list[dict[str, Any]], list[str]]:
    """Give the catalogued sources around a position, the nearest first, and which catalogues were asked."""
    found: list[dict[str, Any]] = []
    asked = []
    for name in catalogs.registry() if artifacts is not None else ():
        current = artifacts / catalogs.FOLDER / name / CURRENT if artifacts is not None else Path()
        if not current.is_file():
            continue
        opened = _opened(current, current.read_text().strip())
        asked.append(name)
        if len(opened) and not len(opened.index.shape):
            found += _near(opened, name, ra, dec, radius)
    found.sort(key=lambda source: source["separation"])
    return found[:MOST_SOURCES], asked


@lru_cache(maxsize=64)
def _opened(current: Path, version: str) -> InstalledCatalogue:
    """Open a version of a catalogue once for all charts."""
    return InstalledCatalogue.open(current)


def _near(opened: InstalledCatalogue, name: str, ra: float, dec: float, radius: float) -> list[dict[str, Any]]:
    pairs = opened.index.match(ra, dec, radius=radius, nearest=False)
    order = np.argsort(pairs.separation, kind="stable")[:MOST_SOURCES]
    place, source = opened.index.positions[pairs.source[order]], pairs.source[order]
    east, north = offsets(ra, dec, place[:, 0], place[:, 1])
    columns = [column for column in (f"{name}_name", f"{name}_type", f"{name}_class", f"{name}_mag") if column in opened.columns]
    texts = [opened.take(column, source).to_pylist() for column in columns]
    return [
        {
            "catalogue": name,
            "label": ", ".join(_text(values[i]) for values in texts if values[i] is not None),
            "east": round(float(east[i]), 2),
            "north": round(float(north[i]), 2),
            "separation": round(float(pairs.separation[order][i]), 2),
        }
        for i in range(len(order))
    ]


def _text(value: Any) -> str:
    return f"{value:.1f} mag" if isinstance(value, float) else str(value)


def offsets(ra: float, dec: float, ras: Floats, decs: Floats) -> tuple[Floats, Floats]:
    """Give how far places lie to the east and to the north of a centre, on the plane that touches the sky there [arcsec]."""
    a, d = np.radians(ras - ra), np.radians(decs)
    centre = np.radians(dec)
    towards = np.sin(centre) * np.sin(d) + np.cos(centre) * np.cos(d) * np.cos(a)
    east = np.cos(d) * np.sin(a) / towards
    north = (np.cos(centre) * np.sin(d) - np.sin(centre) * np.cos(d) * np.cos(a)) / towards
    return np.degrees(east) * 3600.0, np.degrees(north) * 3600.0


def stamp_affine(survey: str, cards: Mapping[str, Any], shape: Sequence[int], ra: float, dec: float) -> list[float] | None:
    """Give how the pixels of a stamp's picture lie about a position; None where nothing says so.

    Parameters
    ----------
    cards
        The header of the stamp.
    shape
        Rows and columns.
    ra, dec
        The position [deg].

    Returns
    -------
    affine
        ``a, b, c, d, e, f``: the picture's point ``(u, v)``, counted from its upper left corner, lies ``a u + c v + e`` arcsec to
        the west and ``b u + d v + f`` to the south of the position.
    """
    names = ("PC1_1", "PC1_2", "PC2_1", "PC2_2", "CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2")
    values = [cards.get(name) for name in names]
    if all(isinstance(value, float | int) for value in values):
        xx, xy, yx, yy, at_x, at_y, ra_0, dec_0 = (float(value) for value in values)  # type: ignore[arg-type]
        xx, xy, yx, yy = (3600.0 * value for value in (xx, xy, yx, yy))
        east, north = (float(offset[0]) for offset in offsets(ra, dec, np.array([ra_0]), np.array([dec_0])))
    elif survey in _ROWS_SOUTHWARD:
        pixel = _ROWS_SOUTHWARD[survey]
        xx, xy, yx, yy, east, north = -pixel, 0.0, 0.0, -pixel, 0.0, 0.0
        at_x, at_y = shape[1] / 2.0 + 0.5, shape[0] / 2.0 + 0.5
    else:
        return None
    # the picture's rows go down, those of the stamp up; FITS counts the middle of the first pixel as 1
    left, top = 0.5 - at_x, shape[0] + 0.5 - at_y
    affine = [-xx, -yx, xy, yy, -(east + xx * left + xy * top), -(north + yx * left + yy * top)]
    return [round(value, 6) for value in affine]


def directions(affine: Sequence[float]) -> tuple[list[float], list[float], bool]:
    """Say how the sky lies on a stamp's picture.

    Parameters
    ----------
    affine
        As `stamp_affine` gives it.

    Returns
    -------
    north, east
        Directions on the picture, right and down, of length 1.
    mirrored
        Whether the picture shows the sky as in a mirror; turned upside down it does not.
    """
    a, b, c, d = affine[:4]
    size = abs(a * d - b * c) ** 0.5
    mirrored = a * d < b * c
    turn = -size if mirrored else size
    return [round(c / turn, 3) + 0.0, round(-a / turn, 3) + 0.0], [round(-d / turn, 3) + 0.0, round(b / turn, 3) + 0.0], mirrored
