"""Distances are those of astropy's Planck18."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fink import cosmology


@pytest.fixture(scope="module")
def redshifts() -> np.ndarray:
    return np.geomspace(1e-4, 6.0, 300)


def test_distances_are_those_of_astropy(redshifts: np.ndarray) -> None:
    planck = pytest.importorskip("astropy.cosmology").Planck18
    assert np.abs(cosmology.comoving_distance(redshifts) / planck.comoving_distance(redshifts).value - 1.0).max() < 3e-4
    assert np.abs(cosmology.luminosity_distance(redshifts) / planck.luminosity_distance(redshifts).value - 1.0).max() < 3e-4
    expected = planck.distmod(redshifts).value
    assert np.abs(cosmology.distance_modulus(cosmology.luminosity_distance(redshifts)) - expected).max() < 1e-3


def test_the_scale_on_the_sky_is_that_of_astropy(redshifts: np.ndarray) -> None:
    planck = pytest.importorskip("astropy.cosmology").Planck18
    angular = cosmology.luminosity_distance(redshifts) / (1.0 + redshifts) ** 2
    expected = planck.kpc_proper_per_arcmin(redshifts).value / 60.0
    assert np.abs(cosmology.KPC_OF_ARCSEC * angular / expected - 1.0).max() < 3e-4


@given(st.floats(1e-5, 19.0))
def test_redshifts_come_back_from_distances(redshift: float) -> None:
    assert cosmology.redshift_at(cosmology.luminosity_distance(redshift)) == pytest.approx(redshift, rel=1e-5, abs=1e-8)


def test_what_is_no_distance_is_unknown() -> None:
    assert np.isnan(cosmology.comoving_distance([-0.1, np.nan])).all()
    assert np.isnan(cosmology.redshift_at([-1.0, np.nan, 1e9])).all()
    assert np.isnan(cosmology.distance_modulus([0.0, -3.0])).all()
    assert cosmology.comoving_distance([0.0]).tolist() == [0.0]
