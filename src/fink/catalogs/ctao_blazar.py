"""Blazars that the Cherenkov Telescope Array Observatory watches: their ZTF objects, and when each is in a low or a high state.

Sources of the third Fermi catalogue of hard sources (3FHL) that ZTF sees, as a list kept by the CTAO's group on active galaxies for
Fink. It is imported from the file of a version (`CTAO_blazars_ztf_*.parquet`), names ZTF's objects and holds no positions; alerts are
matched by the name of their object. The thresholds are in units of the source's own median flux in the alert's band: below the lower
one it is in a low state, above the upper one in a high state. Versions before 2026 have the lower one alone.
"""

from __future__ import annotations

import pyarrow as pa

from fink.catalogs.declaration import Catalogue, Field

ctao_blazar = Catalogue(
    fields=(
        Field("object", ("ZTF_name", '"ZTF Name"'), pa.string(), "", "meta.id", "ZTF object", on_alerts=False),
        Field("name", ("Source_name", '"3FGL Name"'), pa.string(), "", "meta.id", "Name of the gamma-ray source, as 3FHL J0001.2-0748"),
        Field(
            "low_threshold",
            ("low_threshold", '"Final Threshold"'),
            pa.float32(),
            "",
            "phot.flux;arith.ratio",
            "Flux over its median below which the source is in a low state",
        ),
        Field(
            "high_threshold",
            "high_threshold",
            pa.float32(),
            "",
            "phot.flux;arith.ratio",
            "Flux over its median above which the source is in a high state",
        ),
    ),
    radius=0.0,
    object_field="object",
    citation="https://doi.org/10.3847/1538-4365/aa8221",
    licence="Apache-2.0",
)
