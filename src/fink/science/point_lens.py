"""Point lens: whether a source brightens as by microlensing, and by which event (Paczynski 1986, doi:10.1086/164140).

One magnification is fitted to the difference fluxes of all bands: the source's flux in each band is its scale there, so
that blended light, and whatever the template held, does not matter. Detections, forced photometry and upper limits (as
zero flux with their error) count. The chi-square is given beside that of constant fluxes in all bands: a lens has a low
one where constancy has a high one. Finite sources, binary lenses and parallax are not fitted.

Today's Fink calls microlensing by a random forest on statistics of the light curve (Godines et al. 2019); here are
numbers that a condition can use. It runs on what has been seen 12 to 200 times, is no known asteroid, is brighter than the template and
brightened once (`n_extra_crossings`); where constant
fluxes fit (chi-square under 2 a degree of freedom), and with fewer than eight points, all but that chi-square is null.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fink.columns import Column
from fink.fitting.bands import of_own_band
from fink.fitting.microlensing import fit_pspl, reduced_chi2_of_constancy
from fink.fitting.points import Points
from fink.lightcurves import LIMIT, LightCurves
from fink.science import Columns, science_module

MIN_CONSTANT_CHI2 = 2.0
"""Where constant fluxes fit as well as this, no lens is looked for."""

_F4, _F8 = pa.float32(), pa.float64()


@science_module(
    version="1.1",
    outputs=(
        Column("lens_peak_mjd", _F8, "d", "time.epoch;phot.flux", "Time of the highest magnification, MJD in TAI"),
        Column("lens_peak_mjd_err", _F4, "d", "stat.error;time.epoch", "One-sigma error of lens_peak_mjd"),
        Column("lens_einstein_time", _F4, "d", "time.duration", "Time in which the source crosses the Einstein radius"),
        Column("lens_einstein_time_err", _F4, "d", "stat.error;time.duration", "One-sigma error of lens_einstein_time"),
        Column("lens_impact", _F4, "", "pos.angDistance;arith.ratio", "Least distance of source and lens in Einstein radii"),
        Column("lens_impact_err", _F4, "", "stat.error;pos.angDistance", "One-sigma error of lens_impact"),
        Column("lens_source_flux", _F4, "nJy", "phot.flux", "Flux of the source without the lens, in the alert's band"),
        Column("lens_source_flux_err", _F4, "nJy", "stat.error;phot.flux", "One-sigma error of lens_source_flux"),
        Column("lens_chi2", _F4, "", "stat.fit.chi2", "Chi-square of the point lens over its degrees of freedom"),
        Column("lens_constant_chi2", _F4, "", "stat.fit.chi2", "Chi-square of constant fluxes over their degrees of freedom"),
        Column("lens_fit", pa.string(), "", "meta.code;stat.fit", "How the fit ended: converged, at bound or not converged"),
    ),
    where="n_detections >= 12 AND n_detections <= 200 AND positive AND NOT is_known_sso AND n_extra_crossings <= 1",
    reference="doi:10.1086/164140",
)
def point_lens(mjd: NDArray[np.float64], lightcurves: LightCurves) -> Columns:
    """Fit one magnification to all bands of each light curve."""
    flux = np.where(lightcurves.kind == LIMIT, 0.0, lightcurves.flux)
    points = Points.of(lightcurves.offsets, lightcurves.mjd, lightcurves.band, flux, lightcurves.flux_err)
    n_bands = len(lightcurves.bands)
    constancy = reduced_chi2_of_constancy(points, n_bands)
    fits = fit_pspl(points.select((constancy > MIN_CONSTANT_CHI2)[points.owners()]), n_bands)
    source, source_err = of_own_band(fits, "source", lightcurves, mjd)
    return {
        "lens_peak_mjd": fits.value("peak_time"),
        "lens_peak_mjd_err": fits.error("peak_time"),
        "lens_einstein_time": fits.value("einstein_time"),
        "lens_einstein_time_err": fits.error("einstein_time"),
        "lens_impact": fits.value("impact"),
        "lens_impact_err": fits.error("impact"),
        "lens_source_flux": source,
        "lens_source_flux_err": source_err,
        "lens_chi2": fits.reduced_chi2,
        "lens_constant_chi2": constancy,
        "lens_fit": fits.outcome,
    }
