"""Second detections within twelve hours at a place where nothing was.

As `new_hostless`, for a source that was seen twice in a night and so is no asteroid of the main belt.
"""

from __future__ import annotations

from fink.filters import substream

intra_night_hostless = substream(
    about="Sources seen twice in a night without a host on the stamps or in any catalogue",
    where="uncatalogued AND n_detections = 2 AND age < 0.5 AND is_hostless",
    per_night=(0, 2_000),
)
