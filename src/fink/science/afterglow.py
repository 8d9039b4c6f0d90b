"""Afterglow: how a fading source decays, as a power law in time and frequency, and as the light of a jet seen from the side.

*Decay.* The difference fluxes from the brightest point on are fitted with ``decay_flux (t - onset) ** -decay_index`` in every band, bands
differing as ``nu ** -decay_spectral_index``: the afterglow of a gamma-ray burst seen along its jet has indices near 1 and 0.7 (Sari, Piran
and Narayan 1998, doi:10.1086/311269), a supernova or an active galaxy none. The onset is free, from minutes to 100 days before the
brightest point; it is a time of burst to compare with notices. Detections and forced photometry count, one point of each exposure.

*Orphans.* A jet seen from the side first brightens. The magnitudes of three sigma or more, from the first detection on, are fitted with
``A t + B + C exp(-D t)`` (Masson and Bregeon 2024, arXiv:2412.05061), bands differing by a spectral index between 0.6 and 1.1 as for
electrons of index 2.2; `afterglow_slope` is A, in which it fades in the end. The paper's other features come beside: the time from the
first point to the brightest, the mean rate until then, and the mean rates in the first and last third of the time after, between
neighbours of one band a tenth of a day or more apart.

Each error has 3 % (0.03 mag) added in quadrature. It runs on what is at most 30 days old, was seen four times and fades. Where there is
only one band its spectral index is not measured and null. Against scipy started at the truth, the minimum is the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from fink.columns import Column
from fink.fitting.points import Points, transient_points
from fink.fitting.solver import Fits
from fink.fitting.transients import fit_afterglow, fit_power_law
from fink.lightcurves import LIMIT, LightCurves, magnitude
from fink.science import Columns, science_module, with_error

ERROR_FLOOR, MAG_FLOOR = 0.03, 0.03
"""Added to each error: as a fraction of the highest flux, and [mag]."""

MIN_SNR = 3.0
MIN_GAP = 0.1
"""Least time between two points that give a rate [d]."""

_F4, _F8 = pa.float32(), pa.float64()
_MAG_OF_RELATIVE = 2.5 / np.log(10.0)
_INDEX = "spect.index"
_RATE = "arith.rate;phot.mag"
_RATES = {
    "afterglow_rise_duration": ("d", "time.duration", "Time from the first point to the brightest"),
    "afterglow_rise_rate": ("mag / d", _RATE, "Mean rate of the magnitude until the brightest point; negative is brightening"),
    "afterglow_early_rate": ("mag / d", _RATE, "Mean rate of the magnitude in the first third of the time after the brightest point"),
    "afterglow_late_rate": ("mag / d", _RATE, "Mean rate of the magnitude in the last third of the time after the brightest point"),
}


def _fit_columns(of: str) -> tuple[Column, Column]:
    return (
        Column(f"{of}_chi2", _F4, "", "stat.fit.chi2", f"Chi-square of the {of} over its degrees of freedom"),
        Column(f"{of}_fit", pa.string(), "", "meta.code;stat.fit", f"How the fit of the {of} ended: converged, at bound or not converged"),
    )


@science_module(
    version="1.0",
    outputs=(
        *with_error("decay_index", _F4, "", "stat.fit.param", "Index of the power law in time by which the flux decays"),
        *with_error("decay_spectral_index", _F4, "", _INDEX, "Index of the power law in frequency by which the bands differ"),
        *with_error(
            "decay_flux", _F4, "nJy", "phot.flux", "Flux of the decay one day after its brightest point, in the band of that point"
        ),
        *with_error("decay_onset_mjd", _F8, "d", "time.start;phot.flux", "Time from which the decay counts, MJD in TAI"),
        *_fit_columns("decay"),
        *with_error("afterglow_slope", _F4, "mag / d", _RATE, "A of an orphan afterglow: rate of the magnitude in the end"),
        *with_error("afterglow_level", _F4, "mag", "phot.mag", "B of an orphan afterglow, in the band of its first point"),
        *with_error(
            "afterglow_height", _F4, "mag", "phot.mag;arith.diff", "C of an orphan afterglow: how far it began from its later line"
        ),
        *with_error(
            "afterglow_bend", _F4, "d**-1", "stat.fit.param", "D of an orphan afterglow: rate at which it approaches its later line"
        ),
        Column("afterglow_spectral_index", _F4, "", _INDEX, "Spectral index of an orphan afterglow, held between 0.6 and 1.1"),
        *_fit_columns("afterglow"),
        *(Column(name, _F4, *declared) for name, declared in _RATES.items()),
    ),
    where="n_detections >= 4 AND age <= 30 AND fading AND positive"
    " AND NOT is_known_sso AND NOT is_sso_candidate AND NOT is_on_star AND n_extra_crossings <= 1",
    reference="doi:10.48550/arXiv.2412.05061",
)
def afterglow(lightcurves: LightCurves) -> Columns:
    """Fit the decay after the brightest point, and the magnitudes of the whole."""
    keep, _ = transient_points(lightcurves, 0.0)
    keep &= lightcurves.kind != LIMIT
    wavelengths = tuple(lightcurves.wavelengths)
    fluxes = Points.of_light_curves(lightcurves, keep).with_floor(ERROR_FLOOR)
    after = fluxes.select(_from_brightest(fluxes.offsets, fluxes.value, fluxes.error))
    decay = fit_power_law(after.with_spare(len(wavelengths), 3), wavelengths=wavelengths)
    mags = _magnitudes(lightcurves, keep)
    orphan = fit_afterglow(mags.with_spare(len(wavelengths), 4), wavelengths)
    rates = _rates(mags.offsets, mags.time, mags.band, mags.value, len(wavelengths))
    return _decay_columns(decay, after) | _orphan_columns(orphan) | {name: rates[:, i] for i, name in enumerate(_RATES)}


def _decay_columns(fits: Fits, after: Points) -> dict[str, Any]:
    first = np.full(len(after), np.nan)
    filled = np.diff(after.offsets) > 0
    first[filled] = after.time[after.offsets[:-1][filled]]
    names = {"decay_index": "index", "decay_spectral_index": "spectral_index", "decay_flux": "flux_at_1d"}
    columns: dict[str, Any] = {"decay_chi2": fits.reduced_chi2, "decay_fit": fits.outcome}
    columns |= {"decay_onset_mjd": first - fits.value("lead"), "decay_onset_mjd_err": fits.error("lead")}
    return columns | _measured(fits, names)


def _orphan_columns(fits: Fits) -> dict[str, Any]:
    names = {f"afterglow_{name}": name for name in ("slope", "level", "height", "spectral_index")} | {"afterglow_bend": "rate"}
    columns = {"afterglow_chi2": fits.reduced_chi2, "afterglow_fit": fits.outcome} | _measured(fits, names)
    del columns["afterglow_spectral_index_err"]  # within bounds so narrow it says nothing
    return columns


def _measured(fits: Fits, names: dict[str, str]) -> dict[str, Any]:
    """Give parameters with their errors; a spectral index that the bands do not measure is NaN."""
    columns: dict[str, Any] = {}
    for column, name in names.items():
        value, error = fits.value(name), fits.error(name)
        if name == "spectral_index":
            value = np.where(fits.n_free == len(fits.parameters), value, np.nan)
        columns |= {column: value, f"{column}_err": error}
    return columns


def _magnitudes(lightcurves: LightCurves, keep: NDArray[np.bool_]) -> Points:
    """Give the magnitudes of the points of three sigma or more."""
    flux, error = lightcurves.flux.astype(np.float64), lightcurves.flux_err.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        good = keep & (flux >= MIN_SNR * error)
        relative = np.hypot(_MAG_OF_RELATIVE * error / flux, MAG_FLOOR)
    mag = np.where(good, magnitude(np.where(good, flux, np.nan)), np.nan)
    return Points.of(lightcurves.offsets, lightcurves.mjd, lightcurves.band, mag, relative)


@njit(cache=True, nogil=True)
def _from_brightest(offsets: Any, value: Any, error: Any) -> Any:
    """Say which points are the brightest of their row, less its error, or come after it."""
    keep = np.zeros(len(value), np.bool_)
    for i in range(len(offsets) - 1):
        best = offsets[i]
        for j in range(offsets[i], offsets[i + 1]):
            if value[j] - error[j] > value[best] - error[best]:
                best = j
        keep[best : offsets[i + 1]] = True
    return keep


@njit(cache=True, nogil=True, error_model="numpy")
def _rates(offsets: Any, time: Any, band: Any, mag: Any, n_bands: int) -> Any:
    """Give the time to the brightest point and the mean rates before, early after and late after it, (n, 4)."""
    out = np.full((len(offsets) - 1, 4), np.nan)
    for i in range(len(out)):
        first, last = offsets[i], offsets[i + 1] - 1
        if last < first:
            continue
        peak = first + np.argmin(mag[first : last + 1])
        out[i, 0] = time[peak] - time[first]
        third = (time[last] - time[peak]) / 3.0
        sums, counts, before = np.zeros(3), np.zeros(3), np.full(n_bands, -1, np.int64)
        for j in range(first, last + 1):
            k = before[band[j]]
            if k >= 0 and time[j] - time[k] < MIN_GAP:
                continue
            before[band[j]] = j
            if k < 0:
                continue
            rate = (mag[j] - mag[k]) / (time[j] - time[k])
            for part in range(3):
                begin = (time[first], time[peak], time[last] - third)[part]
                end = (time[peak], time[peak] + third, time[last])[part]
                if begin <= 0.5 * (time[j] + time[k]) <= end:
                    sums[part] += rate
                    counts[part] += 1.0
        out[i, 1:] = sums / counts
    return out
