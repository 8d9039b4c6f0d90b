"""Bright sources that were not there a few days ago: novae, nearby supernovae, outbursts.

New. No cut on stars underneath: a nova has one. Known moving objects are left out.
"""

from __future__ import annotations

from fink.filters import substream

bright_and_new = substream(
    about="Brighter than 17 mag and first seen at most five days ago: novae, nearby supernovae, big outbursts",
    where="good AND positive_detection AND not_moving AND confirmed AND young AND mag < 17",
    per_night=(0, 500),
)
