"""Transient flag: cuts in the manner of the Bright Transient Survey, each with its own answer so that one can see which failed.

A transient is bright enough to be followed, brighter than the template, real, stationary, not on top of a star, not beside a
bright star, not a known variable and not a moving object (Fremling et al. 2020, doi:10.3847/1538-4357/ab8943; Perley et al.
2020, doi:10.3847/1538-4357/abbd98).

Where the survey gives no score of being real, strong sources without flags stand in for it: in today's Fink a missing score
made the whole flag missing. (ZTF's alerts before 2019 carry an older score, which seldom reaches 0.8.) What else is unknown
does not count against an alert. Today's extra rule, that no detection of the last 18 hours be fainter than 19 mag, is gone: it
refused what rises through 19 mag in a night.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from fink.columns import Column
from fink.lightcurves import DETECTION, LightCurves
from fink.science import Columns, science_module

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MAX_MAG = 19.8
MIN_REAL_SCORE, MIN_REAL_SCORE_OLD_NEAR_STAR = 0.8, 0.95
MIN_SNR_WITHOUT_SCORE = 10.0
STAR_SCORE, STAR_RADIUS = 0.76, 2.5
"""What looks like a star, and how near it is taken to be the source itself [arcsec]."""

M_DWARF_SCORE, M_DWARF_R_I, M_DWARF_I_Z = 0.5, 0.53, 0.3
"""Colours beyond which a source is an M dwarf whatever its shape, if it is not clearly a galaxy (West et al. 2011)."""

GAIA_BRIGHT, STAR_BRIGHT, BRIGHT_RADIUS = 12.0, 14.0, 20.0
OLD, MANY_DETECTIONS, ANY_VARIABLE = 90.0, 30, 200
MIN_TIME_APART = 0.02
"""A moving object would have left its place after this time [d]."""

_PARTS = {
    "is_bright": f"Whether it is brighter than {MAX_MAG} mag",
    "is_real": "Whether the survey's score, or else its signal and flags, say that it is real",
    "is_stationary": "Whether it was seen brighter than the template here at least half an hour before",
    "is_on_star": "Whether a star lies under the source",
    "is_near_bright_star": "Whether a star bright enough to leave artefacts is near",
    "is_long_variable": "Whether it has varied here for months",
}


@science_module(
    version="1.0",
    outputs=(
        Column(
            "is_transient", pa.bool_(), "", "meta.code", "Whether it passes every cut of a bright, new, stationary source", indexed=True
        ),
        *(Column(name, pa.bool_(), "", "meta.code", about) for name, about in _PARTS.items()),
    ),
    reference="doi:10.3847/1538-4357/abbd98",
)
def transient_flag(
    mag: Floats,
    positive: Flags,
    real_score: Floats,
    snr: Floats,
    flagged: Floats,
    age: Floats,
    n_detections: Floats,
    star_separation: Floats,
    star_score: Floats,
    star_g: Floats,
    star_r: Floats,
    star_i: Floats,
    star_z: Floats,
    gaia_bright_separation: Floats,
    gaia_bright_mag: Floats,
    is_known_sso: Floats,
    is_sso_candidate: Floats,
    mjd: Floats,
    lightcurves: LightCurves,
) -> Columns:
    """Apply the cuts; all (n,). Comparisons with unknown values are false."""
    lc = lightcurves
    old_near_star = (age > OLD) & (star_separation < STAR_RADIUS)
    wanted = np.where(old_near_star, MIN_REAL_SCORE_OLD_NEAR_STAR, MIN_REAL_SCORE)
    plausible = np.isnan(real_score) & (snr >= MIN_SNR_WITHOUT_SCORE) & ~(flagged > 0)
    star_mag = np.fmin(np.fmin(star_g, star_r), np.fmin(star_i, star_z))
    parts = {
        "is_bright": mag < MAX_MAG,
        "is_real": (real_score >= wanted) | plausible,
        "is_stationary": _seen_before(lc.offsets, lc.mjd, lc.kind, lc.flux, mjd),
        "is_on_star": _on_star(star_separation, star_score, star_r, star_i, star_z),
        "is_near_bright_star": _bright_beside(gaia_bright_separation, gaia_bright_mag, GAIA_BRIGHT)
        | _bright_beside(star_separation, star_mag, STAR_BRIGHT),
        "is_long_variable": ((age > OLD) & (n_detections > MANY_DETECTIONS)) | (n_detections > ANY_VARIABLE),
    }
    still = positive & ~(is_known_sso > 0) & ~(is_sso_candidate > 0)
    wanted_parts = parts["is_bright"] & parts["is_real"] & parts["is_stationary"]
    refused = parts["is_on_star"] | parts["is_near_bright_star"] | parts["is_long_variable"]
    return parts | {"is_transient": still & wanted_parts & ~refused}


def _on_star(separation: Floats, score: Floats, r: Floats, i: Floats, z: Floats) -> Flags:
    with np.errstate(invalid="ignore"):
        red = (score > M_DWARF_SCORE) & (r - i > M_DWARF_R_I) & (i - z > M_DWARF_I_Z)
    return np.asarray((separation < STAR_RADIUS) & ((score > STAR_SCORE) | red))


def _bright_beside(separation: Floats, mag: Floats, limit: float) -> Flags:
    return np.asarray((separation < BRIGHT_RADIUS) & (mag < limit))


@njit(cache=True, nogil=True)
def _seen_before(offsets: NDArray[np.int64], mjd: Floats, kind: NDArray[np.int8], flux: NDArray[np.float32], now: Floats) -> Flags:
    """Say whether a positive detection precedes the alert by long enough, (n,)."""
    out = np.zeros(len(now), np.bool_)
    for i in range(len(now)):
        for j in range(offsets[i], offsets[i + 1]):
            if kind[j] == DETECTION and flux[j] > 0.0 and now[i] - mjd[j] >= MIN_TIME_APART:
                out[i] = True
                break
    return out
