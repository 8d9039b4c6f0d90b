"""Transients of the southern sky in galaxies within 200 Mpc, for the radio telescope ASKAP.

Today a classifier's score or an entry in the TNS makes a transient; here the entry, or that it is a clean transient, until
there is a classifier.
"""

from __future__ import annotations

from fink.filters import substream

vast = substream(
    about="Transients south of -10 degrees near galaxies within 200 Mpc: for radio follow-up",
    where="mangrove_luminosity_distance < 200 AND dec < -10 AND (tns_name IS NOT NULL OR clean_transient)",
    per_night=(0, 500),
)
