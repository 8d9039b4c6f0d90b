"""What was never seen before: good first detections that do not look like an asteroid.

New: today such alerts are only found by asking for a count of one. A single detection with nothing in the catalogue beside it
is most often an asteroid, so that it counts only away from the ecliptic.
"""

from __future__ import annotations

from fink.filters import substream

first_detections = substream(
    about="First detections at a place, likely stationary: for the earliest follow-up",
    where="""
    good AND positive_detection AND is_first_appearance AND NOT is_known_sso AND not_on_star
    AND (NOT is_sso_candidate OR outside_ecliptic)
    """,
    per_night=(0, 100_000),
)
