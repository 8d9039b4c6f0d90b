"""Rise of a black body: luminosity and temperature of what still brightens, from a sigmoid fitted to all bands together.

Before the maximum a pulse has no fall to be fitted. The luminosity rises as a sigmoid and the temperature is constant: four parameters
for all bands, the form of `rainbow` (Russeil et al. 2024, doi:10.1051/0004-6361/202348158) that early tidal disruption events (Llamas
Lanza et al. 2026, arXiv:2507.17499) and early supernovae are told apart by. A hot source of 20,000 K or more that brightens for weeks is
no supernova of type Ia.

Detections and forced photometry count, one point of each exposure, and upper limits as zero flux with their error, from 60 days before
the first detection on; each error has 3 % of the highest flux added. It runs on what rises by three sigma, was seen five times in at most
100 days, is no known asteroid and stands on no star; two bands need two detections each. Bounds: rise 0.2 to 100 d, 1,000 to
100,000 K. Until half of the rise has passed, amplitude and time of half height are only bounded from below, as their errors say.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from fink.columns import Column
from fink.fitting.points import Points, transient_points
from fink.fitting.rainbow import ERG_PER_NJY_HZ, Rainbow
from fink.lightcurves import LightCurves
from fink.science import Columns, science_module, with_error

BEFORE = 60.0
"""Days before the first detection from which points count [d]."""

ERROR_FLOOR = 0.03
"""Added to each error, as a fraction of the highest flux."""

MIN_POINTS, MIN_BANDS, MIN_IN_BAND = 6, 2, 2
_F4, _F8 = pa.float32(), pa.float64()


@science_module(
    version="1.0",
    outputs=(
        *with_error("black_body_half_mjd", _F8, "d", "time.epoch;phys.luminosity", "Time of half of black_body_amplitude, MJD in TAI"),
        *with_error("black_body_amplitude", _F4, "erg.cm**-2.s**-1", "phot.flux.bol", "Bolometric flux at which the rise ends"),
        *with_error("black_body_rise_time", _F4, "d", "time.duration", "Time in which the luminosity grew by a factor e at first"),
        *with_error("black_body_temperature", _F4, "K", "phys.temperature.effective", "Temperature during the rise"),
        Column("black_body_chi2", _F4, "", "stat.fit.chi2", "Chi-square of the fit over its degrees of freedom"),
        Column("black_body_fit", pa.string(), "", "meta.code;stat.fit", "How the fit ended: converged, at bound or not converged"),
    ),
    where="rising AND n_detections >= 5 AND age <= 100 AND positive"
    " AND NOT is_known_sso AND NOT is_sso_candidate AND NOT is_on_star AND n_extra_crossings <= 1",
    reference="doi:10.1051/0004-6361/202348158",
)
def black_body_rise(lightcurves: LightCurves) -> Columns:
    """Fit a rising black body to all bands of each light curve."""
    keep, detections = transient_points(lightcurves, BEFORE)
    enough = (detections >= MIN_IN_BAND).sum(axis=1) >= MIN_BANDS
    points = Points.of_light_curves(lightcurves, keep & np.repeat(enough, np.diff(lightcurves.offsets))).with_floor(ERROR_FLOOR)
    fits = Rainbow(tuple(lightcurves.wavelengths), "sigmoid", "constant").fit(points, min_points=MIN_POINTS)
    return {
        "black_body_half_mjd": fits.value("peak_time"),
        "black_body_half_mjd_err": fits.error("peak_time"),
        "black_body_amplitude": fits.value("amplitude") * ERG_PER_NJY_HZ,
        "black_body_amplitude_err": fits.error("amplitude") * ERG_PER_NJY_HZ,
        "black_body_rise_time": fits.value("rise_time"),
        "black_body_rise_time_err": fits.error("rise_time"),
        "black_body_temperature": fits.value("late_temperature"),
        "black_body_temperature_err": fits.error("late_temperature"),
        "black_body_chi2": fits.reduced_chi2,
        "black_body_fit": fits.outcome,
    }
