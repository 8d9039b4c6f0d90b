"""Fitted curves: the models whose parameters an alert's columns hold, drawn again with the code that fitted them.

Each model says which columns are its parameters. Where an alert has them all, the curve is evaluated in every band that has points,
from before the first detection on to a little after the last point. What one curve shares between bands but the columns do not
hold, as the flux of a lensed source in each band, follows from the points by linear least squares.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fink.fitting import Model, Parameter, evaluate
from fink.fitting.microlensing import PSPL, SHAPE
from fink.fitting.rainbow import ERG_PER_NJY_HZ, RAINBOW, Bolometric, Rainbow, Temperature
from fink.fitting.transients import (
    BAZIN,
    BAZIN_PARAMETERS,
    NO_LEVEL,
    SIGMOID,
    SIGMOID_PARAMETERS,
    TWO_EXPONENTIAL,
    TWO_EXPONENTIAL_TIMES,
)
from fink.lightcurves import Band

Floats = NDArray[np.float64]
Alert = Mapping[str, Any]

BEFORE, AFTER = 60.0, 0.15
"""How long before the first detection curves begin [d], and how long after the last point they end, over the span of the points."""

_STEPS, _STEPS_AT_PEAK = 120, 60


@dataclass(frozen=True)
class Measured:
    """The difference fluxes that a curve is drawn over.

    Parameters
    ----------
    mjd, flux, flux_err
        (m,) time [d], flux and error [nJy].
    band
        (m,) names of the filters.
    first
        Time of the first detection [d].
    """

    mjd: Floats
    flux: Floats
    flux_err: Floats
    band: Sequence[str]
    first: float

    def of_band(self, name: str) -> tuple[Floats, Floats, Floats]:
        """Give times, fluxes and errors in one band."""
        kept = np.array([each == name for each in self.band], np.bool_)
        return self.mjd[kept], self.flux[kept], self.flux_err[kept]


@dataclass(frozen=True)
class Curve:
    """A model that can be drawn again.

    Parameters
    ----------
    name, about
        What it is called, and what it says, in a sentence.
    module
        Science module whose columns are its parameters.
    lines
        Gives the curve in each band that it describes, from the alert's columns, as times and fluxes.
    fit, chi2
        Columns that say how the fit ended and how good it is; ``{band}`` in them stands for a band.
    """

    name: str
    about: str
    module: str
    lines: Callable[[Alert, Measured, Sequence[Band]], list[dict[str, Any]]]
    fit: str
    chi2: str


def fitted_curves(alert: Alert, measured: Measured, bands: Sequence[Band]) -> list[dict[str, Any]]:
    """Give the curves of the models that were fitted when an alert came.

    Parameters
    ----------
    alert
        All columns of the alert.
    measured
        The light curve.
    bands
        The filters of its survey; those without points are left out.

    Returns
    -------
    curves
        For each model its ``name``, ``about``, ``module``, and ``lines``: ``band``, ``mjd``, ``flux`` [nJy], how the fit ended
        (``fit``), and its reduced ``chi2``.
    """
    here = [band for band in bands if band.name in set(measured.band)]
    found = []
    for curve in CURVES:
        lines = curve.lines(alert, measured, here)
        for line in lines:
            letter = line["band"].lower()
            line["fit"], line["chi2"] = (alert.get(name.format(band=letter)) for name in (curve.fit, curve.chi2))
        if lines:
            found.append({"name": curve.name, "about": curve.about, "module": curve.module, "lines": lines})
    return found


def _line(band: str, mjd: Floats, flux: Floats) -> dict[str, Any]:
    return {"band": band, "mjd": np.round(mjd, 4).tolist(), "flux": [float(f"{value:.5g}") for value in flux]}


def _times(measured: Measured, peak: float, scale: float) -> Floats:
    """Times for a curve: evenly over the light curve, and closer where it changes most."""
    start, stop = measured.first - BEFORE, float(measured.mjd.max())
    stop += AFTER * max(stop - measured.first, 10.0)
    near = peak + np.linspace(-4.0, 4.0, _STEPS_AT_PEAK) * scale
    return np.unique(np.concatenate([np.linspace(start, stop, _STEPS), [peak], near[(near > start) & (near < stop)]]))


def _values(alert: Alert, names: Mapping[str, str]) -> dict[str, float] | None:
    """Read a model's parameters from columns; None unless all are there."""
    found = {parameter: alert.get(column) for parameter, column in names.items()}
    return None if any(value is None for value in found.values()) else {name: float(value) for name, value in found.items()}  # type: ignore[arg-type]


def _black_body(bolometric: Bolometric, temperature: Temperature, columns: Mapping[str, str]) -> Any:
    def lines(alert: Alert, measured: Measured, bands: Sequence[Band]) -> list[dict[str, Any]]:
        values = _values(alert, columns)
        if values is None:
            return []
        model = Rainbow(tuple(band.wavelength for band in bands), bolometric, temperature)
        peak, values["peak_time"] = values["peak_time"], 0.0
        values["amplitude"] /= ERG_PER_NJY_HZ
        mjd = _times(measured, peak, values["rise_time"])
        place = np.repeat(np.arange(len(bands)), len(mjd))
        flux = evaluate(RAINBOW, model.parameters, values, np.tile(mjd - peak, len(bands)), place, constants=model.constants)
        return [_line(band.name, mjd, part) for band, part in zip(bands, np.split(flux, len(bands)), strict=True)]

    return lines


def _of_each_band(model: Model, parameters: Sequence[Parameter], columns: Mapping[str, str], peak: str) -> Any:
    def lines(alert: Alert, measured: Measured, bands: Sequence[Band]) -> list[dict[str, Any]]:
        found = []
        for band in bands:
            values = _values(alert, {name: column.format(band=band.name.lower()) for name, column in columns.items()})
            if values is not None:
                at, values[peak] = values[peak], 0.0
                mjd = _times(measured, at, values["rise_time"])
                fixed = {parameter.name: 0.0 for parameter in parameters if parameter.lower == parameter.upper}
                flux = evaluate(model, parameters, {**values, **fixed}, mjd - at, np.zeros(len(mjd), np.int64))
                found.append(_line(band.name, mjd, flux))
        return found

    return lines


def _scaled_to_points(model: Model, shape: Sequence[Parameter], columns: Mapping[str, str], *, level: bool) -> Any:
    """Make the lines of a model whose shape all bands share: each band's scale, and level where it has one, are the points' best."""
    linear = (Parameter("scale"), Parameter("level")) if level else (Parameter("scale"),)
    start, width = shape[0].name, shape[1].name

    def lines(alert: Alert, measured: Measured, bands: Sequence[Band]) -> list[dict[str, Any]]:
        values = _values(alert, columns)
        if values is None:
            return []
        at, values[start] = values[start], 0.0
        values |= {"scale": 1.0, "level": 0.0}

        def unit(mjd: Floats) -> Floats:
            return evaluate(model, (*shape, *linear), values, mjd - at, np.zeros(len(mjd), np.int64))

        mjd, found = _times(measured, at, values[width]), []
        for band in bands:
            seen, flux, error = measured.of_band(band.name)
            terms = [unit(seen)] + ([np.ones(len(seen))] if level else [])
            if len(seen) > len(terms):
                factors, *_ = np.linalg.lstsq(np.array(terms).T / error[:, None], flux / error, rcond=None)
                found.append(_line(band.name, mjd, factors[0] * unit(mjd) + (factors[1] if level else 0.0)))
        return found

    return lines


_RAINBOW_COLUMNS = {"amplitude": "rainbow_amplitude", "peak_time": "rainbow_luminosity_peak_mjd"} | {
    name: f"rainbow_{name}" for name in ("rise_time", "fall_time", "late_temperature", "early_temperature", "cooling_time")
}
_RISING_COLUMNS = {
    "amplitude": "black_body_amplitude",
    "peak_time": "black_body_half_mjd",
    "rise_time": "black_body_rise_time",
    "late_temperature": "black_body_temperature",
}
_BAZIN_COLUMNS = {
    "amplitude": "bazin_amplitude_{band}",
    "peak_time": "bazin_peak_mjd_{band}",
    "rise_time": "bazin_rise_time_{band}",
    "fall_time": "bazin_fall_time_{band}",
}
_RISE_COLUMNS = {"amplitude": "rise_amplitude_{band}", "half_time": "rise_half_mjd_{band}", "rise_time": "rise_time_{band}"}
_LENS_COLUMNS = {"peak_time": "lens_peak_mjd", "einstein_time": "lens_einstein_time", "impact": "lens_impact"}
_FLARE_COLUMNS = {"onset": "flare_onset_mjd", "rise_time": "flare_rise_time", "fall_time": "flare_fall_time"}

CURVES: tuple[Curve, ...] = (
    Curve(
        "Rainbow",
        "One black body in all bands, whose luminosity rises and falls while its temperature changes",
        "rainbow",
        _black_body("bazin", "sigmoid", _RAINBOW_COLUMNS),
        "rainbow_fit",
        "rainbow_chi2",
    ),
    Curve(
        "Rising black body",
        "One black body of constant temperature in all bands, whose luminosity rises",
        "black_body_rise",
        _black_body("sigmoid", "constant", _RISING_COLUMNS),
        "black_body_fit",
        "black_body_chi2",
    ),
    Curve(
        "Bazin",
        "A pulse that rises and falls exponentially, in each band by itself",
        "bazin",
        _of_each_band(BAZIN, (*BAZIN_PARAMETERS, NO_LEVEL), _BAZIN_COLUMNS, "peak_time"),
        "bazin_fit_{band}",
        "bazin_chi2_{band}",
    ),
    Curve(
        "Rise",
        "A sigmoid through the rising part, in each band by itself",
        "rise",
        _of_each_band(SIGMOID, SIGMOID_PARAMETERS, _RISE_COLUMNS, "half_time"),
        "rise_fit_{band}",
        "rise_chi2_{band}",
    ),
    Curve(
        "Point lens",
        "Microlensing by one lens: one magnification in all bands",
        "point_lens",
        _scaled_to_points(PSPL, SHAPE, _LENS_COLUMNS, level=True),
        "lens_fit",
        "lens_chi2",
    ),
    Curve(
        "Flare",
        "A sudden rise with a beginning, and an exponential fall, with the same times in all bands",
        "flare",
        _scaled_to_points(TWO_EXPONENTIAL, TWO_EXPONENTIAL_TIMES, _FLARE_COLUMNS, level=False),
        "flare_fit",
        "flare_chi2",
    ),
)
"""Every model that is drawn, in this order."""
