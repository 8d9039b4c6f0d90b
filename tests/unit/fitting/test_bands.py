"""Which band of two surveys answers for a letter, and what a fit of all bands says of the alert's own."""

from __future__ import annotations

import numpy as np
import pytest

from alert_batches import BANDS, NOW, light_curves
from fink.fitting.bands import LETTERS, of_own_band, pick, rows_by_letter
from fink.fitting.points import Points
from fink.fitting.transients import fit_two_exponential
from fink.lightcurves import DETECTION, Band


def test_the_band_with_more_points_answers_and_of_equals_the_bluer() -> None:
    bands = (Band("r", "ztf", 6366.0), Band("R", "lsst", 6223.0), Band("g", "ztf", 4746.0))
    counts = np.array([[5, 3, 0], [5, 5, 1], [0, 0, 0], [2, 9, 4]])
    rows = rows_by_letter(counts.ravel(), bands)
    assert rows["r"].tolist() == [0, 4, -1, 10]
    assert rows["g"].tolist() == [-1, 5, -1, 11]
    assert all((rows[letter] == -1).all() for letter in set(LETTERS) - {"r", "g"})


def test_picking_a_row_that_is_not_there_gives_nothing() -> None:
    assert pick(np.array([1.0, 2.0, 3.0]), np.array([2, -1])) == pytest.approx([3.0, np.nan], nan_ok=True)
    assert np.isnan(pick(np.zeros(0), np.array([-1]))).all()


def test_the_parameter_is_that_of_the_alerts_own_band() -> None:
    times = np.arange(20.0)
    curves = [[(NOW - 19.0 + t, name, DETECTION, scale * (1.0 + t % 7), 1.0) for t in times] for name, scale in (("g", 3.0), ("i", 7.0))]
    lc = light_curves([[*curve, (NOW - 30.0, "u", DETECTION, 1.0, 1.0)] for curve in curves] + [[]])
    fits = fit_two_exponential(Points.of_light_curves(lc, np.ones(lc.n_points, np.bool_)), len(BANDS))
    value, error = of_own_band(fits, "scale", lc, np.full(3, NOW))
    assert value[:2].tolist() == [fits.value("scale_1")[0], fits.value("scale_3")[1]]
    assert np.isnan(value[2])
    assert np.isnan(error[2])
