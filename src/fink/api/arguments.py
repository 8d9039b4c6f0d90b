"""Arguments of a route: declared once, read from the query string or a JSON body, refused with what is allowed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np

from fink.errors import RequestError, did_you_mean
from fink.sky import utc_to_tai

Kind = Literal["text", "number", "integer", "list", "time", "flag", "choice", "bytes"]

_MJD_1970, _MJD_OF_JD, _FIRST_JD = 40587.0, 2400000.5, 1_000_000.0
_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_SHAPES = {
    "number": {"type": "number"},
    "integer": {"type": "integer"},
    "flag": {"type": "boolean"},
    "bytes": {"type": "string", "format": "byte"},
}


@dataclass(frozen=True)
class Argument:
    """An argument of a route.

    Parameters
    ----------
    name
        As users write it.
    kind
        What it is read as; a ``list`` is a JSON list or names with commas between, a ``time`` is ISO, JD or MJD.
    about
        What it says, with its unit.
    example
        A value to try, shown in the interface's own documentation.
    least, most
        Bounds of a number.
    """

    name: str
    kind: Kind
    about: str
    required: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()
    example: Any = None
    least: float = -math.inf
    most: float = math.inf

    def read(self, value: Any, *, tai: bool = False) -> Any:
        """Give the value of what was sent.

        Parameters
        ----------
        tai
            Whether calendar dates are in TAI, and not in UTC.

        Raises
        ------
        RequestError
            If it is no such value; the message names the argument, the value and what is allowed.
        """
        match self.kind:
            case "bytes":
                return value
            case "list":
                parts = value if isinstance(value, list) else str(value).split(",")
                return [text for part in parts if (text := self._text(part))]
            case "number" | "integer":
                return self._number(value)
            case "time":
                return self._time(value, tai)
            case "flag":
                return self._flag(value)
            case "choice":
                return self._choice(str(value))
            case _:
                return self._text(value)

    def _text(self, value: Any) -> str:
        """Give a text without blanks around it."""
        text = str(value).strip()
        if not text.isprintable():
            # half of a surrogate pair, or a zero, is nowhere part of a name
            raise RequestError(f"{self.name} = {text!r} has characters that cannot be printed; send text")
        return text

    def _number(self, value: Any) -> float | int:
        whole = self.kind == "integer"
        try:
            # numbers of alerts have more digits than a float
            number: float = int(str(value)) if whole else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number) or not self.least <= number <= self.most:
            raise RequestError(f"{self.name} = {value!r} is not {'a whole number' if whole else 'a number'}{self._range()}")
        return number

    def _range(self) -> str:
        if math.isfinite(self.least) and math.isfinite(self.most):
            return f" from {self.least:g} to {self.most:g}"
        return f" of at least {self.least:g}" if math.isfinite(self.least) else ""

    def _time(self, value: Any, tai: bool) -> float:
        try:
            return read_time(value, tai=tai)
        except ValueError as error:
            raise RequestError(f"{self.name} = {value!r} is not a time; write 2026-11-21, 2026-11-21 04:30:00, a JD or an MJD") from error

    def _flag(self, value: Any) -> bool:
        word = str(value).strip().lower()
        if word not in _WORDS:
            raise RequestError(f"{self.name} = {value!r} is neither true nor false")
        return _WORDS[word]

    def _choice(self, value: str) -> str:
        lowered = {choice.lower(): choice for choice in self.choices}
        if value.lower() not in lowered:
            near = did_you_mean(value, self.choices)
            raise RequestError(f"{self.name} = {value!r} is not one of {', '.join(self.choices)}{near}")
        return lowered[value.lower()]

    def schema(self) -> dict[str, Any]:
        """Give its JSON schema."""
        shape: dict[str, Any] = dict(_SHAPES.get(self.kind, {"type": "string"}))
        if self.choices:
            shape["enum"] = list(self.choices)
        if self.default is not None:
            shape["default"] = self.default
        return shape


def read_time(value: Any, *, tai: bool) -> float:
    """Give the MJD in TAI of a calendar date (UTC, or TAI where so said), a JD or an MJD; the numbers are taken in the same scale.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    text = str(value).strip()
    if re.fullmatch(r"[0-9.]+", text):
        number = float(text)
        if not 0 < number < 1e8:
            raise ValueError(text)
        mjd = number - _MJD_OF_JD if number > _FIRST_JD else number
    else:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        mjd = _MJD_1970 + (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() / 86400.0
    return mjd if tai else float(utc_to_tai(np.array([mjd]))[0])


def read_arguments(declared: Sequence[Argument], given: Mapping[str, Any], *, tai: bool = False) -> tuple[dict[str, Any], list[str]]:
    """Read what was sent: give each declared argument's value, and a warning for each name that no argument has.

    Raises
    ------
    RequestError
        If a required one is missing, or a value cannot be read.
    """
    known = {argument.name: argument for argument in declared}
    missing = [argument.name for argument in declared if argument.required and given.get(argument.name) in (None, "", [])]
    if missing:
        raise RequestError(f"{', '.join(missing)} is missing; the arguments are {', '.join(known)}")
    values = {
        name: argument.default if given.get(name) is None else argument.read(given[name], tai=tai) for name, argument in known.items()
    }
    warnings = [f"there is no argument {name}{did_you_mean(name, known)}" for name in given if name not in known]
    return values, warnings
