"""All bright transients, in the manner of the Bright Transient Survey.

As in today's library; a missing score no longer makes the answer missing (see the transient flag).
"""

from __future__ import annotations

from fink.filters import substream

transient_complete = substream(
    about="Bright, new, stationary sources on no star: a nearly complete list of bright transients",
    where="is_transient AND outside_galactic_plane",
    per_night=(0, 20_000),
)
