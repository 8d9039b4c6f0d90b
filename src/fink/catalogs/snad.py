"""SNAD transients: supernovae and other transients found as anomalies in the ZTF data releases.

Malanchev et al. 2021, doi:10.1093/mnras/stab316, and https://snad.space/catalog. Alerts are matched within 1.5 arcsec.
"""

from __future__ import annotations

import pyarrow as pa

from fink.catalogs.declaration import Catalogue, Download, Field

snad = Catalogue(
    fields=(
        Field("name", "Name", pa.string(), "", "meta.id", "Name of the transient in the SNAD catalogue"),
        Field("type", "Type", pa.string(), "", "src.class", "Kind of transient: PSN possible supernova, AGN, CV, RDF red dwarf flare…"),
    ),
    radius=1.5,
    citation="doi:10.1093/mnras/stab316",
    licence="MIT",
    download=Download("https://snad.space/catalog/snad_catalog.csv", ".csv"),
    ra='"R.A."',
    dec='"Dec."',
)
