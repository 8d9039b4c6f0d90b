"""Extinction: how much light the dust of the Milky Way takes on the way to a source, in each band of the alert's survey.

`ebv` is the reddening of Schlegel, Finkbeiner and Davis (1998, doi:10.1086/305772) at the source's place, as their maps give
it: between pixels of 2.4 arcmin it is interpolated linearly. All the dust on the line of sight is counted, so that for a star
of our Galaxy it is a limit. The extinctions are those that Schlafly and Finkbeiner (2011) measured for this
reddening, A = R E(B-V) with R of their table 6 for a total-to-selective ratio of 3.1; the map's known error of scale, 14 %, is in
them, and is not in `ebv`. For ZTF, which the paper does not have, R comes from the law of Fitzpatrick (1999,
doi:10.1086/316293) at the effective wavelengths, with the offset from that law that the paper's SDSS, Pan-STARRS, DES and LSST
bands have, good to 1 %. To correct a magnitude, subtract.

The maps are not part of Fink: put SFD_dust_4096_ngp.fits and SFD_dust_4096_sgp.fits (doi:10.7910/DVN/EWCNL5) into the folder
``sfd`` of the setting `artifacts`. Without them the module does not run.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fink.artifacts import Artifact
from fink.columns import Column
from fink.errors import ArtifactError
from fink.science import Columns, science_module
from fink.sky import galactic

Floats = NDArray[np.float64]

BANDS = "ugrizy"
_LSST = {"u": 4.145, "g": 3.237, "r": 2.273, "i": 1.684, "z": 1.323, "y": 1.088}
COEFFICIENTS = {"ztf": {"g": 3.29, "r": 2.19, "i": 1.58}, "lsst": _LSST, "elasticc": _LSST}
"""Extinction [mag] in each band of a survey for a reddening of 1 mag in the maps."""

_NEEDED = ("CRPIX1", "CRPIX2", "LAM_NSGP", "LAM_SCAL")


@dataclass(frozen=True)
class Hemisphere:
    """A map of one half of the sky in Lambert's polar equal-area projection.

    Parameters
    ----------
    values
        (height, width) reddening [mag].
    pole
        1 for the half around the north galactic pole, -1 for the southern one.
    centre
        Column and row of the pole, from 0 [pixel].
    scale
        Distance of the equator from the pole [pixel].
    """

    values: NDArray[np.floating]
    pole: int
    centre: tuple[float, float]
    scale: float

    @classmethod
    def read(cls, path: Path) -> Hemisphere:
        """Open a FITS file of the maps; its pixels stay on the disk until they are asked for.

        Raises
        ------
        ArtifactError
            If it is no such map.
        """
        from astropy.io import fits

        try:
            with fits.open(path, memmap=True) as units:
                header, values = units[0].header, units[0].data
        except OSError as error:
            raise ArtifactError(f"{path} is no FITS file ({error}); fetch it again from doi:10.7910/DVN/EWCNL5") from error
        missing = [key for key in _NEEDED if not isinstance(header.get(key), int | float)]
        if missing or values is None or values.ndim != 2 or header["LAM_NSGP"] not in (1, -1):
            lacks = ", ".join(missing) or "an image of one pole"
            raise ArtifactError(f"{path} is no polar map of dust: it lacks {lacks}; fetch it again from doi:10.7910/DVN/EWCNL5")
        return cls(values, int(header["LAM_NSGP"]), (header["CRPIX1"] - 1.0, header["CRPIX2"] - 1.0), float(header["LAM_SCAL"]))

    def at(self, longitude: Floats, latitude: Floats) -> Floats:
        """Give the reddening at galactic positions (n,) [deg], linear between the four pixels around each."""
        angle = np.radians(longitude)
        radius = self.scale * np.sqrt(1.0 - self.pole * np.sin(np.radians(latitude)))
        x, dx = _cell(self.centre[0] + radius * np.cos(angle), self.values.shape[1])
        y, dy = _cell(self.centre[1] - self.pole * radius * np.sin(angle), self.values.shape[0])
        corners = [self.values[y + j, x + i].astype(np.float64) for j in (0, 1) for i in (0, 1)]
        lower, upper = (corners[k] * (1.0 - dx) + corners[k + 1] * dx for k in (0, 2))
        return np.asarray(lower * (1.0 - dy) + upper * dy)


def _cell(place: Floats, size: int) -> tuple[NDArray[np.int64], Floats]:
    """Give the pixel before a place, and how far it lies towards the next one; beyond the edge it is the edge."""
    inside = np.clip(place, 0.0, size - 1.0)
    first = np.minimum(inside.astype(np.int64), size - 2)
    return first, inside - first


@dataclass(frozen=True)
class DustMaps:
    """The reddening of the whole sky."""

    north: Hemisphere
    south: Hemisphere
    version: str

    @classmethod
    def read(cls, north: Path, south: Path) -> DustMaps:
        """Open the maps of both hemispheres; their version is the beginning of the SHA-256 of their bytes."""
        digest = hashlib.sha256()
        for path in (north, south):
            with path.open("rb") as file:
                while block := file.read(1 << 22):
                    digest.update(block)
        return cls(Hemisphere.read(north), Hemisphere.read(south), digest.hexdigest()[:12])

    def reddening(self, ra: Floats, dec: Floats) -> Floats:
        """Give E(B-V) at ICRS positions (n,) [deg]; NaN where a position is unknown."""
        out = np.full(len(ra), np.nan)
        known = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
        longitude, latitude = galactic(ra[known], dec[known])
        for half, there in ((self.north, latitude >= 0.0), (self.south, latitude < 0.0)):
            out[known[there]] = half.at(longitude[there], latitude[there])
        return out


DUST_MAPS = Artifact(
    "dust_maps",
    ("sfd/SFD_dust_4096_ngp.fits", "sfd/SFD_dust_4096_sgp.fits"),
    DustMaps.read,
    "Maps of the Milky Way's dust by Schlegel, Finkbeiner and Davis, doi:10.7910/DVN/EWCNL5",
)


@science_module(
    version="1.0",
    outputs=(
        Column("ebv", pa.float32(), "mag", "phot.color.excess", "Reddening E(B-V) by the Milky Way's dust, on the scale of the 1998 maps"),
        Column("extinction", pa.float32(), "mag", "phys.absorption.gal", "Extinction by the Milky Way's dust in the alert's band"),
        *(
            Column(
                f"extinction_{band}",
                pa.float32(),
                "mag",
                "phys.absorption.gal",
                f"Extinction by the Milky Way's dust in the survey's {band}",
            )
            for band in BANDS
        ),
    ),
    reference="doi:10.1088/0004-637X/737/2/103",
    artifacts=(DUST_MAPS,),
)
def extinction(ra: Floats, dec: Floats, survey: pa.Array, band: pa.Array, dust_maps: DustMaps) -> Columns:
    """Look the reddening up, and multiply it by what each band makes of it."""
    ebv = dust_maps.reddening(ra, dec)
    factors = np.array([[known.get(b, np.nan) for b in (*BANDS, "")] for known in (*COEFFICIENTS.values(), {})])
    of_survey = factors[_place(survey, list(COEFFICIENTS))]
    own = of_survey[np.arange(len(ebv)), _place(band, list(BANDS))]
    return {"ebv": ebv, "extinction": ebv * own} | {f"extinction_{b}": ebv * of_survey[:, i] for i, b in enumerate(BANDS)}


def _place(values: pa.Array, known: list[str]) -> NDArray[Any]:
    """Give the place of each text in a list, its length where it is not there."""
    return np.asarray(pc.index_in(values, value_set=pa.array(known)).fill_null(len(known)))
