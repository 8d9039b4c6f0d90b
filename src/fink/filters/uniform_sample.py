"""One alert in 113, whatever it is.

As in today's Fink for LSST, and for every survey: the number of the alert decides, so that a rerun takes the same ones.
"""

from __future__ import annotations

from fink.filters import substream

uniform_sample = substream(
    about="An unbiased sample of 0.9 % of the stream: for training and statistics",
    where="alert_id % 113 = 0",
    per_night=(0, 100_000),
)
