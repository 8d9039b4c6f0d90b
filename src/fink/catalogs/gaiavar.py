"""Gaia DR3 variables: ten million sources that Gaia saw to vary, with the class that its classifiers give.

Rimoldini et al. 2023, doi:10.1051/0004-6361/202245591. The class is the best of 25 (RR, ECL, LPV, AGN, CV, SN…), the
score its confidence from 0 to 1. Alerts are matched within 1 arcsec.
"""

from __future__ import annotations

import pyarrow as pa

from fink.catalogs.declaration import Catalogue, Download, Field, vizier

gaiavar = Catalogue(
    fields=(
        Field("class", ("best_class_name", "Class"), pa.string(), "", "src.class;src.var", "Class of variability"),
        Field("score", ("best_class_score", "ClassSc"), pa.float32(), "", "stat.probability", "Confidence in gaiavar_class, from 0 to 1"),
        Field("source_id", ("source_id", "Source"), pa.int64(), "", "meta.id", "Number of the source in Gaia DR3", False),
    ),
    radius=1.0,
    citation="doi:10.1051/0004-6361/202245591",
    licence="CC BY-SA 3.0 IGO",
    download=Download(vizier("I/358/vclassre", "Source,RA_ICRS,DE_ICRS,Class,ClassSc"), ".fits"),
    ra=("ra", "RA_ICRS"),
    dec=("dec", "DE_ICRS"),
    epoch=2016.0,
)
