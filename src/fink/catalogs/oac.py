"""Open Astronomy Catalogues: supernovae, tidal disruption events and kilonovae of the literature, with their claimed types.

Guillochon et al. 2017, doi:10.3847/1538-4357/835/1/64. Where sources disagree the first value stands, which is the one
that its makers trust most. Alerts are matched within 2 arcsec.
"""

from __future__ import annotations

import pyarrow as pa

from fink.catalogs.declaration import Catalogue, Field

oac = Catalogue(
    fields=(
        Field("name", "event", pa.string(), "", "meta.id", "Name of the transient"),
        Field("type", "split_part(claimedtype, ',', 1)", pa.string(), "", "src.class", "Claimed type"),
        Field("redshift", "split_part(redshift, ',', 1)", pa.float32(), "", "src.redshift", "Redshift of the transient"),
    ),
    radius=2.0,
    citation="doi:10.3847/1538-4357/835/1/64",
    licence="MIT",
    ra="split_part(ra, ',', 1)",
    dec="split_part(dec, ',', 1)",
)
