"""Gaia DR3: stars (and some galaxies) with parallax, proper motion and brightness, and whether they vary.

Gaia Collaboration 2023, doi:10.1051/0004-6361/202243940: 1.8 thousand million sources. Each is matched where it has
moved to since 2016; alerts are matched within 1 arcsec. The distribution as HATS is read a column at a time, that of
ESA (CSV) whole.
"""

from __future__ import annotations

import pyarrow as pa

from fink.catalogs.declaration import Catalogue, Download, Field

gaiadr3 = Catalogue(
    fields=(
        Field("source_id", "source_id", pa.int64(), "", "meta.id", "Number of the source in Gaia DR3"),
        Field("parallax", ("parallax", "Plx"), pa.float32(), "mas", "pos.parallax", "Parallax of the source"),
        Field(
            "parallax_err",
            ("parallax_error", "e_Plx"),
            pa.float32(),
            "mas",
            "stat.error;pos.parallax",
            "One-sigma error of gaiadr3_parallax",
        ),
        Field("pm_ra", ("pmra", "pmRA"), pa.float32(), "mas / yr", "pos.pm;pos.eq.ra", "Proper motion in right ascension, times cos dec"),
        Field("pm_dec", ("pmdec", "pmDE"), pa.float32(), "mas / yr", "pos.pm;pos.eq.dec", "Proper motion in declination"),
        Field("mag", ("phot_g_mean_mag", "Gmag"), pa.float32(), "mag", "phot.mag;em.opt", "Mean magnitude in the G band, Vega"),
        Field(
            "variable",
            ("phot_variable_flag = 'VARIABLE'", "VarFlag = 'VARIABLE'"),
            pa.bool_(),
            "",
            "src.var",
            "Whether Gaia found that it varies",
        ),
    ),
    radius=1.0,
    citation="doi:10.1051/0004-6361/202243940",
    licence="CC BY-SA 3.0 IGO",
    download=Download("https://data.lsdb.io/hats/gaia_dr3/gaia", ""),
    ra=("ra", "RA_ICRS"),
    dec=("dec", "DE_ICRS"),
    pm_ra=("pmra", "pmRA"),
    pm_dec=("pmdec", "pmDE"),
    epoch=2016.0,
)
