"""AllWISE: infrared brightness of 748 million sources, whose colour tells active galaxies from others.

Cutri et al. 2013, II/328. W1 - W2 above 0.8 selects active galaxies (Stern et al. 2012,
doi:10.1088/0004-637X/753/1/30). Alerts are matched within 3 arcsec, half the width of WISE's images.
"""

from __future__ import annotations

import pyarrow as pa

from fink.catalogs.declaration import Catalogue, Download, Field, vizier

allwise = Catalogue(
    fields=(
        Field("name", ("designation", "AllWISE"), pa.string(), "", "meta.id", "Designation of the source", False),
        Field("w1", ("w1mpro", "W1mag"), pa.float32(), "mag", "phot.mag;em.IR.3-4um", "Magnitude at 3.4 um, Vega"),
        Field("w2", ("w2mpro", "W2mag"), pa.float32(), "mag", "phot.mag;em.IR.4-8um", "Magnitude at 4.6 um, Vega"),
        Field("w3", ("w3mpro", "W3mag"), pa.float32(), "mag", "phot.mag;em.IR.8-15um", "Magnitude at 12 um, Vega", False),
    ),
    radius=3.0,
    citation="https://wise2.ipac.caltech.edu/docs/release/allwise/",
    licence="free use with acknowledgement of IPAC",
    download=Download(vizier("II/328/allwise", "AllWISE,RAJ2000,DEJ2000,W1mag,W2mag,W3mag"), ".fits"),
)
