"""Arguments are read as what they are, and refused with what is allowed."""

from __future__ import annotations

from typing import Any

import pytest
from astropy.time import Time

from fink.api.arguments import Argument, read_arguments, read_time
from fink.errors import RequestError


@pytest.mark.parametrize(
    ("argument", "value", "expected"),
    [
        (Argument("n", "integer", "so many"), "3246282855915015000", 3246282855915015000),
        (Argument("n", "integer", "so many"), 7, 7),
        (Argument("r", "number", "how far"), "5", 5.0),
        (Argument("ids", "list", "names"), "a, b,,c", ["a", "b", "c"]),
        (Argument("ids", "list", "names"), [1, "b"], ["1", "b"]),
        (Argument("on", "flag", "whether"), "True", True),
        (Argument("on", "flag", "whether"), False, False),
        (Argument("kind", "choice", "which", choices=("Science", "All")), "science", "Science"),
        (Argument("tag", "text", "name"), " x ", "x"),
    ],
)
def test_values_are_read(argument: Argument, value: Any, expected: Any) -> None:
    assert argument.read(value) == expected


@pytest.mark.parametrize(
    ("argument", "value", "told"),
    [
        (Argument("n", "integer", "so many"), "1.5", "whole number"),
        (Argument("r", "number", "how far", least=0, most=9), "10", "from 0 to 9"),
        (Argument("r", "number", "how far", least=0), -1, "at least 0"),
        (Argument("r", "number", "how far"), "nan", "not a number"),
        (Argument("on", "flag", "whether"), "maybe", "neither true nor false"),
        (Argument("t", "time", "when"), "soon", "not a time"),
    ],
)
def test_what_is_no_such_value_is_refused(argument: Argument, value: Any, told: str) -> None:
    with pytest.raises(RequestError, match=told):
        argument.read(value)


@pytest.mark.parametrize("text", ["2026-11-21T04:30:00", "2026-11-21 04:30:00.000", "2026-11-21T05:30:00+01:00", "2026-11-21T04:30:00Z"])
def test_times_are_those_of_astropy(text: str) -> None:
    known = Time("2026-11-21T04:30:00", scale="utc")
    assert read_time(text, tai=False) == pytest.approx(known.tai.mjd, abs=1e-9)
    assert read_time(text, tai=True) == pytest.approx(known.mjd, abs=1e-9)
    for number in (known.mjd, known.jd):
        assert read_time(number, tai=False) == pytest.approx(known.tai.mjd, abs=1e-8)


def test_missing_and_unknown_arguments_are_told() -> None:
    declared = (Argument("ra", "number", "where", required=True), Argument("n", "integer", "so many", default=10))
    assert read_arguments(declared, {"ra": 1, "nn": 3}) == ({"ra": 1.0, "n": 10}, ["there is no argument nn; did you mean n?"])
    with pytest.raises(RequestError, match="ra is missing; the arguments are ra, n"):
        read_arguments(declared, {"n": 1, "ra": ""})
    assert declared[1].schema() == {"type": "integer", "default": 10}
