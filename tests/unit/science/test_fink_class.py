"""The rules of the class, one by one, and on alerts that today's Fink has classed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fink.science.fink_class import AMBIGUOUS, decide, fink_class
from fink.science.simbad_class import simbad_class

RAN, ABSENT = 0, 3


def classed(
    simbad: str | None = None,
    *,
    known: float = 0.0,
    candidate: float = 0.0,
    status: int = RAN,
    gaia: float = np.nan,
    gaia_status: int = RAN,
) -> dict[str, Any]:
    types = simbad_class.function(simbad_type=pa.array([simbad], pa.string()))
    found = fink_class.function(
        **{name: types[name] for name in ("simbad_code", "simbad_former_type", "simbad_family")},
        simbad_status=np.array([status], np.int8),
        gaiadr3_separation=np.array([gaia]),
        gaiadr3_status=np.array([gaia_status], np.int8),
        is_known_sso=np.array([known]),
        is_sso_candidate=np.array([candidate]),
    )
    return {"class": found["fink_class"].to_pylist()[0], "catalogued": float(found["is_catalogued"][0])}


@pytest.mark.parametrize(
    ("simbad", "expected"),
    [
        (None, "Unknown"),
        ("RRLyrae", "RRLyr"),
        ("EB?", "Candidate_EB*"),
        ("QSO", "QSO"),
        ("BLLac", "BLLac"),
        ("Galaxy", "Unknown"),
        ("Sy1", "Unknown"),
        ("GtowardsCl", "Unknown"),
        ("SN*_Candidate", "Candidate_SN*"),
        ("SN", "SN"),
        ("Transient", "Unknown"),
        ("Inexistent", "Unknown"),
        ("BoringStar", "BoringStar"),
    ],
)
def test_what_simbad_knows(simbad: str | None, expected: str) -> None:
    assert classed(simbad)["class"] == expected


def test_moving_objects_and_what_simbad_says_of_their_place() -> None:
    assert classed(known=1.0)["class"] == "Solar System MPC"
    assert classed(candidate=1.0)["class"] == "Solar System candidate"
    assert classed("Galaxy", known=1.0)["class"] == "Solar System MPC"
    assert classed("Star", known=1.0)["class"] == "Star"


def test_two_claims_are_ambiguous() -> None:
    assert classed(known=1.0, candidate=1.0)["class"] == AMBIGUOUS
    some = {name: np.array(mask, bool) for name, mask in {"a": [1, 0, 1, 0], "b": [0, 1, 1, 0]}.items()}
    assert decide(some).to_pylist() == ["a", "b", AMBIGUOUS, None]


def test_without_the_catalogue_nothing_is_called_unknown() -> None:
    assert classed(status=ABSENT)["class"] is None
    assert classed(status=ABSENT, known=1.0)["class"] == "Solar System MPC"


def test_catalogued_is_what_simbad_or_gaia_know() -> None:
    assert classed("Star")["catalogued"] == 1.0
    assert classed(gaia=0.3)["catalogued"] == 1.0
    assert classed()["catalogued"] == 0.0
    assert classed(status=ABSENT, gaia=0.3)["catalogued"] == 1.0
    assert np.isnan(classed(status=ABSENT, gaia_status=ABSENT)["catalogued"])
