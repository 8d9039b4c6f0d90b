"""Rise: a sigmoid through the rising part of the light curve, in each band: what tells early supernovae apart.

The points of a band in one night are averaged (weights from the errors), and the nights are kept at which the running mean of the
flux does not fall: each night weighs three quarters of the one after it (Leoni et al. 2022, doi:10.1051/0004-6361/202142715). Through
them goes ``amplitude / (1 + exp(-(t - half_mjd) / time))``, where there are four. The paper's a, b and c are ``1 / rise_time``,
``rise_half_mjd - rise_begin_mjd`` and ``rise_amplitude``; its signal-to-noise ratio is `rise_snr` and its number of points
`n_rise_points`. Where a source falls for longer than it rose, what is kept is its wandering and not a rise; chi-square says so.

What differs from the paper: points are weighted by their errors, with 3 % of the highest flux added in quadrature; a night is
half a day from its first point, not a rounded date; forced photometry counts, from 60 days before the first detection on; there
are bounds (0.01 to 300 d) and errors; and goodness of fit is a chi-square. The selection, with the paper's own rules, gives
the paper's nights on all of 1,190 light curves, and the solver their sigmoids (docs/science/fits.md).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from fink.columns import Column
from fink.fitting.bands import LETTERS, pick, rows_by_letter
from fink.fitting.points import Points, transient_points
from fink.fitting.transients import fit_sigmoid
from fink.lightcurves import LIMIT, LightCurves
from fink.science import Columns, science_module, with_error

BEFORE = 60.0
"""Days before the first detection from which points count [d]."""

ERROR_FLOOR = 0.03
"""Added to each error, as a fraction of the band's highest flux."""

SAME_NIGHT = 0.5
"""Points within this of a night's first are one [d]."""

MEMORY = 0.75
"""What a night weighs in the running mean, over the night after it."""

_F4, _F8 = pa.float32(), pa.float64()
_PARAMETERS = {
    "amplitude": ("amplitude", _F4, "nJy", "phot.flux", "Flux at which the rise ends"),
    "half_mjd": ("half_time", _F8, "d", "time.epoch;phot.flux", "Time at which half of rise_amplitude is reached, MJD in TAI"),
    "time": ("rise_time", _F4, "d", "time.duration", "Time in which the flux grew by a factor e at first"),
}


def _declared(band: str) -> tuple[Column, ...]:
    fitted = (
        with_error(f"rise_{name}_{band}", type_, unit, ucd, f"{about}, in {band}")
        for name, (_, type_, unit, ucd, about) in _PARAMETERS.items()
    )
    return (
        *(column for pair in fitted for column in pair),
        Column(f"rise_begin_mjd_{band}", _F8, "d", "time.start", f"First night of the rising part, MJD in TAI, in {band}"),
        Column(
            f"rise_snr_{band}", _F4, "", "stat.snr;phot.flux", f"Mean signal-to-noise ratio of the nights of the rising part, in {band}"
        ),
        Column(f"rise_chi2_{band}", _F4, "", "stat.fit.chi2", f"Chi-square of the sigmoid over its degrees of freedom, in {band}"),
        Column(f"n_rise_points_{band}", pa.int32(), "", "meta.number;obs", f"Nights of the rising part, in {band}"),
        Column(
            f"rise_fit_{band}", pa.string(), "", "meta.code;stat.fit", f"How the fit in {band} ended: converged, at bound or not converged"
        ),
    )


@science_module(
    version="1.0",
    outputs=tuple(column for band in LETTERS for column in _declared(band)),
    where="n_detections >= 4 AND age <= 60 AND positive"
    " AND NOT is_known_sso AND NOT is_sso_candidate AND NOT is_on_star AND n_extra_crossings <= 1",
    reference="doi:10.1051/0004-6361/202142715",
)
def rise(lightcurves: LightCurves) -> Columns:
    """Choose the rising part of each band and fit it."""
    keep, detections = transient_points(lightcurves, BEFORE)
    keep &= (detections > 0)[lightcurves.owners(), lightcurves.band] & (lightcurves.kind != LIMIT)
    nights, begin, snr = rising_part(Points.of_light_curves(lightcurves, keep).by_band(len(lightcurves.bands)), SAME_NIGHT)
    fits = fit_sigmoid(nights.with_floor(ERROR_FLOOR))
    rows = rows_by_letter(fits.n_points, lightcurves.bands)
    columns: dict[str, object] = {}
    for name, (fitted, *_) in _PARAMETERS.items():
        for suffix, values in (("", fits.value(fitted)), ("_err", fits.error(fitted))):
            columns |= {f"rise_{name}_{band}{suffix}": pick(values, at) for band, at in rows.items()}
    plain = {"rise_begin_mjd": begin, "rise_snr": snr, "rise_chi2": fits.reduced_chi2, "n_rise_points": fits.n_points.astype(np.float64)}
    columns |= {f"{name}_{band}": pick(values, at) for name, values in plain.items() for band, at in rows.items()}
    outcome = fits.outcome
    return columns | {f"rise_fit_{band}": outcome.take(pa.array(at, mask=at < 0)) for band, at in rows.items()}


def rising_part(points: Points, same_night: float) -> tuple[Points, NDArray[np.float64], NDArray[np.float64]]:
    """Average the points of each night and keep the nights at which the running mean does not fall.

    Parameters
    ----------
    points
        Rows of one band each.
    same_night
        Points within this of a night's first are one [d].

    Returns
    -------
    nights
        The same rows with the nights that were kept.
    begin
        (n,) time of the first of them [d]; NaN where there is none.
    snr
        (n,) mean of their signal-to-noise ratios.
    """
    offsets, *flat, begin, snr = _rising(points.offsets, points.time, points.value, points.error, same_night)
    return Points(offsets, flat[0], np.zeros(len(flat[0]), np.int64), flat[1], flat[2]), begin, snr


@njit(cache=True, nogil=True, error_model="numpy")
def _rising(offsets: Any, time: Any, value: Any, error: Any, same_night: float) -> Any:
    rows = len(offsets) - 1
    out, begin, snr = np.zeros(rows + 1, np.int64), np.full(rows, np.nan), np.full(rows, np.nan)
    times, values, errors = np.empty(len(time)), np.empty(len(time)), np.empty(len(time))
    n = 0
    for i in range(rows):
        out[i] = n
        memory = memory_weight = total = 0.0
        j = offsets[i]
        while j < offsets[i + 1]:
            first = time[j]
            weights = when = flux = 0.0
            while j < offsets[i + 1] and time[j] - first < same_night:
                weight = 1.0 / error[j] ** 2
                weights, when, flux = weights + weight, when + weight * (time[j] - first), flux + weight * value[j]
                j += 1
            before = memory / memory_weight
            memory, memory_weight = MEMORY * memory + flux / weights, MEMORY * memory_weight + 1.0
            if memory / memory_weight < before:
                continue
            times[n], values[n], errors[n] = first + when / weights, flux / weights, 1.0 / np.sqrt(weights)
            total += values[n] / errors[n]
            n += 1
        if n > out[i]:
            begin[i], snr[i] = times[out[i]], total / (n - out[i])
    out[rows] = n
    return out, times[:n].copy(), values[:n].copy(), errors[:n].copy(), begin, snr
