"""Suggestions while somebody types: what the words may become, and what is there of that name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from fink.api.classes import CLASSIFIERS
from fink.archive.embedded import EmbeddedArchive
from fink.columns import Column
from fink.config import Settings
from fink.portal.finding import address_of, address_of_moving
from fink.portal.phrases import KEYS, understand
from fink.services import names

MOST = 10
"""Suggestions at most."""
_VALUES: Mapping[str, Mapping[str, str]] = {
    "trend": {"rising": "getting brighter", "fading": "getting fainter"},
    "survey": {"ztf": "ZTF", "lsst": "Rubin"},
}
_LAST_PAIR = re.compile(r"(?:^|\s)(tag|class|trend|survey)\s*[=:]\s*(\S*)$", re.IGNORECASE)
_LAST_WORD = re.compile(r"(?:^|\s)(\w+)$")


def suggest(
    text: str, archive: EmbeddedArchive, settings: Settings, substreams: Mapping[str, str], vocabulary: Mapping[str, Column]
) -> list[dict[str, Any]]:
    """Give what may be meant, the likeliest first: the text that would be searched for, what it is, and its page where it has one.

    Parameters
    ----------
    substreams
        Name of each substream, and what it holds.
    vocabulary
        Every column that a condition may name, by name.
    """
    plain = " ".join(text.split())
    found: list[dict[str, Any]] = []
    seen: set[str] = set()
    for each in (*_values(plain, substreams), *_understood(plain, substreams, vocabulary), *_substreams(plain, substreams)):
        if each["text"] not in seen:
            seen.add(each["text"])
            found.append(each)
    if len(found) < MOST and len(plain) > 1:
        found += [each for each in _named(plain, archive, settings) if each["text"] not in seen]
    found += [each for each in _keys(plain) if each["text"] not in seen]
    return found[:MOST]


def _one(text: str, kind: str, about: str, to: str = "") -> dict[str, Any]:
    return {"text": text, "kind": kind, "about": about, "to": to}


def _values(text: str, substreams: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Complete what stands after a key."""
    pair = _LAST_PAIR.search(text)
    if pair is None:
        return
    before, key, begun = text[: pair.start(2)], pair[1].lower(), pair[2].lower()
    if key in ("tag", "class"):
        for name, about in sorted(substreams.items(), key=lambda item: (not item[0].startswith(begun), item[0])):
            if begun in name:
                yield _one(before + name, "substream", about)
    for name in CLASSIFIERS if key == "class" else ():
        if name.lower().startswith(begun):
            yield _one(f'{before}"{name}"' if " " in name else before + name, "class", "Class that Fink gives")
    for value, about in _VALUES.get(key, {}).items():
        if value.startswith(begun):
            yield _one(before + value, key, about)


def _understood(text: str, substreams: Mapping[str, str], vocabulary: Mapping[str, Column]) -> Iterator[dict[str, Any]]:
    """Say what the text already is, where it is a position, a date, a draw or a condition."""
    if not text:
        return
    phrase = understand(text, substreams, vocabulary)
    if phrase.action in ("position", "night", "random", "condition"):
        yield _one(text, phrase.action, f"Search for {phrase.heard[-1].meaning}")


def _substreams(text: str, substreams: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Give the substreams whose name has these words, or begins with them."""
    word = re.sub(r"[\s-]+", "_", text.lower())
    if len(word) < 2:
        return
    for name, about in sorted(substreams.items(), key=lambda item: (not item[0].startswith(word), item[0])):
        if word in name:
            yield _one(f"tag={name}", "substream", about)


def _named(text: str, archive: EmbeddedArchive, settings: Settings) -> Iterator[dict[str, Any]]:
    """Give objects and catalogued sources whose name begins so; the network is not asked while somebody types."""
    quiet = settings.model_copy(update={"network": settings.network.model_copy(update={"sesame": "", "quaero": ""})})
    for each in names.resolve(text, archive, quiet, limit=MOST):
        if each.kind == "solar system" and each.objects:
            yield _one(each.name, each.kind, "Solar-system object", address_of_moving(each.objects[0]["object_id"]))
        elif each.kind in ("object", "alert") and each.objects:
            own = each.objects[0]
            survey = {"ztf": "ZTF", "lsst": "Rubin"}.get(own["survey"], own["survey"])
            yield _one(each.name, each.kind, f"{each.kind.capitalize()} of {survey}", address_of(own["survey"], own["object_id"]))
        elif each.kind in ("transient", "source"):
            here = "in the archive" if each.objects else "no alert here"
            yield _one(each.name, each.kind, " · ".join(part for part in (each.origin.upper(), each.type, here) if part))


def _keys(text: str) -> Iterator[dict[str, Any]]:
    """Complete the last word to a key."""
    word = _LAST_WORD.search(text)
    begun = word[1].lower() if word else ""
    if text and not begun:
        return
    before = text[: word.start(1)] if word else ""
    for key, about in KEYS.items():
        if key.startswith(begun) and (begun or key in ("tag", "after", "ra", "random")):
            yield _one(f"{before}{key}=", "key", about)
