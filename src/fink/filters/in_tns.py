"""Alerts at transients that somebody has reported to the Transient Name Server, classified or not.

As in today's Fink for LSST, and for every survey. The production of today did not pass the list to the matching, so that its
substream stayed empty.
"""

from __future__ import annotations

from fink.filters import substream

in_tns = substream(
    about="Transients that the TNS knows, with their name, type and redshift",
    where="tns_name IS NOT NULL",
    per_night=(0, 200_000),
)
