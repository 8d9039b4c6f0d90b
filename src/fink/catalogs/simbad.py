"""SIMBAD: what astronomers have published on any object outside the solar system, with its main type.

Wenger et al. 2000, doi:10.1051/aas:2000332. Stars are matched where they have moved to since 2000. Alerts are matched
within 1 arcsec; the type is the main type in SIMBAD's present names. The whole table is fetched from the CDS a part at
a time.
"""

from __future__ import annotations

import pyarrow as pa

from fink.catalogs.declaration import Catalogue, Download, Field

simbad = Catalogue(
    fields=(
        Field("name", "main_id", pa.string(), "", "meta.id;meta.main", "Main name of the object in SIMBAD"),
        Field("type", ("otype", "main_type", "otype_txt"), pa.string(), "", "src.class", "Main type of the object in SIMBAD"),
        Field("redshift", ("rvz_redshift", "z_value", "redshift"), pa.float32(), "", "src.redshift", "Redshift of the object", False),
    ),
    radius=1.0,
    citation="doi:10.1051/aas:2000332",
    licence="ODbL 1.0",
    download=Download(
        "https://simbad.cds.unistra.fr/simbad/sim-tap/sync?request=doQuery&lang=adql&format=votable&maxrec=2000000&query="
        "SELECT+main_id,ra,dec,pmra,pmdec,otype,rvz_redshift+FROM+basic+WHERE+ra+IS+NOT+NULL+AND+MOD(oid,16)={piece}",
        ".vot",
        tuple(str(piece) for piece in range(16)),
    ),
    pm_ra=("pmra",),
    pm_dec=("pmdec",),
)
