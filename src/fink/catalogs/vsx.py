"""International Variable Star Index of the AAVSO: known and suspected variable stars, with type and period.

Watson, Henden and Price 2006, 2006SASS...25...47W. Kept up daily; ten million stars by 2024. The type is in the scheme
of the index, which extends that of the GCVS; alternatives are separated by bars. Alerts are matched within 1.5 arcsec.
"""

from __future__ import annotations

import pyarrow as pa

from fink.catalogs.declaration import Catalogue, Download, Field, vizier

vsx = Catalogue(
    fields=(
        Field("name", "Name", pa.string(), "", "meta.id", "Primary name of the variable star"),
        Field("type", ("Type", "VType"), pa.string(), "", "src.class;src.var", "Type of variability in the scheme of the VSX"),
        Field("period", "Period", pa.float64(), "d", "time.period", "Period, or mean time between outbursts"),
    ),
    radius=1.5,
    citation="https://ui.adsabs.harvard.edu/abs/2006SASS...25...47W",
    licence="free use with acknowledgement of the AAVSO",
    download=Download(vizier("B/vsx/vsx", "Name,Type,Period,RAJ2000,DEJ2000"), ".fits"),
)
