"""GLADE+: galaxies with redshift and distance, complete to 44 Mpc in their light.

Dalya et al. 2022, doi:10.1093/mnras/stac1443: 22.5 million galaxies and 750,000 quasars; quasars are left out here.
Alerts are matched within 60 arcsec, the nearest galaxy on the sky being given; which one is the host is another
question.
"""

from __future__ import annotations

import pyarrow as pa

from fink.catalogs.declaration import Catalogue, Download, Field, vizier

glade = Catalogue(
    fields=(
        Field(
            "name", ("HyperLEDA", '"GLADE+"', "GLADE"), pa.string(), "", "meta.id", "Name of the galaxy in HyperLEDA, or number in GLADE+"
        ),
        Field("redshift", ("zhelio", "z_helio"), pa.float32(), "", "src.redshift", "Heliocentric redshift"),
        Field("luminosity_distance", ("dL", "d_L"), pa.float32(), "Mpc", "pos.distance", "Luminosity distance"),
        Field("mag", ("Bmag", "B"), pa.float32(), "mag", "phot.mag;em.opt.B", "Apparent B magnitude", False),
    ),
    radius=60.0,
    citation="doi:10.1093/mnras/stac1443",
    licence="free use with citation",
    download=Download(vizier("VII/291/gladep", "GLADE+,HyperLEDA,Type,RAJ2000,DEJ2000,Bmag,zhelio,dL"), ".fits"),
    where=("Type = 'G'", "Object_type_flag = 'G'"),
)
