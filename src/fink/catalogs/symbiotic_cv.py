"""Symbiotic and cataclysmic stars that Fink's users watch for outbursts.

Symbiotic stars of the New Online Database of Symbiotic Variables (Merc et al. 2019, doi:10.1002/asna.201913662) and
cataclysmic variables of Downes et al. 2001, doi:10.1086/320802. It is imported from a file with the columns Name,
RA(J2000), DEC(J2000), Radius [arcsec] and source. Each star has a radius of its own in it, which is half an arcsec for
most.
"""

from __future__ import annotations

import pyarrow as pa

from fink.catalogs.declaration import Catalogue, Field

symbiotic_cv = Catalogue(
    fields=(
        Field("name", "Name", pa.string(), "", "meta.id", "Name of the star in its list"),
        Field("kind", "source", pa.string(), "", "src.class", "List that the star is from: symbiotic_stars or cataclysmic_variables"),
        Field("listed_mag", "magnitude", pa.string(), "", "phot.mag", "Magnitude as the list has it, with its band or range", False),
    ),
    radius=0.5,
    citation="doi:10.1002/asna.201913662",
    licence="free use with citation",
    ra='"RA(J2000)"',
    dec='"DEC(J2000)"',
    own_radius="Radius",
)
