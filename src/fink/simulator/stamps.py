"""Stamps that look as they should: the host, its neighbours, the source in the middle, and the noise of the exposure.

Brightness is drawn with Gaussian point-spread functions; a galaxy is a sum of Gaussians (Hogg & Lang 2013, doi:10.1086/671228).
Sizes in bytes are those of the surveys' own stamps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from isal import igzip
from numba import njit
from numpy.typing import NDArray

from fink.codecs.cutouts import write_fits
from fink.codecs.encode import Ranges
from fink.simulator.kinds import blackbody, flux_of
from fink.simulator.night import Points, is_real
from fink.tables import STAMPS

Floats = NDArray[np.float64]
Images = NDArray[np.float32]
Ints = NDArray[np.int64]

SIDES = {"ztf": 63, "lsst": 30}
"""Pixels along the side of a stamp."""
_PSF_SIDES = {"science": 57, "template": 69, "difference": 57}
"""Pixels along the side of LSST's image of the point-spread function; in single precision these fill as many blocks as the survey's."""
_NOISE = 1 << 18
_POOL = 8
"""Alerts of each kind whose stamps the others borrow where stamps are shared."""


@dataclass(frozen=True)
class Scenes:
    """What ``n`` stamps show, in pixels and in the unit of the image.

    Parameters
    ----------
    source, host, noise
        (n,) flux of the source in the difference, flux of the host, and noise of a pixel.
    sigma
        (n,) width of the point-spread function.
    host_x, host_y, host_size
        (n,) place of the host and its half-light radius.
    trail_x, trail_y
        (n,) half the way that the source moves in the exposure.
    artefact
        (n,) int64: 0 a source, 1 a dipole, 2 a cosmic ray, 3 a streak.
    sky
        (n,) background of the science image and the template.
    seed
        (n,) int64, from which noise and neighbours are chosen.
    """

    source: Floats
    host: Floats
    noise: Floats
    sigma: Floats
    host_x: Floats
    host_y: Floats
    host_size: Floats
    trail_x: Floats
    trail_y: Floats
    artefact: Ints
    sky: Floats
    seed: Ints


def scenes_of(points: Points, alerts: Ints, unit: Floats | float, sky: float) -> Scenes:
    """Say what the stamps of these alerts show; ``unit`` turns nJy into the unit of the image."""
    people, owner = points.population, points.owner[alerts]
    telescope = points.sky.telescope
    at = {name: values[owner] for name, values in people.parameters.items()}
    wavelength = np.array(telescope.wavelengths)[points.band[alerts]]
    host = np.nan_to_num(flux_of(at["host_mag"]) * blackbody(wavelength, at["host_temperature"]))
    sigma = points.sky.visits.seeing[people.visit[alerts]] / 2.355 / telescope.pixel
    angle = np.radians(np.nan_to_num(at["host_angle"]))
    separation = np.nan_to_num(at["host_separation"]) / telescope.pixel
    trail = np.nan_to_num(at["rate"]) * 3600.0 * telescope.exposure_time / 86400.0 / telescope.pixel / 2.0
    direction = np.radians(np.nan_to_num(at["direction"]))
    u = points.draws[0, alerts]
    return Scenes(
        source=people.flux[alerts] * unit,
        host=host * unit,
        noise=people.flux_err[alerts] * unit / (np.sqrt(4.0 * np.pi) * sigma),
        sigma=sigma,
        host_x=-separation * np.sin(angle),
        host_y=separation * np.cos(angle),
        host_size=np.nan_to_num(at["host_size"]) / telescope.pixel,
        trail_x=-trail * np.cos(direction),
        trail_y=trail * np.sin(direction),
        artefact=np.where(is_real(people)[owner], 0, 1 + (3.0 * u).astype(np.int64)),
        sky=np.full(len(alerts), sky),
        seed=alerts,
    )


@njit(cache=True, nogil=True)
def _add(image: Images, x: float, y: float, flux: float, sigma: float) -> None:
    """Add a Gaussian of this flux at a place, counted from the middle of the image."""
    side = image.shape[0]
    middle = (side - 1) / 2.0
    scale = flux / (2.0 * np.pi * sigma * sigma)
    reach = 5.0 * sigma + 1.0
    low, high = max(0, int(middle + x - reach)), min(side, int(middle + x + reach) + 1)
    across = np.exp(-0.5 * ((np.arange(side) - middle - x) / sigma) ** 2)
    for i in range(max(0, int(middle + y - reach)), min(side, int(middle + y + reach) + 1)):
        row = scale * np.exp(-0.5 * ((i - middle - y) / sigma) ** 2)
        for j in range(low, high):
            image[i, j] += row * across[j]


@njit(cache=True, nogil=True)
def _add_source(image: Images, kind: int, flux: float, sigma: float, dx: float, dy: float) -> None:
    """Add what the difference shows: a source, drawn out if it moves, or an artefact."""
    if kind == 1:
        _add(image, 0.8 * sigma, 0.3 * sigma, 1.6 * flux, sigma)
        _add(image, -0.8 * sigma, -0.3 * sigma, -1.4 * flux, sigma)
    elif kind == 2:
        for k in range(4):
            _add(image, 0.6 * k - 0.9, 0.25 * k - 0.4, flux / 4.0, 0.45)
    elif kind == 3:
        side = image.shape[0]
        for k in range(2 * side):
            _add(image, 0.5 * k - side / 2.0, 0.2 * k - side / 5.0, flux / 8.0, 0.6 * sigma)
    else:
        steps = 1 + int(2.0 * np.hypot(dx, dy) / sigma)
        for k in range(steps):
            t = 0.0 if steps == 1 else 2.0 * k / (steps - 1) - 1.0
            _add(image, t * dx, t * dy, flux / steps, sigma)


@njit(cache=True, nogil=True)
def _draw(
    out: Images,
    noise: Images,
    source: Floats,
    host: Floats,
    pixel_noise: Floats,
    sigma: Floats,
    host_x: Floats,
    host_y: Floats,
    host_size: Floats,
    trail_x: Floats,
    trail_y: Floats,
    artefact: Ints,
    sky: Floats,
    seed: Ints,
) -> None:
    """Draw the stamps of each alert into (n, 3, side, side): science, template, difference."""
    side = out.shape[2]
    weights, widths = (0.1, 0.35, 0.4, 0.15), (0.2, 0.55, 1.0, 1.7)
    for a in range(out.shape[0]):
        still, changed = out[a, 1], out[a, 2]
        out[a] = 0.0
        state = np.int64(seed[a]) * 6364136223846793005 + 1442695040888963407
        for _ in range(3):
            # a neighbour: place and brightness from a linear congruence (Knuth)
            state = state * 6364136223846793005 + 1442695040888963407
            x = ((state >> 20) & 1023) / 1023.0 - 0.5
            y = ((state >> 32) & 1023) / 1023.0 - 0.5
            bright = 10.0 ** (2.4 * ((state >> 44) & 1023) / 1023.0)
            _add(still, x * side, y * side, bright * 3.5 * sigma[a] * pixel_noise[a], sigma[a])
        if host_size[a] > 0.0:
            for k in range(4):
                _add(still, host_x[a], host_y[a], host[a] * weights[k], np.hypot(sigma[a], host_size[a] * widths[k]))
        elif host[a] > 0.0:
            _add(still, host_x[a], host_y[a], host[a], sigma[a])
        _add_source(changed, artefact[a], source[a], sigma[a], trail_x[a], trail_y[a])
        starts = np.empty(3, np.int64)
        for k in range(3):
            state = state * 6364136223846793005 + 1442695040888963407
            starts[k] = ((state >> 20) & 0x7FFFFFFF) % (len(noise) - side * side)
        for i in range(side):
            for j in range(side):
                p = i * side + j
                sky_noise = pixel_noise[a] * noise[starts[0] + p]
                out[a, 0, i, j] = still[i, j] + changed[i, j] + sky[a] + sky_noise
                changed[i, j] += sky_noise + 0.3 * pixel_noise[a] * noise[starts[2] + p]
                still[i, j] += sky[a] + 0.3 * pixel_noise[a] * noise[starts[1] + p]


def draw(scenes: Scenes, side: int) -> Images:
    """Draw stamps, (n, 3, side, side): science, template, difference."""
    out = np.empty((len(scenes.source), 3, side, side), np.float32)
    noise = np.random.default_rng(20211122).standard_normal(_NOISE, np.float32)
    _draw(out, noise, *(getattr(scenes, name) for name in Scenes.__dataclass_fields__))
    return out


def _filled(empty: bytes, images: Images, at: int) -> NDArray[np.uint8]:
    """Copy a FITS file (n times) and put another image into each copy, at this byte."""
    files = np.tile(np.frombuffer(empty, np.uint8), (len(images), 1))
    pixels = np.ascontiguousarray(images.reshape(len(images), -1), ">f4").view(np.uint8)
    files[:, at : at + pixels.shape[1]] = pixels
    return files


def gzipped_fits(images: Images) -> Ranges:
    """Write images (n, side, side) as gzipped FITS, one after the other."""
    files = _filled(write_fits(np.zeros(images.shape[1:], np.float32)), images, 2880)
    packed = [igzip.compress(file, 1, mtime=0) for file in files]
    lengths = np.array([len(data) for data in packed], np.int64)
    return Ranges(np.frombuffer(b"".join(packed), np.uint8), np.cumsum(lengths) - lengths, lengths)


def lsst_fits(images: Images, which: str, noise: Floats) -> Ranges:
    """Write images (n, side, side) as LSST does: with the error of each pixel and the point-spread function of the first."""
    side = _PSF_SIDES[which]
    psf = np.zeros((side, side), np.float32)
    _add(psf, 0.0, 0.0, 1.0, 2.0)
    zeros = np.zeros(images.shape[1:], np.float32)
    empty = write_fits(zeros, uncertainty=zeros, psf=psf)
    files = _filled(empty, images, 2880)
    block = 2880 + -(-zeros.nbytes // 2880) * 2880
    pixels = np.repeat(noise[:, None].astype(">f4"), zeros.size, axis=1).view(np.uint8)
    files[:, block + 2880 : block + 2880 + pixels.shape[1]] = pixels
    n, length = files.shape
    return Ranges(files.ravel(), np.arange(n, dtype=np.int64) * length, np.full(n, length))


def borrowed(kind: Ints) -> tuple[Ints, Ints]:
    """Choose, where stamps are shared, the rows that are drawn, and for each row (n,) which of these it shows."""
    order = np.argsort(kind, kind="stable")
    rank = np.empty(len(kind), np.int64)
    rank[order] = np.arange(len(kind)) - np.searchsorted(kind[order], kind[order])
    drawn = np.flatnonzero(rank < _POOL)
    code = kind[drawn] * _POOL + rank[drawn]
    by_code = np.argsort(code)
    counts = np.bincount(kind[drawn])
    return drawn, by_code[np.searchsorted(code[by_code], kind * _POOL + rank % counts[kind])]


def write_stamps(survey: str, scenes: Scenes, shows: Ints | None = None) -> dict[str, Ranges]:
    """Draw and write the three stamps of each alert, by name; ``shows`` (n,) says which scene each alert shows, if not its own."""
    images = draw(scenes, SIDES[survey])
    found: dict[str, Ranges] = {}
    for number, which in enumerate(STAMPS):
        stamp = images[:, number]
        ranges = gzipped_fits(stamp) if survey == "ztf" else lsst_fits(stamp, which, scenes.noise)
        found[which] = ranges if shows is None else Ranges(ranges.buffer, ranges.starts[shows], ranges.lengths[shows])
    return found
