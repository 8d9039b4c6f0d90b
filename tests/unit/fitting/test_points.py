"""Ragged rows of points: what is refused, and how rows are split and shifted."""

from __future__ import annotations

import numpy as np

from alert_batches import NOW, Point, light_curves
from fink.fitting import Points
from fink.fitting.points import transient_points
from fink.lightcurves import DETECTION, FORCED, LIMIT


def some_points() -> Points:
    return Points.of([0, 3, 3, 7], [1.0, 2, 3, 1, 2, 3, 4], [1, 0, 1, 0, 0, 1, 0], [5.0, 9, 2, 4, 4, 7, 1], np.ones(7))


def test_points_that_cannot_be_used_go() -> None:
    points = Points.of([0, 4, 6], np.arange(6.0), np.zeros(6), [1.0, np.nan, 2, 3, np.inf, 4], [1.0, 1, 0, -1, 1, 1])
    assert points.offsets.tolist() == [0, 1, 2]
    assert points.time.tolist() == [0.0, 5.0]


def test_by_band_keeps_every_point_and_its_order() -> None:
    split = some_points().by_band(2)
    assert len(split) == 6
    assert [split.time[split.offsets[i] : split.offsets[i + 1]].tolist() for i in range(6)] == [[2.0], [1, 3], [], [], [1, 2, 4], [3]]


def test_highest_and_floor() -> None:
    points = some_points()
    assert points.highest().tolist() == [9.0, -np.inf, 7.0]
    floored = points.with_floor(0.1)
    assert np.allclose(floored.error, np.sqrt(1.0 + np.array([0.9] * 3 + [0.7] * 4) ** 2))
    assert (Points.of([0, 1], [0.0], [0], [-5.0], [2.0]).with_floor(0.5).error == 2.0).all()


def test_time_counts_from_each_rows_own_moment() -> None:
    assert some_points().since(np.array([1.0, 0.0, 2.0])).time.tolist() == [0, 1, 2, -1, 0, 1, 2]
    assert some_points().owners().tolist() == [0, 0, 0, 2, 2, 2, 2]


def test_of_an_exposure_one_point_counts_and_a_limit_is_zero() -> None:
    curve: list[Point] = [
        (NOW - 70.0, "r", FORCED, 5.0, 1.0),
        (NOW - 60.0, "r", LIMIT, np.nan, 2.0),
        (NOW - 10.0, "r", DETECTION, 50.0, 1.0),
        (NOW - 10.0, "r", FORCED, 49.0, 1.0),
        (NOW - 10.0, "g", FORCED, 30.0, 1.0),
        (NOW, "g", DETECTION, 40.0, 1.0),
    ]
    lc = light_curves([curve, [(NOW, "g", FORCED, 9.0, 1.0)]])
    keep, detections = transient_points(lc, 50.0)
    assert keep.tolist() == [False, True, True, True, False, True, False]
    assert detections[:, 1:3].tolist() == [[1, 1], [0, 0]]
    points = Points.of_light_curves(lc, keep)
    assert points.value.tolist() == [0.0, 50.0, 30.0, 40.0]
    assert points.counts(6)[:, :3].tolist() == [[0, 2, 2], [0, 0, 0]]
    assert transient_points(lc, 0.0)[0].tolist() == [False, False, True, True, False, True, False]


def test_rows_without_a_point_to_spare_go() -> None:
    points = some_points()
    assert np.diff(points.with_spare(2, 1).offsets).tolist() == [0, 0, 4]
    assert np.diff(points.with_spare(2, 2).offsets).tolist() == [0, 0, 0]
    assert np.diff(points.with_spare(2, 0).offsets).tolist() == [3, 0, 4]
