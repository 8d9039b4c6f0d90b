"""NGC and IC objects with their sizes: nearby galaxies, clusters and nebulae inside which an alert lies.

OpenNGC (Verga 2023, https://github.com/mattiaverga/OpenNGC). An alert matches an object inside whose isophote of 25 mag
/ arcsec^2, taken as an ellipse, it lies, and at least within 30 arcsec of its centre; of several that with the smallest
fraction of the way to its edge. Duplicates and objects that do not exist are left out.
"""

from __future__ import annotations

import pyarrow as pa

from fink.catalogs.declaration import Catalogue, Download, Field

ngc = Catalogue(
    fields=(
        Field("name", "Name", pa.string(), "", "meta.id", "Name of the object: NGC or IC and a number"),
        Field("type", "Type", pa.string(), "", "src.class", "Type: G galaxy, GPair, GTrpl, OCl, GCl, PN, SNR, HII, EmN, RfN, *, **…"),
        Field("redshift", "Redshift", pa.float32(), "", "src.redshift", "Redshift of the object", False),
        Field("hubble_type", "Hubble", pa.string(), "", "src.morph.type", "Hubble type of a galaxy", False),
    ),
    radius=30.0,
    citation="https://github.com/mattiaverga/OpenNGC",
    licence="CC-BY-SA-4.0",
    download=Download(
        "https://raw.githubusercontent.com/mattiaverga/OpenNGC/master/database_files/{piece}.csv", ".csv", ("NGC", "addendum")
    ),
    own_radius="30.0 * TRY_CAST(MajAx AS DOUBLE)",
    axis_ratio="TRY_CAST(MinAx AS DOUBLE) / TRY_CAST(MajAx AS DOUBLE)",
    position_angle="PosAng",
    where="Type NOT IN ('Dup', 'NonEx')",
)
