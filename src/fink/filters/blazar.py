"""Alerts of blazars and BL Lac objects, candidates included, as SIMBAD knows them.

As in today's Fink, under whichever name a type came; the code stands for all of them.
"""

from __future__ import annotations

from fink.filters import substream

blazar = substream(
    about="Known and possible blazars: for those who watch them",
    where="simbad_code IN ('Bla', 'Bz?', 'BLL', 'BL?')",
    per_night=(0, 20_000),
)
