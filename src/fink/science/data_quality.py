"""Data quality: whether the measurement of an alert can be trusted, and if not, why.

Four questions are asked, each with a column of its own that is null where the survey does not say: do the survey's flags
leave it unblemished, is the signal strong, does the source have the shape of a point, does the survey's score call it real.
`good_quality` holds where none of the answers is no, and the strength of the signal is known. Missing information never
counts against an alert, but it can be seen which information was missing.

The score is at least 0.55, as in today's Fink. For a pure sample ZTF recommends widths up to 5 arcsec and elongations up to 1.2
(doi:10.1088/1538-3873/aae904); a quarter of recent alerts with a score of 1 are wider or longer, so that here the limits are 8
arcsec and 1.5, and moderately trailed asteroids stay. To the elongation comes ten times the noise-to-signal ratio, since moments
of faint sources scatter: real LSST sources of six sigma reach 3. The signal is 5 sigma, below which no survey sends an
alert on purpose.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fink.columns import Column
from fink.science import Columns, science_module

Floats = NDArray[np.float64]

MIN_SNR, MIN_REAL_SCORE = 5.0, 0.55
MAX_SEEING, MAX_ELONGATION, ELONGATION_NOISE = 8.0, 1.5, 10.0
"""Widest point source [arcsec]; most elongated bright one, and what noise adds to that at a signal-to-noise ratio of one."""


@science_module(
    version="1.0",
    outputs=(
        Column("unflagged", pa.bool_(), "", "meta.code.qual", "Whether no flag of the survey and no dipole speaks against the measurement"),
        Column(
            "significant",
            pa.bool_(),
            "",
            "meta.code.qual",
            f"Whether the difference flux has a signal-to-noise ratio of {MIN_SNR:g} or more",
        ),
        Column(
            "point_like", pa.bool_(), "", "meta.code.qual", "Whether seeing and elongation are those of a point source in fair conditions"
        ),
        Column("scored_real", pa.bool_(), "", "meta.code.qual", f"Whether the survey's score of being real is {MIN_REAL_SCORE:g} or more"),
        Column("good_quality", pa.bool_(), "", "meta.code.qual", "Whether nothing speaks against the measurement", indexed=True),
    ),
    reference="doi:10.1088/1538-3873/aae904",
)
def data_quality(flagged: Floats, is_dipole: Floats, snr: Floats, seeing: Floats, elongation: Floats, real_score: Floats) -> Columns:
    """Judge each alert by its flags, signal, shape and score; all (n,)."""
    unflagged = _all_known(1.0 - flagged, 1.0 - is_dipole)
    significant = _at_least(np.abs(snr), MIN_SNR)
    with np.errstate(divide="ignore", invalid="ignore"):
        margin = MAX_ELONGATION + ELONGATION_NOISE / np.abs(snr) - elongation
    point_like = _all_known(_at_least(-seeing, -MAX_SEEING), _at_least(margin, 0.0))
    scored_real = _at_least(real_score, MIN_REAL_SCORE)
    return {
        "unflagged": unflagged,
        "significant": significant,
        "point_like": point_like,
        "scored_real": scored_real,
        "good_quality": _all_known(unflagged, point_like, scored_real, np.nan_to_num(significant)),
    }


def _at_least(values: Floats, threshold: float) -> Floats:
    """Give 1 where a value reaches the threshold, 0 where it does not, NaN where it is unknown."""
    return np.where(np.isnan(values), np.nan, (values >= threshold).astype(np.float64))


def _all_known(*answers: Floats) -> Floats:
    """Give the smallest answer that is known; NaN where none is."""
    smallest = answers[0]
    for answer in answers[1:]:
        smallest = np.fmin(smallest, answer)
    return smallest
