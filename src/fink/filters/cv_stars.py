"""Cataclysmic variables that are three magnitudes brighter than in the template.

As in today's Fink after the night; here in the stream.
"""

from __future__ import annotations

from fink.filters import substream

cv_stars = substream(
    about="Cataclysmic variables in outburst, by three magnitudes or more",
    where="symbiotic_cv_kind = 'cataclysmic_variables' AND template_change <= -3",
    per_night=(0, 500),
)
