"""Rainbow: luminosity, temperature and time of maximum of a transient, from one black body fitted to all bands together.

The luminosity follows the pulse of Bazin, the temperature goes from an early to a late value about its reference time
(Russeil et al. 2024, doi:10.1051/0004-6361/202348158); differences from the reference implementation are listed in the
documentation. Detections and forced photometry count, one point of each exposure, and upper limits as zero flux with their
error, from 60 days before the first detection on; each error has 3 % of the highest flux added, since no black body
describes a supernova better than that.

The time of maximum comes from a second fit, to the points about the maximum alone, in which the bands share the pulse
but not a temperature: its median error on 576 transients of PLAsTiCC is 1.4 d, where that of the black body's
luminosity is 3.8 d. Beyond the last point it is an extrapolation, as its error says.

It runs on what has been seen at least eight times over at most 300 days, is no known asteroid, stands on no star and
brightened once (`n_extra_crossings`).
Everything is null with fewer points than parameters, or where fewer than two bands have two points each; an error is
null where a parameter lies on its bound.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from fink.columns import Column
from fink.fitting.peaks import time_of_maximum
from fink.fitting.points import Points, transient_points
from fink.fitting.rainbow import ERG_PER_NJY_HZ, Rainbow
from fink.lightcurves import LightCurves
from fink.science import Columns, science_module, with_error

BEFORE = 60.0
"""Days before the first detection from which points count [d]."""

ERROR_FLOOR = 0.03
"""Added to each error, as a fraction of the highest flux."""

MIN_POINTS, MIN_BANDS, MIN_IN_BAND = 8, 2, 2

_TIME, _TEMPERATURE = ("d", "time.duration"), ("K", "phys.temperature.effective")
_SHAPE = {
    "rise_time": (*_TIME, "Time in which the luminosity grew by a factor e, far before the maximum"),
    "fall_time": (*_TIME, "Time in which the luminosity falls by a factor e, far after the maximum"),
    "early_temperature": (*_TEMPERATURE, "Temperature of the black body long before the maximum"),
    "late_temperature": (*_TEMPERATURE, "Temperature of the black body long after the maximum"),
    "cooling_time": (*_TIME, "Time scale on which the temperature changes"),
}
_F4, _F8 = pa.float32(), pa.float64()


@science_module(
    version="1.1",
    outputs=(
        *with_error("rainbow_peak_mjd", _F8, "d", "time.epoch;phot.flux", "Time of maximum light, MJD in TAI"),
        Column("rainbow_luminosity_peak_mjd", _F8, "d", "time.epoch;phys.luminosity", "Time of highest luminosity, MJD in TAI"),
        *with_error("rainbow_amplitude", _F4, "erg.cm**-2.s**-1", "phot.flux.bol", "Bolometric flux of the black body at its maximum"),
        *(column for name, what in _SHAPE.items() for column in with_error(f"rainbow_{name}", _F4, *what)),
        Column("rainbow_chi2", _F4, "", "stat.fit.chi2", "Chi-square of the fit over its degrees of freedom"),
        Column("rainbow_fit", pa.string(), "", "meta.code;stat.fit", "How the fit ended: converged, at bound or not converged"),
    ),
    where="n_detections >= 8 AND age <= 300 AND positive"
    " AND NOT is_known_sso AND NOT is_sso_candidate AND NOT is_on_star AND n_extra_crossings <= 1",
    reference="doi:10.1051/0004-6361/202348158",
)
def rainbow(lightcurves: LightCurves) -> Columns:
    """Fit the light curves, then the points about their maxima."""
    points = _points(lightcurves)
    wavelengths = lightcurves.wavelengths
    model = Rainbow(tuple(wavelengths))
    constant = model.constant.fit(points, min_points=MIN_POINTS)
    fits = model.fit(points, min_points=MIN_POINTS, constant=constant)
    maximum = time_of_maximum(points, wavelengths, constant)
    columns = {
        "rainbow_peak_mjd": maximum.value("peak_time"),
        "rainbow_peak_mjd_err": maximum.error("peak_time"),
        "rainbow_luminosity_peak_mjd": fits.value("peak_time"),
        "rainbow_amplitude": fits.value("amplitude") * ERG_PER_NJY_HZ,
        "rainbow_amplitude_err": fits.error("amplitude") * ERG_PER_NJY_HZ,
        "rainbow_chi2": fits.reduced_chi2,
        "rainbow_fit": fits.outcome,
    }
    for name in _SHAPE:
        columns |= {f"rainbow_{name}": fits.value(name), f"rainbow_{name}_err": fits.error(name)}
    return columns


def _points(lightcurves: LightCurves) -> Points:
    """Choose the points that the fits take: none where fewer than two bands have two detections each."""
    keep, detections = transient_points(lightcurves, BEFORE)
    enough = (detections >= MIN_IN_BAND).sum(axis=1) >= MIN_BANDS
    return Points.of_light_curves(lightcurves, keep & np.repeat(enough, np.diff(lightcurves.offsets))).with_floor(ERROR_FLOOR)
