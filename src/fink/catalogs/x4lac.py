"""4LAC-DR3: active galaxies that the Fermi Large Area Telescope sees, with their optical class.

Ajello et al. 2022, doi:10.3847/1538-4365/ac9523: 3,814 sources at high and at low Galactic latitude. The place is that
of the gamma rays, known to some arcmin; alerts are matched within 60 arcsec of it, as Fink has done. The place of the
counterpart is kept beside.
"""

from __future__ import annotations

import pyarrow as pa

from fink.catalogs.declaration import Catalogue, Download, Field

x4lac = Catalogue(
    fields=(
        Field("name", "Source_Name", pa.string(), "", "meta.id", "Name of the gamma-ray source"),
        Field(
            "class", "CLASS", pa.string(), "", "src.class", "Optical class: bll, fsrq, bcu, rdg…, in capitals where the association is firm"
        ),
        Field(
            "redshift",
            "CASE WHEN TRY_CAST(Redshift AS DOUBLE) > 0 THEN Redshift END",
            pa.float32(),
            "",
            "src.redshift",
            "Redshift of the counterpart",
        ),
        Field("counterpart", "ASSOC1", pa.string(), "", "meta.id.assoc", "Name of the counterpart", False),
        Field("counterpart_ra", "RA_Counterpart", pa.float64(), "deg", "pos.eq.ra", "Right ascension of the counterpart, ICRS", False),
        Field("counterpart_dec", "DEC_Counterpart", pa.float64(), "deg", "pos.eq.dec", "Declination of the counterpart, ICRS", False),
    ),
    radius=60.0,
    citation="doi:10.3847/1538-4365/ac9523",
    licence="free use with citation",
    download=Download("https://fermi.gsfc.nasa.gov/ssc/data/access/lat/4LACDR3/table-4LAC-DR3-{piece}.fits", ".fits", ("h", "l")),
)
