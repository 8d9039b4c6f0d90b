"""Magnetic cataclysmic variables: polars and intermediate polars that Fink's users watch for changes of state.

A list kept by Fink's users. It is imported from a file with the columns Name, RA(J2000), DEC(J2000), Radius [arcsec]
and magnitude. Each star has a radius of its own in it, which is half an arcsec for all so far.
"""

from __future__ import annotations

import pyarrow as pa

from fink.catalogs.declaration import Catalogue, Field

magnetic_cv = Catalogue(
    fields=(
        Field("name", "Name", pa.string(), "", "meta.id", "Name of the star"),
        Field("listed_mag", "magnitude", pa.float32(), "mag", "phot.mag", "Magnitude as the list has it", False),
    ),
    radius=0.5,
    citation="https://github.com/astrolabsoftware/fink-filters",
    licence="Apache-2.0",
    ra='"RA(J2000)"',
    dec='"DEC(J2000)"',
    own_radius="Radius",
)
