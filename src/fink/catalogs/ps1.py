"""Pan-STARRS point sources: how likely each source of the northern three quarters of the sky is a star.

Tachibana and Miller 2018, doi:10.1088/1538-3873/aae3d9: a random forest on shapes, from 0 (extended) to 1 (point-like),
for 1.5 thousand million sources. Stars at 0.83 and above hold 0.5 per cent of galaxies. Alerts are matched within 1.5
arcsec.
"""

from __future__ import annotations

import pyarrow as pa

from fink.catalogs.declaration import Catalogue, Field

ps1 = Catalogue(
    fields=(
        Field("object", ("objid", "objID"), pa.int64(), "", "meta.id", "Number of the object in Pan-STARRS 1"),
        Field(
            "star_score",
            ("ps_score", "PSscore"),
            pa.float32(),
            "",
            "stat.probability;src.class.starGalaxy",
            "Score that it is a point source, from 0 to 1",
        ),
    ),
    radius=1.5,
    citation="doi:10.1088/1538-3873/aae3d9",
    licence="free use with citation",
    ra=("raMean", "ramean", "ra", "RAJ2000"),
    dec=("decMean", "decmean", "dec", "DEJ2000"),
    where=("TRY_CAST(ps_score AS DOUBLE) BETWEEN 0 AND 1", "TRY_CAST(PSscore AS DOUBLE) BETWEEN 0 AND 1"),
)
