"""Known tidal disruption events: galaxies in which a star was seen to be torn apart, to notice when they flare again.

A list kept by Fink's users, drawn from the Transient Name Server. It is imported from a file with the columns name, ra
and dec. Alerts are matched within 5 arcsec.
"""

from __future__ import annotations

import pyarrow as pa

from fink.catalogs.declaration import Catalogue, Field

known_tde = Catalogue(
    fields=(Field("name", "name", pa.string(), "", "meta.id", "IAU name of the tidal disruption event"),),
    radius=5.0,
    citation="https://www.wis-tns.org",
    licence="free use with acknowledgement of the Transient Name Server",
)
