"""SPICY: candidate young stellar objects in the Galactic midplane, with the class of their infrared excess.

Kuhn et al. 2021, doi:10.3847/1538-4365/abe465: 117,446 Spitzer sources. The class is that of the slope of the infrared
spectrum: ClassI, FS (flat), ClassII, ClassIII, or uncertain. Alerts are matched within 1.2 arcsec.
"""

from __future__ import annotations

import pyarrow as pa

from fink.catalogs.declaration import Catalogue, Download, Field, vizier

spicy = Catalogue(
    fields=(
        Field("number", "SPICY", pa.int32(), "", "meta.id", "Number of the source in the catalogue"),
        Field("class", "class", pa.string(), "", "src.class", "Class of the young stellar object by its infrared slope"),
    ),
    radius=1.2,
    citation="doi:10.3847/1538-4365/abe465",
    licence="free use with citation",
    download=Download(vizier("J/ApJS/254/33/table1", "SPICY,RAdeg,DEdeg,class"), ".fits"),
)
