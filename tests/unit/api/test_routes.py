"""A route describes itself; a question knows the columns of its survey."""

from __future__ import annotations

from typing import Any

import pytest

from fink.api.registry import ROUTES
from fink.api.routes import Question, public_word
from fink.archive.rows import declared_columns


def question(survey: str, columns: list[str] | None) -> Question:
    archive: Any = None
    return Question(archive, survey, declared_columns(), {"columns": columns})


def test_columns_are_chosen_and_strangers_told() -> None:
    asked = question("ztf", ["i:magpsf", "i:magpsff", "v:rate"])
    assert list(asked.wanted(always=("object_id",))) == ["i:objectId", "i:magpsf"]
    assert asked.warnings == ["there is no column i:magpsff; did you mean i:magpsf?"]
    everything = question("lsst", None).wanted()
    assert len(everything) > 300
    assert all(name.startswith(("r:", "f:")) for name in everything)


def test_arguments_are_named_after_the_surveys_fields() -> None:
    assert (public_word("ztf", "alert_id"), public_word("lsst", "object_id")) == ("candid", "diaObjectId")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.path}-{'-'.join(route.surveys)}")
def test_descriptions_name_every_argument(route: Any) -> None:
    text = route.description("/api/v1")
    assert text.startswith(f"/api/v1{route.path}: ")
    assert all(f"  {argument.name} [" in text and argument.about in text for argument in route.arguments)
