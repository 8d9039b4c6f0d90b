"""Bright sources that brighten, in a galaxy or where nothing is known, seen for more than a day.

Today an outage of the cross-match makes every alert unknown and no alert a star, which floods this substream; here a place
counts as unknown only if both SIMBAD and Gaia were asked.
"""

from __future__ import annotations

from fink.filters import substream

extragalactic_lt20mag_candidate = substream(
    about="Extragalactic candidates brighter than 20 mag that rise: for spectroscopy",
    where="extragalactic AND mag < 20 AND rising AND n_detections > 4 AND age > 1",
    per_night=(0, 5_000),
)
