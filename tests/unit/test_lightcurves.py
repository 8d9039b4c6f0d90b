"""Ragged light curves: taking, selecting, ordering and joining keep each point with its owner."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alert_batches import NOW, light_curves
from fink.lightcurves import DETECTION, FORCED, LIMIT, Band, LightCurves, concatenate_rows, magnitude, own_points

BANDS = (Band("g", "ztf", 4746.5), Band("r", "ztf", 6366.4))


def some_lightcurves(sizes: list[int], seed: int = 0) -> LightCurves:
    """Make light curves of these numbers of points, in no order."""
    rng = np.random.default_rng(seed)
    m = sum(sizes)
    return LightCurves(
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        mjd=rng.integers(0, 5, m).astype(np.float64),
        band=rng.integers(0, 2, m).astype(np.int8),
        kind=rng.choice([DETECTION, LIMIT], m).astype(np.int8),
        flux=rng.normal(size=m).astype(np.float32),
        flux_err=np.ones(m, np.float32),
        total_flux=np.full(m, np.nan, np.float32),
        total_flux_err=np.full(m, np.nan, np.float32),
        point_id=rng.permutation(m).astype(np.int64),
        detector=np.zeros(m, np.int16),
        bands=BANDS,
    )


def as_lists(curves: LightCurves) -> list[list[tuple[Any, ...]]]:
    """Give each light curve as a list of its points."""
    points = list(zip(curves.mjd, curves.kind, curves.band, curves.point_id, curves.flux, strict=True))
    return [points[a:b] for a, b in zip(curves.offsets[:-1], curves.offsets[1:], strict=True)]


SIZES = st.lists(st.integers(0, 40), min_size=1, max_size=12)


@given(SIZES, st.integers(0, 1000))
@settings(deadline=None)
def test_sorting_equals_pythons_own(sizes: list[int], seed: int) -> None:
    curves = some_lightcurves(sizes, seed)
    assert as_lists(curves.sorted_by_time()) == [sorted(points) for points in as_lists(curves)]


@given(SIZES, st.data())
@settings(deadline=None)
def test_take_keeps_points_with_their_owner(sizes: list[int], data: st.DataObject) -> None:
    curves = some_lightcurves(sizes)
    rows = data.draw(st.lists(st.integers(0, len(sizes) - 1), max_size=10))
    expected = [as_lists(curves)[row] for row in rows]
    assert as_lists(curves.take(np.array(rows, np.int64))) == expected


def test_select_drops_points_not_light_curves() -> None:
    curves = some_lightcurves([3, 0, 4])
    detections = curves.select(curves.kind == DETECTION)
    assert len(detections) == 3
    assert as_lists(detections) == [[p for p in points if p[1] == DETECTION] for points in as_lists(curves)]


def test_concatenate_and_arrow_round_trip() -> None:
    one, two = some_lightcurves([2, 1], 1), some_lightcurves([0, 5], 2)
    both = concatenate_rows([one, two])
    assert as_lists(both) == as_lists(one) + as_lists(two)
    again = LightCurves.from_arrow(both.offsets, both.to_arrow(), BANDS)
    assert as_lists(again) == as_lists(both)
    assert again.owners().tolist() == [0, 0, 1, 3, 3, 3, 3, 3]


def test_bands_must_agree() -> None:
    other = LightCurves.empty(1, (Band("u", "lsst", 3671.0),))
    with pytest.raises(ValueError, match="align their bands"):
        concatenate_rows([some_lightcurves([1]), other])


def test_magnitude_of_the_ab_zero_point() -> None:
    assert magnitude(np.array([3631e9, -3631e9]))[0] == pytest.approx(0.0, abs=1e-4)
    assert magnitude(np.array([3631e9, -3631e9]))[1] == pytest.approx(0.0, abs=1e-4)
    assert np.isnan(magnitude(np.array([0.0, np.nan]))).all()


def test_own_points_are_the_detections_of_the_alerts_own_time() -> None:
    curves = light_curves(
        [
            [(NOW - 1.0, "r", DETECTION, 1.0, 1.0), (NOW, "r", DETECTION, 2.0, 1.0), (NOW, "r", FORCED, 3.0, 1.0)],
            [(NOW - 1.0, "r", DETECTION, 1.0, 1.0), (NOW, "r", FORCED, 3.0, 1.0)],
            [],
        ]
    )
    assert own_points(curves.offsets, curves.mjd, curves.kind, np.full(3, NOW)).tolist() == [1, -1, -1]
