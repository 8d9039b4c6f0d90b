"""Variables: pulsating and eclipsing stars, active nuclei, dwarf novae, flares. Their template is their mean brightness."""

from __future__ import annotations

import numpy as np

from fink.simulator.kinds import Floats, Kind, Parameters, Stage, apparent, blackbody, flux_of, galaxy, redshift_at, star

_MODES = 20
_GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0


def _star(rng: np.random.Generator, stage: Stage, *, bright: float, faint: float, temperatures: tuple[float, float]) -> dict[str, Floats]:
    """Draw stars between two magnitudes, relative to the survey's limit, and two temperatures [K]."""
    n = len(stage)
    temperature = rng.uniform(*temperatures, n)
    mag = apparent(rng, n, stage.faint - bright, stage.faint - faint, slope=0.2)
    return {"mean_mag": mag, "temperature": temperature} | star(rng, mag, temperature)


def _around_mean(wavelength: Floats, delta: Floats, p: Parameters) -> Floats:
    """Difference flux [nJy] of a star that is ``delta`` magnitudes fainter than its mean."""
    return np.asarray(flux_of(p["mean_mag"]) * blackbody(wavelength, p["temperature"]) * np.expm1(-0.4 * np.log(10.0) * delta))


def _draw_rr_lyrae(rng: np.random.Generator, stage: Stage) -> dict[str, Floats]:
    """Draw RR Lyrae stars of type ab."""
    n = len(stage)
    period = np.clip(rng.normal(0.56, 0.07, n), 0.4, 0.9)
    return {
        "period": period,
        "amplitude": np.clip(2.1 - 1.9 * period + rng.normal(0.0, 0.15, n), 0.3, 1.5),
        "epoch_mjd": stage.near - rng.random(n) * period,
    } | _star(rng, stage, bright=5.0, faint=0.8, temperatures=(6200.0, 7200.0))


def rr_lyrae_flux(mjd: Floats, wavelength: Floats, p: Parameters) -> Floats:
    """Flux of an RR Lyrae star: a steep rise and a slow fall, larger in the blue; Sesar et al. 2010, doi:10.1088/0004-637X/708/1/717."""
    angle = 2.0 * np.pi * ((mjd - p["epoch_mjd"]) / p["period"] % 1.0)
    saw = sum(np.sin(k * angle + 0.3) / k**1.15 for k in range(1, 6)) / 3.2
    return _around_mean(wavelength, -p["amplitude"] * (4746.0 / wavelength) ** 0.9 * saw, p)


def _draw_eclipsing(rng: np.random.Generator, stage: Stage) -> dict[str, Floats]:
    """Draw eclipsing binaries."""
    n = len(stage)
    period = 10.0 ** rng.normal(-0.2, 0.4, n)
    return {
        "period": period,
        "amplitude": rng.uniform(0.25, 0.9, n),
        "width": rng.uniform(0.04, 0.12, n),
        "epoch_mjd": stage.near - rng.random(n) * period,
    } | _star(rng, stage, bright=5.0, faint=1.2, temperatures=(4500.0, 9000.0))


def eclipsing_flux(mjd: Floats, wavelength: Floats, p: Parameters) -> Floats:
    """Flux of an eclipsing binary: a deep and a shallow eclipse in each period, and ellipsoidal waves; doi:10.1088/0004-6256/141/3/83."""
    phase = (mjd - p["epoch_mjd"]) / p["period"] % 1.0
    first = np.exp(-0.5 * (np.minimum(phase, 1.0 - phase) / p["width"]) ** 2)
    second = 0.6 * np.exp(-0.5 * ((phase - 0.5) / p["width"]) ** 2)
    return _around_mean(wavelength, p["amplitude"] * (first + second + 0.08 * np.cos(4.0 * np.pi * phase) - 0.2), p)


def _draw_mira(rng: np.random.Generator, stage: Stage) -> dict[str, Floats]:
    """Draw Mira variables."""
    n = len(stage)
    period = np.clip(rng.normal(300.0, 80.0, n), 100.0, 600.0)
    return {
        "period": period,
        "amplitude": rng.uniform(0.8, 2.5, n),
        "epoch_mjd": stage.near - rng.random(n) * period,
    } | _star(rng, stage, bright=6.0, faint=1.5, temperatures=(2500.0, 3300.0))


def mira_flux(mjd: Floats, wavelength: Floats, p: Parameters) -> Floats:
    """Flux of a Mira: one slow, large wave, larger in the blue; doi:10.1088/0004-637X/723/2/1195."""
    phase = 2.0 * np.pi * (mjd - p["epoch_mjd"]) / p["period"]
    wave = np.sin(phase) + 0.2 * np.sin(2.0 * phase + 0.6)
    return _around_mean(wavelength, p["amplitude"] * (6300.0 / wavelength) ** 0.6 * wave, p)


def _draw_agn(rng: np.random.Generator, stage: Stage) -> dict[str, Floats]:
    """Draw active galactic nuclei."""
    n = len(stage)
    mag = apparent(rng, n, stage.faint - 4.5, stage.faint - 1.2)
    redshift = redshift_at(mag + rng.uniform(20.0, 24.0, n))
    host = galaxy(rng, redshift, nuclear=True)
    host["host_mag"] = -2.5 * np.log10(10.0 ** (-0.4 * host["host_mag"]) + 10.0 ** (-0.4 * mag))
    return {
        "mean_mag": mag,
        "redshift": redshift,
        "damping_time": 10.0 ** rng.normal(2.2, 0.25, n) * (1.0 + redshift),
        "amplitude": np.exp(rng.normal(np.log(0.22), 0.3, n)),
        "seed": rng.random(n),
    } | host


def damped_walk(mjd: Floats, p: Parameters) -> Floats:
    """A Gaussian process with the spectrum of a damped random walk, of variance 1; doi:10.1088/0004-637X/698/1/895.

    The sum of 20 waves with frequencies spaced evenly in logarithm, weighted by the walk's power: a law of time alone, which
    can be asked at any time and always answers the same.
    """
    scaled = np.geomspace(0.03, 40.0, _MODES)
    weight = np.sqrt(2.0 * scaled / (1.0 + scaled**2) / np.sum(scaled / (1.0 + scaled**2)))
    total = np.zeros_like(mjd)
    for mode in range(_MODES):
        phase = 2.0 * np.pi * (p["seed"] * (mode + 1.0) * 997.0 * _GOLDEN % 1.0)
        total += weight[mode] * np.cos(scaled[mode] * (mjd - 60000.0) / p["damping_time"] + phase)
    return total


def agn_flux(mjd: Floats, wavelength: Floats, p: Parameters) -> Floats:
    """Flux of an active nucleus around its mean, bluer when brighter."""
    delta = p["amplitude"] * (4800.0 / wavelength) ** 0.5 * damped_walk(mjd, p)
    return np.asarray(flux_of(p["mean_mag"]) * (wavelength / 6300.0) ** 0.3 * np.expm1(-0.4 * np.log(10.0) * delta))


def _draw_dwarf_nova(rng: np.random.Generator, stage: Stage) -> dict[str, Floats]:
    """Draw dwarf novae near an outburst."""
    n = len(stage)
    peak = apparent(rng, n, stage.faint - 5.0, stage.faint - 0.5)
    quiet = peak + rng.uniform(2.5, 5.5, n)
    duration = rng.uniform(4.0, 14.0, n)
    return {
        "peak_mag": peak,
        "duration": duration,
        "peak_mjd": stage.near - rng.uniform(-0.5, 1.0, n) * duration,
    } | star(rng, quiet, np.full(n, 9000.0))


def dwarf_nova_flux(mjd: Floats, wavelength: Floats, p: Parameters) -> Floats:
    """Flux of a dwarf nova's outburst: up in half a day, a plateau, down in days; Lasota 2001, doi:10.1016/S1387-6473(01)00112-9."""
    t = mjd - p["peak_mjd"]
    up = 1.0 / (1.0 + np.exp(-np.clip(t / 0.25, -60.0, 60.0)))
    down = 1.0 / (1.0 + np.exp(np.clip((t - p["duration"]) / 1.2, -60.0, 60.0)))
    slope = 10.0 ** (-0.4 * 0.1 * np.clip(t, 0.0, None))
    return flux_of(p["peak_mag"]) * blackbody(wavelength, np.full_like(t, 12000.0)) * up * down * slope


def _draw_flare(rng: np.random.Generator, stage: Stage) -> dict[str, Floats]:
    """Draw flares of M dwarfs, begun minutes before the exposure."""
    n = len(stage)
    quiet = apparent(rng, n, stage.faint - 3.0, stage.faint + 1.5)
    width = 10.0 ** rng.normal(-2.0, 0.2, n)
    return {
        "peak_mag": apparent(rng, n, stage.faint - 3.0, stage.faint - 0.3),
        "duration": width,
        "peak_mjd": stage.near - rng.uniform(-0.3, 1.5, n) * width,
    } | star(rng, quiet, rng.uniform(2800.0, 3500.0, n))


def flare_flux(mjd: Floats, wavelength: Floats, p: Parameters) -> Floats:
    """Flux of a flare: a rise of minutes and a fall in two exponentials, hot; Davenport et al. 2014, doi:10.1088/0004-637X/797/2/122."""
    t = (mjd - p["peak_mjd"]) / p["duration"]
    fall = 0.6890 * np.exp(-1.600 * np.clip(t, 0.0, 400.0)) + 0.3030 * np.exp(-0.2783 * np.clip(t, 0.0, 2000.0))
    r = np.clip(t, -1.0, 0.0)
    rise = 1.0 + 1.941 * r - 0.175 * r**2 - 2.246 * r**3 - 1.125 * r**4
    shape = np.where(t > 0.0, fall, np.where(t > -1.0, np.maximum(rise, 0.0), 0.0))
    return flux_of(p["peak_mag"]) * blackbody(wavelength, np.full_like(t, 10000.0)) * shape


KINDS: tuple[Kind, ...] = (
    Kind("rr_lyrae", 0.14, "galactic", "star", _draw_rr_lyrae, rr_lyrae_flux),
    Kind("eclipsing_binary", 0.13, "galactic", "star", _draw_eclipsing, eclipsing_flux),
    Kind("mira", 0.08, "galactic", "star", _draw_mira, mira_flux),
    Kind("agn", 0.14, "extragalactic", "galaxy", _draw_agn, agn_flux),
    Kind("dwarf_nova", 0.03, "galactic", "star", _draw_dwarf_nova, dwarf_nova_flux),
    Kind("flare", 0.02, "anywhere", "star", _draw_flare, flare_flux),
)

LASTING = KINDS[:4]
"""Kinds that vary as long as they are watched."""
