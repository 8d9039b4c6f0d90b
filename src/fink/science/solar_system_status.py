"""Solar-system status: whether an alert is a known moving object, may be an unknown one, or is a first appearance.

*Known*: the survey names a solar-system object within five arcsec (LSST names it only where it has linked the source),
no star of the deep catalogue is nearer than that, and nothing was seen at this place more than five times.

*Candidate*: not known; no star or galaxy of the deep catalogue within five arcsec, and none that looks like a star beyond, or
where the survey gives no catalogue source (LSST never does), nothing of five sigma in the template; seen here at most
twice, and if twice, within 30 minutes. But for the template these are the cuts by which Fink has chosen asteroid candidates from ZTF
since 2019 (Le Montagner et al. 2023, doi:10.1051/0004-6361/202346905).

*First appearance*: the first detection at this place; null for known moving objects, which have no place.
Today's single code (`roid`: 0 to 3) lets one state hide another; here each has its own answer.
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

MAX_SEPARATION = 5.0
"""Farthest known object, and nearest catalogue source of a candidate [arcsec]."""

MAX_STAR_SCORE, MAX_DETECTIONS_KNOWN, MAX_DETECTIONS_CANDIDATE = 0.76, 5, 2
MIN_TEMPLATE_SNR = 5.0
MAX_PAIR_GAP = 30.0 / 1440.0
"""Longest time between the two detections of a candidate [d]."""


@science_module(
    version="1.0",
    outputs=(
        Column("is_known_sso", pa.bool_(), "", "meta.code", "Whether the alert is a known solar-system object", indexed=True),
        Column("is_sso_candidate", pa.bool_(), "", "meta.code", "Whether the alert may be an unknown solar-system object", indexed=True),
        Column("is_first_appearance", pa.bool_(), "", "meta.code", "Whether this is the first detection at this place"),
    ),
    reference="doi:10.1051/0004-6361/202346905",
)
def solar_system_status(
    sso_name: pa.Array,
    sso_separation: Floats,
    star_separation: Floats,
    star_score: Floats,
    template_flux: Floats,
    template_flux_err: Floats,
    n_detections: Floats,
    lightcurves: LightCurves,
) -> Columns:
    """Decide from the survey's association, the catalogue source beside it, the template and the detections so far; all (n,)."""
    lc = lightcurves
    named = sso_name.is_valid().to_numpy(zero_copy_only=False)
    # comparisons with NaN are false, so each is written such that an unknown value does not decide
    near = ~(sso_separation >= MAX_SEPARATION)
    known = named & near & ~(star_separation <= sso_separation) & ~(n_detections > MAX_DETECTIONS_KNOWN)
    in_template = np.isnan(star_separation) & (template_flux >= MIN_TEMPLATE_SNR * template_flux_err)
    lonely = ~(star_separation < MAX_SEPARATION) & ~(star_score >= MAX_STAR_SCORE) & ~in_template
    brief = (n_detections <= MAX_DETECTIONS_CANDIDATE) & (_detection_span(lc.offsets, lc.mjd, lc.kind) <= MAX_PAIR_GAP)
    first = np.where(known | np.isnan(n_detections), np.nan, n_detections == 1)
    return {"is_known_sso": known, "is_sso_candidate": ~known & lonely & brief, "is_first_appearance": first}


@njit(cache=True, nogil=True)
def _detection_span(offsets: NDArray[np.int64], mjd: Floats, kind: NDArray[np.int8]) -> Floats:
    """Time from the first to the last detection of each light curve [d], (n,); 0 without detections."""
    out = np.zeros(len(offsets) - 1)
    for i in range(len(out)):
        first, last = np.inf, -np.inf
        for j in range(offsets[i], offsets[i + 1]):
            if kind[j] == DETECTION:
                first, last = min(first, mjd[j]), max(last, mjd[j])
        out[i] = max(last - first, 0.0)
    return out
