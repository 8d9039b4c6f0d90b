"""Designations of minor planets and comets: as people write them, and packed as the Minor Planet Center and Rubin do
(https://www.minorplanetcenter.net/iau/info/PackedDes.html).
"""

from __future__ import annotations

import re

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CENTURIES = {18: "I", 19: "J", 20: "K", 21: "L"}
_PLAIN = re.compile(r"(1[89]\d\d|20\d\d|21\d\d)\s*([A-HJ-Y])([A-HJ-Z])\s*(\d{0,6})")
_PACKED = re.compile(r"([I-L])(\d\d)([A-HJ-Y])([0-9A-Za-z])(\d)([A-HJ-Z])")
_EXTENDED = re.compile(r"_([0-9A-Za-z])([A-HJ-Y])([0-9A-Za-z]{4})")
_SURVEY = re.compile(r"(\d{4})\s*(P-L|T-[123])")
_SURVEY_PACKED = re.compile(r"(PL|T[123])S(\d{4})")
_EXTENDED_FROM = 620
"""Cycles of a half-month from which the packed form has another shape."""
_NUMBERED_FROM = 620_000
"""Numbers from which they are packed to base 62."""


def pack(text: str) -> str | None:
    """Pack a provisional designation or a number, as ``2004 RB55`` to ``K04R55B`` and ``1865`` to ``01865``; None where it is neither."""
    plain = _PLAIN.fullmatch(text.strip().upper())
    if plain:
        return _pack_provisional(int(plain[1]), plain[2], plain[3], int(plain[4] or 0))
    survey = _SURVEY.fullmatch(text.strip().upper())
    if survey:
        return survey[2].replace("-", "") + "S" + survey[1]
    return _pack_number(int(text)) if re.fullmatch(r"\d{1,8}", text.strip()) else None


def _pack_provisional(year: int, half_month: str, letter: str, cycle: int) -> str | None:
    if cycle < _EXTENDED_FROM:
        return f"{_CENTURIES[year // 100]}{year % 100:02d}{half_month}{_DIGITS[cycle // 10]}{cycle % 10}{letter}"
    order = (cycle - _EXTENDED_FROM) * 25 + "ABCDEFGHJKLMNOPQRSTUVWXYZ".index(letter)
    fits = 2000 <= year < 2062 and order < 62**4
    return f"_{_DIGITS[year - 2000]}{half_month}{_to_base_62(order, 4)}" if fits else None


def _pack_number(number: int) -> str | None:
    if number < 100_000:
        return f"{number:05d}"
    if number < _NUMBERED_FROM:
        return f"{_DIGITS[number // 10_000]}{number % 10_000:04d}"
    return "~" + _to_base_62(number - _NUMBERED_FROM, 4) if number - _NUMBERED_FROM < 62**4 else None


def unpack(text: str) -> str | None:
    """Give what a packed designation stands for, as ``K04R55B`` for ``2004 RB55``; None where it is none."""
    packed, extended, survey = (pattern.fullmatch(text.strip()) for pattern in (_PACKED, _EXTENDED, _SURVEY_PACKED))
    if packed:
        century = next(number for number, letter in _CENTURIES.items() if letter == packed[1])
        cycle = _DIGITS.index(packed[4]) * 10 + int(packed[5])
        return f"{century}{packed[2]} {packed[3]}{packed[6]}{cycle or ''}"
    if extended:
        cycle, letter = divmod(_from_base_62(extended[3]), 25)
        return f"{2000 + _DIGITS.index(extended[1])} {extended[2]}{'ABCDEFGHJKLMNOPQRSTUVWXYZ'[letter]}{cycle + _EXTENDED_FROM}"
    if survey:
        return f"{survey[2]} {survey[1][0]}-{survey[1][1]}"
    return _unpack_number(text.strip())


def _unpack_number(text: str) -> str | None:
    if re.fullmatch(r"~[0-9A-Za-z]{4}", text):
        return str(_from_base_62(text[1:]) + _NUMBERED_FROM)
    if re.fullmatch(r"[0-9A-Za-z]\d{4}", text):
        return str(_DIGITS.index(text[0]) * 10_000 + int(text[1:]))
    return None


def spellings(text: str) -> list[str]:
    """Give every way in which surveys may write a designation, that of the text first."""
    plain = unpack(text) or text.strip()
    bare = re.fullmatch(r"\(?(\d+)\)?(?:\s+.*)?", plain)
    number = bare[1].lstrip("0") if bare and not _PLAIN.fullmatch(plain.upper()) and not _SURVEY.fullmatch(plain.upper()) else ""
    found = [text.strip(), plain, plain.upper() if _PLAIN.fullmatch(plain.upper()) else "", number]
    tidy = _PLAIN.fullmatch(plain.upper())
    if tidy:
        found += [f"{tidy[1]} {tidy[2]}{tidy[3]}{tidy[4]}", f"{tidy[1]}{tidy[2]}{tidy[3]}{tidy[4]}"]
    found += [plain.replace(" ", ""), pack(plain) or "", (pack(number) or "") if number else ""]
    return list(dict.fromkeys(name for name in found if name))


def _to_base_62(value: int, width: int) -> str:
    text = ""
    for _ in range(width):
        value, digit = divmod(value, 62)
        text = _DIGITS[digit] + text
    return text


def _from_base_62(text: str) -> int:
    value = 0
    for letter in text:
        value = value * 62 + _DIGITS.index(letter)
    return value
