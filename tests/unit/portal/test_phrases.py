"""What people type is understood for what it is, and what is wrong is said with the remedy."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fink import filters
from fink.portal.finding import columns
from fink.portal.phrases import Phrase, understand

SUBSTREAMS = tuple(filters.registry())


def heard(text: str) -> Phrase:
    return understand(text, SUBSTREAMS, columns())


@pytest.mark.parametrize(
    ("text", "action", "names"),
    [
        ("", "nothing", ()),
        ("ZTF25pttcvga", "object", ("ZTF25pttcvga",)),
        ("ztf25PTT", "object", ("ZTF25ptt",)),
        ("ZTF18abc, ZTF19def", "object", ("ZTF18abc", "ZTF19def")),
        ("170081433198198979", "object", ("170081433198198979",)),
        ("LSST-AP-DO-170081433198198979", "object", ("170081433198198979",)),
        ("LSST-AP-DS-170081433198198979", "alert", ("170081433198198979",)),
        ("diaObjectId=17008143", "object", ("17008143",)),
        ("candid=3247218753215015000", "alert", ("3247218753215015000",)),
        ("tag=fast_risers", "substream", ("fast_risers",)),
        ("class:Fast_Risers", "substream", ("fast_risers",)),
        ("fast risers", "substream", ("fast_risers",)),
        ("fink_fast_risers_lsst", "substream", ("fast_risers",)),
        ("sso=2004 RB55", "sso", ("2004 RB55",)),
        ('sso="2004 RB55"', "sso", ("2004 RB55",)),
        ("random=5", "random", ()),
        ("SN 2025abc", "name", ("SN 2025abc",)),
        ("2025-13-45", "name", ("2025-13-45",)),
    ],
)
def test_ids_substreams_and_names(text: str, action: str, names: tuple[str, ...]) -> None:
    phrase = heard(text)
    assert (phrase.action, phrase.names) == (action, names)
    assert not phrase.trouble


@pytest.mark.parametrize(
    ("text", "ra", "dec", "radius"),
    [
        ("150.1 2.2", 150.1, 2.2, 10.0),
        ("150.1, -2.2, 5", 150.1, -2.2, 5.0),
        ("150.1 2.2 5m", 150.1, 2.2, 300.0),
        ('10:20:30 -10:20:30 5"', 155.125, -10.341667, 5.0),
        ("10h20m30s -10d20m30s 1d", 155.125, -10.341667, 3600.0),
        ("10 20 30 -10 20 30", 155.125, -10.341667, 10.0),
        ("ra=150.1 dec=2.2 r=5", 150.1, 2.2, 5.0),
        ("ra:10:20:30 dec:-10:20:30 r:2m", 155.125, -10.341667, 120.0),
        ("150.1 2.2 r=7 last=3", 150.1, 2.2, 7.0),
    ],
)
def test_positions_in_any_notation(text: str, ra: float, dec: float, radius: float) -> None:
    position = heard(text).position
    assert position is not None
    assert (position.ra, position.dec, position.radius) == pytest.approx((ra, dec, radius))


def test_a_date_is_its_night_and_times_narrow() -> None:
    assert heard("2025-11-20").night == heard("20251120").night == 20251120
    between = heard("after=2025-11-20 before=2025-11-22")
    window = heard("after=2025-11-20 window=2")
    assert between.action == window.action == "period"
    assert between.start == window.start == pytest.approx(60999 + 37 / 86400)
    assert between.stop == window.stop == pytest.approx(61001 + 37 / 86400)
    before = heard("tag=fast_risers before=61001.0 window=1 last=7 survey=ZTF trend=rising")
    assert before.stop is not None
    assert before.start == pytest.approx(before.stop - 1)
    assert (before.last, before.survey, before.trend) == (7, "ztf", "rising")


@pytest.mark.parametrize("text", ["mag < 18", "mag<18 and is_transient", "is_transient", "real", 'where="mag < 18"'])
def test_conditions_are_known_bare(text: str) -> None:
    phrase = heard(text)
    assert phrase.action == "condition"
    assert phrase.condition in (text, "mag < 18")


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("tag=fast_riser", "did you mean fast_risers?"),
        ("lasst=3", "did you mean last?"),
        ("trend=riseng", "did you mean rising?"),
        ("survey=atlas", "none of"),
        ("last=100000", "from 1 to 1000"),
        ("after=yesterday", "2025-11-20"),
        ("window=3", "give one of them, too"),
        ("ra=150", "ra and dec both"),
        ("150 2 100d", "5 degrees"),
        ("r=5", "say the position, too"),
        ("magg < 18", "did you mean mag?"),
    ],
)
def test_what_is_wrong_is_said_with_the_remedy(text: str, remedy: str) -> None:
    phrase = heard(text)
    assert phrase.action == "unknown"
    assert any(remedy in each for each in phrase.trouble), phrase.trouble


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ('class="SN candidate"', "fink_class = 'SN candidate'"),
        ("class=Kilonova candidate", "fink_class = 'Kilonova candidate'"),
        ("sn candidate", "fink_class = 'SN candidate'"),
        ('class="(TNS) SN Ia"', "tns_type = 'SN Ia'"),
        ("class=RRLyrae", "simbad_former_type = 'RRLyr'"),
    ],
)
def test_classes_are_conditions(text: str, condition: str) -> None:
    assert heard(text).condition == condition


def test_a_tracklet_leads_to_its_night() -> None:
    assert "2023-12-13 shows" in heard("TRCK_20231213_133612_00").trouble[0]


def test_what_was_understood_is_said_even_where_something_was_not() -> None:
    phrase = heard("survey=ztf tag=fast_riser")
    assert [each.words for each in phrase.heard] == ["survey=ztf"]


@given(st.text(string.printable + "°′″äλ", max_size=60))
def test_whatever_is_typed_is_answered(text: str) -> None:
    phrase = heard(text)
    assert (phrase.action == "unknown") == bool(phrase.trouble)
