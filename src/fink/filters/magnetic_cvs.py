"""Magnetic cataclysmic variables that are brighter than in the template.

As in today's Fink: each star of the list within its own radius.
"""

from __future__ import annotations

from fink.filters import substream

magnetic_cvs = substream(
    about="Polars and intermediate polars that brighten: for those who follow changes of state",
    where="magnetic_cv_name IS NOT NULL AND positive_detection",
    per_night=(0, 500),
)
