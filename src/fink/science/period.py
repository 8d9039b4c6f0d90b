"""Period: the best period of a long light curve, in all its bands together, and how sure it is that there is one.

The bands' difference fluxes (detections, and forced photometry where there is no detection of the same exposure) are brought to
mean zero and one scale and searched together: bands share phase and shape, each has its own mean and amplitude. Up to 12 peaks of
the Lomb-Scargle periodogram are fitted with four harmonics, and the best fit gives the period. It is searched from a fifth of
a day to half of the span of the points, where there are 20 points, in bands of five or more.

`period_log_fap` says how probable so high a peak is in noise (Baluev 2008, doi:10.1111/j.1365-2966.2008.12689.x); noise is
taken to be white, so that a supernova or a slow trend also has a very improbable peak, at a period near half the span:
`period_cycles` and `period_residual` tell these apart. On the 483 RR Lyrae stars of SDSS Stripe 82 (Sesar et al. 2010,
doi:10.1088/0004-637X/708/1/717) 94 % of periods are right to 0.1 %, and 98 % with the aliases of one and two cycles a day
and of half and double the frequency.
"""

from __future__ import annotations

import pyarrow as pa

from fink.columns import Column
from fink.fitting.periodogram import find_periods
from fink.fitting.points import one_of_an_exposure
from fink.lightcurves import LightCurves
from fink.science import Columns, science_module

_OF_VARIANCE = "stat.value;src.var"


@science_module(
    version="1.0",
    outputs=(
        Column("period", pa.float64(), "d", "time.period", "Best period of the light curve in all bands", indexed=True),
        Column(
            "period_log_fap",
            pa.float32(),
            "",
            "stat.probability",
            "Decimal logarithm of the probability that white noise has a peak as high in its periodogram",
            indexed=True,
        ),
        Column("period_power", pa.float32(), "", _OF_VARIANCE, "Share of the variance that one sinusoid explains at the highest peak"),
        Column("period_residual", pa.float32(), "", _OF_VARIANCE, "Share of the variance left about the light curve folded with period"),
        Column(
            "period_harmonic_ratio",
            pa.float32(),
            "",
            "stat.fourier;src.var.amplitude",
            "Amplitude of the first overtone over that of the fundamental",
        ),
        Column("period_cycles", pa.float32(), "", "meta.number;time.period", "Periods in the span of the points that were searched"),
        Column("n_period_points", pa.int32(), "", "meta.number;obs", "Points that were searched"),
    ),
    where="n_detections >= 20 AND NOT is_known_sso",
    reference="doi:10.1088/0004-637X/812/1/18",
)
def period(lightcurves: LightCurves) -> Columns:
    """Search the light curves for their periods."""
    lc = lightcurves
    single = lc.select(one_of_an_exposure(lc.offsets, lc.mjd, lc.band, lc.kind))
    found = find_periods(single.offsets, single.mjd, single.band, single.flux, single.flux_err, len(lc.bands))
    return {
        "period": found.period,
        "period_log_fap": found.log_fap,
        "period_power": found.power,
        "period_residual": found.residual,
        "period_harmonic_ratio": found.harmonic_ratio,
        "period_cycles": found.span / found.period,
        "n_period_points": found.n_points,
    }
