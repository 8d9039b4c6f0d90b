"""What people type into the one field of the search, understood: ids, positions, substreams, dates, conditions, names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pyarrow as pa

from fink import filters, surveys
from fink.api.arguments import read_time
from fink.api.classes import CLASSIFIERS
from fink.catalogs.simbad_types import spellings
from fink.columns import Column
from fink.conditions import parse_condition
from fink.errors import ConditionError, did_you_mean
from fink.services.positions import Position, read_position
from fink.sky import calendar_date, tai_to_utc

Action = Literal["nothing", "object", "alert", "position", "substream", "sso", "night", "period", "condition", "random", "name", "unknown"]

KEYS: Mapping[str, str] = {
    "ra": "right ascension, with dec",
    "dec": "declination, with ra",
    "r": "radius around a position: 5, 5s, 2m or 1d",
    "tag": "a substream by its name",
    "class": "a class of Fink, SIMBAD or TNS",
    "sso": "a solar-system object by number, name or designation",
    "after": "only from this time on: 2025-11-20, a JD or an MJD",
    "before": "only up to this time",
    "window": "only this many days after after=, or before before=",
    "last": "how many alerts at most, the newest first",
    "survey": "ztf or lsst only",
    "trend": "rising or fading only",
    "random": "so many objects drawn at random",
    "where": 'a condition, as where="mag < 18 AND is_transient"',
}
"""The words that may stand before = or : in the field, and what they say."""
_SAME = {
    "class": "tag",
    "radius": "r",
    "sr": "r",
    "start": "after",
    "startdate": "after",
    "stop": "before",
    "stopdate": "before",
    "n": "last",
}
_IDS = {"objectid": "object", "diaobjectid": "object", "oid": "object", "candid": "alert", "diasourceid": "alert"}

_PAIR = re.compile(rf"(?<![\w.])({'|'.join([*KEYS, *_SAME, *_IDS])})\s*[=:]\s*(\"[^\"]*\"|'[^']*'|[^\s]*)", re.IGNORECASE)
_ZTF = re.compile(r"ztf\d{1,2}[a-z]*", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d{8,20}")
_IAU = re.compile(r"lsst-ap-d([os])-(\d{8,20})", re.IGNORECASE)
_TRACKLET = re.compile(r"trck_(\d{8})_\d{6}_\d{2}", re.IGNORECASE)
_TOPIC = re.compile(r"(?:fink_)?(\w+?)(?:_(ztf|lsst))?", re.IGNORECASE)
_DATE = re.compile(r"(?:19|20)\d\d-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])")
_COMPARES = re.compile(r"[<>=]|\b(?:and|or|not|is|in|between|like)\b", re.IGNORECASE)
DEFAULT_RADIUS, LARGEST_RADIUS = 10.0, 18_000.0
"""Radius of a search around a position where none is said, and the largest [arcsec]."""
DEFAULT_LAST, MOST = 100, 1000
"""Alerts that are looked for where none is said, and at most."""


@dataclass(frozen=True)
class Heard:
    """Some of the words, and what they were taken for."""

    words: str
    meaning: str


@dataclass(frozen=True)
class Phrase:
    """What was typed, understood.

    Parameters
    ----------
    text
        As it was typed.
    action
        What is looked for.
    names
        Names of objects, or the beginning of one; numbers of alerts; or one name of something else.
    position
        Where to look; its radius is said.
    condition
        The condition, for that action.
    start, stop
        Times between which alerts lie [MJD, TAI].
    night
        Night as YYYYMMDD.
    last
        How many alerts at most.
    survey
        The one survey that is meant; None means all.
    trend
        ``rising`` or ``fading``.
    heard
        What was understood, word by word.
    trouble
        What was not, with the remedy.
    """

    text: str
    action: Action = "nothing"
    names: tuple[str, ...] = ()
    position: Position | None = None
    condition: str = ""
    start: float | None = None
    stop: float | None = None
    night: int | None = None
    last: int = DEFAULT_LAST
    survey: str | None = None
    trend: str | None = None
    heard: tuple[Heard, ...] = ()
    trouble: tuple[str, ...] = ()


@dataclass
class _Reading:
    """A phrase while it is read."""

    phrase: Phrase
    heard: list[Heard] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)

    def take(self, action: Action, words: str, meaning: str, **values: object) -> Phrase:
        """Decide for an action; nothing is found where a word is wrong."""
        self.heard.append(Heard(words, meaning))
        chosen: Action = "unknown" if self.trouble else action
        return replace(self.phrase, action=chosen, heard=tuple(self.heard), trouble=tuple(self.trouble), **values)  # type: ignore[arg-type]

    def give_up(self) -> Phrase:
        """Say what was understood, and what was not."""
        return replace(self.phrase, action="unknown", heard=tuple(self.heard), trouble=tuple(self.trouble))


def understand(text: str, substreams: Collection[str], vocabulary: Mapping[str, Column]) -> Phrase:
    """Understand what was typed.

    Parameters
    ----------
    substreams
        Names of the substreams that may be asked for.
    vocabulary
        Every column that a condition may name, by name.
    """
    plain = " ".join(text.split())
    pairs, words = _pairs(plain)
    reading = _Reading(Phrase(plain))
    _limits(reading, pairs)
    for read in (_by_key, _by_id, _by_date, _by_place, _by_substream):
        found = read(reading, pairs, words, substreams)
        if found is not None:
            return found
    found = _by_condition(reading, pairs, words, vocabulary)
    if found is not None:
        return found
    if not words:
        return _by_limits(reading, pairs)
    if reading.trouble:
        return reading.give_up()
    return reading.take("name", words, "a name", names=(words.strip("\"'"),))


def _pairs(text: str) -> tuple[dict[str, str], str]:
    """Part the words with a key from the others."""
    pairs: dict[str, str] = {}
    for key, value in _PAIR.findall(text):
        lowered = key.lower()
        name = _SAME.get(lowered, lowered)
        pairs["tag" if name == "class" else name] = value.strip("\"'") if value[:1] == value[-1:] and len(value) > 1 else value
    return pairs, " ".join(_PAIR.sub(" ", text).split())


def _limits(reading: _Reading, pairs: Mapping[str, str]) -> None:
    """Read what narrows any search: times, number, survey, trend."""
    phrase = reading.phrase
    start, stop = (_time(reading, name, pairs.get(name)) for name in ("after", "before"))
    window = _number(reading, "window", pairs.get("window"), 0.0, 1e5)
    if window is not None and start is None and stop is None:
        reading.trouble.append("window= counts days from after= or up to before=; give one of them, too")
    elif window is not None:
        start, stop = (stop - window, stop) if start is None and stop is not None else (start, (start or 0.0) + window)
    last = _number(reading, "last", pairs.get("last"), 1, MOST)
    reading.phrase = replace(
        phrase,
        start=start,
        stop=stop,
        last=int(last) if last is not None else DEFAULT_LAST,
        survey=_choice(reading, "survey", pairs.get("survey"), surveys.registry()),
        trend=_choice(reading, "trend", pairs.get("trend"), ("rising", "fading")),
    )
    for name, meaning in (("after", "from this time on"), ("before", "up to this time"), ("window", "days"), ("last", "alerts at most")):
        if name in pairs:
            reading.heard.append(Heard(f"{name}={pairs[name]}", meaning))
    for name in ("survey", "trend"):
        if name in pairs:
            reading.heard.append(Heard(f"{name}={pairs[name]}", f"only {'this survey' if name == 'survey' else 'such objects'}"))


def _time(reading: _Reading, name: str, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        return read_time(value, tai=False)
    except ValueError:
        reading.trouble.append(f'{name}={value} is not a time; write 2025-11-20, "2025-11-20 04:30", a JD or an MJD')
        return None


def _number(reading: _Reading, name: str, value: str | None, least: float, most: float) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not least <= number <= most:
        reading.trouble.append(f"{name}={value} is not a number from {least:g} to {most:g}")
        return None
    return number


def _choice(reading: _Reading, name: str, value: str | None, known: Iterable[str]) -> str | None:
    if value is None:
        return None
    if value.lower() not in known:
        reading.trouble.append(f"{name}={value} is none of {', '.join(known)}{did_you_mean(value.lower(), known)}")
        return None
    return value.lower()


def _by_key(reading: _Reading, pairs: Mapping[str, str], words: str, substreams: Collection[str]) -> Phrase | None:
    """Read what a key says on its own: a substream, a solar-system object, a draw, an id, a position."""
    if "tag" in pairs:
        found = _class(reading, f"{pairs['tag']} {words}".strip(), substreams)
        return found or _substream(reading, f"tag={pairs['tag']}", pairs["tag"], substreams)
    if "sso" in pairs:
        name = f"{pairs['sso']} {words}".strip()
        return reading.take("sso", f"sso={name}", "a solar-system object", names=(name,))
    if "random" in pairs:
        number = _number(reading, "random", pairs["random"] or "10", 1, MOST)
        return reading.take("random", f"random={pairs['random']}", "objects drawn at random", last=int(number or 10))
    for key, kind in _IDS.items():
        if key in pairs:
            names = tuple(part for part in re.split(r"[,\s]+", pairs[key]) if part)
            if kind == "object":
                return reading.take("object", f"{key}={pairs[key]}", "an object", names=tuple(map(_tidy_object, names)))
            return reading.take("alert", f"{key}={pairs[key]}", "an alert", names=names)
    if "ra" in pairs or "dec" in pairs:
        return _position(reading, " ".join((pairs.get("ra", ""), pairs.get("dec", ""))), pairs, words)
    return None


def _class(reading: _Reading, name: str, substreams: Collection[str]) -> Phrase | None:
    """Read the name of a class of Fink, of TNS or of SIMBAD, unless a substream is called so."""
    if name.lower() in substreams:
        return None
    known = {each.lower(): each for each in CLASSIFIERS}
    bare = re.sub(r"^\((?:tns|simbad)\)\s*", "", name, flags=re.IGNORECASE)
    quoted = "'" + bare.replace("'", "''") + "'"
    if name.lower() in known:
        return reading.take("condition", name, "a class of Fink", condition=f"fink_class = '{known[name.lower()]}'")
    if name.lower().startswith("(tns)"):
        return reading.take("condition", name, "a type of TNS", condition=f"tns_type = {quoted}")
    one = spellings().get(bare)
    if one is None:
        return None
    return reading.take("condition", name, "a type of SIMBAD", condition=f"simbad_former_type = '{one.former_name}'")


def _by_id(reading: _Reading, pairs: Mapping[str, str], words: str, substreams: Collection[str]) -> Phrase | None:
    """Read ids of objects, whole or in part, one or several."""
    parts = [part for part in re.split(r"[,;\s]+", words) if part]
    tracklet = _TRACKLET.fullmatch(words)
    if tracklet:
        night = f"{tracklet[1][:4]}-{tracklet[1][4:6]}-{tracklet[1][6:]}"
        reading.trouble.append(f"{words} is a tracklet, and nothing finds tracklets yet; {night} shows the alerts of that night")
        return reading.give_up()
    iau = _IAU.fullmatch(words)
    if iau:
        kind: Action = "object" if iau[1].lower() == "o" else "alert"
        return reading.take(kind, words, f"an {kind} of Rubin by its full name", names=(iau[2],), survey="lsst")
    if not parts or not all(_ZTF.fullmatch(part) or _NUMBER.fullmatch(part) for part in parts):
        return None
    if len(parts) == 1 and _DATE.fullmatch(parts[0]):
        return None
    if len(parts) == 2 and not any(_ZTF.fullmatch(part) for part in parts) and read_position(words) is not None:
        return None
    return reading.take("object", words, "an object" if len(parts) == 1 else "objects", names=tuple(map(_tidy_object, parts)))


def _tidy_object(name: str) -> str:
    """Write the name of an object as its survey does: ZTF in capitals, the rest small."""
    return "ZTF" + name[3:].lower() if _ZTF.fullmatch(name) else name


def _by_date(reading: _Reading, pairs: Mapping[str, str], words: str, substreams: Collection[str]) -> Phrase | None:
    """Read a calendar date: the night of that date."""
    if not _DATE.fullmatch(words):
        return None
    try:
        night = int(calendar_date(tai_to_utc(np.array([read_time(_dashed(words), tai=False)])))[0])
    except ValueError:
        return None
    return reading.take("night", words, "the night of this date", night=night)


def _dashed(date: str) -> str:
    digits = date.replace("-", "")
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"


def _by_place(reading: _Reading, pairs: Mapping[str, str], words: str, substreams: Collection[str]) -> Phrase | None:
    """Read a position among the other words."""
    if not words or not re.search(r"\d", words) or read_position(words) is None:
        return None
    return _position(reading, words, pairs, "")


def _position(reading: _Reading, text: str, pairs: Mapping[str, str], words: str) -> Phrase:
    shown = " ".join(f"{name}={pairs[name]}" for name in ("ra", "dec", "r") if name in pairs) if "ra" in pairs or "dec" in pairs else text
    both = ("ra" in pairs) == ("dec" in pairs)
    found = read_position(f"{text} {pairs.get('r', '')}".strip()) if both else None
    if words:
        reading.trouble.append(f"{words} was not understood beside a position; leave it out")
    if found is None:
        reading.trouble.append(f"{shown} is no position; write 150.12 2.2, or 10:20:30 -10:20:30, and ra and dec both")
        return reading.give_up()
    radius = DEFAULT_RADIUS if found.radius is None else found.radius
    if not 0 < radius <= LARGEST_RADIUS:
        reading.trouble.append(f"a radius of {radius:g} arcsec is too large; 5 degrees (r=5d) is the largest")
    meaning = f"a position, and {_arc(radius)} around it"
    return reading.take("position", shown, meaning, position=Position(found.ra, found.dec, radius))


def _arc(radius: float) -> str:
    if radius >= 3600.0:
        return f"{radius / 3600.0:g}°"
    return f"{radius / 60.0:g}′" if radius >= 60.0 else f"{radius:g}″"


def _by_substream(reading: _Reading, pairs: Mapping[str, str], words: str, substreams: Collection[str]) -> Phrase | None:
    """Read the name of a substream, also as its topic is called, or with blanks in place of lines."""
    name = re.sub(r"[\s-]+", "_", words.lower())
    if not name or not re.fullmatch(r"\w+", name):
        return None
    topic = _TOPIC.fullmatch(name)
    if name in substreams:
        return _substream(reading, words, name, substreams)
    if topic is not None and topic[1] in substreams:
        return _substream(reading, words, topic[1], substreams, topic[2])
    return _class(reading, words, substreams) if words.lower() in {each.lower() for each in CLASSIFIERS} else None


def _substream(reading: _Reading, words: str, name: str, substreams: Collection[str], survey: str | None = None) -> Phrase:
    lowered = {each.lower(): each for each in substreams}
    known = lowered.get(name.lower())
    if known is None:
        reading.trouble.append(f"there is no substream {name}{did_you_mean(name.lower(), lowered)}")
        return reading.give_up()
    return reading.take("substream", words, "a substream", names=(known,), survey=survey or reading.phrase.survey)


def _by_condition(reading: _Reading, pairs: Mapping[str, str], words: str, vocabulary: Mapping[str, Column]) -> Phrase | None:
    """Read a condition in the filters' language: after where=, or bare, as mag < 18, or the name of a yes-or-no column."""
    text = f"{pairs.get('where', '')} {words}".strip()
    cuts = {name: cut.where for name, cut in filters.named_cuts().items()}
    told = text in cuts or (text in vocabulary and vocabulary[text].type == pa.bool_())
    if not text or not ("where" in pairs or told or _COMPARES.search(text)):
        return None
    try:
        parse_condition(text, {column.name: column.type for column in vocabulary.values()}, cuts)
    except ConditionError as error:
        if "where" not in pairs and not re.search(r"[<>=]", text):
            return None
        reading.trouble.append(_about_pairs(text) or f"as a condition, {text} does not work: {error}")
        return reading.give_up()
    return reading.take("condition", text, "a condition that alerts fulfil", condition=text)


def _about_pairs(text: str) -> str:
    """Say that a word before = is none of the keys, where that is the nearest reading."""
    pair = re.fullmatch(r"(\w+)\s*=\s*\S*", text)
    near = did_you_mean(pair[1].lower(), KEYS) if pair else ""
    return f"there is no key {pair[1]}={near}" if pair and near else ""


def _by_limits(reading: _Reading, pairs: Mapping[str, str]) -> Phrase:
    """Read what narrows a search where nothing else is said: the newest alerts of that time, survey or trend."""
    if reading.trouble:
        return reading.give_up()
    if not pairs:
        return reading.phrase
    if "r" in pairs:
        reading.trouble.append("r= is the radius around a position; say the position, too")
        return reading.give_up()
    return replace(reading.phrase, action="period", heard=tuple(reading.heard))
