"""Ragged rows of points: what is refused, and how rows are split and shifted."""

from __future__ import annotations

import numpy as np

from fink.fitting import Points


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
