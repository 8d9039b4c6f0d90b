"""Exposures: when, where and how deep a simulated telescope looks."""

from __future__ import annotations

import numpy as np
import pytest

from fink.simulator.sky import LSST, TELESCOPES, ZTF, Telescope, choose_fields, midnight_ra, place_on_detector, scatter, schedule

NIGHTS = np.array([60999, 61000])


@pytest.mark.parametrize("telescope", TELESCOPES.values(), ids=list(TELESCOPES))
def test_exposures_are_ordered_and_none_overlaps_another(telescope: Telescope) -> None:
    fields = choose_fields(telescope, 60999, np.random.default_rng(1))
    visits = schedule(telescope, fields, NIGHTS, 60.0, np.random.default_rng(2))
    assert (np.diff(visits.offsets) >= 0).all()
    assert visits.offsets[-1] == len(visits.mjd)
    same = visits.field[1:] == visits.field[:-1]
    assert (np.diff(visits.mjd)[same] > 0).all()
    gaps = np.diff(np.sort(visits.start)) * 86400.0
    assert gaps.min() > telescope.exposure_time
    assert visits.on_nights(NIGHTS).sum() > 100


def test_ztf_nights_are_utc_dates_and_lsst_nights_begin_at_noon() -> None:
    for telescope, shift in ((ZTF, 0.0), (LSST, 0.5)):
        fields = choose_fields(telescope, 60999, np.random.default_rng(1))
        visits = schedule(telescope, fields, NIGHTS, 20.0, np.random.default_rng(2))
        assert (np.floor(visits.start - shift) == visits.night).all()


def test_fields_are_high_at_midnight() -> None:
    fields = choose_fields(ZTF, 60999, np.random.default_rng(1))
    away = (fields.ra - midnight_ra(60999) + 180.0) % 360.0 - 180.0
    assert np.abs(away).max() < 65.0
    assert 200 < len(fields.ra) <= ZTF.n_fields


def test_positions_fall_on_detectors_of_their_field() -> None:
    fields = choose_fields(LSST, 60999, np.random.default_rng(1))
    field = np.arange(len(fields.ra)).repeat(20)
    ra, dec = scatter(LSST, fields, field, np.random.default_rng(3))
    detector, x, y = place_on_detector(LSST, fields, field, ra, dec)
    assert np.abs(dec - fields.dec[field]).max() <= LSST.half_side
    assert set(np.unique(detector)) <= set(range(189))
    assert min(x.min(), y.min()) >= 0.0
    assert max(x.max(), y.max()) < 4000.0
