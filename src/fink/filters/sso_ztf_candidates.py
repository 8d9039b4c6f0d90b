"""Alerts of ZTF that are known solar-system objects.

As in today's Fink (`roid = 3`); whoever wants only good photometry adds `good_quality`.
"""

from __future__ import annotations

from fink.filters import substream

sso_ztf_candidates = substream(
    about="Known solar-system objects, with their designation and predicted magnitude: for phase curves and light curves",
    where="is_known_sso",
    per_night=(0, 100_000),
    surveys=("ztf",),
)
