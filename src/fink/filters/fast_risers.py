"""Sources that brighten fast, whatever they are: at least 0.3 mag a day with 95 % probability.

Today's nearest substream cuts on a Monte-Carlo mean whose values depend on the other alerts of its batch, and asks
for hosts. Here the whole interval is beyond the cut, and the earlier point may be a non-detection: that
is how a new explosion shows.
"""

from __future__ import annotations

from fink.filters import substream

fast_risers = substream(
    about="New sources that brighten by 0.3 mag a day or more: flares, shock breakouts, young supernovae",
    where="clean_transient AND age < 10 AND mag_rate_upper < -0.3",
    per_night=(0, 2_000),
)
