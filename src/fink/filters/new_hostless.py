"""First detections at a place where nothing was: no source of the template, of SIMBAD or of Gaia, and none on the stamp.

Today the stamps of such alerts are examined after the night with random shuffles; here in the stream, always with the same
answer. The galaxies of the catalogues count too, with a probability. A place that no catalogue was asked about is not known to
be empty.
"""

from __future__ import annotations

from fink.filters import substream

new_hostless = substream(
    about="First detections without a host on the stamps or in any catalogue",
    where="uncatalogued AND n_detections = 1 AND is_hostless",
    per_night=(0, 5_000),
)
