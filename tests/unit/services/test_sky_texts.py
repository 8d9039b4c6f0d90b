"""Positions and times in words, against astropy."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.time import Time

from fink.services.sky_texts import date_text, date_texts, duration_text, iau_name, position_texts, sexagesimal

PLACES = [(185.7288555, 15.8236084), (0.0, 0.0), (359.9999999, -0.0000001), (83.6331, -89.9999), (10.5, -0.51)]


@pytest.mark.parametrize(("ra", "dec"), PLACES)
def test_sexagesimal_is_the_same_place(ra: float, dec: float) -> None:
    read = SkyCoord(sexagesimal(ra, dec), unit=("hourangle", "deg"))
    assert read.separation(SkyCoord(ra, dec, unit="deg")).arcsec < 0.01


def test_no_sixty_seconds_are_written() -> None:
    assert sexagesimal(359.99999999, 29.99999999) == "00:00:00.000 +30:00:00.00"
    assert sexagesimal(10.0, -0.5).endswith("-00:30:00.00")


def test_a_name_is_cut_and_not_rounded() -> None:
    assert iau_name(185.7288555, 15.8236084) == "J122254.92+154924.9"


@pytest.mark.parametrize(("ra", "dec"), PLACES)
def test_galactic_and_ecliptic_are_those_of_astropy(ra: float, dec: float) -> None:
    place, texts = SkyCoord(ra, dec, unit="deg"), position_texts(ra, dec)
    for name, frame in (("galactic", "galactic"), ("ecliptic", "barycentricmeanecliptic")):
        longitude, latitude = (float(part) for part in str(texts[name]).split())
        assert SkyCoord(longitude, latitude, unit="deg", frame=frame).separation(place).arcsec < 0.1


def test_dates_are_utc_of_tai() -> None:
    mjd = np.array([58849.5, 60676.123456])
    assert date_texts(mjd) == [
        Time(round(each * 86400) / 86400, format="mjd", scale="tai").utc.strftime("%Y-%m-%d %H:%M:%S") for each in mjd
    ]
    assert date_text(58849.5, seconds=False) == "2020-01-01"
    assert date_text(None) is None
    assert date_text(float("nan")) is None


def test_durations_have_the_unit_that_suits_them() -> None:
    assert [duration_text(days) for days in (0.25, 1.5, 90.0, 1461.0)] == ["6.0 hours", "1.50 days", "90 days", "4.0 years"]
