"""Young sources near galaxies, for the telescopes of SVOM.

As in today's Fink for LSST; near a galaxy here means a likely host, whichever catalogue has it.
"""

from __future__ import annotations

from fink.filters import substream

extragalactic_svom = substream(
    about="Sources near galaxies first seen under five days ago: for follow-up by SVOM",
    where="near_galaxy AND age < 5 AND mag < 24",
    per_night=(0, 100_000),
)
