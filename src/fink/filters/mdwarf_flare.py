"""Flares of red dwarfs: a red star that is suddenly bright in u or g.

As in today's Fink for LSST. The airmass, which today's cut asks for to see colour effects of the air, is in no packet of the
archive and is left out; colours are those of the template, from either survey, where there are any.
"""

from __future__ import annotations

from fink.filters import substream

mdwarf_flare = substream(
    about="Flares of M dwarfs in u and g",
    where="""
    strong AND band IN ('u', 'g') AND (n_detections > 1 OR gaia_star) AND NOT is_known_sso
    AND NOT (star_r - star_i <= 0.53) AND NOT (star_i - star_z <= 0.3)
    AND NOT (lsst_object_i_science_flux_mean <= 1.63 * lsst_object_r_science_flux_mean)
    AND NOT (lsst_object_z_science_flux_mean <= 1.32 * lsst_object_i_science_flux_mean)
    AND (gaia_star OR (is_on_star AND star_r - star_i > 0.53) OR lsst_object_i_science_flux_mean > 1.63 * lsst_object_r_science_flux_mean)
    AND flux >= 0.1 * template_flux AND NOT (mjd - previous_detection_mjd >= 0.1667 AND mjd - previous_detection_mjd <= 2)
    """,
    per_night=(0, 5_000),
)
