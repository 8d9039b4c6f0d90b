"""Positions are read in every notation that people write, and agree with astropy."""

from __future__ import annotations

import pytest
from astropy.coordinates import SkyCoord
from hypothesis import given
from hypothesis import strategies as st

from fink.services.positions import read_angle, read_position

PLACE = (155.128375, -10.341975)
_NOTATIONS = (
    "155.128375 -10.341975",
    "155.128375, -10.341975",
    "(155.128375,-10.341975)",
    "155.128375d -10.341975d",
    "155.128375° −10.341975°",
    "ra=155.128375 dec=-10.341975",
    "RA: 155.128375, Dec: -10.341975",
    "10h20m30.81s -10d20m31.11s",
    "10h 20m 30.81s -10d 20m 31.11s",
    "10h20m30.81 -10°20′31.11″",
    "10h20m30.81s -10°20'31.11\"",
    "10h20m30.81s-10d20m31.11s",
    "155d07m42.15s -10d20m31.11s",
    "10:20:30.81 -10:20:31.11",
    "10:20:30.81-10:20:31.11",
    "10 20 30.81 -10 20 31.11",
    "10 hours 20 min 30.81 sec -10 deg 20 arcmin 31.11 arcsec",
    "J102030.81-102031.11",
    "SDSS J102030.81-102031.11",
    "gal 253.4527819 37.6320991",
    "l=253.4527819 b=37.6320991",
)


@pytest.mark.parametrize("text", _NOTATIONS)
def test_every_notation_is_read(text: str) -> None:
    found = read_position(text)
    assert found is not None
    assert (found.ra, found.dec) == pytest.approx(PLACE, abs=2e-5)
    assert found.radius is None


@pytest.mark.parametrize(
    ("suffix", "radius"),
    [
        ("5", 5),
        ('5"', 5),
        ("5s", 5),
        ("5''", 5),
        ("2'", 120),
        ("2m", 120),
        ("2 arcmin", 120),
        ("0.5d", 1800),
        ("r=7", 7),
        ("radius 7 arcsec", 7),
    ],
)
@pytest.mark.parametrize("text", [_NOTATIONS[0], _NOTATIONS[7], _NOTATIONS[13], _NOTATIONS[15]])
def test_a_radius_may_follow(text: str, suffix: str, radius: float) -> None:
    found = read_position(f"{text} {suffix}")
    assert found is not None
    assert found.radius == pytest.approx(radius)
    assert (found.ra, found.dec) == pytest.approx(PLACE, abs=2e-5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "M 31",
        "ZTF18aabcdef",
        "170081433198198979",
        "10",
        "10 20 -30 15",
        "150 95",
        "10:70:00 +10:00:00",
        "10h20m70s 5d",
        "SN 2024abc",
        "2004 RB55",
    ],
)
def test_what_is_no_position_is_not_read(text: str) -> None:
    assert read_position(text) is None


@given(st.floats(0, 359.999), st.floats(-89.99, 89.99), st.sampled_from(["hmsdms", "colon", "galactic"]))
def test_positions_agree_with_astropy(ra: float, dec: float, form: str) -> None:
    place = SkyCoord(ra, dec, unit="deg")
    if form == "galactic":
        text = f"gal {place.galactic.l.deg:.9f} {place.galactic.b.deg:.9f}"
    else:
        text = place.to_string("hmsdms", precision=4, **({"sep": ":"} if form == "colon" else {}))
    found = read_position(text)
    assert found is not None
    assert SkyCoord(found.ra, found.dec, unit="deg").separation(place).arcsec < 0.05


@pytest.mark.parametrize(
    ("text", "hours", "angle"),
    [
        ("150.5", True, 150.5),
        ("10h30m", True, 157.5),
        ("10:30", True, 157.5),
        ("10 30 00", True, 157.5),
        ("-10d30m", False, -10.5),
        ("-00:30:00", False, -0.5),
    ],
)
def test_single_angles_are_read(text: str, hours: bool, angle: float) -> None:
    assert read_angle(text, hours=hours) == pytest.approx(angle)


def test_words_are_no_angles() -> None:
    assert read_angle("here", hours=True) is None
    assert read_angle("10:99", hours=True) is None
