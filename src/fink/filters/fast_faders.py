"""Sources that fade fast: at least 0.3 mag a day with 95 % probability, between two measurements.

The rate cut of kilonova and afterglow searches (Andreoni et al. 2021, doi:10.3847/1538-4357/ac0bc7). Today's substream takes
the variance of the slope for its error; here the 5 % quantile of the rate decides.
"""

from __future__ import annotations

from fink.filters import substream

fast_faders = substream(
    about="New sources that fade by 0.3 mag a day or more: kilonovae, afterglows, fast transients",
    where="clean_transient AND age < 10 AND mag_rate_lower > 0.3 AND NOT mag_rate_from_limit",
    per_night=(0, 1_000),
)
