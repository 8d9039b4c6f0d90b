"""Young alerts that the Transient Name Server has a spectral type for.

As in today's Fink, where the list is matched once a night; here with the stream, and the age of the list is in the ledger.
"""

from __future__ import annotations

from fink.filters import substream

tns_match = substream(
    about="Classified transients of the TNS in their first month",
    where="tns_type IS NOT NULL AND age <= 30",
    per_night=(0, 20_000),
)
