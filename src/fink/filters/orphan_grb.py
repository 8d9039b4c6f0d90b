"""Candidates for afterglows of gamma-ray bursts that nobody saw: faint, young, fading, not blue.

Today: three detections in ten days, none brighter than 18 mag, fading, g - r of zero or more, in a package that is not
deployed. Fading is now a rate whose 95 % interval is on the fading side, any pair of bands gives the colour, and artefacts
and stars are left out.
"""

from __future__ import annotations

from fink.filters import substream

orphan_grb = substream(
    about="Orphan afterglow candidates: new, fading, reddish, never brighter than 18 mag",
    where="""
    clean_transient AND n_detections >= 3 AND age < 30
    AND n_positive_points >= 3 AND brightest_mag > 18
    AND (mag_rate_lower > 0 OR trend > 3 * trend_err) AND colour_upper > 0
    """,
    per_night=(0, 500),
)
