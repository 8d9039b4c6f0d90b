"""Sources near galaxies in their first days that change fast.

As in today's Fink for LSST: 0.2 mag a day brighter within three days, or fading by 0.2 (r, i) or 0.5 mag a day (u, g), between
two points of one band.
"""

from __future__ import annotations

from fink.filters import substream

extragalactic_new_candidate = substream(
    about="Young sources near galaxies that rise or fade fast: supernovae within days, kilonovae",
    where="""
    near_galaxy AND age < 5 AND mag < 24 AND NOT mag_rate_from_limit
    AND ((mag_rate < -0.2 AND age < 3) OR (mag_rate > 0.2 AND band IN ('r', 'i')) OR (mag_rate > 0.5 AND band IN ('u', 'g')))
    """,
    per_night=(0, 20_000),
)
