"""Trailed sources that are no known object: they move fast, so they are near.

New. LSST fits a trail to each source; two arcsec in an exposure of 30 s is 1.6 degrees a day. Satellites leave longer ones
that are flagged.
"""

from __future__ import annotations

from fink.filters import substream

near_earth_candidates = substream(
    about="Trailed sources that match no known object: near-Earth object candidates",
    where="trail_length > 2 AND NOT flagged AND positive_detection AND NOT is_known_sso AND snr > 5",
    per_night=(0, 20_000),
    surveys=("lsst",),
)
