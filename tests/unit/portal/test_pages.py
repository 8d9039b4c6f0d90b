"""A visit knows the survey that its address names."""

from __future__ import annotations

from typing import Any

from fink.config import Settings
from fink.portal.pages import Visit


def visit(**path: str) -> Visit:
    nobody: Any = None
    return Visit(nobody, nobody, {}, Settings(), path)


def test_the_survey_is_the_one_of_the_address() -> None:
    assert visit(survey="ztf").survey == "ztf"
    assert visit(name="fast_risers").survey is None
