"""3HSP: extreme and high-synchrotron-peaked blazars, the likeliest sources of very high energies.

Chang et al. 2019, doi:10.1051/0004-6361/201834526: 2,013 sources whose synchrotron emission peaks above 10^15 Hz.
Alerts are matched within 60 arcsec, as Fink has done for its gamma-ray users; `x3hsp_separation` tells near from far.
"""

from __future__ import annotations

import pyarrow as pa

from fink.catalogs.declaration import Catalogue, Download, Field, vizier

x3hsp = Catalogue(
    fields=(
        Field("name", ('"3HSP"', '"3HSP Source name"', "Name"), pa.string(), "", "meta.id", "Name of the blazar"),
        Field(
            "figure_of_merit",
            "FOM",
            pa.float32(),
            "",
            "stat.likelihood",
            "Flux at the synchrotron peak over that of the faintest blazar seen at TeV energies",
        ),
    ),
    radius=60.0,
    citation="doi:10.1051/0004-6361/201834526",
    licence="free use with citation",
    download=Download(vizier("J/A+A/632/A77/3hsp", "3HSP,FOM,RAJ2000,DEJ2000"), ".fits"),
    ra=("RAJ2000", '"R.A."'),
    dec=("DEJ2000", '"Dec"'),
)
