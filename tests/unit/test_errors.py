"""Errors: one tree, and the nearest name where one is mistyped."""

from __future__ import annotations

import inspect

import pytest

from fink import errors
from fink.errors import ArchiveError, FinkError, HeldError, PacketError, did_you_mean

DECLARED = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", DECLARED)
def test_every_error_is_of_one_tree_and_says_what_it_is_for(kind: type[Exception]) -> None:
    assert issubclass(kind, FinkError)
    assert kind.__doc__
    assert kind.__doc__.endswith(".")
    assert str(kind("the disk is full")) == "the disk is full"


def test_a_packet_error_keeps_the_reason_for_the_quarantine() -> None:
    error = PacketError("the record ends early")
    assert error.reason == str(error) == "the record ends early"


def test_an_archive_that_is_held_is_an_error_of_the_archive() -> None:
    with pytest.raises(ArchiveError, match="held"):
        raise HeldError("held by process 7")


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("rise_rat", ["rise_rate", "mag"], "; did you mean rise_rate?"),
        ("qurey", ("run", "query"), "; did you mean query?"),
        ("zzz", {"run": 1, "query": 2}, ""),
        ("mag", [], ""),
    ],
)
def test_the_nearest_name_is_offered_where_one_is_near(name: str, known: list[str], said: str) -> None:
    assert did_you_mean(name, known) == said


def test_of_two_near_names_the_nearer_is_offered_and_an_iterator_will_do() -> None:
    assert did_you_mean("mag_er", iter(["mag", "mag_err"])) == "; did you mean mag_err?"
