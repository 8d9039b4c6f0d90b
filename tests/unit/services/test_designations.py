"""Packed designations are those of the Minor Planet Center's own page, and every spelling finds the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fink.services.designations import pack, spellings, unpack

PUBLISHED = (
    ("1995 XA", "J95X00A"),
    ("1995 XL1", "J95X01L"),
    ("1995 FB13", "J95F13B"),
    ("1998 SQ108", "J98SA8Q"),
    ("1998 SV127", "J98SC7V"),
    ("1998 SS162", "J98SG2S"),
    ("2099 AZ193", "K99AJ3Z"),
    ("2008 AA360", "K08Aa0A"),
    ("2007 TA418", "K07Tf8A"),
    ("2040 P-L", "PLS2040"),
    ("3138 T-1", "T1S3138"),
    ("2004 RB55", "K04R55B"),
    ("2016 EN210", "K16EL0N"),
    ("2026 CA620", "_QC0000"),
    ("2026 CZ6190", "_QC0aEM"),
    ("2026 CL591673", "_QCzzzz"),
    ("3202", "03202"),
    ("50000", "50000"),
    ("100345", "A0345"),
    ("360017", "a0017"),
    ("203289", "K3289"),
    ("620000", "~0000"),
    ("620061", "~000z"),
    ("3140113", "~AZaz"),
    ("15396335", "~zzzz"),
)


@pytest.mark.parametrize(("plain", "packed"), PUBLISHED)
def test_designations_are_packed_as_published(plain: str, packed: str) -> None:
    assert pack(plain) == packed
    assert unpack(packed) == plain


@given(st.integers(1, 15_396_335))
def test_numbers_come_back(number: int) -> None:
    packed = pack(str(number))
    assert packed is not None
    assert unpack(packed) == str(number)


@pytest.mark.parametrize("text", ["2004 RB55", "2004RB55", "2004 rb55", "K04R55B"])
def test_every_spelling_of_a_provisional_designation_is_tried(text: str) -> None:
    assert {"2004 RB55", "2004RB55", "K04R55B"} <= set(spellings(text))
    assert spellings(text)[0] == text


@pytest.mark.parametrize("text", ["1865", "01865", "(1865) Cerberus", "1865 Cerberus"])
def test_numbers_are_tried_without_what_surrounds_them(text: str) -> None:
    assert {"1865", "01865"} <= set(spellings(text))


def test_other_names_are_left_alone() -> None:
    assert spellings("C/2020 F3") == ["C/2020 F3", "C/2020F3"]
    assert pack("Ceres") is None
    assert unpack("Ceres") is None
