"""Alerts of RR Lyrae stars, candidates included, as SIMBAD knows them.

As in today's library, under whichever name the type came.
"""

from __future__ import annotations

from fink.filters import substream

rrlyr = substream(
    about="RR Lyrae stars of SIMBAD, and candidates",
    where="simbad_code IN ('RR*', 'RR?')",
    per_night=(0, 500_000),
)
