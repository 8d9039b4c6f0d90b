"""Young stellar objects of the SPICY catalogue that brighten or fade steadily in r.

As in today's Fink: a slope beyond 0.025 mag a day from five points or more, and a line that explains 60 % of the variance.
That share is found from the scatter about the line and that about the mean.
"""

from __future__ import annotations

from fink.filters import substream

yso_spicy_candidates = substream(
    about="Young stellar objects of SPICY with a steady trend in r: eruptions and dimmings",
    where="""
    spicy_class IS NOT NULL AND abs(mag_linear_fit_slope_r) > 0.025 AND mag_n_points_r >= 5
    AND power(mag_linear_trend_noise_r, 2) * (mag_n_points_r - 2) < 0.4 * power(mag_standard_deviation_r, 2) * (mag_n_points_r - 1)
    """,
    per_night=(0, 500),
)
