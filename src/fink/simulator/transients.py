"""Transients: supernovae of several kinds, tidal disruptions, kilonovae, afterglows, microlensing.

Each is a rise and a fall of brightness at one wavelength and a temperature that falls with it, which gives the colours.
Peak magnitudes and time scales follow the compilations cited beside each kind.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from fink.simulator.kinds import (
    REFERENCE,
    Floats,
    FluxLaw,
    Kind,
    Parameters,
    Stage,
    apparent,
    blackbody,
    flux_of,
    galaxy,
    redshift_at,
    star,
)


def bazin(phase: Floats, rise: Floats, fall: Floats) -> Floats:
    """Rise and fall of a supernova, 1 at its maximum (phase 0); Bazin et al. 2009, doi:10.1051/0004-6361/200911847.

    ``rise`` and ``fall`` [d] are the e-folding times; the maximum of the law lies at rise ln(fall/rise - 1).
    """
    ratio = np.maximum(fall / rise, 1.05)
    t = phase + rise * np.log(ratio - 1.0)
    peak = (ratio - 1.0) ** (-1.0 / ratio) / (1.0 + 1.0 / (ratio - 1.0))
    return np.asarray(np.exp(-np.clip(t / fall, -60.0, 60.0)) / (1.0 + np.exp(np.clip(-t / rise, -60.0, 60.0))) / peak)


def _thermal(wavelength: Floats, temperature: Floats, p: Parameters) -> Floats:
    """Flux per unit of shape [nJy]: the peak flux times the colour of a black body seen at a redshift."""
    rest = 1.0 + p["redshift"]
    return np.asarray(flux_of(p["peak_mag"]) * blackbody(wavelength / rest, temperature, REFERENCE / rest))


def _phase(mjd: Floats, p: Parameters) -> Floats:
    """Days from maximum in the object's own frame."""
    return np.asarray((mjd - p["peak_mjd"]) / (1.0 + p["redshift"]))


def _cooling(phase: Floats, hot: Floats | float, cold: float, scale: float) -> Floats:
    """Temperature [K] that falls from ``hot`` at maximum to ``cold`` with an e-folding time [d]."""
    return np.asarray(cold + (hot - cold) * np.exp(-np.clip(phase, -scale, 50.0 * scale) / scale))


EXPLOSIONS: dict[str, tuple[float, float, float, float, float, float]] = {
    "sn_ia": (-19.1, 0.3, 4.2, 24.0, -14.0, 50.0),
    "sn_ii": (-16.9, 0.8, 3.0, 90.0, -8.0, 90.0),
    "sn_ibc": (-17.4, 0.6, 4.5, 20.0, -12.0, 40.0),
    "slsn": (-21.5, 0.6, 14.0, 55.0, -35.0, 110.0),
    "tde": (-19.6, 0.7, 12.0, 60.0, -25.0, 120.0),
    "kilonova": (-15.8, 0.4, 0.3, 1.6, -0.6, 4.0),
}
"""Absolute magnitude at maximum and its spread, rise and fall times [d], and days before and after maximum in which it is met."""


def _draw_explosion(name: str, rng: np.random.Generator, stage: Stage) -> dict[str, Floats]:
    """Draw what all explosions have: distance, maximum, time scales, host."""
    n = len(stage)
    absolute, spread, rise, fall, before, after = EXPLOSIONS[name]
    mag = apparent(rng, n, stage.faint - 4.5, stage.faint + 0.2)
    redshift = redshift_at(mag - (absolute + rng.normal(0.0, spread, n)))
    stretch = np.exp(rng.normal(0.0, 0.12, (2, n)))
    return {
        "peak_mag": mag,
        "redshift": redshift,
        "peak_mjd": stage.near - rng.uniform(before, after, n) * (1.0 + redshift),
        "rise": rise * stretch[0],
        "fall": fall * stretch[1],
    } | galaxy(rng, redshift, nuclear=name == "tde")


def sn_ia_flux(mjd: Floats, wavelength: Floats, p: Parameters) -> Floats:
    """Flux of a type Ia supernova, with the second maximum in the red; doi:10.1086/511180, doi:10.1051/0004-6361/200911847."""
    phase = _phase(mjd, p)
    red = np.clip((wavelength / (1.0 + p["redshift"]) - 6500.0) / 1500.0, 0.0, 1.0)
    second = 0.35 * red * np.exp(-0.5 * ((phase - 24.0) / 7.0) ** 2)
    return _thermal(wavelength, _cooling(phase, 11000.0, 4800.0, 22.0), p) * (bazin(phase, p["rise"], p["fall"]) + second)


def sn_ii_flux(mjd: Floats, wavelength: Floats, p: Parameters) -> Floats:
    """Flux of a type II supernova: a fast rise, a plateau of 100 d, a fall of two magnitudes; doi:10.1088/0004-637X/786/1/67."""
    phase = _phase(mjd, p)
    rise = 1.0 / (1.0 + np.exp(-np.clip((phase + 4.0) / p["rise"] * 2.5, -60.0, 60.0)))
    plateau = np.exp(-np.clip(phase, 0.0, None) / p["fall"])
    end = 0.12 + 0.88 / (1.0 + np.exp(np.clip((phase - 95.0) / 4.0, -60.0, 60.0)))
    return _thermal(wavelength, _cooling(phase, 13000.0, 5500.0, 20.0), p) * rise * plateau * end


def sn_ibc_flux(mjd: Floats, wavelength: Floats, p: Parameters) -> Floats:
    """Flux of a stripped-envelope supernova; doi:10.1093/mnras/stv2983."""
    phase = _phase(mjd, p)
    return _thermal(wavelength, _cooling(phase, 8000.0, 4800.0, 15.0), p) * bazin(phase, p["rise"], p["fall"])


def slsn_flux(mjd: Floats, wavelength: Floats, p: Parameters) -> Floats:
    """Flux of a hydrogen-poor superluminous supernova, hot and slow; doi:10.1093/mnras/stae2270."""
    phase = _phase(mjd, p)
    return _thermal(wavelength, _cooling(phase, 15000.0, 6000.0, 40.0), p) * bazin(phase, p["rise"], p["fall"])


def tde_flux(mjd: Floats, wavelength: Floats, p: Parameters) -> Floats:
    """Flux of a tidal disruption: a Gaussian rise, then a fall with the power -5/3, at one temperature; doi:10.3847/1538-4357/abc258."""
    phase = _phase(mjd, p)
    fall = (1.0 + np.maximum(phase, 0.0) / p["fall"]) ** (-5.0 / 3.0)
    shape = np.where(phase < 0.0, np.exp(-0.5 * (phase / p["rise"]) ** 2), fall)
    return _thermal(wavelength, np.full_like(phase, 22000.0), p) * shape


def kilonova_flux(mjd: Floats, wavelength: Floats, p: Parameters) -> Floats:
    """Flux of a kilonova: over in days, turning red as it fades; after AT2017gfo, doi:10.3847/2041-8213/aa8fc7."""
    phase = _phase(mjd, p)
    return _thermal(wavelength, _cooling(phase, 7500.0, 2400.0, 1.6), p) * bazin(phase, p["rise"], p["fall"])


def _draw_afterglow(rng: np.random.Generator, stage: Stage) -> dict[str, Floats]:
    """Draw afterglows seen within two days of the burst, at redshifts of a few tenths to three."""
    n = len(stage)
    redshift = rng.gamma(2.5, 0.5, n) + 0.1
    delay = 10.0 ** rng.uniform(-1.7, 0.2, n)
    index = rng.uniform(0.9, 1.6, n)
    mag = apparent(rng, n, stage.faint - 4.0, stage.faint - 0.2) + 2.5 * index * np.log10(0.05 / delay)
    return {"peak_mag": mag, "redshift": redshift, "peak_mjd": stage.near - delay, "decay": index} | galaxy(rng, redshift)


def afterglow_flux(mjd: Floats, wavelength: Floats, p: Parameters) -> Floats:
    """Flux of a gamma-ray burst's afterglow: a power law in time and in frequency; ``peak_mag`` is that at 0.05 d; doi:10.1086/311160."""
    t = mjd - p["peak_mjd"]
    fade = (np.maximum(t, 2e-3) / 0.05) ** -p["decay"] * (wavelength / REFERENCE) ** 0.75
    return np.where(t > 0.0, flux_of(p["peak_mag"]) * fade, 0.0)


def _draw_microlensing(rng: np.random.Generator, stage: Stage) -> dict[str, Floats]:
    """Draw stars that a nearer star magnifies."""
    n = len(stage)
    einstein = 10.0 ** rng.normal(1.4, 0.3, n)
    temperature = rng.uniform(3800.0, 6500.0, n)
    star_mag = apparent(rng, n, stage.faint - 4.0, stage.faint + 0.8)
    return {
        "peak_mjd": stage.near - rng.normal(0.0, 0.7, n) * einstein,
        "einstein_time": einstein,
        "impact": rng.uniform(0.02, 0.8, n),
        "peak_mag": star_mag,
        "temperature": temperature,
    } | star(rng, star_mag, temperature)


def magnification(mjd: Floats, p: Parameters) -> Floats:
    """Magnification of a point source by a point lens; Paczyński 1986, doi:10.1086/164140."""
    u2 = p["impact"] ** 2 + ((mjd - p["peak_mjd"]) / p["einstein_time"]) ** 2
    return np.asarray((u2 + 2.0) / np.sqrt(u2 * (u2 + 4.0)))


def microlensing_flux(mjd: Floats, wavelength: Floats, p: Parameters) -> Floats:
    """Flux that lensing adds to a star: without colour."""
    return flux_of(p["peak_mag"]) * blackbody(wavelength, p["temperature"]) * (magnification(mjd, p) - 1.0)


def _exploding(name: str, share: float, flux: FluxLaw) -> Kind:
    """Declare a kind of explosion, drawn by `_draw_explosion`."""
    return Kind(name, share, "extragalactic", "galaxy", partial(_draw_explosion, name), flux)


KINDS: tuple[Kind, ...] = (
    _exploding("sn_ia", 0.060, sn_ia_flux),
    _exploding("sn_ii", 0.035, sn_ii_flux),
    _exploding("sn_ibc", 0.010, sn_ibc_flux),
    _exploding("slsn", 0.008, slsn_flux),
    _exploding("tde", 0.008, tde_flux),
    _exploding("kilonova", 0.004, kilonova_flux),
    Kind("afterglow", 0.004, "extragalactic", "galaxy", _draw_afterglow, afterglow_flux),
    Kind("microlensing", 0.011, "galactic", "star", _draw_microlensing, microlensing_flux),
)
