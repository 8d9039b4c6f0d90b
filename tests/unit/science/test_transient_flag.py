"""Each cut of the transient flag by itself."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from alert_batches import NOW, Point, light_curves
from fink.lightcurves import DETECTION, FORCED
from fink.science.transient_flag import transient_flag

BRIGHT: dict[str, Any] = {"mag": 18.0, "positive": True, "real_score": 0.95, "snr": 30.0, "flagged": 0.0, "age": 3.0, "n_detections": 3.0}
BRIGHT |= {"star_separation": 6.0, "star_score": 0.99, "is_known_sso": 0.0, "is_sso_candidate": 0.0, "mjd": NOW}
SEEN: list[Point] = [(NOW - 1.0, "g", DETECTION, 9000.0, 300.0), (NOW, "r", DETECTION, 9000.0, 300.0)]
NAMES = [name for name in inspect.signature(transient_flag.function).parameters if name != "lightcurves"]


def flags(curve: list[Point] | None = None, **changes: Any) -> dict[str, bool]:
    row = {name: np.array([{**BRIGHT, **changes}.get(name, np.nan)]) for name in NAMES}
    found = transient_flag.function(**row, lightcurves=light_curves([SEEN if curve is None else curve]))
    return {name: bool(values[0]) for name, values in found.items()}


def test_a_bright_new_source() -> None:
    found = flags()
    assert found["is_transient"]
    assert {name for name, value in found.items() if value} == {"is_transient", "is_bright", "is_real", "is_stationary"}


@pytest.mark.parametrize(
    ("part", "value", "changes"),
    [
        ("is_bright", False, {"mag": 19.8}),
        ("is_real", False, {"real_score": 0.79}),
        ("is_real", False, {"real_score": 0.9, "age": 91.0, "star_separation": 2.0, "star_score": 0.1}),
        ("is_on_star", True, {"star_separation": 2.4, "star_score": 0.77}),
        ("is_on_star", True, {"star_separation": 1.0, "star_score": 0.6, "star_r": 20.0, "star_i": 19.0, "star_z": 18.5}),
        ("is_near_bright_star", True, {"gaia_bright_separation": 19.0, "gaia_bright_mag": 11.9}),
        ("is_near_bright_star", True, {"star_separation": 19.0, "star_g": 15.0, "star_r": 13.9}),
        ("is_long_variable", True, {"age": 91.0, "n_detections": 31.0}),
        ("is_long_variable", True, {"n_detections": 201.0}),
    ],
)
def test_each_cut_is_named_and_enough(part: str, value: bool, changes: dict[str, Any]) -> None:
    found, whole = flags(**changes), flags()
    assert not found["is_transient"]
    assert {name for name in whole if found[name] != whole[name]} == {part, "is_transient"}
    assert found[part] is value


@pytest.mark.parametrize("changes", [{"positive": False}, {"is_known_sso": 1.0}, {"is_sso_candidate": 1.0}])
def test_negative_and_moving_sources_are_no_transients(changes: dict[str, Any]) -> None:
    assert not flags(**changes)["is_transient"]


@pytest.mark.parametrize(
    "before",
    [
        [],
        [(NOW - 0.01, "r", DETECTION, 9000.0, 300.0)],
        [(NOW - 1.0, "r", DETECTION, -9000.0, 300.0)],
        [(NOW - 1.0, "r", FORCED, 9000.0, 300.0)],
    ],
    ids=["never", "minutes ago", "negative", "forced"],
)
def test_it_has_to_be_seen_here_before(before: list[Point]) -> None:
    assert not flags([*before, SEEN[-1]])["is_stationary"]


def test_without_a_score_signal_and_flags_decide() -> None:
    assert flags(real_score=np.nan)["is_transient"]
    assert flags(real_score=np.nan, flagged=np.nan)["is_transient"]
    assert not flags(real_score=np.nan, snr=9.9)["is_real"]
    assert not flags(real_score=np.nan, flagged=1.0)["is_real"]
