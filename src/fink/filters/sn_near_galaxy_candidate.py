"""Sources near galaxies as luminous as a supernova, seen more than five times.

Today the luminosity needs a photometric redshift of the Legacy Surveys, so that the brightest galaxies, which SIMBAD and
Mangrove have, are lost; here the distance is that of the likeliest host, whichever catalogue has it.
"""

from __future__ import annotations

from fink.filters import substream

sn_near_galaxy_candidate = substream(
    about="Supernova candidates by luminosity: absolute magnitude from -23 to -13 at the likely host",
    where="near_galaxy AND n_detections > 5 AND absolute_mag > -23 AND absolute_mag < -13",
    per_night=(0, 50_000),
)
