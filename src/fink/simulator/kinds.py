"""What the simulator can put on the sky: each kind of object is a way to draw its parameters and a law of its flux."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fink.lightcurves import AB_ZERO

Floats = NDArray[np.float64]
Parameters = Mapping[str, Floats]
FluxLaw = Callable[[Floats, Floats, Parameters], Floats]
"""Difference flux [nJy] of times (m,), wavelengths (m,) and the parameters of each point (m,)."""

REFERENCE = 6300.0
"""Wavelength [Angstrom] at which brightnesses are given; about the r filter of both surveys."""
_HC_OVER_K = 1.438777e8
_HUBBLE_DISTANCE = 4282.7
"""Speed of light over the Hubble constant (70 km/s/Mpc) [Mpc]."""


@dataclass(frozen=True)
class Stage:
    """For what a kind draws its parameters: ``n`` objects, each with a time at which its place is observed.

    Parameters
    ----------
    near
        (n,) middle of an exposure of the night at the object's place, TAI [d].
    faint
        Magnitude at which the survey sees no more.
    """

    near: Floats
    faint: float

    def __len__(self) -> int:
        return len(self.near)


@dataclass(frozen=True)
class Kind:
    """A kind of object.

    Parameters
    ----------
    name
        What the truth calls it.
    share
        Part of a night's alerts that are of this kind.
    place
        Where on the sky: ``galactic``, ``extragalactic``, ``ecliptic`` or ``anywhere``.
    template
        What the template shows there: ``star``, ``galaxy`` or ``none``.
    draw
        Draws the parameters: arrays (n,) by name.
    flux
        Law of its difference flux.
    once
        Seen at its place in one exposure only: it moves, or it is no object at all.
    """

    name: str
    share: float
    place: str
    template: str
    draw: Callable[[np.random.Generator, Stage], dict[str, Floats]]
    flux: FluxLaw
    once: bool = False


def flux_of(mag: Floats) -> Floats:
    """Flux [nJy] of an AB magnitude."""
    return np.asarray(10.0 ** ((AB_ZERO - mag) / 2.5))


def magnitude_of(flux: Floats) -> Floats:
    """AB magnitude of the size of a flux [nJy]."""
    return np.asarray(AB_ZERO - 2.5 * np.log10(np.abs(flux)))


def blackbody(wavelength: Floats, temperature: Floats, reference: Floats | float = REFERENCE) -> Floats:
    """Flux density per frequency of a black body [K] at a wavelength, relative to that at a reference [Angstrom]."""
    bend = np.expm1(np.minimum(_HC_OVER_K / (reference * temperature), 300.0))
    return np.asarray((reference / wavelength) ** 3 * bend / np.expm1(np.minimum(_HC_OVER_K / (wavelength * temperature), 300.0)))


def apparent(rng: np.random.Generator, n: int, bright: float, faint: float, slope: float = 0.35) -> Floats:
    """Draw magnitudes whose counts rise as 10^(slope m) from ``bright`` to ``faint``; a volume evenly filled has 0.6."""
    low, high = 10.0 ** (slope * bright), 10.0 ** (slope * faint)
    return np.asarray(np.log10(low + rng.random(n) * (high - low)) / slope)


_GRID = np.geomspace(1e-4, 5.0, 400)
# the second-order expansion in z with q0 = -0.55: two per cent in distance at z = 0.5
_MODULUS = 5.0 * np.log10(_HUBBLE_DISTANCE * _GRID * (1.0 + 0.775 * _GRID / (1.0 + 0.3 * _GRID))) + 25.0


def redshift_at(modulus: Floats) -> Floats:
    """Redshift at a distance modulus [mag], H0 = 70 km/s/Mpc."""
    return np.interp(modulus, _MODULUS, _GRID)


def arcsec_at(redshift: Floats, kiloparsec: Floats) -> Floats:
    """Angle [arcsec] that a length [kpc] spans at a redshift."""
    distance = 10.0 ** ((np.interp(redshift, _GRID, _MODULUS) - 25.0) / 5.0) / (1.0 + redshift) ** 2
    return np.asarray(kiloparsec / 1000.0 / distance * 206264.8)


def star(rng: np.random.Generator, mag: Floats, temperature: Floats) -> dict[str, Floats]:
    """The template parameters of a star of this magnitude and temperature [K], at the object's own place."""
    n = len(mag)
    angle = rng.uniform(0.0, 360.0, n)
    return {
        "host_mag": mag,
        "host_temperature": temperature,
        "host_separation": np.abs(rng.normal(0.0, 0.08, n)),
        "host_angle": angle,
        "host_size": np.zeros(n),
    }


def galaxy(rng: np.random.Generator, redshift: Floats, *, nuclear: bool = False) -> dict[str, Floats]:
    """The template parameters of a host galaxy at a redshift, seen at its nucleus or some kiloparsecs from it."""
    n = len(redshift)
    size = 10.0 ** rng.normal(0.5, 0.15, n)
    separation = np.abs(rng.normal(0.0, 0.05, n)) if nuclear else arcsec_at(redshift, size * rng.gamma(2.0, 0.6, n))
    return {
        "host_mag": np.interp(redshift, _GRID, _MODULUS) + rng.normal(-19.8, 1.0, n),
        "host_temperature": rng.uniform(4200.0, 5600.0, n),
        "host_separation": separation,
        "host_angle": rng.uniform(0.0, 360.0, n),
        "host_size": arcsec_at(redshift, size),
    }


def nothing(n: int) -> dict[str, Floats]:
    """The template parameters where the template shows nothing."""
    empty = np.full(n, np.nan)
    return {"host_mag": empty, "host_temperature": empty, "host_separation": empty, "host_angle": empty, "host_size": empty}


def template_flux(wavelength: Floats, seeing: Floats, p: Parameters) -> Floats:
    """Flux [nJy] of the template in a point-spread function at the object's place: a star's all, of a galaxy what lies beneath."""
    whole = flux_of(p["host_mag"]) * blackbody(wavelength, p["host_temperature"])
    size = np.maximum(p["host_size"] / 1.678, 1e-3)
    extent = np.hypot(size, seeing / 2.355)
    beneath = np.where(p["host_size"] > 0.0, (seeing / 2.355 / extent) ** 2 * np.exp(-p["host_separation"] / extent), 1.0)
    return np.nan_to_num(whole * beneath)


PARAMETERS: dict[str, str] = {
    "amplitude": "size of the variation [mag]",
    "damping_time": "time after which a damped random walk forgets [d]",
    "decay": "index of the power law of an afterglow's fall",
    "direction": "direction of motion, from east to north [deg]",
    "duration": "length of an outburst or flare [d]",
    "einstein_time": "Einstein crossing time of a microlensing event [d]",
    "epoch_mjd": "reference time of a period or of a motion, TAI [d]",
    "fall": "e-folding time of the fall [d]",
    "host_angle": "position angle of the template's source from the object [deg]",
    "host_mag": "magnitude of the template's source at 6300 Angstrom",
    "host_separation": "distance of the template's source [arcsec]",
    "host_size": "half-light radius of the template's source [arcsec]",
    "host_temperature": "temperature that gives the colour of the template's source [K]",
    "impact": "smallest distance to the lens in Einstein radii",
    "mean_mag": "mean magnitude at 6300 Angstrom",
    "number": "number of a known body",
    "peak_mag": "magnitude at maximum at 6300 Angstrom (microlensing: of the star)",
    "peak_mjd": "time of maximum (afterglow, outburst: of the beginning), TAI [d]",
    "period": "period [d]",
    "rate": "rate of motion [deg/d]",
    "redshift": "redshift",
    "rise": "e-folding time of the rise [d]",
    "seed": "number from which a damped random walk follows",
    "sign": "1 or -1, whether an artefact is bright or dark",
    "temperature": "temperature that gives the colour [K]",
    "width": "width of an eclipse in phase",
}
"""Parameters of all kinds with their meanings and units; the truth has a column for each."""
