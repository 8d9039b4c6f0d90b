"""Everything that nobody knows: Fink's class is Unknown.

As in today's Fink, but what could not be looked up, since the catalogue is not installed, is not in it. Two thirds of the
stream pass, so that a run selects it only when it is named; ``fink filter test unknowns`` asks the archive at any time.
"""

from __future__ import annotations

from fink.filters import substream

unknowns = substream(
    about="Alerts of class Unknown: in no catalogue, and claimed by no rule",
    where="fink_class = 'Unknown'",
    per_night=(0, 5_000_000),
    on_demand=True,
)
