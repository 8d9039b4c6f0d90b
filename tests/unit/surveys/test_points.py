"""Points of several arrays into one light curve: against a plain Python sort, for every order, copy and gap that hypothesis thinks of."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fink.lightcurves import DETECTION, FORCED, LIMIT, Band, LightCurves
from fink.surveys.points import PointParts

BANDS = (Band("g", "sky", 4800.0), Band("r", "sky", 6200.0))


class Point(NamedTuple):
    """One point as a packet has it."""

    mjd: float
    kind: int
    band: int
    point_id: int
    detector: int
    flux: float
    flux_err: float


POINTS = st.builds(
    Point,
    mjd=st.sampled_from([-1.0, 0.0, 1.0, 2.0, 3.0, 4.5, math.nan, math.inf]),
    kind=st.sampled_from([DETECTION, FORCED, LIMIT]),
    band=st.sampled_from([-1, 0, 1]),
    point_id=st.sampled_from([-7, 0, 0, 5, 9]),
    detector=st.sampled_from([-1, 3]),
    flux=st.sampled_from([1.5, -2.5, math.nan]),
    flux_err=st.sampled_from([0.5, math.nan]),
)
PARTS = st.integers(1, 4).flatmap(
    lambda n: st.lists(st.lists(st.lists(POINTS, max_size=12), min_size=n, max_size=n), min_size=1, max_size=4)
)


def joined_of(arrays: list[list[list[Point]]]) -> LightCurves:
    """Bring the points of each alert's arrays into flat arrays, and join them."""
    parts = PointParts(*(np.cumsum([0, *(len(alert) for alert in alerts)]) for alerts in arrays))
    for number, alerts in enumerate(arrays):
        columns = {name: np.array([getattr(point, name) for alert in alerts for point in alert]) for name in Point._fields}
        parts.fill(number, total_flux=2 * columns["flux"], total_flux_err=3 * columns["flux_err"], **columns)
    return parts.joined(BANDS)


def expected(arrays: list[list[Point]]) -> list[Point]:
    """Join the arrays of one alert, the slow way."""
    kept: list[Point] = []
    usable = (p for array in arrays for p in array if math.isfinite(p.mjd) and p.band >= 0)
    measured = [p for p in usable if math.isfinite(p.flux_err if p.kind == LIMIT else p.flux)]
    for point in sorted(measured, key=lambda p: (p.mjd, p.kind, p.band, p.point_id)):
        alike = [p for p in kept if (p.mjd, p.kind, p.band, p.point_id) == (point.mjd, point.kind, point.band, point.point_id)]
        if not any(point.point_id != 0 or p.detector == point.detector for p in alike):
            kept.append(point)
    return kept


@settings(max_examples=300, deadline=None)
@given(PARTS)
def test_points_are_joined_as_by_a_plain_sort(parts: list[list[list[Point]]]) -> None:
    joined = joined_of(parts)
    wanted = [expected([alerts[i] for alerts in parts]) for i in range(len(parts[0]))]
    assert joined.offsets.tolist() == np.cumsum([0, *(len(alert) for alert in wanted)]).tolist()
    flat = [point for alert in wanted for point in alert]
    for name in Point._fields:
        np.testing.assert_array_equal(getattr(joined, name), [getattr(point, name) for point in flat], err_msg=name)
    np.testing.assert_array_equal(joined.total_flux, 2 * joined.flux)
    np.testing.assert_array_equal(joined.total_flux_err, 3 * joined.flux_err)
    assert {len(array) for array in joined.arrays().values()} == {joined.n_points}


def test_long_light_curves_in_any_order() -> None:
    random = np.random.default_rng(3)
    m = 5000
    mjd, number = np.round(random.uniform(0, 1000, m), 1), np.arange(1, m + 1)
    band, offsets = random.integers(0, 2, m), np.array([0, 3000, 3000, m])
    ones = np.ones(m)
    parts = PointParts(offsets)
    parts.fill(0, mjd=mjd, band=band, kind=DETECTION, flux=ones, flux_err=ones, point_id=number)
    joined = parts.joined(BANDS)
    assert joined.offsets.tolist() == offsets.tolist()
    for first, last in ((0, 3000), (3000, m)):
        order = first + np.lexsort((number[first:last], band[first:last], mjd[first:last]))
        assert joined.point_id[first:last].tolist() == number[order].tolist()
