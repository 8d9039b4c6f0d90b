"""Everything that may be a transient, with the unlikely taken away: for those who classify themselves.

Today's condition asks for measurements that are *not* of good quality, a slip; here they are good.
"""

from __future__ import annotations

from fink.filters import substream

remove_unlikely_transients = substream(
    about="Good, repeated, stationary sources of ten sigma and more: for those who run classifiers of their own",
    where="good AND snr > 10 AND n_detections >= 2 AND NOT is_known_sso",
    per_night=(0, 1_000_000),
)
