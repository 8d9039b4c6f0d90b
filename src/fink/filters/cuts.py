"""Named cuts: the conditions that substreams share. A cut may use another; a user's filter may use any of them."""

from __future__ import annotations

from fink.filters import Cut

real = Cut("The survey's own score says that the source is real", "real_score >= 0.55")

good = Cut("Nothing speaks against the measurement, and it has five sigma", "good_quality")

positive_detection = Cut("Brighter now than in the template", "positive")

outside_galactic_plane = Cut("More than 10 degrees from the plane of the Milky Way", "abs(galactic_latitude) > 10")

outside_ecliptic = Cut("More than 10 degrees from the paths of the planets", "abs(ecliptic_latitude) > 10")

not_moving = Cut("Neither a known solar-system object nor like one", "NOT is_known_sso AND NOT is_sso_candidate")

not_on_star = Cut("No star lies under the source, and none beside it leaves artefacts", "NOT is_on_star AND NOT is_near_bright_star")

confirmed = Cut("Seen here brighter than the template at least half an hour before", "is_stationary")

young = Cut("First detected at most five days ago", "age <= 5")

clean_transient = Cut(
    "A good measurement of something new and stationary that is brighter than the template, on no star",
    "good AND positive_detection AND not_moving AND not_on_star AND confirmed",
)
