"""Distances in the universe: a flat one with a cosmological constant, and the parameters of Planck 2018.

Planck Collaboration 2020, doi:10.1051/0004-6361/201833910. The comoving distance is Hubble's integral, done by Gauss and Legendre's rule in
the logarithm of the scale factor; of the neutrinos one counts as matter, two as radiation. Distances agree with those of astropy to 3 in
10,000 up to a redshift of 6.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

H0 = 67.66
"""Hubble's constant [km / s / Mpc]."""

MATTER, RADIATION = 0.31107, 7.9e-5
"""Densities today over the critical one; the cosmological constant makes up the rest. Of the neutrinos the heavy one is matter."""

SPEED_OF_LIGHT = 299_792.458
"""[km / s]"""

KPC_OF_ARCSEC = np.pi / 180.0 / 3600.0 * 1000.0
"""Size of an arcsec at an angular-diameter distance of one Mpc [kpc]."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_FARTHEST = 20.0


def comoving_distance(redshift: ArrayLike) -> Floats:
    """Give the comoving distance [Mpc] at redshifts, (n,); NaN where one is negative."""
    z = np.asarray(redshift, np.float64)
    span = np.log1p(np.where(z >= 0.0, z, np.nan))
    # in u = ln(1 + z), dz / E = exp(u) du / E
    growth = np.exp(0.5 * span[..., None] * (_NODES + 1.0))
    rate = np.sqrt(MATTER * growth**3 + RADIATION * growth**4 + (1.0 - MATTER - RADIATION))
    return np.asarray(SPEED_OF_LIGHT / H0 * 0.5 * span * (_WEIGHTS * growth / rate).sum(axis=-1))


def luminosity_distance(redshift: ArrayLike) -> Floats:
    """Give the luminosity distance [Mpc] at redshifts, (n,)."""
    return comoving_distance(redshift) * (1.0 + np.asarray(redshift, np.float64))


def redshift_at(distance: ArrayLike) -> Floats:
    """Give the redshift at luminosity distances [Mpc], (n,); NaN where there is none below 20."""
    redshifts, distances = _table()
    return np.interp(np.asarray(distance, np.float64), distances, redshifts, left=np.nan, right=np.nan)


def distance_modulus(distance: ArrayLike) -> Floats:
    """Give apparent minus absolute magnitude at luminosity distances [Mpc], (n,); NaN where one is not positive."""
    d = np.asarray(distance, np.float64)
    return np.where(d > 0.0, 5.0 * np.log10(np.where(d > 0.0, d, 1.0)) + 25.0, np.nan)


@cache
def _table() -> tuple[Floats, Floats]:
    redshifts = np.concatenate([[0.0], np.expm1(np.linspace(1e-4, np.log1p(_FARTHEST), 8192))])
    return redshifts, luminosity_distance(redshifts)
