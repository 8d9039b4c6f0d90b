"""Names tell the kind of quantity, the special before the general."""

from __future__ import annotations

import pytest

from fink import surveys
from fink.surveys.ucds import ucd_of


@pytest.mark.parametrize(
    ("name", "ucd"),
    [
        ("lsst_ra_err", "stat.error"),
        ("lsst_trail_ra", "pos.eq.ra"),
        ("lsst_ap_flux", "phot.flux"),
        ("lsst_ap_flux_flag", "meta.code.qual"),
        ("lsst_object_g_psf_flux_mean_err", "stat.error;phot.flux"),
        ("lsst_object_g_psf_flux_max_slope", "arith.rate;phot.flux;stat.max"),
        ("lsst_sso_helio_vx", "phys.veloc"),
        ("lsst_sso_helio_x", "pos.cartesian.x"),
        ("lsst_x", "pos.cartesian.x;instr.det"),
        ("lsst_orbit_e", "src.orbital.eccentricity"),
        ("something else", ""),
    ],
)
def test_rules_in_their_order(name: str, ucd: str) -> None:
    assert ucd_of(name) == ucd


def test_every_column_of_a_survey_has_one() -> None:
    assert [column.name for survey in surveys.registry().values() for column in survey.columns if not column.ucd] == []
