"""Faint alerts where SIMBAD knows nothing: for virtual research assistants.

As in today's Fink (ATLAS Virtual Research Assistant). During an outage of the cross-match service today's substream is empty
or full, by the error's number; here an uninstalled catalogue selects nothing.
"""

from __future__ import annotations

from fink.filters import substream

vra = substream(
    about="Real alerts fainter than 19.5 mag at places that SIMBAD does not know, for eyes and classifiers of others",
    where="unknown_to_simbad AND NOT is_known_sso AND mag > 19.5 AND real_score > 0.5",
    per_night=(0, 500_000),
)
