"""Kilonova candidates by their fading alone: 0.3 mag a day in one band, without a classifier.

The cut of Andreoni et al. 2021, doi:10.3847/1538-4357/ac0bc7, as in today's Fink. There the variance of the slope was taken
for its error, so that no slope was ever uncertain; here the slope must be beyond the cut and three sigma from zero. The veto
of SDSS over the network is replaced by the local ones, and the line has half a day at least since the source was first seen.
"""

from __future__ import annotations

from fink.filters import substream

rate_based_kn_candidates = substream(
    about="New sources that fade by 0.3 mag a day in one band, where SIMBAD knows a galaxy or nothing",
    where="""
    real_score > 0.9 AND point_shaped AND age > 0.5 AND age < 5 AND n_detections < 20 AND may_be_extragalactic AND positive_detection
    AND NOT (sso_separation >= 0 AND sso_separation <= 10) AND not_on_star AND NOT catalogued_star AND milliquas_name IS NULL
    AND outside_galactic_plane AND mag < 21 AND n_trend_points >= 2 AND trend > 0.3 AND trend > 3 * trend_err
    """,
    per_night=(0, 500),
)
