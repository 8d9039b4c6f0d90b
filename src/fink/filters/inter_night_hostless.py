"""Third detections over more than twelve hours at a place where nothing was.

As `new_hostless`, for a source that has stayed.
"""

from __future__ import annotations

from fink.filters import substream

inter_night_hostless = substream(
    about="Sources seen three times over nights without a host on the stamps or in any catalogue",
    where="uncatalogued AND n_detections = 3 AND age > 0.5 AND is_hostless",
    per_night=(0, 2_000),
)
