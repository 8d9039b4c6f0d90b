"""Every name that a type of SIMBAD has had leads to it, also those that Fink's users have."""

from __future__ import annotations

import pytest

from fink.catalogs.simbad_types import BRANCHES, spellings, types
from shared_data import shared_data


def test_every_name_of_today_is_known() -> None:
    names = shared_data("catalogs", "simbad_types.csv").read_text().split()
    assert len(names) > 200
    assert [name for name in names if name not in spellings()] == []


def test_a_type_is_found_under_each_of_its_names() -> None:
    every = list(types())
    assert len(every) > 250
    assert len({one.code for one in every}) == len(every)
    for one in every:
        assert [spellings()[name] for name in (one.code, one.name, one.former_name)] == [one] * 3


def test_families_and_branches_are_those_of_some_type() -> None:
    assert {one.family for one in types()} == set(BRANCHES)


@pytest.mark.parametrize(
    ("name", "code", "branch"),
    [
        ("Candidate_YSO", "Y*?", "star"),
        ("EB*_Candidate", "EB?", "star"),
        ("LongPeriodV*_Candidate", "LP?", "star"),
        ("Candidate_CV*", "CV?", "star"),
        ("Seyfert_1", "Sy1", "galaxy"),
        ("Seyfert1", "Sy1", "galaxy"),
        ("ULX_Candidate", "UX?", "radiation"),
        ("SN*_Candidate", "SN?", "transient"),
        ("LensedQ", "LeQ", "gravitation"),
    ],
)
def test_spellings_met_in_alerts(name: str, code: str, branch: str) -> None:
    assert (spellings()[name].code, spellings()[name].branch) == (code, branch)


def test_candidates_stand_with_what_they_may_be() -> None:
    for one in types():
        assert one.candidate == one.name.endswith("_Candidate")
        if one.candidate:
            assert spellings()[one.name.removesuffix("_Candidate")].family == one.family
