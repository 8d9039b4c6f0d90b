"""Mangrove: nearby galaxies with stellar masses, made to find the hosts of gravitational-wave events.

Ducoin et al. 2020, doi:10.1093/mnras/staa114: GLADE galaxies with an AllWISE counterpart. Distances are in Mpc; ten kpc
at the galaxy span 0.01 / `mangrove_angular_distance` radians. Alerts are matched within 60 arcsec, the nearest galaxy
on the sky being given.
"""

from __future__ import annotations

import pyarrow as pa

from fink.catalogs.declaration import Catalogue, Field

mangrove = Catalogue(
    fields=(
        Field("hyperleda_name", "NULLIF(HyperLEDA_name, 'None')", pa.string(), "", "meta.id", "Name of the galaxy in HyperLEDA"),
        Field(
            "twomass_name",
            ("NULLIF(\"2MASS_name\", 'None')", "NULLIF(twoMASS_name, 'None')"),
            pa.string(),
            "",
            "meta.id",
            "Name of the galaxy in 2MASS",
        ),
        Field("luminosity_distance", ("lum_dist", "dist"), pa.float32(), "Mpc", "pos.distance", "Luminosity distance of the galaxy"),
        Field("angular_distance", "ang_dist", pa.float32(), "Mpc", "pos.distance", "Angular-diameter distance of the galaxy"),
    ),
    radius=60.0,
    citation="doi:10.1093/mnras/staa114",
    licence="free use with citation",
)
