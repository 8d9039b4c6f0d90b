"""What is at its place in one exposure only: asteroids, near-Earth objects, and artefacts of the images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fink.simulator.kinds import Floats, Kind, Parameters, Stage, apparent, blackbody, flux_of, nothing
from fink.sky import OBLIQUITY

_SUN = 5772.0
_HALF_MONTHS = "ABCDEFGHJKLMNOPQRSTUVWXY"
_SECOND = "ABCDEFGHJKLMNOPQRSTUVWXYZ"


def _draw_body(rng: np.random.Generator, stage: Stage, rates: tuple[float, float], known: float) -> dict[str, Floats]:
    """Draw bodies with rates of motion [deg/d] along the ecliptic, a rotation, and a designation if they are known."""
    n = len(stage)
    rate = rng.uniform(*rates, n)
    direction = rng.normal(180.0, 12.0, n) if rates[1] < 1.0 else rng.uniform(0.0, 360.0, n)
    return {
        "mean_mag": apparent(rng, n, stage.faint - 4.0, stage.faint - 0.1),
        "rate": rate,
        "direction": direction,
        "period": 10.0 ** rng.normal(-0.5, 0.25, n),
        "amplitude": rng.gamma(2.0, 0.1, n),
        "epoch_mjd": stage.near,
        "number": np.where(rng.random(n) < known, rng.integers(1000, 640000, n), -1).astype(np.float64),
    } | nothing(n)


def body_flux(mjd: Floats, wavelength: Floats, p: Parameters) -> Floats:
    """Flux of sunlight that a turning body throws back; two maxima in a turn."""
    turn = p["amplitude"] / 2.0 * np.cos(4.0 * np.pi * (mjd - p["epoch_mjd"]) / p["period"])
    return flux_of(p["mean_mag"] + turn) * blackbody(wavelength, np.full_like(mjd, _SUN)) * (wavelength / 6300.0) ** 0.25


def _draw_asteroid(rng: np.random.Generator, stage: Stage) -> dict[str, Floats]:
    """Draw main-belt asteroids near opposition: they move backwards by a fifth of a degree a day, and nine in ten are known."""
    return _draw_body(rng, stage, (0.15, 0.28), 0.9)


def _draw_near_earth(rng: np.random.Generator, stage: Stage) -> dict[str, Floats]:
    """Draw near-Earth objects: they move by degrees a day, and half of them are known."""
    return _draw_body(rng, stage, (0.8, 6.0), 0.5)


def _draw_artefact(rng: np.random.Generator, stage: Stage) -> dict[str, Floats]:
    """Draw residuals of bad subtractions, cosmic rays and ghosts."""
    n = len(stage)
    return {"mean_mag": apparent(rng, n, stage.faint - 3.0, stage.faint - 0.1), "sign": np.where(rng.random(n) < 0.6, 1.0, -1.0)} | nothing(
        n
    )


def artefact_flux(mjd: Floats, wavelength: Floats, p: Parameters) -> Floats:
    """Flux of an artefact: as likely in any filter."""
    return flux_of(p["mean_mag"]) * p["sign"] + 0.0 * mjd * wavelength


def displacement(mjd: Floats, p: Parameters) -> tuple[Floats, Floats]:
    """How far a body has moved along right ascension and declination on the sky [deg] since its epoch, in a straight line."""
    along = (mjd - p["epoch_mjd"]) * p["rate"]
    angle = np.radians(p["direction"] + OBLIQUITY * 0.5)
    return along * np.cos(angle), along * np.sin(angle)


def designation(number: Floats) -> NDArray[np.object_]:
    """Give each body's provisional designation, such as ``2011 QR54``, and None where it has none."""
    code = np.maximum(number, 0).astype(np.int64)
    names = np.array(
        [f"{1995 + c % 29} {_HALF_MONTHS[c // 29 % 24]}{_SECOND[c // 696 % 25]}{c // 17400 or ''}" for c in np.unique(code).tolist()],
        dtype=object,
    )
    named = names[np.searchsorted(np.unique(code), code)]
    named[number < 0] = None
    return named


KINDS: tuple[Kind, ...] = (
    Kind("asteroid", 0.18, "ecliptic", "none", _draw_asteroid, body_flux, once=True),
    Kind("near_earth_object", 0.01, "ecliptic", "none", _draw_near_earth, body_flux, once=True),
    Kind("artefact", 0.13, "anywhere", "none", _draw_artefact, artefact_flux, once=True),
)
