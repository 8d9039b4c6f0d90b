"""General Catalogue of Variable Stars: stars whose variation has been studied and named, with its type.

Samus et al. 2017, doi:10.1134/S1063772917010085. The type is that of the catalogue's own scheme (RRAB, EA, M, UGSU…), with a colon where it
is uncertain. Alerts are matched within 1.5 arcsec.
"""

from __future__ import annotations

import pyarrow as pa

from fink.catalogs.declaration import Catalogue, Download, Field, vizier

gcvs = Catalogue(
    fields=(
        Field("name", "GCVS", pa.string(), "", "meta.id", "Name of the variable star"),
        Field("type", "VarType", pa.string(), "", "src.class;src.var", "Type of variability in the scheme of the GCVS"),
    ),
    radius=1.5,
    citation="doi:10.1134/S1063772917010085",
    licence="free use with citation",
    download=Download(vizier("B/gcvs/gcvs_cat", "GCVS,VarType,RAJ2000,DEJ2000"), ".fits"),
)
