"""The vocabulary declares each quantity once, in full."""

from __future__ import annotations

import pyarrow as pa
import pytest

from fink import science, surveys
from fink.columns import COLUMNS, CORE, Column, column_named, merge_columns
from fink.errors import PlanError


def every_column() -> list[Column]:
    """Give all columns of core, surveys and modules."""
    of_surveys = [column for survey in surveys.registry().values() for column in survey.columns]
    of_modules = [column for module in science.registry().values() for column in module.outputs]
    return [*CORE, *of_surveys, *of_modules]


def test_every_column_is_documented() -> None:
    for column in every_column():
        assert len(column.about) > 10, column.name
        assert column.about.rstrip(".") == column.about, f"{column.name}: no full stop, it is a label"
        assert column.ucd, f"{column.name} has no UCD"
        assert "�" not in column.about


def test_one_name_one_meaning() -> None:
    merged = merge_columns(every_column())
    assert set(COLUMNS) <= set(merged)


def test_conflicts_and_typing_errors_are_named() -> None:
    with pytest.raises(PlanError, match="declared twice"):
        merge_columns(CORE, [Column("ra", pa.float32(), "deg", "pos", "another right ascension")])
    with pytest.raises(PlanError, match="did you mean flux_err"):
        column_named("flux_er", COLUMNS)
    with pytest.raises(PlanError, match="snake case"):
        Column("psfFlux", pa.float32(), about="something")
    with pytest.raises(PlanError, match="use one of"):
        Column("psf_flux", pa.float16(), about="something")
    with pytest.raises(PlanError, match="what it means"):
        Column("psf_flux", pa.float32())
