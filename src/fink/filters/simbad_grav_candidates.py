"""Alerts at gravitational lenses, lensed images, black holes and counterparts of gravitational waves in SIMBAD.

As in today's Fink; the whole family of SIMBAD's tree, candidates left out.
"""

from __future__ import annotations

from fink.filters import substream

simbad_grav_candidates = substream(
    about="Lenses, lensed quasars and galaxies, and black holes in SIMBAD: for lensed transients",
    where="simbad_family = 'gravitation' AND NOT simbad_is_candidate",
    per_night=(0, 2_000),
)
