"""GLADE+: galaxies with redshift and distance, complete to 44 Mpc in their light.

Dalya et al. 2022, doi:10.1093/mnras/stac1443: 22.5 million galaxies and 750,000 quasars; quasars are left out here.
Alerts are matched within 60 arcsec, the nearest galaxy on the sky being given; which one is the host is another
question (the module host). A distribution with the sizes of HyperLEDA gives the galaxies ellipses for that.
"""

from __future__ import annotations

import pyarrow as pa

from fink.catalogs.declaration import Catalogue, Download, Field, vizier

glade = Catalogue(
    fields=(
        Field(
            "name", ("HyperLEDA", '"GLADE+"', "GLADE"), pa.string(), "", "meta.id", "Name of the galaxy in HyperLEDA, or number in GLADE+"
        ),
        Field("redshift", ("zhelio", "z_helio", "z_best"), pa.float32(), "", "src.redshift", "Heliocentric redshift"),
        Field("luminosity_distance", ("dL", "d_L", "Dist"), pa.float32(), "Mpc", "pos.distance", "Luminosity distance"),
        Field("mag", ("Bmag", "B"), pa.float32(), "mag", "phot.mag;em.opt.B", "Apparent B magnitude", False),
        Field(
            "size",
            "3.0 * power(10, TRY_CAST(logd25Hyp AS DOUBLE))",
            pa.float32(),
            "arcsec",
            "phys.angSize.smajAxis",
            "Semi-major axis at 25 mag / arcsec^2",
            False,
        ),
        Field(
            "axis_ratio",
            "power(10, -TRY_CAST(logr25Hyp AS DOUBLE))",
            pa.float32(),
            "",
            "phys.size.axisRatio",
            "Minor over major axis",
            False,
        ),
        Field("position_angle", "PAHyp", pa.float32(), "deg", "pos.posAng", "Position angle of the major axis, north through east", False),
    ),
    radius=60.0,
    citation="doi:10.1093/mnras/stac1443",
    licence="free use with citation",
    download=Download(vizier("VII/291/gladep", "GLADE+,HyperLEDA,Type,RAJ2000,DEJ2000,Bmag,zhelio,dL"), ".fits"),
    where=("Type = 'G'", "Object_type_flag = 'G'"),
)
