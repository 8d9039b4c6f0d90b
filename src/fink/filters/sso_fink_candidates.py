"""Candidates for unknown solar-system objects, for linking into orbits.

As in today's Fink (`roid = 2`), but an alert that is also a first detection stays one: the single code hid that. Bad
measurements are left out, which today's substream sends to those who link.
"""

from __future__ import annotations

from fink.filters import substream

sso_fink_candidates = substream(
    about="Solar-system objects that nobody knows yet, perhaps: for asteroid linkers",
    where="is_sso_candidate AND good",
    per_night=(0, 50_000),
)
