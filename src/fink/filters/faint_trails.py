"""Faint trailed sources: fast moving objects and satellites.

As in today's Fink for LSST; how long the source is compared with its width is the survey's own measurement, which needs no
stamp.
"""

from __future__ import annotations

from fink.filters import substream

faint_trails = substream(
    about="Trails of 18 to 21 mag, two arcsec or longer",
    where="""
    unflagged AND positive_detection AND snr >= 6 AND trail_length > 2 AND mag > 18 AND mag < 21 AND lsst_trail_flux > 0
    AND NOT lsst_pixel_flags_cr AND elongation > 2
    """,
    per_night=(0, 20_000),
    surveys=("lsst",),
)
