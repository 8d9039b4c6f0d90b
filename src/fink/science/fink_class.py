"""Fink class: one word for what an alert most likely is, by the rules that Fink's users know from ZTF.

Of what Fink itself finds, the first that holds gives the class: a known solar-system object (*Solar System MPC*), then one
that may be an unknown one (*Solar System candidate*). Where more than one independent finding claims the alert it is
*Ambiguous*. What SIMBAD knows at the place goes before all that, under the former names of its types, unless it is a galaxy, in
which things explode. What nothing claims is *Unknown*, in a galaxy too.

Against today's rules: the class is null, not *Unknown*, while the catalogue of SIMBAD is not installed and nothing else claims
the alert, so that an absence never looks like an answer; what SIMBAD itself calls *Inexistent* or *Unknown* is unknown; and one
name stands for each type, where today new and old ones occur together. The classes that need a classifier (*SN candidate*,
*Early SN Ia candidate*, *Kilonova candidate*, *Microlensing candidate*) and *Tracklet* are claimed where one finds them; none does yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fink.columns import Column
from fink.science import Columns, science_module

Flags = NDArray[np.bool_]

UNKNOWN, AMBIGUOUS = "Unknown", "Ambiguous"
CLAIMS = ("Solar System MPC", "Solar System candidate")
"""The classes of Fink's own, that which goes before the others first."""

FAMILIES_OF_HOSTS, HOST_CODES = ("galaxy", "galaxy group"), ("SyG", "Sy1", "Sy2", "LIN")
"""Families of what things explode in, and active galaxies that count with them: those whose nuclei do not vary much."""

NOTHING_SAID = ("?", "err", "reg", "Candidates", "ev", "Le?")
"""Codes that name no class: objects that are unknown or do not exist, unnamed transients, and galaxies that may be lenses."""

_RAN = 0


@science_module(
    version="1.0",
    outputs=(
        Column("fink_class", pa.string(), "", "meta.id;src.class", "Class of the alert by Fink's rules", indexed=True),
        Column("is_catalogued", pa.bool_(), "", "meta.code", "Whether SIMBAD or Gaia know an object at this place"),
    ),
    reference="doi:10.1093/mnras/staa3602",
)
def fink_class(
    simbad_code: pa.Array,
    simbad_former_type: pa.Array,
    simbad_family: pa.Array,
    simbad_status: NDArray[Any],
    gaiadr3_separation: NDArray[np.float64],
    gaiadr3_status: NDArray[Any],
    is_known_sso: NDArray[np.float64],
    is_sso_candidate: NDArray[np.float64],
) -> Columns:
    """Give each alert its class; all (n,)."""
    own = decide({CLAIMS[0]: is_known_sso > 0, CLAIMS[1]: is_sso_candidate > 0})
    asked, matched = np.asarray(simbad_status) == _RAN, _there(simbad_code)
    gaia_asked, gaia_matched = np.asarray(gaiadr3_status) == _RAN, np.isfinite(gaiadr3_separation)
    own = pc.if_else(pa.array(asked), pc.fill_null(own, UNKNOWN), own)
    known = np.where(matched | gaia_matched, 1.0, np.where(asked | gaia_asked, 0.0, np.nan))
    return {
        "fink_class": pc.if_else(pa.array(names_a_class(simbad_code, simbad_family)), simbad_former_type, own),
        "is_catalogued": known,
    }


def decide(claims: Mapping[str, Flags]) -> pa.Array:
    """Give the first class that claims each alert, or that it is ambiguous; null where none does.

    Parameters
    ----------
    claims
        (n,) each, by class, that which goes before the others first.
    """
    masks = np.array(list(claims.values()))
    chosen = np.where(masks.any(axis=0), masks.argmax(axis=0), -1)
    chosen[masks.sum(axis=0) > 1] = len(claims)
    return pa.array([*claims, AMBIGUOUS], pa.string()).take(pa.array(chosen, mask=chosen < 0))


def names_a_class(code: pa.Array, family: pa.Array) -> Flags:
    """Say where SIMBAD's type is the class of the alert, rather than a host or nothing of use, (n,)."""
    host = pc.or_(pc.is_in(family, pa.array(FAMILIES_OF_HOSTS)), pc.is_in(code, pa.array(HOST_CODES)))
    empty = pc.is_in(code, pa.array(NOTHING_SAID))
    useless = np.asarray(pc.or_(host, empty).to_numpy(zero_copy_only=False), np.bool_)
    return _there(code) & ~useless


def _there(values: pa.Array) -> Flags:
    return np.asarray(values.is_valid().to_numpy(zero_copy_only=False), np.bool_)
