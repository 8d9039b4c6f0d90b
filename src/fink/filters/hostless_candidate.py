"""Transients whose host is not seen: nothing in the template, and no likely galaxy in the catalogues.

Today ELEPHANT's cuts on the stamps after the night (ZTF) or a cut on one of its numbers (LSST), 20 degrees from the plane and
brighter than 21.5 mag. Here the counts of the stamps decide in the stream, and a galaxy that is the likely host speaks against
it.
"""

from __future__ import annotations

from fink.filters import substream

hostless_candidate = substream(
    about="Transients brighter than 21.5 mag without a visible host: superluminous supernovae, and what was thrown out of galaxies",
    where="good AND is_hostless AND NOT has_host AND NOT catalogued_star AND high_latitude AND mag <= 21.5",
    per_night=(0, 2_000),
)
