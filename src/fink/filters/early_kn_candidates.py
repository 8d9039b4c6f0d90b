"""Kilonovae in the first hours: new sources of the right luminosity in a nearby galaxy.

Today the galaxy is the nearest of Mangrove, and SDSS is asked over the network whether a star or quasar stands there; a
failure of either service lets everything or nothing through. Here the host is the likeliest of all galaxy catalogues, and the
vetoes are Gaia's parallaxes, the survey's own star score, VSX and Milliquas, all local. Without a galaxy catalogue nothing is
selected.
"""

from __future__ import annotations

from fink.filters import substream

early_kn_candidates = substream(
    about="Sources under six hours old, as luminous as a kilonova, within 10 kpc of a nearby galaxy",
    where="""
    real_score > 0.5 AND point_shaped AND age < 0.25 AND may_be_extragalactic AND NOT is_known_sso AND not_on_star AND NOT catalogued_star
    AND milliquas_name IS NULL AND outside_galactic_plane AND outside_ecliptic
    AND host_probability > 0.5 AND host_offset < 10 AND absolute_mag > -17 AND absolute_mag < -15
    """,
    per_night=(0, 200),
)
