"""Milliquas: quasars and active galaxies of the literature, with type and redshift.

Flesch 2023, doi:10.21105/astro.2308.01505: 907,144 quasars and 66,026 candidates (version 8). Alerts are matched within
1.5 arcsec.
"""

from __future__ import annotations

import pyarrow as pa

from fink.catalogs.declaration import Catalogue, Download, Field, vizier

milliquas = Catalogue(
    fields=(
        Field("name", "Name", pa.string(), "", "meta.id", "Name of the quasar in the literature"),
        Field(
            "type",
            "Type",
            pa.string(),
            "",
            "src.class",
            "Type: Q quasar, A Seyfert 1, B BL Lac, K and N narrow-lined, q and others candidates; then R, X, 2 for radio, X-ray, lobes",
        ),
        Field("redshift", "z", pa.float32(), "", "src.redshift", "Redshift; rounded to 0.1 where it is photometric"),
        Field(
            "probability",
            ("Qpct", "QPct"),
            pa.float32(),
            "",
            "stat.probability",
            "Percentage of likelihood that it is a quasar, of candidates",
            False,
        ),
    ),
    radius=1.5,
    citation="doi:10.21105/astro.2308.01505",
    licence="free use with citation",
    download=Download(vizier("VII/294/catalog", "Name,RAJ2000,DEJ2000,Type,z,Qpct"), ".fits"),
)
