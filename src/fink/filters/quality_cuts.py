"""Alerts that pass the two basic quality cuts.

As in today's Fink (`rb >= 0.55`, no bad pixel), in every survey: the flags are the survey's own. Most alerts pass, so a run
selects it only when it is named; ``fink filter test quality_cuts`` asks the archive at any time.
"""

from __future__ import annotations

from fink.filters import substream

quality_cuts = substream(
    about="Every alert with a good score and without flags",
    where="real AND NOT flagged",
    per_night=(0, 5_000_000),
    on_demand=True,
)
