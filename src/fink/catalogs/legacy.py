"""Legacy Surveys DR8: photometric redshifts of galaxies, and how likely each is a star.

Duncan 2022, doi:10.1093/mnras/stac608: 1.6 thousand million sources of the north and the south. Alerts are matched
within 1.5 arcsec.
"""

from __future__ import annotations

import pyarrow as pa

from fink.catalogs.declaration import Catalogue, Download, Field, vizier

legacy = Catalogue(
    fields=(
        Field("redshift", ("zphot", "z_phot_mean"), pa.float32(), "", "src.redshift.phot", "Photometric redshift"),
        Field(
            "redshift_err",
            ("e_zphot", "z_phot_std"),
            pa.float32(),
            "",
            "stat.error;src.redshift.phot",
            "One-sigma error of legacy_redshift",
        ),
        Field("star_probability", "pstar", pa.float32(), "", "stat.probability;src.class.starGalaxy", "Probability that it is a star"),
        Field(
            "clean",
            ("TRY_CAST(fclean AS INTEGER) = 1", "TRY_CAST(fqual AS INTEGER) = 1"),
            pa.bool_(),
            "",
            "meta.code.qual",
            "Whether the redshift is of those that its makers trust",
        ),
    ),
    radius=1.5,
    citation="doi:10.1093/mnras/stac608",
    licence="free use with citation",
    download=Download(vizier("VII/292/{piece}", "RAJ2000,DEJ2000,zphot,e_zphot,pstar,fclean,fqual"), ".fits", ("north", "south")),
)
