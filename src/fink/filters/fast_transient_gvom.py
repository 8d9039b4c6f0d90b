"""New sources that brighten by 0.3 mag a day, in a galaxy or where nothing is known.

Today Gaia's parallax error is passed where the parallax belongs, so that no star is ever refused; here stars are. The rate is
the exact one and not that of a random draw, and its significance must be three.
"""

from __future__ import annotations

from fink.filters import substream

fast_transient_gvom = substream(
    about="Extragalactic candidates brighter than 21 mag that brighten fast: for follow-up by the GVOM network",
    where="extragalactic AND age < 5 AND mag < 21 AND mag_rate < -0.3 AND mag_rate_significance > 3",
    per_night=(0, 2_000),
)
