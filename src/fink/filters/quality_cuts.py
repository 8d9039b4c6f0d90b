"""Alerts that pass the two basic quality cuts.

As in today's Fink (`rb >= 0.55`, no bad pixel), in every survey: the flags are the survey's own.
"""

from __future__ import annotations

from fink.filters import substream

quality_cuts = substream(
    about="Every alert with a good score and without flags",
    where="real AND NOT flagged",
    per_night=(0, 5_000_000),
)
