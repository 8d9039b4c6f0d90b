"""Hostless sources: how often the stamps tell a source in an empty place from one beside a galaxy, on simulated stamps.

A stamp is drawn with the survey's pixels and seeing: a galaxy of Sersic's profile (exponential four times of five, else
de Vaucouleurs') seen through a Gaussian point-spread function, at random up to 3 arcsec from a point source at the centre, in
the noise of a single visit;
the template is deeper and lacks the source. Sizes follow magnitude as those of field galaxies do (half-light radius 1.0 arcsec
at magnitude 22, 26 % more for each magnitude brighter, scatter 35 %).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gamma

import numpy as np
from numpy.typing import NDArray

from benchmarks.result import Result, table_text
from fink.codecs.cutouts import Stamps, write_fits
from fink.science.hostless import hostless
from fink.tables import Cutouts, Packets

Floats = NDArray[np.float64]

FINE = 4
"""Points drawn along each side of a pixel."""
BASE_RATE = 0.02
"""Share of new sources without a host (Pessi et al. 2024, doi:10.1051/0004-6361/202450535)."""
MAGNITUDES = (18.0, 19.0, 20.0, 21.0, 21.5, 22.0, 22.5, 23.0, 24.0)
GOAL = {"lsst_accuracy_21_to_23": 0.92, "lsst_purity": 0.5}


@dataclass(frozen=True)
class Camera:
    """What makes stamps of a survey: pixel and seeing [arcsec], side [pixel], depths of a visit and the template, sources [mag]."""

    pixel: float
    seeing: float
    side: int
    depth: float
    template_depth: float
    sources: tuple[float, float]

    def noise(self, depth: float) -> float:
        """Give the scatter of a pixel where a point source of this magnitude has five sigma, in units of magnitude zero."""
        beam = 4.0 * np.pi * (self.seeing / 2.3548 / self.pixel) ** 2
        return float(10.0 ** (-0.4 * depth) / 5.0 / np.sqrt(beam))


CAMERAS = {
    "ztf": Camera(1.01, 2.0, 63, 20.6, 22.2, (17.0, 19.5)),
    "lsst": Camera(0.2, 0.7, 30, 24.5, 25.8, (19.0, 21.5)),
}
"""Depths: Bellm et al. 2019 (doi:10.1088/1538-3873/aaecbe), its references of 15 visits and more; Ivezic et al. 2019
(doi:10.3847/1538-4357/ab042c), with a template of about ten visits, as in the first year."""


def galaxy(camera: Camera, mag: float, rng: np.random.Generator) -> Floats:
    """Draw one galaxy near the centre of a stamp, (side, side), in units of magnitude zero."""
    radius = float(np.clip(rng.lognormal(0.0, 0.35) * 10.0 ** (-0.1 * (mag - 22.0)), 0.3, 4.0))
    index, ratio = (1.0 if rng.random() < 0.8 else 4.0), rng.uniform(0.3, 1.0)
    away, turn, angle = rng.uniform(0.0, 3.0), rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.0, np.pi)
    margin = 10
    grid = (np.arange((camera.side + 2 * margin) * FINE) + 0.5) * camera.pixel / FINE
    x, y = np.meshgrid(grid - grid.mean() - away * np.cos(turn), grid - grid.mean() - away * np.sin(turn))
    along, across = x * np.cos(angle) + y * np.sin(angle), (y * np.cos(angle) - x * np.sin(angle)) / ratio
    b = 1.9992 * index - 0.3271
    step = camera.pixel / FINE
    profile = np.exp(-b * (np.maximum(np.hypot(along, across), step / 2.0) / radius) ** (1.0 / index))
    profile *= step**2 * b ** (2.0 * index) / (2.0 * np.pi * index * radius**2 * ratio * gamma(2.0 * index))
    seen = seeing(profile, camera.seeing / 2.3548, step).reshape(len(grid) // FINE, FINE, -1, FINE).sum((1, 3))
    stamp: Floats = 10.0 ** (-0.4 * mag) * seen[margin:-margin, margin:-margin]
    return stamp


def seeing(image: Floats, sigma: float, step: float) -> Floats:
    """Smear an image by a Gaussian of this width, both in units of ``step``."""
    rows, columns = np.fft.fftfreq(len(image), step), np.fft.rfftfreq(image.shape[1], step)
    damping = np.exp(-2.0 * (np.pi * sigma) ** 2 * (rows[:, None] ** 2 + columns[None, :] ** 2))
    return np.asarray(np.fft.irfft2(np.fft.rfft2(image) * damping, image.shape))


def pair(camera: Camera, mag: float | None, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw the science and template stamps of a new source, on a galaxy of this magnitude or on none."""
    host = np.zeros((camera.side, camera.side)) if mag is None else galaxy(camera, mag, rng)
    grid = (np.arange(camera.side) - camera.side // 2) * camera.pixel
    point = np.exp(-(grid[:, None] ** 2 + grid[None, :] ** 2) / 2.0 / (camera.seeing / 2.3548) ** 2)
    source = 10.0 ** (-0.4 * rng.uniform(*camera.sources)) * point / point.sum()
    visit, deep = camera.noise(camera.depth), camera.noise(camera.template_depth)
    sky = rng.normal(size=(2, *host.shape))
    return (host + source) / visit + sky[0], host / deep + sky[1]


def share_hostless(name: str, mag: float | None, n: int, seed: int) -> float:
    """Give the share of ``n`` sources that the module calls hostless."""
    camera, rng = CAMERAS[name], np.random.default_rng(seed)
    alerts = [[write_fits(np.asarray(image, np.float32)) for image in pair(camera, mag, rng)] for _ in range(n)]
    length = np.array([[len(science), len(template), 0] for science, template in alerts], np.int64)
    ends = np.cumsum(length.ravel()).reshape(-1, 3)
    stamps = Stamps(Packets.from_bodies([b"".join(alert) for alert in alerts], b'"null"'), Cutouts(ends - length, length), camera.pixel)
    return float(np.nanmean(np.asarray(hostless.function(stamps)["is_hostless"], np.float64)))


def measure(short: bool) -> Result:
    """Measure accuracy by magnitude of the host, and purity at the true rate of sources without one."""
    n = 60 if short else 1000
    figures, rows = dict[str, float](), list[tuple[object, ...]]()
    shares = {(name, mag): share_hostless(name, mag, n, 7) for name in CAMERAS for mag in (None, *MAGNITUDES)}
    for mag in MAGNITUDES:
        rows.append((mag, *(f"{(shares[name, None] + 1.0 - shares[name, mag]) / 2.0:.3f}" for name in CAMERAS)))
    for name in CAMERAS:
        found = shares[name, None]
        mistaken = float(np.mean([shares[name, mag] for mag in MAGNITUDES if 21.0 <= mag <= 23.0]))
        figures[f"{name}_accuracy_21_to_23"] = (found + 1.0 - mistaken) / 2.0
        bright = float(np.mean([shares[name, mag] for mag in MAGNITUDES if mag <= 21.0]))
        figures[f"{name}_accuracy_18_to_21"] = (found + 1.0 - bright) / 2.0
        mixed = float(np.mean([shares[name, mag] for mag in MAGNITUDES if mag <= 23.0]))
        figures[f"{name}_completeness"] = found
        figures[f"{name}_purity"] = BASE_RATE * found / (BASE_RATE * found + (1.0 - BASE_RATE) * mixed)
    table = table_text("Balanced accuracy by magnitude of the host", ("host [mag]", *CAMERAS), rows)
    return Result.of("hostless", figures, GOAL, table)
