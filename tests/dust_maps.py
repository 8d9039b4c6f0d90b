"""Small maps of dust in the form of Schlegel, Finkbeiner and Davis, for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

NAMES = {1: "SFD_dust_4096_ngp.fits", -1: "SFD_dust_4096_sgp.fits"}


def header_of(pole: int, size: int) -> fits.Header:
    """Make the header of a polar map: the keywords of the maps, and the same said in the terms of the FITS standard."""
    header, middle, scale = fits.Header(), size / 2 + 0.5, size / 2
    step = np.degrees(np.sqrt(2.0)) / scale  # Lambert's radius is twice the sine of half the angle: the equator's is the root of two
    for axis, name, value in ((1, "GLON-ZEA", 90.0), (2, "GLAT-ZEA", 90.0 * pole)):
        header[f"CTYPE{axis}"], header[f"CRVAL{axis}"], header[f"CRPIX{axis}"] = name, value, middle
    header["CD1_1"], header["CD1_2"], header["CD2_1"], header["CD2_2"] = -step, 0.0, 0.0, step
    header["LONPOLE"], header["LAM_NSGP"], header["LAM_SCAL"] = 180.0, pole, scale
    return header


def reddening_map(pole: int, size: int) -> NDArray[np.float32]:
    """Draw dust: more towards the edge, which is the plane of the Milky Way, and uneven."""
    rng = np.random.default_rng(10 + pole)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return np.asarray(0.02 + 0.5 * np.hypot(x, y) / size + 0.2 * rng.random((size, size)), np.float32)


def write_dust_maps(artifacts: Path, size: int = 64) -> Path:
    """Write both maps where they are looked for, and give the folder of artifacts."""
    folder = artifacts / "sfd"
    folder.mkdir(parents=True, exist_ok=True)
    for pole, name in NAMES.items():
        fits.PrimaryHDU(reddening_map(pole, size), header_of(pole, size)).writeto(folder / name)
    return artifacts
