"""Each question of quality is answered by itself, and what is unknown does not count."""

from __future__ import annotations

import numpy as np
import pytest

from fink.science.data_quality import data_quality

GOOD = {"flagged": 0.0, "is_dipole": 0.0, "snr": 12.0, "seeing": 2.0, "elongation": 1.1, "real_score": 0.9}


def quality(**changes: float) -> dict[str, float]:
    row = {name: np.array([value]) for name, value in {**GOOD, **changes}.items()}
    return {name: float(values[0]) for name, values in data_quality.function(**row).items()}


def test_a_good_measurement() -> None:
    assert set(quality().values()) == {1.0}


@pytest.mark.parametrize(
    ("part", "column", "value"),
    [
        ("unflagged", "flagged", 1.0),
        ("unflagged", "is_dipole", 1.0),
        ("significant", "snr", 4.9),
        ("significant", "snr", -4.9),
        ("point_like", "seeing", 8.1),
        ("point_like", "elongation", 2.4),
        ("scored_real", "real_score", 0.54),
    ],
)
def test_one_fault_is_named_and_enough(part: str, column: str, value: float) -> None:
    found = quality(**{column: value})
    assert {name for name, answer in found.items() if answer == 0.0} == {part, "good_quality"}


def test_negative_detections_can_be_good() -> None:
    assert quality(snr=-12.0)["good_quality"] == 1.0


def test_unknown_parts_are_null_and_do_not_count() -> None:
    found = quality(flagged=np.nan, is_dipole=np.nan, seeing=np.nan, elongation=np.nan, real_score=np.nan)
    assert np.isnan([found["unflagged"], found["point_like"], found["scored_real"]]).all()
    assert found["good_quality"] == 1.0


def test_an_unknown_signal_is_not_good() -> None:
    found = quality(snr=np.nan)
    assert np.isnan(found["significant"])
    assert found["good_quality"] == 0.0
