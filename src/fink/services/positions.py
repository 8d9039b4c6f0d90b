"""Positions as people write them: degrees, hours, minutes and seconds with letters, colons, primes or blanks, galactic, J names."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from fink.sky import GALACTIC_NODE_L, GALACTIC_POLE_DEC, GALACTIC_POLE_RA

_N = r"(?:\d+(?:\.\d*)?|\.\d+)"
_SIGNED = rf"[+-]?{_N}"
_SEPARATORS = str.maketrans({"−": "-", "–": "-", "°": "d", "º": "d", "′": "m", "'": "m", "″": "s", '"': "s", "α": " ", "δ": " "})
_WORDS = re.compile(r"\b(?:ra|dec|decl|icrs|j2000|fk5|r|radius|sr)\s*[=:]?(?=[\s\d.+-])|[,;()\[\]]")
_UNITS = re.compile(r"(?<=[\d.\s])(?:degrees?|deg|arcmin(?:ute)?s?|arcsec(?:ond)?s?|hours?|hrs?|minutes?|min|seconds?|sec|mm)(?![a-z])")

_RADIUS = rf"(?:\s+(?P<radius>{_N})\s*(?P<radius_unit>[dms]?))?$"
_PATTERNS = tuple(
    re.compile(pattern + _RADIUS)
    for pattern in (
        # 10h20m30.5s -10d20m30s; the right ascension may be in degrees
        rf"(?P<ra>{_N})\s*(?P<unit>[hd])(?:\s*(?P<ra_m>{_N})\s*m(?:\s*(?P<ra_s>{_N})\s*s?)?)?"
        rf"\s*(?P<sign>[+-]?)\s*(?P<dec>{_N})\s*d(?:\s*(?P<dec_m>{_N})\s*m(?:\s*(?P<dec_s>{_N})\s*s?)?)?",
        rf"(?P<ra>\d+)\s?:\s?(?P<ra_m>{_N})(?:\s?:\s?(?P<ra_s>{_N}))?\s*(?P<sign>[+-]?)\s?(?P<dec>\d+)\s?:\s?(?P<dec_m>{_N})(?:\s?:\s?(?P<dec_s>{_N}))?",
        rf"(?P<ra>\d{{1,2}}) (?P<ra_m>\d{{1,2}}) (?P<ra_s>{_N}) (?P<sign>[+-]?)\s?(?P<dec>\d{{1,2}}) (?P<dec_m>\d{{1,2}}) (?P<dec_s>{_N})",
        r"(?:[a-z0-9]+\s?)?j(?P<ra>\d\d)(?P<ra_m>\d\d)(?P<ra_s>\d\d(?:\.\d+)?)(?P<sign>[+-])(?P<dec>\d\d)(?P<dec_m>\d\d)(?P<dec_s>\d\d(?:\.\d+)?)?",
    )
)
_DECIMAL = re.compile(rf"(?P<ra>{_SIGNED})\s+(?P<dec>{_SIGNED})" + _RADIUS)
_GALACTIC = re.compile(rf"(?:gal(?:actic)?|l\s?=)\s*(?:l\s?=)?\s*(?P<l>{_SIGNED})\s*d?\s+(?:b\s?=)?\s*(?P<b>{_SIGNED})\s*d?" + _RADIUS)
_ARCSEC = {"d": 3600.0, "m": 60.0, "s": 1.0, "": 1.0}


@dataclass(frozen=True)
class Position:
    """A place on the sky, and how far around it somebody wants to look.

    Parameters
    ----------
    ra, dec
        Position [deg], ICRS.
    radius
        Radius [arcsec]; None where none was said.
    """

    ra: float
    dec: float
    radius: float | None = None


def read_position(text: str) -> Position | None:
    """Read a position in any of the usual notations, and the radius behind it; None where the text is no position.

    Two numbers are degrees; six are hours, minutes and seconds, then degrees, minutes and seconds. A radius is in arcsec, or in what its
    mark says: d, m or ', s or ". ``gal`` or ``l=`` before the numbers make them galactic. A name with a position in it (J102030.5-102030)
    is read as that position.
    """
    plain = _plain(text)
    galactic = _GALACTIC.fullmatch(plain)
    if galactic:
        return (
            _checked(*_from_galactic(float(galactic["l"]), float(galactic["b"])), _radius(galactic)) if _latitude(galactic["b"]) else None
        )
    for pattern in _PATTERNS:
        found = pattern.fullmatch(plain)
        if found:
            return _sexagesimal(found)
    decimal = _DECIMAL.fullmatch(plain)
    return _checked(float(decimal["ra"]), float(decimal["dec"]), _radius(decimal)) if decimal else None


def read_angle(text: str, *, hours: bool) -> float | None:
    """Read one angle in degrees: a number is degrees, anything sexagesimal is hours where ``hours`` says so and no d marks degrees.

    None where the text is no angle.
    """
    plain = _plain(text)
    if re.fullmatch(_SIGNED, plain):
        return float(plain)
    found = re.fullmatch(rf"(?P<sign>[+-]?)\s*(?P<whole>{_N})(?:\s*(?P<unit>[hd:])\s*|\s)(?P<rest>.*)", plain)
    parts = re.fullmatch(rf"(?:({_N})(?:\s*[m:]\s*|\s|$)(?:({_N})\s*s?)?)?", found["rest"]) if found else None
    if not found or not parts:
        return None
    minutes, seconds = (float(part or 0) for part in parts.groups())
    value = float(found["whole"]) + minutes / 60.0 + seconds / 3600.0
    value *= 15.0 if found["unit"] == "h" or (hours and found["unit"] != "d") else 1.0
    return None if minutes >= 60 or seconds >= 60 else -value if found["sign"] == "-" else value


def _plain(text: str) -> str:
    """Bring the many marks to a few: d, h, m, s, colons and blanks."""
    lowered = text.strip().lower().replace("''", '"').translate(_SEPARATORS)
    lowered = _UNITS.sub(lambda unit: "d" if unit[0].startswith("deg") else "h" if unit[0].startswith("h") else _mark(unit[0]), lowered)
    return " ".join(_WORDS.sub(" ", lowered).split())


def _mark(unit: str) -> str:
    return "s" if "sec" in unit else "m"


def _sexagesimal(found: re.Match[str]) -> Position | None:
    """Give the position that a pattern found, unless there are sixty minutes in an hour or more."""
    parts = {name: float(found[name] or 0) for name in ("ra", "ra_m", "ra_s", "dec", "dec_m", "dec_s")}
    if any(parts[name] >= 60 for name in ("ra_m", "ra_s", "dec_m", "dec_s")):
        return None
    degrees = found.groupdict().get("unit") == "d"
    ra = (parts["ra"] + parts["ra_m"] / 60.0 + parts["ra_s"] / 3600.0) * (1.0 if degrees else 15.0)
    dec = parts["dec"] + parts["dec_m"] / 60.0 + parts["dec_s"] / 3600.0
    return _checked(ra, -dec if found["sign"] == "-" else dec, _radius(found))


def _radius(found: re.Match[str]) -> float | None:
    return None if found["radius"] is None else float(found["radius"]) * _ARCSEC[found["radius_unit"]]


def _checked(ra: float, dec: float, radius: float | None) -> Position | None:
    return Position(ra % 360.0, dec, radius) if -360.0 <= ra <= 360.0 and abs(dec) <= 90.0 else None


def _latitude(text: str) -> bool:
    return abs(float(text)) <= 90.0


def _from_galactic(longitude: float, latitude: float) -> tuple[float, float]:
    """Turn galactic into ICRS coordinates [deg]: the inverse of `fink.sky.galactic`."""
    turn, b, pole = math.radians(GALACTIC_NODE_L - longitude), math.radians(latitude), math.radians(GALACTIC_POLE_DEC)
    sin_dec = math.sin(b) * math.sin(pole) + math.cos(b) * math.cos(pole) * math.cos(turn)
    across = math.cos(b) * math.sin(turn)
    along = math.sin(b) * math.cos(pole) - math.cos(b) * math.sin(pole) * math.cos(turn)
    return (GALACTIC_POLE_RA + math.degrees(math.atan2(across, along))) % 360.0, math.degrees(math.asin(max(-1.0, min(1.0, sin_dec))))
