"""Values of ADQL are computed as the language says; a value that does not exist is missing; texts cannot grow without bound."""

from __future__ import annotations

import math
from typing import Any

import pytest

from fink.errors import QueryError
from fink.vo.expressions import LONGEST_TEXT, MOST_JOINED, MOST_PARTIAL
from unit.vo.conftest import Ask


def value(ask: Ask, text: str) -> Any:
    return ask(f"SELECT {text} AS v").table["v"][0].as_py()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", 7),
        ("-(2 - 5)", 3),
        ("5 / 2", 2.5),
        ("0" * 5000 + "7", 7),
        ("1.5e1", 15.0),
        ("'it''s'", "it's"),
        ("'a' || 'b'", "ab"),
        ("UPPER('aB') || LOWER('aB')", "ABab"),
        ("LOG(EXP(2))", 2.0),
        ("LOG10(1000)", 3.0),
        ("SQRT(9)", 3.0),
        ("POWER(2, 10)", 1024.0),
        ("MOD(7, 4)", 3),
        ("CEILING(1.2) + FLOOR(1.8)", 3.0),
        ("ROUND(2.345, 2)", 2.35),
        ("TRUNCATE(-2.7)", -2.0),
        ("DEGREES(PI())", 180.0),
        ("SIN(RADIANS(30))", 0.5),
        ("ATAN2(1, 1)", math.pi / 4),
        ("COALESCE(NULL, 3, 4)", 3),
        ("CASE WHEN 1 > 2 THEN 'x' ELSE 'y' END", "y"),
        ("CAST('12' AS INTEGER) + 1", 13),
        ("CAST('abcdef' AS VARCHAR(3))", "abc"),
        ("CAST(1 AS DOUBLE PRECISION)", 1.0),
        ("CONTAINS(POINT('ICRS', 1, 1), CIRCLE('ICRS', 1, 1, 0.1))", 1),
        ("CONTAINS(POINT(1, 1), CIRCLE(POINT(3, 1), 0.1))", 0),
        ("INTERSECTS(CIRCLE(0, 0, 1), CIRCLE(1.5, 0, 1))", 1),
        ("DISTANCE(POINT(0, 0), POINT(0, 2))", 2.0),
        ("DISTANCE(0, 0, 0, 2)", 2.0),
        ("COORD2(POINT(1, 2))", 2),
        ("ivo_hashlist_has('a#b', 'b')", 1),
        ("ivo_hashlist_has('ab#c', 'b')", 0),
        ("ivo_nocasematch('SN Ia', 'sn%')", 1),
    ],
)
def test_values(ask: Ask, text: str, expected: Any) -> None:
    found = value(ask, text)
    assert found == (pytest.approx(expected) if isinstance(expected, float) else expected)


@pytest.mark.parametrize("text", ["LOG(-1)", "LOG(0)", "LOG10(-1)", "SQRT(-1)", "MOD(1, 0)", "LOG(NULL)", "NULL || 'a'"])
def test_what_does_not_exist_is_missing(ask: Ask, text: str) -> None:
    assert value(ask, text) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("getenv('HOME')", "no function getenv"),
        ("read_text('/etc/passwd')", "no function read_text"),
        ("repeat('a', 1000000000)", "no function repeat"),
        ("current_setting('threads')", "no function"),
        ("sqroot(4)", "did you mean sqrt"),
        ("POWER(1)", "takes 2"),
        ("SUM(*)", "SUM(*)"),
        ("CAST('x' AS BLOB)", "CAST knows"),
        ("POLYGON(1, 2, 3, 4, 5, 6)", "a region and no value"),
        ("CONTAINS(1, 2)", "a region is expected"),
        ("CONTAINS(POINT('GALACTIC', 1, 2), CIRCLE(1, 2, 3))", "ICRS"),
        ("1e999", "no number"),
        ("'" + "x" * (LONGEST_TEXT + 1) + "'", "is the limit"),
        ("||".join(["'a'"] * (MOST_JOINED + 2)), "joined more than"),
        ("LOG(" * (MOST_PARTIAL + 1) + "1" + ")" * (MOST_PARTIAL + 1), "within one another"),
        ("DISTANCE(0, " * 20 + "0" + ", 0, 0)" * 20, "too complicated"),
        ("NOT " * 2000 + "TRUE", "nested"),
        ("+".join(["1"] * 1900), "nested"),
    ],
)
def test_what_is_not_allowed_is_refused(ask: Ask, text: str, told: str) -> None:
    with pytest.raises(QueryError) as error:
        value(ask, text)
    assert told in str(error.value)


def test_joined_texts_stay_short_however_often_they_double(ask: Ask) -> None:
    steps = ", ".join(f"t{i} AS (SELECT s || s || s || s AS s FROM t{i - 1})" for i in range(1, 12))
    found = ask(f"WITH t0 AS (SELECT '{'x' * 400}' AS s), {steps} SELECT s FROM t11").table["s"][0].as_py()
    assert len(found) == LONGEST_TEXT
