"""Alerts at galaxies in which a star was seen to be torn apart.

As in today's Fink after the night, within 5 arcsec of the list; here in the stream.
"""

from __future__ import annotations

from fink.filters import substream

known_tde = substream(
    about="Known tidal disruption events: for rebrightenings",
    where="known_tde_name IS NOT NULL",
    per_night=(0, 200),
)
