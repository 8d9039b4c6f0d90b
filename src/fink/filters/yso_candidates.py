"""Alerts at candidates for young stellar objects and T Tauri stars in SIMBAD.

As in today's Fink, under old and new names of these types.
"""

from __future__ import annotations

from fink.filters import substream

yso_candidates = substream(
    about="Candidate young stellar objects of SIMBAD: for outbursts and dips",
    where="simbad_code IN ('Y*?', 'TT?')",
    per_night=(0, 20_000),
)
