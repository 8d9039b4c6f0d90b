"""Symbiotic stars that are half a magnitude brighter than in the template.

As in today's Fink after the night; here in the stream.
"""

from __future__ import annotations

from fink.filters import substream

symbiotic_stars = substream(
    about="Symbiotic stars in outburst, by half a magnitude or more",
    where="symbiotic_cv_kind = 'symbiotic_stars' AND template_change <= -0.5",
    per_night=(0, 200),
)
